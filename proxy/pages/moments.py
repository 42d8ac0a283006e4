"""Time as people say it: "3 days ago", "in 27 days". It needs no time zone, which a browser does not tell us."""

from __future__ import annotations

from datetime import timedelta

from babel.dates import format_timedelta

MINUTE_S = 60


def relative(seconds: float, *, language: str) -> str:
    """Return how far an instant is from now, ago when negative; empty when it is less than a minute.

    Units change at the double, so that 45 days are not "2 months".
    """
    if abs(seconds) < MINUTE_S:
        return ""
    span = timedelta(seconds=seconds)
    return format_timedelta(span, granularity="minute", threshold=2, add_direction=True, locale=language)
