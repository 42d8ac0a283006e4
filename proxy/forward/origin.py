"""Where upstream connections come from: idle ones first, else a new one, over TCP, TLS or a unix socket."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from proxy.errors import UpstreamTimeout, UpstreamUnreachable
from proxy.forward.buffers import ReadBuffer
from proxy.forward.options import UnixAddress
from proxy.forward.pool import Pool
from proxy.forward.recent import Recent
from proxy.forward.upstream import MAX_KNOWN_ANSWERS, UpstreamConnection

if TYPE_CHECKING:
    from proxy.forward.framing import AnswerFrame
    from proxy.forward.options import UpstreamOptions


class Origin:
    """Connections to one place; subclasses say how a new one is made."""

    def __init__(self, options: UpstreamOptions) -> None:
        """Begin with no connection."""
        self.options = options
        self._pool: Pool[UpstreamConnection] = Pool(max_idle=options.max_idle, idle_s=options.idle_s)
        self._buffer = ReadBuffer()
        self._known: Recent[bytes, AnswerFrame] = Recent(MAX_KNOWN_ANSWERS)
        self._loop: asyncio.AbstractEventLoop | None = None

    def take(self) -> UpstreamConnection | None:
        """Return an idle connection that nothing is known against, or None."""
        if not len(self._pool):
            return None
        connection, over = self._pool.take(self._now())
        if over:
            _close(over)
        return connection

    def give_back(self, connection: UpstreamConnection) -> None:
        """Keep a connection whose last answer was whole, for whoever comes next."""
        if over := self._pool.put(connection, self._now(), at_most_s=connection.keep_alive_s):
            _close(over)

    def sweep(self) -> None:
        """Close what has been idle for too long, and forget answers that did not come again."""
        _close(self._pool.expired(self._now()))
        self._known.age()

    def close(self) -> None:
        """Close every idle connection."""
        _close(self._pool.empty())

    def retire(self) -> None:
        """The same, and keep none that is given back: what runs may end, and nobody comes any more."""
        _close(self._pool.retire())

    async def open(self) -> UpstreamConnection:
        """Make a new connection; names are looked up anew, and each address is tried in turn.

        Raises:
            UpstreamUnreachable, UpstreamTimeout
        """
        try:
            async with asyncio.timeout(self.options.connect_timeout_s):
                return await self._connect()
        except TimeoutError as late:
            raise UpstreamTimeout(f"no connection within {self.options.connect_timeout_s:g} s") from late
        except (OSError, ValueError) as refused:
            # ValueError: UnicodeError, from a host name that no resolver takes.
            raise UpstreamUnreachable(f"no connection to the upstream: {refused}") from refused

    async def _connect(self) -> UpstreamConnection:
        loop = asyncio.get_running_loop()
        address = self.options.address
        tls = self.options.tls() if self.options.tls is not None else None
        if isinstance(address, UnixAddress):
            name = (self.options.server_name or "localhost") if tls else None
            _, connection = await loop.create_unix_connection(
                self.new_connection, address.path, ssl=tls, server_hostname=name
            )
            return connection
        name = (self.options.server_name or address.host) if tls else None
        _, connection = await loop.create_connection(
            self.new_connection, address.host, address.port, ssl=tls, server_hostname=name
        )
        return connection

    def new_connection(self) -> UpstreamConnection:
        """Return a protocol for one connection of this origin."""
        return UpstreamConnection(self._buffer, self._pool.remove, known=self._known)

    def _now(self) -> float:
        if self._loop is None:
            self._loop = asyncio.get_running_loop()
        return self._loop.time()


def _close(connections: list[UpstreamConnection]) -> None:
    for connection in connections:
        connection.close()
