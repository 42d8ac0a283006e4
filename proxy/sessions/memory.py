"""Sessions of one process, in memory.

Every operation is synchronous inside, so on one loop it is atomic: nothing here awaits between reading and writing.
What may touch everybody's session takes its time: a list is read, and condemned sessions are ended, in slices.
Every structure has a cap (law 12), and this table says what happens at it:

==================  =======================  ==========================================================================
structure           cap                      at the cap
==================  =======================  ==========================================================================
sessions, indexes   ``max_sessions``         ``create`` raises StoreFull; nobody is put out
sessions of a user  ``max_per_user``         the oldest ends
tombstones          ``max_tombstones``       the oldest goes: somebody is not told why they must sign in again
ended marks         ``max_ended_marks``      the oldest goes, and everything issued up to its time counts as ended from
                                             then on, for new sessions and bearer tokens: closed, and hurts nobody who
                                             is signed in. Refusing the new mark would keep a logout from being obeyed
spent token ids     ``max_spent_ids``        ``spend_jti`` raises StoreFull: forgetting one would let that token be
                                             replayed and nobody would know; refusing is said aloud, and what the
                                             token asked for has been done before its id is remembered (law 7)
==================  =======================  ==========================================================================
"""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from msgspec import Struct

from proxy.core.login import Login
from proxy.core.session import (
    BySid,
    BySubject,
    ByUsername,
    EndCause,
    EndedMark,
    EverySessionOf,
    SessionKey,
    SessionsFilter,
    SessionSummary,
    Tombstone,
    session_key,
    subject_hash,
)
from proxy.errors import SessionEnded, StoreFull
from proxy.ports import AuditEvent, Readiness
from proxy.sessions.ended import EndedMarks, MemoryStanding, is_at_or_before
from proxy.sessions.expiring import Deadlines, ExpiringMap
from proxy.tasks import TaskOwner

if TYPE_CHECKING:
    from collections.abc import Iterable

    from proxy.core.secret import Secret
    from proxy.core.session import Session
    from proxy.ports import Clock, LiveStreams, NotCached, Observer

TOMBSTONE_LIFETIME_S = 24 * 3600.0
"""Seconds that a tombstone is kept (contract §4)."""

SWEEP_INTERVAL_S = 10.0
"""Seconds between two looks for what has ended; until then an ended session is only not served."""

SWEEP_SLICE = 500
"""Sessions ended in one go (about 5 ms) before the loop gets its turn."""

AUDITED: Final = {
    EndCause.EXPIRED: "session.expired",
    EndCause.IDLE: "session.expired",
    EndCause.OVER_LIMIT: "session.revoked",
}
"""Ends that the store alone knows of; whoever asks for another end writes its event."""


class MemoryLimits(Struct, frozen=True):
    """Caps, each a number of entries. ``max_per_user`` 0: no limit."""

    max_sessions: int = 100_000
    max_per_user: int = 50
    max_tombstones: int = 100_000
    max_ended_marks: int = 100_000
    max_spent_ids: int = 100_000
    sweep_interval_s: float = SWEEP_INTERVAL_S


class _Record:
    """A stored session and when it was last used."""

    __slots__ = ("ended_by", "last_seen_at", "session")

    def __init__(self, session: Session, now: float) -> None:
        self.session = session
        # Not that of its making: a session that goes on under a new id may be older than its idle time.
        self.last_seen_at = now
        self.ended_by: EndCause | None = None

    def ends_at(self) -> float:
        return min(self.session.expires_at, self.last_seen_at + self.session.idle_timeout_s)

    def cause_of_end(self, now: float) -> EndCause | None:
        """Return why the session is over at ``now``, or None while it is live. A word from outside comes first."""
        if self.ended_by is not None:
            return self.ended_by
        if now >= self.session.expires_at:
            return EndCause.EXPIRED
        if now >= self.last_seen_at + self.session.idle_timeout_s:
            return EndCause.IDLE
        return None

    def condemn(self, cause: EndCause) -> None:
        """Have it served no more from now on; who asks whether it is live is sent to :meth:`cause_of_end`."""
        self.ended_by = cause
        self.last_seen_at = float("-inf")

    def summary(self) -> SessionSummary:
        session = self.session
        return SessionSummary(
            key=session.key,
            client_id=session.client_id,
            subject=session.identity.subject,
            username=session.identity.username,
            sid=session.sid,
            created_at=session.created_at,
            last_seen_at=self.last_seen_at,
            expires_at=session.expires_at,
            user_agent=session.user_agent,
            address=session.address,
            portal=session.portal,
        )


def _filters(session: Session) -> Iterable[SessionsFilter]:
    """Yield every filter that finds this session."""
    issuer = session.identity.issuer
    yield BySubject(issuer, session.identity.subject)
    if session.identity.username is not None:
        yield ByUsername(issuer, session.identity.username)
    if session.sid is not None:
        yield BySid(issuer, session.sid)


class MemorySessionStore:
    """``ports.SessionStore`` of one process. Call :meth:`start` in the loop, :meth:`close` at the end."""

    def __init__(self, clock: Clock, *, live: LiveStreams, observer: Observer, limits: MemoryLimits) -> None:
        """Begin empty."""
        self._clock = clock
        self._live = live
        self._observer = observer
        self._limits = limits
        self._tasks = TaskOwner(lambda fault: observer.error("the sweep of sessions failed", fault=repr(fault)))
        self._records: dict[SessionKey, _Record] = {}
        # A dict without values is a set that keeps its order: the first key is the oldest session.
        self._index: dict[SessionsFilter, dict[SessionKey, None]] = {}
        self._deadlines: Deadlines[SessionKey] = Deadlines()
        self._tombstones: ExpiringMap[SessionKey, Tombstone] = ExpiringMap(limits.max_tombstones)
        self._ended = EndedMarks(limits.max_ended_marks)
        self._spent_until: ExpiringMap[str, float] = ExpiringMap(limits.max_spent_ids)

    # --- life of the store -------------------------------------------------------------------------------------------

    def start(self) -> None:
        """Begin to end in the background what is over, so that its streams close and its memory is given back."""
        _ = self._tasks.start(self._sweep_for_ever())

    async def close(self) -> None:
        """Stop the background work; the sessions are left as they are."""
        await self._tasks.close()

    def adopt(self, limits: MemoryLimits) -> None:
        """Heed these caps from now on; what is above them already stays until it ends."""
        self._limits = limits

    def active_sessions(self) -> int:
        """Return the number of records at once, for ``sessions_active``."""
        return len(self._records)

    # --- ports.SessionStore ------------------------------------------------------------------------------------------

    def cached(self, cookie_value: Secret) -> Session | NotCached | None:
        """Return the live session or None; memory need never be asked twice."""
        record = self._live_record(session_key(cookie_value))
        return None if record is None else record.session

    async def load(self, cookie_value: Secret) -> Session | None:
        """Return the live session of this cookie, or None."""
        record = self._live_record(session_key(cookie_value))
        return None if record is None else record.session

    def touch(self, session: Session) -> None:
        """Count activity now; what is over is not revived."""
        record = self._live_record(session.key)
        if record is not None:
            record.last_seen_at = max(record.last_seen_at, self._clock.now())

    async def last_seen(self, session: Session) -> float:
        """Return the Unix time of the last activity; that of its making when the session is gone."""
        record = self._records.get(session.key)
        return session.created_at if record is None else record.last_seen_at

    async def create(self, cookie_value: Secret, session: Session) -> tuple[SessionKey, ...]:
        """Store a new session; see ``ports.SessionStore.create``.

        Raises:
            StoreFull: at the cap; nothing was stored.
            SessionEnded: its sid, or its subject at or after ``issued_at``, has ended already.
            ValueError: the key is not that of the cookie, or it is taken: a cookie value is used once (law 8).
        """
        key = _checked_key(cookie_value, session)
        if key in self._records:
            raise ValueError("a cookie value is used for one session only")
        if self._login_has_ended(Login.of(session)):
            raise SessionEnded("this login was ended before its session was made")
        over = self._over_limit(session)
        self._make_room(len(over))
        for oldest in over:
            self._end(oldest, EndCause.OVER_LIMIT)
        self._insert(session)
        return over

    async def replace(self, cookie_value: Secret, session: Session) -> Session | None:
        """Put ``session`` in the place of the same key and version; see ``ports.SessionStore.replace``.

        Raises:
            ValueError: the key is not that of the cookie, or the session became another person's.
        """
        record = self._live_record(_checked_key(cookie_value, session))
        if record is None or record.session.version != session.version or self._is_ended(Login.of(session)):
            return None
        if _person(record.session) != _person(session):
            raise ValueError("a session never changes hands")
        stored = replace(session, version=session.version + 1)
        if (stored.sid, stored.identity.username) != (record.session.sid, record.session.identity.username):
            self._unindex(record.session)
            self._add_to_index(stored)
        record.session = stored
        self._deadlines.schedule(stored.key, record.ends_at())
        self._live.session_changed(stored, self._clock.now())
        return stored

    async def supersede(self, old: Secret, cookie_value: Secret, session: Session) -> tuple[SessionKey, ...]:
        """Let a session go on as another one; see ``ports.SessionStore.supersede``."""
        old_key = session_key(old)
        self._live.moved(old_key, session, cookie_value=cookie_value, now=self._clock.now())
        try:
            await self._make_way(old_key)
            return await self.create(cookie_value, session)
        except (StoreFull, SessionEnded):
            self._live.session_ended(session.key, EndCause.REPLACED)
            raise

    async def _make_way(self, key: SessionKey) -> None:
        if not await self.delete(key, EndCause.REPLACED):
            raise SessionEnded("the session ended before it could go on as another one")

    async def heir(self, cookie_value: Secret) -> Secret | None:  # noqa: ARG002 - named as the port names it
        """Return None: whoever holds streams is in this process, and was told."""
        return None

    async def delete(self, key: SessionKey, cause: EndCause) -> bool:
        """End one session; True when it was there. Leaves a tombstone; closes its streams."""
        if self._live_record(key) is None:
            return False
        self._end(key, cause)
        return True

    async def delete_matching(self, which: SessionsFilter, cause: EndCause) -> tuple[SessionSummary, ...]:
        """End every session that matches, returning what ended."""
        records = self._matching(which)
        for record in records:
            self._end(record.session.key, cause)
        return tuple(record.summary() for record in records)

    async def find(self, which: SessionsFilter | None = None) -> tuple[SessionSummary, ...]:
        """List live sessions, the oldest first; all of them when ``which`` is None."""
        found: list[SessionSummary] = []
        for keys in _sliced([*self._records] if which is None else [*self._index.get(which, ())]):
            found += [record.summary() for key in keys if (record := self._live_record(key)) is not None]
            await asyncio.sleep(0)
        return tuple(found)

    async def count(self) -> int:
        """Return the number of live sessions."""
        self._sweep(at_most=len(self._records))
        return len(self._records)

    async def tombstone(self, cookie_value: Secret) -> Tombstone | None:
        """Return what is left of a session that ended in the last 24 h."""
        key = session_key(cookie_value)
        # What nobody looked at since its end has its tombstone made here.
        self._live_record(key)
        return self._tombstones.get(key, self._clock.now())

    async def mark_ended(self, mark: EndedMark) -> None:
        """Remember that something has ended; of a client's every session the live ones end now."""
        self._ended.put(mark, self._clock.now())
        self._live.bearers_in_doubt()
        if isinstance(mark.what, EverySessionOf):
            covered = [record for record in self._records.values() if _is_covered(record.session, mark.what, mark)]
            for record in covered:
                record.condemn(EndCause.ADMIN)
            await self._tasks.finish(self._end_condemned([record.session.key for record in covered]))

    def readiness(self) -> Readiness:
        """Say that memory is there."""
        return Readiness(is_ready=True)

    async def has_ended(self, *, issuer: str, client_id: str, sid: str | None, subject: str, issued_at: float) -> bool:
        """Say whether a login with these marks is over."""
        return self._login_has_ended(Login(issuer, client_id, sid, subject, issued_at))

    async def standing(self, login: Login) -> MemoryStanding | None:
        """Look a login up; None when it is over."""
        return None if self._login_has_ended(login) else MemoryStanding(login, self._ended, self._login_has_ended)

    def _login_has_ended(self, login: Login) -> bool:
        return self._is_ended(login) or self._ended.may_have_covered(login.issued_at)

    async def jti_is_spent(self, jti: str) -> bool:
        """Say whether this token id was remembered."""
        return self._spent_until.get(jti, self._clock.now()) is not None

    async def spend_jti(self, jti: str, until: float) -> None:
        """Remember a token id until the Unix time ``until``; of two instants the later counts.

        Raises:
            StoreFull: at the cap; the id was not remembered.
        """
        now = self._clock.now()
        known = self._spent_until.get(jti, now)
        if known is None and self._spent_until.is_full(now):
            raise StoreFull("no further token id can be remembered; a replay of this one would not be noticed")
        until = max(until, known or until)
        self._spent_until.put(jti, until, until)

    # --- inside ------------------------------------------------------------------------------------------------------

    def _live_record(self, key: SessionKey) -> _Record | None:
        """Return the record of a live session; one that is over is ended here."""
        record = self._records.get(key)
        if record is None:
            return None
        now, session = self._clock.now(), record.session
        # Asked twice in each request, so the common case is said here and not by a call.
        if now < session.expires_at and now < record.last_seen_at + session.idle_timeout_s:
            return record
        cause = record.cause_of_end(now)
        if cause is not None:
            self._end(key, cause)
        return None

    async def _end_condemned(self, condemned: list[SessionKey]) -> None:
        """End what is not served any more, in slices: a hundred thousand take seconds, and others wait for the loop."""
        for keys in _sliced(condemned):
            for key in keys:
                self._live_record(key)
            await asyncio.sleep(0)

    def _matching(self, which: SessionsFilter | None) -> list[_Record]:
        keys = list(self._records if which is None else self._index.get(which, ()))
        return [record for key in keys if (record := self._live_record(key)) is not None]

    def _is_ended(self, login: Login) -> bool:
        return self._ended.cover(
            issuer=login.issuer,
            client_id=login.client_id,
            sid=login.sid,
            subject=login.subject,
            issued_at=login.issued_at,
            now=self._clock.now(),
        )

    def _over_limit(self, session: Session) -> tuple[SessionKey, ...]:
        """Return the oldest sessions of this person that must end to make one more allowed."""
        if self._limits.max_per_user == 0:
            return ()
        theirs = self._matching(BySubject(*_person(session)))
        surplus = len(theirs) + 1 - self._limits.max_per_user
        return tuple(record.session.key for record in theirs[: max(surplus, 0)])

    def _make_room(self, leaving: int) -> None:
        while len(self._records) - leaving >= self._limits.max_sessions:
            if self._sweep(at_most=SWEEP_SLICE) < SWEEP_SLICE:
                break
        if len(self._records) - leaving >= self._limits.max_sessions:
            msg = f"{self._limits.max_sessions} sessions are live, which is sessions.memory.max_sessions"
            raise StoreFull(msg)

    def _insert(self, session: Session) -> None:
        record = _Record(session, self._clock.now())
        self._records[session.key] = record
        self._add_to_index(session)
        self._deadlines.schedule(session.key, record.ends_at())

    def _add_to_index(self, session: Session) -> None:
        for which in _filters(session):
            self._index.setdefault(which, {})[session.key] = None

    def _unindex(self, session: Session) -> None:
        for which in _filters(session):
            keys = self._index[which]
            del keys[session.key]
            if not keys:
                del self._index[which]

    def _end(self, key: SessionKey, cause: EndCause) -> None:
        """Take the record out first: whatever closing its streams brings about finds no session any more."""
        session = self._records.pop(key).session
        self._unindex(session)
        self._deadlines.forget(key)
        self._bury(session, cause)
        self._live.session_ended(key, cause)
        self._observer.session_ended(cause)
        if cause in AUDITED:
            self._observer.audit(_audit_event(session, cause))

    def _bury(self, session: Session, cause: EndCause) -> None:
        now = self._clock.now()
        if self._tombstones.is_full(now):
            self._tombstones.pop_first()
        tombstone = Tombstone(subject_hash(*_person(session)), cause, now, session.origin)
        self._tombstones.put(session.key, tombstone, now + TOMBSTONE_LIFETIME_S)

    def _sweep(self, *, at_most: int) -> int:
        """End up to ``at_most`` sessions whose time has come; returns how many deadlines were looked at."""
        now = self._clock.now()
        for looked_at in range(at_most):
            key = self._deadlines.pop_due(now)
            if key is None:
                return looked_at
            record = self._records[key]
            cause = record.cause_of_end(now)
            if cause is None:  # it was used meanwhile, so its idle end has moved on
                self._deadlines.schedule(key, record.ends_at())
            else:
                self._end(key, cause)
        return at_most

    async def _sweep_for_ever(self) -> None:
        while True:
            is_done = self._sweep(at_most=SWEEP_SLICE) < SWEEP_SLICE
            await asyncio.sleep(self._limits.sweep_interval_s if is_done else 0)


def _sliced(keys: list[SessionKey]) -> Iterable[list[SessionKey]]:
    """Yield the keys in portions after which the loop gets its turn."""
    return (keys[first : first + SWEEP_SLICE] for first in range(0, len(keys), SWEEP_SLICE))


def _is_covered(session: Session, client: EverySessionOf, mark: EndedMark) -> bool:
    is_of_client = session.client_id == client.client_id and session.identity.issuer == client.issuer
    return is_of_client and is_at_or_before(session.issued_at, mark.ended_at)


def _checked_key(cookie_value: Secret, session: Session) -> SessionKey:
    if session.key != session_key(cookie_value):
        raise ValueError("the session's key is not that of its cookie")
    return session.key


def _person(session: Session) -> tuple[str, str]:
    return session.identity.issuer, session.identity.subject


def _audit_event(session: Session, cause: EndCause) -> AuditEvent:
    return AuditEvent(
        event=AUDITED[cause],
        subject=session.identity.subject,
        username=session.identity.username,
        address=session.address,
        user_agent=session.user_agent,
        sessions_affected=1,
        reason=cause.value,
    )
