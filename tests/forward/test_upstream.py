"""The upstream's connection, without a socket: bytes in, what the consumer hears out."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pytest

from proxy.errors import UpstreamFault, UpstreamGarbled, UpstreamTimeout, UpstreamUnreachable
from proxy.forward.buffers import WRITE_HIGH, ReadBuffer
from proxy.forward.recent import Recent
from proxy.forward.upstream import MAX_INTERIM, MAX_KNOWN_ANSWER, UpstreamConnection

if TYPE_CHECKING:
    from collections.abc import Callable

    from proxy.forward.framing import AnswerFrame

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


class Transport(asyncio.Transport):
    """Remembers what was written and done."""

    def __init__(self) -> None:
        super().__init__(extra={"ssl_object": True})
        self.written = b""
        self.done: list[str] = []
        self.high = 0

    def write(self, data: Any) -> None:
        self.written += data

    def is_closing(self) -> bool:
        return "close" in self.done or "abort" in self.done

    def close(self) -> None:
        self.done.append("close")

    def abort(self) -> None:
        self.done.append("abort")

    def pause_reading(self) -> None:
        self.done.append("pause")

    def resume_reading(self) -> None:
        self.done.append("resume")

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        self.high = high or 0


@dataclass
class Hearing:
    """A consumer that writes down what it hears."""

    heard: list[Any] = field(default_factory=list)
    waits_for_client: bool = False
    on_head: Callable[[], None] | None = None

    def answer_interim(self, frame: AnswerFrame) -> None:
        self.heard.append(("interim", frame.status))

    def answer_head(self, frame: AnswerFrame) -> None:
        self.heard.append(("head", frame.status))
        if self.on_head is not None:
            self.on_head()

    def answer_whole(self, frame: AnswerFrame, body: bytes) -> None:
        self.heard += [("head", frame.status), *([("body", body)] if body else []), "complete"]

    def answer_body(self, pieces: list[bytes]) -> None:
        self.heard.append(("body", b"".join(pieces)))

    def answer_flush(self) -> None:
        self.heard.append("flush")

    def answer_complete(self) -> None:
        self.heard.append("complete")

    def answer_failed(self, fault: UpstreamFault) -> None:
        self.heard.append(type(fault))

    def upstream_data(self, data: bytes) -> None:
        self.heard.append(("data", data))

    def upstream_full(self) -> None:
        self.heard.append("full")

    def upstream_writable(self) -> None:
        self.heard.append("writable")


@dataclass
class Talk:
    connection: UpstreamConnection
    transport: Transport
    consumer: Hearing
    lost: list[UpstreamConnection]

    def ask_again(self, method: bytes = b"GET") -> None:
        self.connection.begin(self.consumer, asked=method, response_timeout_s=60.0)

    def say(self, data: bytes) -> list[Any]:
        self.connection.received(data)
        return self.consumer.heard


def connection_of(lost: list[UpstreamConnection]) -> UpstreamConnection:
    return UpstreamConnection(ReadBuffer(), lost.append, known=Recent(2))


async def begun(*, asked: bytes = b"GET", response_timeout_s: float = 60.0) -> Talk:
    lost: list[UpstreamConnection] = []
    connection, transport, consumer = connection_of(lost), Transport(), Hearing()
    connection.connection_made(transport)
    connection.begin(consumer, asked=asked, response_timeout_s=response_timeout_s)
    connection.write(b"request")
    return Talk(connection, transport, consumer, lost)


async def test_a_whole_answer_at_once_is_heard_and_the_connection_may_be_used_again() -> None:
    talk = await begun()

    assert talk.say(OK) == [("head", 200), ("body", b"ok"), "complete"]
    assert talk.connection.is_persistent
    assert talk.transport.written == b"request"


async def test_an_answer_in_pieces_is_heard_as_it_comes() -> None:
    talk = await begun()

    for cut in range(0, len(OK), 3):
        talk.say(OK[cut : cut + 3])

    heard = [word for word in talk.consumer.heard if word != "flush"]
    assert heard[0] == ("head", 200)
    assert b"".join(word[1] for word in heard[1:-1]) == b"ok"
    assert heard[-1] == "complete"


async def test_interim_answers_come_before_the_final_one() -> None:
    talk = await begun()

    heard = talk.say(b"HTTP/1.1 103 Early Hints\r\n\r\nHTTP/1.1 100 Continue\r\n\r\n" + OK)

    assert heard == [("interim", 103), ("interim", 100), ("head", 200), ("body", b"ok"), "complete"]


async def test_interim_answers_are_bounded() -> None:
    talk = await begun()

    assert talk.say(b"HTTP/1.1 103 E\r\n\r\n" * (MAX_INTERIM + 1))[-1] is UpstreamGarbled


async def test_bytes_behind_an_answer_spoil_the_connection() -> None:
    talk = await begun()

    assert talk.say(OK + b"x")[-1] == "complete"
    assert not talk.connection.is_persistent


@pytest.mark.parametrize("field", [b"Connection: close\r\n", b""])
async def test_a_connection_that_the_upstream_ends_is_not_used_again(field: bytes) -> None:
    talk = await begun()
    version = b"HTTP/1.1" if field else b"HTTP/1.0"

    talk.say(version + b" 200 OK\r\nContent-Length: 0\r\n" + field + b"\r\n")

    assert talk.consumer.heard[-1] == "complete"
    assert not talk.connection.is_persistent


async def test_bytes_on_an_idle_connection_end_it() -> None:
    talk = await begun()
    talk.say(OK)

    heard = len(talk.consumer.heard)
    talk.say(OK)

    assert talk.transport.done == ["abort"]
    assert len(talk.consumer.heard) == heard
    assert not talk.connection.is_usable


async def test_a_consumer_that_was_let_go_of_hears_nothing_more() -> None:
    talk = await begun()
    talk.say(OK[:-1])
    heard = list(talk.consumer.heard)

    talk.connection.abort()
    talk.say(b"k")
    talk.connection.pause_writing()
    talk.connection.connection_lost(ConnectionResetError())

    assert talk.consumer.heard == heard
    assert talk.lost == [talk.connection]


async def test_a_consumer_that_lets_go_within_the_head_hears_no_body() -> None:
    talk = await begun()
    talk.consumer.on_head = talk.connection.abort

    assert talk.say(OK[:-1]) == [("head", 200)]


async def test_after_101_everything_is_the_tunnels() -> None:
    talk = await begun()
    tunnel = Hearing()
    talk.consumer.on_head = lambda: talk.connection.hand_over(tunnel)

    talk.say(b"HTTP/1.1 101 S\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\nHTTP/1.1 frame")
    talk.connection.eof_received()

    assert talk.consumer.heard == [("head", 101)]
    assert tunnel.heard == [("data", b"HTTP/1.1 frame"), "complete"]


async def test_the_end_of_the_connection_is_the_end_of_a_body_until_close() -> None:
    talk = await begun()
    talk.say(b"HTTP/1.1 200 OK\r\n\r\nabc")

    talk.connection.eof_received()
    talk.connection.connection_lost(None)

    assert talk.consumer.heard == [("head", 200), ("body", b"abc"), "flush", "complete"]
    assert not talk.connection.is_persistent


@pytest.mark.parametrize(
    ("said", "fault"),
    [
        (b"", UpstreamUnreachable),
        (b"HTTP/1.1 2", UpstreamGarbled),
        (OK[:-1], UpstreamGarbled),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n", UpstreamGarbled),
    ],
)
async def test_any_other_end_is_a_fault(said: bytes, fault: type[UpstreamFault]) -> None:
    talk = await begun()
    if said:
        talk.say(said)

    talk.connection.eof_received()
    talk.connection.connection_lost(None)

    assert talk.consumer.heard[-1] is fault
    assert talk.consumer.heard.count(fault) == 1


async def test_a_reset_is_never_the_end_of_a_body() -> None:
    talk = await begun()
    talk.say(b"HTTP/1.1 200 OK\r\n\r\nabc")

    talk.connection.connection_lost(ConnectionResetError())

    assert talk.consumer.heard[-1] is UpstreamGarbled


async def test_head_has_no_body_whatever_it_declares() -> None:
    talk = await begun(asked=b"HEAD")

    assert talk.say(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n") == [("head", 200), "complete"]


async def test_silence_of_the_upstream_has_an_end_and_silence_of_the_client_is_not_its_fault() -> None:
    talk = await begun(response_timeout_s=0.02)
    talk.consumer.waits_for_client = True
    await asyncio.sleep(0.08)
    assert talk.consumer.heard == []

    talk.consumer.waits_for_client = False
    await asyncio.sleep(0.08)

    assert talk.consumer.heard == [UpstreamTimeout]


async def test_a_pause_does_not_outlive_the_consumer() -> None:
    talk = await begun()
    talk.connection.pause_reading()
    talk.connection.pause_reading()

    talk.say(OK)

    assert talk.transport.done == ["pause", "resume"]


async def test_pressure_is_passed_on() -> None:
    talk = await begun()

    talk.connection.pause_writing()
    assert talk.connection.is_full
    talk.connection.resume_writing()

    assert talk.consumer.heard == ["full", "writable"]
    assert talk.transport.high == WRITE_HIGH


async def test_the_stay_that_an_upstream_announces_is_kept_with_a_margin() -> None:
    talk = await begun()
    talk.say(b"HTTP/1.1 200 OK\r\nKeep-Alive: timeout=5, max=9\r\nContent-Length: 0\r\n\r\n")

    assert talk.connection.keep_alive_s == 4.0


# --- answers that come again

DATED = b"HTTP/1.1 200 OK\r\nDate: then\r\nContent-Length: 2\r\n\r\n"


async def test_an_answer_that_comes_again_is_heard_as_the_first_time() -> None:
    talk = await begun()
    first = list(talk.say(DATED + b"ok"))

    talk.ask_again()
    assert talk.say(DATED + b"no") == [*first, ("head", 200), ("body", b"no"), "complete"]
    assert talk.connection.is_persistent


@pytest.mark.parametrize("body", [b"", b"o"])
async def test_a_head_that_came_before_does_not_complete_a_body_that_is_short(body: bytes) -> None:
    talk = await begun()
    talk.say(DATED + b"ok")
    talk.ask_again()

    talk.say(DATED + body)
    talk.connection.eof_received()

    assert talk.consumer.heard[-1] is UpstreamGarbled


async def test_a_head_that_came_before_with_bytes_behind_its_body_spoils_the_connection() -> None:
    talk = await begun()
    talk.say(DATED + b"ok")
    talk.ask_again()

    assert talk.say(DATED + b"okHTTP/1.1 200 OK")[-1] == "complete"
    assert not talk.connection.is_persistent


async def test_a_head_that_answered_head_says_nothing_of_an_answer_to_get_nor_the_other_way_round() -> None:
    talk = await begun(asked=b"HEAD")
    assert talk.say(DATED) == [("head", 200), "complete"]

    talk.ask_again()
    assert talk.say(DATED + b"ok")[2:] == [("head", 200), ("body", b"ok"), "complete"]
    talk.ask_again(b"HEAD")
    assert talk.say(DATED)[5:] == [("head", 200), "complete"]
    assert talk.connection.is_persistent


async def test_a_body_that_follows_the_answer_to_head_is_nobodys_though_its_head_came_before() -> None:
    talk = await begun()
    talk.say(DATED + b"ok")
    talk.ask_again(b"HEAD")

    assert talk.say(DATED + b"ok")[3:] == [("head", 200), "complete"]
    assert not talk.connection.is_persistent


@pytest.mark.parametrize(
    "head",
    [
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nDate: then\r\nConnection: close\r\nContent-Length: 2\r\n\r\n",
        b"HTTP/1.1 401 No\r\nDate: then\r\nWWW-Authenticate: Negotiate\r\nContent-Length: 2\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nDate: then\r\nContent-Length: 2\r\nX: " + b"x" * MAX_KNOWN_ANSWER + b"\r\n\r\n",
    ],
    ids=["of one moment", "of one connection", "of one client", "too long"],
)
async def test_what_must_not_serve_again_is_not_remembered(head: bytes) -> None:
    talk = await begun()

    talk.say(head + b"ok")

    assert not talk.connection._known
