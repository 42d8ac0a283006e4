"""Streams end with their session, and with their right: each once, all of them, and only its own."""

from __future__ import annotations

import asyncio
import dataclasses
import gc
from typing import TYPE_CHECKING

import pytest
from msgspec.structs import replace

from proxy.core.routing import AUTHENTICATED, OPTIONAL, compile_access
from proxy.core.secret import Secret
from proxy.core.session import EndCause, Session, SessionKey, session_key
from proxy.errors import ProviderUnavailable, StreamsFull
from proxy.sessions import live as live_module
from proxy.sessions.live import CLOSE_SLICE, LiveStreamRegistry
from tests.support.clocks import START
from tests.support.observers import RecordingObserver
from tests.support.sessions import make_bearer, make_session
from tests.support.streams import ENDED, RIGHTS_LOST, FakeStream, admit, make_stream

if TYPE_CHECKING:
    from collections.abc import Callable

    from proxy.core.routing import Access
    from proxy.ports import Forward

ALICE, BOB = Secret("alice"), Secret("bob")
A, B = session_key(ALICE), session_key(BOB)
ADMINS = compile_access({"any_role": ["admin"]})


@pytest.fixture
def observer() -> RecordingObserver:
    return RecordingObserver()


@pytest.fixture
def registry(observer: RecordingObserver) -> LiveStreamRegistry:
    return LiveStreamRegistry(observer, max_streams=4)


def opened(registry: LiveStreamRegistry, cookie: Secret = ALICE) -> FakeStream:
    stream = make_stream(cookie)
    registry.opened(stream, session_key(cookie))
    return stream


def with_roles(*roles: str, version: int = 1) -> Session:
    session = make_session(ALICE, version=version)
    return dataclasses.replace(session, identity=replace(session.identity, roles=frozenset(roles)))


def admin_stream(registry: LiveStreamRegistry) -> FakeStream:
    stream = make_stream(ALICE, access=ADMINS, session=with_roles("admin"))
    registry.opened(stream, A)
    return stream


# --- the session ends


async def test_every_stream_of_the_session_is_closed_with_the_cause(registry: LiveStreamRegistry) -> None:
    streams = [opened(registry), opened(registry)]

    assert registry.session_ended(A, EndCause.BACKCHANNEL) == 2
    assert [stream.ends for stream in streams] == [[ENDED], [ENDED]]
    assert str(streams[0].faults[0]).endswith("backchannel")
    assert len(registry) == 0


async def test_the_streams_of_others_do_not_notice(registry: LiveStreamRegistry) -> None:
    bobs = opened(registry, BOB)

    assert registry.session_ended(A, EndCause.LOGOUT) == 0
    assert bobs.ends == []
    assert len(registry) == 1


async def test_a_stream_is_closed_once(registry: LiveStreamRegistry) -> None:
    stream = opened(registry)
    registry.session_ended(A, EndCause.LOGOUT)

    assert registry.session_ended(A, EndCause.LOGOUT) == 0
    assert len(stream.ends) == 1


async def test_a_stream_that_ended_by_itself_is_not_closed(registry: LiveStreamRegistry) -> None:
    stream = opened(registry)
    registry.over(stream, A)
    registry.over(stream, A)

    assert len(registry) == 0
    assert registry.session_ended(A, EndCause.LOGOUT) == 0
    assert stream.ends == []
    assert list(registry.session_keys()) == []


async def test_hearing_of_its_end_after_it_was_closed_changes_nothing(registry: LiveStreamRegistry) -> None:
    stream = opened(registry)
    stream.on_end = lambda: registry.over(stream, A)
    registry.session_ended(A, EndCause.LOGOUT)
    registry.over(stream, A)

    assert len(registry) == 0


async def test_a_stream_whose_closing_raises_does_not_keep_the_others_open(
    registry: LiveStreamRegistry, observer: RecordingObserver
) -> None:
    def broken() -> None:
        raise RuntimeError("the transport is gone")

    streams = [opened(registry) for _ in range(4)]
    streams[0].on_end = streams[2].on_end = broken

    assert registry.session_ended(A, EndCause.LOGOUT) == 4
    assert [len(stream.ends) for stream in streams] == [1, 1, 1, 1]
    assert len(observer.errors) == 2
    assert len(registry) == 0


async def test_at_the_cap_a_stream_that_could_not_be_closed_is_refused(registry: LiveStreamRegistry) -> None:
    streams = [opened(registry) for _ in range(4)]

    with pytest.raises(StreamsFull):
        opened(registry, BOB)

    registry.over(streams[0], A)
    opened(registry, BOB)
    assert len(registry) == 4


async def test_a_stream_that_opens_a_moment_after_its_session_ended_is_closed(registry: LiveStreamRegistry) -> None:
    registry.session_ended(A, EndCause.BACKCHANNEL)

    stream = opened(registry)
    assert stream.ends == []
    await asyncio.sleep(0)

    assert stream.ends == [ENDED]
    assert len(registry) == 0


async def test_what_is_remembered_of_sessions_is_bounded_and_the_oldest_goes(
    registry: LiveStreamRegistry, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(live_module, "MAX_RECENT", 10)
    for n in range(100):
        registry.session_ended(SessionKey(str(n)), EndCause.LOGOUT)
    registry.session_ended(SessionKey("95"), EndCause.LOGOUT)

    assert list(registry._recent) == [*(str(n) for n in range(90, 100) if n != 95), "95"]


# --- the session loses a right


async def test_a_stream_that_would_not_be_allowed_any_more_is_closed(registry: LiveStreamRegistry) -> None:
    stream = admin_stream(registry)

    assert registry.session_changed(with_roles("viewer", version=2), START) == 1
    assert stream.ends == [RIGHTS_LOST]
    assert len(registry) == 0


async def test_streams_of_the_same_session_that_are_allowed_still_stay(registry: LiveStreamRegistry) -> None:
    lost, kept = admin_stream(registry), opened(registry)
    bobs = opened(registry, BOB)

    registry.session_changed(with_roles(version=2), START)

    assert (lost.ends, kept.ends, bobs.ends) == ([RIGHTS_LOST], [], [])
    assert len(registry) == 2


async def test_a_session_that_keeps_its_rights_keeps_its_streams(registry: LiveStreamRegistry) -> None:
    stream = admin_stream(registry)

    assert registry.session_changed(with_roles("admin", "viewer", version=2), START) == 0
    assert stream.ends == []


@pytest.mark.parametrize("access", [OPTIONAL, AUTHENTICATED])
async def test_a_stream_for_which_a_session_is_enough_stays_whatever_the_roles(
    registry: LiveStreamRegistry, access: object
) -> None:
    stream = make_stream(ALICE, access=access)  # type: ignore[arg-type]
    registry.opened(stream, A)

    registry.session_changed(with_roles(version=2), START)

    assert stream.ends == []


async def test_a_stream_decided_for_what_the_session_was_before_puts_it_in_doubt(registry: LiveStreamRegistry) -> None:
    registry.session_changed(with_roles(version=2), START)

    late = admin_stream(registry)

    assert late.ends == []
    assert registry.has_doubts.is_set()
    assert registry.take_doubts() == {A}


async def test_a_stream_decided_for_what_the_session_is_now_raises_no_doubt(registry: LiveStreamRegistry) -> None:
    now = with_roles("admin", version=2)
    registry.session_changed(now, START)

    registry.opened(make_stream(ALICE, access=ADMINS, session=now), A)

    assert not registry.has_doubts.is_set()
    assert registry.take_doubts() == set()


async def test_a_session_that_ended_after_a_change_counts_as_ended(registry: LiveStreamRegistry) -> None:
    registry.session_changed(with_roles(version=2), START)
    registry.session_ended(A, EndCause.LOGOUT)

    stream = opened(registry)
    await asyncio.sleep(0)

    assert stream.ends == [ENDED]


async def test_streams_of_a_session_that_nobody_can_confirm_close_and_new_ones_may_open(
    registry: LiveStreamRegistry,
) -> None:
    stream = opened(registry)

    assert registry.unconfirmed(A, ProviderUnavailable("away")) == 1

    assert stream.ends == [ProviderUnavailable.reason]
    again = opened(registry)
    await asyncio.sleep(0)
    assert again.ends == []
    assert len(registry) == 1


# --- the session goes on as another one


def heir(**changes: object) -> Session:
    return make_session(BOB, subject="alice-id", **changes)


def goes_on(registry: LiveStreamRegistry, session: Session | None = None) -> int:
    return registry.moved(A, session or heir(), cookie_value=BOB, now=START)


async def test_streams_move_and_stay_open_when_the_old_session_is_ended_for_it(registry: LiveStreamRegistry) -> None:
    stream = opened(registry)

    assert goes_on(registry) == 1
    assert registry.session_ended(A, EndCause.REPLACED) == 0

    assert (stream.ends, set(registry.session_keys()), len(registry)) == ([], {B}, 1)
    found = registry.heir(B)
    assert found is not None
    assert (found.session, found.cookie_value) == (heir(), BOB)
    assert registry.session_ended(B, EndCause.LOGOUT) == 1
    assert stream.ends == [ENDED]
    assert (registry.heir(B), len(registry)) == (None, 0)


async def test_a_stream_that_moved_is_over_by_the_name_under_which_it_opened(registry: LiveStreamRegistry) -> None:
    first, second = opened(registry), opened(registry)
    goes_on(registry)

    registry.over(first, A)
    registry.over(first, A)

    assert registry.streams_of(B) == {second}
    registry.over(second, A)
    assert (len(registry), registry.heir(B), set(registry.session_keys())) == (0, None, set())


async def test_streams_that_open_a_moment_too_late_move_too(registry: LiveStreamRegistry) -> None:
    goes_on(registry)
    registry.session_ended(A, EndCause.REPLACED)

    late = opened(registry)
    await asyncio.sleep(0)

    assert (late.ends, registry.streams_of(B), len(registry)) == ([], {late}, 1)
    assert registry.take_doubts() == {B}


async def test_a_late_stream_of_a_session_whose_heir_ended_closes(registry: LiveStreamRegistry) -> None:
    goes_on(registry)
    registry.session_ended(B, EndCause.BACKCHANNEL)

    late = opened(registry)
    await asyncio.sleep(0)

    assert late.ends == [ENDED]
    assert len(registry) == 0


async def test_streams_that_the_heir_would_not_be_allowed_close(registry: LiveStreamRegistry) -> None:
    stream, other = admin_stream(registry), opened(registry)

    goes_on(registry)

    assert (stream.ends, other.ends) == ([RIGHTS_LOST], [])
    assert registry.streams_of(B) == {other}


async def test_streams_move_with_each_further_step(registry: LiveStreamRegistry) -> None:
    stream = opened(registry)
    third = Secret("third")
    goes_on(registry)

    registry.moved(B, make_session(third, subject="alice-id"), cookie_value=third, now=START)

    assert registry.streams_of(session_key(third)) == {stream}
    registry.over(stream, A)
    assert len(registry) == 0


@pytest.mark.parametrize("stated", [{"acr": "gold"}, {"max_age": 60}])
async def test_how_and_when_somebody_proved_who_they_are_is_not_asked_of_an_open_stream_again(
    registry: LiveStreamRegistry, stated: dict[str, object]
) -> None:
    access = compile_access({**stated, "any_role": ["admin"]})
    proved = dataclasses.replace(with_roles("admin"), acr="gold", authenticated_at=START)
    stream = make_stream(ALICE, access=access, session=proved)
    registry.opened(stream, A)

    registry.session_changed(dataclasses.replace(proved, acr="silver", authenticated_at=START - 900, version=2), START)
    assert stream.ends == []

    registry.session_changed(dataclasses.replace(with_roles(), acr="gold", version=3), START)
    assert stream.ends == [RIGHTS_LOST]


# --- doubt


async def test_only_sessions_with_streams_can_be_in_doubt(registry: LiveStreamRegistry) -> None:
    opened(registry)

    registry.in_doubt(B)
    assert not registry.has_doubts.is_set()

    registry.in_doubt(A)
    assert registry.take_doubts() == {A}


async def test_a_doubt_is_given_out_once(registry: LiveStreamRegistry) -> None:
    opened(registry)
    opened(registry, BOB)
    registry.all_in_doubt()

    assert registry.take_doubts() == {A, B}
    assert not registry.has_doubts.is_set()
    assert registry.take_doubts() == set()


async def test_where_no_stream_is_open_there_is_no_doubt(registry: LiveStreamRegistry) -> None:
    registry.all_in_doubt()

    assert not registry.has_doubts.is_set()


# --- a thousand at once


async def turns_until_closed(streams: list[FakeStream]) -> int:
    turns = 0
    while not all(stream.ends for stream in streams):
        await asyncio.sleep(0)
        turns += 1
        assert turns < 1000
    return turns


async def test_a_thousand_streams_close_a_slice_in_each_turn_of_the_loop(observer: RecordingObserver) -> None:
    registry = LiveStreamRegistry(observer)
    streams = [opened(registry) for _ in range(1000)]

    assert registry.session_ended(A, EndCause.BACKCHANNEL) == 1000

    assert len(registry) == 0
    assert sum(bool(stream.ends) for stream in streams) == CLOSE_SLICE
    assert await turns_until_closed(streams) >= 1000 // CLOSE_SLICE
    assert all(len(stream.ends) == 1 for stream in streams)


async def test_a_thousand_sessions_that_end_in_one_turn_share_its_slice(observer: RecordingObserver) -> None:
    registry = LiveStreamRegistry(observer)
    cookies = [Secret(f"cookie-{n}") for n in range(1000)]
    streams = [opened(registry, cookie) for cookie in cookies]

    for cookie in cookies:
        registry.session_ended(session_key(cookie), EndCause.ADMIN)

    assert sum(bool(stream.ends) for stream in streams) == CLOSE_SLICE
    await turns_until_closed(streams)


async def test_the_next_turn_has_its_whole_slice_again(observer: RecordingObserver) -> None:
    registry = LiveStreamRegistry(observer)
    first = [opened(registry) for _ in range(CLOSE_SLICE)]
    registry.session_ended(A, EndCause.LOGOUT)
    await asyncio.sleep(0)
    second = [opened(registry, BOB) for _ in range(CLOSE_SLICE)]

    registry.session_ended(B, EndCause.LOGOUT)

    assert all(stream.ends for stream in first + second)


# --- the rules change


def admits(access: Access | None) -> Callable[[Forward], Access | None]:
    return lambda _: access


async def test_streams_that_nobody_may_have_by_new_rules_close(registry: LiveStreamRegistry) -> None:
    stream = opened(registry)

    await registry.judge_anew(admits(None), now=lambda: START)

    assert stream.ends == [RIGHTS_LOST]
    assert len(registry) == 0


async def test_after_new_rules_the_store_says_who_a_session_is_and_the_new_rules_whether_that_is_enough(
    registry: LiveStreamRegistry,
) -> None:
    stream = opened(registry)

    await registry.judge_anew(admits(ADMINS), now=lambda: START)
    assert registry.take_doubts() == {A}
    assert stream.ends == []

    registry.judge(with_roles("admin"), START)
    assert stream.ends == []
    registry.judge(with_roles("viewer"), START)
    assert stream.ends == [RIGHTS_LOST]


async def test_by_milder_rules_a_stream_stays_when_its_session_loses_what_was_demanded_before(
    registry: LiveStreamRegistry,
) -> None:
    stream = admin_stream(registry)

    await registry.judge_anew(admits(AUTHENTICATED), now=lambda: START)
    registry.session_changed(with_roles("viewer", version=2), START)

    assert stream.ends == []


async def test_a_bearers_rights_are_known_at_once(registry: LiveStreamRegistry) -> None:
    bearer = make_bearer(Secret("token"))
    stream = FakeStream(admit(None, session=bearer))
    registry.opened_by_bearer(stream, bearer)

    await registry.judge_anew(admits(AUTHENTICATED), now=lambda: START)
    assert stream.ends == []

    await registry.judge_anew(admits(ADMINS), now=lambda: START)
    assert stream.ends == [RIGHTS_LOST]


async def test_many_streams_are_judged_in_slices_and_those_that_end_meanwhile_are_left_alone(
    observer: RecordingObserver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(live_module, "JUDGE_SLICE", 1)
    registry = LiveStreamRegistry(observer)
    streams = [opened(registry) for _ in range(5)]
    judging = asyncio.get_running_loop().create_task(registry.judge_anew(admits(None), now=lambda: START))

    await asyncio.sleep(0)
    assert sum(len(stream.ends) for stream in streams) == 1
    for stream in streams:
        registry.over(stream, A)
    await judging

    assert sum(len(stream.ends) for stream in streams) == 1


async def test_what_is_demanded_of_a_stream_is_forgotten_with_it(registry: LiveStreamRegistry) -> None:
    stream = opened(registry)
    await registry.judge_anew(admits(ADMINS), now=lambda: START)
    assert len(registry._demanded) == 1

    registry.over(stream, A)
    del stream
    gc.collect()

    assert len(registry._demanded) == 0


# --- who hears of changes


def test_who_listens_hears_of_each_session_that_ended_or_changed_with_streams_or_without(
    registry: LiveStreamRegistry,
) -> None:
    heard: list[SessionKey] = []
    stop = registry.hear(heard.append)

    registry.session_ended(A, EndCause.LOGOUT)
    registry.session_changed(with_roles("viewer"), START)
    registry.in_doubt(B)
    registry.moved(A, make_session(BOB), cookie_value=BOB, now=START)

    assert heard == [A, A, B, A]
    stop()
    registry.session_ended(B, EndCause.LOGOUT)
    assert heard == [A, A, B, A]
