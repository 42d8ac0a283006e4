"""What is memory's own, besides the contract: what ran out goes, and nothing grows beyond its limit."""

from __future__ import annotations

import pytest

from proxy.sessions.memory_throttle import MemoryFailures
from tests.support.clocks import FakeClock


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


async def test_a_window_holds_no_more_than_its_limit(clock: FakeClock) -> None:
    windows = MemoryFailures(clock)

    taken = [await windows.acquire_entry("key", 5, 60) for _ in range(100)]

    assert (sum(taken), windows.failures) == (5, 5)


async def test_several_at_once_are_counted_together_or_not_at_all(clock: FakeClock) -> None:
    windows = MemoryFailures(clock)

    assert await windows.acquire_entry("key", 5, 60, amount=4)
    assert not await windows.acquire_entry("key", 5, 60, amount=2)
    assert windows.failures == 4


async def test_a_quiet_night_empties_it(clock: FakeClock) -> None:
    windows = MemoryFailures(clock)
    for number in range(1000):
        await windows.acquire_entry(f"key-{number}", 5, 60)

    clock.advance(61)
    await windows.acquire_entry("morning", 5, 60)

    assert (len(windows), windows.failures) == (1, 1)


async def test_a_sweep_leaves_what_still_counts(clock: FakeClock) -> None:
    windows = MemoryFailures(clock)
    await windows.acquire_entry("long", 5, 86400)
    clock.advance(3600)

    await windows.acquire_entry("short", 5, 60)

    assert await windows.get_moving_window("long", 5, 86400) == (clock.monotonic() - 3600, 1)


async def test_to_look_keeps_nothing(clock: FakeClock) -> None:
    windows = MemoryFailures(clock)

    for number in range(1000):
        assert await windows.get_moving_window(f"key-{number}", 5, 60) == (clock.monotonic(), 0)

    assert len(windows) == 0


async def test_nothing_is_taken_back_where_nothing_is(clock: FakeClock) -> None:
    windows = MemoryFailures(clock)

    await windows.release_entry("key")

    assert (len(windows), windows.failures) == (0, 0)


async def test_whoever_sets_the_wall_clock_forgives_nobody_and_locks_nobody_out(clock: FakeClock) -> None:
    windows = MemoryFailures(clock)
    await windows.acquire_entry("key", 1, 60)

    clock.set_wall_clock(clock.now() + 3600)
    assert not await windows.acquire_entry("key", 1, 60)
    clock.set_wall_clock(clock.now() - 7200)
    clock.advance(60)
    assert await windows.acquire_entry("key", 1, 60)
