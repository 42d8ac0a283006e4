"""Sites that serve nobody new: each is closed when those whom it admitted have had their time.

A part of the composition root. How many there are is bounded: whoever reloads faster than requests end, lets go of the
oldest sooner.
"""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING, Final

from proxy.tasks import TaskOwner

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable

    from proxy.ports import Observer
    from proxy.site import Site

MAX_LEAVING: Final = 16
"""Sites that wait to be closed, about 1 MiB each; above it the oldest is closed at once. Those that left together wait
together, however many portals a file has.
"""


class LeavingSites:
    """See the module."""

    def __init__(self, observer: Observer, *, leaves_after_s: float, then: Callable[[], Awaitable[None]]) -> None:
        """Begin with none.

        Args:
            leaves_after_s: how long the longest request may need a former site.
            then: is awaited after each, for what it has admitted until then.
        """
        self._leaves_after_s = leaves_after_s
        self._then = then
        self._tasks = TaskOwner(lambda fault: observer.error("a former site was not closed", fault=repr(fault)))
        self._hurry: dict[Site, asyncio.Event] = {}

    def __len__(self) -> int:
        """Return how many wait."""
        return len(self._hurry)

    def add(self, sites: Iterable[Site]) -> None:
        """Close these when their time has come."""
        left = len(self._hurry)
        for site in sites:
            hurry = self._hurry[site] = asyncio.Event()
            _ = self._tasks.start(self._close_later(site, hurry))
        most = max(MAX_LEAVING, len(self._hurry) - left)
        for site in list(self._hurry)[: max(len(self._hurry) - most, 0)]:
            self._hurry.pop(site).set()

    async def close(self) -> None:
        """Close those that are left."""
        await self._tasks.close()
        for site in list(self._hurry):
            await site.close()
        self._hurry.clear()

    async def _close_later(self, site: Site, hurry: asyncio.Event) -> None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(self._leaves_after_s):
                await hurry.wait()
        await site.close()
        self._hurry.pop(site, None)
        await self._then()
