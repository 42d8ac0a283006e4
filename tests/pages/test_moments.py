"""Time in words of the visitor's language."""

from __future__ import annotations

import pytest

from proxy.pages.moments import duration, relative


@pytest.mark.parametrize(
    ("seconds", "language", "said"),
    [
        (0, "en", ""),
        (-59, "en", ""),
        (59, "en", ""),
        (-300, "en", "5 minutes ago"),
        (-3 * 3600, "en", "3 hours ago"),
        (27 * 86400, "en", "in 4 weeks"),
        (45 * 86400, "en", "in 6 weeks"),
        (-300, "de", "vor 5 Minuten"),
        (-300, "fr", "il y a 5 minutes"),
        (-300, "es", "hace 5 minutos"),
        (-300, "pt-br", "há 5 minutos"),
    ],
)
def test_it_is_said_as_people_do(seconds: float, language: str, said: str) -> None:
    assert relative(seconds, language=language) == said


@pytest.mark.parametrize(
    ("seconds", "language", "said"),
    [
        (0, "en", "1 second"),
        (8, "en", "8 seconds"),
        (90, "de", "90 Sekunden"),
        (180, "fr", "3 minutes"),
        (300, "es", "5 minutos"),
    ],
)
def test_a_length_of_time_is_said_as_people_do(seconds: float, language: str, said: str) -> None:
    assert duration(seconds, language=language) == said
