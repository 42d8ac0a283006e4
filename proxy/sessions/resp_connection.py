"""One connection to a Redis that speaks RESP3: commands with their answers, and pushes as they come.

The client library reads pushes only between a command and its answer; the tracking of changes lives from them, so it
has this connection of its own, on hiredis. It is also what asks the sentinels.

Pushes are handed on in the turn of the loop in which their bytes were read, before the answer of any command that was
sent later: that is what makes a PING a barrier. Whatever is not RESP ends the connection; an answer has a cap.
"""

from __future__ import annotations

import asyncio
import socket
from collections import deque
from typing import TYPE_CHECKING, Final

import hiredis

from proxy.sessions.redis_options import SocketPath

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from proxy.sessions.redis_options import RedisNode, RedisOptions

MAX_ANSWER_BYTES = 16 * 1024 * 1024
"""Bytes of one unfinished answer or push. A push names the keys that one command changed, 80 bytes each; CLUSTER SLOTS
of a thousand nodes has some 200 KiB."""

_UNFINISHED: Final = object()

Reply = object
"""bytes, int, list, dict, None, or a ``hiredis.ReplyError`` inside a list."""


class RespError(ConnectionError):
    """The connection cannot be used: closed, garbled, or refused by the server; the message says which."""


class CommandRefused(RespError):
    """The server answered with an error; ``code`` is its first word (``NOAUTH``, ``NOPERM``, ``ERR``)."""

    def __init__(self, command: str, text: str) -> None:
        """Keep the code; the server's text may quote what we sent, so it is not repeated."""
        self.code = text.split(" ", 1)[0]
        super().__init__(f"it answers {command} with {self.code}")


class RespConnection(asyncio.Protocol):
    """Commands are answered in their order; ``on_push`` and ``on_lost`` are called in the loop.

    Attributes:
        is_open: False once the connection is lost or closed.
        hears_messages: set it before SUBSCRIBE on a connection that speaks RESP2, where a message is a mere list.
    """

    def __init__(
        self, *, on_push: Callable[[Sequence[Reply]], None] | None = None, on_lost: Callable[[], None] | None = None
    ) -> None:
        """Begin unconnected; see :func:`connect`."""
        self._on_push = on_push
        self._on_lost = on_lost
        self._reader = hiredis.Reader(notEnoughData=_UNFINISHED)
        self._unfinished_bytes = 0
        self._waiting: deque[tuple[str, asyncio.Future[Reply]]] = deque()
        self._transport: asyncio.Transport | None = None
        self.is_open = False
        self.hears_messages = False

    @property
    def unanswered(self) -> int:
        """How many commands wait for their answer."""
        return len(self._waiting)

    async def ask(self, *arguments: str | bytes) -> Reply:
        """Send a command and return its answer.

        Raises:
            CommandRefused: the answer is an error.
            RespError: the connection is lost.
        """
        return await self.send(*arguments)

    def send(self, *arguments: str | bytes) -> asyncio.Future[Reply]:
        """Send a command; the future has its answer. Raises nothing; faults are in the future."""
        answer: asyncio.Future[Reply] = asyncio.get_running_loop().create_future()
        if self._transport is None or not self.is_open:
            answer.set_exception(RespError("the connection is closed"))
            return answer
        command = arguments[0]
        self._waiting.append((command if isinstance(command, str) else command.decode(), answer))
        self._transport.write(hiredis.pack_command(arguments))  # type: ignore[arg-type]  # its stub means any length
        return answer

    def close(self) -> None:
        """End the connection at once; ``on_lost`` hears of it."""
        self._lose("closed by us")

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the transport."""
        assert isinstance(transport, asyncio.Transport) or hasattr(transport, "write")
        self._transport = transport  # type: ignore[assignment]  # uvloop's transports are of other classes
        self.is_open = True

    def data_received(self, data: bytes) -> None:
        """Read what has come: pushes go on at once, answers to whoever waits."""
        try:
            self._reader.feed(data)
            self._unfinished_bytes += len(data)
            while self.is_open and (reply := self._reader.gets()) is not _UNFINISHED:
                self._unfinished_bytes = 0
                self._take(reply)
        except hiredis.ProtocolError:
            self._lose("what answers there does not speak Redis's protocol")
        if self._unfinished_bytes > MAX_ANSWER_BYTES:
            self._lose("an answer is larger than we take")

    def connection_lost(self, exc: Exception | None) -> None:
        """Tell whoever waits."""
        self._lose("it closed the connection" if exc is None else f"connection lost ({type(exc).__name__})")

    def _take(self, reply: Reply) -> None:
        if isinstance(reply, list) and self._is_push(reply):
            if self._on_push is not None:
                self._on_push(reply)
            return
        if not self._waiting:
            # Before it closes, a server tells an error that nobody asked for (too many clients, protected mode).
            self._lose(f"it says {str(reply).split(' ', 1)[0]}" if isinstance(reply, hiredis.ReplyError) else "garbled")
            return
        command, answer = self._waiting.popleft()
        if answer.done():
            return
        if isinstance(reply, hiredis.ReplyError):
            answer.set_exception(CommandRefused(command, str(reply)))
        else:
            answer.set_result(reply)

    def _is_push(self, reply: list[Reply]) -> bool:
        # A push of RESP3 is a list of a class of its own.
        return isinstance(reply, hiredis.PushNotification) or (self.hears_messages and reply[:1] == [b"message"])

    def _lose(self, why: str) -> None:
        if not self.is_open:
            return
        self.is_open = False
        if self._transport is not None:
            self._transport.abort()
        while self._waiting:
            _, answer = self._waiting.popleft()
            if not answer.done():
                answer.set_exception(RespError(why))
                answer.exception()  # a heartbeat that nobody awaits any more is no unretrieved fault
        if self._on_lost is not None:
            self._on_lost()


async def connect(
    node: RedisNode,
    options: RedisOptions,
    *,
    on_push: Callable[[Sequence[Reply]], None] | None = None,
    on_lost: Callable[[], None] | None = None,
) -> RespConnection:
    """Open a connection to ``node``; nothing is said on it yet.

    Raises:
        OSError: nobody there, TLS refused. The caller bounds the time.
    """
    loop = asyncio.get_running_loop()
    tls = None if options.tls is None else options.tls()

    def fresh() -> RespConnection:
        return RespConnection(on_push=on_push, on_lost=on_lost)

    if isinstance(node, SocketPath):
        _, connection = await loop.create_unix_connection(fresh, node.path)
        return connection
    transport, connection = await loop.create_connection(fresh, node.host, node.port, ssl=tls)
    raw = transport.get_extra_info("socket")
    if raw is not None:
        raw.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return connection
