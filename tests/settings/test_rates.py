"""``login.throttle`` as people write it."""

from __future__ import annotations

import pytest

from proxy.core.throttle import Rate
from proxy.settings.problems import ValueRefused
from proxy.settings.rates import parse_rate, rate_text


@pytest.mark.parametrize(
    ("written", "rate"),
    [
        ("5/5m", Rate(5, 300)),
        ("30/1h", Rate(30, 3600)),
        ("1/10s", Rate(1, 10)),
        ("1000/1d", Rate(1000, 86400)),
        ("off", None),
        (False, None),  # what YAML makes of off
        (0, None),
        ("0", None),
    ],
)
def test_a_rate_is_read(written: object, rate: Rate | None) -> None:
    assert parse_rate(written) == rate


@pytest.mark.parametrize(
    ("written", "message", "remedy"),
    [
        ("5", "is no rate", "write failures and a time, such as 5/5m, or off"),
        ("5/5", "is no rate", "write failures and a time, such as 5/5m, or off"),
        ("5 per 5m", "is no rate", "write failures and a time, such as 5/5m, or off"),
        ("five/5m", "is no rate", "write failures and a time, such as 5/5m, or off"),
        ("-5/5m", "is no rate", "write failures and a time, such as 5/5m, or off"),
        ("", "is no rate", "write failures and a time, such as 5/5m, or off"),
        (5, "must be a rate, not a number", "write failures and a time, such as 5/5m, or off"),
        (True, "must be a rate, not true or false", "write failures and a time, such as 5/5m, or off"),
        (None, "must be a rate, not nothing", "write failures and a time, such as 5/5m, or off"),
        ([5], "must be a rate, not a list", "write failures and a time, such as 5/5m, or off"),
        ("0/5m", "counts 0 failures", "write a number from 1 to 1000, or off"),
        ("1001/5m", "counts 1001 failures", "write a number from 1 to 1000, or off"),
        ("5/9s", "counts within 9s", "write a time in whole seconds between 10s and 1d"),
        ("5/25h", "counts within 25h", "write a time in whole seconds between 10s and 1d"),
        ("5/10500ms", "counts within 10500ms", "write a time in whole seconds between 10s and 1d"),
        ("5/0m", "must be longer than 0", "write a duration such as 10s"),
    ],
)
def test_what_is_none_is_refused_with_its_remedy(written: object, message: str, remedy: str) -> None:
    with pytest.raises(ValueRefused) as refused:
        parse_rate(written)

    assert (refused.value.message, refused.value.remedy) == (message, remedy)


@pytest.mark.parametrize("text", ["5/5m", "30/1h", "7/90s", "off"])
def test_a_rate_is_written_as_it_was_read(text: str) -> None:
    assert rate_text(parse_rate(text)) == text
