"""Which languages somebody reads: their own choice, Accept-Language, and the choice among what there is."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.core.cookies import OwnCookies
from proxy.core.languages import MAX_LANGUAGES, chosen_language, is_tag, languages_of, preferred_languages
from proxy.core.request import RequestHead

COOKIES = OwnCookies()


def head(*fields: tuple[bytes, bytes]) -> RequestHead:
    return RequestHead(b"GET", b"/", fields, "10.0.0.1", "https")


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ((), ()),
        (((b"Accept-Language", b"de-AT, en;q=0.5"),), ("de-at", "en")),
        (((b"Accept-Language", b"de"), (b"Accept-Language", b"fr;q=0.9")), ("de", "fr")),
        (((b"Accept-Language", b"de"), (b"Cookie", b"__Host-sidegate-language=pt-BR")), ("pt-br", "de")),
        (((b"Accept-Language", b"de"), (b"Cookie", b"__Host-sidegate-language=<b>")), ("de",)),
        (((b"Accept-Language", b"\xff\xfe, de"),), ("de",)),
    ],
)
def test_ones_own_choice_comes_before_what_the_browser_says(
    fields: tuple[tuple[bytes, bytes], ...], expected: tuple[str, ...]
) -> None:
    assert languages_of(head(*fields), COOKIES) == expected


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
        ("a" * 36 + ", en", ("en",)),
    ],
)
def test_the_header_is_read_best_first(header: str, expected: tuple[str, ...]) -> None:
    assert preferred_languages(header) == expected


def test_no_more_of_a_header_is_read_than_people_speak() -> None:
    tags = tuple(f"x{n}" for n in range(2 * MAX_LANGUAGES))

    assert preferred_languages(",".join(tags)) == tags[:MAX_LANGUAGES]


@given(st.text())
def test_no_header_is_a_fault(header: str) -> None:
    found = preferred_languages(header)

    assert len(found) <= MAX_LANGUAGES
    assert all(is_tag(tag) for tag in found)


@pytest.mark.parametrize(
    ("preferred", "expected"),
    [
        ((), "en"),
        (("fr",), "en"),
        (("de",), "de"),
        (("de-at", "en"), "de"),
        (("pt-br",), "pt-br"),
        (("pt",), "pt-br"),
        (("pt-pt", "de"), "pt-br"),
        (("de-de-1996",), "de"),
        (("", "de"), "de"),
    ],
)
def test_the_first_that_is_there_is_taken_or_its_nearest_kin(preferred: tuple[str, ...], expected: str) -> None:
    assert chosen_language(preferred, ("en", "de", "pt-br")) == expected
