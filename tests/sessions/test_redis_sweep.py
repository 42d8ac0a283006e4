"""What is over is ended within a second though nobody asks for it, by one replica, and said."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from proxy.core.secret import Secret
from proxy.core.session import EndCause, session_key
from tests.support.clocks import START, FakeClock
from tests.support.eventually import eventually
from tests.support.redis_stores import Replica, close_all, options_of
from tests.support.sessions import make_session

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from proxy.sessions.redis_endings import Endings
    from proxy.sessions.redis_sweep import Sweep
    from tests.redis.server import RedisServer

A, B, C = (Secret(f"cookie-{letter}") for letter in "abc")


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
async def replica(empty_redis: RedisServer, clock: FakeClock) -> AsyncIterator[Replica]:
    """A replica whose sweep is called by the test."""
    made = Replica(options_of(empty_redis), clock)
    await made.connection.start()
    yield made
    await made.connection.close()


@pytest.fixture
def sweep(replica: Replica) -> Sweep:
    return replica.store._sweep


@pytest.fixture
def endings(replica: Replica) -> Endings:
    return replica.store._endings


async def test_what_is_over_is_ended_with_its_cause_event_and_tombstone(
    replica: Replica, sweep: Sweep, endings: Endings, clock: FakeClock
) -> None:
    await replica.store.create(A, make_session(A, expires_at=START + 60))
    await replica.store.create(B, make_session(B, idle_timeout_s=60))
    await replica.store.create(C, make_session(C))
    clock.advance(60)

    assert await sweep.sweep(endings.end)
    assert not await sweep.sweep(endings.end)

    assert replica.observer.ended == {EndCause.EXPIRED: 1, EndCause.IDLE: 1}
    assert sorted(event.reason for event in replica.observer.audits) == ["expired", "idle"]
    assert (await replica.store.tombstone(A)).cause is EndCause.EXPIRED
    assert [found.key for found in await replica.store.find()] == [session_key(C)]


async def test_what_was_used_meanwhile_is_put_off(
    replica: Replica, sweep: Sweep, endings: Endings, clock: FakeClock, empty_redis: RedisServer
) -> None:
    await replica.store.create(A, make_session(A, idle_timeout_s=60))
    empty_redis.call("SET", f"sidegate:t:{session_key(A)}", str(START + 50))
    clock.advance(60)

    assert await sweep.sweep(endings.end)
    assert not await sweep.sweep(endings.end)

    assert replica.observer.ended == {}
    clock.advance(50)
    assert await sweep.sweep(endings.end)
    assert replica.observer.ended == {EndCause.IDLE: 1}


async def test_activity_that_is_not_written_yet_counts(
    replica: Replica, sweep: Sweep, endings: Endings, clock: FakeClock
) -> None:
    session = make_session(A, idle_timeout_s=60)
    await replica.store.create(A, session)
    clock.advance(50)
    replica.store.touch(session)
    clock.advance(50)

    await sweep.sweep(endings.end)

    assert replica.observer.ended == {}


async def test_a_session_taken_out_by_hand_leaves_the_roster(
    replica: Replica, sweep: Sweep, endings: Endings, clock: FakeClock, empty_redis: RedisServer
) -> None:
    await replica.store.create(A, make_session(A, expires_at=START + 60))
    empty_redis.call("DEL", f"sidegate:s:{session_key(A)}")
    clock.advance(60)

    assert await sweep.sweep(endings.end)
    assert not await sweep.sweep(endings.end)
    assert replica.observer.ended == {}


async def test_a_record_that_cannot_be_read_holds_up_nobody(
    replica: Replica, sweep: Sweep, endings: Endings, clock: FakeClock, empty_redis: RedisServer
) -> None:
    await replica.store.create(A, make_session(A, expires_at=START + 60))
    empty_redis.call("SET", f"sidegate:s:{session_key(A)}", b"\xff" * 100, "KEEPTTL")
    clock.advance(60)

    assert await sweep.sweep(endings.end)
    assert not await sweep.sweep(endings.end)

    assert empty_redis.call("EXISTS", f"sidegate:s:{session_key(A)}") == 1


async def test_of_two_replicas_that_sweep_one_says_the_end(empty_redis: RedisServer, clock: FakeClock) -> None:
    two = [Replica(options_of(empty_redis), clock) for _ in range(2)]
    for one in two:
        await one.connection.start()
    for n in range(30):
        cookie = Secret(str(n))
        await two[0].store.create(cookie, make_session(cookie, expires_at=START + 60))
    clock.advance(60)
    for one in two:
        one.store.start()

    async def ended() -> int:
        return sum(one.observer.ended[EndCause.EXPIRED] for one in two)

    await eventually(ended, 30, within_s=10)
    assert await two[0].store.count() == 0
    assert sum(len(one.observer.audits) for one in two) == 30
    await close_all(two)


async def test_the_sweep_goes_on_after_an_outage(
    replica: Replica, clock: FakeClock, monkeypatch: pytest.MonkeyPatch, empty_redis: RedisServer
) -> None:
    monkeypatch.setattr("proxy.sessions.redis_sweep.SWEEP_INTERVAL_S", 0.01)
    await replica.store.create(A, make_session(A, expires_at=START + 60))
    empty_redis.call("REPLICAOF", "127.0.0.1", "1")
    clock.advance(60)
    replica.store.start()

    async def refusals() -> bool:
        return replica.observer.store_errors > 0

    await eventually(refusals, expected=True, within_s=10)
    assert replica.observer.ended == {}
    empty_redis.call("REPLICAOF", "NO", "ONE")

    async def ended() -> dict[EndCause, int]:
        return dict(replica.observer.ended)

    await eventually(ended, {EndCause.EXPIRED: 1}, within_s=10)
    assert replica.observer.errors == [] or "broke" not in replica.observer.errors[-1][0]
    await replica.store.close()


async def test_the_sweep_goes_on_after_a_defect(
    replica: Replica, sweep: Sweep, clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("proxy.sessions.redis_sweep.SWEEP_INTERVAL_S", 0.01)
    await replica.store.create(A, make_session(A, expires_at=START + 60))
    clock.advance(60)
    looks = iter([ZeroDivisionError()])
    due = sweep._indexes.due

    async def breaks_once(now: float) -> object:
        for defect in looks:
            raise defect
        return await due(now)

    monkeypatch.setattr(sweep._indexes, "due", breaks_once)
    replica.store.start()

    async def ended() -> dict[EndCause, int]:
        return dict(replica.observer.ended)

    await eventually(ended, {EndCause.EXPIRED: 1})
    assert [message for message, _ in replica.observer.errors] == ["the sweep of sessions broke; it goes on"]
    await replica.store.close()
