"""A fake of Redis on a socket: it answers what a test says, where the real one cannot be brought to do so."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING

import hiredis

from tests.redis.server import HOST

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping

HANGS = b""
"""Answers nothing."""

HELLO = b"%2\r\n$5\r\nproto\r\n:3\r\n$4\r\nrole\r\n$6\r\nmaster\r\n"
INFO = b"$13\r\nrun_id:fake-1\r\n"
PONG = b"+PONG\r\n"
OK = b"+OK\r\n"
WELL = {"HELLO": HELLO, "CLIENT": OK, "INFO": INFO, "PING": PONG}
"""What a Redis answers that tracks."""


class FakeRedis:
    """Answers each command by its first word; ``otherwise`` is for the rest.

    Attributes:
        answers: bytes of RESP by the command's name; changed at any time.
        heard: every command, as words.
        closes: hang up after the next answer.
    """

    def __init__(self, answers: Mapping[str, bytes], *, otherwise: bytes = b"-ERR unknown command\r\n") -> None:
        """Nothing listens before :func:`serving`."""
        self.answers = dict(answers)
        self.otherwise = otherwise
        self.heard: list[list[bytes]] = []
        self.closes = False
        self.port = 0
        self._writers: set[asyncio.StreamWriter] = set()

    def say(self, data: bytes) -> None:
        """Send bytes to everybody, unasked."""
        for writer in self._writers:
            writer.write(data)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        commands = hiredis.Reader()
        self._writers.add(writer)
        with contextlib.suppress(ConnectionError), contextlib.closing(writer):
            while data := await reader.read(65536):
                commands.feed(data)
                while words := commands.gets():
                    self.heard.append(words)
                    writer.write(self.answers.get(words[0].decode().upper(), self.otherwise))
                if self.closes:
                    await writer.drain()
                    break
        self._writers.discard(writer)


@contextlib.asynccontextmanager
async def serving(fake: FakeRedis) -> AsyncIterator[FakeRedis]:
    """Listen on a free port."""
    server = await asyncio.start_server(fake.serve, HOST, 0)
    fake.port = server.sockets[0].getsockname()[1]
    try:
        yield fake
    finally:
        server.close()
