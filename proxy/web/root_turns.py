"""One callback of a browser at a time, and one try by one form, in this process.

When somebody signs in at the provider in one tab, its other tabs notice and all come back at the same moment. Each
would sign in anew, in the place of the one before; so they take turns, and all but the first are superseded by then.
A form that is sent several times with different words takes turns likewise, under the id of its tab.
"""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from aiohttp import web

if TYPE_CHECKING:
    from collections.abc import AsyncIterator


class RootTurns:
    """Turns by root; nothing is kept of a root that nobody waits for."""

    def __init__(self, *, max_wait_s: float) -> None:
        """``max_wait_s``: seconds after which one goes on without its turn: what follows is right either way."""
        self._max_wait_s = max_wait_s
        self._turns: dict[str, tuple[asyncio.Lock, int]] = {}

    def __len__(self) -> int:
        """Return how many roots have somebody at work or waiting."""
        return len(self._turns)

    @asynccontextmanager
    async def turn(self, root_id: str | None) -> AsyncIterator[None]:
        """Hold the turn of this root, or of one tab in it; a browser without one has nothing to wait for."""
        if root_id is None:
            yield
            return
        lock = self._join(root_id)
        is_held = False
        try:
            is_held = await self._acquired(lock)
            yield
        finally:
            if is_held:
                lock.release()
            self._leave(root_id)

    async def _acquired(self, lock: asyncio.Lock) -> bool:
        try:
            async with asyncio.timeout(self._max_wait_s):
                return await lock.acquire()
        except TimeoutError:
            return False

    def _join(self, root_id: str) -> asyncio.Lock:
        lock, present = self._turns.get(root_id) or (asyncio.Lock(), 0)
        self._turns[root_id] = (lock, present + 1)
        return lock

    def _leave(self, root_id: str) -> None:
        lock, present = self._turns.pop(root_id)
        if present > 1:
            self._turns[root_id] = (lock, present - 1)


ROOT_TURNS: web.AppKey[RootTurns] = web.AppKey("root_turns", RootTurns)
