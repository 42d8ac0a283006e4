"""Records, their last activity and their tombstones in Redis: what is read and written of one session.

How long a record lies there: until its absolute end and :data:`LINGER_S` more, set once and never moved, because each
change of it empties every replica's cache. Its end by the clock is judged by whoever reads it; it lingers so that a
sweep finds who it was, says so, and leaves a tombstone.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final

from msgspec import Struct

from proxy.core.secret import Secret
from proxy.core.session import EndCause, LoginOrigin, Tombstone, session_key
from proxy.sessions.codec import Unreadable, version_prefix
from proxy.sessions.memory import TOMBSTONE_LIFETIME_S
from proxy.sessions.redis_times import LINGER_S

if TYPE_CHECKING:
    from collections.abc import Sequence

    from proxy.core.session import Session, SessionKey
    from proxy.ports import Clock, Observer
    from proxy.sessions.codec import RecordSummary, SessionCodec
    from proxy.sessions.redis_commands import Command, RedisCommands
    from proxy.sessions.redis_names import RedisNames
    from proxy.sessions.redis_touches import Touches
    from proxy.sessions.sealing import Sealer

SAY_AGAIN_S: Final = 10.0
"""Seconds between two lines about unreadable records: after a rotation gone wrong each request finds one."""

HEIR_S: Final = 30.0
"""Seconds for which is known as what a session goes on: replicas with its streams hear of its end within one."""

REPLACE: Final = """
if redis.call('GETRANGE', KEYS[1], 0, string.len(ARGV[1]) - 1) ~= ARGV[1] then return 0 end
redis.call('SET', KEYS[1], ARGV[2], 'KEEPTTL')
return 1
"""
"""Put a record in the place of one that begins as it must: of the same format and version. Never creates (law 5)."""


class StoredSession(Struct, frozen=True):
    """What was read of one session without its cookie.

    Attributes:
        record: as it lies there; empty when there is none.
        summary: what of it can be read, or why it cannot; None when there is no record.
        last_seen_at: Unix seconds; that of its making when nothing is known of a later activity.
    """

    key: SessionKey
    record: bytes
    summary: RecordSummary | Unreadable | None
    last_seen_at: float

    @property
    def readable(self) -> RecordSummary | None:
        """The summary, where there is one."""
        return None if isinstance(self.summary, Unreadable) else self.summary


class Records:
    """Records of one Redis."""

    def __init__(
        self, commands: RedisCommands, names: RedisNames, *, codec: SessionCodec, sealer: Sealer, touches: Touches
    ) -> None:
        """``touches``: what this replica knows of last activity and Redis does not yet."""
        self._touches = touches
        self._commands = commands
        self._names = names
        self._codec = codec
        self._sealer = sealer

    # --- reading -----------------------------------------------------------------------------------------------------

    def asking(self, key: SessionKey) -> list[Command]:
        """Return the two commands whose answers :meth:`read_from` takes."""
        return [("GET", self._names.record(key)), ("GET", self._names.touch(key))]

    def read_from(self, key: SessionKey, answers: Sequence[Any]) -> StoredSession:
        """Return what the answers to :meth:`asking` say."""
        record, touched = answers
        summary = None if record is None else self._codec.decode_summary(key, record)
        made_at = summary.created_at if summary is not None and not isinstance(summary, Unreadable) else 0.0
        seen_here = self._touches.seen_at(key) or 0.0
        return StoredSession(key, record or b"", summary, max(_instant(touched), made_at, seen_here))

    async def read(self, operation: str, keys: Sequence[SessionKey]) -> list[StoredSession]:
        """Return what lies there of each session, in the order of ``keys``.

        Raises:
            StoreUnavailable
        """
        answers = await self._commands.together(operation, [command for key in keys for command in self.asking(key)])
        return [self.read_from(key, answers[2 * n : 2 * n + 2]) for n, key in enumerate(keys)]

    # --- writing -----------------------------------------------------------------------------------------------------

    async def add(self, session: Session, record: bytes, *, now: float) -> bool:
        """Write the record and its first activity; False when there is a record of that key: then nothing was written.

        Raises:
            StoreUnavailable
        """
        lasts_ms = _milliseconds(session.expires_at - now + LINGER_S)
        # Not the instant of its making: a session that goes on under a new id may be older than its idle time.
        touched = ("SET", self._names.touch(session.key), repr(now), "PX", lasts_ms, "NX")
        added = ("SET", self._names.record(session.key), record, "PX", lasts_ms, "NX")
        _, is_new = await self._commands.together("create", [touched, added])
        return bool(is_new)

    async def replace(self, key: SessionKey, record: bytes, *, version: int) -> bool:
        """Put a record in the place of the one with ``version``; False when there is none.

        Raises:
            StoreUnavailable
        """
        command = ("EVAL", REPLACE, 1, self._names.record(key), version_prefix(version), record)
        (is_replaced,) = await self._commands.together("replace", [command])
        return bool(is_replaced)

    # --- heirs -------------------------------------------------------------------------------------------------------

    async def name_heir(self, old: Secret, cookie_value: Secret) -> None:
        """Write down as what the session of ``old`` goes on, for who has its cookie: other replicas with its streams.

        Raises:
            StoreUnavailable
        """
        key = session_key(old)
        sealed = self._sealer.bound_to(old).seal(cookie_value.reveal().encode(), associated_data=_heir_place(key))
        await self._commands.together(
            "supersede", [("SET", self._names.heir(key), sealed, "PX", _milliseconds(HEIR_S))]
        )

    async def heir(self, old: Secret) -> Secret | None:
        """Return the cookie that :meth:`name_heir` wrote down, or None.

        Raises:
            StoreUnavailable
        """
        key = session_key(old)
        (sealed,) = await self._commands.together("heir", [("GET", self._names.heir(key))])
        opened = None if sealed is None else self._sealer.bound_to(old).open(sealed, associated_data=_heir_place(key))
        return None if opened is None else Secret(opened.decode())

    # --- tombstones --------------------------------------------------------------------------------------------------

    def burial(self, key: SessionKey, tombstone: Tombstone) -> Command:
        """Return the command that sets the tombstone."""
        values = {
            "subject": tombstone.subject_hash,
            "cause": tombstone.cause.value,
            "at": tombstone.ended_at,
            "origin": tombstone.origin.value,
        }
        sealed = self._sealer.seal(json.dumps(values).encode(), associated_data=_tombstone_place(key))
        return ("SET", self._names.tombstone(key), sealed, "PX", _milliseconds(TOMBSTONE_LIFETIME_S))

    def tombstone_from(self, key: SessionKey, sealed: bytes | None, now: float) -> Tombstone | None:
        """Return the tombstone that an answer holds; None when its time is over or it cannot be read."""
        opened = None if sealed is None else self._sealer.open(sealed, associated_data=_tombstone_place(key))
        if opened is None:
            return None
        try:
            values = json.loads(opened)
            origin = LoginOrigin(values["origin"])
            tombstone = Tombstone(values["subject"], EndCause(values["cause"]), values["at"], origin)
        except (ValueError, TypeError, KeyError):
            return None  # of a version of ours that knows other causes
        return tombstone if now < tombstone.ended_at + TOMBSTONE_LIFETIME_S else None


class UnreadableRecords:
    """Says that records cannot be read; of many in a short time once, with their number."""

    def __init__(self, observer: Observer, clock: Clock) -> None:
        """Begin with none."""
        self._observer = observer
        self._clock = clock
        self._said_at = float("-inf")
        self._unsaid = 0

    def found(self, why: Unreadable) -> None:
        """Count one; say it, unless that was done less than :data:`SAY_AGAIN_S` ago."""
        self._observer.store_error()
        self._unsaid += 1
        now = self._clock.monotonic()
        if now - self._said_at >= SAY_AGAIN_S:
            self._observer.warning(
                "session records cannot be read: whoever they belong to must sign in again; was a key taken out of "
                "sessions.encryption_keys too early, or does a newer Sidegate write them?",
                reason=why.value,
                records=self._unsaid,
            )
            self._said_at, self._unsaid = now, 0


def _heir_place(key: SessionKey) -> bytes:
    return b"heir\0" + key.encode()


def _tombstone_place(key: SessionKey) -> bytes:
    return b"tombstone\0" + key.encode()


def _instant(answer: bytes | None) -> float:
    """Return the instant that was written; 0 for none, and for what we did not write."""
    try:
        return float(answer or 0)
    except ValueError:
        return 0.0


def _milliseconds(seconds: float) -> int:
    return max(int(seconds * 1000), 1)
