"""The client's connection: what is refused, what is kept, and what each event does in each state."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest
from msgspec.structs import replace

from proxy.errors import ClientTooSlow, FramingRefused
from proxy.forward.buffers import READ_SIZE
from proxy.forward.client import DISCARD_LIMIT, ON_DATA, TABLE, ClientConnection, Event, State
from proxy.forward.options import ForwardOptions, HeadLimits
from proxy.forward.surroundings import MAX_KEPT_HEAD
from tests.forward.dialogue import serving, until
from tests.support.raw_upstream import Pause, RawUpstream, Send

if TYPE_CHECKING:
    from tests.forward.dialogue import Path

GET = b"GET / HTTP/1.1\r\nHost: app\r\n\r\n"
SMUGGLED = b"GET /smuggled HTTP/1.1\r\nHost: app\r\n\r\n"
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


def post(*fields: bytes, body: bytes = b"") -> bytes:
    return b"POST /p HTTP/1.1\r\nHost: app\r\n" + b"".join(field + b"\r\n" for field in fields) + b"\r\n" + body


# --- refusals


REFUSED = {
    "length and transfer coding": post(b"Content-Length: 4", b"Transfer-Encoding: chunked", body=b"0\r\n\r\n"),
    "two lengths": post(b"Content-Length: 0", b"Content-Length: 40"),
    "a coding that others may not know": post(b"Transfer-Encoding: xchunked", body=b"0\r\n\r\n"),
    "a coding hidden by a tab": post(b"Transfer-Encoding:\tchunked, identity", body=b"0\r\n\r\n"),
    "a bare LF head": b"GET / HTTP/1.1\nHost: app\n\n",
    "a field folded": post(b"X: a\r\n b"),
    "a space before the colon": post(b"Content-Length : 4"),
    "no host": b"GET / HTTP/1.1\r\n\r\n",
    "two hosts": b"GET / HTTP/1.1\r\nHost: app\r\nHost: b\r\n\r\n",
    "a bad chunk size": post(b"Transfer-Encoding: chunked", body=b"0x3\r\nabc\r\n0\r\n\r\n"),
    "a bare LF chunk": post(b"Transfer-Encoding: chunked", body=b"3\nabc\n0\n\n"),
    "CONNECT": b"CONNECT app:443 HTTP/1.1\r\nHost: app\r\n\r\n",
    "TRACE": b"TRACE / HTTP/1.1\r\nHost: app\r\n\r\n",
    "TLS on a clear port": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n",
    "HTTP/2": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
}


@pytest.mark.parametrize("request_bytes", REFUSED.values(), ids=REFUSED.keys())
async def test_after_a_refusal_nothing_is_sent_upstream_and_the_connection_ends(
    path: Path, echo_app: RawUpstream, request_bytes: bytes
) -> None:
    client = await path.client()

    answer = await client.ask(request_bytes + SMUGGLED)

    assert answer.status == 400
    assert answer.values(b"connection") == [b"close"]
    assert await client.ended() == b""
    assert echo_app.requests == []
    assert [event.status for event in path.gate.ended] == [400]


async def test_a_head_over_the_limits_is_431_and_a_long_target_414(echo_app: RawUpstream) -> None:
    limits = HeadLimits(head_bytes=1024, line_bytes=256, fields=10)
    async with serving(echo_app.port, options=ForwardOptions(limits=limits)) as path:
        for request, status in (
            (b"GET /" + b"x" * 300 + b" HTTP/1.1\r\n", 414),
            (b"GET / HTTP/1.1\r\nHost: app\r\nX: " + b"x" * 300, 431),
            (b"GET / HTTP/1.1\r\nHost: app\r\n" + (b"X: " + b"x" * 200 + b"\r\n") * 6, 431),
            (b"GET / HTTP/1.1\r\nHost: app\r\n" + b"X: y\r\n" * 12, 431),
        ):
            client = await path.client()
            assert (await client.ask(request)).status == status
            assert await client.ended() == b""


async def test_a_chunked_body_that_breaks_later_ends_the_upstreams_request_too(
    path: Path, echo_app: RawUpstream
) -> None:
    client = await path.client()
    await client.send(post(b"Transfer-Encoding: chunked", body=b"3\r\nabc\r\n"))
    await until(lambda: echo_app.connections == 1)

    answer = await client.ask(b"zz\r\n")

    assert answer.status == 400
    assert isinstance(path.gate.faults[0], FramingRefused)
    assert await client.ended() == b""
    assert echo_app.requests == []


async def test_a_body_over_the_limit_is_413_whether_announced_or_not(echo_app: RawUpstream) -> None:
    async with serving(echo_app.port, options=ForwardOptions(max_body_size=10)) as path:
        for request in (
            post(b"Content-Length: 11", body=b"x" * 11),
            post(b"Transfer-Encoding: chunked", body=b"b\r\n" + b"x" * 11 + b"\r\n0\r\n\r\n"),
        ):
            client = await path.client()
            assert (await client.ask(request)).status == 413
            assert await client.ended() == b""

        fitting = await path.client()
        assert (await fitting.ask(post(b"Content-Length: 10", body=b"x" * 10))).status == 200
    assert len(echo_app.requests) == 1


async def test_a_chunked_body_that_grows_over_the_limit_is_413(echo_app: RawUpstream) -> None:
    async with serving(echo_app.port, options=ForwardOptions(max_body_size=10)) as path:
        client = await path.client()
        await client.send(post(b"Transfer-Encoding: chunked", body=b"8\r\n12345678\r\n"))
        await until(lambda: echo_app.connections == 1)

        assert (await client.ask(b"8\r\n12345678\r\n")).status == 413
    assert echo_app.requests == []


# --- keeping the connection


async def test_a_connection_is_kept_for_the_next_request(path: Path, echo_app: RawUpstream) -> None:
    client = await path.client()

    for number in range(3):
        assert (await client.ask(b"GET /%d HTTP/1.1\r\nHost: app\r\n\r\n" % number)).body == b"ok"

    assert [request.request_line for request in echo_app.requests] == [b"GET /%d HTTP/1.1" % n for n in range(3)]
    assert echo_app.connections == 1


async def test_a_connection_ends_when_the_client_says_so(path: Path) -> None:
    client = await path.client()

    answer = await client.ask(b"GET / HTTP/1.1\r\nHost: app\r\nConnection: close\r\n\r\n")

    assert answer.values(b"connection") == [b"close"]
    assert await client.ended() == b""


async def test_an_old_client_is_kept_only_when_it_asks(path: Path) -> None:
    leaving, staying = await path.client(), await path.client()

    left = await leaving.ask(b"GET / HTTP/1.0\r\nHost: app\r\n\r\n")
    stayed = await staying.ask(b"GET / HTTP/1.0\r\nHost: app\r\nConnection: keep-alive\r\n\r\n")

    assert left.values(b"connection") == [b"close"]
    assert await leaving.ended() == b""
    assert stayed.values(b"connection") == [b"keep-alive"]
    assert (await staying.ask(b"GET / HTTP/1.0\r\nHost: app\r\n\r\n")).body == b"ok"


async def test_requests_sent_at_once_are_answered_in_order(path: Path, echo_app: RawUpstream) -> None:
    gate = asyncio.Event()
    echo_app.script(Pause(gate), Send(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nfirst"))
    client = await path.client()

    await client.send(GET + b"GET /reply HTTP/1.1\r\nHost: app\r\n\r\n" + post(b"Content-Length: 3", body=b"abc") + GET)
    await until(lambda: echo_app.requests)
    assert len(path.gate.heads) == 1
    gate.set()

    assert (await client.answer()).body == b"first"
    assert (await client.answer()).body == b"who?"
    assert (await client.answer()).body == b"ok"
    assert (await client.answer()).body == b"ok"
    assert echo_app.requests[1].body == b"abc"


async def test_a_thousand_requests_at_once_need_no_deeper_stack(path: Path) -> None:
    client = await path.client()
    await client.send(b"GET /reply HTTP/1.1\r\nHost: app\r\n\r\n" * 2000)

    for _ in range(2000):
        assert (await client.answer()).status == 401


async def test_a_request_byte_by_byte_is_a_request(path: Path, echo_app: RawUpstream) -> None:
    client = await path.client()

    for byte in post(b"Transfer-Encoding: chunked", body=b"3\r\nabc\r\n0\r\n\r\n"):
        await client.send(bytes([byte]))
        await asyncio.sleep(0)

    assert (await client.answer()).body == b"ok"
    assert echo_app.requests[0].body.endswith(b"\r\n0\r\n\r\n")


async def test_one_empty_line_before_a_request_is_forgiven(path: Path) -> None:
    client = await path.client()

    assert (await client.ask(b"\r\n" + GET)).status == 200
    assert (await client.ask(b"\r\n" + GET)).status == 200
    assert (await client.ask(b"\r\n\r\n" + GET)).status == 400


# --- our own answers


async def test_our_own_answer_keeps_the_connection_and_skips_a_short_body(path: Path, echo_app: RawUpstream) -> None:
    client = await path.client()
    await client.send(b"POST /reply HTTP/1.1\r\nHost: app\r\nContent-Length: 6\r\n\r\nabc")

    refused = await client.answer()
    await client.send(b"def" + GET)

    assert (refused.status, refused.body) == (401, b"who?")
    assert refused.values(b"date") == [b"Fri, 15 Jan 2027 08:00:00 GMT"]
    assert (await client.answer()).body == b"ok"
    assert len(echo_app.requests) == 1


async def test_our_own_answer_ends_the_connection_when_much_or_nobody_knows_what_would_come(path: Path) -> None:
    for field in (
        b"Content-Length: %d" % (DISCARD_LIMIT + 1),
        b"Transfer-Encoding: chunked",
        b"Content-Length: 5\r\nExpect: 100-continue",
    ):
        client = await path.client()
        answer = await client.ask(b"POST /reply HTTP/1.1\r\nHost: app\r\n" + field + b"\r\n\r\n")
        assert answer.status == 401
        assert answer.values(b"connection") == [b"close"]
        assert await client.ended() == b""


async def test_a_malformed_body_behind_our_own_answer_ends_the_connection(path: Path, echo_app: RawUpstream) -> None:
    client = await path.client()

    answer = await client.ask(
        b"POST /reply HTTP/1.1\r\nHost: app\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n" + SMUGGLED
    )

    assert answer.status == 401
    assert await client.ended() == b""
    assert echo_app.requests == []


async def test_our_own_answer_to_head_has_a_length_and_no_body(path: Path) -> None:
    client = await path.client()

    answer = await client.ask(b"HEAD /reply HTTP/1.1\r\nHost: app\r\n\r\n", method=b"HEAD")

    assert answer.values(b"content-length") == [b"4"]
    assert (await client.ask(GET)).body == b"ok"


async def test_a_large_upload_that_is_refused_still_gets_its_answer(path: Path, echo_app: RawUpstream) -> None:
    client = await path.client()
    client.writer.write(b"POST /reply HTTP/1.1\r\nHost: app\r\nContent-Length: 8000000\r\n\r\n" + b"x" * 8_000_000)

    answer = await client.answer()
    async with asyncio.timeout(5):
        while client.writer.transport.get_write_buffer_size():  # noqa: ASYNC110  what is waited for has no event
            await asyncio.sleep(0.01)
        client.writer.write_eof()
        assert await client.reader.read() == b""

    assert answer.status == 401
    assert echo_app.requests == []


async def test_the_gate_may_take_its_time(path: Path, echo_app: RawUpstream) -> None:
    gate = asyncio.Event()
    path.gate.wait = gate.wait
    client = await path.client()
    await client.send(post(b"Content-Length: 3", body=b"ab"))
    await until(lambda: path.gate.heads)
    await client.send(b"c" + b"GET /reply HTTP/1.1\r\nHost: app\r\n\r\n")
    gate.set()

    assert (await client.answer()).body == b"ok"
    assert (await client.answer()).status == 401
    assert echo_app.requests[0].body == b"abc"


async def test_a_client_that_leaves_while_the_gate_thinks_gets_nothing_sent(path: Path, echo_app: RawUpstream) -> None:
    gate = asyncio.Event()
    path.gate.wait = gate.wait
    client = await path.client()
    await client.send(GET)
    await until(lambda: path.gate.heads)

    client.close()
    await until(lambda: path.data_path.open_connections == 0)
    gate.set()

    (event,) = await path.gate.ends(1)
    assert (event.status, event.fault) == (499, "client_gone")
    assert echo_app.connections == 0


async def test_what_comes_early_is_held_within_one_read(path: Path, echo_app: RawUpstream) -> None:
    gate = asyncio.Event()
    echo_app.script(Pause(gate), Send(OK))
    client = await path.client()
    client.writer.write(GET + post(b"Content-Length: 30000000") + b"x" * 30_000_000)
    await until(lambda: echo_app.requests)
    await asyncio.sleep(0.05)

    (connection,) = path.data_path._around.connections
    assert len(connection._unread) <= 2 * READ_SIZE
    gate.set()
    assert (await client.answer()).body == b"ok"
    assert (await client.answer()).body == b"ok"
    assert len(echo_app.requests[1].body) == 30_000_000


# --- silence


QUICK = ForwardOptions(head_timeout_s=0.08, idle_timeout_s=0.08, body_idle_timeout_s=0.08, linger_timeout_s=0.08)


async def test_a_new_connection_that_says_nothing_is_closed(echo_app: RawUpstream) -> None:
    async with serving(echo_app.port, options=replace(QUICK, idle_timeout_s=9.0)) as path:
        client = await path.client()

        assert await client.ended() == b""
        assert path.gate.ended == []


async def test_a_head_that_does_not_end_is_408_however_it_drips(echo_app: RawUpstream) -> None:
    async with serving(echo_app.port, options=QUICK) as path:
        client = await path.client()
        drip = asyncio.get_running_loop().create_task(_drip(client.writer))

        answer = await client.answer()

        drip.cancel()
        assert answer.status == 408
        assert isinstance(path.gate.faults[0], ClientTooSlow)
        assert await client.ended() == b""


async def test_a_later_head_has_as_little_time_as_the_first(echo_app: RawUpstream) -> None:
    async with serving(echo_app.port, options=replace(QUICK, idle_timeout_s=9.0)) as path:
        client = await path.client()
        await client.ask(GET)

        answer = await client.ask(b"GET / HTTP/1.1\r\nHost:")

        assert answer.status == 408


async def _drip(writer: asyncio.StreamWriter) -> None:
    writer.write(b"GET / HTTP/1.1\r\nX: ")
    while True:
        writer.write(b"a")
        await asyncio.sleep(0.01)


async def test_an_idle_connection_is_closed_in_silence(echo_app: RawUpstream) -> None:
    async with serving(echo_app.port, options=QUICK) as path:
        client = await path.client()
        await client.ask(GET)

        assert await client.ended() == b""
        assert len(path.gate.ended) == 1


async def test_a_body_that_stops_is_408_and_the_upstreams_request_ends(echo_app: RawUpstream) -> None:
    async with serving(echo_app.port, options=QUICK) as path:
        client = await path.client()

        answer = await client.ask(post(b"Content-Length: 5", body=b"ab"))

        assert answer.status == 408
        assert await client.ended() == b""
        assert echo_app.requests == []


async def test_a_body_that_drips_is_not_silent(echo_app: RawUpstream) -> None:
    async with serving(echo_app.port, options=replace(QUICK, body_idle_timeout_s=0.4)) as path:
        client = await path.client()
        await client.send(post(b"Content-Length: 10"))
        for _ in range(10):
            await asyncio.sleep(0.06)
            await client.send(b"x")

        assert (await client.answer()).status == 200


async def test_a_client_that_does_not_read_is_cut(echo_app: RawUpstream) -> None:
    echo_app.answer(b"HTTP/1.1 200 OK\r\nContent-Length: 50000000\r\n\r\n" + b"x" * 50_000_000)
    async with serving(echo_app.port, options=QUICK) as path:
        client = await path.client()
        client.writer.transport.pause_reading()
        await client.send(GET)

        (event,) = await path.gate.ends(1)

        assert event.fault == ClientTooSlow.reason
        await until(lambda: path.data_path.open_connections == 0)


async def test_a_client_that_reads_slowly_gets_all_of_a_last_answer(echo_app: RawUpstream) -> None:
    size = 3_000_000
    echo_app.answer(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % size + b"x" * size)
    async with serving(echo_app.port, options=replace(QUICK, body_idle_timeout_s=2.0)) as path:
        client = await path.client()
        await client.send(b"GET / HTTP/1.1\r\nHost: app\r\nConnection: close\r\n\r\n")
        read = 0
        async with asyncio.timeout(20):
            while data := await client.reader.read(200_000):
                read += len(data)
                await asyncio.sleep(0.03)

        assert read > size


async def test_connections_above_the_cap_are_closed_and_room_is_made_again(echo_app: RawUpstream) -> None:
    async with serving(echo_app.port, options=ForwardOptions(max_connections=2)) as path:
        first, second = await path.client(), await path.client()
        await until(lambda: path.data_path.open_connections == 2)
        assert await (await path.client()).ended() == b""
        assert path.data_path.refused_connections == 1

        first.close()
        await until(lambda: path.data_path.open_connections == 1)

        assert (await (await path.client()).ask(GET)).status == 200
        assert (await second.ask(GET)).status == 200


# --- leaving


async def test_when_the_client_leaves_the_upstreams_request_ends_at_once(path: Path, echo_app: RawUpstream) -> None:
    for leave in ("close", "reset", "half"):
        never = asyncio.Event()
        echo_app.script(Pause(never))
        client = await path.client()
        asked, ended = len(echo_app.requests), len(path.gate.ended)
        await client.send(GET)
        await until(lambda asked=asked: len(echo_app.requests) > asked)

        match leave:
            case "close":
                client.close()
            case "reset":
                client.reset()
            case _:
                client.writer.write_eof()

        event = (await path.gate.ends(ended + 1))[-1]
        assert (event.status, event.fault) == (499, "client_gone")
        await until(lambda: path.data_path.open_connections == 0)
        never.set()


# --- the table


def test_every_state_has_an_answer_to_every_event() -> None:
    for state in State:
        assert set(TABLE[state]) == set(Event), state
    assert len(ON_DATA) == len(State)


EXPECTED = """
    IDLE        close    idle_over      nothing  advance   drain_idle    over  read_request
    HEAD        close    head_too_slow  nothing  advance   nothing       over  read_request
    ADMITTING   gone     nothing        nothing  nothing   nothing       over  keep_for_later
    ANSWERING   gone     silence        full     writable  nothing       lost  upload
    DISCARDING  close    too_slow       nothing  nothing   nothing       over  discard
    TUNNEL      gone     nothing        full     writable  drain_tunnel  lost  tunnel_data
    LINGERING   shut     linger_over    nothing  nothing   nothing       over  drop
    CLOSED      nothing  nothing        nothing  nothing   nothing       over  drop
"""


@pytest.mark.parametrize("row", [line.split() for line in EXPECTED.strip().splitlines()], ids=lambda row: row[0])
def test_each_event_does_in_each_state_what_is_written_here(row: list[str]) -> None:
    state, *cells, data = row

    found = [TABLE[State[state]][event].__name__ for event in Event]

    assert [name.removeprefix("_") for name in found] == cells
    assert ON_DATA[State[state]].__name__.removeprefix("_") == data


@pytest.mark.parametrize("state", State)
@pytest.mark.parametrize("event", Event)
async def test_no_event_raises_in_any_state_and_a_lost_connection_is_over(
    path: Path, state: State, event: Event
) -> None:
    client = await path.client()
    await until(lambda: path.data_path.open_connections == 1)
    (connection,) = path.data_path._around.connections
    assert isinstance(connection, ClientConnection)

    connection.state = state
    connection.happen(event)
    client.reset()

    await until(lambda: path.data_path.open_connections == 0)
    assert connection.state is State.CLOSED


@pytest.mark.parametrize("state", [State.LINGERING, State.CLOSED])
async def test_bytes_after_the_last_answer_are_thrown_away(path: Path, echo_app: RawUpstream, state: State) -> None:
    client = await path.client()
    await until(lambda: path.data_path.open_connections == 1)
    (connection,) = path.data_path._around.connections
    connection.state = state

    await client.send(SMUGGLED)
    await asyncio.sleep(0.02)

    assert path.gate.heads == []
    assert echo_app.requests == []


# --- heads that come again


def with_field(field: bytes) -> bytes:
    return GET[:-2] + field + b"\r\n\r\n"


async def test_equal_heads_of_a_client_are_read_once_and_judged_each_time(path: Path, echo_app: RawUpstream) -> None:
    client = await path.client()

    first = await client.ask(GET)
    again = await client.ask(GET)
    other = await client.ask(with_field(b"X: y"))

    assert [answer.status for answer in (first, again, other)] == [200, 200, 200]
    one, same, another = path.gate.heads
    assert one is same
    assert another.value(b"x") == b"y"
    assert len(echo_app.requests) == 3


async def test_equal_heads_of_two_clients_are_two(path: Path) -> None:
    first, second = await path.client(), await path.client()

    await first.ask(GET)
    await second.ask(GET)

    one, other = path.gate.heads
    assert one == other
    assert one is not other


async def test_a_head_is_kept_only_when_it_is_short_and_no_longer_than_its_client_stays(path: Path) -> None:
    heads = path.data_path._around.heads
    client = await path.client()

    await client.ask(with_field(b"X: " + b"y" * MAX_KEPT_HEAD))
    assert not heads
    await client.ask(GET)
    assert len(heads) == 1
    client.close()

    await until(lambda: not heads)


async def test_heads_that_do_not_come_again_are_forgotten_by_the_second_sweep(path: Path) -> None:
    client = await path.client()
    await client.ask(GET)

    for _ in range(2):
        timer = path.data_path._sweep_timer
        assert timer is not None
        timer.cancel()
        path.data_path._sweep()

    assert not path.data_path._around.heads


async def test_an_equal_head_behind_another_is_read_as_if_it_had_come_alone(path: Path, echo_app: RawUpstream) -> None:
    client = await path.client()
    await client.ask(GET)

    await client.send(GET + GET)
    answers = [await client.answer() for _ in range(2)]

    assert [answer.status for answer in answers] == [200, 200]
    assert len(echo_app.requests) == 3


async def test_an_equal_head_in_two_pieces_is_one_request(path: Path, echo_app: RawUpstream) -> None:
    client = await path.client()
    await client.ask(GET)

    await client.send(GET[:9])
    await until(lambda: any(one.state is State.HEAD for one in connections(path)))
    assert (await client.ask(GET[9:])).status == 200

    assert [request.raw for request in echo_app.requests] == [GET, GET]


async def test_an_equal_head_behind_the_beginning_of_another_is_part_of_that(path: Path, echo_app: RawUpstream) -> None:
    client = await path.client()
    await client.ask(GET)

    await client.send(b"GET /begun")
    await until(lambda: any(one.state is State.HEAD for one in connections(path)))

    assert (await client.ask(GET)).status == 400
    assert len(echo_app.requests) == 1


async def test_an_equal_head_waits_while_the_client_does_not_read(path: Path) -> None:
    client = await path.client()
    await client.ask(GET)
    (connection,) = connections(path)
    connection.pause_writing()

    await client.send(GET)
    await until(lambda: connection._unread)
    assert len(path.gate.heads) == 1
    connection.resume_writing()

    assert (await client.answer()).status == 200


async def test_an_equal_head_that_announces_a_body_waits_for_it(path: Path, echo_app: RawUpstream) -> None:
    client = await path.client()
    for body in (b"abc", b"xyz"):
        await client.send(post(b"Content-Length: 3"))
        assert (await client.ask(body)).status == 200

    assert [request.body for request in echo_app.requests] == [b"abc", b"xyz"]


def connections(path: Path) -> list[ClientConnection]:
    return [one for one in path.data_path._around.connections if isinstance(one, ClientConnection)]
