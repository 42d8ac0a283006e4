"""What is known of a language besides its words: its own name, and which way it is written.

Tags are as in ``login.locales``: small letters, parts with hyphens (``pt-br``). Babel knows them, or the file was
refused.
"""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

from babel import Locale
from babel.lists import format_list
from markupsafe import Markup
from msgspec import Struct

if TYPE_CHECKING:
    from collections.abc import Sequence


class Language(Struct, frozen=True):
    """A language that pages are written in.

    Attributes:
        tag: for the attributes ``lang`` and ``hreflang`` and for Content-Language (RFC 5646), ``pt-BR``.
        name: in itself, as a list shows it: "Deutsch", "Français".
        direction: of its script, for the attribute ``dir``.
    """

    tag: str
    name: str
    direction: str


_OURS = {
    tag: Language(tag, name, "ltr")
    for tag, name in (("en", "English"), ("de", "Deutsch"), ("fr", "Français"), ("es", "Español"))
}
"""Those that come with us, as Babel has them: it would read 7 MiB for their four names, and a login page needs no more.
A test holds that both are of one mind."""


@cache
def locale_of(tag: str) -> Locale:
    """Return what Babel knows of the language.

    Raises:
        babel.UnknownLocaleError, ValueError: nothing, or it is no tag.
    """
    return Locale.parse(tag, sep="-")


def language_of(tag: str) -> Language:
    """Return the language; raises as :func:`locale_of`."""
    return _OURS.get(tag) or _known_to_babel(tag)


@cache
def _known_to_babel(tag: str) -> Language:
    locale = locale_of(tag)
    name = locale.get_display_name(locale) or tag
    # CLDR writes names as they stand in a sentence; at the head of a line French has a capital too.
    return Language(str(locale).replace("_", "-"), name[:1].upper() + name[1:], locale.text_direction)


def any_of(names: Sequence[str], *, language: str) -> Markup:
    """Return names of which any will do, as the language lists them: ``a``, ``b`` or ``c``, each as code, escaped."""
    marked = [str(Markup("<code>{}</code>").format(name)) for name in names]
    return Markup(format_list(marked, style="or", locale=locale_of(language)))  # noqa: S704 - escaped one by one
