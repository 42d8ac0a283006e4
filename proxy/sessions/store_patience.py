"""How long open streams wait for a store that is asked about them: it is not to be waited for by each of a thousand."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, TypeVar

from proxy.errors import StoreFault, StoreUnavailable

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from proxy.ports import Clock

T = TypeVar("T")

STORE_PATIENCE_S = 0.25
"""Seconds for which streams outlive a store that does not answer. That it may be away is noticed within 0.75 s
(``tracking.MAX_STALENESS_S``), so the sum is the second that is promised.
"""


class StorePatience:
    """Ask a store that may be away."""

    def __init__(self, clock: Clock) -> None:
        """Begin with a store that was not silent yet."""
        self._clock = clock
        self._is_silent_until = 0.0

    async def asked(self, ask: Callable[[], Awaitable[T]]) -> T:
        """Return what the store says, if it says it soon; while it is silent for one, nobody else waits for it.

        Raises:
            StoreFault
        """
        if self._clock.monotonic() < self._is_silent_until:
            raise StoreUnavailable("the store did not answer a moment ago")
        try:
            async with asyncio.timeout(STORE_PATIENCE_S):
                return await _answer(ask)
        except TimeoutError:
            self._is_silent_until = self._clock.monotonic() + STORE_PATIENCE_S
            raise StoreUnavailable("the store does not answer in time for open streams") from None


async def _answer(ask: Callable[[], Awaitable[T]]) -> T:
    """Return what the store says, however often it must be asked: a connection that broke is no outage yet."""
    while True:
        try:
            return await ask()
        except StoreFault:
            await asyncio.sleep(STORE_PATIENCE_S / 5)
