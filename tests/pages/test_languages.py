"""Accept-Language, and the choice among what there is."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.pages.languages import MAX_LANGUAGES, chosen_language, direction, preferred_languages


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        ("", ()),
        ("de", ("de",)),
        ("de-AT, de;q=0.9, en;q=0.5", ("de-at", "de", "en")),
        ("en;q=0.5, de;q=0.9", ("de", "en")),
        ("en;q=0, de", ("de",)),
        ("en;q=x, de;q=2, fr; q=0.3", ("fr",)),
        ("*, en", ("en",)),
        ("<script>, en", ("en",)),
        ("en;level=1", ()),
    ],
)
def test_the_header_is_read_best_first(header: str, expected: tuple[str, ...]) -> None:
    assert preferred_languages(header) == expected


@given(st.text())
def test_no_header_is_a_fault(header: str) -> None:
    assert len(preferred_languages(header)) <= MAX_LANGUAGES


@pytest.mark.parametrize(
    ("preferred", "expected"),
    [((), "en"), (("fr",), "en"), (("de",), "de"), (("de-at", "en"), "de"), (("pt-br",), "pt-br"), (("pt",), "en")],
)
def test_the_first_that_is_there_is_taken(preferred: tuple[str, ...], expected: str) -> None:
    assert chosen_language(preferred, ("en", "de", "pt-br")) == expected


def test_some_languages_run_from_right_to_left() -> None:
    assert (direction("en"), direction("ar"), direction("he-il")) == ("ltr", "rtl", "rtl")
