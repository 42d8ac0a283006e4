"""Keep the tokens of sessions fresh: one call at the provider for each session, however many requests wait.

The way of a refresh (a *flight*): read the session again -> ask the provider -> ``store.replace`` -> only then hand
the new tokens out. It belongs to this room, not to the request that began it: a browser that hangs up loses no rotated
token. How each flight can end, and what follows:

=====================================  ==============================================================================
the session is gone at the start       None; nothing is asked
somebody else refreshed meanwhile      their session is used; nothing is asked
new tokens, stored                     the stored session
new tokens, but ``replace`` says None  never revived (law 5): the tokens are dropped; None, or the session that took
                                       its place; one whose new ``sid`` has ended is deleted
GrantRefusal (``invalid_grant``)       the session is deleted (``refresh_refused``); None
the provider is away or refuses *us*,  the session is kept, and served while its access token lives, then
or answers what breaks a rule          ProviderUnavailable; tried again as ``backoff`` allows
the store is away                      StoreUnavailable; nothing is deleted (law 6), and tokens that could not be
                                       stored wait here for the next flight
=====================================  ==============================================================================

Tokens that end and cannot be refreshed end the session when the access token is over: nobody vouches for that login
any longer, and the app would be sent a dead token. Tokens whose end nobody named live as long as the session; with a
refresh token the provider is asked now and then all the same, and what is no ``invalid_grant`` changes nothing.
"""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import TYPE_CHECKING

from proxy.core.refresh import RefreshPolicy, RefreshVerdict, access_is_live, is_final, refresh_verdict
from proxy.core.session import EndCause, LoginOrigin
from proxy.core.tokens import GrantRefusal
from proxy.errors import (
    ClientMisconfigured,
    Draining,
    ProviderFault,
    ProviderUnavailable,
    SidegateError,
    StoreFault,
    TokenRejected,
)
from proxy.ports import AuditEvent
from proxy.sessions.backoff import RefreshBackoff
from proxy.sessions.expiring import ExpiringMap
from proxy.tasks import TaskOwner

if TYPE_CHECKING:
    from proxy.core.secret import Secret
    from proxy.core.session import Session, SessionKey
    from proxy.core.tokens import Grant
    from proxy.ports import Clock, Observer, Provider, SessionStore

CLOSE_GRACE_S = 5.0
"""Seconds that ``close`` waits for flights: a token rotated at the provider and not yet stored would be lost."""

MAX_AT_PROVIDER = 32
"""Refreshes at the provider at once: it makes 375 in a second (keycloak.md), so more would only wait there."""

MAX_UNSTORED = 1000
"""Sessions whose fresh tokens wait for the store to come back; above it they are lost, and that is said."""

UNSTORED_LIFETIME_S = 1800.0
"""Seconds that they wait; Keycloak's refresh tokens live so long unless somebody changed it."""


class SessionRefresher:
    """``ports.Refresher`` of one client of one provider."""

    def __init__(
        self, provider: Provider, store: SessionStore, *, policy: RefreshPolicy, clock: Clock, observer: Observer
    ) -> None:
        """Begin with no flight."""
        self._provider = provider
        self._store = store
        self._policy = policy
        self._clock = clock
        self._observer = observer
        self._tasks = TaskOwner(self._report)
        self._flights: dict[SessionKey, asyncio.Task[Session | None]] = {}
        self._unstored: ExpiringMap[SessionKey, Session] = ExpiringMap(MAX_UNSTORED)
        self._backoff = RefreshBackoff()
        self._at_provider = asyncio.Semaphore(MAX_AT_PROVIDER)

    def ready(self, session: Session) -> bool:
        """Say at once whether the request may go on with this session as it is."""
        ends_at = session.tokens.access_expires_at
        # The common case costs one comparison: no rule begins earlier than lead_s before the end.
        if ends_at is not None and self._clock.now() < ends_at - self._policy.lead_s:
            return True
        verdict = refresh_verdict(session.tokens, self._clock.now(), self._policy)
        if verdict is RefreshVerdict.SOON:
            return session.key in self._flights or self._backoff.holds(session.key, self._clock.monotonic())
        return verdict is RefreshVerdict.FRESH

    async def fresh(self, cookie_value: Secret, session: Session) -> Session | None:
        """Return the session with a usable access token; see ``ports.Refresher.fresh``."""
        verdict = refresh_verdict(session.tokens, self._clock.now(), self._policy)
        if verdict is RefreshVerdict.FRESH:
            return session
        if verdict is RefreshVerdict.SOON:
            if not self._backoff.holds(session.key, self._clock.monotonic()):
                _ = self._flight(cookie_value, session)
            return session
        return await self._waited(cookie_value, session)

    async def close(self) -> None:
        """Let the flights end, for a while, then cancel what is left."""
        if self._flights:
            await asyncio.wait(list(self._flights.values()), timeout=CLOSE_GRACE_S)
        await self._tasks.close()

    # --- waiting -----------------------------------------------------------------------------------------------------

    async def _waited(self, cookie_value: Secret, session: Session) -> Session | None:
        """Wait for the session's flight, begun by this or another request."""
        try:
            return await self._landed(self._flight(cookie_value, session))
        except ProviderUnavailable:
            if access_is_live(session.tokens, self._clock.now()):
                return session
            raise

    async def _landed(self, flight: asyncio.Task[Session | None]) -> Session | None:
        # Not a shield: asyncio.wait leaves the flight alone when this caller is cancelled, and says nothing of it.
        await asyncio.wait((flight,))
        if flight.cancelled():
            raise Draining("the process ends, the session's tokens were not refreshed")
        return flight.result()

    def _flight(self, cookie_value: Secret, session: Session) -> asyncio.Task[Session | None]:
        flight = self._flights.get(session.key)
        if flight is None:
            flight = self._flights[session.key] = self._tasks.start(self._refreshed(cookie_value, session.key))
            flight.add_done_callback(lambda _: self._flights.pop(session.key))
        return flight

    # --- the flight --------------------------------------------------------------------------------------------------

    async def _refreshed(self, cookie_value: Secret, key: SessionKey) -> Session | None:
        # Read again: the caller's copy may be older than the last rotation, and an old refresh token used twice ends
        # the login at a provider that rotates (keycloak.md §3).
        session = await self._store.load(cookie_value)
        if session is None:
            return None
        verdict = refresh_verdict(session.tokens, self._clock.now(), self._policy)
        if verdict is RefreshVerdict.FRESH:
            return session
        if verdict is RefreshVerdict.OVER:
            await self._store.delete(key, EndCause.EXPIRED)
            return None
        unstored = self._unstored.get(key, self._clock.monotonic())
        if unstored is not None and unstored.version == session.version:
            return await self._stored(cookie_value, unstored)
        answer = await self._asked(session)
        if isinstance(answer, GrantRefusal):
            return await self._refused(cookie_value, session, answer)
        tokens = replace(answer.tokens, is_final=is_final(session.tokens, answer.tokens))
        renewed = replace(session, tokens=tokens, identity=answer.identity, sid=answer.sid)
        return await self._stored(cookie_value, renewed)

    async def _asked(self, session: Session) -> Grant | GrantRefusal:
        """Ask the provider.

        Raises:
            ProviderUnavailable: it failed now, or a moment ago: the session is kept.
        """
        async with self._at_provider:
            if self._backoff.holds(session.key, self._clock.monotonic()):
                raise ProviderUnavailable("the provider failed a moment ago; the refresh is tried again shortly")
            self._backoff.begin(self._clock.monotonic())
            try:
                answer = await self._provider.refresh(session)
            except (ProviderFault, TokenRejected) as fault:
                self._failed(session, fault)
                raise ProviderUnavailable("the session's tokens could not be refreshed") from fault
            self._backoff.provider_answered()
            return answer

    def _failed(self, session: Session, fault: ProviderFault | TokenRejected) -> None:
        now = self._clock.monotonic()
        self._backoff.session_failed(session.key, now)
        if isinstance(fault, TokenRejected):
            self._backoff.provider_answered()
        else:
            self._backoff.provider_failed(now)
        self._observer.refresh(_outcome(fault))
        self._observer.warning("a refresh failed, the session is kept", reason=fault.reason, fault=str(fault))

    async def _refused(self, cookie_value: Secret, session: Session, refusal: GrantRefusal) -> Session | None:
        """End what the provider ended, unless another refresh succeeded meanwhile: then an old token was refused."""
        current = await self._store.load(cookie_value)
        if current is not None and current.version != session.version:
            return current
        if await self._store.delete(session.key, EndCause.REFRESH_REFUSED):
            self._observer.audit(_refresh_failed(session, refusal))
        self._observer.refresh("refused")
        return None

    async def _stored(self, cookie_value: Secret, renewed: Session) -> Session | None:
        """Store the new tokens before anybody uses them.

        Raises:
            StoreUnavailable: the tokens are kept here, and the next flight stores them instead of spending the old
                refresh token a second time.
        """
        try:
            stored = await self._store.replace(cookie_value, renewed)
        except StoreFault:
            self._keep_unstored(renewed)
            raise
        self._unstored.discard(renewed.key)
        if stored is None:
            return await self._superseded(cookie_value, renewed)
        self._observer.refresh("refreshed")
        return stored

    def _keep_unstored(self, renewed: Session) -> None:
        now = self._clock.monotonic()
        self._observer.refresh("not_stored")
        if self._unstored.is_full(now):
            self._observer.error("fresh tokens could be stored nowhere and are lost", sessions=MAX_UNSTORED)
        else:
            self._unstored.put(renewed.key, renewed, now + UNSTORED_LIFETIME_S)

    async def _superseded(self, cookie_value: Secret, renewed: Session) -> Session | None:
        """The record is gone or another, or what it would become has ended: the new tokens are dropped.

        A form login has a session of its own at the provider, which would live on without us, so it is ended there. The
        provider's session of a code flow is shared with other apps, and its logout is not ours to give.
        """
        self._observer.refresh("superseded")
        current = await self._store.load(cookie_value)
        if current is not None and current.version == renewed.version:
            # Nobody replaced it, so the store refused what it would become: the new ``sid`` has ended already. Were
            # the old record served on, its dead tokens would be too.
            await self._store.delete(renewed.key, EndCause.BACKCHANNEL)
            current = None
        if current is None and renewed.origin is LoginOrigin.FORM:
            _ = self._tasks.start(self._end_at_provider(renewed))
        return current

    async def _end_at_provider(self, session: Session) -> None:
        try:
            await self._provider.end_session(session)
        except ProviderFault as fault:
            self._observer.warning("an ended session could not be ended at the provider", reason=fault.reason)

    def _report(self, fault: BaseException) -> None:
        """Say what nobody expected; what has a type was said where it happened or is raised to who waits."""
        if not isinstance(fault, SidegateError):
            self._observer.error("a refresh broke", fault=repr(fault))


def _outcome(fault: ProviderFault | TokenRejected) -> str:
    """Return the ``outcome`` of ``refreshes_total``."""
    if isinstance(fault, TokenRejected):
        return "rejected"
    return "misconfigured" if isinstance(fault, ClientMisconfigured) else "unavailable"


def _refresh_failed(session: Session, refusal: GrantRefusal) -> AuditEvent:
    return AuditEvent(
        event="refresh.failed",
        subject=session.identity.subject,
        username=session.identity.username,
        address=session.address,
        user_agent=session.user_agent,
        sessions_affected=1,
        reason=refusal.value,
    )
