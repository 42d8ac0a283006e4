"""When a page that waits for something to come back asks again, so that those who wait do not keep it away.

Pure: the clock and chance are arguments. What is remembered is three numbers, however many wait.

Two rules, and the longer wait holds. A wait grows with the outage: a quarter of what it has lasted, so that nobody
waits much longer than it lasts, and a tab that is forgotten overnight asks every few minutes. And those who wait are
given places in a queue: no more than so many a second come back, whoever is there first.
"""

from __future__ import annotations

from typing import Final

SHORTEST_S: Final = 4.0
"""Seconds: a restart of a service takes some ten, and a person looks away after three."""

LONGEST_S: Final = 120.0
"""Seconds; chance adds up to half."""

SHARE_OF_OUTAGE: Final = 0.25

RELOADS_PER_SECOND: Final = 20.0
"""Pages that are called back in each second: a page of ours costs less than a millisecond, a login at the provider some
hundred, so that this process and eight places for passwords (``login.max_concurrent``) are not flooded on return.
"""

JITTER: Final = 0.5
"""Part of the wait by which chance makes it longer: those who came together do not come back together."""

QUIET_S: Final = 2 * LONGEST_S * (1 + JITTER)
"""Seconds without a question after which the next one belongs to another outage."""


class ReloadPace:
    """The waiting room of one process."""

    def __init__(self) -> None:
        """Begin with nobody waiting."""
        self._began_at = 0.0
        self._asked_at = -QUIET_S
        self._free_at = 0.0

    def delay_s(self, now: float, chance: float) -> float:
        """Return the seconds after which the page that is shown now asks again.

        Args:
            now: of a clock that never goes back, in seconds.
            chance: from 0 to 1.
        """
        if now - self._asked_at >= QUIET_S:
            self._began_at = now
        self._asked_at = now
        place_at = max(self._free_at, now + SHORTEST_S)
        self._free_at = min(place_at + 1 / RELOADS_PER_SECOND, now + LONGEST_S)
        by_age_s = max(SHORTEST_S, SHARE_OF_OUTAGE * (now - self._began_at))
        return min(max(by_age_s, place_at - now), LONGEST_S) * (1 + JITTER * chance)
