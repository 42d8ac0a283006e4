"""One refresh of one session, from the lease to the store; who waits for it is ``refresher.py``'s business.

The way of a *flight*: take the lease -> read the session again, from the store and not from a copy -> ask the provider
-> ``store.replace`` -> give the lease back -> only then hand the new tokens out. Without the lease it looks again every
:data:`POLL_S`, until the session is another or the lease is free.

How each flight can end, and what follows:

=====================================  ==============================================================================
the session is gone at the start       None; nothing is asked
somebody else refreshed meanwhile      their session is used; nothing is asked
new tokens, stored                     the stored session
new tokens, but ``replace`` says None  never revived (law 5): the tokens are dropped; None, or the session that took
                                       its place; one whose new ``sid`` has ended is deleted
GrantRefusal (``invalid_grant``)       the session is deleted (``refresh_refused``); None
the provider is away or refuses *us*,  the session is kept, and served while its access token lives, then
or answers what breaks a rule          ProviderUnavailable; tried again as ``backoff`` allows
the answer was lost                    asked once more at once, with the same refresh token; then as above
keys or userinfo are away              the answer waits in the provider's room, the lease is kept, and this replica
                                       alone goes on with it, in the background, for :data:`VERIFY_FOR_S`
the store is away                      StoreUnavailable; nothing is deleted (law 6), and tokens that could not be
                                       stored wait in ``fresh_tokens``, with the lease
the lease is lost before the call      nothing is asked; begun again from the top
the lease is lost during the call      ``replace`` judges: the version of the record says whether somebody was faster
=====================================  ==============================================================================

What is lost when this process is killed, or its network cut, in the middle, with a provider that rotates (Keycloak's
``revokeRefreshToken``, reuse 0) and with one that does not:

=====================================  ==================================  =========================================
killed                                 with rotation                       without
=====================================  ==================================  =========================================
before the request is sent             nothing: another replica has the    nothing
                                       lease after ``LEASE_TTL_S``
after the provider spent the old       the session: nobody has the new     nothing: the old token works, and another
token, before the new one is stored    one, and the provider ends the      replica uses it
                                       login when the old one comes again
after it is stored                     nothing                             nothing
the answer of the provider is lost     as in the second row, if it had     nothing
                                       done its part; nobody can know
=====================================  ==================================  =========================================

That one window is as long as an answer and a ``replace`` take; no order of steps closes it, because the provider and
the store cannot be changed together. ``refreshTokenMaxReuse: 1`` at Keycloak closes it.
"""

from __future__ import annotations

import dataclasses
from enum import Enum
from typing import TYPE_CHECKING

from msgspec.structs import replace

from proxy.core.refresh import RefreshVerdict, is_final
from proxy.core.session import EndCause
from proxy.core.tokens import GrantRefusal
from proxy.errors import (
    AnswerLost,
    ClientMisconfigured,
    GrantUnverified,
    ProviderFault,
    ProviderUnavailable,
    SidegateError,
    TokenRejected,
)
from proxy.ports import AuditEvent
from proxy.sessions.fresh_tokens import FreshTokens
from proxy.tasks import TaskOwner

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable

    from proxy.core.secret import Secret
    from proxy.core.session import Session, SessionKey
    from proxy.core.tokens import Grant
    from proxy.ports import Lease
    from proxy.sessions.backoff import RefreshBackoff
    from proxy.sessions.fresh_tokens import RefreshParts

POLL_S = 0.075
"""Seconds between two looks while another replica has the lease: a refresh takes Keycloak 3 to 50 ms."""

WAIT_S = 30.0
"""Seconds for which a flight waits for other replicas: twice a call that times out, and the lease of one killed."""

VERIFY_FOR_S = 60.0
"""Seconds for which an answer that cannot be verified yet keeps others from spending its refresh token again."""

VERIFY_EVERY_S = 1.0
"""Seconds between two tries to verify it."""

MAX_UNVERIFIED = 1000
"""Sessions whose answers wait to be verified, as many as the provider's room keeps; above it the lease is not kept."""


class _Again(Enum):
    """Nothing is settled yet."""

    AGAIN = "again"


AGAIN = _Again.AGAIN


class RefreshFlight:
    """The work behind ``SessionRefresher``; one object for all flights of a process.

    Attributes:
        fresh_tokens: what could not be stored yet.
    """

    def __init__(
        self,
        parts: RefreshParts,
        *,
        verdict: Callable[[Session], RefreshVerdict],
        backoff: RefreshBackoff,
        at_provider: asyncio.Semaphore,
    ) -> None:
        """Begin with nothing under way.

        Args:
            verdict: what the tokens of a session need now.
            at_provider: bounds the refreshes at the provider at once.
        """
        self._parts = parts
        self._verdict = verdict
        self._backoff = backoff
        self._at_provider = at_provider
        self._tasks = TaskOwner(self._report)
        self._unverified: set[SessionKey] = set()
        self.fresh_tokens = FreshTokens(parts)

    async def close(self) -> None:
        """Store what can be stored, then let go."""
        await self._tasks.close()
        await self.fresh_tokens.close()

    async def fly(self, cookie_value: Secret, key: SessionKey) -> Session | None:
        """Return the session with fresh tokens, whoever refreshed them; None when it has ended.

        Raises:
            ProviderUnavailable: it failed now, or a moment ago, or another replica waits for it: the session is kept.
            StoreUnavailable
        """
        give_up_at = self._parts.clock.monotonic() + WAIT_S
        while (settled := await self._tried(cookie_value, key)) is AGAIN:
            if self._parts.clock.monotonic() >= give_up_at:
                raise ProviderUnavailable(f"another replica has been refreshing this session for {WAIT_S:g} s")
            await self._parts.sleep(POLL_S)
        return settled

    async def _tried(self, cookie_value: Secret, key: SessionKey) -> Session | _Again | None:
        if key in self._unverified:
            raise GrantUnverified("the new tokens of this session cannot be verified yet")
        if key in self.fresh_tokens:
            return await self.fresh_tokens.store_again(key)
        lease = await self._parts.leases.acquire(key)
        if lease is None:
            session = await self._parts.store.load(cookie_value)
            return session if session is None or self._verdict(session) is RefreshVerdict.FRESH else AGAIN
        try:
            return await self._refreshed(cookie_value, key, lease)
        finally:
            # What waits to be verified or stored keeps the lease, and gives it back itself.
            if key not in self._unverified and key not in self.fresh_tokens:
                await lease.release()

    async def _refreshed(self, cookie_value: Secret, key: SessionKey, lease: Lease) -> Session | _Again | None:
        # Read again: the caller's copy may be older than the last rotation, and an old refresh token used twice ends
        # the login at a provider that rotates (keycloak.md §3).
        session = await self._parts.store.load(cookie_value)
        if session is None:
            return None
        verdict = self._verdict(session)
        if verdict is RefreshVerdict.FRESH:
            return session
        if verdict is RefreshVerdict.OVER:
            await self._parts.store.delete(key, EndCause.EXPIRED)
            return None
        try:
            answer = await self._asked(session, lease)
        except GrantUnverified:
            if len(self._unverified) < MAX_UNVERIFIED:
                self._unverified.add(key)
                _ = self._tasks.start(self._verified_later(cookie_value, session, lease))
            raise
        return AGAIN if answer is AGAIN else await self._followed(cookie_value, session, answer, lease)

    async def _followed(
        self, cookie_value: Secret, session: Session, answer: Grant | GrantRefusal, lease: Lease
    ) -> Session | None:
        """Do what the provider's answer says."""
        if isinstance(answer, GrantRefusal):
            return await self._refused(cookie_value, session, answer)
        tokens = replace(answer.tokens, is_final=is_final(session.tokens, answer.tokens))
        # How and when the person signed in is a fact of the login. The acr of a refreshed token is another thing: at
        # Keycloak that of the browser's session as it stands now, "silver" again after another client's plain login.
        renewed = dataclasses.replace(session, tokens=tokens, identity=answer.identity, sid=answer.sid)
        return await self.fresh_tokens.store(cookie_value, renewed, lease)

    # --- the provider ------------------------------------------------------------------------------------------------

    async def _asked(self, session: Session, lease: Lease) -> Grant | GrantRefusal | _Again:
        """Ask the provider; AGAIN when the lease was lost before.

        Raises:
            ProviderUnavailable: it failed now, or a moment ago: the session is kept. Its ``reason`` is that of
                ProviderUnavailable or below only when the provider is away.
        """
        async with self._at_provider:
            now = self._parts.clock.monotonic()
            if (reason := self._backoff.holds(session.key, now)) is not None:
                raise ProviderUnavailable(
                    "the provider failed a moment ago; the refresh is tried again shortly", reason=reason
                )
            if not lease.is_held():
                return AGAIN
            self._backoff.begin(now)
            try:
                answer = await self._answer(session)
            except GrantUnverified as fault:
                self._failed(session, fault)
                raise
            except (ProviderFault, TokenRejected) as fault:
                self._failed(session, fault)
                raise ProviderUnavailable(
                    "the session's tokens could not be refreshed", reason=_reason(fault)
                ) from fault
            self._backoff.provider_answered()
            return answer

    async def _answer(self, session: Session) -> Grant | GrantRefusal:
        """Ask, and once more when the answer was lost: if the provider never heard us, nobody need notice."""
        try:
            return await self._parts.provider.refresh(session)
        except AnswerLost as fault:
            self._parts.observer.warning("the answer to a refresh was lost, it is asked once more", fault=str(fault))
            return await self._parts.provider.refresh(session)

    def _failed(self, session: Session, fault: ProviderFault | TokenRejected) -> None:
        now, reason = self._parts.clock.monotonic(), _reason(fault)
        self._backoff.session_failed(session.key, now, reason)
        if isinstance(fault, TokenRejected):
            self._backoff.provider_answered()
        else:
            self._backoff.provider_failed(now, reason)
        observer = self._parts.observer
        observer.refresh(_outcome(fault))
        observer.warning("a refresh failed, the session is kept", reason=fault.reason, fault=str(fault))

    async def _verified_later(self, cookie_value: Secret, session: Session, lease: Lease) -> None:
        """Go on with tokens that came and could not be verified, under the lease, until they can be."""
        give_up_at = self._parts.clock.monotonic() + VERIFY_FOR_S
        try:
            while self._parts.clock.monotonic() < give_up_at:
                await self._parts.sleep(VERIFY_EVERY_S)
                try:
                    answer = await self._parts.provider.refresh(session)
                except ProviderUnavailable:
                    continue
                except (ProviderFault, TokenRejected) as fault:
                    self._failed(session, fault)
                    return
                self._backoff.provider_answered()
                await self._followed(cookie_value, session, answer, lease)
                return
        finally:
            self._unverified.discard(session.key)
            if session.key not in self.fresh_tokens:
                await lease.release()

    async def _refused(self, cookie_value: Secret, session: Session, refusal: GrantRefusal) -> Session | None:
        """End what the provider ended, unless another refresh succeeded meanwhile: then an old token was refused."""
        store, observer = self._parts.store, self._parts.observer
        current = await store.load(cookie_value)
        if current is not None and current.version != session.version:
            return current
        if await store.delete(session.key, EndCause.REFRESH_REFUSED):
            observer.audit(_refresh_failed(session, refusal))
        observer.refresh("refused")
        return None

    def _report(self, fault: BaseException) -> None:
        if not isinstance(fault, SidegateError):
            self._parts.observer.error("a refresh broke", fault=repr(fault))


def _reason(fault: ProviderFault | TokenRejected) -> str:
    """Return the word by which it is told later whether the provider was away, or refused us."""
    return ProviderUnavailable.reason if isinstance(fault, ProviderUnavailable) else fault.reason


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
