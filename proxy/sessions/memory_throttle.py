"""Failed sign-ins of one process, in memory.

Bounded by whoever names the keys (``throttle``: a fixed number of places) and by the limit of each: a window holds no
more entries than it takes to refuse. What has run out is swept out once in each window, so that a quiet night empties
it.
"""

from __future__ import annotations

from array import array
from bisect import bisect_right
from typing import TYPE_CHECKING

from proxy.sessions.failure_windows import FailureWindows

if TYPE_CHECKING:
    from proxy.ports import Clock


class MemoryFailures(FailureWindows):
    """Instants of failures by key, the oldest first, eight bytes each."""

    def __init__(self, clock: Clock) -> None:
        """Begin with none."""
        super().__init__()
        self._clock = clock
        self._windows: dict[str, array[float]] = {}
        self._lasts_s: dict[str, int] = {}
        self._sweep_at = clock.monotonic()

    def now(self) -> float:
        """Return monotonic seconds: whoever sets the wall clock forgives nobody, and locks nobody out."""
        return self._clock.monotonic()

    def __len__(self) -> int:
        """Return how many keys are held, those included that ran out and were not swept yet."""
        return len(self._windows)

    @property
    def failures(self) -> int:
        """How many failures are held."""
        return sum(map(len, self._windows.values()))

    async def acquire_entry(self, key: str, limit: int, expiry: int, amount: int = 1) -> bool:
        """Count ``amount`` more now, or none when that would be more than ``limit`` within ``expiry`` seconds."""
        now = self.now()
        self._sweep(now, expiry)
        entries = self._live(key, now - expiry)
        if len(entries) + amount > limit:
            return False
        entries.extend([now] * amount)
        self._windows[key], self._lasts_s[key] = entries, expiry
        return True

    async def get_moving_window(self, key: str, limit: int, expiry: int) -> tuple[float, int]:  # noqa: ARG002 - theirs
        """Return the instant of the oldest entry that counts (now, when none does), and how many do."""
        now = self.now()
        entries = self._live(key, now - expiry)
        return (entries[0] if entries else now), len(entries)

    async def release_entry(self, key: str) -> None:
        """Take the newest entry away, if there is one."""
        entries = self._windows.get(key)
        if entries:
            entries.pop()

    def _live(self, key: str, since: float) -> array[float]:
        entries = self._windows.get(key) or array("d")
        del entries[: bisect_right(entries, since)]
        return entries

    def _sweep(self, now: float, every_s: int) -> None:
        if now < self._sweep_at:
            return
        self._sweep_at = now + every_s
        for key in [key for key, lasts_s in self._lasts_s.items() if not self._live(key, now - lasts_s)]:
            del self._windows[key], self._lasts_s[key]
