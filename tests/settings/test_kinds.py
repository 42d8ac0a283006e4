"""What the types of keys refuse beyond their single values, and how they are written back."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import TypeAdapter, ValidationError

from proxy.settings import kinds


def validated(kind: Any, value: object) -> Any:
    return TypeAdapter(kind).validate_python(value)


def test_a_single_claim_value_is_a_list_of_one() -> None:
    assert validated(kinds.ClaimValues, "finance") == ("finance",)
    assert validated(kinds.ClaimValues, ["finance", 3, True]) == ("finance", 3, True)


@pytest.mark.parametrize("value", [[], None, [None], [[]], {"a": 1}])
def test_a_claim_is_never_compared_with_nothing(value: object) -> None:
    with pytest.raises(ValidationError):
        validated(kinds.ClaimValues, value)


def test_nothing_may_be_stripped_although_it_is_no_path() -> None:
    assert validated(kinds.StripPrefix, "") == ""
    assert validated(kinds.StripPrefix, "/old") == "/old"
    with pytest.raises(ValidationError):
        validated(kinds.StripPrefix, "/")


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        (kinds.Duration, "5m"),
        (kinds.Size, "64KiB"),
        (kinds.Size, 0),
        (kinds.ListenAddress, "[::1]:4180"),
        (kinds.BaseUrl, "https://app.example.com/old"),
        (kinds.AppUrl, "unix:/run/app.sock"),
        (kinds.Network, "10.0.0.0/8"),
    ],
)
def test_a_value_is_written_back_as_it_was_read(kind: Any, value: object) -> None:
    adapter = TypeAdapter[Any](kind)

    assert adapter.dump_python(adapter.validate_python(value), mode="json") == value


def test_a_count_may_be_nothing_only_where_that_has_a_meaning() -> None:
    assert validated(kinds.Count, 0) == 0
    with pytest.raises(ValidationError):
        validated(kinds.PositiveCount, 0)
