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
    from collections.abc import Sequence

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
        loop, address = asyncio.get_running_loop(), parse_listen(listen)
        if isinstance(address, UnixAddress):
            server = await loop.create_unix_server(self._accept, address.path, **self._listening)
        else:
            server = await loop.create_server(self._accept, address.host or None, address.port, **self._listening)
        self._servers.append(server)
        if self._sweep_timer is None:
            self._sweep()

    @property
    def _listening(self) -> _Listening:
        options = self._around.options
        handshake_s = options.head_timeout_s if options.tls is not None else None
        return {"ssl": options.tls, "backlog": BACKLOG, "ssl_handshake_timeout": handshake_s}

    async def exchange(self, served: Served, options: ForwardOptions) -> None:
        """Do as :meth:`serve`, with other options; connections that are there heed them too, but for their TLS.

        Args:
            options: where ``tls`` is None it stays so, and where it is not it is another context, or the same.
        """
        is_other_tls = options.tls is not self._around.options.tls
        self._around.options = options
        self.serve(served)
        if is_other_tls:
            await self._listen_anew()

    async def _listen_anew(self) -> None:
        """Take new connections with the context that counts now.

        The context of a listener cannot be exchanged: what is loaded into it adds authorities and takes none away. So
        there is another listener on the same sockets, whose queue is one: nobody who connects meanwhile is refused.
        """
        loop, former = asyncio.get_running_loop(), self._servers
        self._servers = []
        for twin in (_twin(sock) for server in former for sock in server.sockets):
            make = loop.create_unix_server if twin.family == socket.AF_UNIX else loop.create_server
            self._servers.append(await make(self._accept, sock=twin, **self._listening))
        for server in former:
            server.close()

    def serve(self, served: Served) -> None:
        """Serve this from now on; the next request head that is read meets it, and what was admitted goes its way.

        The keys of ``served`` are new ones, but for what stays as it is: the idle connections of everything else are
        closed at once, those in use when their answer is whole.
        """
        (upstreams, own_pages), self._present = self._present, (_origins_of(served), dict(served.own_pages))
        for origin in (*upstreams.values(), *own_pages.values()):
            origin.retire()
        self._origins.update(self._present[0])
        self._own_pages.update(self._present[1])
        self._around.gatekeeper = served.gatekeeper
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


def _twin(sock: socket.socket) -> socket.socket:
    """Return another handle of the same socket."""
    return socket.socket(fileno=os.dup(sock.fileno()))


def _origins_of(served: Served) -> dict[str, Origin]:
    return {key: Origin(upstream) for key, upstream in served.upstreams.items()}


def _report(fault: BaseException) -> None:
    """A fault in a task of ours is a defect: the loop's handler says it, with the traceback."""
    asyncio.get_running_loop().call_exception_handler({"message": "a task of the data path failed", "exception": fault})
