"""Time in the hand of a test: nothing moves unless the test says so."""

from __future__ import annotations

START = 1_800_000_000.0
"""Unix seconds at which every fake clock begins; far from zero, so that a mixed-up monotonic instant shows."""


class FakeClock:
    """A ``proxy.ports.Clock`` that stands still."""

    def __init__(self, now: float = START) -> None:
        """Begin at the Unix time ``now``; the monotonic clock begins at 1000."""
        self._now = now
        self._monotonic = 1000.0

    def now(self) -> float:
        """Return Unix seconds."""
        return self._now

    def monotonic(self) -> float:
        """Return seconds that never go back."""
        return self._monotonic

    def advance(self, seconds: float) -> None:
        """Let both clocks go on."""
        self._now += seconds
        self._monotonic += seconds

    def set_wall_clock(self, now: float) -> None:
        """Set the wall clock alone, forward or back, as an operator or NTP does."""
        self._now = now
