"""Ending sessions: the tombstone first, one who says so, nothing left behind, whatever else breaks."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from proxy.core.secret import Secret
from proxy.core.session import EndCause, EndedMark, EverySessionOf, session_key, subject_hash
from proxy.errors import StoreUnavailable
from proxy.sessions.codec import summary_of
from proxy.sessions.redis_endings import ENDED_TOGETHER, Endings, tombstone_of
from tests.support.clocks import START, FakeClock
from tests.support.redis_stores import Replica, options_of
from tests.support.sessions import ISSUER, make_session

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from tests.redis.server import RedisServer

A = Secret("cookie-a")
SUMMARY = summary_of(make_session(A))


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
async def replica(empty_redis: RedisServer, clock: FakeClock) -> AsyncIterator[Replica]:
    made = Replica(options_of(empty_redis), clock, max_per_user=0)
    await made.connection.start()
    await made.store.create(A, make_session(A))
    yield made
    await made.connection.close()


@pytest.fixture
def endings(replica: Replica) -> Endings:
    return replica.store._endings


async def test_an_ended_session_leaves_its_tombstone_and_nothing_else(
    endings: Endings, empty_redis: RedisServer
) -> None:
    assert await endings.end([SUMMARY], EndCause.LOGOUT) == [SUMMARY]

    assert {name.decode() for name in empty_redis.call("KEYS", "sidegate:[^p]*")} == {f"sidegate:g:{SUMMARY.key}"}


async def test_a_session_that_has_ended_is_not_ended_again(replica: Replica, endings: Endings) -> None:
    await endings.end([SUMMARY], EndCause.LOGOUT)

    assert await endings.end([SUMMARY], EndCause.ADMIN) == []
    assert await endings.end([], EndCause.ADMIN) == []
    assert replica.observer.ended == {EndCause.LOGOUT: 1}


async def test_the_tombstone_is_there_before_anybody_can_hear_that_the_record_is_gone(
    replica: Replica, endings: Endings
) -> None:
    sent: list[str] = []
    run = replica.connection.run

    async def watched(operation: str, call: Any) -> Any:
        async def seen(client: Any) -> Any:
            pipeline = client.pipeline

            def noted(**named: Any) -> Any:
                made = pipeline(**named)
                execute = made.execute_command
                made.execute_command = lambda *command: (sent.append(str(command[1])), execute(*command))
                return made

            client.pipeline = noted
            try:
                return await call(client)
            finally:
                client.pipeline = pipeline

        return await run(operation, seen)

    replica.connection.run = watched  # type: ignore[method-assign]
    await endings.end([SUMMARY], EndCause.LOGOUT)

    kinds = [name.split(":")[1] for name in sent]
    assert kinds[:3] == ["g", "s", "t"]


async def test_many_are_ended_in_parts(replica: Replica, endings: Endings, empty_redis: RedisServer) -> None:
    summaries = [SUMMARY]
    for n in range(ENDED_TOGETHER + 5):
        session = make_session(Secret(str(n)))
        await replica.store.create(Secret(str(n)), session)
        summaries.append(summary_of(session))

    assert await endings.end(summaries, EndCause.LOGOUT_ALL) == summaries

    assert replica.observer.ended == {EndCause.LOGOUT_ALL: len(summaries)}
    assert empty_redis.call("KEYS", "sidegate:i:*") == []


async def test_a_full_redis_can_still_end_sessions(endings: Endings, empty_redis: RedisServer) -> None:
    empty_redis.call("CONFIG", "SET", "maxmemory", "1")

    ended = await endings.end([SUMMARY], EndCause.LOGOUT)

    empty_redis.call("CONFIG", "SET", "maxmemory", "0")
    assert ended == [SUMMARY]
    assert empty_redis.call("EXISTS", f"sidegate:s:{SUMMARY.key}") == 0


async def test_a_redis_that_takes_no_deletion_is_a_fault_and_no_end(
    replica: Replica, endings: Endings, empty_redis: RedisServer
) -> None:
    empty_redis.call("REPLICAOF", "127.0.0.1", "1")
    with pytest.raises(StoreUnavailable):
        await endings.end([SUMMARY], EndCause.LOGOUT)

    assert replica.observer.ended == {}


async def test_a_session_that_never_lived_is_removed_without_a_word(
    replica: Replica, endings: Endings, empty_redis: RedisServer
) -> None:
    await endings.remove(SUMMARY)

    assert empty_redis.call("KEYS", "sidegate:[^p]*") == []
    assert (replica.observer.ended, replica.observer.audits) == ({}, [])


async def test_whose_time_has_come_or_whom_a_watermark_covers_is_ended_when_looked_at(
    replica: Replica, endings: Endings, clock: FakeClock
) -> None:
    assert await endings.is_live(SUMMARY, START)
    client = EverySessionOf(ISSUER, "legacy-app")
    await replica.store.mark_ended(EndedMark(client, ended_at=START, keep_until=START + 60))

    assert not await endings.is_live(SUMMARY, START)

    assert replica.observer.ended == {EndCause.ADMIN: 1}
    other = make_session(Secret("b"), issued_at=START + 10, idle_timeout_s=30)
    await replica.store.create(Secret("b"), other)
    assert await endings.is_live(summary_of(other), START)
    clock.advance(30)
    assert not await endings.is_live(summary_of(other), START)
    assert replica.observer.ended[EndCause.IDLE] == 1


def test_a_tombstone_says_whose_it_is_by_a_hash() -> None:
    stone = tombstone_of(SUMMARY, EndCause.DEVICE, START + 5)

    assert (stone.subject_hash, stone.cause, stone.ended_at) == (
        subject_hash(ISSUER, "alice-id"),
        EndCause.DEVICE,
        START + 5,
    )
    assert SUMMARY.key == session_key(A)
