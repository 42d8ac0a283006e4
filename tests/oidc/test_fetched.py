"""What the provider publishes is fetched again and again, and an old good one outlives a failure."""

from __future__ import annotations

import asyncio
from collections import deque
from typing import TYPE_CHECKING

import pytest
import pytest_asyncio

from proxy.errors import ProviderUnavailable
from proxy.oidc.fetched import LONGEST_PAUSE_S, Fetched, Surroundings
from proxy.tasks import TaskOwner
from tests.oidc.stepping import SteppedSleep, settle
from tests.support.clocks import START, FakeClock
from tests.support.observers import RecordingObserver

if TYPE_CHECKING:
    from collections.abc import AsyncIterator


class Published:
    """A document whose next versions the test lays out; a text is a failure of that sentence."""

    def __init__(self) -> None:
        self.next: deque[int | str] = deque()
        self.calls = 0
        self.gate = asyncio.Event()
        self.gate.set()

    async def fetch(self) -> int:
        self.calls += 1
        await self.gate.wait()
        found = self.next.popleft()
        if isinstance(found, str):
            raise ProviderUnavailable(found)
        return found


class Bench:
    """A fetched document with everything around it in the hand of the test."""

    def __init__(self) -> None:
        self.clock = FakeClock()
        self.observer = RecordingObserver()
        self.faults: list[BaseException] = []
        self.tasks = TaskOwner(self.faults.append)
        self.sleep = SteppedSleep()
        self.published = Published()
        around = Surroundings(clock=self.clock, observer=self.observer, tasks=self.tasks, sleep=self.sleep)
        self.fetched = Fetched("keys", self.published.fetch, every_s=300.0, surroundings=around)

    async def round(self, *outcomes: int | str) -> None:
        """Let one round after the other happen."""
        for outcome in outcomes:
            self.published.next.append(outcome)
            self.sleep.step()
            await settle()


@pytest_asyncio.fixture
async def bench() -> AsyncIterator[Bench]:
    made = Bench()
    yield made
    await made.tasks.close()
    assert made.faults == []


async def test_a_good_document_is_fetched_again_after_its_time(bench: Bench) -> None:
    bench.published.next.append(1)
    _ = bench.tasks.start(bench.fetched.keep_fresh())
    await settle()
    assert (bench.fetched.value, bench.sleep.pauses) == (1, [300.0])

    await bench.round(2)

    assert (bench.fetched.value, bench.sleep.pauses) == (2, [300.0, 300.0])


async def test_failures_are_retried_with_growing_pauses_that_have_an_end(bench: Bench) -> None:
    bench.published.next.append("away")
    _ = bench.tasks.start(bench.fetched.keep_fresh())
    await settle()

    await bench.round(*["away"] * 8)

    assert 0.8 <= bench.sleep.pauses[0] <= 1.0
    assert all(
        later > earlier * 1.2 for earlier, later in zip(bench.sleep.pauses[:2], bench.sleep.pauses[1:3], strict=True)
    )
    assert all(LONGEST_PAUSE_S * 0.8 <= pause <= LONGEST_PAUSE_S for pause in bench.sleep.pauses[5:])


async def test_after_a_success_the_pauses_begin_anew(bench: Bench) -> None:
    bench.published.next.extend(["away", "away", 1, "away"])
    _ = bench.tasks.start(bench.fetched.keep_fresh())
    for _ in range(3):
        await settle()
        bench.sleep.step()
    await settle()

    assert bench.sleep.pauses[2] == 300.0
    assert bench.sleep.pauses[3] <= 1.0


async def test_the_old_one_is_kept_on_failure_and_the_trouble_named(bench: Bench) -> None:
    bench.published.next.extend([1, "it answers 500"])
    await bench.fetched.fetch()

    with pytest.raises(ProviderUnavailable, match="it answers 500"):
        await bench.fetched.fetch()

    assert (bench.fetched.value, bench.fetched.trouble) == (1, "it answers 500")


async def test_one_log_line_for_each_change_of_state(bench: Bench) -> None:
    bench.published.next.extend(["away", "away", "away", "other trouble", 1, 2])
    for _ in range(6):
        try:
            await bench.fetched.fetch()
        except ProviderUnavailable:
            continue

    said = [message for message, _ in bench.observer.warnings]
    assert said == [
        "provider keys: away; retrying",
        "provider keys: other trouble; retrying",
        "provider keys: available again",
    ]


async def test_the_state_knows_since_when(bench: Bench) -> None:
    bench.published.next.extend(["away", "away", 1])
    for outcome_at in (10, 20):
        bench.clock.advance(10)
        with pytest.raises(ProviderUnavailable):
            await bench.fetched.fetch()
        assert bench.fetched.since == START + 10, outcome_at

    bench.clock.advance(10)
    await bench.fetched.fetch()

    assert bench.fetched.since == START + 30


async def test_a_failure_that_somebody_else_met_starts_the_retries(bench: Bench) -> None:
    bench.published.next.extend([1, "away", "away", 2])
    _ = bench.tasks.start(bench.fetched.keep_fresh())
    await settle()
    assert bench.sleep.pauses == [300.0]

    with pytest.raises(ProviderUnavailable):
        await bench.fetched.fetch()
    await settle()
    assert len(bench.sleep.pauses) == 2
    assert bench.sleep.pauses[1] <= 2.0

    bench.sleep.step()
    await settle()
    assert (bench.fetched.value, bench.sleep.pauses[2]) == (2, 300.0)


async def test_many_who_ask_at_once_cause_one_fetch(bench: Bench) -> None:
    bench.published.gate.clear()
    bench.published.next.extend([1, 2])
    waiting = [bench.tasks.start(bench.fetched.fetch()) for _ in range(50)]
    await settle()
    assert bench.fetched.in_flight

    bench.published.gate.set()

    assert [await task for task in waiting] == [1] * 50
    assert bench.published.calls == 1
    assert not bench.fetched.in_flight


async def test_a_caller_who_goes_away_does_not_stop_the_others(bench: Bench) -> None:
    bench.published.gate.clear()
    bench.published.next.append(1)
    first, second = (bench.tasks.start(bench.fetched.fetch()) for _ in range(2))
    await settle()

    first.cancel()
    await settle()
    bench.published.gate.set()

    assert await second == 1


async def test_somebody_may_wait_for_the_first_good_one(bench: Bench) -> None:
    bench.published.next.extend(["away", 1])
    waiting = bench.tasks.start(bench.fetched.had())
    with pytest.raises(ProviderUnavailable):
        await bench.fetched.fetch()
    await settle()
    assert not waiting.done()

    await bench.fetched.fetch()
    await settle()

    assert waiting.done()
