"""Budgets by address: bounded in time and in number."""

from __future__ import annotations

import pytest

from proxy.web import address_budget
from proxy.web.address_budget import AddressBudget
from tests.support.clocks import FakeClock


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def budget(clock: FakeClock) -> AddressBudget:
    return AddressBudget(clock, burst=3, refill_s=0.1)


def spent(budget: AddressBudget, address: str, times: int) -> list[bool]:
    return [budget.spend(address) for _ in range(times)]


def test_a_burst_passes_and_no_more(budget: AddressBudget) -> None:
    assert spent(budget, "192.0.2.1", 5) == [True, True, True, False, False]


def test_every_address_has_its_own(budget: AddressBudget) -> None:
    spent(budget, "192.0.2.1", 4)

    assert budget.spend("192.0.2.2")


def test_what_one_customer_is_given_counts_as_one(budget: AddressBudget) -> None:
    spent(budget, "2001:db8::1", 3)

    assert not budget.spend("2001:db8::ffff")
    assert budget.spend("2001:db8:0:1::1")


def test_time_gives_one_more_for_each_step_and_a_refusal_costs_nothing(budget: AddressBudget, clock: FakeClock) -> None:
    spent(budget, "192.0.2.1", 50)
    clock.advance(0.2)

    assert spent(budget, "192.0.2.1", 3) == [True, True, False]


def test_the_whole_burst_of_a_real_size_passes_whatever_the_clock_shows(clock: FakeClock) -> None:
    clock.advance(0.123456789)
    budget = AddressBudget(clock, burst=100, refill_s=0.1)

    assert spent(budget, "192.0.2.1", 101) == [True] * 100 + [False]


def test_a_crowd_shares_one_budget_and_makes_no_room_for_itself(
    budget: AddressBudget, clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(address_budget, "MAX_ADDRESSES", 4)
    for number in range(4):
        budget.spend(f"192.0.2.{number}")

    assert [budget.spend(f"198.51.100.{number}") for number in range(4)] == [True, True, True, False]
    assert len(budget) == 5
    clock.advance(1)
    assert budget.spend("198.51.100.9")
    assert len(budget) == 1


def test_to_ask_whether_there_is_any_takes_none(budget: AddressBudget) -> None:
    said = [(budget.has_any("192.0.2.1"), budget.has_any("192.0.2.1"), budget.spend("192.0.2.1")) for _ in range(8)]

    assert all(asked == again == taken for asked, again, taken in said)
    assert {taken for _, _, taken in said} == {True, False}
