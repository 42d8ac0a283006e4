"""A session of which only a stream is open is refreshed, stays, and ends, as if somebody asked for it."""

from __future__ import annotations

import asyncio
import dataclasses
from typing import TYPE_CHECKING, Any

import pytest
from msgspec.structs import replace

from proxy.core.routing import Activity, compile_access
from proxy.core.secret import Secret
from proxy.core.session import EndCause, Session, session_key
from proxy.errors import Draining, ProviderUnavailable, StoreUnavailable
from proxy.ports import NotCached
from proxy.sessions.live import LiveStreamRegistry
from proxy.sessions.memory import MemoryLimits, MemorySessionStore
from proxy.sessions.stream_keeper import (
    LONG_STREAM_S,
    LOOK_SLICE,
    MAX_ASKING,
    MAX_WAIT_S,
    PROVIDER_PATIENCE_S,
    STORE_PATIENCE_S,
    TICK_S,
    StreamKeeper,
)
from tests.support.clocks import START, FakeClock
from tests.support.eventually import eventually
from tests.support.observers import RecordingObserver
from tests.support.sessions import make_session, make_tokens
from tests.support.stores import FailingSessionStore
from tests.support.streams import ENDED, RIGHTS_LOST, FakeStream, admit

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable

A, B = Secret("cookie-a"), Secret("cookie-b")
ADMINS = compile_access({"any_role": ["admin"]})


class ByHand:
    """A refresher: ready until the access token is half over; then does what the test says."""

    def __init__(self, store: FailingSessionStore, clock: FakeClock) -> None:
        self._store = store
        self._clock = clock
        self.asked: list[Secret] = []
        self.fault: Exception | None = None
        self.refuses = False
        self.waits_for: asyncio.Event | None = None
        self.change: Callable[[Session], Session] = lambda session: session

    def ready(self, session: Session) -> bool:
        assert session.tokens.access_expires_at is not None
        return self._clock.now() < session.tokens.access_expires_at - 150

    async def fresh(self, cookie_value: Secret, session: Session) -> Session | None:
        self.asked.append(cookie_value)
        if self.waits_for is not None:
            await self.waits_for.wait()
        if self.fault is not None:
            raise self.fault
        if self.refuses:
            await self._store.delete(session.key, EndCause.REFRESH_REFUSED)
            return None
        now = self._clock.now()
        tokens = make_tokens(session.version + 1, obtained_at=now, access_expires_at=now + 300)
        stored: Session | None = await self._store.replace(
            cookie_value, self.change(dataclasses.replace(session, tokens=tokens))
        )
        return stored


class RemoteStore(FailingSessionStore):
    """A store on the other side of a network: unless ``is_trusted``, its copies count for nothing."""

    is_trusted = True

    def cached(self, cookie_value: Secret) -> Session | NotCached | None:
        return super().cached(cookie_value) if self.is_trusted else NotCached.NOT_CACHED


class Stage:
    """A keeper among its parts; time passes by hand."""

    def __init__(self) -> None:
        self.clock = FakeClock()
        self.observer = RecordingObserver()
        self.live = LiveStreamRegistry(self.observer)
        memory = MemorySessionStore(
            self.clock, live=self.live, observer=self.observer, limits=MemoryLimits(max_per_user=0)
        )
        self.store = RemoteStore(memory)
        self.refresher = ByHand(self.store, self.clock)
        self.keeper = StreamKeeper(self.live, self.store, self.refresher, clock=self.clock, observer=self.observer)

    async def signed_in(self, cookie: Secret = A, **changes: Any) -> Session:
        session = make_session(cookie, **changes)
        await self.store.create(cookie, session)
        return session

    def opens(self, session: Session, cookie: Secret | None = A, **how: Any) -> FakeStream:
        stream = FakeStream(admit(cookie, session=session, **how), began_at=self.clock.monotonic())
        self.live.opened(stream, session.key)
        return stream

    async def settle(self) -> None:
        for _ in range(30):
            await asyncio.sleep(0)

    async def pass_time(self, seconds: float, step: float = TICK_S) -> None:
        """Let time pass, tick by tick."""
        await self.keeper.tick()
        await self.settle()
        for _ in range(round(seconds / step)):
            self.clock.advance(step)
            await self.keeper.tick()
            await self.settle()


@pytest.fixture
async def stage() -> AsyncGenerator[Stage, None]:
    made = Stage()
    yield made
    await made.keeper.close()
    assert made.observer.errors == []


def with_roles(session: Session, *roles: str) -> Session:
    return dataclasses.replace(session, identity=replace(session.identity, roles=frozenset(roles)))


# --- it lives


async def test_a_session_with_only_a_stream_is_refreshed_before_its_token_is_over(stage: Stage) -> None:
    session = await stage.signed_in()
    stream = stage.opens(session)

    await stage.pass_time(300)

    assert stage.refresher.asked == [A]
    stored = await stage.store.load(A)
    assert stored is not None
    assert stored.tokens.access_expires_at > stage.clock.now()
    assert stream.ends == []


async def test_it_lives_on_by_refresh_after_refresh(stage: Stage) -> None:
    stream = stage.opens(await stage.signed_in())

    await stage.pass_time(3600)

    assert len(stage.refresher.asked) == pytest.approx(3600 / 150, abs=8)
    assert stream.ends == []


async def test_a_request_that_is_soon_over_refreshes_nothing(stage: Stage) -> None:
    session = await stage.signed_in(tokens=make_tokens(access_expires_at=START + 100))
    for _ in range(60):
        stream = stage.opens(session)
        await stage.pass_time(1)
        stage.live.over(stream, session.key)

    assert stage.refresher.asked == []


async def test_a_stream_is_activity_so_that_its_session_does_not_idle_away(stage: Stage) -> None:
    session = await stage.signed_in(idle_timeout_s=60)
    stream = stage.opens(session)

    await stage.pass_time(300)

    assert stream.ends == []
    assert await stage.store.last_seen(session) >= stage.clock.now() - MAX_WAIT_S


async def test_a_stream_on_a_passive_route_is_no_activity_and_ends_when_idle(stage: Stage) -> None:
    session = await stage.signed_in(idle_timeout_s=60)
    stream = stage.opens(session, activity=Activity.PASSIVE)

    await stage.pass_time(59)
    assert stream.ends == []
    await stage.pass_time(2)

    assert stream.ends == [ENDED]


async def test_a_passive_stream_lives_on_while_somebody_uses_the_session(stage: Stage) -> None:
    session = await stage.signed_in(idle_timeout_s=60)
    stream = stage.opens(session, activity=Activity.PASSIVE)

    await stage.pass_time(40)
    stage.store.touch(session)
    await stage.pass_time(59)
    assert stream.ends == []
    await stage.pass_time(2)

    assert stream.ends == [ENDED]


async def test_a_stream_that_is_activity_carries_the_passive_ones_of_its_session(stage: Stage) -> None:
    session = await stage.signed_in(idle_timeout_s=60)
    passive, counting = stage.opens(session, activity=Activity.PASSIVE), stage.opens(session)

    await stage.pass_time(120)
    stage.live.over(counting, session.key)
    assert passive.ends == []
    await stage.pass_time(61)

    assert passive.ends == [ENDED]


# --- it ends


@pytest.mark.parametrize("activity", list(Activity))
async def test_the_absolute_end_closes_streams_within_a_second(stage: Stage, activity: Activity) -> None:
    session = await stage.signed_in(expires_at=START + 200, tokens=make_tokens(access_expires_at=START + 9999))
    stream = stage.opens(session, activity=activity)

    await stage.pass_time(199)
    assert stream.ends == []
    await stage.pass_time(1)

    assert stream.ends == [ENDED]
    assert len(stage.keeper) == 0


async def test_a_stream_without_a_cookie_ends_at_the_absolute_end_and_asks_nobody(stage: Stage) -> None:
    session = make_session(A, expires_at=START + 100)
    stream = stage.opens(session, cookie=None)

    await stage.pass_time(99)
    assert stream.ends == []
    await stage.pass_time(1)

    assert stream.ends == [ENDED]
    assert (stage.store.calls, stage.refresher.asked) == ([], [])


async def test_what_the_provider_ended_ends_its_streams(stage: Stage) -> None:
    stream = stage.opens(await stage.signed_in())
    stage.refresher.refuses = True

    await stage.pass_time(300)

    assert stream.ends == [ENDED]


async def test_a_role_lost_at_the_refresh_closes_the_streams_that_need_it_and_no_others(stage: Stage) -> None:
    session = await stage.signed_in(identity=with_roles(make_session(A), "admin").identity)
    admin, plain = stage.opens(session, access=ADMINS), stage.opens(session)
    stage.refresher.change = with_roles

    await stage.pass_time(300)

    assert (admin.ends, plain.ends) == ([RIGHTS_LOST], [])


async def test_a_role_that_another_replica_found_lost_at_its_refresh_closes_streams_here_too(stage: Stage) -> None:
    session = await stage.signed_in(identity=with_roles(make_session(A), "admin").identity)
    stream = stage.opens(session, access=ADMINS)
    stage.store.inner._live = LiveStreamRegistry(stage.observer)  # its replace tells nobody here
    stage.refresher.change = with_roles

    await stage.pass_time(160, step=160)

    assert stream.ends == [RIGHTS_LOST]


# --- doubt


async def test_a_doubt_has_the_store_asked_at_once(stage: Stage) -> None:
    session = await stage.signed_in(identity=with_roles(make_session(A), "admin").identity)
    stream = stage.opens(session, access=ADMINS)
    stage.store.is_trusted = False
    silent = LiveStreamRegistry(stage.observer)
    stage.store.inner._live = silent  # as another replica would do it
    await stage.store.replace(A, with_roles(session))

    stage.live.in_doubt(session.key)
    await stage.keeper.look_at_doubts()
    await stage.settle()

    assert stream.ends == [RIGHTS_LOST]


async def test_a_session_that_another_replica_ended_closes_when_it_is_in_doubt(stage: Stage) -> None:
    session = await stage.signed_in()
    stream = stage.opens(session)
    stage.store.is_trusted = False
    stage.store.inner._live = LiveStreamRegistry(stage.observer)
    await stage.store.delete(session.key, EndCause.LOGOUT)

    stage.live.all_in_doubt()
    await stage.keeper.look_at_doubts()
    await stage.settle()

    assert stream.ends == [ENDED]


async def test_a_doubt_that_comes_while_the_store_is_asked_has_it_asked_again(stage: Stage) -> None:
    session = await stage.signed_in()
    stage.opens(session)
    stage.store.is_trusted = False
    stage.store.calls.clear()

    for _ in range(3):
        stage.live.in_doubt(session.key)
        await stage.keeper.look_at_doubts()
    await stage.settle()

    assert stage.store.calls == ["load", "load"]


async def test_the_running_keeper_hears_of_a_doubt_long_before_its_next_tick(stage: Stage) -> None:
    session = await stage.signed_in()
    stream = stage.opens(session)
    stage.keeper.start()
    await stage.settle()
    stage.store.inner._live = LiveStreamRegistry(stage.observer)
    await stage.store.delete(session.key, EndCause.LOGOUT)

    stage.live.in_doubt(session.key)
    await stage.settle()

    assert stream.ends == [ENDED]


async def test_the_running_keeper_ticks(stage: Stage) -> None:
    session = await stage.signed_in(expires_at=START + 10)
    stream = stage.opens(session)
    stage.keeper.start()
    stage.clock.advance(10)

    async def ends() -> list[str]:
        return stream.ends

    await eventually(ends, [ENDED], within_s=10)


async def test_while_the_store_cannot_tell_of_changes_it_is_asked_each_second(stage: Stage) -> None:
    session = await stage.signed_in(tokens=make_tokens(access_expires_at=START + 9999))
    stage.opens(session)
    stage.store.is_trusted = False

    await stage.pass_time(LONG_STREAM_S + 10)

    assert stage.store.calls.count("load") == pytest.approx(LONG_STREAM_S + 10, abs=1)


async def test_while_the_store_cannot_tell_of_changes_a_stream_just_opened_ends_within_a_second(
    stage: Stage,
) -> None:
    session = await stage.signed_in()
    stage.store.is_trusted = False
    stream = stage.opens(session)
    await stage.keeper.tick()
    stage.store.inner._live = LiveStreamRegistry(stage.observer)
    await stage.store.delete(session.key, EndCause.LOGOUT)

    await stage.pass_time(TICK_S)

    assert stream.ends == [ENDED]


async def test_the_store_is_asked_about_few_sessions_at_a_time(stage: Stage) -> None:
    cookies = [Secret(f"cookie-{n}") for n in range(MAX_ASKING * 3)]
    for cookie in cookies:
        stage.opens(await stage.signed_in(cookie), cookie)
    stage.store.is_trusted = False
    at_once = most = 0
    load = stage.store.inner.load

    async def slow(cookie: Secret) -> Session | None:
        nonlocal at_once, most
        at_once += 1
        most = max(most, at_once)
        await asyncio.sleep(0)
        at_once -= 1
        found: Session | None = await load(cookie)
        return found

    stage.store.inner.load = slow
    stage.live.all_in_doubt()
    await stage.keeper.look_at_doubts()
    await stage.settle()

    assert most == MAX_ASKING


async def test_a_look_at_many_sessions_gives_way_to_others(stage: Stage) -> None:
    for n in range(LOOK_SLICE * 3):
        cookie = Secret(f"cookie-{n}")
        stage.opens(await stage.signed_in(cookie), cookie)
    stage.live.all_in_doubt()
    turns = 0

    async def others() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    other = asyncio.get_running_loop().create_task(others())
    await stage.keeper.look_at_doubts()
    other.cancel()

    assert turns >= 3


# --- outages


async def test_streams_outlive_an_outage_of_the_provider_that_is_over_in_a_minute(stage: Stage) -> None:
    stream = stage.opens(await stage.signed_in())
    stage.refresher.fault = ProviderUnavailable("away")

    await stage.pass_time(150 + PROVIDER_PATIENCE_S - 2)
    assert stream.ends == []
    stage.refresher.fault = None
    await stage.pass_time(200)

    assert stream.ends == []


async def test_two_short_outages_are_not_one_long_one(stage: Stage) -> None:
    stream = stage.opens(await stage.signed_in())
    for _ in range(2):
        stage.refresher.fault = ProviderUnavailable("away")
        await stage.pass_time(150 + PROVIDER_PATIENCE_S * 0.7)
        stage.refresher.fault = None
        await stage.pass_time(2)

    assert stream.ends == []


async def test_after_the_patience_with_the_provider_streams_close_and_the_session_is_kept(stage: Stage) -> None:
    session = await stage.signed_in()
    stream = stage.opens(session)
    stage.refresher.fault = ProviderUnavailable("away")

    await stage.pass_time(150 + PROVIDER_PATIENCE_S + 32)

    assert stream.ends == [ProviderUnavailable.reason]
    assert await stage.store.load(A) is not None
    assert len(stage.observer.warnings) == 1
    assert stage.opens(session).ends == []


async def test_streams_outlive_a_store_that_is_away_for_a_moment(stage: Stage) -> None:
    stream = stage.opens(await stage.signed_in())
    await stage.pass_time(10)
    stage.store.go_away()
    stage.live.all_in_doubt()
    await stage.keeper.look_at_doubts()

    await asyncio.sleep(STORE_PATIENCE_S / 3)
    stage.store.come_back()
    await asyncio.sleep(STORE_PATIENCE_S * 1.5)
    await stage.pass_time(10)

    assert stream.ends == []


async def test_streams_close_while_the_store_is_away_and_no_session_is_ended(stage: Stage) -> None:
    cookies = [Secret(f"cookie-{n}") for n in range(200)]
    streams = [stage.opens(await stage.signed_in(cookie), cookie) for cookie in cookies]
    await stage.pass_time(10)
    stage.store.go_away()
    stage.live.all_in_doubt()
    stage.store.calls.clear()
    await stage.keeper.look_at_doubts()

    async def closed() -> int:
        return sum(bool(stream.ends) for stream in streams)

    await eventually(closed, len(streams))

    # Only those asked about at once have patience: seven times 32 would be seconds.
    assert stage.store.calls.count("load") <= MAX_ASKING * 6
    assert {reason for stream in streams for reason in stream.ends} == {StoreUnavailable.reason}
    stage.store.come_back()
    assert await stage.store.load(cookies[0]) is not None


async def test_the_absolute_end_counts_while_the_store_is_away_too(stage: Stage) -> None:
    stream = stage.opens(await stage.signed_in(expires_at=START + 20))
    stage.store.go_away()

    await stage.pass_time(20)

    assert stream.ends == [ENDED]


async def test_one_line_tells_of_many_streams_that_close_in_an_outage(stage: Stage) -> None:
    cookies = [Secret(f"cookie-{n}") for n in range(20)]
    streams = [stage.opens(await stage.signed_in(cookie), cookie) for cookie in cookies]
    stage.refresher.fault = ProviderUnavailable("away")

    await stage.pass_time(150 + PROVIDER_PATIENCE_S + 32)

    assert all(stream.ends for stream in streams)
    assert len(stage.observer.warnings) == 1


async def test_a_process_that_drains_closes_nothing_for_want_of_a_refresh(stage: Stage) -> None:
    stream = stage.opens(await stage.signed_in())
    stage.refresher.fault = Draining("the process ends")

    await stage.pass_time(150 + PROVIDER_PATIENCE_S + 40)

    assert stream.ends == []


async def test_a_logout_is_heard_while_a_refresh_hangs(stage: Stage) -> None:
    session = await stage.signed_in()
    stream = stage.opens(session)
    stage.refresher.waits_for = asyncio.Event()
    await stage.pass_time(200)
    assert stage.refresher.asked == [A]
    stage.store.inner._live = LiveStreamRegistry(stage.observer)
    await stage.store.delete(session.key, EndCause.LOGOUT)

    stage.live.in_doubt(session.key)
    await stage.keeper.look_at_doubts()

    assert stream.ends == [ENDED]


# --- bounds and defects


async def test_nothing_is_kept_of_a_session_whose_streams_are_over(stage: Stage) -> None:
    session = await stage.signed_in()
    stream = stage.opens(session)
    await stage.pass_time(1)
    assert len(stage.keeper) == 1

    stage.live.over(stream, session.key)
    await stage.pass_time(1)

    assert len(stage.keeper) == 0
    assert len(stage.keeper._due) == 0


async def test_a_defect_with_one_session_leaves_the_others_looked_after() -> None:
    stage = Stage()
    broken, sound = await stage.signed_in(A), await stage.signed_in(B)
    stage.opens(broken, A)
    stage.opens(sound, B)
    cached = stage.store.cached

    def defect(cookie_value: Secret) -> Any:
        if cookie_value is A:
            raise RuntimeError("a defect")
        return cached(cookie_value)

    stage.store.cached = defect  # type: ignore[method-assign]
    await stage.pass_time(200)

    assert stage.refresher.asked == [B]
    assert stage.observer.errors
    stage.store.cached = cached  # type: ignore[method-assign]
    await stage.pass_time(2)
    assert A in stage.refresher.asked
    await stage.keeper.close()


# --- the session goes on as another one ------------------------------------------------------------------------------


async def test_a_stream_that_moved_keeps_its_heir_alive_by_the_heirs_cookie(stage: Stage) -> None:
    stream = stage.opens(await stage.signed_in())
    await stage.keeper.tick()

    await stage.store.supersede(A, B, make_session(B))
    await stage.pass_time(200)

    assert stream.ends == []
    assert set(stage.refresher.asked) == {B}
    assert len(stage.keeper) == 1


async def test_a_stream_whose_session_went_on_elsewhere_follows_it(stage: Stage) -> None:
    stage.store.is_trusted = False
    stream = stage.opens(await stage.signed_in())
    elsewhere = MemorySessionStore(
        stage.clock, live=LiveStreamRegistry(stage.observer), observer=stage.observer, limits=MemoryLimits()
    )
    await elsewhere.create(B, make_session(B))

    async def heir(cookie_value: Secret) -> Secret | None:
        return B if cookie_value == A else None

    elsewhere.heir = heir  # type: ignore[method-assign]
    stage.store.inner = elsewhere
    stage.live.in_doubt(session_key(A))
    await stage.keeper.look_at_doubts()
    await stage.settle()
    await stage.keeper.tick()

    assert stream.ends == []
    assert set(stage.live.session_keys()) == {session_key(B)}
    await elsewhere.delete(session_key(B), EndCause.LOGOUT)
    await stage.pass_time(2)
    assert stream.ends == [ENDED]


async def test_an_heir_that_ends_while_it_is_on_its_way_from_the_store_closes_at_once(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    stage.store.is_trusted = False
    stream = stage.opens(await stage.signed_in())
    answers: dict[Secret, list[Session | None]] = {A: [None], B: [make_session(B), None]}

    async def load(cookie_value: Secret) -> Session | None:
        return answers[cookie_value].pop(0)

    async def heir(cookie_value: Secret) -> Secret | None:
        return B if cookie_value == A else None

    monkeypatch.setattr(stage.store.inner, "load", load)
    monkeypatch.setattr(stage.store.inner, "heir", heir)
    stage.live.in_doubt(session_key(A))
    await stage.keeper.look_at_doubts()
    await stage.settle()
    await stage.keeper.look_at_doubts()
    await stage.settle()

    assert stream.ends == [ENDED]


async def test_a_stream_whose_heir_never_came_closes(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    stage.store.is_trusted = False
    stream = stage.opens(await stage.signed_in())

    async def heir(_cookie_value: Secret) -> Secret | None:
        return B

    async def ends() -> list[str]:
        return stream.ends

    monkeypatch.setattr(stage.store.inner, "load", _nobody)
    monkeypatch.setattr(stage.store.inner, "heir", heir)
    stage.live.in_doubt(session_key(A))
    await stage.keeper.look_at_doubts()
    await eventually(ends, [ENDED])


async def _nobody(_cookie_value: Secret) -> None:
    return None
