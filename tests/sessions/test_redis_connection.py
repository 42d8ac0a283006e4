"""The connection to Redis: bounded in time, honest about faults."""

from __future__ import annotations

import asyncio
import contextlib
import time
from typing import TYPE_CHECKING, Any

import pytest

from proxy.clock import SystemClock
from proxy.errors import StoreFull, StoreUnavailable
from proxy.sessions.redis_connection import OPERATION_S, Alone, RedisConnection, RedisOptions, TcpNode
from tests.redis.server import HOST
from tests.support.observers import RecordingObserver
from tests.support.ports import free_port

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from tests.redis.server import RedisServer

RECOVERY_S = 5.0
PATIENCE_S = 10.0


def _options(port: int, **further: Any) -> RedisOptions:
    return RedisOptions(topology=Alone(TcpNode(HOST, port)), **further)


@contextlib.asynccontextmanager
async def _started(options: RedisOptions, observer: RecordingObserver | None = None) -> AsyncIterator[RedisConnection]:
    connection = RedisConnection(options, observer or RecordingObserver(), SystemClock())
    await connection.start()
    try:
        yield connection
    finally:
        await connection.close()


async def _until(is_so: Callable[[], bool], *, within_s: float = PATIENCE_S) -> float:
    began_at = time.monotonic()
    while not is_so():
        assert time.monotonic() - began_at < within_s, f"not so after {within_s} s"
        await asyncio.sleep(0.01)
    return time.monotonic() - began_at


async def _set_and_get(connection: RedisConnection) -> object:
    await connection.run("set", lambda redis: redis.set("sidegate:x", "1"))
    return await connection.run("get", lambda redis: redis.get("sidegate:x"))


async def _seconds_refused(connection: RedisConnection) -> float:
    """How long a call took that was refused."""
    began_at = time.monotonic()
    with pytest.raises(StoreUnavailable):
        await connection.run("get", lambda redis: redis.get("sidegate:x"))
    return time.monotonic() - began_at


async def test_a_call_is_given_the_client_and_measured(empty_redis: RedisServer) -> None:
    observer = RecordingObserver()
    async with _started(_options(empty_redis.port), observer) as connection:
        assert await _set_and_get(connection) == b"1"
        assert connection.readiness().is_ready

    assert [operation for operation, _ in observer.store_calls] == ["set", "get"]
    assert observer.store_errors == 0
    assert observer.errors == []


async def test_a_start_without_redis_does_not_fail_and_its_coming_is_noticed(empty_redis: RedisServer) -> None:
    observer = RecordingObserver()
    empty_redis.kill()
    async with _started(_options(empty_redis.port), observer) as connection:
        assert "Connection refused" in connection.readiness().detail
        assert await _seconds_refused(connection) < 0.5

        empty_redis.start()

        assert await _until(lambda: connection.readiness().is_ready) < RECOVERY_S
        assert await _set_and_get(connection) == b"1"


async def test_an_error_of_the_caller_is_raised_unchanged_and_is_no_fault_of_redis(empty_redis: RedisServer) -> None:
    observer = RecordingObserver()

    async def full(_redis: object) -> None:
        raise StoreFull("at the cap")

    async with _started(_options(empty_redis.port), observer) as connection:
        with pytest.raises(StoreFull):
            await connection.run("create", full)

    assert observer.store_errors == 0


async def test_a_redis_that_hangs_costs_bounded_time_then_none_and_recovers(empty_redis: RedisServer) -> None:
    observer = RecordingObserver()
    async with _started(_options(empty_redis.port), observer) as connection:
        await _set_and_get(connection)
        empty_redis.pause()
        try:
            times = await asyncio.gather(*(_seconds_refused(connection) for _ in range(300)))
            assert max(times) < OPERATION_S + 2
            await _until(lambda: not connection.readiness().is_ready)
            # One of them may be the one that looks whether it is back.
            assert min([await _seconds_refused(connection) for _ in range(3)]) < OPERATION_S / 2
        finally:
            empty_redis.resume()

        assert await _until(lambda: connection.readiness().is_ready) < RECOVERY_S
        assert await _set_and_get(connection) == b"1"

    assert len([line for line, _ in observer.errors if "does not answer in time" in line]) == 1
    assert len([line for line, _ in observer.warnings if "is back" in line]) == 1
    assert observer.store_errors >= 300


async def test_a_redis_that_was_restarted_is_used_again_and_told_once(empty_redis: RedisServer) -> None:
    observer = RecordingObserver()
    async with _started(_options(empty_redis.port), observer) as connection:
        await _set_and_get(connection)
        empty_redis.kill()
        await _until(lambda: not connection.readiness().is_ready)
        await _seconds_refused(connection)

        empty_redis.start()

        assert await _until(lambda: connection.readiness().is_ready) < RECOVERY_S
        assert await _set_and_get(connection) == b"1"

    assert 1 <= len(observer.errors) <= 2  # that it is gone, that nobody is there
    assert len(observer.warnings) == 1


async def test_whoever_hangs_up_does_not_tear_a_write_in_two(empty_redis: RedisServer) -> None:
    arrived, go_on = asyncio.Event(), asyncio.Event()

    async def two_writes(redis: Any) -> None:
        await redis.set("sidegate:first", "1")
        arrived.set()
        await go_on.wait()
        await redis.set("sidegate:second", "1")

    async with _started(_options(empty_redis.port)) as connection:
        caller = asyncio.get_running_loop().create_task(connection.run("two", two_writes))
        await arrived.wait()
        caller.cancel()
        go_on.set()
        with pytest.raises(asyncio.CancelledError):
            await caller

        await _until(lambda: empty_redis.call("EXISTS", "sidegate:second") == 1)


async def test_more_calls_than_connections_wait_for_their_turn(empty_redis: RedisServer) -> None:
    async with _started(_options(empty_redis.port)) as connection:
        answers = await asyncio.gather(
            *(connection.run("incr", lambda redis: redis.incr("sidegate:n")) for _ in range(1000))
        )

    assert sorted(answers) == list(range(1, 1001))


async def test_nobody_there_is_said_with_its_remedy() -> None:
    observer = RecordingObserver()
    port = free_port()
    async with _started(_options(port), observer):
        pass

    [(line, fields)] = observer.errors
    assert line.startswith(f"Redis at 127.0.0.1:{port} is away: no connection (Connection refused); check")
    assert fields == {"fault": "away"}


async def test_a_closed_connection_refuses() -> None:
    connection = RedisConnection(_options(free_port()), RecordingObserver(), SystemClock())

    with pytest.raises(StoreUnavailable):
        await connection.run("get", lambda redis: redis.get("x"))
