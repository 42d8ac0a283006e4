"""What nobody asks for in Redis: ending sessions whose time has come, counting those that live.

Each replica looks at the roster, which is ordered by the instant at which sessions will be over: 16 commands each
second however many sessions there are. Two replicas may find the same one; ``DEL`` says which of them ended it.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final, Protocol

from proxy.errors import StoreUnavailable
from proxy.sessions.codec import Unreadable
from proxy.sessions.redis_times import cause_of_end, ends_at
from proxy.tasks import TaskOwner

if TYPE_CHECKING:
    from collections.abc import Sequence

    from proxy.core.session import EndCause
    from proxy.ports import Clock, Observer
    from proxy.sessions.codec import RecordSummary
    from proxy.sessions.redis_commands import Command, RedisCommands
    from proxy.sessions.redis_indexes import Indexes
    from proxy.sessions.redis_records import Records, StoredSession

SWEEP_INTERVAL_S: Final = 1.0
"""Seconds between two looks for what is over: an end is law everywhere within a second."""

COUNT_INTERVAL_S: Final = 10.0
"""Seconds between two counts for ``sessions_active``; Prometheus asks every 15 by custom."""

UNREADABLE_PAUSE_S: Final = 3600.0
"""Seconds until a record that cannot be read is looked at again; its own TTL takes it away in the end."""


class Ending(Protocol):
    """Ends sessions; the store does."""

    async def __call__(self, over: Sequence[RecordSummary], cause: EndCause, /) -> object:
        """End these, whose time is over.

        Raises:
            StoreUnavailable
        """


class Sweep:
    """See the module. Call :meth:`start` in the loop, :meth:`close` at the end."""

    def __init__(
        self, commands: RedisCommands, indexes: Indexes, records: Records, *, clock: Clock, observer: Observer
    ) -> None:
        """Count none before the first look."""
        self._commands = commands
        self._indexes = indexes
        self._records = records
        self._clock = clock
        self._observer = observer
        self._tasks = TaskOwner(lambda fault: observer.error("the sweep of sessions ended", fault=repr(fault)))
        self.active = 0

    def start(self, end: Ending) -> None:
        """Begin to look in the background; ``end`` ends what is over."""
        _ = self._tasks.start(self._sweep_for_ever(end))

    async def close(self) -> None:
        """Stop."""
        await self._tasks.close()

    async def _sweep_for_ever(self, end: Ending) -> None:
        counted_at = float("-inf")
        while True:
            try:
                if self._clock.monotonic() >= counted_at + COUNT_INTERVAL_S:
                    await self._commands.look_for_replicas()
                    self.active = await self._indexes.count(self._clock.now())
                    counted_at = self._clock.monotonic()
                while await self.sweep(end):
                    pass
            except StoreUnavailable:
                pass  # the connection has said so; what is over waits, and is served by nobody
            except Exception as defect:  # noqa: BLE001 - one look's defect must not be the last look of this process
                self._observer.error("the sweep of sessions broke; it goes on", fault=repr(defect))
            await asyncio.sleep(SWEEP_INTERVAL_S)

    async def sweep(self, end: Ending) -> bool:
        """Look once at what is due; say whether there was anything.

        Raises:
            StoreUnavailable
        """
        now = self._clock.now()
        due = await self._indexes.due(now)
        over: dict[EndCause, list[RecordSummary]] = {}
        moves: list[Command] = []
        for stored in await self._records.read("sweep", due):
            summary = stored.readable
            cause = None if summary is None else cause_of_end(summary, stored.last_seen_at, now)
            if summary is not None and cause is not None:
                over.setdefault(cause, []).append(summary)
            else:
                moves.append(self._move(stored, now))
        for cause, summaries in over.items():
            await end(summaries, cause)
        await self._commands.together("sweep", moves)
        return bool(due)

    def _move(self, stored: StoredSession, now: float) -> Command:
        """Return where in the roster a session belongs that is due and not over."""
        if isinstance(stored.summary, Unreadable):
            return self._indexes.putting_off(stored.key, now + UNREADABLE_PAUSE_S)
        if stored.summary is None:
            # Due is what was made long ago, so this one is not just being made: it is gone.
            return self._indexes.striking_off(stored.key)
        return self._indexes.putting_off(stored.key, ends_at(stored.summary, stored.last_seen_at))
