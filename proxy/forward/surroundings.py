"""What every connection of one data path shares: the ports, the options, the origins, and one read buffer.

One process-wide buffer is enough: the loop fills it and tells us in the same step, and the bytes are copied out before
anything else runs. So ten thousand idle connections hold no buffers, and no read is larger than it.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from email.utils import formatdate
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from proxy.forward.client import ClientConnection
    from proxy.forward.options import ForwardOptions
    from proxy.forward.origin import Origin
    from proxy.ports import Clock, Gatekeeper, LiveStreams
    from proxy.tasks import TaskOwner

READ_SIZE = 64 * 1024
"""Bytes of one read, and so of what a connection can be given at once."""

WRITE_HIGH = 64 * 1024
"""Bytes waiting to be written above which the other side is not read: with one read more, 128 KiB each way."""


class ReadBuffer:
    """Memory into which the loop reads, for all connections of one loop."""

    __slots__ = ("view",)

    def __init__(self) -> None:
        self.view = memoryview(bytearray(READ_SIZE))

    def taken(self, size: int) -> bytes:
        """Return a copy of the first ``size`` bytes."""
        return bytes(self.view[:size])


@dataclass(slots=True)
class Surroundings:
    """See the module.

    Attributes:
        is_draining: no connection is kept after its exchange.
        connections: every client connection that is open.
        is_empty: set when draining has seen the last of them go.
        refused: how many clients were turned away at ``max_connections``.
    """

    gatekeeper: Gatekeeper
    live: LiveStreams
    origins: Mapping[str, Origin]
    own_pages: Origin
    options: ForwardOptions
    clock: Clock
    tasks: TaskOwner
    buffer: ReadBuffer = field(default_factory=ReadBuffer)
    connections: set[ClientConnection] = field(default_factory=set)
    is_draining: bool = False
    is_empty: asyncio.Event = field(default_factory=asyncio.Event)
    refused: int = 0
    _date_second: int = -1
    _date: bytes = b""

    def takes(self, connection: ClientConnection) -> bool:
        """Say whether a client that has just come may stay."""
        if self.is_draining:
            return False
        if len(self.connections) >= self.options.max_connections:
            self.refused += 1
            return False
        self.connections.add(connection)
        return True

    def forget(self, connection: ClientConnection) -> None:
        """A client has gone."""
        self.connections.discard(connection)
        if self.is_draining and not self.connections:
            self.is_empty.set()

    def date(self) -> bytes:
        """Return now as the value of a Date field (RFC 9110 §6.6.1), made once a second."""
        second = int(self.clock.now())
        if second != self._date_second:
            self._date_second = second
            self._date = formatdate(second, usegmt=True).encode()
        return self._date
