"""The throttle's own: places, their number, and what a flood of names can do. The rest is in the contract suite."""

from __future__ import annotations

from hashlib import sha256
from typing import TYPE_CHECKING

import pytest

from proxy.core.throttle import Rate, ThrottleRules
from proxy.errors import StoreUnavailable, Throttled
from proxy.ports import Attempt
from proxy.sessions import throttle as room
from proxy.sessions.memory_throttle import MemoryFailures
from proxy.sessions.throttle import MAX_FAILURES, MAX_PLACES, FailureThrottle
from tests.support.clocks import FakeClock
from tests.support.sessions import ISSUER

if TYPE_CHECKING:
    from proxy.sessions.failure_windows import FailureWindows


def digest(text: str) -> str:
    return sha256(text.encode()).hexdigest()


def make(windows: FailureWindows, per_user: Rate | None = None, per_address: Rate | None = None) -> FailureThrottle:
    rules = ThrottleRules(issuer=ISSUER, per_user=per_user, per_address=per_address)
    return FailureThrottle(windows, rules=rules, digest=digest)


def of(username: str, address: str | None = None) -> Attempt:
    return Attempt(username=username, address=address)


async def flood(throttle: FailureThrottle, names: int) -> None:
    for number in range(names):
        try:
            await throttle.reserve(of(f"invented-{number}"))
        except Throttled:
            continue


async def test_a_flood_of_names_forgets_nobody_and_fills_no_more_than_the_places(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(room, "MAX_PLACES", 64)
    windows = MemoryFailures(FakeClock())
    throttle = make(windows, per_user=Rate(5, 300))
    for _ in range(5):
        await throttle.reserve(of("victim"))

    await flood(throttle, 5000)

    assert (len(windows), windows.failures) == (64, 64 * 5)
    with pytest.raises(Throttled):
        await throttle.check(of("victim"))


@pytest.mark.parametrize("failures", [1, 5, 30, 100, 1000])
async def test_a_limit_remembers_no_more_failures_than_it_may(failures: int) -> None:
    throttle = make(MemoryFailures(FakeClock()), per_user=Rate(failures, 300))

    places = {next(throttle._limits(of(f"user-{number}"))).place for number in range(3000)}

    most = max(int(place, 16) for place in places) + 1
    assert most <= MAX_PLACES
    assert most * failures <= MAX_FAILURES


async def test_two_names_seldom_share_a_place() -> None:
    throttle = make(MemoryFailures(FakeClock()), per_user=Rate(5, 300))

    places = {next(throttle._limits(of(f"user-{number}"))).place for number in range(1000)}

    assert len(places) > 970


async def test_a_name_and_an_address_that_are_spelled_alike_are_counted_apart() -> None:
    throttle = make(MemoryFailures(FakeClock()), per_user=Rate(5, 300), per_address=Rate(5, 300))

    user, address = throttle._limits(of("203.0.113.7", "203.0.113.7"))

    assert (user.place, user.item.key_for(user.place)) != (address.place, address.item.key_for(address.place))
    assert user.place != address.place


class Broken(MemoryFailures):
    """A store that goes away once something was reserved."""

    async def release_entry(self, key: str) -> None:
        raise StoreUnavailable("gone")


async def test_what_cannot_be_given_back_stays_counted_and_is_nobodys_fault() -> None:
    windows = Broken(FakeClock())
    throttle = make(windows, per_user=Rate(5, 300))
    await throttle.reserve(of("alice"))

    await throttle.give_back(of("alice"))

    assert windows.failures == 1
