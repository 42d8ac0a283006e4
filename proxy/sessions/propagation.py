"""How fast a logout travels: from the end of a session on one replica to the moment at which another lets go of it.

A replica that held a copy hears that the record changed, and drops the copy at that instant. Whether the session ended
or only has fresh tokens stands in its tombstone, which was written before the record went: it is read afterwards, in
the background, so that nothing waits for a figure. When there is too much to look at, some are not measured.

Two machines' clocks are compared: the figure is as good as they agree.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from proxy.core.session import EndCause
from proxy.errors import StoreUnavailable
from proxy.tasks import TaskOwner

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from proxy.core.session import SessionKey, Tombstone
    from proxy.ports import Clock, Observer

MAX_MEASURED: Final = 32
"""Sessions looked at at once: a thousand that end together give a fair sample, and Redis has other work then."""

LOGOUTS: Final = frozenset(
    {
        EndCause.LOGOUT,
        EndCause.LOGOUT_ALL,
        EndCause.BACKCHANNEL,
        EndCause.FRONTCHANNEL,
        EndCause.ADMIN,
        EndCause.DEVICE,
    }
)
"""Ends that somebody wanted at that instant; the others have no instant from which to count."""


class Propagation:
    """Measures what this replica heard from others."""

    def __init__(
        self,
        tombstone: Callable[[SessionKey], Awaitable[Tombstone | None]],
        *,
        observer: Observer,
        clock: Clock,
    ) -> None:
        """``tombstone`` reads one; it may raise StoreUnavailable."""
        self._tombstone = tombstone
        self._observer = observer
        self._clock = clock
        self._measured = 0
        self._tasks = TaskOwner(lambda fault: observer.error("a logout could not be measured", fault=repr(fault)))

    def let_go(self, key: SessionKey) -> None:
        """Hear that a copy was dropped just now, because its record changed."""
        if self._measured < MAX_MEASURED:
            self._measured += 1
            _ = self._tasks.start(self._measure(key, self._clock.now()))

    async def close(self) -> None:
        """Stop."""
        await self._tasks.close()

    async def _measure(self, key: SessionKey, let_go_at: float) -> None:
        try:
            tombstone = await self._tombstone(key)
        except StoreUnavailable:
            return
        finally:
            self._measured -= 1
        if tombstone is not None and tombstone.cause in LOGOUTS:
            self._observer.logout_propagated(let_go_at - tombstone.ended_at)
