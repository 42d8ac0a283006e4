"""Where a visitor may ask to go; ``tests/core/test_return_to.py`` has the many ways out that are none."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from proxy.web.destination import destination, only, single_values

if TYPE_CHECKING:
    from tests.web.conftest import MakeRequest


@pytest.mark.parametrize(
    ("wanted", "expected"),
    [
        (None, "/"),
        ("", "/"),
        ("/app?x=1#y", "/app?x=1#y"),
        ("//evil.example", "/"),
        ("/_sidegate/logout", "/"),
        ("/_sidegate/login?return_to=/x", "/"),
        ("app", "/"),
    ],
)
def test_a_path_of_ours_or_the_landing_page(make_request: MakeRequest, wanted: str | None, expected: str) -> None:
    assert destination(make_request(), wanted) == expected


def test_a_parameter_counts_only_when_it_is_there_once(make_request: MakeRequest) -> None:
    request = make_request("/?a=1&b=2&b=3&c=")

    assert (only(request, "a"), only(request, "b"), only(request, "c"), only(request, "d")) == ("1", None, "", None)
    assert single_values(request) == {"a": "1", "c": ""}
