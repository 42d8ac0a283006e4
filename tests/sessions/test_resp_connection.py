"""One connection that speaks RESP3: commands with their answers, and pushes as they come."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from proxy.sessions.redis_options import Alone, RedisOptions, TcpNode
from proxy.sessions.resp_connection import MAX_ANSWER_BYTES, CommandRefused, RespConnection, RespError, connect

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tests.redis.server import RedisServer


class Wire(asyncio.Transport):
    """What was written; nothing is read but what a test gives."""

    def __init__(self) -> None:
        super().__init__()
        self.written = b""
        self.is_aborted = False

    def write(self, data: bytes | bytearray | memoryview) -> None:
        self.written += bytes(data)

    def abort(self) -> None:
        self.is_aborted = True


class Dialogue:
    """A connection on a wire in the hand; ``heard`` holds its pushes, and ``lost`` for its end."""

    def __init__(self) -> None:
        self.heard: list[object] = []
        self.wire = Wire()
        self.connection = RespConnection(on_push=self._pushed, on_lost=lambda: self.heard.append("lost"))
        self.connection.connection_made(self.wire)

    def _pushed(self, push: Sequence[object]) -> None:
        self.heard.append(list(push))

    def says(self, data: bytes) -> None:
        self.connection.data_received(data)


@pytest.fixture
async def dialogue() -> Dialogue:
    return Dialogue()


async def test_answers_go_to_their_commands_in_order(dialogue: Dialogue) -> None:
    first = dialogue.connection.send("PING")
    second = dialogue.connection.send("GET", b"k")

    dialogue.says(b"+PONG\r\n$1\r\n")
    dialogue.says(b"v\r\n")

    assert await first == b"PONG"
    assert await second == b"v"
    assert dialogue.wire.written == b"*1\r\n$4\r\nPING\r\n*2\r\n$3\r\nGET\r\n$1\r\nk\r\n"


async def test_a_push_is_heard_before_the_answer_that_follows_it(dialogue: Dialogue) -> None:
    answer = dialogue.connection.send("PING")
    answer.add_done_callback(lambda _: dialogue.heard.append("answered"))

    dialogue.says(b">2\r\n$10\r\ninvalidate\r\n*1\r\n$1\r\nk\r\n+PONG\r\n")

    assert dialogue.heard == [[b"invalidate", [b"k"]]]
    await answer
    await asyncio.sleep(0)
    assert dialogue.heard[1:] == ["answered"]


async def test_a_refusal_is_told_by_its_code_alone(dialogue: Dialogue) -> None:
    answer = dialogue.connection.send("AUTH", "hunter2")

    dialogue.says(b"-ERR unknown command 'AUTH', with args beginning with: 'hunter2'\r\n")

    with pytest.raises(CommandRefused) as refusal:
        await answer
    assert refusal.value.code == "ERR"
    assert "hunter2" not in str(refusal.value)


@pytest.mark.parametrize("garbage", [b"HTTP/1.1 400 Bad Request\r\n", b"$x\r\n", b"*-7\r\n", b"\x00\x01"])
async def test_what_is_not_resp_ends_the_connection(dialogue: Dialogue, garbage: bytes) -> None:
    answer = dialogue.connection.send("PING")

    dialogue.says(garbage)

    with pytest.raises(RespError, match="protocol"):
        await answer
    assert dialogue.wire.is_aborted
    assert dialogue.heard == ["lost"]


async def test_an_answer_that_nobody_asked_for_ends_the_connection(dialogue: Dialogue) -> None:
    dialogue.says(b"+OK\r\n")

    assert dialogue.heard == ["lost"]


async def test_an_answer_without_end_ends_the_connection(dialogue: Dialogue) -> None:
    answer = dialogue.connection.send("GET", "k")
    dialogue.says(b"$%d\r\n" % (2 * MAX_ANSWER_BYTES))
    chunk = bytes(1024 * 1024)

    for _ in range(MAX_ANSWER_BYTES // len(chunk) + 1):
        dialogue.says(chunk)

    with pytest.raises(RespError, match="larger"):
        await answer


async def test_many_answers_are_no_answer_without_end(dialogue: Dialogue) -> None:
    value = bytes(MAX_ANSWER_BYTES // 4)

    for _ in range(8):
        answer = dialogue.connection.send("GET", "k")
        dialogue.says(b"$%d\r\n%b\r\n" % (len(value), value))
        assert await answer == value


async def test_whoever_waits_when_the_connection_is_lost_is_told(dialogue: Dialogue) -> None:
    answers = [dialogue.connection.send("PING") for _ in range(3)]

    dialogue.connection.connection_lost(None)
    dialogue.connection.connection_lost(None)

    for answer in answers:
        with pytest.raises(RespError):
            await answer
    assert dialogue.heard == ["lost"]


async def test_nothing_is_sent_on_a_connection_that_is_lost(dialogue: Dialogue) -> None:
    dialogue.connection.close()

    with pytest.raises(RespError):
        await dialogue.connection.ask("PING")
    assert dialogue.wire.written == b""


async def test_nothing_is_heard_after_the_end(dialogue: Dialogue) -> None:
    push = b">2\r\n$10\r\ninvalidate\r\n*1\r\n$1\r\nk\r\n"

    dialogue.says(b"+OK\r\n" + push)

    assert dialogue.heard == ["lost"]


async def test_whoever_stopped_waiting_does_not_disturb_the_others(dialogue: Dialogue) -> None:
    first, second = dialogue.connection.send("PING"), dialogue.connection.send("PING")
    first.cancel()

    dialogue.says(b"+one\r\n+two\r\n")

    assert await second == b"two"


async def test_a_real_server_answers_and_pushes(empty_redis: RedisServer) -> None:
    pushed: asyncio.Queue[Sequence[object]] = asyncio.Queue()
    node = TcpNode("127.0.0.1", empty_redis.port)
    connection = await connect(node, RedisOptions(topology=Alone(node)), on_push=pushed.put_nowait)
    try:
        assert isinstance(await connection.ask("HELLO", "3"), dict)
        await connection.ask("CLIENT", "TRACKING", "ON", "BCAST")
        await connection.ask("SET", "k", b"\x00\xff")

        assert await connection.ask("GET", "k") == b"\x00\xff"
        assert list(await asyncio.wait_for(pushed.get(), 5)) == [b"invalidate", [b"k"]]
    finally:
        connection.close()
