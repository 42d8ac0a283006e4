"""Claims are found by name or by path, and compared without converting."""

from __future__ import annotations

import pytest

from proxy.core.claims import ClaimPattern, claim_value


def test_a_claim_of_the_exact_name_comes_before_a_path() -> None:
    assert claim_value({"a.b": 1, "a": {"b": 2}}, "a.b") == 1


def test_a_path_leads_into_objects() -> None:
    assert claim_value({"address": {"country": "DE"}}, "address.country") == "DE"


@pytest.mark.parametrize("name", ["b", "a.c", "a.b.c", ""])
def test_what_is_not_there_is_none(name: str) -> None:
    assert claim_value({"a": {"b": "x"}}, name) is None


@pytest.mark.parametrize(
    ("expected", "value"),
    [
        ("x", "x"),
        ("it-*", "it-ops"),
        ("it-*", "it-"),
        ("*", ""),
        ("a*c", "abbc"),
        (5, 5),
        (True, True),
        ("x", ["y", "x"]),
    ],
)
def test_an_equal_value_matches(expected: str | float | bool, value: object) -> None:  # noqa: FBT001 - a value
    assert ClaimPattern(expected).matches(value)


@pytest.mark.parametrize(
    ("expected", "value"),
    [
        ("x", "X"),
        ("it-*", "xit-ops"),
        ("a.c", "abc"),
        ("5", 5),
        (5, "5"),
        (1, True),
        (True, 1),
        ("*", None),
        ("x", []),
        ("x", {"x": 1}),
        ("true", True),
    ],
)
def test_another_value_or_type_does_not_match(expected: str | float | bool, value: object) -> None:  # noqa: FBT001 - a value
    assert not ClaimPattern(expected).matches(value)


def test_a_pattern_is_said_as_the_file_does() -> None:
    assert (str(ClaimPattern(True)), str(ClaimPattern("it-*")), str(ClaimPattern(5))) == ("true", "it-*", "5")  # noqa: FBT003 - a value
