"""What a language is called, which way it is written, and how it lists things."""

from __future__ import annotations

import pytest
from babel import UnknownLocaleError

from proxy.pages.languages import Language, _known_to_babel, any_of, language_of, locale_of
from proxy.pages.look import LOCALES


@pytest.mark.parametrize(
    ("tag", "language"),
    [
        ("en", Language("en", "English", "ltr")),
        ("de", Language("de", "Deutsch", "ltr")),
        ("fr", Language("fr", "Français", "ltr")),
        ("es", Language("es", "Español", "ltr")),
        ("pt-br", Language("pt-BR", "Português (Brasil)", "ltr")),
        ("ar", Language("ar", "العربية", "rtl")),
        ("he", Language("he", "עברית", "rtl")),
    ],
)
def test_a_language_is_named_in_itself_and_has_a_direction(tag: str, language: Language) -> None:
    assert language_of(tag) == language


@pytest.mark.parametrize("tag", LOCALES)
def test_what_we_say_of_our_own_languages_is_what_babel_says(tag: str) -> None:
    assert language_of(tag) == _known_to_babel(tag)
    assert language_of(tag) is language_of(tag)


def test_what_is_no_language_is_an_error() -> None:
    with pytest.raises(UnknownLocaleError):
        locale_of("xx")


@pytest.mark.parametrize(
    ("names", "language", "listed"),
    [
        (("a",), "en", "<code>a</code>"),
        (("a", "b"), "de", "<code>a</code> oder <code>b</code>"),
        (("a", "b", "c"), "fr", "<code>a</code>, <code>b</code> ou <code>c</code>"),
        (("<b>", "{0}"), "es", "<code>&lt;b&gt;</code> o <code>{0}</code>"),
        ((), "en", ""),
    ],
)
def test_any_of_several_names_is_listed_as_people_do_and_escaped(
    names: tuple[str, ...], language: str, listed: str
) -> None:
    assert any_of(names, language=language) == listed
