"""What is a string, an instant and an audience to the claim rules."""

from __future__ import annotations

import math

import pytest

from proxy.core import token_claims as read
from proxy.errors import TokenRejected


@pytest.mark.parametrize("value", ["", 7, True, ["a"], {"a": 1}, "a\nb", "a\x00", "x" * 2049])
def test_text_that_is_no_text_is_never_taken_for_absent(value: object) -> None:
    with pytest.raises(TokenRejected) as refused:
        read.optional_text({"sid": value}, "sid")

    assert refused.value.reason == "malformed_sid"


@pytest.mark.parametrize("value", ['a "quoted" sid', "a & b;c/d", "-starts_with-dash", "ünïcode", "x" * 2048])
def test_a_sid_may_be_any_readable_text(value: str) -> None:
    assert read.optional_text({"sid": value}, "sid") == value


@pytest.mark.parametrize("claims", [{}, {"sid": None}])
def test_absent_text_is_none_or_a_refusal_where_it_is_required(claims: dict[str, object]) -> None:
    assert read.optional_text(claims, "sid") is None
    with pytest.raises(TokenRejected) as refused:
        read.required_text(claims, "sid")
    assert refused.value.reason == "missing_sid"


@pytest.mark.parametrize("value", [True, False, "1800000000", -1, math.nan, math.inf, 10**400, 1_800_000_000_000, [1]])
def test_an_instant_is_a_number_of_seconds_and_nothing_else(value: object) -> None:
    with pytest.raises(TokenRejected) as refused:
        read.required_instant({"iat": value}, "iat")

    assert refused.value.reason == "malformed_iat"


def test_an_instant_may_have_a_fraction() -> None:
    assert read.required_instant({"iat": 1_800_000_000.5}, "iat") == 1_800_000_000.5


def test_an_absent_instant_is_none_or_a_refusal_where_it_is_required() -> None:
    assert read.optional_instant({}, "auth_time") is None
    with pytest.raises(TokenRejected) as refused:
        read.required_instant({}, "auth_time")
    assert refused.value.reason == "missing_auth_time"


def test_an_audience_is_one_string_or_a_list() -> None:
    assert read.audience({"aud": "us"}) == ("us",)
    assert read.audience({"aud": ["us", "them"]}) == ("us", "them")


@pytest.mark.parametrize("value", [[], "", 7, [""], ["us", 7], {"us": 1}, ["x"] * 101])
def test_any_other_audience_is_malformed(value: object) -> None:
    with pytest.raises(TokenRejected) as refused:
        read.audience({"aud": value})

    assert refused.value.reason == "malformed_aud"


def test_the_skew_is_allowed_and_not_a_second_more() -> None:
    read.require_not_from_the_future(1060, now=1000)
    read.require_valid_already(1060, now=1000)
    read.require_not_over(941, now=1000)

    with pytest.raises(TokenRejected):
        read.require_not_from_the_future(1061, now=1000)
    with pytest.raises(TokenRejected):
        read.require_valid_already(1061, now=1000)
    with pytest.raises(TokenRejected):
        read.require_not_over(940, now=1000)
