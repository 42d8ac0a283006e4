"""From a cookie to a live session with a usable access token, or to nobody.

The ordinary case costs no await: the store knows the cookie and the token is fresh. Everything else (the store must be
asked, the token must be refreshed) is a coroutine that the data path awaits.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from proxy.core.session import subject_hash
from proxy.ports import NotCached

if TYPE_CHECKING:
    from proxy.core.secret import Secret
    from proxy.core.session import Home, Session
    from proxy.ports import Clock, Observer, Refresher, SessionStore

NOT_CACHED = NotCached.NOT_CACHED


class Authenticator:
    """Find the session of a request."""

    def __init__(
        self, store: SessionStore, refresher: Refresher, *, home: Home, clock: Clock, observer: Observer
    ) -> None:
        """``home``: a session of another portal, client or provider is no session here."""
        self._store = store
        self._refresher = refresher
        self._home = home
        self._clock = clock
        self._observer = observer

    def at_once(self, cookie_value: Secret) -> Session | NotCached | None:
        """Return the session, None for nobody, or NOT_CACHED when :meth:`eventually` must be awaited."""
        session = self._store.cached(cookie_value)
        if session is None or session is NOT_CACHED:
            return session
        if session.home != self._home:
            return None
        return session if self._refresher.ready(session) else NOT_CACHED

    async def eventually(self, cookie_value: Secret) -> Session | None:
        """Ask the store, refresh when the access token is over.

        Raises:
            StoreUnavailable: never a pass.
            ProviderUnavailable: the token is over and cannot be refreshed now; the session is kept.
        """
        session = await self._store.load(cookie_value)
        if session is None or session.home != self._home:
            return None
        if self._refresher.ready(session):
            return session
        began = self._clock.monotonic()
        try:
            return await self._refresher.fresh(cookie_value, session)
        finally:
            self._observer.refresh_waited(self._clock.monotonic() - began)

    async def owner(self, cookie_value: Secret) -> str | None:
        """Return the hash of the subject whose session this cookie names, or named until a while ago; else None.

        Raises:
            StoreUnavailable
        """
        tombstone = await self._store.tombstone(cookie_value)
        if tombstone is not None:
            return tombstone.subject_hash
        session = await self._store.load(cookie_value)
        if session is None or session.home != self._home:
            return None
        return subject_hash(session.identity.issuer, session.identity.subject)

    def touch(self, session: Session) -> None:
        """Count this request as activity."""
        self._store.touch(session)
