"""What is Redis' own, besides the contract: replicas count together, keys run out, an outage is no pass."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest

from proxy.clock import SystemClock
from proxy.core.throttle import Rate, ThrottleRules
from proxy.errors import StoreUnavailable, Throttled
from proxy.ports import Attempt
from proxy.sessions.redis_connection import RedisConnection
from proxy.sessions.redis_throttle import RedisFailures
from proxy.sessions.sealing import Sealer
from proxy.sessions.throttle import FailureThrottle
from tests.support.clocks import FakeClock
from tests.support.observers import RecordingObserver
from tests.support.redis_stores import KEY, options_of
from tests.support.sessions import ISSUER

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from tests.redis.server import RedisServer

RULES = ThrottleRules(issuer=ISSUER, per_user=Rate(5, 300), per_address=Rate(30, 300))
ALICE = Attempt(username="alice", address="203.0.113.7")


@pytest.fixture
async def connections(empty_redis: RedisServer) -> AsyncIterator[list[RedisConnection]]:
    made = [RedisConnection(options_of(empty_redis), RecordingObserver(), SystemClock()) for _ in range(3)]
    for connection in made:
        await connection.start()
    yield made
    for connection in made:
        await connection.close()


def throttle_on(connection: RedisConnection) -> FailureThrottle:
    return FailureThrottle(RedisFailures(connection, FakeClock()), rules=RULES, digest=Sealer([KEY]).digest)


async def test_replicas_count_together(connections: list[RedisConnection]) -> None:
    throttles = [throttle_on(connection) for connection in connections]

    async def passes(throttle: FailureThrottle) -> bool:
        try:
            await throttle.reserve(ALICE)
        except Throttled:
            return False
        return True

    assert sum(await asyncio.gather(*(passes(throttle) for throttle in throttles for _ in range(10)))) == 5


async def test_every_key_runs_out_and_none_names_anybody(
    connections: list[RedisConnection], empty_redis: RedisServer
) -> None:
    await throttle_on(connections[0]).reserve(ALICE)

    keys = [key async for key in raw(connections[0]).scan_iter("*")]
    assert len(keys) == 2
    for key in keys:
        assert 0 < await raw(connections[0]).ttl(key) <= 300
        assert key.startswith(b"sidegate:f:")
        assert b"alice" not in key
        assert b"203.0" not in key
        assert all(b"alice" not in entry for entry in await raw(connections[0]).lrange(key, 0, -1))


async def test_a_key_holds_no_more_than_its_limit(connections: list[RedisConnection]) -> None:
    windows = RedisFailures(connections[0], FakeClock())

    taken = [await windows.acquire_entry("key", 3, 60) for _ in range(10)]

    assert sum(taken) == 3
    assert await raw(connections[0]).llen("sidegate:f:key") == 3


async def test_no_redis_is_no_pass(connections: list[RedisConnection], empty_redis: RedisServer) -> None:
    throttle = throttle_on(connections[0])
    await connections[0].close()

    with pytest.raises(StoreUnavailable):
        await throttle.check(ALICE)
    with pytest.raises(StoreUnavailable):
        await throttle.reserve(ALICE)
    await throttle.give_back(ALICE)  # stays counted, and says nothing


def raw(connection: RedisConnection) -> Any:
    """The client library's own."""
    return connection._client
