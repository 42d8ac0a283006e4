"""What every connection of one data path shares: the ports, the options, the origins, and one read buffer."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from email.utils import formatdate
from typing import TYPE_CHECKING, NamedTuple, Protocol

from proxy.forward.buffers import ReadBuffer
from proxy.forward.recent import Recent

if TYPE_CHECKING:
    from proxy.core.request import RequestHead
    from proxy.forward.framing import RequestFrame
    from proxy.forward.options import ForwardOptions
    from proxy.forward.served import OriginTable
    from proxy.ports import Clock, Gatekeeper, LiveStreams
    from proxy.tasks import TaskOwner

MAX_KEPT_HEAD = 4 * 1024
"""Bytes of a request head that is kept for two seconds: more than browsers send, cookies of a few KiB aside."""


class Client(Protocol):
    """A client's connection, as those who see clients in and out know it."""

    def drain(self) -> None:
        """Take no further request; end when what runs is done."""

    def abort(self) -> None:
        """End at once."""


class ReadHead(NamedTuple):
    """A request head as bytes and what they are."""

    received: bytes
    frame: RequestFrame
    head: RequestHead


@dataclass(slots=True)
class Surroundings:
    """See the module.

    Attributes:
        gatekeeper, origins, own_pages: exchanged by :meth:`DataPath.serve`; a connection asks for them anew each time.
        is_draining: no connection is kept after its exchange.
        connections: every client connection that is open.
        heads: the last head of each client that asked lately. Equal bytes of the same client are the same head; what is
            decided about it is never kept. Forgotten after two seconds, so that idle connections hold nothing.
        is_empty: set when draining has seen the last of them go.
        refused: how many clients were turned away at ``max_connections``.
        held_bytes: of bodies that are read to be kept (``keeping``), of all connections.
        held_of: the same of each person.
    """

    gatekeeper: Gatekeeper
    live: LiveStreams
    origins: OriginTable
    own_pages: OriginTable
    options: ForwardOptions
    clock: Clock
    tasks: TaskOwner
    buffer: ReadBuffer = field(default_factory=ReadBuffer)
    connections: set[Client] = field(default_factory=set)
    heads: Recent[Client, ReadHead] = field(init=False)
    is_draining: bool = False
    is_empty: asyncio.Event = field(default_factory=asyncio.Event)
    refused: int = 0
    held_bytes: int = 0
    held_of: dict[str, int] = field(default_factory=dict)
    _date_second: int = -1
    _date: bytes = b""

    def __post_init__(self) -> None:
        """Have room for a head of each client."""
        self.heads = Recent(self.options.max_connections)

    def takes(self, connection: Client) -> bool:
        """Say whether a client that has just come may stay."""
        if self.is_draining:
            return False
        if len(self.connections) >= self.options.max_connections:
            self.refused += 1
            return False
        self.connections.add(connection)
        return True

    def forget(self, connection: Client) -> None:
        """A client has gone."""
        self.connections.discard(connection)
        self.heads.forget(connection)
        if self.is_draining and not self.connections:
            self.is_empty.set()

    def date(self) -> bytes:
        """Return now as the value of a Date field (RFC 9110 §6.6.1), made once a second."""
        second = int(self.clock.now())
        if second != self._date_second:
            self._date_second = second
            self._date = formatdate(second, usegmt=True).encode()
        return self._date
