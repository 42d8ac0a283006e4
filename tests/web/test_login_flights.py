"""What is sent twice at once is done once, for whoever sent the very same."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from proxy.core.secret import Secret
from proxy.errors import ProviderUnavailable
from proxy.tasks import TaskOwner
from proxy.web import login_flights
from proxy.web.login_flights import SHARED_FOR_S, LoginFlights
from tests.support.clocks import FakeClock

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine


class Stage:
    """Flights whose work ends when the test says so; words that begin with ``yes`` stay."""

    def __init__(self) -> None:
        self.clock, self.faults, self.asked = FakeClock(), list[BaseException](), 0
        self.tasks = TaskOwner(self.faults.append)
        self.flights = LoginFlights[str](self.tasks, self.clock, key=b"k" * 32, stays=lambda word: word == "yes")
        self.go = asyncio.Event()

    def work(self, answer: str | Exception) -> Callable[[], Coroutine[object, object, str]]:
        async def run() -> str:
            self.asked += 1
            await self.go.wait()
            if isinstance(answer, Exception):
                raise answer
            return answer

        return run

    def send(self, name: str, answer: str | Exception) -> asyncio.Task[str]:
        return asyncio.get_running_loop().create_task(self.flights.share(name, self.work(answer)))


@pytest.fixture
async def stage() -> Stage:
    return Stage()


async def test_two_at_once_are_asked_once_and_hear_the_same(stage: Stage) -> None:
    sent = [stage.send("form", "yes"), stage.send("form", "never asked")]
    await asyncio.sleep(0)
    stage.go.set()

    assert await asyncio.gather(*sent) == ["yes", "yes"]
    assert stage.asked == 1


async def test_what_differs_is_asked_for_each(stage: Stage) -> None:
    stage.go.set()

    assert await asyncio.gather(stage.send("one", "yes"), stage.send("other", "no")) == ["yes", "no"]


async def test_a_login_is_shared_for_some_seconds_and_then_no_more(stage: Stage) -> None:
    stage.go.set()
    await stage.send("form", "yes")
    stage.clock.advance(SHARED_FOR_S - 0.1)
    assert await stage.send("form", "no") == "yes"

    stage.clock.advance(0.1)

    assert await stage.send("form", "no") == "no"


async def test_a_refusal_is_shared_only_while_it_is_under_way(stage: Stage) -> None:
    stage.go.set()
    await stage.send("form", "no")

    assert await stage.send("form", "yes") == "yes"
    assert stage.asked == 2


async def test_all_hear_of_a_fault_and_the_next_asks_again(stage: Stage) -> None:
    sent = [stage.send("form", ProviderUnavailable("away")) for _ in range(2)]
    stage.go.set()
    for one in sent:
        with pytest.raises(ProviderUnavailable):
            await one

    assert await stage.send("form", "yes") == "yes"
    assert stage.faults == [], "an expected fault is not reported as a defect"


async def test_who_hangs_up_stops_nothing(stage: Stage) -> None:
    first = stage.send("form", "yes")
    await asyncio.sleep(0)
    first.cancel()
    await asyncio.gather(first, return_exceptions=True)
    second = stage.send("form", "never asked")
    stage.go.set()

    assert await second == "yes"


async def test_a_defect_is_raised_and_forgotten(stage: Stage) -> None:
    stage.go.set()
    with pytest.raises(ZeroDivisionError):
        await stage.send("form", ZeroDivisionError())

    assert await stage.send("form", "yes") == "yes"


async def test_above_the_cap_a_login_works_and_is_shared_with_nobody(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(login_flights, "MAX_FLIGHTS", 2)
    stage.go.set()
    for name in ("one", "two", "three"):
        await stage.send(name, "yes")

    assert len(stage.flights) == 2
    assert await stage.send("three", "no") == "no"


async def test_a_name_says_nothing_of_what_was_typed_and_differs_with_each_part(stage: Stage) -> None:
    name = stage.flights.name

    names = {
        name("root", Secret("pw")),
        name("root", "pw2"),
        name("rootpw", ""),
        name("", "rootpw"),
        name("\ud800", ""),
    }

    assert len(names) == 5
    assert name("root", Secret("pw")) == name("root", "pw")
    assert not any("pw" in one for one in names)
    assert LoginFlights[str](stage.tasks, stage.clock, key=b"x" * 32, stays=bool).name("root", "pw") not in names
