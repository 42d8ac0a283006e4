"""What an app hears of a person's roles and groups."""

from __future__ import annotations

from msgspec.structs import replace

from proxy.core.identity import Identity
from proxy.core.narrowing import EVERYTHING, Narrowing

ALICE = Identity(
    issuer="https://sso.example.com/realms/acme",
    subject="alice-id",
    username="alice",
    roles=frozenset({"viewer", "legacy-app:editor", "legacy-app:admin", "billing:clerk"}),
    groups=frozenset({"/staff", "/staff/it", "/board"}),
)


def test_a_route_that_names_nothing_says_everything_and_makes_no_new_value() -> None:
    assert EVERYTHING.narrowed(ALICE) is ALICE


def test_roles_are_narrowed_by_name_and_by_star() -> None:
    narrowed = Narrowing(roles=("viewer", "legacy-app:*")).narrowed(ALICE)

    assert narrowed == replace(ALICE, roles=frozenset({"viewer", "legacy-app:editor", "legacy-app:admin"}))


def test_a_role_is_not_meant_by_a_part_of_its_name() -> None:
    assert Narrowing(roles=("view", "editor", "legacy-app")).narrowed(ALICE).roles == frozenset()


def test_groups_are_read_with_a_slash_and_a_group_is_not_its_children() -> None:
    assert Narrowing(groups=("staff",)).narrowed(ALICE).groups == {"/staff"}
    assert Narrowing(groups=("/staff/*",)).narrowed(ALICE).groups == {"/staff/it"}
    assert Narrowing(groups=("*",)).narrowed(ALICE).groups == ALICE.groups


def test_an_empty_list_says_none_at_all() -> None:
    narrowed = Narrowing(roles=(), groups=()).narrowed(ALICE)

    assert (narrowed.roles, narrowed.groups) == (frozenset(), frozenset())


def test_what_names_all_that_somebody_has_makes_no_new_value() -> None:
    assert Narrowing(roles=("*",), groups=("/*",)).narrowed(ALICE) is ALICE


def test_two_routes_that_name_the_same_are_equal() -> None:
    assert Narrowing(roles=("viewer",)) == Narrowing(roles=("viewer",))
    assert Narrowing(roles=("viewer",)) != Narrowing(groups=("viewer",))
    assert hash(Narrowing(groups=("a",))) == hash(Narrowing(groups=("a",)))
