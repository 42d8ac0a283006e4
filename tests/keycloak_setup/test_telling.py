"""What a person reads, in 80 columns."""

from __future__ import annotations

from proxy.keycloak_setup.difference import Change, Plan, SetMember
from proxy.keycloak_setup.telling import WIDTH, Ink, counted, plan_lines

CHANGE = Change("Logout settings → Front channel logout", ("on",), ("off",), "because " * 20, SetMember("adminUrl", ""))


def test_a_change_is_a_place_a_minus_a_plus_and_a_reason() -> None:
    first, place, gone, come, *why = plan_lines(Plan((CHANGE,)), Ink.PLAIN)

    assert (first, place) == ("", "  Logout settings → Front channel logout")
    assert (gone, come) == ("    - on", "    + off")
    assert why[0].startswith("      because")


def test_nothing_but_an_address_is_wider_than_80_columns() -> None:
    lines = plan_lines(Plan((CHANGE,), ("word " * 40,)), Ink.PLAIN)

    assert max(map(len, lines)) <= WIDTH


def test_colours_are_only_ink() -> None:
    plain = "\n".join(plan_lines(Plan((CHANGE,)), Ink.PLAIN))
    coloured = "\n".join(plan_lines(Plan((CHANGE,)), Ink.COLOURS))

    assert "\x1b" not in plain
    assert "\x1b[31m    - on\x1b[0m" in coloured


def test_what_others_wrote_into_keycloak_does_not_write_to_the_terminal() -> None:
    evil = Change("\x1b[2Jmapper", ("\x07",), ("x",), "why", SetMember("a", "b"))

    lines = "".join(plan_lines(Plan((evil,), ("\x1b]0;title\x07",)), Ink.PLAIN))

    assert "\x1b" not in lines
    assert "\x07" not in lines


def test_changes_are_counted_in_words() -> None:
    assert [counted(Plan((CHANGE,) * count)) for count in (0, 1, 2)] == ["0 changes", "1 change", "2 changes"]
