"""Which language a visitor reads: Accept-Language, and the choice among the locales that there are."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

MAX_LANGUAGES = 16
"""Ranges that are read of one header; browsers send fewer than ten, the rest is noise."""

RIGHT_TO_LEFT = frozenset({"ar", "fa", "he", "ur"})
"""Primary subtags of scripts that run from right to left."""


def preferred_languages(accept_language: str) -> tuple[str, ...]:
    """Return the language tags of the header in lower case, best first; what cannot be read is left out.

    Source: RFC 9110 §12.5.4, §12.4.2 (quality values).
    """
    ranges = [_weighed(part) for part in accept_language.split(",")[:MAX_LANGUAGES]]
    wanted = [(tag, quality) for tag, quality in ranges if tag and quality > 0]
    return tuple(tag for tag, _ in sorted(wanted, key=lambda pair: -pair[1]))


def chosen_language(preferred: Iterable[str], available: Sequence[str]) -> str:
    """Return the first preferred language that is available, by its primary subtag, or the first available."""
    for tag in preferred:
        primary = tag.split("-", 1)[0]
        if tag in available or primary in available:
            return tag if tag in available else primary
    return available[0]


def direction(language: str) -> str:
    """Return the ``dir`` attribute of a page in this language."""
    return "rtl" if language.split("-", 1)[0] in RIGHT_TO_LEFT else "ltr"


def _weighed(part: str) -> tuple[str, float]:
    tag, _, parameter = part.strip().partition(";")
    tag = tag.strip().lower()
    if not tag.replace("-", "").isalnum() or not tag.isascii():
        return "", 0.0
    return tag, _quality(parameter.strip())


def _quality(parameter: str) -> float:
    if not parameter:
        return 1.0
    name, _, value = parameter.partition("=")
    try:
        quality = float(value)
    except ValueError:
        return 0.0
    return quality if name.strip() == "q" and 0.0 <= quality <= 1.0 else 0.0
