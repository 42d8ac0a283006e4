"""Look after sessions that have open streams: no request may come for hours in which they could be refreshed or end.

==========================  =========================================================================================
what                        what is done
==========================  =========================================================================================
absolute end                streams close within :data:`TICK_S`
idle end                    the same; but a stream that is open longer than :data:`LONG_STREAM_S` on a route that is not
                            passive is activity, so only passive streams ever meet it
access token soon over      refreshed, as for a request
goes on as another session  (step-up) its streams are the other's; where that was done elsewhere, the store knows
record changed elsewhere    (``in_doubt``) the store is asked at once, and each stream is judged by what it says
store does not tell of      the store is asked each :data:`TICK_S`
changes
store away                  streams close after :data:`STORE_PATIENCE_S` with "try again later": a logout elsewhere
                            could not reach us, and what ends is over everywhere within a second, a lost store included
provider away and token     streams stay for :data:`PROVIDER_PATIENCE_S`, then close with "try again later": logouts
over                        still reach us, yet nobody can say that the session still has its rights. Its absolute end
                            is known and kept all the same
stream of a bearer          (no session) see ``bearer_streams``
==========================  =========================================================================================

Times of sessions are wall clock; how long a stream is open is monotonic.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from proxy.core.routing import Activity
from proxy.core.session import EndCause
from proxy.errors import Draining, ProviderFault, StoreFault
from proxy.ports import NotCached
from proxy.sessions.bearer_streams import BearerStreams, BearerWatch
from proxy.sessions.expiring import Deadlines
from proxy.sessions.store_patience import STORE_PATIENCE_S, StorePatience
from proxy.tasks import TaskOwner

if TYPE_CHECKING:
    from collections.abc import Iterable

    from proxy.core.login import Login
    from proxy.core.secret import Secret
    from proxy.core.session import Session, SessionKey
    from proxy.errors import SidegateError
    from proxy.ports import Clock, LoginStanding, Observer, Refresher, SessionStore
    from proxy.sessions.live import LiveStreamRegistry

TICK_S = 1.0
"""Seconds between two looks for what is due: an end is law everywhere within a second."""

LONG_STREAM_S = 5.0
"""Seconds after which an open answer or WebSocket keeps its session alive: most requests are over long before."""

MAX_WAIT_S = 30.0
"""Seconds at most between two looks at a session."""

MAX_ASKING = 32
"""Sessions about which the store is asked at the same time."""

LOOK_SLICE = 200
"""Sessions looked at in one turn of the loop: about 2 ms."""

PROVIDER_PATIENCE_S = 60.0
"""Seconds for which streams outlive an access token that nobody can refresh: a restart of Keycloak is over by then.
Requests are not so lucky: they get 503 at once.
"""


class _Watch:
    """What is known of one session with streams.

    Attributes:
        cookie_value: None for what came without a cookie: then only the absolute end is kept.
        idle_ends_at: None while it is unknown, or put off by a stream that counts as activity.
        unconfirmed_since: monotonic instant since which the store or the provider is away; None while all is well.
    """

    __slots__ = (
        "asks_again",
        "cookie_value",
        "idle_ends_at",
        "is_asked",
        "is_refreshed",
        "session",
        "unconfirmed_since",
    )

    def __init__(self, session: Session, cookie_value: Secret | None) -> None:
        self.session = session
        self.cookie_value = cookie_value
        self.idle_ends_at: float | None = None
        self.unconfirmed_since: float | None = None
        self.is_asked = self.asks_again = self.is_refreshed = False


class StreamKeeper:
    """See the module. Call :meth:`start` in the loop, :meth:`close` at the end."""

    def __init__(
        self,
        live: LiveStreamRegistry,
        store: SessionStore,
        refresher: Refresher,
        *,
        clock: Clock,
        observer: Observer,
    ) -> None:
        """Begin with no session."""
        self._live = live
        self._store = store
        self._refresher = refresher
        self._clock = clock
        self._observer = observer
        self._tasks = TaskOwner(lambda fault: observer.error("looking after open streams broke", fault=repr(fault)))
        self._asking = asyncio.Semaphore(MAX_ASKING)
        self._watched: dict[SessionKey, _Watch | BearerWatch] = {}
        self._due: Deadlines[SessionKey] = Deadlines()
        self._outage_was_said = False
        self._patience = StorePatience(clock)
        self._bearers = BearerStreams(
            live, self._standing, look_again_at=self._look_again_at, give_up=self._give_up, clock=clock
        )

    def __len__(self) -> int:
        """Return how many sessions are looked after."""
        return len(self._watched)

    def start(self) -> None:
        """Begin to look in the background."""
        _ = self._tasks.start(self._look_for_ever())

    async def close(self) -> None:
        """Stop; the streams are left as they are."""
        await self._tasks.close()

    async def _look_for_ever(self) -> None:
        while True:
            tick_at = self._clock.monotonic() + TICK_S
            while (left_s := tick_at - self._clock.monotonic()) > 0 and await self._is_doubted_within(left_s):
                await self.look_at_doubts()
            await self.tick()

    async def _is_doubted_within(self, seconds: float) -> bool:
        try:
            async with asyncio.timeout(seconds):
                return await self._live.has_doubts.wait()
        except TimeoutError:
            return False

    async def tick(self) -> None:
        """Take notice of sessions that came and went, and look at those whose time has come."""
        keys = self._live.session_keys()
        for key in self._watched.keys() - keys:
            self._forget(key)
        for key in keys - self._watched.keys():
            self._notice(key)
        await self._look_at(iter(lambda: self._due.pop_due(self._clock.now()), None))

    async def look_at_doubts(self) -> None:
        """Look at the sessions that are in doubt, now."""
        await self._look_at(self._live.take_doubts())

    async def _look_at(self, keys: Iterable[SessionKey]) -> None:
        for number, key in enumerate(keys, start=1):
            watch = self._watched.get(key) or self._notice(key)
            if watch is not None:
                self._look_safely(key, watch)
            if number % LOOK_SLICE == 0:
                await asyncio.sleep(0)

    # --- who is looked after -----------------------------------------------------------------------------------------

    def _notice(self, key: SessionKey) -> _Watch | BearerWatch | None:
        """Look after a session from now on; None when its streams are over already."""
        watch = self._watch_of(key)
        if watch is None:
            return None
        self._watched[key] = watch
        if isinstance(watch, BearerWatch):
            self._due.schedule(key, self._clock.now())
        else:
            # Before it is long there is nothing to do for it; but the store may not tell of changes.
            session = watch.session
            self._due.schedule(key, min(session.expires_at, self._clock.now() + min(TICK_S, _long_s(session))))
        return watch

    def _watch_of(self, key: SessionKey) -> _Watch | BearerWatch | None:
        heir = self._live.heir(key)
        if heir is not None:
            return _Watch(heir.session, heir.cookie_value)
        for stream in self._live.streams_of(key):
            allow = stream.admitted.allow
            if allow.session is not None:
                return _Watch(allow.session, stream.admitted.cookie_value)
            if allow.bearer is not None:
                return BearerWatch(allow.bearer)
        return None

    def _forget(self, key: SessionKey) -> None:
        self._watched.pop(key, None)
        self._due.forget(key)

    # --- a look ------------------------------------------------------------------------------------------------------

    def _look_safely(self, key: SessionKey, watch: _Watch | BearerWatch) -> None:
        # Whatever goes wrong with this look, there is another: nothing may fall out of sight.
        self._due.schedule(key, self._clock.now() + TICK_S)
        try:
            if isinstance(watch, BearerWatch):
                self._bearers.look(key, watch, tasks=self._tasks)
            else:
                self._look(key, watch)
        except Exception as defect:  # noqa: BLE001 - one session's defect must not leave the others alone
            self._observer.error("a session with open streams could not be looked at", fault=repr(defect))

    def _look(self, key: SessionKey, watch: _Watch) -> None:
        """Look at one session: at once where the store knows it and its token is fresh, else in the background."""
        if self._clock.now() >= watch.session.expires_at:
            self._end(key, watch)
        elif watch.cookie_value is None:
            self._schedule(key, watch)
        elif watch.is_asked:
            watch.asks_again = True
        else:
            self._look_by_cookie(key, watch, watch.cookie_value)

    def _look_by_cookie(self, key: SessionKey, watch: _Watch, cookie_value: Secret) -> None:
        found = self._store.cached(cookie_value)
        if found is None:
            self._end(key, watch)
        elif isinstance(found, NotCached) or self._must_ask_for_idle_end(key, watch):
            watch.is_asked = True
            _ = self._tasks.start(self._ask(key, watch, cookie_value))
        else:
            self._found(key, watch, found)

    async def _ask(self, key: SessionKey, watch: _Watch, cookie_value: Secret) -> None:
        """Ask the store what the session is."""
        try:
            async with self._asking:
                found = await self._patience.asked(lambda: self._store.load(cookie_value))
                if found is None and await self._has_moved(key, cookie_value):
                    return
                if found is not None and self._must_ask_for_idle_end(key, watch):
                    watch.idle_ends_at = await self._store.last_seen(found) + found.idle_timeout_s
        except StoreFault as fault:
            self._unconfirmed(key, watch, fault)
        else:
            if found is None:
                self._end(key, watch)
            else:
                self._found(key, watch, found)
        finally:
            watch.is_asked = False
        if watch.asks_again and self._watched.get(key) is watch:
            watch.asks_again = False
            self._look_safely(key, watch)

    async def _standing(self, login: Login) -> LoginStanding | None:
        """Return what the store says of a login, if it says it soon.

        Raises:
            StoreFault
        """
        async with self._asking:
            return await self._patience.asked(lambda: self._store.standing(login))

    async def _has_moved(self, key: SessionKey, cookie_value: Secret) -> bool:
        """Say whether the session goes on as another one, by another replica's work; then its streams do too.

        The heir is named before its record is there, so that nobody closes what is about to move.

        Raises:
            StoreFault
        """
        try:
            async with asyncio.timeout(STORE_PATIENCE_S):
                heir = await self._store.heir(cookie_value)
                if heir is None:
                    return False
                while (session := await self._store.load(heir)) is None:  # noqa: ASYNC110 - another process has no event
                    await asyncio.sleep(STORE_PATIENCE_S / 10)
        except TimeoutError:
            return False
        self._live.moved(key, session, cookie_value=heir, now=self._clock.now())
        # Of its end while it was on its way nobody could be told: until now it had no streams here.
        self._live.in_doubt(session.key)
        self._forget(key)
        return True

    def _found(self, key: SessionKey, watch: _Watch, session: Session) -> None:
        """Judge the streams by what the session is now, and keep it alive by those that are left."""
        watch.session = session
        self._live.judge(session, self._clock.now())
        if self._counts_as_activity(key):
            self._store.touch(session)
            watch.idle_ends_at = None
        if self._refresher.ready(session):
            self._confirmed(watch)
        elif self._is_long(key, session) and not watch.is_refreshed and watch.cookie_value is not None:
            watch.is_refreshed = True
            _ = self._tasks.start(self._refresh(key, watch, watch.cookie_value))
        self._schedule(key, watch)

    async def _refresh(self, key: SessionKey, watch: _Watch, cookie_value: Secret) -> None:
        """Refresh the session for its streams, as a request would."""
        try:
            fresh = await self._refresher.fresh(cookie_value, watch.session)
        except Draining:
            return
        except (ProviderFault, StoreFault) as fault:
            self._unconfirmed(key, watch, fault)
            return
        finally:
            watch.is_refreshed = False
        if fresh is None:
            self._end(key, watch)
            return
        watch.session = fresh
        self._live.judge(fresh, self._clock.now())
        self._confirmed(watch)
        self._schedule(key, watch)

    # --- what comes of it --------------------------------------------------------------------------------------------

    def _confirmed(self, watch: _Watch) -> None:
        watch.unconfirmed_since = None
        self._outage_was_said = False

    def _unconfirmed(self, key: SessionKey, watch: _Watch, fault: SidegateError) -> None:
        """Nobody can say what the session may: wait, but not for ever."""
        now = self._clock.monotonic()
        if watch.unconfirmed_since is None:
            watch.unconfirmed_since = now
        if not isinstance(fault, StoreFault) and now - watch.unconfirmed_since < PROVIDER_PATIENCE_S:
            self._due.schedule(key, min(watch.session.expires_at, self._clock.now() + TICK_S))
            return
        self._give_up(key, fault)

    def _give_up(self, key: SessionKey, fault: SidegateError) -> None:
        """Close streams of which nobody could say in time whether they may go on."""
        self._forget(key)
        closed = self._live.unconfirmed(key, fault)
        if closed and not self._outage_was_said:
            self._outage_was_said = True
            self._observer.warning(
                "open streams close, because nobody could say in time what their sessions may; more may follow",
                reason=fault.reason,
                fault=str(fault),
            )

    def _end(self, key: SessionKey, watch: _Watch) -> None:
        """The session is over; the store has said why where it matters, here only the time is known."""
        self._forget(key)
        is_expired = self._clock.now() >= watch.session.expires_at
        self._live.session_ended(key, EndCause.EXPIRED if is_expired else EndCause.IDLE)

    # --- when next ---------------------------------------------------------------------------------------------------

    def _look_again_at(self, key: SessionKey, at: float) -> None:
        if key in self._watched:
            self._due.schedule(key, at)

    def _schedule(self, key: SessionKey, watch: _Watch) -> None:
        if self._watched.get(key) is not watch:
            return
        now, session = self._clock.now(), watch.session
        at = min(session.expires_at, now + self._wait_s(watch, now))
        if not self._is_long(key, session):
            at = min(at, now + _long_s(session))
        if watch.idle_ends_at is not None:
            at = min(at, max(watch.idle_ends_at, now + TICK_S))
        self._due.schedule(key, at)

    def _wait_s(self, watch: _Watch, now: float) -> float:
        """Return the seconds to the next look, at most a quarter of what is left of the access token."""
        if watch.cookie_value is None:
            return MAX_WAIT_S
        if watch.unconfirmed_since is not None or isinstance(self._store.cached(watch.cookie_value), NotCached):
            return TICK_S
        waits = [MAX_WAIT_S, watch.session.idle_timeout_s / 4]
        if watch.session.tokens.access_expires_at is not None:
            waits.append((watch.session.tokens.access_expires_at - now) / 4)
        return max(min(waits), TICK_S)

    # --- its streams -------------------------------------------------------------------------------------------------

    def _is_long(self, key: SessionKey, session: Session) -> bool:
        """Say whether a stream of the session is open long enough to keep it alive."""
        began_before = self._clock.monotonic() - _long_s(session)
        return any(stream.began_at <= began_before for stream in self._live.streams_of(key))

    def _counts_as_activity(self, key: SessionKey) -> bool:
        return any(stream.admitted.activity is Activity.COUNTS for stream in self._live.streams_of(key))

    def _must_ask_for_idle_end(self, key: SessionKey, watch: _Watch) -> bool:
        if watch.idle_ends_at is not None and self._clock.now() < watch.idle_ends_at:
            return False
        return self._is_long(key, watch.session) and not self._counts_as_activity(key)


def _long_s(session: Session) -> float:
    return min(LONG_STREAM_S, session.idle_timeout_s / 4)
