"""The server of one site's own pages, made when somebody first asks for one.

Templates, words, forms and the throttle are a third of all that is imported, and no request to the app needs them. They
come in a thread, so that requests go on meanwhile, and are wired in the loop. Until then nobody has asked, and whoever
asks first waits as for an upstream that takes its time.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from aiohttp import web

from proxy.errors import SidegateError

if TYPE_CHECKING:
    from collections.abc import Callable

KEEPALIVE_S = 75.0
"""Longer than the data path keeps an idle pair, so that aiohttp never closes one that is about to be used."""


class OwnServer:
    """An aiohttp application without a port; see the module."""

    def __init__(self, load: Callable[[], None], make: Callable[[], web.Application]) -> None:
        """Make nothing yet.

        Args:
            load: imports what ``make`` needs; called in a thread.
            make: wires the application; called in the loop, once.
        """
        self._load = load
        self._make = make
        self._runner: web.AppRunner | None = None
        self._turn = asyncio.Lock()
        self._is_open = False

    def start(self) -> None:
        """Take who asks from now on."""
        self._is_open = True

    async def protocol(self) -> asyncio.Protocol:
        """Return a server's end for one connection.

        Raises:
            SidegateError: it was not started, or it is closed.
        """
        async with self._turn:
            if self._is_open and self._runner is None:
                await asyncio.to_thread(self._load)
                self._runner = await _set_up(self._make())
            server: Callable[[], asyncio.Protocol] | None = None if self._runner is None else self._runner.server
        if server is None or not self._is_open:
            raise SidegateError("the own pages are not open")
        return server()

    async def close(self) -> None:
        """Let requests under way end; twice does no harm."""
        self._is_open = False
        async with self._turn:
            runner, self._runner = self._runner, None
            if runner is not None:
                await runner.cleanup()


async def _set_up(application: web.Application) -> web.AppRunner:
    runner = web.AppRunner(application, access_log=None, keepalive_timeout=KEEPALIVE_S)
    await runner.setup()
    return runner
