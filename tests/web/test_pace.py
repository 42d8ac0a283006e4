"""The grid on which refusals are answered."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.web.pace import REFUSAL_FLOOR_S, REFUSAL_GRID_S, answered_after, wait_for_grid
from tests.support.clocks import FakeClock


@pytest.mark.parametrize(
    ("elapsed_s", "answered_s"), [(0, 0.5), (0.2, 0.5), (0.5, 0.5), (0.501, 0.75), (0.75, 0.75), (10.1, 10.25)]
)
def test_the_next_multiple_of_a_quarter_second_at_least_half_a_second(elapsed_s: float, answered_s: float) -> None:
    assert answered_after(elapsed_s) == answered_s


@given(st.floats(min_value=0, max_value=1000))
def test_never_before_it_is_ready_and_never_a_grid_step_later(elapsed_s: float) -> None:
    answered_s = answered_after(elapsed_s)

    assert answered_s >= elapsed_s
    assert answered_s == REFUSAL_FLOOR_S or answered_s - elapsed_s < REFUSAL_GRID_S
    assert answered_s % REFUSAL_GRID_S == 0


async def test_it_sleeps_what_is_left_by_the_monotonic_clock() -> None:
    clock, slept = FakeClock(), list[float]()
    started_at = clock.monotonic()
    clock.advance(0.6)
    clock.set_wall_clock(0.0)

    async def sleep(seconds: float) -> None:
        slept.append(seconds)

    await wait_for_grid(started_at, clock, sleep)

    assert slept == [pytest.approx(0.15)]
