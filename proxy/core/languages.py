"""Which languages a visitor reads, best first: their own choice, kept in a cookie, before what the browser says.

Pure, and never believed: tags are only compared with those that there are words for. What cannot be read is left out.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from proxy.core.cookies import language_cookie_value

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from proxy.core.cookies import OwnCookies
    from proxy.core.request import RequestHead

MAX_LANGUAGES = 16
"""Ranges that are read of one header; browsers send fewer than ten, the rest is noise."""

MAX_TAG_LENGTH = 35
"""Characters of a tag that are looked at (RFC 5646 §4.4.1)."""


def languages_of(head: RequestHead, cookies: OwnCookies) -> tuple[str, ...]:
    """Return the tags of whoever sends this, in lower case, best first."""
    chosen = language_cookie_value(head, cookies)
    accepted = preferred_languages(b",".join(head.values(b"accept-language")).decode("latin-1"))
    return accepted if chosen is None else (chosen.lower(), *accepted)


def preferred_languages(accept_language: str) -> tuple[str, ...]:
    """Return the language tags of the header in lower case, best first.

    Source: RFC 9110 §12.5.4, §12.4.2 (quality values).
    """
    ranges = [_weighed(part) for part in accept_language.split(",")[:MAX_LANGUAGES]]
    wanted = [(tag, quality) for tag, quality in ranges if tag and quality > 0]
    return tuple(tag for tag, _ in sorted(wanted, key=lambda pair: -pair[1]))


def chosen_language(preferred: Iterable[str], available: Sequence[str]) -> str:
    """Return the first preferred language that is available, or the first available.

    A tag finds its equal, else what it is a variety of (``de-at`` finds ``de``), else a variety of its own language
    (``pt`` finds ``pt-br``): lookup of RFC 4647 §3.4, and then rather another variety than another language.
    """
    for tag in preferred:
        found = _equal_or_wider(tag, available) or _variety(tag, available)
        if found is not None:
            return found
    return available[0]


def _equal_or_wider(tag: str, available: Sequence[str]) -> str | None:
    while tag:
        if tag in available:
            return tag
        tag = tag.rpartition("-")[0]
    return None


def _variety(tag: str, available: Sequence[str]) -> str | None:
    primary = tag.partition("-")[0]
    return next((one for one in available if one.partition("-")[0] == primary), None)


def _weighed(part: str) -> tuple[str, float]:
    tag, _, parameter = part.strip().partition(";")
    tag = tag.strip().lower()
    if not is_tag(tag):
        return "", 0.0
    return tag, _quality(parameter.strip())


def is_tag(text: str) -> bool:
    """Say whether the text has the shape of a language tag (RFC 5646 §2.1), as far as it matters here."""
    return text.isascii() and text.replace("-", "").isalnum() and len(text) <= MAX_TAG_LENGTH


def _quality(parameter: str) -> float:
    if not parameter:
        return 1.0
    name, _, value = parameter.partition("=")
    try:
        quality = float(value)
    except ValueError:
        return 0.0
    return quality if name.strip() == "q" and 0.0 <= quality <= 1.0 else 0.0
