"""What has ended stays ended, also when the store could not take it or has lost it.

A provider sends a logout once. When the store is away, the logout is answered with 503 and **kept**: this replica obeys
it at once, and the store is told as soon as it takes writes. And since a store replicates after it has answered, what
ended in the last ten minutes is **repeated** when another server has become the primary: a failover brings no
session back for longer than that takes. This replica never serves what it knows to be over, whatever the store says.

==================  ======================  ===========================================================================
structure           cap                     at the cap
==================  ======================  ===========================================================================
kept                ``max_kept``            a further logout is only answered with 503, and said: its sessions live
                                            until their next refresh, which the provider refuses
repeated            ``max_repeated``        the oldest is not repeated
==================  ======================  ===========================================================================

What is kept lives in this process and goes with it.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from proxy.core.login import Login
from proxy.core.session import EndCause, EverySessionOf, Session, session_key
from proxy.errors import SessionEnded, StoreUnavailable
from proxy.sessions.ledger import Ending, Ledger
from proxy.tasks import TaskOwner

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from proxy.core.secret import Secret
    from proxy.core.session import EndedMark, SessionKey, SessionsFilter, SessionSummary
    from proxy.ports import Clock, LiveStreams, LoginStanding, NotCached, Observer, SessionStore

FIRST_WAIT_S = 0.25
LAST_WAIT_S = 1.0
"""Seconds between two tries while the store is away, the first and the longest; each wait doubles."""

REPEAT_AGAIN_S = 3.0
"""Seconds after which all is repeated once more to a new primary. Where the old one lives on beside it for a while (a
failover that somebody asked for), our connections lead to the old one until its replacement is noticed and calls that
are under way have ended: what it was told until then is lost, a repetition included.
"""

TOGETHER = 16
"""Endings that the store is told at the same time."""

KEPT_CAUSES = frozenset(
    {
        EndCause.LOGOUT,
        EndCause.LOGOUT_ALL,
        EndCause.BACKCHANNEL,
        EndCause.FRONTCHANNEL,
        EndCause.ADMIN,
        EndCause.DEVICE,
    }
)
"""Somebody wanted these. The others (expiry, a refused refresh, a limit) come about again by themselves."""


class Recovery:
    """Tells the store what it could not take, and repeats to a new primary what ended of late."""

    def __init__(
        self,
        ledger: Ledger,
        store: SessionStore,
        *,
        observer: Observer,
        clock: Clock,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        """Tell nobody yet.

        Args:
            store: the one that is told; not one that remembers what it is told here.
        """
        self.ledger = ledger
        self._store = store
        self._observer = observer
        self._clock = clock
        self._sleep = sleep
        self._repeats: list[Ending] = []
        self._again: asyncio.Task[None] | None = None
        self._wake = asyncio.Event()
        self._tasks = TaskOwner(lambda fault: observer.error("repeating what has ended broke off", fault=repr(fault)))
        self._is_full_said = False

    def start(self) -> None:
        """Begin to work in the background."""
        _ = self._tasks.start(self._work())

    async def close(self) -> None:
        """Stop; what the store did not take is lost with this process, and that is said."""
        await self._tasks.close()
        if self.ledger.kept:
            self._observer.error(
                "logouts that the store could not take are lost with this process; sign those people "
                "out again at Keycloak",
                logouts=self.ledger.kept,
            )

    def keep(self, ending: Ending) -> None:
        """Keep an ending that the store could not take, and tell the store as soon as it can."""
        if self.ledger.keep(ending):
            self._wake.set()
        elif not self._is_full_said:
            self._is_full_said = True
            self._observer.error(
                "more logouts wait for the store than are kept; further ones are answered with 503 and forgotten, and "
                "their sessions live until the next refresh; bring the store back",
                kept=self.ledger.kept,
            )

    def primary_changed(self) -> None:
        """Hear that another server is the primary, or that it was restarted: repeat what it may have lost."""
        self._repeat()
        if self._again is not None:
            self._again.cancel()
        self._again = self._tasks.start(self._repeat_again())

    async def _repeat_again(self) -> None:
        await self._sleep(REPEAT_AGAIN_S)
        self._repeat()

    def _repeat(self) -> None:
        self._repeats = list(self.ledger.lately(self._clock.now()))
        if self._repeats:
            self._wake.set()

    @property
    def is_idle(self) -> bool:
        """Say whether nothing is left to tell."""
        return not self._repeats and not self.ledger.kept

    async def _work(self) -> None:
        wait_s = FIRST_WAIT_S
        while True:
            await self._wake.wait()
            self._wake.clear()
            while not self.is_idle:
                if await self._tell_some():
                    wait_s = FIRST_WAIT_S
                else:
                    await self._sleep(wait_s)
                    wait_s = min(2 * wait_s, LAST_WAIT_S)
            self._is_full_said = False

    async def _tell_some(self) -> bool:
        """Tell the store of the next ones, kept ones first; False when it did not take all of them."""
        repeats = self._repeats
        some = (self.ledger.waiting() or tuple(repeats))[:TOGETHER]
        results = await asyncio.gather(*(self._told(ending) for ending in some))
        # Of a primary that came meanwhile nobody knows whether it was the one that was told.
        if self._repeats is repeats:
            self._repeats = [ending for ending in repeats if ending not in some or not results[some.index(ending)]]
        return all(results)

    async def _told(self, ending: Ending) -> bool:
        try:
            await self._apply(ending)
        except StoreUnavailable:
            return False
        except Exception as defect:  # noqa: BLE001 - one that cannot be told must not keep the others waiting
            self._observer.error("an ending cannot be told to the store", fault=repr(defect))
        self.ledger.took(ending)
        return True

    async def _apply(self, ending: Ending) -> None:
        if isinstance(ending.what, str):
            await self._store.delete(ending.what, ending.cause)
            return
        if ending.mark is not None:
            await self._store.mark_ended(ending.mark)
        if not isinstance(ending.what, EverySessionOf):
            for summary in await self._store.find(ending.what):
                # Whoever signed in since then is not meant.
                if ending.means(summary.created_at):
                    await self._store.delete(summary.key, ending.cause)


class RecoveringStore:
    """A store that forgets no logout: ``ports.SessionStore`` around another.

    What the store cannot take is kept, and the fault raised all the same: whoever asked is told 503.
    """

    def __init__(self, store: SessionStore, recovery: Recovery, *, clock: Clock, live: LiveStreams) -> None:
        """Stand before ``store``."""
        self._store = store
        self._recovery = recovery
        self._ledger = recovery.ledger
        self._clock = clock
        self._live = live
        # What is merely passed on.
        self.touch = store.touch
        self.last_seen = store.last_seen
        self.find = store.find
        self.count = store.count
        self.tombstone = store.tombstone
        self.heir = store.heir
        self.readiness = store.readiness
        self.jti_is_spent = store.jti_is_spent
        self.spend_jti = store.spend_jti

    def cached(self, cookie_value: Secret) -> Session | NotCached | None:
        """Return what is cached, or None when a logout that is kept names it."""
        found = self._store.cached(cookie_value)
        # What the store took was told to the cache; only what it has yet to take can stand there still.
        if self._ledger.kept and isinstance(found, Session) and self._ledger.is_kept(found):
            return None
        return found

    async def load(self, cookie_value: Secret) -> Session | None:
        """Return the session of this cookie, or None also when a failover brought back what ended of late."""
        session = await self._store.load(cookie_value)
        return None if session is None or self._ledger.is_over(session) else session

    async def create(self, cookie_value: Secret, session: Session) -> tuple[SessionKey, ...]:
        """Store a new session, unless this replica knows that its login has ended."""
        self._refuse_ended(session)
        ended = await self._store.create(cookie_value, session)
        self._took(*ended, cause=EndCause.OVER_LIMIT)
        return ended

    async def replace(self, cookie_value: Secret, session: Session) -> Session | None:
        """Put the session in its place; None also when this replica knows that it has ended."""
        return None if self._ledger.is_over(session) else await self._store.replace(cookie_value, session)

    async def supersede(self, old: Secret, cookie_value: Secret, session: Session) -> tuple[SessionKey, ...]:
        """Let a session go on as another one, unless this replica knows that the login has ended."""
        self._refuse_ended(session)
        ended = await self._store.supersede(old, cookie_value, session)
        self._took(session_key(old), cause=EndCause.REPLACED)
        self._took(*ended, cause=EndCause.OVER_LIMIT)
        return ended

    async def delete(self, key: SessionKey, cause: EndCause) -> bool:
        """End one session; kept when the store cannot."""
        try:
            was_there = await self._store.delete(key, cause)
        except StoreUnavailable:
            self._keep(Ending(what=key, cause=cause, at=self._clock.now()))
            raise
        if was_there:
            self._took(key, cause=cause)
        return was_there

    async def delete_matching(self, which: SessionsFilter, cause: EndCause) -> tuple[SessionSummary, ...]:
        """End every session that matches; kept when the store cannot."""
        at = self._clock.now()
        try:
            ended = await self._store.delete_matching(which, cause)
        except StoreUnavailable:
            self._keep(Ending(what=which, cause=cause, at=at))
            raise
        self._took(*(summary.key for summary in ended), cause=cause)
        return ended

    async def mark_ended(self, mark: EndedMark) -> None:
        """Remember that something has ended; kept when the store cannot, and then its sessions are ended too, because
        whoever was to end them next will not be asked to.
        """
        # A mark says nothing of its cause; it is the provider who makes them.
        ending = Ending(what=mark.what, cause=EndCause.BACKCHANNEL, at=self._clock.now(), mark=mark)
        try:
            await self._store.mark_ended(mark)
        except StoreUnavailable:
            self._keep(ending)
            raise
        self._ledger.took(ending)

    async def has_ended(self, *, issuer: str, client_id: str, sid: str | None, subject: str, issued_at: float) -> bool:
        """Say whether a login is over, as far as this replica knows or the store does."""
        login = Login(issuer, client_id, sid, subject, issued_at)
        return self._ledger.has_ended(login) or await self._store.has_ended(
            issuer=issuer, client_id=client_id, sid=sid, subject=subject, issued_at=issued_at
        )

    async def standing(self, login: Login) -> LoginStanding | None:
        """Look a login up; None also when this replica alone knows that it is over."""
        if self._ledger.has_ended(login):
            return None
        standing = await self._store.standing(login)
        return None if standing is None else _StandingHere(standing, login, self._ledger)

    def _refuse_ended(self, session: Session) -> None:
        if self._ledger.is_over(session):
            raise SessionEnded("this login was ended before its session was made")

    def _keep(self, ending: Ending) -> None:
        if ending.cause not in KEPT_CAUSES:
            return
        self._recovery.keep(ending)
        # Its streams are looked at again, and now it is over.
        self._live.all_in_doubt()

    def _took(self, *keys: SessionKey, cause: EndCause) -> None:
        at = self._clock.now()
        for key in keys:
            self._ledger.took(Ending(what=key, cause=cause, at=at))


class _StandingHere:
    """The standing of a login in the store, and whether a logout that the store has yet to take names it."""

    __slots__ = ("_inner", "_ledger", "_login")

    def __init__(self, inner: LoginStanding, login: Login, ledger: Ledger) -> None:
        self._inner = inner
        self._login = login
        self._ledger = ledger

    def holds(self) -> bool:
        # What the store took was told to who holds a standing; only what it has yet to take can name this login.
        if self._ledger.kept and self._ledger.has_ended(self._login):
            return False
        return self._inner.holds()
