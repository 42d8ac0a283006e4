"""How many flows an address may have in progress, at the cap and beyond."""

from __future__ import annotations

import pytest

from proxy.core.authentication import ROOT_LIFETIME_S
from proxy.errors import TooManyLogins
from proxy.web.flow_quota import FlowQuota, counted_address
from tests.support.clocks import FakeClock


def test_at_the_cap_a_further_flow_is_refused() -> None:
    quota = FlowQuota(FakeClock(), per_address=2)
    quota.admit("a", "one")
    quota.admit("a", "two")

    with pytest.raises(TooManyLogins):
        quota.admit("a", "three")


def test_a_refused_flow_does_not_count_and_the_others_stay_counted() -> None:
    quota = FlowQuota(FakeClock(), per_address=1)
    quota.admit("a", "one")

    for _ in range(3):
        with pytest.raises(TooManyLogins):
            quota.admit("a", "two")

    assert quota._count == 1


def test_a_flow_that_came_to_its_end_frees_its_place() -> None:
    quota = FlowQuota(FakeClock(), per_address=1)

    for number in range(10):
        quota.admit("a", str(number))
        quota.release("a", str(number))

    assert (quota._count, quota._flows) == (0, {})


def test_a_place_is_freed_once_and_by_its_own_flow_only() -> None:
    quota = FlowQuota(FakeClock(), per_address=2)
    quota.admit("a", "one")
    quota.admit("a", "two")

    quota.release("a", "one")
    quota.release("a", "one")
    quota.release("b", "two")
    quota.release("a", "unknown")

    assert quota._count == 1


def test_another_address_has_its_own_quota() -> None:
    quota = FlowQuota(FakeClock(), per_address=1)
    quota.admit("203.0.113.1", "one")

    quota.admit("203.0.113.2", "two")


def test_a_flow_that_ran_out_counts_no_more() -> None:
    clock = FakeClock()
    quota = FlowQuota(clock, per_address=1)
    quota.admit("a", "one")
    clock.advance(ROOT_LIFETIME_S)

    quota.admit("a", "two")

    assert quota._count == 1


def test_memory_is_bounded_and_the_address_heard_of_longest_ago_goes() -> None:
    quota = FlowQuota(FakeClock(), per_address=10, in_all=4)
    for address, state in (("a", "1"), ("b", "2"), ("c", "3"), ("a", "4")):
        quota.admit(address, state)

    quota.admit("d", "5")

    assert list(quota._flows) == ["c", "a", "d"]
    assert quota._count == 4


@pytest.mark.parametrize(
    ("address", "counted"),
    [
        ("203.0.113.7", "203.0.113.7"),
        ("::ffff:203.0.113.7", "203.0.113.7"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("2001:db8:1:2::", "2001:db8:1:2::/64"),
        ("", ""),
        ("unix", "unix"),
    ],
)
def test_what_is_counted(address: str, counted: str) -> None:
    assert counted_address(address) == counted
