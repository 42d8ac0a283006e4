"""No answer names the software that made it."""

from __future__ import annotations

from typing import Any

from aiohttp import web

from proxy.web.anonymous import forget_the_server


async def test_the_server_field_is_taken_away(aiohttp_client: Any) -> None:
    async def handler(_request: web.Request) -> web.StreamResponse:
        return web.Response()

    app = web.Application()
    app.on_response_prepare.append(forget_the_server)
    app.router.add_get("/", handler)

    response = await (await aiohttp_client(app)).get("/")

    assert "Server" not in response.headers
