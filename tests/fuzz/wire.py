"""The two ends of a trial: a client that sends pieces, and an upstream that keeps every byte and answers by a script.

Protocols rather than streams: thousands of trials are held, and nothing here may decide what a byte means but
:func:`request_end`, which says only when it is time to answer.
"""

from __future__ import annotations

import asyncio
import os
import re
import socket
import struct
from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING, cast

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

QUIET_S = 0.06
"""After this much silence nothing more is expected on a connection that nobody closed."""

SETTLE_S = 3.0
"""How long the far side may take to notice an end."""

_REQUEST_ID = re.compile(rb"\r\nX-Request-ID: ([^\r\n]*)\r\n")
_LENGTH = re.compile(rb"\r\nContent-Length: *([0-9]+)\r\n", re.IGNORECASE)
_CHUNKED = re.compile(rb"\r\nTransfer-Encoding: *chunked\r\n", re.IGNORECASE)
_RESET_AT_CLOSE = struct.pack("ii", 1, 0)


class End(Enum):
    """What the upstream does after its answer."""

    KEEP = "keep"
    CLOSE = "close"
    RESET = "reset"


@dataclass(frozen=True, slots=True)
class Script:
    """An answer in the pieces in which it is written, and what follows."""

    pieces: Sequence[bytes]
    end: End = End.KEEP


def request_end(stream: bytes | bytearray, start: int) -> int:
    """Return where the request that begins at ``start`` ends, 0 while that cannot be said."""
    head_end = stream.find(b"\r\n\r\n", start) + 4
    if head_end < 4:
        return 0
    head = bytes(stream[start:head_end])
    if _CHUNKED.search(head):
        return _chunks_end(stream, head_end)
    length = _LENGTH.search(head)
    end = head_end + (int(length[1]) if length else 0)
    return end if end <= len(stream) else 0


def _chunks_end(stream: bytes | bytearray, position: int) -> int:
    while (line_end := stream.find(b"\r\n", position)) >= 0:
        size = int(bytes(stream[position:line_end]), 16)
        position = line_end + 2 + size + 2
        if not size:
            return position if position <= len(stream) else 0
    return 0


def request_id(head: bytes) -> bytes:
    """Return the X-Request-ID that Sidegate gave it."""
    found = _REQUEST_ID.search(head)
    return found[1] if found else b""


def reset(transport: asyncio.Transport) -> None:
    """End with a RST."""
    if transport.is_closing():
        return
    sock = transport.get_extra_info("socket")
    if sock.family != socket.AF_UNIX:
        # uvloop's stand-in takes no options; a copy of its descriptor is the same socket.
        with socket.socket(fileno=os.dup(sock.fileno())) as same:
            same.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_AT_CLOSE)
    transport.abort()


class LoggedConnection(asyncio.Protocol):
    """One connection that Sidegate, or nginx, made: ``received`` holds every byte since the last :meth:`Log.begin`."""

    def __init__(self, log: Log) -> None:
        self.received = bytearray()
        self.answered = 0
        self.is_lost = False
        self._log = log
        self._transport = cast("asyncio.Transport", None)
        self._is_answering = False

    @property
    def is_settled(self) -> bool:
        """Nothing waits for an answer here, or nobody."""
        return self.is_lost or (not self._is_answering and self.answered == len(self.received))

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        self._log.connections.append(self)

    def data_received(self, data: bytes) -> None:
        self.received += data
        self._answer_what_is_whole()

    def connection_lost(self, exc: Exception | None) -> None:
        self.is_lost = True

    def forget(self) -> None:
        """Begin anew after what was answered."""
        self.received.clear()
        self.answered = 0

    def abort(self) -> None:
        self._transport.abort()

    def _answer_what_is_whole(self) -> None:
        while not self._is_answering and self.answered < len(self.received):
            try:
                end = request_end(self.received, self.answered)
            except ValueError:
                return  # the readers will say what is wrong
            if not end:
                return
            head = bytes(self.received[self.answered : end])
            self.answered = end
            self._play(self._log.script(head), 0)

    def _play(self, script: Script, at: int) -> None:
        """Write one piece, and the next in another turn of the loop, so that they arrive apart."""
        if self._transport.is_closing():
            return
        self._is_answering = at < len(script.pieces)
        if self._is_answering:
            self._transport.write(script.pieces[at])
            asyncio.get_running_loop().call_soon(self._play, script, at + 1)
        elif script.end is End.CLOSE:
            self._transport.close()
        elif script.end is End.RESET:
            reset(self._transport)
        elif at > 1:
            self._answer_what_is_whole()


class Log:
    """An upstream; ``script`` says what it answers to a request, given as its bytes."""

    def __init__(self, script: Callable[[bytes], Script]) -> None:
        self.script = script
        self.connections: list[LoggedConnection] = []
        self._server: asyncio.Server | None = None

    @property
    def port(self) -> int:
        """Where it listens on 127.0.0.1."""
        assert self._server is not None
        return int(self._server.sockets[0].getsockname()[1])

    async def start(self) -> None:
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(lambda: LoggedConnection(self), "127.0.0.1", 0)

    def stop(self) -> None:
        if self._server is not None:
            self._server.close()
        for connection in self.connections:
            connection.abort()

    def begin(self) -> None:
        """Forget what was received."""
        self.connections = [connection for connection in self.connections if not connection.is_lost]
        for connection in self.connections:
            connection.forget()

    @property
    def is_settled(self) -> bool:
        return all(connection.is_settled for connection in self.connections)

    @property
    def touched(self) -> list[LoggedConnection]:
        """The connections on which anything came since :meth:`begin`."""
        return [connection for connection in self.connections if connection.received]


class Sender(asyncio.Protocol):
    """A client of bytes: keeps what it gets, and closes when the other side does."""

    def __init__(self) -> None:
        self.received = bytearray()
        self.ended = asyncio.get_running_loop().create_future()
        self.was_reset = False
        self.arrived = asyncio.Event()
        self.transport = cast("asyncio.Transport", None)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        self.received += data
        self.arrived.set()

    def connection_lost(self, exc: Exception | None) -> None:
        self.was_reset = exc is not None
        if not self.ended.done():
            self.ended.set_result(None)
        self.arrived.set()

    async def send(self, pieces: Sequence[bytes]) -> None:
        """Write the pieces apart, as long as somebody reads."""
        for piece in pieces:
            if self.transport.is_closing():
                return
            self.transport.write(piece)
            await asyncio.sleep(0)

    async def until_quiet(self, quiet_s: float = QUIET_S, *, is_busy: Callable[[], bool] = lambda: False) -> None:
        """Wait until the other side closes, or says nothing for a while in which nobody is busy."""
        deadline = asyncio.get_running_loop().time() + SETTLE_S
        while not self.ended.done():
            self.arrived.clear()
            try:
                async with asyncio.timeout(quiet_s):
                    await self.arrived.wait()
            except TimeoutError:
                if not is_busy() or asyncio.get_running_loop().time() > deadline:
                    return

    async def close(self) -> None:
        """End, and wait for the end."""
        self.transport.close()
        await asyncio.wait([self.ended], timeout=SETTLE_S)


async def connect(port: int) -> Sender:
    """Connect to 127.0.0.1."""
    _, sender = await asyncio.get_running_loop().create_connection(Sender, "127.0.0.1", port)
    return sender


async def connect_unix(path: str) -> Sender:
    """Connect to a unix socket."""
    _, sender = await asyncio.get_running_loop().create_unix_connection(Sender, path)
    return sender


async def settle(holds: Callable[[], bool]) -> bool:
    """Wait until it holds; False when that takes too long."""
    deadline = asyncio.get_running_loop().time() + SETTLE_S
    while not holds():
        if asyncio.get_running_loop().time() > deadline:
            return False
        await asyncio.sleep(0.001)
    return True
