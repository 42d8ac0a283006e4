"""Exchanges: what goes up, what comes down, who may have a connection, and how each can end."""

from __future__ import annotations

import asyncio
import resource
from typing import TYPE_CHECKING

import pytest
from msgspec.structs import replace

from proxy.core.session import EndCause
from proxy.errors import (
    FramingRefused,
    RightsLost,
    SessionEnded,
    UpstreamGarbled,
    UpstreamTimeout,
    UpstreamUnreachable,
)
from proxy.forward.exchange import Forwarded
from proxy.forward.options import ForwardOptions, TcpAddress, UpstreamOptions
from proxy.sessions.live import LiveStreamRegistry
from tests.forward.dialogue import ALICE, ALICES_COOKIE, PlainPlan, new_event, serving, until
from tests.support.observers import RecordingObserver
from tests.support.ports import free_port
from tests.support.raw_upstream import AnswerEarly, Close, Pause, RawUpstream, Reset, Send
from tests.support.streams import make_stream

if TYPE_CHECKING:
    from proxy.ports import Forward
    from tests.forward.dialogue import Path, RawClient

GET = b"GET / HTTP/1.1\r\nHost: app\r\n\r\n"
POST = b"POST / HTTP/1.1\r\nHost: app\r\nContent-Length: 3\r\n\r\nabc"
CHUNKED_POST = b"POST / HTTP/1.1\r\nHost: app\r\nTransfer-Encoding: chunked\r\n\r\n"
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
MIB = 1024 * 1024


# --- law 1


async def test_nothing_is_forwarded_without_an_allow(path: Path) -> None:
    client = await path.client()
    await client.ask(GET)
    forward: Forward = path.gate.forward(path.gate.heads[0], allow=None)

    with pytest.raises(TypeError, match="Allow"):
        Forwarded(forward, None, client=None, around=path.data_path._around)  # type: ignore[arg-type]


# --- up


async def test_the_upstream_gets_what_the_gate_admitted_and_our_framing(path: Path, echo_app: RawUpstream) -> None:
    client = await path.client()

    await client.ask(
        b"POST /a%2Fb?c=\xc3\xa9&d HTTP/1.1\r\nHost: app\r\nX-A: b\r\nConnection: keep-alive, X-Hop\r\n"
        b"Keep-Alive: 300\r\nContent-Length: 3\r\n\r\nabc"
    )

    assert echo_app.requests[0].raw == (
        b"POST /a%2Fb?c=\xc3\xa9&d HTTP/1.1\r\nHost: app\r\nX-A: b\r\nContent-Length: 3\r\n\r\nabc"
    )


async def test_chunks_go_up_as_chunks_and_trailers_are_dropped(path: Path, echo_app: RawUpstream) -> None:
    client = await path.client()

    await client.ask(CHUNKED_POST + b"3;x=y\r\nabc\r\n2\r\nde\r\n0\r\nX-Auth-Roles: admin\r\n\r\n")

    (request,) = echo_app.requests
    assert request.values(b"transfer-encoding") == [b"chunked"]
    assert b"X-Auth-Roles" not in request.raw
    assert request.body in {b"5\r\nabcde\r\n0\r\n\r\n", b"3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n"}


async def test_a_body_is_passed_on_as_it_comes(path: Path, echo_app: RawUpstream) -> None:
    echo_app.script(AnswerEarly(), Send(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nearly"))
    client = await path.client()

    await client.send(CHUNKED_POST + b"3\r\nabc\r\n")

    assert (await client.answer()).body == b"early"


async def test_an_empty_body_stays_an_empty_body(path: Path, echo_app: RawUpstream) -> None:
    client = await path.client()

    await client.ask(b"POST / HTTP/1.1\r\nHost: app\r\nContent-Length: 0\r\n\r\n")
    await client.ask(CHUNKED_POST + b"0\r\n\r\n")
    await client.ask(b"POST / HTTP/1.1\r\nHost: app\r\n\r\n")

    assert [request.values(b"content-length") for request in echo_app.requests] == [[b"0"], [], []]
    assert echo_app.requests[1].body == b"0\r\n\r\n"


async def test_a_field_that_would_split_the_request_is_never_sent(path: Path, echo_app: RawUpstream) -> None:
    admission = path.gate.admission
    path.gate.admission = lambda head: replace(admission(head), headers=((b"X", b"a\r\nY: b"),))  # type: ignore[method-assign]
    client = await path.client()

    assert (await client.ask(GET)).status == 400
    assert isinstance(path.gate.faults[0], FramingRefused)
    assert echo_app.connections == 0


# --- expectations


EXPECTING = b"POST / HTTP/1.1\r\nHost: app\r\nExpect: 100-continue\r\nContent-Length: 3\r\n\r\n"


async def test_the_word_of_the_app_is_passed_on_when_a_client_waits(path: Path, echo_app: RawUpstream) -> None:
    echo_app.script(AnswerEarly(), Send(b"HTTP/1.1 100 Continue\r\n\r\n"), Pause(waited := asyncio.Event()), Send(OK))
    client = await path.client()

    assert (await client.ask(EXPECTING)).status == 100
    await client.send(b"abc")
    waited.set()

    assert (await client.answer()).status == 200
    assert echo_app.requests[0].values(b"expect") == [b"100-continue"]


async def test_the_app_may_refuse_before_the_body_is_sent(path: Path, echo_app: RawUpstream) -> None:
    echo_app.script(AnswerEarly(), Send(b"HTTP/1.1 413 Too Large\r\nContent-Length: 0\r\n\r\n"))
    client = await path.client()

    answer = await client.ask(EXPECTING)

    assert answer.status == 413
    assert answer.values(b"connection") == [b"close"]
    assert await client.ended() == b""


async def test_an_app_that_does_not_know_expectations_is_spoken_for(echo_app: RawUpstream) -> None:
    async with serving(echo_app.port, options=ForwardOptions(continue_after_s=0.05)) as path:
        client = await path.client()

        assert (await client.ask(EXPECTING)).status == 100
        assert (await client.ask(b"abc")).status == 200
        assert echo_app.requests[0].body == b"abc"


async def test_a_100_that_nobody_waits_for_is_dropped(path: Path, echo_app: RawUpstream) -> None:
    echo_app.script(Send(b"HTTP/1.1 100 Continue\r\n\r\n" + OK))
    client = await path.client()

    assert (await client.ask(POST)).status == 200


# --- down


async def test_an_answer_comes_with_its_end_to_end_fields_and_our_framing(path: Path, echo_app: RawUpstream) -> None:
    path.gate.plan = PlainPlan(added=((b"X-Added", b"1"),))
    echo_app.answer(
        b"HTTP/1.1 201 Made\r\nServer: app\r\nSet-Cookie: a=1\r\nSet-Cookie: b=2\r\nDate: then\r\n"
        b"Connection: keep-alive, X-Hop\r\nX-Hop: 1\r\nKeep-Alive: timeout=5\r\nContent-Length: 2\r\n\r\nok"
    )
    client = await path.client()

    answer = await client.ask(GET)

    assert answer.line == b"HTTP/1.1 201 Made"
    assert answer.fields == [
        (b"Server", b"app"),
        (b"Set-Cookie", b"a=1"),
        (b"Set-Cookie", b"b=2"),
        (b"Date", b"then"),
        (b"X-Added", b"1"),
        (b"Content-Length", b"2"),
        (b"X-Request-ID", b"r"),
    ]


# --- answers that come again

DATED = b"HTTP/1.1 200 OK\r\nDate: then\r\nX-A: b\r\nContent-Length: 2\r\n\r\n"


async def test_an_equal_answer_gets_the_id_of_its_own_request_and_its_own_body(
    path: Path, echo_app: RawUpstream
) -> None:
    client = await path.client()
    answers = []
    for number in (b"1", b"2", b"3"):
        admission = path.gate.admission
        event = replace(new_event(), request_id=f"id-{number.decode()}")
        path.gate.admission = lambda head, event=event: path.gate.forward(head, event=event)  # type: ignore[method-assign,misc]
        echo_app.answer(DATED + b"b" + number)
        answers.append(await client.ask(GET))
        path.gate.admission = admission  # type: ignore[method-assign]

    assert [answer.body for answer in answers] == [b"b1", b"b2", b"b3"]
    assert [answer.values(b"x-request-id") for answer in answers] == [[b"id-1"], [b"id-2"], [b"id-3"]]
    assert [answer.values(b"x-a") for answer in answers] == [[b"b"]] * 3
    assert [(event.status, event.bytes_out) for event in path.gate.ended] == [(200, 2)] * 3


async def test_an_equal_answer_is_treated_by_the_plan_of_its_own_request(path: Path, echo_app: RawUpstream) -> None:
    client = await path.client()
    for added in (b"alice", b"bob", b"bob"):
        echo_app.answer(DATED + b"ok")
        path.gate.plan = PlainPlan(added=((b"X-For", added),))
        assert (await client.ask(GET)).values(b"x-for") == [added]


async def test_an_equal_answer_is_framed_for_the_client_that_asks_now(path: Path, echo_app: RawUpstream) -> None:
    client = await path.client()
    for _ in range(2):
        echo_app.answer(DATED + b"ok")
        assert (await client.ask(GET)).values(b"connection") == []

    echo_app.answer(DATED + b"ok")
    closing = await client.ask(b"GET / HTTP/1.1\r\nHost: app\r\nConnection: close\r\n\r\n")

    assert closing.values(b"connection") == [b"close"]
    assert await client.ended() == b""


async def test_an_equal_answer_whose_date_is_ours_has_the_time_of_now(path: Path, echo_app: RawUpstream) -> None:
    client = await path.client()
    dates = []
    for _ in range(2):
        dates.append((await client.ask(GET)).values(b"date"))
        path.clock.advance(1)

    assert dates[0] != dates[1]


async def test_chunks_and_bodies_until_close_come_as_chunks(path: Path, echo_app: RawUpstream) -> None:
    client = await path.client()

    echo_app.script(Send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3;x\r\nabc\r\n0\r\nX-T: 1\r\n\r\n"))
    chunked = await client.ask(GET)
    echo_app.script(Send(b"HTTP/1.1 200 OK\r\n\r\nuntil"), Send(b" close"), Close())
    until_close = await client.ask(GET)

    assert (chunked.body, until_close.body) == (b"abc", b"until close")
    assert chunked.values(b"x-t") == []
    assert (await client.ask(GET)).status == 200


async def test_an_old_client_gets_no_chunks_and_no_interim_answers(path: Path, echo_app: RawUpstream) -> None:
    echo_app.script(
        Send(
            b"HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n"
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n"
        )
    )
    client = await path.client()

    answer = await client.ask(b"GET / HTTP/1.0\r\nHost: app\r\nConnection: keep-alive\r\n\r\n")

    assert answer.status == 200
    assert answer.values(b"transfer-encoding") == []
    assert answer.values(b"connection") == [b"close"]
    assert answer.body == b"abc"


async def test_early_hints_are_passed_on(path: Path, echo_app: RawUpstream) -> None:
    echo_app.script(Send(b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n"), Send(OK))
    client = await path.client()

    hints = await client.ask(GET)

    assert (hints.status, hints.fields) == (103, [(b"Link", b"</a>"), (b"X-Request-ID", b"r")])
    assert (await client.answer()).body == b"ok"


@pytest.mark.parametrize(
    ("method", "raw", "length"),
    [
        (b"HEAD", b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n", [b"1000"]),
        (b"HEAD", b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", []),
        (b"GET", b"HTTP/1.1 204 No Content\r\n\r\n", []),
        (b"GET", b"HTTP/1.1 204 No Content\r\nContent-Length: 0\r\n\r\n", []),
        (b"GET", b"HTTP/1.1 304 Not Modified\r\nContent-Length: 1000\r\nETag: x\r\n\r\n", [b"1000"]),
        (b"GET", b"HTTP/1.1 304 Not Modified\r\n\r\n", []),
    ],
)
async def test_answers_without_body_end_with_their_head(
    path: Path, echo_app: RawUpstream, method: bytes, raw: bytes, length: list[bytes]
) -> None:
    echo_app.script(Send(raw))
    client = await path.client()

    answer = await client.ask(method + b" / HTTP/1.1\r\nHost: app\r\n\r\n", method=method)

    assert answer.values(b"content-length") == length
    assert answer.values(b"transfer-encoding") == []
    assert (await client.ask(GET)).body == b"ok"
    assert echo_app.connections == 1


async def test_an_event_is_passed_on_at_once(path: Path, echo_app: RawUpstream) -> None:
    gates = [asyncio.Event() for _ in range(3)]
    steps = [step for number, gate in enumerate(gates) for step in (Pause(gate), Send(b"data: %d\n\n" % number))]
    echo_app.script(Send(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n"), *steps, Close())
    client = await path.client()
    await client.send(GET)
    await client.head()

    for number, gate in enumerate(gates):
        gate.set()
        async with asyncio.timeout(0.5):
            assert await client.chunk() == b"data: %d\n\n" % number


# --- early answers


async def test_an_early_answer_is_delivered_and_both_connections_end(path: Path, echo_app: RawUpstream) -> None:
    echo_app.script(AnswerEarly(), Send(b"HTTP/1.1 403 No\r\nContent-Length: 2\r\n\r\nno"))
    client = await path.client()

    answer = await client.ask(b"POST / HTTP/1.1\r\nHost: app\r\nContent-Length: 10\r\n\r\nabc")
    await client.send(b"defghij" + GET)

    assert (answer.status, answer.body) == (403, b"no")
    assert answer.values(b"connection") == [b"close"]
    assert await client.ended() == b""
    assert [event.status for event in path.gate.ended] == [403]
    assert (await (await path.client()).ask(GET)).body == b"ok"
    assert echo_app.connections == 2


async def test_an_early_answer_survives_a_large_upload_and_an_upstream_that_closes(
    path: Path, echo_app: RawUpstream
) -> None:
    for _ in range(5):
        echo_app.script(AnswerEarly(), Send(b"HTTP/1.1 413 No\r\nContent-Length: 2\r\n\r\nno"), Close())
        client = await path.client()
        client.writer.write(b"POST / HTTP/1.1\r\nHost: app\r\nContent-Length: 20000000\r\n\r\n" + b"x" * 20_000_000)

        answer = await client.answer()

        assert (answer.status, answer.body) == (413, b"no")


# --- faults of the upstream


GARBLED = {
    "no HTTP": b"garbage\r\n\r\n",
    "two lengths": b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\nok",
    "length and coding": b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "a head over the limit": b"HTTP/1.1 200 OK\r\n" + b"X: " + b"a" * 30_000 + b"\r\nY: " + b"b" * 40_000 + b"\r\n\r\n",
    "a head without end": b"HTTP/1.1 200 OK\r\nX: " + b"a" * 100_000,
    "a bare LF": b"HTTP/1.1 200 OK\nContent-Length: 2\n\nok",
    "a bad chunk at once": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
    "101 that nobody asked for": b"HTTP/1.1 101 Switching\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n",
    "endless interim answers": b"HTTP/1.1 102 Processing\r\n\r\n" * 40,
}


@pytest.mark.parametrize("raw", GARBLED.values(), ids=GARBLED.keys())
async def test_a_garbled_answer_is_502_and_its_connection_is_not_used_again(
    path: Path, echo_app: RawUpstream, raw: bytes
) -> None:
    echo_app.script(Send(raw))
    client = await path.client()

    await client.send(GET)
    answer = await client.answer()
    while answer.status == 102:
        answer = await client.answer()

    assert answer.status == 502
    assert isinstance(path.gate.faults[0], UpstreamGarbled)
    assert (await client.ask(GET)).body == b"ok"
    assert echo_app.connections == 2
    assert [event.status for event in path.gate.ended] == [502, 200]


async def test_bytes_behind_an_answer_reach_nobody(path: Path, echo_app: RawUpstream) -> None:
    echo_app.script(Send(OK + b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nEVIL!"))
    client, other = await path.client(), await path.client()

    assert (await client.ask(GET)).body == b"ok"
    assert (await other.ask(GET)).body == b"ok"
    assert echo_app.connections == 2


async def test_bytes_that_come_unasked_on_an_idle_connection_reach_nobody(path: Path, echo_app: RawUpstream) -> None:
    later = asyncio.Event()
    echo_app.script(Send(OK), Pause(later), Send(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nEVIL!"))
    client = await path.client()
    await client.ask(GET)
    origin = path.data_path._origins["app"]
    later.set()
    await until(lambda: len(origin._pool) == 0)

    assert (await client.ask(GET)).body == b"ok"


SHORT = {
    "shorter than its length": (Send(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc"), Close()),
    "chunks without the last": (Send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n"), Close()),
    "reset within a length": (Send(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc"), Reset()),
    "reset within a body until close": (Send(b"HTTP/1.1 200 OK\r\n\r\nabc"), Pause(asyncio.Event()), Reset()),
}


@pytest.mark.parametrize("kind", SHORT)
async def test_a_short_body_is_never_completed(path: Path, echo_app: RawUpstream, kind: str) -> None:
    begun = asyncio.Event()
    steps = [Pause(begun) if isinstance(step, Pause) else step for step in SHORT[kind]]
    if not any(isinstance(step, Pause) for step in steps):
        steps.insert(1, Pause(begun))
    echo_app.script(*steps)
    client = await path.client()
    await client.send(GET)
    head = await client.head()
    begun.set()

    rest = await client.ended()

    assert head.status == 200
    assert not rest.endswith(b"0\r\n\r\n")
    (event,) = await path.gate.ends(1)
    assert (event.status, event.fault) == (200, UpstreamGarbled.reason)


async def test_a_short_body_for_an_old_client_ends_in_a_reset(path: Path, echo_app: RawUpstream) -> None:
    begun = asyncio.Event()
    echo_app.script(Send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n"), Pause(begun), Close())
    client = await path.client()
    await client.send(b"GET / HTTP/1.0\r\nHost: app\r\n\r\n")
    await client.head()
    begun.set()

    with pytest.raises(ConnectionResetError):
        await client.reader.read(-1)


async def test_an_upstream_that_is_not_there_is_502(echo_app: RawUpstream) -> None:
    async with serving(free_port()) as path:
        client = await path.client()

        assert (await client.ask(GET)).status == 502
        assert (await client.ask(POST)).status == 502
        assert isinstance(path.gate.faults[0], UpstreamUnreachable)
        assert [event.status for event in path.gate.ended] == [502, 502]


async def test_an_upstream_that_closes_without_an_answer_is_502(path: Path, echo_app: RawUpstream) -> None:
    echo_app.script(Close())
    client = await path.client()

    assert (await client.ask(GET)).status == 502
    assert echo_app.connections == 1


def slow(port: int) -> UpstreamOptions:
    return UpstreamOptions(address=TcpAddress("127.0.0.1", port), response_timeout_s=0.1)


async def test_a_slow_upstream_is_504_and_its_late_answer_reaches_nobody(echo_app: RawUpstream) -> None:
    late = asyncio.Event()
    echo_app.script(Pause(late), Send(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nlate"))
    async with serving(0, upstream=slow(echo_app.port)) as path:
        client = await path.client()
        first = await client.ask(GET)
        late.set()
        second = await client.ask(GET)

        assert (first.status, second.status, second.body) == (504, 200, b"ok")
        assert isinstance(path.gate.faults[0], UpstreamTimeout)


async def test_a_body_may_take_as_long_as_it_likes_when_the_head_was_in_time(echo_app: RawUpstream) -> None:
    later = asyncio.Event()
    echo_app.script(Send(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\no"), Pause(later), Send(b"k"))
    async with serving(0, upstream=slow(echo_app.port)) as path:
        client = await path.client()
        await client.send(GET)
        await client.head()
        await asyncio.sleep(0.3)
        later.set()

        async with asyncio.timeout(2):
            assert await client.reader.readexactly(2) == b"ok"


async def test_a_slow_upload_is_not_the_upstreams_silence(echo_app: RawUpstream) -> None:
    async with serving(0, upstream=slow(echo_app.port)) as path:
        client = await path.client()
        await client.send(POST[:-1])
        await asyncio.sleep(0.3)

        assert (await client.ask(b"c")).status == 200


async def test_an_upstream_that_leaves_a_body_unread_is_504(echo_app: RawUpstream) -> None:
    echo_app.script(AnswerEarly(), Pause(asyncio.Event()))
    async with serving(0, upstream=slow(echo_app.port)) as path:
        client = await path.client()
        client.writer.write(b"POST / HTTP/1.1\r\nHost: app\r\nContent-Length: 50000000\r\n\r\n" + b"x" * 50_000_000)

        assert (await client.answer()).status == 504


# --- once more


async def _die_idle(path: Path, client: RawClient, echo_app: RawUpstream) -> None:
    """Have an idle connection in the pool whose next request gets no answer."""
    assert (await client.ask(GET)).status == 200
    echo_app.script(Close())


async def test_a_request_that_meets_a_dead_connection_is_sent_once_more(path: Path, echo_app: RawUpstream) -> None:
    client = await path.client()
    await _die_idle(path, client, echo_app)

    assert (await client.ask(GET)).body == b"ok"
    assert echo_app.connections == 2
    assert len(path.gate.ended) == 2


async def test_it_is_sent_once_more_and_not_twice(path: Path, echo_app: RawUpstream) -> None:
    client = await path.client()
    await _die_idle(path, client, echo_app)
    echo_app.script(Close())

    assert (await client.ask(GET)).status == 502
    assert len(echo_app.requests) == 3


@pytest.mark.parametrize(
    "request_bytes",
    [
        POST,
        b"POST / HTTP/1.1\r\nHost: app\r\n\r\n",
        b"PATCH / HTTP/1.1\r\nHost: app\r\n\r\n",
        b"PUT / HTTP/1.1\r\nHost: app\r\nContent-Length: 3\r\n\r\nabc",
    ],
    ids=["POST with body", "POST without", "PATCH", "PUT whose body is gone"],
)
async def test_what_may_have_been_done_is_not_sent_again(
    path: Path, echo_app: RawUpstream, request_bytes: bytes
) -> None:
    client = await path.client()
    await _die_idle(path, client, echo_app)

    assert (await client.ask(request_bytes)).status == 502
    assert len(echo_app.requests) == 2


async def test_an_upstream_that_was_restarted_is_met_by_a_fresh_connection(path: Path, echo_app: RawUpstream) -> None:
    client = await path.client()
    await client.ask(GET)
    await echo_app.stop()
    await echo_app.start()
    await until(lambda: len(path.data_path._origins["app"]._pool) == 0)

    assert (await client.ask(POST)).body == b"ok"


# --- connections that belong to one client


async def test_a_connection_with_a_login_of_its_own_is_nobody_elses(path: Path, echo_app: RawUpstream) -> None:
    alice, bob = await path.client(), await path.client()

    await alice.ask(b"GET / HTTP/1.1\r\nHost: app\r\nAuthorization: NTLM aaa\r\n\r\n")
    await bob.ask(GET)
    await alice.ask(GET)
    await bob.ask(GET)

    assert [request.connection for request in echo_app.requests] == [0, 1, 0, 1]
    alice.close()
    await until(lambda: path.data_path.open_connections == 1)
    await (await path.client()).ask(GET)
    assert echo_app.requests[-1].connection == 1


async def test_an_upstream_that_asks_for_such_a_login_pins_the_connection_too(
    path: Path, echo_app: RawUpstream
) -> None:
    echo_app.script(Send(b"HTTP/1.1 401 No\r\nWWW-Authenticate: Negotiate\r\nContent-Length: 0\r\n\r\n"))
    alice, bob = await path.client(), await path.client()

    await alice.ask(GET)
    await bob.ask(GET)
    await alice.ask(GET)

    assert [request.connection for request in echo_app.requests] == [0, 1, 0]


# --- sessions that end


async def test_a_stream_ends_with_its_session_and_is_never_completed(path: Path, echo_app: RawUpstream) -> None:
    path.gate.knows_alice()
    echo_app.script(Send(b"HTTP/1.1 200 OK\r\n\r\ndata: 1\n\n"), Pause(asyncio.Event()))
    client = await path.client()
    await client.send(GET)
    await client.head()
    assert await client.chunk() == b"data: 1\n\n"

    assert path.streams.session_ended(ALICE, EndCause.BACKCHANNEL) == 1

    assert await client.ended() == b""
    (event,) = await path.gate.ends(1)
    assert event.fault == SessionEnded.reason


async def test_a_stream_of_a_bearer_ends_with_the_login_behind_the_token(path: Path, echo_app: RawUpstream) -> None:
    key = path.gate.knows_a_token()
    echo_app.script(Send(b"HTTP/1.1 200 OK\r\n\r\ndata: 1\n\n"), Pause(asyncio.Event()))
    client = await path.client()
    await client.send(GET)
    await client.head()
    assert await client.chunk() == b"data: 1\n\n"

    assert [bearer.key for bearer in path.streams.bearers] == [key]
    assert path.streams.session_ended(key, EndCause.BACKCHANNEL) == 1

    assert await client.ended() == b""
    (event,) = await path.gate.ends(1)
    assert event.fault == SessionEnded.reason


async def test_what_a_bearer_asked_for_is_no_open_stream_any_more_when_it_is_answered(
    path: Path, echo_app: RawUpstream
) -> None:
    key = path.gate.knows_a_token()
    client = await path.client()

    await client.ask(GET)

    await until(lambda: path.streams.count(key) == 0)
    assert len(path.streams.bearers) == 1


async def test_a_stream_ends_when_its_session_loses_the_right_and_is_never_completed(
    path: Path, echo_app: RawUpstream
) -> None:
    path.gate.knows_alice()
    echo_app.script(Send(b"HTTP/1.1 200 OK\r\n\r\ndata: 1\n\n"), Pause(asyncio.Event()))
    client = await path.client()
    await client.send(GET)
    await client.head()
    assert await client.chunk() == b"data: 1\n\n"

    path.streams.end(ALICE, RightsLost("no admin any more"))

    assert await client.ended() == b""
    (event,) = await path.gate.ends(1)
    assert event.fault == RightsLost.reason


async def test_a_request_that_waits_when_its_session_loses_the_right_is_403(path: Path, echo_app: RawUpstream) -> None:
    path.gate.knows_alice()
    echo_app.script(Pause(later := asyncio.Event()), Send(b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nsecret"))
    client = await path.client()
    await client.send(GET)
    await until(lambda: echo_app.requests)

    path.streams.end(ALICE, RightsLost("no admin any more"))
    later.set()

    assert (await client.answer()).status == 403


async def test_an_exchange_says_what_was_admitted_and_since_when(path: Path, echo_app: RawUpstream) -> None:
    path.gate.knows_alice()
    echo_app.script(Pause(asyncio.Event()))
    client = await path.client()
    await client.send(GET)
    await until(path.streams.count)

    (stream,) = path.streams.open[ALICE]

    assert stream.admitted.allow is path.gate.allow
    assert stream.admitted.cookie_value == ALICES_COOKIE
    assert stream.began_at == stream.admitted.event.started_at


async def test_a_request_that_waits_when_its_session_ends_is_refused(path: Path, echo_app: RawUpstream) -> None:
    path.gate.knows_alice()
    echo_app.script(Pause(later := asyncio.Event()), Send(b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nsecret"))
    client = await path.client()
    await client.send(GET)
    await until(lambda: echo_app.requests)

    path.streams.session_ended(ALICE, EndCause.LOGOUT)
    later.set()

    assert (await client.answer()).status == 401


async def test_a_session_that_ends_between_decision_and_answer_is_refused(path: Path, echo_app: RawUpstream) -> None:
    live = path.data_path._around.live = LiveStreamRegistry(RecordingObserver())
    decided: asyncio.Future[Forward] = asyncio.get_running_loop().create_future()
    path.gate.knows_alice()
    path.gate.admit = lambda head: (path.gate.heads.append(head), decided)[1]  # type: ignore[method-assign]
    echo_app.script(Pause(asyncio.Event()))
    client = await path.client()
    await client.send(GET)
    await until(lambda: path.gate.heads)

    decided.set_result(path.gate.forward(path.gate.heads[0]))
    live.session_ended(ALICE, EndCause.LOGOUT)

    assert (await client.answer()).status == 401
    assert len(live) == 0


async def test_a_request_whose_stream_nobody_could_close_is_503_and_not_sent(path: Path, echo_app: RawUpstream) -> None:
    live = path.data_path._around.live = LiveStreamRegistry(RecordingObserver(), max_streams=1)
    path.gate.knows_alice()
    other = make_stream(ALICES_COOKIE)
    live.opened(other, ALICE)
    client = await path.client()

    refused = await client.ask(GET)
    live.over(other, ALICE)
    answered = await client.ask(GET)

    assert (refused.status, answered.status) == (503, 200)
    assert len(echo_app.requests) == 1
    assert len(live) == 0
    assert [event.status for event in await path.gate.ends(2)] == [503, 200]


async def test_an_answer_that_is_whole_is_no_stream_any_more(path: Path) -> None:
    path.gate.knows_alice()
    client = await path.client()

    await client.ask(GET)

    assert path.streams.count() == 0


async def test_an_exchange_that_is_over_can_do_nothing_more(path: Path, echo_app: RawUpstream) -> None:
    echo_app.script(Pause(asyncio.Event()))
    client = await path.client()
    await client.send(GET)
    await until(lambda: echo_app.requests)
    (connection,) = path.data_path._around.connections
    exchange = connection._exchange
    assert exchange is not None
    client.close()
    await path.gate.ends(1)

    exchange.upload([b"more"], is_complete=True)
    exchange.upload_failed(FramingRefused("late"))
    exchange.end(SessionEnded("logout"))
    exchange.answer_failed(UpstreamUnreachable("late"))
    exchange.client_gone()

    assert len(path.gate.ended) == 1
    assert path.gate.faults == []
    assert echo_app.connections == 1


# --- memory


async def test_a_large_download_to_a_slow_reader_holds_little(path: Path, echo_app: RawUpstream) -> None:
    size = 64 * MIB
    echo_app.answer(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % size + b"x" * size)
    client = await path.client()
    await client.send(GET)
    await client.head()
    (connection,) = path.data_path._around.connections
    most = read = 0
    client.writer.transport.pause_reading()
    await asyncio.sleep(0.3)
    client.writer.transport.resume_reading()
    async with asyncio.timeout(60):
        while read < size:
            read += len(await client.reader.read(MIB))
            most = max(most, connection._transport.get_write_buffer_size())

    assert most <= 256 * 1024
    (event,) = await path.gate.ends(1)
    assert event.bytes_out == size


async def test_a_large_upload_to_a_slow_upstream_holds_little() -> None:
    size, most, got = 64 * MIB, 0, 0
    head_read = asyncio.Event()

    async def slowly(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal got
        await reader.readuntil(b"\r\n\r\n")
        head_read.set()
        while got < size:
            got += len(await reader.read(MIB))
            await asyncio.sleep(0)
        writer.write(OK)
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(slowly, "127.0.0.1", 0)
    async with serving(server.sockets[0].getsockname()[1]) as path:
        client = await path.client()
        client.writer.write(b"POST / HTTP/1.1\r\nHost: app\r\nContent-Length: %d\r\n\r\n" % size)
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        for _ in range(64):
            client.writer.write(b"x" * MIB)
            async with asyncio.timeout(20):
                await client.writer.drain()
            (connection,) = path.data_path._around.connections
            exchange = connection._exchange
            upstream = exchange._connection if exchange is not None else None
            if upstream is not None and upstream._transport is not None:
                most = max(most, upstream._transport.get_write_buffer_size() + len(connection._unread))

        assert (await client.answer()).status == 200
        assert most <= 256 * 1024
        assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 16 * 1024
    server.close()


# --- law 4


async def test_no_byte_reaches_another_client_under_aborts_on_both_sides() -> None:
    """Sixty-four connections, unique bodies; some clients leave and some answers break off."""
    server = await asyncio.start_server(_echo_target, "127.0.0.1", 0)
    wrong: list[bytes] = []
    async with serving(server.sockets[0].getsockname()[1]) as path:
        await asyncio.gather(*(_unique_requests(path, number, wrong) for number in range(32)))
    server.close()

    assert wrong == []


async def _echo_target(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        while True:
            head = await reader.readuntil(b"\r\n\r\n")
            target = head.split(b" ")[1]
            body = target * 50
            data = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(body) + body
            number = int(target.rpartition(b"-")[2])
            if number % 7 == 3:
                writer.write(data[: len(data) // 2])
                await writer.drain()
                break
            writer.write(data)
            await writer.drain()
    except (asyncio.IncompleteReadError, ConnectionError):
        pass
    finally:
        writer.close()


async def _unique_requests(path: Path, number: int, wrong: list[bytes]) -> None:
    client = await path.client()
    for turn in range(40):
        target = b"/%d-%d" % (number, turn)
        await client.send(b"GET " + target + b" HTTP/1.1\r\nHost: app\r\n\r\n")
        if turn % 5 == 1:
            client.reset()
            client = await path.client()
            continue
        try:
            body = (await client.answer()).body
        except (asyncio.IncompleteReadError, ConnectionError):
            client = await path.client()
            continue
        if body.replace(target, b""):
            wrong.append(body)
