"""A sleep that lasts until the test says so."""

from __future__ import annotations

import asyncio


class SteppedSleep:
    """Stands in for ``asyncio.sleep``: remembers each pause, and ends one for each :meth:`step`."""

    def __init__(self) -> None:
        """Begin with nobody asleep."""
        self.pauses: list[float] = []
        self._steps = asyncio.Semaphore(0)

    async def __call__(self, seconds: float) -> None:
        """Sleep until a step is made."""
        self.pauses.append(seconds)
        await self._steps.acquire()

    def step(self) -> None:
        """Wake one sleeper."""
        self._steps.release()


async def settle() -> None:
    """Let everything run that can run without time or network."""
    for _ in range(20):
        await asyncio.sleep(0)
