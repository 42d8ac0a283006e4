"""One-time codes by time."""

from __future__ import annotations

import pytest

from proxy.demo import totp

#: RFC 6238, appendix B, with the last six of its eight digits.
RFC_SECRET = b"12345678901234567890"


@pytest.mark.parametrize(
    ("at", "code"),
    [(59, "287082"), (1111111109, "081804"), (1111111111, "050471"), (1234567890, "005924"), (20000000000, "353130")],
)
def test_the_codes_are_those_of_the_rfc(at: int, code: str) -> None:
    assert totp.code_at(RFC_SECRET, at) == code


@pytest.mark.parametrize(("offset", "is_found"), [(-60, False), (-30, True), (0, True), (30, True), (60, False)])
def test_a_code_is_good_one_period_before_and_after_its_own(offset: int, is_found: bool) -> None:  # noqa: FBT001
    at = 1_800_000_015.0

    found = totp.matching_step(RFC_SECRET, totp.code_at(RFC_SECRET, at + offset), at)

    assert (found == totp.step_at(at + offset)) is is_found


def test_a_code_that_is_not_ascii_matches_nothing() -> None:
    assert totp.matching_step(RFC_SECRET, "٢٨٧٠٨٢", 59) is None
