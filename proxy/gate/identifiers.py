"""Random identifiers of requests and traces: unpredictable, each given out once, made for many requests at once.

One read of the system's random numbers serves a hundred requests: a read costs as much as making a decision's worth of
small values, however few bytes it returns.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

BYTES_READ = 4096
"""Bytes of one read, and so of what waits in memory: 102 requests' worth."""


_DIGITS_OF_PAIR = 32 + 32 + 16


class Identifiers:
    """Random hexadecimal text, each digit used once. For one thread."""

    def __init__(self, random_bytes: Callable[[int], bytes]) -> None:
        """Begin with nothing; ``random_bytes`` is ``secrets.token_bytes`` or a fake."""
        self._random_bytes = random_bytes
        self._digits = ""
        self._used = 0
        self._pairs: list[tuple[str, str]] = []
        self._process = os.getpid()

    def pair(self) -> tuple[str, str]:
        """Return a request id of 128 random bits and a new trace context, not sampled (W3C Trace Context §3.2.2)."""
        if self._process != os.getpid():
            self._begin_anew()
        if not self._pairs:
            digits = self._random_bytes(BYTES_READ).hex()
            starts = range(0, len(digits) - _DIGITS_OF_PAIR + 1, _DIGITS_OF_PAIR)
            self._pairs = [_pair(digits[start : start + _DIGITS_OF_PAIR]) for start in starts]
        return self._pairs.pop()

    def take(self, digits: int) -> str:
        """Return so many hexadecimal digits, four bits of chance each; at most two for each of :data:`BYTES_READ`."""
        if self._process != os.getpid():
            self._begin_anew()
        begin = self._used
        end = begin + digits
        if end > len(self._digits):
            self._digits = self._random_bytes(BYTES_READ).hex()
            begin, end = 0, digits
        self._used = end
        return self._digits[begin:end]

    def _begin_anew(self) -> None:
        """Forget everything: a forked process would give out what its parent gives out."""
        self._process = os.getpid()
        self._digits, self._used, self._pairs = "", 0, []


def _pair(digits: str) -> tuple[str, str]:
    return digits[:32], f"00-{digits[32:64]}-{digits[64:]}-00"
