"""The health check of a container: the real management application behind it, and nobody there."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest
from aiohttp import web

from proxy.errors import SidegateError
from proxy.health_client import ask_health

if TYPE_CHECKING:
    from pathlib import Path

Address = tuple[str, int] | str


async def served(status: int, address: Address) -> tuple[web.AppRunner, Address]:
    """Answer ``/healthz`` with ``status``; the runner, and where."""

    async def page(_request: web.Request) -> web.Response:
        return web.json_response({"status": "ok"}, status=status)

    app = web.Application()
    app.router.add_get("/healthz", page)
    runner = web.AppRunner(app)
    await runner.setup()
    if isinstance(address, str):
        await web.UnixSite(runner, address).start()
        return runner, address
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    return runner, (address[0], runner.addresses[0][1])


@pytest.mark.parametrize("kind", ["tcp", "every address", "unix"])
async def test_a_process_that_is_well_says_so(kind: str, tmp_path: Path) -> None:
    wanted: dict[str, Address] = {
        "tcp": ("127.0.0.1", 0),
        "every address": ("0.0.0.0", 0),
        "unix": str(tmp_path / "socket"),
    }
    runner, address = await served(200, wanted[kind])
    try:
        assert await asyncio.to_thread(ask_health, address, "healthz") == '{"status": "ok"}'
    finally:
        await runner.cleanup()


async def test_one_that_is_not_well_is_a_sentence_with_its_words() -> None:
    runner, address = await served(503, ("127.0.0.1", 0))
    try:
        with pytest.raises(SidegateError, match=r"says 503: .*ok"):
            await asyncio.to_thread(ask_health, address, "healthz")
    finally:
        await runner.cleanup()


def test_nobody_there_is_a_sentence_with_the_address(tmp_path: Path) -> None:
    with pytest.raises(SidegateError, match=r"nobody answers on management.listen, unix:.*is it running\?"):
        ask_health(str(tmp_path / "nobody"), "healthz")
