"""A handler of an own page runs inside of the trace that the gate named."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from aiohttp import web

from proxy.web.traced import followed_by

if TYPE_CHECKING:
    from collections.abc import Iterator


class Tracing:
    """As much of ``ports.Tracing`` (fake) as own pages use."""

    def __init__(self) -> None:
        self.now_inside: list[str] = []

    @contextmanager
    def inside(self, traceparent: str) -> Iterator[None]:
        self.now_inside.append(traceparent)
        try:
            yield
        finally:
            self.now_inside.pop()


async def test_a_handler_runs_inside_of_the_trace_of_its_request(aiohttp_client: Any) -> None:
    tracing = Tracing()

    async def show(_request: web.Request) -> web.Response:
        return web.json_response(tracing.now_inside)

    app = web.Application(middlewares=[followed_by(tracing)])  # type: ignore[arg-type]  # as far as it is used
    app.router.add_get("/", show)
    client = await aiohttp_client(app)

    assert await (await client.get("/", headers={"traceparent": "trace-1"})).json() == ["trace-1"]
    assert await (await client.get("/")).json() == [""]
    assert tracing.now_inside == []
