"""What every place of failed sign-ins promises, behind the one throttle; runs once for each of ``WINDOWS``."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest

from proxy.clock import SystemClock
from proxy.core.throttle import Rate, ThrottleRules
from proxy.errors import Throttled
from proxy.ports import Attempt
from proxy.sessions.memory_throttle import MemoryFailures
from proxy.sessions.redis_connection import RedisConnection
from proxy.sessions.redis_throttle import RedisFailures
from proxy.sessions.sealing import Sealer
from proxy.sessions.throttle import KNOWN_AT_ONCE, FailureThrottle
from tests.support.clocks import FakeClock
from tests.support.observers import RecordingObserver
from tests.support.redis_stores import KEY, options_of, options_of_cluster
from tests.support.sessions import ISSUER

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

    from proxy.sessions.failure_windows import FailureWindows
    from proxy.sessions.redis_options import RedisOptions

PER_USER = Rate(3, 60)
PER_ADDRESS = Rate(5, 60)


async def _memory(clock: FakeClock, _: pytest.FixtureRequest) -> tuple[FailureWindows, Callable[[], Awaitable[None]]]:
    async def close() -> None:
        pass

    return MemoryFailures(clock), close


async def _redis(
    clock: FakeClock, request: pytest.FixtureRequest
) -> tuple[FailureWindows, Callable[[], Awaitable[None]]]:
    return await _on(clock, options_of(request.getfixturevalue("empty_redis")))


async def _redis_cluster(
    clock: FakeClock, request: pytest.FixtureRequest
) -> tuple[FailureWindows, Callable[[], Awaitable[None]]]:
    return await _on(clock, options_of_cluster(request.getfixturevalue("empty_redis_cluster")))


async def _on(clock: FakeClock, options: RedisOptions) -> tuple[FailureWindows, Callable[[], Awaitable[None]]]:
    connection = RedisConnection(options, RecordingObserver(), SystemClock())
    await connection.start()
    return RedisFailures(connection, clock), connection.close


WINDOWS = {"memory": _memory, "redis": _redis, "redis_cluster": _redis_cluster}


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture(params=WINDOWS)
async def windows(request: pytest.FixtureRequest, clock: FakeClock) -> AsyncIterator[FailureWindows]:
    made, close = await WINDOWS[request.param](clock, request)
    yield made
    await close()


@pytest.fixture
def throttle(windows: FailureWindows, clock: FakeClock) -> FailureThrottle:
    return make(windows, clock)


def make(windows: FailureWindows, clock: FakeClock, **rules: Any) -> FailureThrottle:
    members = {"issuer": ISSUER, "per_user": PER_USER, "per_address": PER_ADDRESS, **rules}
    return FailureThrottle(windows, rules=ThrottleRules(**members), digest=Sealer([KEY]).digest)


def attempt(username: str = "alice", address: str | None = "203.0.113.7", known: str | None = None) -> Attempt:
    return Attempt(username=username, address=address, known_browser=known)


async def fail(throttle: FailureThrottle, times: int, **who: Any) -> None:
    for _ in range(times):
        await throttle.check(attempt(**who))
        await throttle.reserve(attempt(**who))


async def refusal(throttle: FailureThrottle, **who: Any) -> tuple[str, int] | None:
    """Return limit and seconds when a try is refused; both ways to ask must agree."""
    checked = await refused_by(throttle.check(attempt(**who)))
    reserved = await refused_by(throttle.reserve(attempt(**who)))
    assert checked == reserved
    if reserved is None:
        await throttle.give_back(attempt(**who))
    return reserved


async def refused_by(call: Awaitable[None]) -> tuple[str, int] | None:
    try:
        await call
    except Throttled as error:
        return error.limit, error.retry_after_s
    return None


async def test_as_many_as_the_limit_says_may_fail_and_no_more(throttle: FailureThrottle) -> None:
    await fail(throttle, 3)

    assert await refusal(throttle) == ("user", 60)


async def test_a_refused_try_lengthens_nothing(throttle: FailureThrottle, clock: FakeClock) -> None:
    await fail(throttle, 3)
    for _ in range(20):
        clock.advance(1)
        await refusal(throttle)

    assert await refusal(throttle) == ("user", 40)


async def test_each_failure_counts_for_its_own_time(throttle: FailureThrottle, clock: FakeClock) -> None:
    await fail(throttle, 2)
    clock.advance(50)
    await fail(throttle, 1)

    assert await refusal(throttle) == ("user", 10)
    clock.advance(10)
    await fail(throttle, 2)
    assert await refusal(throttle) == ("user", 50)


async def test_less_than_a_second_is_said_as_one(throttle: FailureThrottle, clock: FakeClock) -> None:
    await fail(throttle, 3)
    clock.advance(59.75)

    assert await refusal(throttle) == ("user", 1)


async def test_nobody_waits_longer_than_the_window_though_a_clock_was_ahead(
    throttle: FailureThrottle, clock: FakeClock
) -> None:
    await fail(throttle, 3)
    clock.set_wall_clock(clock.now() - 3600)

    assert await refusal(throttle) == ("user", 60)


async def test_what_was_no_failure_is_given_back(throttle: FailureThrottle) -> None:
    for _ in range(10):
        await fail(throttle, 1)
        await throttle.give_back(attempt())

    assert await refusal(throttle) is None


async def test_to_give_back_more_than_was_taken_earns_nothing(throttle: FailureThrottle) -> None:
    for _ in range(5):
        await throttle.give_back(attempt())
    await fail(throttle, 3)

    assert await refusal(throttle) == ("user", 60)


async def test_of_many_tries_at_once_no_more_pass_than_one_after_the_other(throttle: FailureThrottle) -> None:
    async def one() -> bool:
        try:
            await throttle.check(attempt(address=None))
            await throttle.reserve(attempt(address=None))
        except Throttled:
            return False
        return True

    assert sum(await asyncio.gather(*(one() for _ in range(30)))) == 3


async def test_people_are_counted_apart_and_an_address_over_all_of_them(throttle: FailureThrottle) -> None:
    await fail(throttle, 3, username="alice")
    await fail(throttle, 2, username="bob")

    assert await refusal(throttle, username="carol") == ("address", 60)
    assert await refusal(throttle, username="bob", address="203.0.113.8") is None


async def test_a_try_that_one_limit_refuses_counts_under_none(throttle: FailureThrottle) -> None:
    await fail(throttle, 3, username="alice")
    await fail(throttle, 2, username="bob")
    for _ in range(10):
        await refusal(throttle, username="carol")

    assert await refusal(throttle, username="carol", address="203.0.113.8") is None
    assert (await refusal(throttle, username="alice", address="203.0.113.8") or "")[0] == "user"


async def test_strangers_who_fail_do_not_lock_a_known_browser(throttle: FailureThrottle) -> None:
    await fail(throttle, 3, address="198.51.100.1")

    assert await refusal(throttle, known="mark-1") is None
    assert await refusal(throttle) == ("user", 60)


async def test_a_known_browser_has_a_budget_of_its_own(throttle: FailureThrottle) -> None:
    await fail(throttle, 3, known="mark-1", address=None)

    assert await refusal(throttle, known="mark-1") == ("known_browser", 60)
    assert await refusal(throttle, known="mark-2") is None
    assert await refusal(throttle) is None


async def test_many_marks_of_one_person_are_no_free_guessing(throttle: FailureThrottle) -> None:
    for number in range(KNOWN_AT_ONCE):
        await fail(throttle, 3, known=f"mark-{number}", address=None)

    assert await refusal(throttle, known="mark-99", address=None) == ("known_browsers", 60)


async def test_a_known_browser_is_under_the_limit_of_its_address(throttle: FailureThrottle) -> None:
    await fail(throttle, 3, username="alice")
    await fail(throttle, 2, username="bob")

    assert await refusal(throttle, username="carol", known="mark-1") == ("address", 60)


async def test_limits_that_are_off_limit_nothing(windows: FailureWindows, clock: FakeClock) -> None:
    throttle = make(windows, clock, per_user=None, per_address=None)

    await fail(throttle, 50)

    assert await refusal(throttle) is None


async def test_an_address_that_nobody_knows_is_not_limited(throttle: FailureThrottle) -> None:
    for number in range(20):
        await fail(throttle, 1, username=f"user-{number}", address=None)

    assert await refusal(throttle, username="somebody", address=None) is None


async def test_users_of_another_issuer_are_other_people(windows: FailureWindows, clock: FakeClock) -> None:
    await fail(make(windows, clock), 3, address=None)

    assert await refusal(make(windows, clock, issuer="https://other.example"), address=None) is None


async def test_another_rate_counts_anew(windows: FailureWindows, clock: FakeClock) -> None:
    await fail(make(windows, clock), 3, address=None)

    assert await refusal(make(windows, clock, per_user=Rate(3, 120)), address=None) is None
