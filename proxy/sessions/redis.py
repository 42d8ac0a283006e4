"""Sessions in Redis, shared by all replicas.

A request whose session is cached costs no round trip; a miss costs one. Redis tells what changed (``tracking``), so the
cache is believed only while Redis can tell. Nothing spans slots of a cluster, so nothing is a transaction; what holds
is the order, and this is it:

==========  ===========================================================================================================
create      read marks; index entries; record; read marks again, and withdraw when one names this login
replace     read record and marks; entries of a new sid; record, by a script that compares the version; marks again
supersede   who the heir is; then delete; then create
delete      tombstone; record (its ``DEL`` says who ended it); then touch and entries
logout      the mark (``mark_ended``); then the entries are read; then the records go
==========  ===========================================================================================================

Why no logout is lost that arrives while a session is made (and so for a new ``sid`` in ``replace``): say the logout
writes its mark at M and reads the entries at I, M before I; the login writes entries at E, the record at R, and reads
the marks again at C, E before R before C. If C sees no mark, then C was before M, so E and R were before I: the logout
finds entry and record, and ends it. If C sees the mark, the login withdraws. One of the two always sees the other.

Replication is asynchronous: what a primary took with it when it died is repeated (``recovery``).

What may be old is never decided upon: a cached session that looks idle, or a client whose watermark is not known, is
asked for. A record that cannot be read is no session, and said; it is deleted only by a logout that names it.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Final, Protocol

from proxy.core.login import Login
from proxy.core.session import BySubject, EndCause, EverySessionOf, session_key
from proxy.errors import SessionEnded, StoreUnavailable
from proxy.ports import NotCached
from proxy.sessions.codec import SessionCodec, Unreadable, summary_of
from proxy.sessions.propagation import Propagation
from proxy.sessions.redis_commands import Connection
from proxy.sessions.redis_endings import Endings, tombstone_of
from proxy.sessions.redis_reading import Reading
from proxy.sessions.redis_records import UnreadableRecords
from proxy.sessions.redis_sweep import Sweep
from proxy.sessions.redis_workings import make_workings
from proxy.sessions.standings import Standings

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from proxy.core.secret import Secret
    from proxy.core.session import EndedMark, Session, SessionKey, SessionsFilter, SessionSummary, Tombstone
    from proxy.ports import Readiness
    from proxy.sessions.codec import RecordSummary
    from proxy.sessions.redis_marks import Watermark
    from proxy.sessions.redis_records import StoredSession
    from proxy.sessions.redis_workings import RedisStoreParts
    from proxy.sessions.sealing import Sealer
    from proxy.sessions.standings import LoginStanding

DECODED_FACTOR: Final = 3
"""Bytes of memory for each byte of a record, about: text, the objects around it, the identity header made of it."""

NOT_CACHED: Final = NotCached.NOT_CACHED


class StoreConnection(Connection, Protocol):
    """What this store uses of ``RedisConnection``."""

    def readiness(self) -> Readiness:
        """Say whether Redis is there."""


class ChangeTracking(Protocol):
    """What this store uses of ``Tracking``."""

    def is_trusted(self) -> bool:
        """Say at once whether every change would have been told."""

    async def announce(self, names: Iterable[bytes]) -> None:
        """Tell the other replicas that these keys changed, where Redis does not; never raises."""


class RedisSessionStore:
    """``ports.SessionStore`` of many replicas, and the listener of its changes (``tracking.ChangeListener``)."""

    def __init__(
        self,
        connection: StoreConnection,
        sealer: Sealer,
        *,
        parts: RedisStoreParts,
        tracking: Callable[[RedisSessionStore], ChangeTracking],
    ) -> None:
        """Ask nothing yet.

        Args:
            tracking: called with this store, which will hear of changes; returns who knows whether they are told.
        """
        self._connection = connection
        self._clock = parts.clock
        self._live = parts.live
        self._cache = parts.cache
        self._max_per_user = parts.max_per_user
        self._codec = SessionCodec(sealer)
        self._unreadable = UnreadableRecords(parts.observer, parts.clock)
        self._work = work = make_workings(connection, sealer, parts=parts, is_trusted=self._is_trusted)
        # Two that each request needs, so they are found without a detour.
        self._watermarks = work.watermarks
        self._known = work.touches.known
        self._reading = Reading(work)
        self._standings = Standings(self._is_trusted)
        self._endings = Endings(work, self._announce)
        self._sweep = Sweep(work.commands, work.indexes, work.records, clock=parts.clock, observer=parts.observer)
        self._propagation = Propagation(self._buried, observer=parts.observer, clock=parts.clock)
        self._tracking = tracking(self)

    # --- life of the store -------------------------------------------------------------------------------------------

    def start(self) -> None:
        """Begin to end what is over and to write last activity, in the background."""
        self._work.touches.start()
        self._sweep.start(self._endings.end)

    async def close(self) -> None:
        """Stop the background work; the sessions are left as they are."""
        await self._propagation.close()
        await self._sweep.close()
        await self._work.touches.close()

    def adopt(self, *, max_per_user: int) -> None:
        """Heed this cap at the next login; what is above it already stays until then."""
        self._max_per_user = max_per_user

    def active_sessions(self) -> int:
        """Return the number of live sessions of all replicas, as it was some seconds ago, for ``sessions_active``."""
        return self._sweep.active

    def readiness(self) -> Readiness:
        """Say whether Redis is there."""
        return self._connection.readiness()

    # --- tracking.ChangeListener -------------------------------------------------------------------------------------

    def changed(self, name: bytes) -> None:
        """Hear that the key ``name`` changed, wherever that was done; whose streams are open here is asked for."""
        key = self._work.names.key_of_record(name)
        if key is not None:
            if self._cache.get(key) is not None:
                self._propagation.let_go(key)
            self._cache.forget(key)
            self._live.in_doubt(key)
            return
        self._standings.changed(name)
        if name.startswith(self._work.names.watermark_prefix):
            self._watermarks.forget()
            self._live.all_in_doubt()
        elif name.startswith(self._work.names.ended_prefix):
            self._live.bearers_in_doubt()

    async def _buried(self, key: SessionKey) -> Tombstone | None:
        (sealed,) = await self._work.commands.together("propagation", [("GET", self._work.names.tombstone(key))])
        return self._work.records.tombstone_from(key, sealed, self._clock.now())

    def everything_changed(self) -> None:
        """Hear that anything may have changed."""
        self._cache.forget_all()
        self._watermarks.forget()
        self._standings.everything_changed()
        self._live.all_in_doubt()

    # --- ports.SessionStore: one session -----------------------------------------------------------------------------

    def cached(self, cookie_value: Secret) -> Session | NotCached | None:
        """Return the session if all that is known says that it is live; else Redis must be asked."""
        key = session_key(cookie_value)
        session = self._cache.get(key)
        if session is None or not self._tracking.is_trusted():
            return NOT_CACHED
        known, now = self._known(key), self._clock.now()
        if known is None or known.judged_in != self._watermarks.epoch:
            return NOT_CACHED
        if now >= session.expires_at or now >= known.seen_at + session.idle_timeout_s:
            return NOT_CACHED
        return session

    async def load(self, cookie_value: Secret) -> Session | None:
        """Return the live session of this cookie, or None; one round trip.

        Raises:
            StoreUnavailable
        """
        key = session_key(cookie_value)
        # All before the question: a change that is told from now on overtakes the answer.
        ticket, epoch, is_trusted = self._cache.begin(key), self._watermarks.epoch, self._tracking.is_trusted()
        stored = await self._reading.one(key)
        summary = self._readable(stored)
        if summary is None:
            self._cache.forget(key)
            return None
        session = self._codec.complete(summary, cookie_value, stored.record)
        if isinstance(session, Unreadable):
            self._unreadable.found(session)
            return None
        if not await self._endings.is_live(summary, stored.last_seen_at):
            return None
        self._work.touches.learned(key, stored.last_seen_at).judged_in = epoch
        if is_trusted:
            self._cache.keep(ticket, session, len(stored.record) * DECODED_FACTOR)
        return session

    def touch(self, session: Session) -> None:
        """Count activity now; written in the background, coalesced."""
        self._work.touches.touched(session)

    async def last_seen(self, session: Session) -> float:
        """Return the Unix time of the last activity; that of its making when the session is gone.

        Raises:
            StoreUnavailable
        """
        (stored,) = await self._work.records.read("last_seen", [session.key])
        return max(stored.last_seen_at, session.created_at)

    async def create(self, cookie_value: Secret, session: Session) -> tuple[SessionKey, ...]:
        """Store a new session; see ``ports.SessionStore.create`` and the head of this file.

        Raises:
            SessionEnded: its sid, or its subject at or after ``issued_at``, has ended already.
            StoreUnavailable: it may lie there; then nobody has its cookie, and it idles out.
            ValueError: the key is not that of the cookie, or it is taken: a cookie value is used once (law 8).
        """
        record, summary, login = self._codec.encode(cookie_value, session), summary_of(session), Login.of(session)
        exists = ("EXISTS", self._work.names.record(session.key))
        is_taken, *marks = await self._work.commands.together("create", [exists, *self._work.marks.asking(login)])
        if self._work.marks.cover(login, marks):
            raise SessionEnded("this login was ended before its session was made")
        if is_taken or not await self._added(session, record):
            raise ValueError("a cookie value is used for one session only")
        if await self._work.marks.have_ended(login):
            await self._endings.remove(summary)
            raise SessionEnded("this login was ended while its session was made")
        return await self._end_surplus(summary)

    async def _added(self, session: Session, record: bytes) -> bool:
        """Write the entries, then the record; False when there is one of that key already."""
        now = self._clock.now()
        await self._work.indexes.enter(summary_of(session), now=now)
        return await self._work.records.add(session, record, now=now)

    async def replace(self, cookie_value: Secret, session: Session) -> Session | None:
        """Put ``session`` in the place of the same key and version; see ``ports.SessionStore.replace``.

        Raises:
            StoreUnavailable
            ValueError: the key is not that of the cookie, or the session became another person's.
        """
        renewed = replace(session, version=session.version + 1)
        record, summary = self._codec.encode(cookie_value, renewed), summary_of(renewed)
        replaced = await self._replaceable(session)
        if replaced is None:
            return None
        now, found_by, was_found_by = self._clock.now(), set(summary.filters()), set(replaced.filters())
        await self._work.indexes.enter_under(found_by - was_found_by, summary, now=now)
        if not await self._work.records.replace(session.key, record, version=session.version):
            return None
        self._cache.forget(session.key)
        await self._announce([self._work.names.record(session.key)])
        if await self._work.marks.have_ended(Login.of(renewed)):
            await self._endings.end([summary], EndCause.BACKCHANNEL)
            return None
        self._live.session_changed(renewed, now)
        await self._work.indexes.leave(was_found_by - found_by, session.key)
        return renewed

    async def _replaceable(self, session: Session) -> RecordSummary | None:
        """Return what ``session`` would replace; None when it must not.

        Raises:
            StoreUnavailable
            ValueError: it is another person's.
        """
        login, records = Login.of(session), self._work.records
        asking = [*records.asking(session.key), *self._work.marks.asking(login)]
        record, touched, *marks = await self._work.commands.together("replace", asking)
        stored = records.read_from(session.key, (record, touched))
        summary = self._readable(stored)
        if summary is None or not await self._endings.is_live(summary, stored.last_seen_at):
            return None
        if summary.version != session.version or self._work.marks.cover(login, marks):
            return None
        if (summary.issuer, summary.subject) != (session.identity.issuer, session.identity.subject):
            raise ValueError("a session never changes hands")
        return summary

    async def supersede(self, old: Secret, cookie_value: Secret, session: Session) -> tuple[SessionKey, ...]:
        """Let a session go on as another one; see ``ports.SessionStore.supersede`` and the head of this file.

        Raises:
            SessionEnded, StoreUnavailable
        """
        old_key = session_key(old)
        await self._work.records.name_heir(old, cookie_value)
        self._live.moved(old_key, session, cookie_value=cookie_value, now=self._clock.now())
        try:
            await self._make_way(old_key)
            return await self.create(cookie_value, session)
        except (SessionEnded, StoreUnavailable):
            self._live.session_ended(session.key, EndCause.REPLACED)
            raise

    async def _make_way(self, key: SessionKey) -> None:
        if not await self.delete(key, EndCause.REPLACED):
            raise SessionEnded("the session ended before it could go on as another one")

    async def heir(self, cookie_value: Secret) -> Secret | None:
        """Return the cookie as which this one's session goes on, or None.

        Raises:
            StoreUnavailable
        """
        return await self._work.records.heir(cookie_value)

    async def delete(self, key: SessionKey, cause: EndCause) -> bool:
        """End one session; True when it was there. Leaves a tombstone; closes its streams.

        Raises:
            StoreUnavailable
        """
        (stored,) = await self._work.records.read("delete", [key])
        summary = self._readable(stored)
        if summary is None or not await self._endings.is_live(summary, stored.last_seen_at):
            return False
        return bool(await self._endings.end([summary], cause))

    async def tombstone(self, cookie_value: Secret) -> Tombstone | None:
        """Return what is left of a session that ended in the last 24 h.

        Raises:
            StoreUnavailable
        """
        key = session_key(cookie_value)
        asking = [*self._work.records.asking(key), ("GET", self._work.names.tombstone(key))]
        *answers, sealed = await self._work.commands.together("tombstone", asking)
        stored, now = self._work.records.read_from(key, answers), self._clock.now()
        if stored.readable is None:
            return self._work.records.tombstone_from(key, sealed, now)
        # What nobody looked at since its end has its tombstone made here.
        cause = self._endings.cause_of_end(stored.readable, stored.last_seen_at)
        if cause is None:
            return None
        await self._endings.end([stored.readable], cause)
        return tombstone_of(stored.readable, cause, now)

    # --- ports.SessionStore: many ------------------------------------------------------------------------------------

    async def delete_matching(self, which: SessionsFilter, cause: EndCause) -> tuple[SessionSummary, ...]:
        """End every session that matches, returning what ended.

        Raises:
            StoreUnavailable: some may have ended.
        """
        ended: list[SessionSummary] = []
        async for page in self._reading.pages(which):
            matching = {stored.key: stored for stored in page if await self._is_still_to_end(stored)}
            summaries = [stored.readable for stored in matching.values() if stored.readable is not None]
            gone = await self._endings.end(summaries, cause)
            ended += [summary.listed(matching[summary.key].last_seen_at) for summary in gone]
        return tuple(ended)

    async def _is_still_to_end(self, stored: StoredSession) -> bool:
        """Say whether this one is live. What cannot be read and is named by a logout goes, whatever it was."""
        summary = self._readable(stored)
        if summary is None:
            await self._endings.remove_unread(stored.key)
        return summary is not None and await self._endings.is_live(summary, stored.last_seen_at)

    async def find(self, which: SessionsFilter | None = None) -> tuple[SessionSummary, ...]:
        """List live sessions, the oldest first; all of them when ``which`` is None, page by page.

        Raises:
            StoreUnavailable
        """
        found: dict[SessionKey, SessionSummary] = {}
        watermarks: dict[EverySessionOf, Watermark] = {}
        async for page in self._reading.pages(which):
            for stored in page:
                summary = self._readable(stored)
                if summary is not None and await self._would_be_served(summary, stored.last_seen_at, watermarks):
                    found[stored.key] = summary.listed(stored.last_seen_at)
        return tuple(sorted(found.values(), key=lambda summary: summary.created_at))

    async def count(self) -> int:
        """Return the number of live sessions, as the roster has them.

        Raises:
            StoreUnavailable
        """
        return await self._work.indexes.count(self._clock.now())

    # --- ports.SessionStore: what has ended --------------------------------------------------------------------------

    async def mark_ended(self, mark: EndedMark) -> None:
        """Remember that something has ended. Of a client's every session the records go when they are looked at.

        Raises:
            StoreUnavailable
        """
        await self._work.marks.put(mark)
        names = self._work.names.marks(mark.what)
        await self._announce(names)
        # What it means here need not wait until Redis tells.
        for name in names:
            self.changed(name.encode())

    async def has_ended(self, *, issuer: str, client_id: str, sid: str | None, subject: str, issued_at: float) -> bool:
        """Say whether a login with these marks is over.

        Raises:
            StoreUnavailable
        """
        return await self._work.marks.have_ended(Login(issuer, client_id, sid, subject, issued_at))

    async def standing(self, login: Login) -> LoginStanding | None:
        """Look a login up, for who shows its token again and again; None when it is over.

        Raises:
            StoreUnavailable
        """
        # Before the question: a mark that is told from now on overtakes the answer.
        standing = self._standings.begin(self._work.marks.names(login))
        return None if await self._work.marks.have_ended(login) else standing

    async def jti_is_spent(self, jti: str) -> bool:
        """Say whether this token id was remembered.

        Raises:
            StoreUnavailable
        """
        return await self._work.marks.is_spent(jti)

    async def spend_jti(self, jti: str, until: float) -> None:
        """Remember a token id until the Unix time ``until``; of two instants the later counts.

        Raises:
            StoreUnavailable
        """
        await self._work.marks.spend(jti, until)

    # --- inside ------------------------------------------------------------------------------------------------------

    def _is_trusted(self) -> bool:
        return self._tracking.is_trusted()

    async def _announce(self, names: Iterable[str]) -> None:
        await self._tracking.announce([name.encode() for name in names])

    def _readable(self, stored: StoredSession) -> RecordSummary | None:
        """Return what was read, or None; say it when there is a record that cannot be read."""
        if isinstance(stored.summary, Unreadable):
            self._unreadable.found(stored.summary)
        return stored.readable

    async def _would_be_served(
        self, summary: RecordSummary, last_seen_at: float, watermarks: dict[EverySessionOf, Watermark]
    ) -> bool:
        """Say whether a session belongs into a list; ``watermarks`` are those that were asked for it before."""
        if self._endings.cause_of_end(summary, last_seen_at) is not None:
            return False
        client = EverySessionOf(summary.issuer, summary.client_id)
        if client not in watermarks:
            watermarks[client] = await self._endings.watermark(client)
        return not watermarks[client].covers(summary.issued_at, self._clock.now())

    async def _end_surplus(self, newest: RecordSummary) -> tuple[SessionKey, ...]:
        """End the oldest sessions of a person above ``max_per_user``, after the newest is stored: were it before, a
        login that fails would cost somebody a session.

        Only older ones: of two logins at the same time each finds the other, and both would be signed out. Where clocks
        disagree there may be one too many until the next login.
        """
        if self._max_per_user == 0:
            return ()
        try:
            theirs = await self.find(BySubject(newest.issuer, newest.subject))
            older = [one.key for one in theirs if (one.created_at, one.key) < (newest.created_at, newest.key)]
            over = await self._work.records.read("delete", older[: max(len(theirs) - self._max_per_user, 0)])
            summaries = [stored.readable for stored in over if stored.readable is not None]
            return tuple(one.key for one in await self._endings.end(summaries, EndCause.OVER_LIMIT))
        except StoreUnavailable:
            return ()  # who signed in is signed in; the next login sees to it
