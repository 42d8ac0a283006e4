"""In which language a page is, and where the same page is in another."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from proxy.web.language import MAX_ASKED, asked_languages, here, language_url, languages_of, locales_note

if TYPE_CHECKING:
    from tests.web.conftest import MakeRequest

GERMAN = ("Accept-Language", "de-AT, en;q=0.5")
FRENCH_KEPT = ("Cookie", "__Host-sidegate-language=fr")


def test_the_address_comes_first_then_the_choice_that_is_kept_then_the_browser(make_request: MakeRequest) -> None:
    request = make_request("/_sidegate/login?ui_locales=es%20pt-BR", GERMAN, FRENCH_KEPT)

    assert languages_of(request) == ("es", "pt-br", "fr", "de-at", "en")
    assert languages_of(make_request("/_sidegate/login", GERMAN)) == ("de-at", "en")


@pytest.mark.parametrize("query", ["ui_locales=de&ui_locales=fr", "ui_locales=%3Cb%3E", "ui_locales=", "other=de"])
def test_what_an_address_says_twice_or_not_in_tags_does_not_count(query: str, make_request: MakeRequest) -> None:
    assert languages_of(make_request(f"/_sidegate/login?{query}")) == ()


def test_no_more_of_an_address_is_looked_at_than_people_ask_for(make_request: MakeRequest) -> None:
    tags = tuple(f"x{n}" for n in range(2 * MAX_ASKED))

    assert asked_languages(make_request(f"/_sidegate/login?ui_locales={'+'.join(tags)}")) == tags[:MAX_ASKED]


def test_the_provider_hears_of_every_language_up_to_a_number(make_request: MakeRequest) -> None:
    many = ("Accept-Language", ", ".join(f"{letter}a" for letter in "bcdefghijkl"))

    assert locales_note(make_request("/_sidegate/start")) == {}
    assert locales_note(make_request("/_sidegate/start?ui_locales=fr", GERMAN)) == {"ui_locales": "fr de-at en"}
    assert len(locales_note(make_request("/_sidegate/start", many))["ui_locales"].split()) == MAX_ASKED


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("/_sidegate/login", "/_sidegate/login"),
        ("/_sidegate/login?return_to=%2Fa%3Fb%3D1&x=%C3%A4", "/_sidegate/login?return_to=%2Fa%3Fb%3D1&x=%C3%A4"),
        ("/elsewhere", ""),
        ("//evil.example/_sidegate/login", ""),
    ],
)
def test_a_page_knows_its_own_address_as_it_was_asked(path: str, expected: str, make_request: MakeRequest) -> None:
    assert here(make_request(path)) == expected


@pytest.mark.parametrize(
    ("address", "expected"),
    [
        ("", ""),
        ("/p", "/p?ui_locales="),
        ("/p?return_to=%2Fa&kept=x", "/p?return_to=%2Fa&kept=x&ui_locales="),
        ("/p?ui_locales=de&return_to=%2Fa", "/p?return_to=%2Fa&ui_locales="),
        ("/p?a=1&&ui_locales=de&ui_locales=fr", "/p?a=1&ui_locales="),
    ],
)
def test_another_language_takes_the_place_of_the_one_that_was_asked(address: str, expected: str) -> None:
    assert language_url(address) == expected
