"""The audit trail of all replicas, in Redis: one stream, ``{prefix}audit``.

An entry holds the sealed event (``e``), a random number by which a repetition is known (``n``), and an HMAC of the user
name (``u``) by which one person's events are found; nothing of it can be read without the server key. Entries are
written by a background task in batches from a bounded queue, so that nobody waits for Redis because something is noted.

==============  =================  ================================================================================
structure       cap                at the cap
==============  =================  ================================================================================
waiting events  ``max_waiting``,   the new event is dropped and counted; it is in the log all the same
                ``max_bytes``
the stream      ``max_events``     the oldest go, and count as dropped
its age         ``keep_s``         the oldest go at the next batch; readers pass over them before; the key has a TTL
followers       none of its own    each asks every ``POLL_S``; whoever lets people follow bounds them
==============  =================  ================================================================================

A batch whose fate is unknown (Redis went away in the middle) is written again, so an entry may stand there twice;
readers take the first.
"""

from __future__ import annotations

import asyncio
import os
from collections import OrderedDict, deque
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final, Protocol, TypeVar

from msgspec import Struct

from proxy.errors import StoreUnavailable
from proxy.observe.audit_record import is_of, packed, unpacked
from proxy.tasks import TaskOwner

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Iterable

    from proxy.ports import AuditEvent, AuditRecord, Clock, Observer

T = TypeVar("T")

GATHER_S: Final = 0.05
"""Seconds that events gather before they are written; so old is the trail at most while Redis is there."""

RETRY_S: Final = 1.0
"""Seconds between two tries while Redis is away."""

POLL_S: Final = 0.25
"""Seconds between two looks of a follower. Not XREAD BLOCK: a blocked connection is one that nobody else of the pool
can use, and its wait would be taken for a Redis that hangs.
"""

CLOSE_GRACE_S: Final = 2.0
"""Seconds that ``close`` waits for the last events to be written."""

BATCH: Final = 200
"""Entries that are written or read in one go: 80 KiB of ordinary ones."""

CLOCK_DOUBT_S: Final = 60.0
"""Seconds by which Redis' clock may differ from ours; entries are numbered by its."""

SEALED_FOR: Final = b"audit"
"""Associated data of an entry: what is sealed for the trail opens nowhere else."""

MAX_KNOWN: Final = 2 * BATCH
"""Random numbers that a follower remembers, to know a repetition by; a batch is repeated right after itself."""


class Connection(Protocol):
    """The connection to Redis, as ``sessions`` has it: bounded in time, every fault a StoreUnavailable."""

    @property
    def prefix(self) -> str:
        """Return what begins the name of every key."""

    async def run(self, operation: str, call: Callable[[Any], Awaitable[T]]) -> T:
        """Run a command.

        Raises:
            StoreUnavailable
        """


class Sealing(Protocol):
    """Sealing under the server keys, as ``sessions`` has it."""

    def seal(self, plaintext: bytes, *, associated_data: bytes) -> bytes:
        """Return the sealed text."""

    def open(self, sealed: bytes, *, associated_data: bytes) -> bytes | None:
        """Return the text, or None when it cannot be opened."""

    def digest(self, text: str) -> str:
        """Return the HMAC under the first key."""

    def digests(self, text: str) -> tuple[str, ...]:
        """Return the HMACs under every key."""


class AuditRedisLimits(Struct, frozen=True):
    """Caps: ``keep_s`` seconds, events in the stream, and events and bytes that wait to be written."""

    keep_s: float
    max_events: int = 100_000
    max_waiting: int = 10_000
    max_bytes: int = 4 * 1024 * 1024


class _Waiting(Struct, frozen=True):
    raw: bytes
    username: str | None
    number: bytes


class RedisAuditTrail:
    """``ports.AuditTrail`` of all replicas. Call :meth:`start` in the loop, :meth:`close` at the end."""

    def __init__(
        self, connection: Connection, sealing: Sealing, *, limits: AuditRedisLimits, clock: Clock, observer: Observer
    ) -> None:
        """Begin with nothing that waits."""
        self._connection = connection
        self._sealing = sealing
        self._limits = limits
        self._clock = clock
        self._observer = observer
        self._key = f"{connection.prefix}audit"
        self._tasks = TaskOwner(lambda fault: observer.error("the audit trail is not written", fault=repr(fault)))
        self._waiting: deque[_Waiting] = deque()
        self._waiting_bytes = 0
        self._news = asyncio.Event()
        self._dropped = 0
        self._is_dropping = False

    @property
    def dropped(self) -> int:
        """Events that are not in the trail, or went before their time, for want of room or of Redis."""
        return self._dropped

    # --- writing -----------------------------------------------------------------------------------------------------

    def start(self) -> None:
        """Begin to write in the background."""
        _ = self._tasks.start(self._write_for_ever())

    async def close(self) -> None:
        """Write what waits, for a while; the rest counts as dropped."""
        with suppress(StoreUnavailable, TimeoutError):
            async with asyncio.timeout(CLOSE_GRACE_S):
                await self._tasks.close()
                while self._waiting:
                    await self._write_batch()
        self._dropped += len(self._waiting)
        self._waiting.clear()

    def add(self, event: AuditEvent, at: float) -> None:
        """Take an event for the next batch; dropped and counted when too many wait."""
        raw = packed(event, at)
        limits = self._limits
        if len(self._waiting) >= limits.max_waiting or self._waiting_bytes + len(raw) > limits.max_bytes:
            self._dropped += 1
            self._say_dropping()
            return
        self._waiting.append(_Waiting(raw, event.username, os.urandom(8)))
        self._waiting_bytes += len(raw)
        self._news.set()

    def _say_dropping(self) -> None:
        if not self._is_dropping:
            self._is_dropping = True
            self._observer.warning(
                "audit events are not kept, because too many wait for Redis; they are in this log all the same"
            )

    async def _write_for_ever(self) -> None:
        while True:
            await self._news.wait()
            self._news.clear()
            await asyncio.sleep(GATHER_S)
            while self._waiting:
                try:
                    await self._write_batch()
                except StoreUnavailable:  # the connection said so; what waits is tried again
                    await asyncio.sleep(RETRY_S)

    async def _write_batch(self) -> None:
        batch = [self._waiting[index] for index in range(min(BATCH, len(self._waiting)))]
        oldest_ms = int((self._clock.now() - self._limits.keep_s) * 1000)

        async def write(client: Any) -> list[Any]:
            pipeline = client.pipeline(transaction=False)
            for one in batch:
                pipeline.xadd(self._key, self._sealed(one))
            pipeline.xtrim(self._key, minid=max(0, oldest_ms), approximate=False)
            pipeline.xtrim(self._key, maxlen=self._limits.max_events, approximate=True)
            pipeline.pexpire(self._key, int((self._limits.keep_s + CLOCK_DOUBT_S) * 1000))
            answers: list[Any] = await pipeline.execute()
            return answers

        *_, too_many, _ = await self._connection.run("audit_write", write)
        self._dropped += int(too_many)
        self._is_dropping = False
        for one in batch:
            self._waiting.popleft()
            self._waiting_bytes -= len(one.raw)

    def _sealed(self, one: _Waiting) -> dict[bytes, bytes]:
        fields = {b"e": self._sealing.seal(one.raw, associated_data=SEALED_FOR), b"n": one.number}
        if one.username is not None:
            fields[b"u"] = self._sealing.digest(_digested(one.username)).encode()
        return fields

    # --- reading -----------------------------------------------------------------------------------------------------

    async def read(self, *, username: str | None, since: float, limit: int) -> tuple[AuditRecord, ...]:
        """Return the last ``limit`` events; see ``ports.AuditTrail``. What no key opens is passed over, and said."""
        reader = _Reader(self._sealing, username, max(since, self._clock.now() - self._limits.keep_s))
        before = "+"
        while len(reader.found) < limit:
            entries = await self._back_from(before, since=reader.since)
            for entry in entries:
                reader.take(entry)
            if len(entries) < BATCH:
                break
            before = f"({entries[-1][0].decode()}"
        self._say_unreadable(reader.unreadable)
        newest_first = list(reader.found.values())[:limit]
        return tuple(sorted(newest_first, key=lambda record: record.at))

    async def follow(self, *, username: str | None, since: float, limit: int) -> AsyncIterator[AuditRecord]:
        """Yield the last events and then each further one; see ``ports.AuditTrail``."""
        # Where to go on is asked first: what comes while the past is read is read twice and known by its number.
        newest = await self._connection.run("audit_read", lambda client: client.xrevrange(self._key, count=1))
        position = newest[0][0].decode() if newest else "0-0"
        for record in await self.read(username=username, since=since, limit=limit):
            yield record
        known: OrderedDict[bytes, None] = OrderedDict()
        while True:
            entries = await self._patiently_after(position)
            reader = _Reader(self._sealing, username, since)
            for _, fields in entries:
                number = fields.get(b"n", b"")
                if number not in known:
                    known[number] = None
                    reader.take((number, fields))
            while len(known) > MAX_KNOWN:
                known.popitem(last=False)
            for record in reader.found.values():
                yield record
            if entries:
                position = entries[-1][0].decode()
            if len(entries) < BATCH:
                await asyncio.sleep(POLL_S)

    async def _patiently_after(self, position: str) -> list[Any]:
        while True:
            with suppress(StoreUnavailable):
                return await self._after(position)
            await asyncio.sleep(RETRY_S)

    async def _after(self, position: str) -> list[Any]:
        after = f"({position}"
        entries: list[Any] = await self._connection.run(
            "audit_read", lambda client: client.xrange(self._key, min=after, count=BATCH)
        )
        return entries

    async def _back_from(self, before: str, *, since: float) -> list[Any]:
        oldest = str(max(0, int((since - CLOCK_DOUBT_S) * 1000)))
        entries: list[Any] = await self._connection.run(
            "audit_read", lambda client: client.xrevrange(self._key, max=before, min=oldest, count=BATCH)
        )
        return entries

    def _say_unreadable(self, count: int) -> None:
        if count:
            self._observer.warning("audit events cannot be read under sessions.encryption_keys", events=count)


class _Reader:
    """Entries of the stream become records: opened, chosen, each once."""

    def __init__(self, sealing: Sealing, username: str | None, since: float) -> None:
        self._sealing = sealing
        self._username = username
        self._digests = _digests(sealing, username)
        self.since = since
        self.found: dict[bytes, AuditRecord] = {}
        self.unreadable = 0

    def take(self, entry: tuple[bytes, dict[bytes, bytes]]) -> None:
        """Keep what is wanted of an entry."""
        _, fields = entry
        if self._digests and fields.get(b"u") not in self._digests:
            return
        raw = self._sealing.open(fields.get(b"e", b""), associated_data=SEALED_FOR)
        record = None if raw is None else unpacked(raw)
        if record is None:
            self.unreadable += 1
        elif record.at >= self.since and is_of(self._username, record.event):
            self.found.setdefault(fields.get(b"n", b""), record)


def _digests(sealing: Sealing, username: str | None) -> frozenset[bytes]:
    found: Iterable[str] = () if username is None else sealing.digests(_digested(username))
    return frozenset(digest.encode() for digest in found)


def _digested(username: str) -> str:
    # With a name of its own, so that nobody links the trail with the store's index of user names.
    return f"audit user {username.casefold()}"
