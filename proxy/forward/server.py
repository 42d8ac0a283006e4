"""The listener: takes clients in, and sees them out.

:class:`DataPath` is what the composition root holds; it knows no settings, only the values of ``options``.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
from typing import TYPE_CHECKING, TypedDict

from proxy.forward.client import ClientConnection
from proxy.forward.options import UnixAddress, parse_listen
from proxy.forward.origin import Origin
from proxy.forward.served import LEAVES_AFTER_S, OriginTable
from proxy.forward.surroundings import Surroundings
from proxy.tasks import TaskOwner

if TYPE_CHECKING:
    import ssl
    from collections.abc import Iterable, Sequence

    from proxy.forward.options import ForwardOptions
    from proxy.forward.served import Served
    from proxy.ports import Clock, LiveStreams

BACKLOG = 1024
"""Connections that the kernel holds for us; it caps this at ``net.core.somaxconn`` itself."""

SWEEP_S = 1.0
"""How often idle upstream connections are looked through, and request heads forgotten."""

MAX_LEAVING = 16
"""Exchanges of which the former places are still found; above, the oldest are let go before their time."""


class _Listening(TypedDict):
    """How a listener takes clients in."""

    ssl: ssl.SSLContext | None
    backlog: int
    ssl_handshake_timeout: float | None


class DataPath:
    """Serves clients: admitted requests go to upstreams and to our own pages."""

    def __init__(self, served: Served, *, live: LiveStreams, options: ForwardOptions, clock: Clock) -> None:
        """Wire it; nothing is opened before :meth:`start`."""
        self._present = _origins_of(served), dict(served.own_pages)
        self._origins = OriginTable(self._present[0])
        self._own_pages = OriginTable(self._present[1])
        self._leaving: list[tuple[float, dict[str, Origin], dict[str, Origin]]] = []
        self._tasks = TaskOwner(_report)
        self._around = Surroundings(
            gatekeeper=served.gatekeeper,
            live=live,
            origins=self._origins,
            own_pages=self._own_pages,
            options=options,
            clock=clock,
            tasks=self._tasks,
        )
        self._servers: list[asyncio.Server] = []
        self._sweep_timer: asyncio.TimerHandle | None = None

    @property
    def sockets(self) -> Sequence[socket.socket]:
        """Listening sockets."""
        return [sock for server in self._servers for sock in server.sockets]

    @property
    def port(self) -> int:
        """TCP port of the first listening socket."""
        return int(self.sockets[0].getsockname()[1])

    @property
    def open_connections(self) -> int:
        """Count the clients."""
        return len(self._around.connections)

    @property
    def refused_connections(self) -> int:
        """Count the clients that were turned away because too many were there."""
        return self._around.refused

    async def start(self, listen: str) -> None:
        """Listen at ``host:port`` or ``unix:/path``; may be called for several.

        Raises:
            OSError: the address is taken or not ours.
            ValueError: no such form.
        """
        loop, address, listening = asyncio.get_running_loop(), parse_listen(listen), _listening(self._around.options)
        if isinstance(address, UnixAddress):
            server = await loop.create_unix_server(self._accept, address.path, **listening)
        else:
            server = await loop.create_server(self._accept, address.host or None, address.port, **listening)
        self._servers.append(server)
        if self._sweep_timer is None:
            self._sweep()

    async def listen_by(self, options: ForwardOptions) -> None:
        """Take new connections with the TLS context of these options, if it is another one; where there was none there
        is none.

        The context of a listener cannot be exchanged: what is loaded into it adds authorities and takes none away. So
        there is another listener on the same sockets, whose queue is one: nobody who connects meanwhile is refused.

        Raises:
            OSError: that cannot be; the old context is in use.
        """
        if options.tls is self._around.options.tls:
            return
        loop, former, made = asyncio.get_running_loop(), self._servers, list[asyncio.Server]()
        try:
            for twin in (_twin(sock) for server in former for sock in server.sockets):
                make = loop.create_unix_server if twin.family == socket.AF_UNIX else loop.create_server
                made.append(await make(self._accept, sock=twin, **_listening(options)))
        except BaseException:
            _close(made)
            raise
        self._servers = made
        _close(former)

    def serve(self, served: Served, options: ForwardOptions | None = None) -> None:
        """Serve this from now on; the next request head that is read meets it, and what was admitted goes its way.

        Args:
            options: heeded from now on, by connections that are there too; their TLS is what :meth:`listen_by` says.

        The keys of ``served`` are new ones, but for what stays as it is: the idle connections of everything else are
        closed at once, those in use when their answer is whole.
        """
        (upstreams, own_pages), self._present = self._present, (_origins_of(served), dict(served.own_pages))
        for origin in (*upstreams.values(), *own_pages.values()):
            origin.retire()
        self._origins.update(self._present[0])
        self._own_pages.update(self._present[1])
        self._around.gatekeeper = served.gatekeeper
        self._around.options = options or self._around.options
        leaves_at = asyncio.get_running_loop().time() + LEAVES_AFTER_S
        self._leaving.append((leaves_at, upstreams, own_pages))
        if len(self._leaving) > MAX_LEAVING:
            self._let_leave(self._leaving[0][0])

    async def drain(self, grace_s: float) -> None:
        """Take no new connection, let what runs finish, and end what is left after ``grace_s`` seconds."""
        for server in self._servers:
            server.close()
        self._around.is_draining = True
        for connection in list(self._around.connections):
            connection.drain()
        await self._wait_for_clients(grace_s)
        for connection in list(self._around.connections):
            connection.abort()
        await self._wait_for_clients(1.0)
        if self._sweep_timer is not None:
            self._sweep_timer.cancel()
        for origin in self._all_origins():
            origin.close()
        await self._tasks.close()

    async def _wait_for_clients(self, at_most_s: float) -> None:
        if self._around.connections:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._around.is_empty.wait(), at_most_s)

    def _accept(self) -> ClientConnection:
        return ClientConnection(self._around)

    def _sweep(self) -> None:
        for origin in self._all_origins():
            origin.sweep()
        self._let_leave(asyncio.get_running_loop().time())
        self._around.heads.age()
        self._sweep_timer = asyncio.get_running_loop().call_later(SWEEP_S, self._sweep)

    def _let_leave(self, now: float) -> None:
        while self._leaving and self._leaving[0][0] <= now:
            _, upstreams, own_pages = self._leaving.pop(0)
            self._origins.leave(upstreams)
            self._own_pages.leave(own_pages)

    def _all_origins(self) -> list[Origin]:
        return [*self._origins.values(), *self._own_pages.values()]


def _listening(options: ForwardOptions) -> _Listening:
    handshake_s = options.head_timeout_s if options.tls is not None else None
    return {"ssl": options.tls, "backlog": BACKLOG, "ssl_handshake_timeout": handshake_s}


def _close(servers: Iterable[asyncio.Server]) -> None:
    for server in servers:
        server.close()


def _twin(sock: socket.socket) -> socket.socket:
    """Return another handle of the same socket."""
    return socket.socket(fileno=os.dup(sock.fileno()))


def _origins_of(served: Served) -> dict[str, Origin]:
    return {key: Origin(upstream) for key, upstream in served.upstreams.items()}


def _report(fault: BaseException) -> None:
    """A fault in a task of ours is a defect: the loop's handler says it, with the traceback."""
    asyncio.get_running_loop().call_exception_handler({"message": "a task of the data path failed", "exception": fault})
