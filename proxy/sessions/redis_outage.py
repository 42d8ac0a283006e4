"""When Redis counts as away, and what is said of it: one line when an outage begins, one when it is over.

Synchronous bookkeeping without a clock of its own; instants are of the monotonic clock, ``since`` is Unix time.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from proxy.ports import Readiness
from proxy.sessions.redis_faults import READS_ONLY, UNREACHABLE, FaultKind

if TYPE_CHECKING:
    from proxy.sessions.redis_faults import Fault

QUIET_S = 60.0
"""Seconds in which a fault that no probe can meet (a command forbidden, a key of another type) is said once."""


class Outages:
    """Faults that last, by kind."""

    def __init__(self, name: str, *, now: float, unix_now: float) -> None:
        """Begin with nothing reached: not ready until the first probe passes; ``name`` is for sentences."""
        self._name = name
        self._open: dict[FaultKind, str] = {}
        self._said_at: dict[FaultKind, float] = {}
        self._began_at = now
        self._since = unix_now
        self._was_reached = False

    @property
    def wants_write(self) -> bool:
        """Say whether only a write can tell that Redis is well again."""
        return any(kind in READS_ONLY for kind in self._open)

    @property
    def is_open(self) -> bool:
        """Say whether Redis is away or takes no writes."""
        return bool(self._open)

    def failed(self, fault: Fault, *, now: float, unix_now: float) -> str | None:
        """Hear of a fault; returns the line for the log when its kind is new in this outage."""
        line = f"{self._name} {_what(fault)}: {fault.sentence}"
        if fault.kind not in UNREACHABLE | READS_ONLY:
            return line if self._is_worth_saying(fault.kind, now) else None
        if not self._open and self._was_reached:
            self._began_at, self._since = now, unix_now
        is_new = fault.kind not in self._open
        self._open.pop(fault.kind, None)  # the newest comes last
        self._open[fault.kind] = line
        return line if is_new else None

    def probed(self, *, now: float, unix_now: float) -> str | None:
        """Hear that a probe passed (with a write, where :attr:`wants_write`); returns a line when an outage is over."""
        if self._was_reached and not self._open:
            return None
        was_open, lasted_s = bool(self._open), now - self._began_at
        self._open.clear()
        self._was_reached, self._since = True, unix_now
        return f"{self._name} is back after {lasted_s:.1f} s" if was_open else None

    def readiness(self) -> Readiness:
        """Return what ``/readyz`` says. A forbidden command or a foreign key is no reason to leave service: it concerns
        what was asked, not all.
        """
        if self._open:
            return Readiness(is_ready=False, detail=next(reversed(self._open.values())), since=self._since)
        if not self._was_reached:
            return Readiness(is_ready=False, detail=f"{self._name} has not been reached yet", since=self._since)
        return Readiness(is_ready=True, since=self._since)

    def _is_worth_saying(self, kind: FaultKind, now: float) -> bool:
        is_news = now - self._said_at.get(kind, float("-inf")) >= QUIET_S
        if is_news:
            self._said_at[kind] = now
        return is_news


def _what(fault: Fault) -> str:
    if fault.kind in UNREACHABLE:
        return "is away"
    return "takes no writes" if fault.kind in READS_ONLY else "cannot do what is asked"
