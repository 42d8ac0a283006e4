"""How many failures within how long, as the file says it: ``5/5m``, or ``off``."""

from __future__ import annotations

import re
from typing import Final

from proxy.core.throttle import Rate
from proxy.settings.problems import ValueRefused
from proxy.settings.values import duration_text, kind_of, parse_duration

RATE_PATTERN: Final = r"^[1-9][0-9]{0,3}/[1-9][0-9]{0,8}(s|m|h|d)$"

MAX_FAILURES: Final = 1000
"""Beyond this a limit limits nothing, and costs memory for each place that it counts."""

SHORTEST_S: Final = 10
"""Seconds; a shorter window could be over before a slow answer of the provider says whether a try failed."""

LONGEST_S: Final = 86400
"""Seconds: a day. Who has to wait longer calls somebody."""

_REMEDY: Final = "write failures and a time, such as 5/5m, or off"


def parse_rate(value: object) -> Rate | None:
    """Return a rate, or None for ``off`` (which YAML reads as false) and 0.

    Raises:
        ValueRefused
    """
    if value in ("off", "0") or (isinstance(value, bool | int) and not value):
        return None
    match = re.fullmatch(r"([0-9]{1,9})/([0-9]{1,9}(?:ms|s|m|h|d))", value) if isinstance(value, str) else None
    if match is None:
        said = "is no rate" if isinstance(value, str) else f"must be a rate, not {kind_of(value)}"
        raise ValueRefused(said, _REMEDY)
    failures, window_s = int(match[1]), parse_duration(match[2])
    if not 1 <= failures <= MAX_FAILURES:
        raise ValueRefused(f"counts {failures} failures", f"write a number from 1 to {MAX_FAILURES}, or off")
    if not SHORTEST_S <= window_s <= LONGEST_S or window_s != int(window_s):
        bounds = f"{SHORTEST_S}s and {duration_text(LONGEST_S)}"
        raise ValueRefused(f"counts within {match[2]}", f"write a time in whole seconds between {bounds}")
    return Rate(failures, int(window_s))


def rate_text(rate: Rate | None) -> str:
    """Return a rate as the file takes it."""
    return "off" if rate is None else f"{rate.failures}/{duration_text(rate.window_s)}"
