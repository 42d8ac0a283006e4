"""The origin that is Sidegate's own aiohttp application, reached over pairs of connected sockets.

No port, so nobody else can connect; public APIs on both sides. The application is an ordinary upstream to the rest of
the data path: opened on demand, kept while used, swept when idle.
"""

from __future__ import annotations

import asyncio
import socket
from typing import TYPE_CHECKING

from proxy.forward.options import UnixAddress, UpstreamOptions
from proxy.forward.origin import Origin

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from proxy.forward.upstream import UpstreamConnection

OWN_PAGES_OPTIONS = UpstreamOptions(address=UnixAddress(""), connect_timeout_s=30.0, idle_s=30.0, max_idle=64)
"""aiohttp keeps a connection for 75 s (``web.AppRunner(keepalive_timeout=…)``): we let go first. The first of all waits
until the pages are imported, which is long where there is a tenth of a processor."""


class OwnPages(Origin):
    """Connections to a server in this process."""

    def __init__(
        self, server: Callable[[], Awaitable[asyncio.Protocol]], *, options: UpstreamOptions = OWN_PAGES_OPTIONS
    ) -> None:
        """``server`` makes a protocol for each connection: what ``aiohttp.web.AppRunner.server`` makes."""
        super().__init__(options)
        self._server = server

    async def _connect(self) -> UpstreamConnection:
        protocol = await self._server()
        loop = asyncio.get_running_loop()
        ours, theirs = socket.socketpair()
        for end in (ours, theirs):
            end.setblocking(False)  # noqa: FBT003  its only parameter
        try:
            await loop.connect_accepted_socket(lambda: protocol, theirs)
            _, connection = await loop.create_unix_connection(self.new_connection, sock=ours)
        except BaseException:
            ours.close()
            theirs.close()
            raise
        return connection
