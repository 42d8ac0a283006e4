"""When a refusal is answered: on a grid, so that time does not tell an unknown user from a wrong password."""

from __future__ import annotations

from math import ceil
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from proxy.keys import Sleep
    from proxy.ports import Clock

REFUSAL_GRID_S = 0.25
"""Seconds between two instants at which refusals are answered (contract §3)."""

REFUSAL_FLOOR_S = 0.5
"""Seconds before which no refusal is answered: above what a provider with strong password hashing usually takes."""


def answered_after(elapsed_s: float) -> float:
    """Return the seconds since the start at which a refusal that was ready after ``elapsed_s`` is answered."""
    return max(REFUSAL_FLOOR_S, ceil(elapsed_s / REFUSAL_GRID_S) * REFUSAL_GRID_S)


async def wait_for_grid(started_at: float, clock: Clock, sleep: Sleep) -> None:
    """Wait until a refusal may be answered; ``started_at`` by the monotonic clock."""
    elapsed_s = clock.monotonic() - started_at
    await sleep(answered_after(elapsed_s) - elapsed_s)
