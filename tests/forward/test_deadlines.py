"""Deadlines on a loop whose time stands in the hand of the test."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, cast

from proxy.forward.deadlines import Deadline

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable


@dataclass
class Timer:
    at: float
    callback: Callable[[], None]
    is_cancelled: bool = False

    def cancel(self) -> None:
        self.is_cancelled = True


@dataclass
class Loop:
    now: float = 0.0
    timers: list[Timer] = field(default_factory=list)

    def time(self) -> float:
        return self.now

    def call_at(self, at: float, callback: Callable[[], None]) -> Timer:
        self.timers.append(Timer(at, callback))
        return self.timers[-1]

    def advance(self, to: float) -> None:
        self.now = to
        for timer in [timer for timer in self.timers if timer.at <= to and not timer.is_cancelled]:
            self.timers.remove(timer)
            timer.callback()

    @property
    def armed(self) -> int:
        return sum(not timer.is_cancelled for timer in self.timers)


def deadline() -> tuple[Deadline, Loop, list[float]]:
    loop, passed = Loop(), list[float]()
    return Deadline(cast("asyncio.AbstractEventLoop", loop), lambda: passed.append(loop.now)), loop, passed


def test_a_deadline_passes_once_and_not_before() -> None:
    line, loop, passed = deadline()
    line.set(10)

    loop.advance(9.9)
    assert passed == []
    loop.advance(10)
    loop.advance(100)

    assert passed == [10]


def test_a_later_deadline_leaves_the_timer_where_it_is() -> None:
    line, loop, passed = deadline()
    for now in range(9):
        loop.advance(now)
        line.set(10)

    assert len(loop.timers) == 1
    loop.advance(10)
    assert passed == []
    loop.advance(18)

    assert passed == [18]


def test_a_sooner_deadline_is_kept_in_time() -> None:
    line, loop, passed = deadline()
    line.set(75)
    line.set(10)

    loop.advance(10)

    assert passed == [10]
    assert loop.armed == 0


def test_a_cleared_deadline_never_passes_and_a_new_one_does() -> None:
    line, loop, passed = deadline()
    line.set(10)
    line.clear()
    loop.advance(20)
    assert passed == []

    line.set(5)
    loop.advance(25)

    assert passed == [25]


def test_closing_lets_go_of_the_loop() -> None:
    line, loop, passed = deadline()
    line.set(10)

    line.close()

    assert loop.armed == 0
    loop.advance(20)
    assert passed == []
