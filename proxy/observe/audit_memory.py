"""The audit trail of one process, in memory: a ring.

===========  ===============  ======================================
structure    cap              at the cap
===========  ===============  ======================================
events       ``max_events``   the oldest goes, and counts as dropped
their bytes  ``max_bytes``    the oldest goes, and counts as dropped
age          ``keep_s``       the oldest goes; that is no loss
followers    none of its own  each is an event to be set; whoever lets people follow bounds them
===========  ===============  ======================================
"""

from __future__ import annotations

import asyncio
from collections import deque
from typing import TYPE_CHECKING

from msgspec import Struct

from proxy.observe.audit_record import is_of, packed, unpacked

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    from proxy.ports import AuditEvent, AuditRecord, Clock

MAX_EVENTS = 20_000
"""Events kept; at 400 bytes each they fill the other cap."""

MAX_BYTES = 8 * 1024 * 1024
"""Bytes of kept events, without what Python adds (about 150 bytes each)."""


class AuditMemoryLimits(Struct, frozen=True):
    """Caps: ``keep_s`` seconds, and numbers of events and bytes."""

    keep_s: float
    max_events: int = MAX_EVENTS
    max_bytes: int = MAX_BYTES


class _Entry(Struct, frozen=True):
    serial: int
    at: float
    raw: bytes


class MemoryAuditTrail:
    """``ports.AuditTrail`` of one process."""

    def __init__(self, limits: AuditMemoryLimits, *, clock: Clock) -> None:
        """Begin with nothing."""
        self._limits = limits
        self._clock = clock
        self._entries: deque[_Entry] = deque()
        self._bytes = 0
        self._serial = 0
        self._dropped = 0
        self._followers: set[asyncio.Event] = set()

    @property
    def dropped(self) -> int:
        """Events that went before their time for want of room."""
        return self._dropped

    def add(self, event: AuditEvent, at: float) -> None:
        """Keep an event; at the cap the oldest goes."""
        raw = packed(event, at)
        self._serial += 1
        self._entries.append(_Entry(self._serial, at, raw))
        self._bytes += len(raw)
        self._trim()
        for follower in self._followers:
            follower.set()

    async def read(self, *, username: str | None, since: float, limit: int) -> tuple[AuditRecord, ...]:
        """Return the last ``limit`` events; see ``ports.AuditTrail``."""
        self._trim()
        found: list[AuditRecord] = []
        # From the newest back, so that what is not wanted is not decoded.
        for entry in reversed(self._entries):
            if len(found) >= limit:
                break
            record = _record_of(entry, username, since)
            if record is not None:
                found.append(record)
        return tuple(reversed(found))

    async def follow(self, *, username: str | None, since: float, limit: int) -> AsyncIterator[AuditRecord]:
        """Yield the last events and then each further one.

        Nothing is queued for a follower: it remembers how far it came, and one that is slower than the ring misses
        what has gone meanwhile.
        """
        news = asyncio.Event()
        self._followers.add(news)
        try:
            seen = self._serial
            for known in await self.read(username=username, since=since, limit=limit):
                yield known
            while True:
                await news.wait()
                news.clear()
                fresh, seen = [*self._after(seen)], self._serial
                for record in (_record_of(entry, username, since) for entry in fresh):
                    if record is not None:
                        yield record
        finally:
            self._followers.discard(news)

    def _after(self, serial: int) -> Iterator[_Entry]:
        """Yield the entries that came after the one with this number."""
        fresh = min(self._serial - serial, len(self._entries))
        return (self._entries[index] for index in range(-fresh, 0))

    def _trim(self) -> None:
        limits, oldest_at = self._limits, self._clock.now() - self._limits.keep_s
        while self._entries and self._entries[0].at < oldest_at:
            self._forget_oldest()
        while len(self._entries) > limits.max_events or self._bytes > limits.max_bytes:
            self._forget_oldest()
            self._dropped += 1

    def _forget_oldest(self) -> None:
        self._bytes -= len(self._entries.popleft().raw)


def _record_of(entry: _Entry, username: str | None, since: float) -> AuditRecord | None:
    record = unpacked(entry.raw) if entry.at >= since else None
    return record if record is not None and is_of(username, record.event) else None
