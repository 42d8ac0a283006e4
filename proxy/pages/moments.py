"""Time as people say it: "3 days ago", "in 27 days". It needs no time zone, which a browser does not tell us."""

from __future__ import annotations

from datetime import timedelta

from babel.dates import format_timedelta

from proxy.pages.languages import locale_of

MINUTE_S = 60


def relative(seconds: float, *, language: str) -> str:
    """Return how far an instant is from now, ago when negative; empty when it is less than a minute.

    Units change at the double, so that 45 days are not "2 months".
    """
    if abs(seconds) < MINUTE_S:
        return ""
    span = timedelta(seconds=seconds)
    return format_timedelta(span, granularity="minute", threshold=2, add_direction=True, locale=locale_of(language))


def duration(seconds: float, *, language: str) -> str:
    """Return a length of time, "12 seconds", "2 minutes"; at least a second."""
    span = timedelta(seconds=max(1.0, seconds))
    return format_timedelta(span, granularity="second", threshold=2, locale=locale_of(language))
