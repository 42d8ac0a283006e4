"""Keep the tokens of sessions fresh: one call at the provider for each session, however many requests and replicas.

Here stands who waits for a refresh and who does not; the refresh itself, and how it can end, stands in
``refresh_flight.py``. It belongs to this room, not to the request that began it: a browser that hangs up loses no
rotated token.

======================  =============================================================================================
the access token        what a request does
======================  =============================================================================================
lives                   goes on
is soon over            goes on; a flight begins behind it, a little earlier or later by session and replica
is over                 waits for the flight; the others of this process wait for the same one
is over, and the        goes on for ``sessions.outage_grace``, counted; then ProviderUnavailable. Not when the
provider is away        provider refuses *us* or answers what breaks a rule, and never after ``invalid_grant``
======================  =============================================================================================

Tokens that end and cannot be refreshed end the session when the access token is over: nobody vouches for that login
any longer, and the app would be sent a dead token. Tokens whose end nobody named live as long as the session; with a
refresh token the provider is asked now and then all the same, and what is no ``invalid_grant`` changes nothing.
"""

from __future__ import annotations

import asyncio
import secrets
from hashlib import blake2b
from typing import TYPE_CHECKING

from proxy.core.refresh import RefreshPolicy, RefreshVerdict, access_is_live, bridges_outage, refresh_verdict
from proxy.errors import Draining, GrantUnverified, ProviderUnavailable, SidegateError
from proxy.sessions.backoff import RefreshBackoff
from proxy.sessions.refresh_flight import RefreshFlight
from proxy.tasks import TaskOwner

if TYPE_CHECKING:
    from proxy.core.secret import Secret
    from proxy.core.session import Session, SessionKey
    from proxy.sessions.fresh_tokens import RefreshParts

CLOSE_GRACE_S = 5.0
"""Seconds that ``close`` waits for flights: a token rotated at the provider and not yet stored would be lost."""

MAX_AT_PROVIDER = 32
"""Refreshes at the provider at once: it makes 375 in a second (keycloak.md), so more would only wait there."""

AWAY = frozenset({ProviderUnavailable.reason, GrantUnverified.reason})
"""Reasons of a ProviderUnavailable that mean an outage, and no refusal."""


class SessionRefresher:
    """``ports.Refresher`` of one client of one provider."""

    def __init__(self, parts: RefreshParts, *, policy: RefreshPolicy, replica: bytes | None = None) -> None:
        """Begin with no flight.

        Args:
            parts: whom a refresh needs.
            policy: how early, and how long an outage is bridged.
            replica: what tells this process from the others; by chance when None.
        """
        self._clock = parts.clock
        self._observer = parts.observer
        self._policy = policy
        self._replica = replica or secrets.token_bytes(16)
        self._tasks = TaskOwner(self._report)
        self._flights: dict[SessionKey, asyncio.Task[Session | None]] = {}
        self._backoff = RefreshBackoff()
        self._flight_of_all = RefreshFlight(
            parts, verdict=self._verdict, backoff=self._backoff, at_provider=asyncio.Semaphore(MAX_AT_PROVIDER)
        )
        self._outage_was_said = False

    def adopt(self, policy: RefreshPolicy) -> None:
        """Go by this policy from now on; flights under way go on."""
        self._policy = policy

    def ready(self, session: Session) -> bool:
        """Say at once whether the request may go on with this session as it is."""
        ends_at = session.tokens.access_expires_at
        # The common case costs one comparison: no rule begins earlier than lead_s before the end.
        if ends_at is not None and self._clock.now() < ends_at - self._policy.lead_s:
            return True
        verdict = self._verdict(session)
        if verdict is RefreshVerdict.SOON:
            return session.key in self._flights or self._held(session) is not None
        return verdict is RefreshVerdict.FRESH

    async def fresh(self, cookie_value: Secret, session: Session) -> Session | None:
        """Return the session with a usable access token; see ``ports.Refresher.fresh``."""
        verdict = self._verdict(session)
        if verdict is RefreshVerdict.FRESH:
            return session
        if verdict is RefreshVerdict.SOON:
            if self._held(session) is None:
                _ = self._flight(cookie_value, session)
            return session
        return await self._waited(cookie_value, session)

    async def close(self) -> None:
        """Let the flights end, for a while, then cancel what is left."""
        if self._flights:
            await asyncio.wait(list(self._flights.values()), timeout=CLOSE_GRACE_S)
        await self._tasks.close()
        await self._flight_of_all.close()

    # --- waiting -----------------------------------------------------------------------------------------------------

    async def _waited(self, cookie_value: Secret, session: Session) -> Session | None:
        """Wait for the session's flight, begun by this or another request."""
        try:
            renewed = await self._landed(self._flight_unless_held(cookie_value, session))
        except ProviderUnavailable as fault:
            if access_is_live(session.tokens, self._clock.now()):
                return session
            if fault.reason in AWAY and bridges_outage(session.tokens, self._clock.now(), self._policy):
                return self._bridged(session)
            raise
        self._outage_was_said = False
        return renewed

    async def _landed(self, flight: asyncio.Task[Session | None]) -> Session | None:
        # Not a shield: asyncio.wait leaves the flight alone when this caller is cancelled, and says nothing of it.
        await asyncio.wait((flight,))
        if flight.cancelled():
            raise Draining("the process ends, the session's tokens were not refreshed")
        return flight.result()

    def _flight_unless_held(self, cookie_value: Secret, session: Session) -> asyncio.Task[Session | None]:
        """Return the session's flight, unless it would only hear that the provider failed a moment ago."""
        reason = self._held(session)
        if reason is None or session.key in self._flights or session.key in self._flight_of_all.fresh_tokens:
            return self._flight(cookie_value, session)
        raise ProviderUnavailable("the provider failed a moment ago; it is asked again shortly", reason=reason)

    def _flight(self, cookie_value: Secret, session: Session) -> asyncio.Task[Session | None]:
        flight = self._flights.get(session.key)
        if flight is None:
            work = self._flight_of_all.fly(cookie_value, session.key)
            flight = self._flights[session.key] = self._tasks.start(work)
            flight.add_done_callback(lambda _: self._flights.pop(session.key))
        return flight

    def _bridged(self, session: Session) -> Session:
        """Serve the session although its access token is over; said once for each outage, counted each time."""
        self._observer.outage_served()
        if not self._outage_was_said:
            self._outage_was_said = True
            self._observer.warning(
                "the provider is away: sessions are served beyond the end of their access tokens",
                outage_grace_s=self._policy.outage_grace_s,
            )
        return session

    # --- rules -------------------------------------------------------------------------------------------------------

    def _verdict(self, session: Session) -> RefreshVerdict:
        lateness = self._lateness(session.key)
        return refresh_verdict(session.tokens, self._clock.now(), self._policy, lateness=lateness)

    def _held(self, session: Session) -> str | None:
        return self._backoff.holds(session.key, self._clock.monotonic())

    def _lateness(self, key: SessionKey) -> float:
        """Return this session's part of the jitter on this replica, from 0 to 1: always the same."""
        return int.from_bytes(blake2b(key.encode(), digest_size=4, key=self._replica).digest()) / 2**32

    def _report(self, fault: BaseException) -> None:
        """Say what nobody expected; what has a type was said where it happened or is raised to who waits."""
        if not isinstance(fault, SidegateError):
            self._observer.error("a refresh broke", fault=repr(fault))
