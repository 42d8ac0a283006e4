"""How many roots an address may begin, at the cap and beyond."""

from __future__ import annotations

import pytest

from proxy.core.authentication import ROOT_LIFETIME_S
from proxy.errors import TooManyLogins
from proxy.web.root_quota import RootQuota, counted_address
from tests.support.clocks import FakeClock


def test_at_the_cap_a_new_root_is_refused_and_a_known_one_is_not() -> None:
    quota = RootQuota(FakeClock(), per_address=2)
    quota.admit("a", "one")
    quota.admit("a", "two")

    quota.admit("a", "one")
    with pytest.raises(TooManyLogins):
        quota.admit("a", "three")


def test_another_address_has_its_own_quota() -> None:
    quota = RootQuota(FakeClock(), per_address=1)
    quota.admit("203.0.113.1", "one")

    quota.admit("203.0.113.2", "two")


def test_a_root_that_is_over_counts_no_more() -> None:
    clock = FakeClock()
    quota = RootQuota(clock, per_address=1)
    quota.admit("a", "one")
    clock.advance(ROOT_LIFETIME_S)

    quota.admit("a", "two")


def test_memory_is_bounded_and_the_address_heard_of_longest_ago_goes() -> None:
    quota = RootQuota(FakeClock(), per_address=1, addresses=3)
    for address in ("a", "b", "c"):
        quota.admit(address, "root")
    quota.admit("a", "root")

    quota.admit("d", "root")

    assert list(quota._roots) == ["c", "a", "d"]


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
