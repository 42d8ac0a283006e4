r"""A small upstream that keeps the very bytes it got and answers with the very bytes it was told to.

::

    upstream.answer(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi")     # each request, from now on
    upstream.script(Send(b"HTTP/1.1 200 OK\r\n..."), Pause(gate), Send(b"..."), Close())   # the next request only
    upstream.requests[0].raw                                                 # head and body, as sent

It knows just enough of HTTP/1.1 to see where a request ends (Content-Length, chunked); after a 101 it echoes.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import struct
from collections import deque
from dataclasses import dataclass, field

OK = b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 2\r\n\r\nok"
HEAD_END = b"\r\n\r\n"


@dataclass(frozen=True, slots=True)
class Send:
    """Write these bytes."""

    data: bytes


@dataclass(frozen=True, slots=True)
class Pause:
    """Wait until the test sets the event."""

    until: asyncio.Event


@dataclass(frozen=True, slots=True)
class Close:
    """Close the connection in order."""


@dataclass(frozen=True, slots=True)
class Reset:
    """Break the connection (RST)."""


@dataclass(frozen=True, slots=True)
class AnswerEarly:
    """As first step: answer as soon as the head is there, and do not read the body."""


Step = Send | Pause | Close | Reset | AnswerEarly


@dataclass(slots=True)
class RecordedRequest:
    """One request as it came over the wire; ``connection`` counts the accepted connections from 0."""

    connection: int
    head: bytes
    body: bytes = b""

    @property
    def raw(self) -> bytes:
        """Head and body; a chunked body with its framing."""
        return self.head + self.body

    @property
    def request_line(self) -> bytes:
        """Method, target and version."""
        return self.head.partition(b"\r\n")[0]

    @property
    def fields(self) -> list[tuple[bytes, bytes]]:
        """Header fields in order, names as sent."""
        lines = self.head.removesuffix(HEAD_END).split(b"\r\n")[1:]
        pairs = [line.partition(b":") for line in lines]
        return [(name, value.strip(b" \t")) for name, _, value in pairs]

    def values(self, name: bytes) -> list[bytes]:
        """The values of a field, in order; the case of the name does not count."""
        return [value for given, value in self.fields if given.lower() == name.lower()]


@dataclass(slots=True)
class RawUpstream:
    """See the module. ``url`` is where it listens."""

    port: int = 0
    requests: list[RecordedRequest] = field(default_factory=list)
    connections: int = 0
    tunnelled: bytearray = field(default_factory=bytearray)
    _always: tuple[Step, ...] = (Send(OK),)
    _next: deque[tuple[Step, ...]] = field(default_factory=deque)
    _arrived: asyncio.Event = field(default_factory=asyncio.Event)
    _serving: set[asyncio.Task[None]] = field(default_factory=set)
    _server: asyncio.Server | None = None

    @property
    def url(self) -> str:
        """``http://127.0.0.1:<port>``."""
        return f"http://127.0.0.1:{self.port}"

    async def start(self) -> None:
        """Listen on a free port, or on ``port`` when it is set."""
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", self.port)
        self.port = self._server.sockets[0].getsockname()[1]

    async def stop(self) -> None:
        """Close the listener and every connection."""
        if self._server is not None:
            self._server.close()
            self._server = None
        for task in list(self._serving):
            task.cancel()
        await asyncio.gather(*self._serving, return_exceptions=True)

    def answer(self, data: bytes) -> None:
        """Answer every request that has no script with these bytes."""
        self._always = (Send(data),)

    def script(self, *steps: Step) -> None:
        """Answer one further request by these steps; scripts are used in the order given."""
        self._next.append(steps)

    async def request(self, number: int = 0) -> RecordedRequest:
        """The request of this number (from 0), as soon as all of it has arrived; give the wait a timeout."""
        while len(self.requests) <= number:
            self._arrived.clear()
            await self._arrived.wait()
        return self.requests[number]

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        number = self.connections
        self.connections += 1
        task = asyncio.get_running_loop().create_task(self._serve(number, reader, writer))
        self._serving.add(task)
        task.add_done_callback(self._serving.discard)

    async def _serve(self, number: int, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
                while await self._serve_one(number, reader, writer):
                    pass
        finally:
            writer.close()

    async def _serve_one(self, number: int, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        request = RecordedRequest(connection=number, head=await reader.readuntil(HEAD_END))
        steps = self._next.popleft() if self._next else self._always
        if not isinstance(steps[0], AnswerEarly):
            request.body = await _read_body(request, reader)
        self.requests.append(request)
        self._arrived.set()
        goes_on = await _perform(steps, writer)
        if goes_on and any(isinstance(step, Send) and step.data.startswith(b"HTTP/1.1 101") for step in steps):
            await self._echo(reader, writer)
        return goes_on

    async def _echo(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(65536):
            self.tunnelled += data
            writer.write(data)
            await writer.drain()


async def _perform(steps: tuple[Step, ...], writer: asyncio.StreamWriter) -> bool:
    for step in steps:
        match step:
            case Send(data):
                writer.write(data)
                await writer.drain()
            case Pause(until):
                await until.wait()
            case Close():
                return False
            case Reset():
                _reset(writer)
                return False
            case AnswerEarly():
                pass
    return True


def _reset(writer: asyncio.StreamWriter) -> None:
    # Lingering for zero seconds is how a socket is told to send RST instead of FIN.
    writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()


async def _read_body(request: RecordedRequest, reader: asyncio.StreamReader) -> bytes:
    if b"chunked" in b",".join(request.values(b"transfer-encoding")).lower():
        return await _read_chunks(reader)
    lengths = request.values(b"content-length")
    return await reader.readexactly(int(lengths[0])) if lengths else b""


async def _read_chunks(reader: asyncio.StreamReader) -> bytes:
    body = b""
    while True:
        line = await reader.readuntil(b"\r\n")
        size = int(line.partition(b";")[0], 16)
        body += line
        if size == 0:
            return body + await _read_trailers(reader)
        body += await reader.readexactly(size + 2)


async def _read_trailers(reader: asyncio.StreamReader) -> bytes:
    trailers = b""
    while not trailers.endswith(HEAD_END) and trailers != b"\r\n":
        trailers += await reader.readuntil(b"\r\n")
    return trailers
