"""The log of a busy site: of requests that went well only so many lines are written (``log.sample_2xx``).

What somebody may have to look for is never left out: an answer that is not 2xx, a decision that was no ``allow``, a
fault, the audit trail, a message. Metrics count every request. A line says how many were left out, at most one for
each window: with the first line after it, or at the end.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from msgspec import Struct

from proxy.observe.log import Log, LogLevel

if TYPE_CHECKING:
    from collections.abc import Callable

    from proxy.observe.log import LogFormat
    from proxy.ports import Clock, RequestEvent

LEFT_OUT: Final = "lines of requests that went well were left out"


class LineRate(Struct, frozen=True):
    """At most ``lines`` (0 or more) in each window of ``window_s`` seconds."""

    lines: int
    window_s: float


class SampledLog(Log):
    """A log that leaves out what ``rate`` has no room for."""

    def __init__(
        self, write: Callable[[bytes], None], *, clock: Clock, level: LogLevel, line_format: LogFormat, rate: LineRate
    ) -> None:
        """Begin as :class:`~proxy.observe.log.Log` does."""
        super().__init__(write, clock=clock, level=level, line_format=line_format)
        self._rate = rate
        self._window_ends_at = clock.monotonic() + rate.window_s
        self._written = 0
        self._left_out_now = self._left_out_before = 0

    @property
    def left_out(self) -> int:
        """Return how many lines were left out so far."""
        return self._left_out_before + self._left_out_now

    def request(self, event: RequestEvent) -> None:
        """Write the line of a request, unless it went well and there were enough of those."""
        if self._clock.monotonic() >= self._window_ends_at:
            self._begin_window()
        if not went_well(event):
            super().request(event)
        elif self._written < self._rate.lines:
            self._written += 1
            super().request(event)
        else:
            self._left_out_now += 1

    def close(self) -> None:
        """Say what was left out last."""
        self._begin_window()

    def _begin_window(self) -> None:
        self._window_ends_at = self._clock.monotonic() + self._rate.window_s
        self._written = 0
        count, self._left_out_now = self._left_out_now, 0
        self._left_out_before += count
        if count:
            self.say(LogLevel.INFO, LEFT_OUT, {"count": count, "written_at_most": self._rate.lines})


def went_well(event: RequestEvent) -> bool:
    """Say whether nobody will have to look for this request."""
    return 200 <= event.status < 300 and event.decision == "allow" and event.fault is None
