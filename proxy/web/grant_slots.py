"""How many password grants are under way at once: the provider hashes passwords, which is dear (contract §2)."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from aiohttp import web

from proxy.errors import ProviderUnavailable

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

WAITING_PER_SLOT = 64
"""Waiting logins for each slot; at 200 ms a grant the last of them would wait longer than anybody does."""


class GrantSlots:
    """A bounded number of slots with a bounded queue and a bounded wait."""

    def __init__(self, slots: int, *, max_wait_s: float) -> None:
        """Begin with every slot free."""
        self._free = asyncio.Semaphore(slots)
        self._max_wait_s = max_wait_s
        self._max_waiting = slots * WAITING_PER_SLOT
        self._waiting = 0

    @asynccontextmanager
    async def slot(self) -> AsyncIterator[None]:
        """Hold a slot.

        Raises:
            ProviderUnavailable: the queue is full, or no slot came free in time.
        """
        await self._acquire()
        try:
            yield
        finally:
            self._free.release()

    async def _acquire(self) -> None:
        if self._waiting >= self._max_waiting:
            raise ProviderUnavailable("too many logins wait for their turn at the provider", reason="provider_busy")
        self._waiting += 1
        try:
            async with asyncio.timeout(self._max_wait_s):
                await self._free.acquire()
        except TimeoutError as error:
            raise ProviderUnavailable("no turn for a login came in time", reason="provider_busy") from error
        finally:
            self._waiting -= 1


GRANT_SLOTS: web.AppKey[GrantSlots] = web.AppKey("grant_slots", GrantSlots)
