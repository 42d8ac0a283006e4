"""The trail of all replicas, on a real Redis: what is read is what was noted, nothing lies there in clear, and a Redis
that is away costs events, which are counted, never a request.
"""

from __future__ import annotations

import asyncio
import os
import time
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, TypeVar

import pytest

from proxy.clock import SystemClock
from proxy.errors import StoreUnavailable
from proxy.observe import audit_redis
from proxy.observe.audit_redis import AuditRedisLimits, RedisAuditTrail
from proxy.ports import AuditEvent
from proxy.sessions.sealing import Sealer
from tests.sessions.redis_parts import alone, started
from tests.support.observers import RecordingObserver
from tests.support.redis_stores import options_of_cluster

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

    from proxy.ports import AuditRecord
    from proxy.sessions.redis_connection import RedisConnection
    from tests.redis.cluster import ClusterHouse
    from tests.redis.server import RedisServer

T = TypeVar("T")

DAY_S = 86400.0
KEY = os.urandom(32)


class Wire:
    """A connection that a test can take away, before a command or after it was obeyed."""

    def __init__(self, connection: RedisConnection) -> None:
        """Begin whole."""
        self.connection = connection
        self.prefix = connection.prefix
        self.is_away = False
        self.loses_answers = 0

    async def run(self, operation: str, call: Callable[[Any], Awaitable[T]]) -> T:
        if self.is_away:
            raise StoreUnavailable("away")
        answer = await self.connection.run(operation, call)
        if self.loses_answers:
            self.loses_answers -= 1
            raise StoreUnavailable("the answer was lost")
        return answer


class Replica:
    """One process that keeps its trail in Redis."""

    def __init__(self, wire: Wire, *, keys: tuple[bytes, ...] = (KEY,), **limits: Any) -> None:
        """Begin to write."""
        self.wire = wire
        self.observer = RecordingObserver()
        self.trail = RedisAuditTrail(
            wire,
            Sealer(keys),
            limits=AuditRedisLimits(**{"keep_s": DAY_S, **limits}),
            clock=SystemClock(),
            observer=self.observer,
        )
        self.trail.start()

    def note(self, *usernames: str | None, at: float | None = None, **members: Any) -> None:
        for username in usernames:
            event = AuditEvent(event="login.succeeded", username=username, **members)
            self.trail.add(event, time.time() if at is None else at)

    async def names(self, username: str | None = None, *, since: float = 0, limit: int = 1000) -> list[str | None]:
        records = await self.trail.read(username=username, since=since, limit=limit)
        return [record.event.username for record in records]

    async def until(self, expected: list[str | None], username: str | None = None) -> None:
        """Wait until this is what the trail has."""
        deadline = time.monotonic() + 10
        while (seen := await self.names(username)) != expected:
            assert time.monotonic() < deadline, seen
            await asyncio.sleep(0.02)


@pytest.fixture(autouse=True)
def _no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(audit_redis, "GATHER_S", 0.0)
    monkeypatch.setattr(audit_redis, "RETRY_S", 0.02)
    monkeypatch.setattr(audit_redis, "POLL_S", 0.02)


@asynccontextmanager
async def a_replica(server: RedisServer, **how: Any) -> AsyncIterator[Replica]:
    async with started(alone(server.port)) as connection:
        replica = Replica(Wire(connection), **how)
        yield replica
        await replica.trail.close()


async def heard(following: AsyncIterator[AuditRecord]) -> str | None:
    return (await asyncio.wait_for(anext(following), 10)).event.username


async def test_what_one_replica_notes_another_reads_the_newest_last(empty_redis: RedisServer) -> None:
    async with a_replica(empty_redis) as one, a_replica(empty_redis) as other:
        one.note("alice", "bob")
        await other.until(["alice", "bob"])
        other.note("Alice", None)

        await one.until(["alice", "bob", "Alice", None])
        assert await one.names("alice") == ["alice", "Alice"]
        assert await one.names(limit=2) == ["Alice", None]
        assert await one.names(since=time.time() + 1) == []


async def test_nothing_of_it_can_be_read_in_redis_and_the_key_ends(empty_redis: RedisServer) -> None:
    async with a_replica(empty_redis) as replica:
        replica.note("alice", subject="alice-id", address="203.0.113.7", reason="telltale")
        await replica.until(["alice"])

    (key,) = empty_redis.call("KEYS", "*")
    dump = repr(empty_redis.call("XRANGE", key, "-", "+"))
    for word in ("alice", "login", "203.0.113.7", "telltale"):
        assert word not in dump
    assert DAY_S * 1000 < empty_redis.call("PTTL", key) <= (DAY_S + 61) * 1000


async def test_many_are_written_in_batches_and_found_by_name(empty_redis: RedisServer) -> None:
    async with a_replica(empty_redis) as replica:
        replica.note("needle", *["hay"] * 1000, "needle")

        await replica.until(["needle", "needle"], "needle")

        operations = [operation for operation, _ in replica.wire.connection._observer.store_calls]
        assert operations.count("audit_write") < 20


async def test_what_is_too_old_is_not_read_and_goes(empty_redis: RedisServer) -> None:
    async with a_replica(empty_redis, keep_s=0.3) as replica:
        replica.note("old")
        await replica.until(["old"])
        await asyncio.sleep(0.35)
        assert await replica.names() == []

        replica.note("new")
        await replica.until(["new"])

        assert empty_redis.call("XLEN", "sidegate:audit") == 1
        assert replica.trail.dropped == 0


async def test_the_stream_has_a_cap_and_what_it_loses_is_counted(empty_redis: RedisServer) -> None:
    async with a_replica(empty_redis, max_events=100) as replica:
        replica.note(*["crowd"] * 1000, "last")
        deadline = time.monotonic() + 10
        while (await replica.names(limit=1)) != ["last"]:
            assert time.monotonic() < deadline
            await asyncio.sleep(0.02)

        kept = empty_redis.call("XLEN", "sidegate:audit")
        assert 100 <= kept < 400
        assert replica.trail.dropped == 1001 - kept


async def test_an_old_key_still_opens_and_a_lost_one_is_said(empty_redis: RedisServer) -> None:
    new = os.urandom(32)
    async with a_replica(empty_redis) as replica:
        replica.note("alice")
        await replica.until(["alice"])

    async with a_replica(empty_redis, keys=(new, KEY)) as rotated, a_replica(empty_redis, keys=(new,)) as without:
        assert await rotated.names("alice") == ["alice"]
        assert await without.names() == []
        assert without.observer.warnings == [
            ("audit events cannot be read under sessions.encryption_keys", {"events": 1})
        ]


async def test_what_somebody_else_wrote_into_the_stream_is_passed_over(empty_redis: RedisServer) -> None:
    async with a_replica(empty_redis) as replica:
        replica.note("alice")
        await replica.until(["alice"])
        empty_redis.call("XADD", "sidegate:audit", "*", "x", "y")
        empty_redis.call("XADD", "sidegate:audit", "*", "e", b"\x00" * 100)

        assert await replica.names() == ["alice"]


async def test_a_cluster_keeps_it_too(empty_redis_cluster: ClusterHouse) -> None:
    async with started(options_of_cluster(empty_redis_cluster)) as connection:
        replica = Replica(Wire(connection))
        replica.note("alice", "bob")
        await replica.until(["alice", "bob"])
        following = replica.trail.follow(username=None, since=0, limit=1)
        assert await heard(following) == "bob"
        replica.note("carol")
        assert await heard(following) == "carol"
        await following.aclose()
        await replica.trail.close()


class TestWhileRedisIsAway:
    async def test_events_wait_and_are_written_when_it_is_back(self, empty_redis: RedisServer) -> None:
        async with a_replica(empty_redis) as replica:
            replica.wire.is_away = True
            replica.note("alice", "bob")
            await asyncio.sleep(0.1)
            replica.wire.is_away = False

            await replica.until(["alice", "bob"])
            assert replica.trail.dropped == 0

    async def test_at_the_cap_new_ones_are_dropped_counted_and_said_once(self, empty_redis: RedisServer) -> None:
        async with a_replica(empty_redis, max_waiting=3) as replica:
            replica.wire.is_away = True
            replica.note(*"abcdefgh")

            assert replica.trail.dropped == 5
            assert len(replica.observer.warnings) == 1
            replica.wire.is_away = False
            await replica.until(["a", "b", "c"])

    async def test_the_bytes_that_wait_have_a_cap_too(self, empty_redis: RedisServer) -> None:
        async with a_replica(empty_redis, max_bytes=500) as replica:
            replica.wire.is_away = True
            replica.note(*["x" * 100] * 10)

            assert 7 <= replica.trail.dropped <= 9
            replica.wire.is_away = False

    async def test_to_note_costs_nothing(self, empty_redis: RedisServer) -> None:
        async with a_replica(empty_redis, max_waiting=1000) as replica:
            replica.wire.is_away = True
            began_at = time.thread_time()  # of this thread alone: the machine may be busy with others

            replica.note(*["alice"] * 20_000)

            assert time.thread_time() - began_at < 5
            replica.trail._waiting.clear()

    async def test_a_batch_whose_answer_was_lost_is_read_once(self, empty_redis: RedisServer) -> None:
        async with a_replica(empty_redis) as replica:
            replica.wire.loses_answers = 2
            replica.note("alice", "bob")
            deadline = time.monotonic() + 10
            while empty_redis.call("XLEN", "sidegate:audit") < 6:
                assert time.monotonic() < deadline
                await asyncio.sleep(0.01)

            await replica.until(["alice", "bob"])

    async def test_reading_says_so(self, empty_redis: RedisServer) -> None:
        async with a_replica(empty_redis) as replica:
            replica.wire.is_away = True

            with pytest.raises(StoreUnavailable):
                await replica.names()
            with pytest.raises(StoreUnavailable):
                await anext(replica.trail.follow(username=None, since=0, limit=1))

    async def test_what_waits_at_the_end_is_written_or_counted(self, empty_redis: RedisServer) -> None:
        async with a_replica(empty_redis) as replica, a_replica(empty_redis) as other:
            replica.note("alice")
            await replica.trail.close()
            assert await other.names() == ["alice"]

            other.wire.is_away = True
            other.note("bob")
            await other.trail.close()
            assert other.trail.dropped == 1


class TestFollowing:
    async def test_a_follower_hears_the_past_and_then_every_replica(self, empty_redis: RedisServer) -> None:
        async with a_replica(empty_redis) as one, a_replica(empty_redis) as other:
            one.note("a", "b", "c")
            await one.until(["a", "b", "c"])
            following = one.trail.follow(username=None, since=0, limit=2)
            assert [await heard(following) for _ in range(2)] == ["b", "c"]

            other.note("d")
            assert await heard(following) == "d"
            one.note("e")
            assert await heard(following) == "e"
            await following.aclose()

    async def test_nothing_is_missed_or_told_twice_while_the_past_is_read(self, empty_redis: RedisServer) -> None:
        async with a_replica(empty_redis) as replica:
            replica.note("a", "b")
            await replica.until(["a", "b"])
            following = replica.trail.follow(username=None, since=0, limit=9)
            first = await heard(following)
            replica.note("c")
            await replica.until(["a", "b", "c"])

            replica.note("d")

            assert [first, *[await heard(following) for _ in range(3)]] == ["a", "b", "c", "d"]
            await following.aclose()

    async def test_a_follower_waits_an_outage_out_and_hears_one_person_only(self, empty_redis: RedisServer) -> None:
        async with a_replica(empty_redis) as one, a_replica(empty_redis) as other:
            one.note("bob")
            await one.until(["bob"])
            following = one.trail.follow(username="bob", since=0, limit=9)
            assert await heard(following) == "bob"

            one.wire.is_away = True
            other.note("alice", "Bob")
            await other.until(["bob", "alice", "Bob"])
            one.wire.is_away = False

            assert await heard(following) == "Bob"
            await following.aclose()
