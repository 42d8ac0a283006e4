"""One lazy timer for each connection.

Setting a deadline is a comparison and an assignment in the common case: the loop's timer is left where it is when it
comes sooner, and looks again when it fires. So a busy connection arms the loop once in a while, not at each request.
"""

from __future__ import annotations

from math import inf
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable


class Deadline:
    """Call ``passed`` once when the instant set last has come."""

    __slots__ = ("_armed_for", "_due", "_handle", "_loop", "_passed", "_time")

    def __init__(self, loop: asyncio.AbstractEventLoop, passed: Callable[[], None]) -> None:
        """Start without a deadline."""
        self._loop = loop
        self._time = loop.time
        self._passed = passed
        self._due = inf
        self._armed_for = inf
        self._handle: asyncio.TimerHandle | None = None

    def set(self, delay_s: float) -> float:
        """Put the deadline ``delay_s`` from now, whatever it was; returns now, in the loop's time."""
        now = self._time()
        self._due = due = now + delay_s
        if due < self._armed_for:
            self._arm(due)
        return now

    def clear(self) -> None:
        """Have no deadline; the loop's timer finds out by itself."""
        self._due = inf

    def close(self) -> None:
        """Have none for good and let go of the loop's timer."""
        self._due = self._armed_for = inf
        if self._handle is not None:
            self._handle.cancel()
            self._handle = None

    def _arm(self, due: float) -> None:
        if self._handle is not None:
            self._handle.cancel()
        self._armed_for = due
        self._handle = self._loop.call_at(due, self._look)

    def _look(self) -> None:
        self._handle = None
        self._armed_for = inf
        if self._due is inf:
            return
        if self._loop.time() < self._due:
            self._arm(self._due)
            return
        self._due = inf
        self._passed()
