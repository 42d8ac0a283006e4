"""Pages that wait come back by themselves, and never all at once."""

from __future__ import annotations

import pytest

from proxy.core.reload_pace import JITTER, LONGEST_S, QUIET_S, RELOADS_PER_SECOND, SHORTEST_S, ReloadPace


def test_the_first_wait_is_short_and_chance_makes_it_longer() -> None:
    assert ReloadPace().delay_s(1000.0, chance=0.0) == SHORTEST_S
    assert ReloadPace().delay_s(1000.0, chance=1.0) == SHORTEST_S * (1 + JITTER)


def test_the_wait_grows_with_the_outage_up_to_a_limit() -> None:
    pace = ReloadPace()

    waits = [pace.delay_s(1000.0 + age, chance=0.0) for age in (0, 40, 240, 400, 600, 800)]

    assert waits == [SHORTEST_S, 10.0, 60.0, 100.0, LONGEST_S, LONGEST_S]


def test_thousands_who_wait_are_called_back_one_after_the_other() -> None:
    pace = ReloadPace()

    waits = [pace.delay_s(1000.0, chance=0.0) for _ in range(2000)]

    back_in_each_second = [sum(second <= wait < second + 1 for wait in waits) for second in range(4, 100)]
    assert max(back_in_each_second) <= RELOADS_PER_SECOND + 1
    assert waits == sorted(waits)


def test_nobody_waits_longer_than_the_limit_however_many_there_are() -> None:
    pace = ReloadPace()

    waits = [pace.delay_s(1000.0, chance=1.0) for _ in range(10_000)]

    assert max(waits) == LONGEST_S * (1 + JITTER)
    # A quarter of what it has lasted: the places of all who came before are behind.
    assert pace.delay_s(1000.0 + LONGEST_S, chance=0.0) == LONGEST_S / 4


@pytest.mark.parametrize(("gap", "expected"), [(QUIET_S - 1, (QUIET_S - 1) / 4), (QUIET_S, SHORTEST_S)])
def test_after_a_silence_it_is_another_outage(gap: float, expected: float) -> None:
    pace = ReloadPace()
    pace.delay_s(1000.0, chance=0.0)

    assert pace.delay_s(1000.0 + gap, chance=0.0) == expected
