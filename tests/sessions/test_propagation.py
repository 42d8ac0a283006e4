"""How fast a logout travels: measured once, only for logouts, and never in the way."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest
import pytest_asyncio

from proxy.core.secret import Secret
from proxy.core.session import BySubject, EndCause, SessionKey, Tombstone, session_key
from proxy.errors import StoreUnavailable
from proxy.sessions import propagation
from proxy.sessions.propagation import LOGOUTS, Propagation
from tests.support.clocks import START, FakeClock
from tests.support.eventually import eventually
from tests.support.observers import RecordingObserver
from tests.support.redis_stores import Replica, close_all, options_of
from tests.support.sessions import ISSUER, make_session

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

    from tests.redis.server import RedisServer

COOKIE = Secret("cookie-a")
KEY = SessionKey("k" * 64)


class Stage:
    """A measure, with tombstones that come when they are let go."""

    def __init__(self) -> None:
        self.clock = FakeClock()
        self.observer = RecordingObserver()
        self.answer: Tombstone | Exception | None = None
        self.go = asyncio.Event()
        self.go.set()
        self.asked: list[SessionKey] = []
        self.measure = Propagation(self._tombstone, observer=self.observer, clock=self.clock)

    async def _tombstone(self, key: SessionKey) -> Tombstone | None:
        self.asked.append(key)
        await self.go.wait()
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer

    async def measured(self) -> None:
        """Wait until nothing is looked at any more."""

        async def look() -> int:
            return self.measure._measured

        await eventually(look, 0)


@pytest.fixture
def stage() -> Stage:
    return Stage()


async def test_it_counts_from_the_end_elsewhere_to_the_instant_of_letting_go(stage: Stage) -> None:
    stage.answer = Tombstone("s", EndCause.BACKCHANNEL, START)
    stage.clock.advance(0.03)
    stage.go.clear()

    stage.measure.let_go(KEY)
    stage.clock.advance(5)
    stage.go.set()
    await stage.measured()

    assert stage.asked == [KEY]
    assert stage.observer.propagations == [pytest.approx(0.03)]


async def test_a_session_with_fresh_tokens_is_no_logout(stage: Stage) -> None:
    stage.measure.let_go(KEY)
    await stage.measured()

    assert (stage.asked, stage.observer.propagations) == ([KEY], [])


@pytest.mark.parametrize("cause", EndCause)
async def test_only_what_somebody_ended_has_an_instant_to_count_from(stage: Stage, cause: EndCause) -> None:
    stage.answer = Tombstone("s", cause, START)

    stage.measure.let_go(KEY)
    await stage.measured()

    assert len(stage.observer.propagations) == (cause in LOGOUTS)


async def test_a_store_that_is_away_gives_no_figure_and_no_fault(stage: Stage) -> None:
    stage.answer = StoreUnavailable("away")

    stage.measure.let_go(KEY)
    await stage.measured()

    assert (stage.observer.propagations, stage.observer.errors) == ([], [])


async def test_a_thousand_at_once_are_a_sample(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(propagation, "MAX_MEASURED", 4)
    stage.go.clear()

    for _ in range(1000):
        stage.measure.let_go(KEY)
    await asyncio.sleep(0)

    assert len(stage.asked) == 4
    stage.go.set()
    await stage.measured()
    stage.measure.let_go(KEY)
    await stage.measured()
    assert len(stage.asked) == 5


async def test_closing_waits_for_nothing(stage: Stage) -> None:
    stage.go.clear()
    stage.measure.let_go(KEY)
    await asyncio.sleep(0)

    await stage.measure.close()

    assert stage.observer.errors == []


class TestBetweenReplicas:
    """On a real Redis: A ends the session, B had a copy."""

    @pytest_asyncio.fixture
    async def replicas(self, empty_redis: RedisServer) -> AsyncIterator[tuple[Replica, Replica]]:
        clock = FakeClock()
        two = [await Replica(options_of(empty_redis), clock).start() for _ in range(2)]
        for one in two:
            await eventually(_of(one.tracking.is_trusted), expected=True, within_s=10)
        yield two[0], two[1]
        await close_all(two)

    async def test_a_logout_is_measured_by_those_who_had_a_copy(self, replicas: tuple[Replica, Replica]) -> None:
        ending, other = replicas
        await ending.store.create(COOKIE, make_session(COOKIE))
        await eventually(_loaded(ending), expected=True, within_s=10)
        await eventually(_loaded(other), expected=True, within_s=10)

        await ending.store.delete_matching(BySubject(ISSUER, "alice-id"), EndCause.BACKCHANNEL)

        await eventually(_of(lambda: len(other.observer.propagations)), 1, within_s=10)
        assert ending.observer.propagations == []

    async def test_fresh_tokens_are_looked_at_and_not_counted(self, replicas: tuple[Replica, Replica]) -> None:
        one, other = replicas
        session = make_session(COOKIE)
        await one.store.create(COOKIE, session)
        await eventually(_loaded(other), expected=True, within_s=10)
        calls = other.observer.store_calls

        await one.store.replace(COOKIE, session)

        await eventually(_of(lambda: [name for name, _ in calls].count("propagation")), 1, within_s=10)
        assert other.observer.propagations == []


def _of(look: Callable[[], Any]) -> Callable[[], Awaitable[Any]]:
    async def looked() -> Any:
        return look()

    return looked


def _loaded(replica: Replica) -> Callable[[], Awaitable[bool]]:
    """Load again until it is kept: what Redis tells of the change by which it was made may come later."""

    async def looked() -> bool:
        await replica.store.load(COOKIE)
        return replica.cache.get(session_key(COOKIE)) is not None

    return looked
