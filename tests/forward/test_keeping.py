"""A body that is read for whoever keeps it, and one that was kept and is sent in the place of another request."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import pytest

from proxy.core.answer import Answer
from proxy.core.kept import NotKept
from proxy.forward.client import DISCARD_LIMIT
from proxy.forward.keeping import MAX_HELD_BYTES, MAX_HELD_BYTES_OF_ONE
from proxy.forward.options import ForwardOptions
from proxy.ports import Admission, KeepBody, Reply, SendKept
from tests.forward.dialogue import FewWords, new_event, serving, until
from tests.support.ports import free_port
from tests.support.raw_upstream import Close, RawUpstream, Send

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from proxy.core.request import RequestHead
    from tests.forward.dialogue import Path

GET = b"GET / HTTP/1.1\r\nHost: app\r\n\r\n"
KEEP = b"POST /keep HTTP/1.1\r\nHost: app\r\n"
BACK = b"GET /back HTTP/1.1\r\nHost: app\r\n\r\n"
SMUGGLED = b"GET /smuggled HTTP/1.1\r\nHost: app\r\n\r\n"
LIMIT = 100_000
SIZE_S = b"Content-Length: %d\r\n\r\n"


@dataclass
class Keeper:
    """What a test sees of keeping: ``/keep`` is kept, ``/back`` sends ``body`` on."""

    kept: list[bytes] = field(default_factory=list)
    refused: list[NotKept] = field(default_factory=list)
    given_back: int = 0
    body: bytes = b""
    wait: Callable[[], Awaitable[object]] | None = None

    def on(self, gate: FewWords) -> Keeper:
        ordinary = gate.admission

        def admission(head: RequestHead) -> Admission:
            if head.target == b"/keep":
                return self.keeping((head.value(b"x-owner") or b"alice").decode())
            if head.target == b"/back":
                forward = gate.forward(head, method=b"POST", target=b"/save")
                return SendKept(forward=forward, body=self.body, give_back=self.give_back)
            return ordinary(head)

        gate.admission = admission  # type: ignore[method-assign]
        return self

    def keeping(self, owner: str) -> KeepBody:
        event = new_event()

        def reply(text: bytes) -> Reply:
            return Reply(answer=Answer(303, ((b"Location", b"/login"),), text), event=event)

        async def keep(body: bytes) -> Reply:
            if self.wait is not None:
                await self.wait()
            self.kept.append(body)
            return reply(b"kept")

        def refuse(why: NotKept) -> Reply:
            self.refused.append(why)
            return reply(why.encode())

        return KeepBody(
            event=event, owner=owner, max_bytes=LIMIT, keep=keep, refuse=refuse, lead=lambda _: reply(b"led")
        )

    async def give_back(self) -> None:
        self.given_back += 1


@pytest.fixture
def keeper(path: Path) -> Keeper:
    return Keeper().on(path.gate)


def held(path: Path) -> int:
    return path.data_path._around.held_bytes


# --- reading


async def test_a_whole_body_is_kept_and_the_connection_goes_on(
    path: Path, keeper: Keeper, echo_app: RawUpstream
) -> None:
    client = await path.client()
    await client.send(KEEP + SIZE_S % 6 + b"abc")
    await until(lambda: held(path) == 3)
    await client.send(b"def" + GET)

    answer = await client.answer()

    assert (answer.status, answer.body) == (303, b"kept")
    assert (await client.answer()).body == b"ok"
    assert keeper.kept == [b"abcdef"]
    assert [request.request_line for request in echo_app.requests] == [b"GET / HTTP/1.1"]
    assert held(path) == 0
    assert [event.status for event in path.gate.ended] == [303, 200]
    assert path.gate.ended[0].bytes_in == 6


async def test_chunks_are_kept_without_their_framing(path: Path, keeper: Keeper) -> None:
    client = await path.client()

    answer = await client.ask(
        KEEP + b"Transfer-Encoding: chunked\r\n\r\n3;x\r\nabc\r\n1\r\nd\r\n0\r\nX: y\r\n\r\n" + GET
    )

    assert answer.body == b"kept"
    assert (await client.answer()).body == b"ok"
    assert keeper.kept == [b"abcd"]


async def test_no_body_is_kept_as_an_empty_one(path: Path, keeper: Keeper) -> None:
    client = await path.client()

    for head in (SIZE_S % 0, b"\r\n"):
        assert (await client.ask(KEEP + head)).body == b"kept"
    assert keeper.kept == [b"", b""]


async def test_the_largest_body_that_may_be_is_kept(path: Path, keeper: Keeper) -> None:
    client = await path.client()

    assert (await client.ask(KEEP + SIZE_S % LIMIT + b"x" * LIMIT)).body == b"kept"
    assert keeper.kept == [b"x" * LIMIT]


async def test_a_client_that_asks_first_is_told_to_go_on(path: Path, keeper: Keeper) -> None:
    client = await path.client()

    interim = await client.ask(KEEP + b"Expect: 100-continue\r\n" + SIZE_S % 3)
    answer = await client.ask(b"abc")

    assert interim.status == 100
    assert answer.body == b"kept"


async def test_a_body_announced_too_large_is_refused_before_it_comes(path: Path, keeper: Keeper) -> None:
    client = await path.client()

    answer = await client.ask(KEEP + b"Expect: 100-continue\r\n" + SIZE_S % (LIMIT + 1))

    assert (answer.status, answer.body) == (303, b"too_large")
    assert keeper.kept == []
    assert await client.ended() == b""


async def test_what_is_left_of_a_large_body_is_treated_as_after_every_refusal(
    path: Path, keeper: Keeper, echo_app: RawUpstream
) -> None:
    short, long = await path.client(), await path.client()
    size = LIMIT + 1

    await short.send(KEEP + SIZE_S % size + b"x" * (size - DISCARD_LIMIT))
    assert (await short.answer()).body == b"too_large"
    await short.send(b"x" * DISCARD_LIMIT + GET)
    assert (await short.answer()).body == b"ok"
    answer = await long.ask(KEEP + SIZE_S % (size + DISCARD_LIMIT))
    assert answer.values(b"connection") == [b"close"]
    assert await long.ended() == b""
    assert [request.request_line for request in echo_app.requests] == [b"GET / HTTP/1.1"]
    assert keeper.refused == [NotKept.TOO_LARGE] * 2


async def test_chunks_without_end_are_refused_at_the_limit(path: Path, keeper: Keeper, echo_app: RawUpstream) -> None:
    client = await path.client()
    chunk = b"8000\r\n" + b"x" * 0x8000 + b"\r\n"
    await client.send(KEEP + b"Transfer-Encoding: chunked\r\n\r\n" + chunk)
    await until(lambda: held(path) == 0x8000)

    client.writer.write(chunk * 40)

    answer = await client.answer()
    assert answer.body == b"too_large"
    assert answer.values(b"connection") == [b"close"]
    assert (keeper.kept, held(path), echo_app.connections) == ([], 0, 0)


async def test_a_body_that_comes_byte_by_byte_takes_no_more_room_than_its_bytes(path: Path, keeper: Keeper) -> None:
    client = await path.client()
    await client.send(KEEP + SIZE_S % 200)
    for _ in range(200):
        await client.send(b"x")

    assert (await client.answer()).body == b"kept"
    assert keeper.kept == [b"x" * 200]


async def test_all_that_is_held_at_once_is_bounded(path: Path, keeper: Keeper) -> None:
    around, client = path.data_path._around, await path.client()
    around.held_bytes = MAX_HELD_BYTES - 10

    full = await client.ask(KEEP + SIZE_S % 11 + b"x" * 11)
    fits = await client.ask(KEEP + SIZE_S % 10 + b"x" * 10)

    assert (full.body, fits.body) == (b"full", b"kept")
    assert around.held_bytes == MAX_HELD_BYTES - 10


async def test_one_person_on_many_slow_connections_keeps_nobody_else_out(path: Path, keeper: Keeper) -> None:
    around, client, other = path.data_path._around, await path.client(), await path.client()
    slow = [await path.client() for _ in range(MAX_HELD_BYTES_OF_ONE // (LIMIT - 1))]
    for each in slow:
        each.writer.write(KEEP + SIZE_S % LIMIT + b"x" * (LIMIT - 1))
    await until(lambda: around.held_of == {"alice": len(slow) * (LIMIT - 1)})

    full = await client.ask(KEEP + SIZE_S % LIMIT + b"x" * LIMIT)
    fits = await other.ask(KEEP + b"X-Owner: bob\r\n" + SIZE_S % LIMIT + b"x" * LIMIT)
    for each in slow:
        each.close()
    await path.gate.ends(len(slow) + 2)

    assert (full.body, fits.body) == (b"full", b"kept")
    assert (around.held_bytes, around.held_of) == (0, {})


async def test_much_that_came_while_the_gate_asked_is_kept_too(path: Path, keeper: Keeper) -> None:
    gate = asyncio.Event()
    path.gate.wait = gate.wait
    client = await path.client()
    await client.send(KEEP + SIZE_S % LIMIT)
    await until(lambda: path.gate.heads)
    client.writer.write(b"x" * LIMIT)
    (connection,) = path.data_path._around.connections
    await until(lambda: connection._is_held)  # type: ignore[attr-defined]
    gate.set()

    assert (await client.answer()).body == b"kept"
    assert keeper.kept == [b"x" * LIMIT]


# --- bodies that break


async def test_a_body_that_stops_is_408_and_nothing_is_held(echo_app: RawUpstream) -> None:
    async with serving(echo_app.port, options=ForwardOptions(body_idle_timeout_s=0.1)) as path:
        keeper = Keeper().on(path.gate)
        client = await path.client()

        answer = await client.ask(KEEP + SIZE_S % 6 + b"abc")

        assert answer.status == 408
        assert await client.ended() == b""
        assert (keeper.kept, held(path)) == ([], 0)


async def test_a_malformed_body_is_400_and_nothing_behind_it_is_read(
    path: Path, keeper: Keeper, echo_app: RawUpstream
) -> None:
    client = await path.client()
    await client.send(KEEP + b"Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n")
    await until(lambda: held(path) == 3)

    answer = await client.ask(b"zz\r\n" + SMUGGLED)

    assert answer.status == 400
    assert await client.ended() == b""
    assert (keeper.kept, held(path), echo_app.requests) == ([], 0, [])


async def test_a_body_over_the_sites_own_limit_is_413(echo_app: RawUpstream) -> None:
    async with serving(echo_app.port, options=ForwardOptions(max_body_size=10)) as path:
        keeper = Keeper().on(path.gate)
        client = await path.client()

        assert (await client.ask(KEEP + SIZE_S % 11 + b"x" * 11)).status == 413
        assert keeper.kept == []


@pytest.mark.parametrize("leave", ["close", "reset", "end of writing"])
async def test_a_client_that_leaves_within_its_body_leaves_nothing(path: Path, keeper: Keeper, leave: str) -> None:
    client = await path.client()
    await client.send(KEEP + SIZE_S % 6 + b"abc")
    await until(lambda: held(path) == 3)

    match leave:
        case "close":
            client.close()
        case "reset":
            client.reset()
        case _:
            client.writer.write_eof()

    (event,) = await path.gate.ends(1)
    assert (event.status, event.fault) == (499, "client_gone")
    assert (keeper.kept, held(path)) == ([], 0)


async def test_a_client_that_leaves_while_its_body_is_being_kept_is_told_of_once(path: Path, keeper: Keeper) -> None:
    may_go_on = asyncio.Event()
    keeper.wait = may_go_on.wait
    client = await path.client()
    await client.send(KEEP + SIZE_S % 3 + b"abc")
    await until(lambda: held(path) == 3)

    client.reset()
    await path.gate.ends(1)
    assert held(path) == 3, "who leaves early could have any number of bodies kept at once"
    may_go_on.set()
    await until(lambda: keeper.kept)

    assert [event.status for event in path.gate.ended] == [499]
    assert held(path) == 0


async def test_a_defect_of_the_keeper_is_answered_and_holds_nothing(path: Path, keeper: Keeper) -> None:
    async def break_down() -> None:
        raise RuntimeError("a defect")

    keeper.wait = break_down
    client = await path.client()

    assert (await client.ask(KEEP + SIZE_S % 3 + b"abc")).body == b"full"
    assert held(path) == 0


async def test_what_is_sent_behind_a_body_waits_for_its_answer(
    path: Path, keeper: Keeper, echo_app: RawUpstream
) -> None:
    may_go_on = asyncio.Event()
    keeper.wait = may_go_on.wait
    client = await path.client()
    await client.send(KEEP + SIZE_S % 3 + b"abc" + GET + KEEP + SIZE_S % 1 + b"d")
    await until(lambda: held(path) == 3)
    assert echo_app.requests == []
    may_go_on.set()

    assert [(await client.answer()).body for _ in range(3)] == [b"kept", b"ok", b"kept"]
    assert keeper.kept == [b"abc", b"d"]


# --- sending on


async def test_what_was_kept_is_sent_in_the_place_of_the_get_and_framed_anew(
    path: Path, keeper: Keeper, echo_app: RawUpstream
) -> None:
    keeper.body = b"a=1"
    client = await path.client()

    answer = await client.ask(BACK)

    assert answer.body == b"ok"
    (request,) = echo_app.requests
    assert request.raw == b"POST /save HTTP/1.1\r\nHost: app\r\nContent-Length: 3\r\n\r\na=1"
    assert (await client.ask(GET)).body == b"ok"
    assert path.gate.ended[0].bytes_in == 3
    assert keeper.given_back == 0


async def test_an_empty_form_is_sent_with_its_length(path: Path, keeper: Keeper, echo_app: RawUpstream) -> None:
    client = await path.client()

    await client.ask(BACK)

    assert echo_app.requests[0].raw == b"POST /save HTTP/1.1\r\nHost: app\r\nContent-Length: 0\r\n\r\n"


async def test_a_large_one_is_sent_whole(path: Path, keeper: Keeper, echo_app: RawUpstream) -> None:
    keeper.body = bytes(range(256)) * 4096
    client = await path.client()

    await client.ask(BACK)

    assert echo_app.requests[0].body == keeper.body


async def test_it_goes_over_no_connection_that_was_idle(path: Path, keeper: Keeper, echo_app: RawUpstream) -> None:
    keeper.body = b"a=1"
    client = await path.client()
    await client.ask(GET)

    await client.ask(BACK)

    assert [request.connection for request in echo_app.requests] == [0, 1]


async def test_it_goes_over_the_connection_that_belongs_to_its_client_alone(
    path: Path, keeper: Keeper, echo_app: RawUpstream
) -> None:
    """What the app knows of somebody by NTLM it knows of that connection only."""
    keeper.body = b"a=1"
    client = await path.client()
    await client.ask(b"GET / HTTP/1.1\r\nHost: app\r\nAuthorization: NTLM aaa\r\n\r\n")

    await client.ask(BACK)

    assert [request.connection for request in echo_app.requests] == [0, 0]
    assert echo_app.requests[1].body == b"a=1"


async def test_what_could_not_be_sent_is_given_back() -> None:
    async with serving(free_port()) as path:
        keeper = Keeper(body=b"a=1").on(path.gate)
        client = await path.client()

        answer = await client.ask(BACK)

        assert answer.status == 502
        await until(lambda: keeper.given_back == 1)


async def test_what_may_have_arrived_is_not_sent_twice(path: Path, keeper: Keeper, echo_app: RawUpstream) -> None:
    keeper.body = b"a=1"
    echo_app.script(Close())
    client = await path.client()

    answer = await client.ask(BACK)

    assert answer.status == 502
    assert (len(echo_app.requests), keeper.given_back) == (1, 0)


async def test_a_client_that_left_before_it_was_sent_loses_nothing(
    path: Path, keeper: Keeper, echo_app: RawUpstream
) -> None:
    gate = asyncio.Event()
    path.gate.wait = gate.wait
    client = await path.client()
    await client.send(BACK)
    await until(lambda: path.gate.heads)

    client.close()
    await until(lambda: path.data_path.open_connections == 0)
    gate.set()

    (event,) = await path.gate.ends(1)
    await until(lambda: keeper.given_back == 1)
    assert (event.status, echo_app.connections) == (499, 0)


async def test_a_request_with_a_body_of_its_own_is_no_place_for_it(
    path: Path, keeper: Keeper, echo_app: RawUpstream
) -> None:
    client = await path.client()

    answer = await client.ask(b"GET /back HTTP/1.1\r\nHost: app\r\nContent-Length: 3\r\n\r\nabc")

    assert answer.status == 400
    assert echo_app.connections == 0
    await until(lambda: keeper.given_back == 1)


async def test_a_slow_answer_to_it_goes_the_way_of_every_answer(
    path: Path, keeper: Keeper, echo_app: RawUpstream
) -> None:
    keeper.body = b"a=1"
    echo_app.script(Send(b"HTTP/1.1 303 See Other\r\nLocation: /done\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"))
    client = await path.client()

    answer = await client.ask(BACK)

    assert (answer.status, answer.values(b"location")) == (303, [b"/done"])
