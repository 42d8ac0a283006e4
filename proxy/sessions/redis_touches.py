"""Last activity of the sessions that this replica serves, and its way to Redis in the background.

A request only notes the instant. Of one session at most one write goes out in :func:`coalesced_for_s`; what comes
between waits here and follows, so the idle end is late by nothing and early by at most that long, and that only when
this process is killed. While Redis is away what waits here waits on.

Bounded: above the cap the session that was learned first is forgotten. Then a request has to ask Redis for it once
more, and activity that had not been written is lost.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

from proxy.errors import StoreUnavailable
from proxy.sessions.expiring import Deadlines
from proxy.sessions.redis_times import LINGER_S, ends_at
from proxy.tasks import TaskOwner

if TYPE_CHECKING:
    from proxy.core.session import Session, SessionKey
    from proxy.ports import Clock, Observer
    from proxy.sessions.redis_commands import Command, RedisCommands
    from proxy.sessions.redis_indexes import Indexes
    from proxy.sessions.redis_names import RedisNames

MAX_COALESCED_S: Final = 60.0
"""Seconds between two writes of one session, at most: a list of devices says "a minute ago" then."""

BATCH: Final = 100
"""Sessions written together; two commands each."""

PAUSE_S: Final = 0.05
"""Seconds between two batches: first touches of many sessions gather meanwhile."""

LOOK_S: Final = 1.0
"""Seconds between two looks for what has waited long enough, and before another try when Redis is away."""

TOUCH: Final = """
local seen = redis.call('GET', KEYS[1])
if not seen or tonumber(ARGV[1]) > tonumber(seen) then redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2]) end
return 1
"""
"""Move the last activity forward. Whether it came too late was judged when it was noted: what is written late because
Redis was away, or lost a write in a failover, is activity all the same.
"""


class Known:
    """What is known of one session beside its record.

    Attributes:
        seen_at: the last activity, Unix seconds.
        judged_in: the epoch of watermarks in which none covered it; None when that was not judged.
        written_at: monotonic instant of the last write.
        unwritten: the session, while activity of it waits to be written.
    """

    __slots__ = ("judged_in", "seen_at", "unwritten", "written_at")

    def __init__(self, seen_at: float) -> None:
        """Begin with nothing judged or written."""
        self.seen_at = seen_at
        self.judged_in: int | None = None
        self.written_at: float | None = None
        self.unwritten: Session | None = None


class Touches:
    """See the module. Call :meth:`start` in the loop, :meth:`close` at the end."""

    def __init__(
        self, commands: RedisCommands, names: RedisNames, *, indexes: Indexes, clock: Clock, observer: Observer
    ) -> None:
        """Know nothing."""
        self._commands = commands
        self._names = names
        self._indexes = indexes
        self._clock = clock
        self._observer = observer
        self._tasks = TaskOwner(lambda fault: observer.error("writing last activity ended", fault=repr(fault)))
        self._known: dict[SessionKey, Known] = {}
        self._due: Deadlines[SessionKey] = Deadlines()
        self._has_new = asyncio.Event()
        self.max_known = 100_000

    def __len__(self) -> int:
        """Return how many sessions are known."""
        return len(self._known)

    def start(self) -> None:
        """Begin to write in the background."""
        _ = self._tasks.start(self._write_for_ever())

    async def close(self) -> None:
        """Write what waits, if Redis takes it, and stop."""
        await self._tasks.close()
        try:
            while self._due and await self._write(float("inf")):
                pass
        except StoreUnavailable:
            return  # it is a minute of activity at most

    # --- for requests ------------------------------------------------------------------------------------------------

    def seen_at(self, key: SessionKey) -> float | None:
        """Return the last activity as far as it is known here (Unix seconds); None when Redis must be asked."""
        known = self._known.get(key)
        return None if known is None else known.seen_at

    def known(self, key: SessionKey) -> Known | None:
        """Return what is known of a session; None when Redis must be asked."""
        return self._known.get(key)

    def learned(self, key: SessionKey, seen_at: float) -> Known:
        """Hear what Redis says of the last activity; return what is known now."""
        known = self._known.get(key)
        if known is None:
            self._make_room()
            known = self._known[key] = Known(seen_at)
        known.seen_at = max(known.seen_at, seen_at)
        return known

    def touched(self, session: Session) -> None:
        """Count activity now; what is over as far as is known here is not revived."""
        key, now = session.key, self._clock.now()
        known = self._known.get(key)
        if known is None:
            self._make_room()
            known = self._known[key] = Known(session.created_at)
        if now >= ends_at(session, known.seen_at):
            return
        known.seen_at = max(known.seen_at, now)
        if known.unwritten is None:
            self._schedule(key, known, session)
        known.unwritten = session

    def forget(self, key: SessionKey) -> None:
        """The session has ended."""
        if self._known.pop(key, None) is not None:
            self._due.forget(key)

    # --- in the background -------------------------------------------------------------------------------------------

    def _schedule(self, key: SessionKey, known: Known, session: Session) -> None:
        if known.written_at is None:
            self._due.schedule(key, self._clock.monotonic())
            self._has_new.set()
        else:
            self._due.schedule(key, known.written_at + coalesced_for_s(session))

    def _make_room(self) -> None:
        while len(self._known) >= self.max_known:
            self.forget(next(iter(self._known)))

    async def _write_for_ever(self) -> None:
        while True:
            pause_s = PAUSE_S
            try:
                if not await self._write(self._clock.monotonic()):
                    await self._has_new_within(LOOK_S)
            except StoreUnavailable:
                pause_s = LOOK_S
            except Exception as defect:  # noqa: BLE001 - without this task everybody would be idle in the end
                pause_s = LOOK_S
                self._observer.error("writing last activity broke; it goes on", fault=repr(defect))
            await asyncio.sleep(pause_s)

    async def _has_new_within(self, seconds: float) -> None:
        try:
            async with asyncio.timeout(seconds):
                await self._has_new.wait()
        except TimeoutError:
            pass
        self._has_new.clear()

    async def _write(self, until: float) -> bool:
        """Write a batch of what is due at the monotonic instant ``until``; False when there was nothing.

        Raises:
            StoreUnavailable: the batch waits on.
        """
        batch: list[tuple[SessionKey, Known]] = []
        while len(batch) < BATCH and (key := self._due.pop_due(until)) is not None:
            batch.append((key, self._known[key]))
        if not batch:
            return False
        now = self._clock.monotonic()
        written = [(known, known.seen_at) for _, known in batch]
        try:
            await self._commands.together("touch", [c for _, known in batch for c in self._writing(known)])
        except StoreUnavailable:
            for key, known in batch:
                if self._known.get(key) is known:
                    self._due.schedule(key, now + LOOK_S)
            raise
        for (key, known), (_, seen_at) in zip(batch, written, strict=True):
            self._was_written(key, known, seen_at, at=now)
        return True

    def _was_written(self, key: SessionKey, known: Known, seen_at: float, *, at: float) -> None:
        session, known.unwritten, known.written_at = known.unwritten, None, at
        if session is not None and known.seen_at > seen_at and self._known.get(key) is known:
            known.unwritten = session  # it was used while the write was on its way
            self._schedule(key, known, session)

    def _writing(self, known: Known) -> list[Command]:
        session = known.unwritten
        if session is None:
            return []
        lasts_s = min(session.expires_at - known.seen_at, session.idle_timeout_s) + LINGER_S
        name = self._names.touch(session.key)
        return [
            ("EVAL", TOUCH, 1, name, repr(known.seen_at), int(lasts_s * 1000)),
            self._indexes.putting_off(session.key, ends_at(session, known.seen_at)),
        ]


def coalesced_for_s(session: Session) -> float:
    """Return how many seconds lie between two writes of a session: a minute, or a twentieth of its idle time."""
    return min(MAX_COALESCED_S, session.idle_timeout_s / 20)
