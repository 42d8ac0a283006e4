"""Put fresh tokens into the store: now, or as soon as it takes them.

A provider that rotates has spent the old refresh token by now, so these are the only ones that are left. What the
store did not take waits here with its cookie and its lease, and is tried again in the background: on the replica that
has the tokens, whichever replica the next request comes to. While it waits the lease is kept, so that nobody else
spends the old token.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from msgspec import Struct, field

from proxy.core.session import EndCause, LoginOrigin
from proxy.errors import ProviderFault, SidegateError, StoreFault
from proxy.tasks import TaskOwner

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from proxy.core.secret import Secret
    from proxy.core.session import Session, SessionKey
    from proxy.ports import Clock, Lease, Observer, Provider, RefreshLeases, SessionStore

MAX_UNSTORED = 1000
"""Sessions whose fresh tokens wait for the store to come back; above it they are lost, and that is said."""

UNSTORED_LIFETIME_S = 1800.0
"""Seconds that they wait; Keycloak's refresh tokens live so long unless somebody changed it."""

STORE_RETRY_S = 0.5
"""Seconds between two tries: soon after the store is back, long before another replica would have the lease."""


class RefreshParts(Struct, frozen=True, kw_only=True):
    """Whom a refresh needs; ``sleep`` waits between two looks."""

    provider: Provider
    store: SessionStore
    leases: RefreshLeases
    clock: Clock
    observer: Observer
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep


class _Unstored(Struct, frozen=True):
    """Tokens that wait; ``one_at_a_time`` because a request and the background may try at once."""

    cookie_value: Secret
    renewed: Session
    lease: Lease
    until: float
    one_at_a_time: asyncio.Lock = field(default_factory=asyncio.Lock)


class FreshTokens:
    """The way of new tokens into the store."""

    def __init__(self, parts: RefreshParts) -> None:
        """Begin with nothing waiting."""
        self._parts = parts
        self._tasks = TaskOwner(self._report)
        self._unstored: dict[SessionKey, _Unstored] = {}
        self._trying: asyncio.Task[None] | None = None

    def __contains__(self, key: SessionKey) -> bool:
        """Say whether tokens of this session wait here."""
        return key in self._unstored

    def __len__(self) -> int:
        """Return how many sessions' tokens wait."""
        return len(self._unstored)

    async def close(self) -> None:
        """Try once more to store what waits, then let go."""
        await self._try_each()
        await self._tasks.close()

    async def store(self, cookie_value: Secret, renewed: Session, lease: Lease) -> Session | None:
        """Store the new tokens before anybody uses them.

        Returns:
            What is stored now; None when the session has ended (law 5: it is not revived).

        Raises:
            StoreUnavailable: the tokens wait here, and so does the lease: the caller does not release it.
        """
        try:
            return await self._put(cookie_value, renewed)
        except StoreFault:
            self._keep(cookie_value, renewed, lease)
            raise

    async def store_again(self, key: SessionKey) -> Session | None:
        """Try once more, because somebody asks for this session; as :meth:`store`.

        Raises:
            StoreUnavailable: they wait on.
        """
        waiting = self._unstored[key]
        async with waiting.one_at_a_time:
            if self._unstored.get(key) is not waiting:
                return await self._parts.store.load(waiting.cookie_value)
            stored = await self._put(waiting.cookie_value, waiting.renewed)
            del self._unstored[key]
        await waiting.lease.release()
        return stored

    async def _put(self, cookie_value: Secret, renewed: Session) -> Session | None:
        stored = await self._parts.store.replace(cookie_value, renewed)
        if stored is None:
            return await self._superseded(cookie_value, renewed)
        self._parts.observer.refresh("refreshed")
        return stored

    # --- what waits --------------------------------------------------------------------------------------------------

    def _keep(self, cookie_value: Secret, renewed: Session, lease: Lease) -> None:
        self._parts.observer.refresh("not_stored")
        if len(self._unstored) >= MAX_UNSTORED:
            self._parts.observer.error("fresh tokens could be stored nowhere and are lost", sessions=MAX_UNSTORED)
            return
        until = self._parts.clock.monotonic() + UNSTORED_LIFETIME_S
        self._unstored[renewed.key] = _Unstored(cookie_value, renewed, lease, until)
        if self._trying is None or self._trying.done():
            self._trying = self._tasks.start(self._try_until_stored())

    async def _try_until_stored(self) -> None:
        while self._unstored:
            await self._parts.sleep(STORE_RETRY_S)
            await self._forget_the_oldest()
            await self._try_each()

    async def _try_each(self) -> None:
        """Try all until one fails; that one is the last to be tried next time, lest it hold up the others."""
        for key in list(self._unstored):
            if key not in self._unstored:
                continue
            try:
                await self.store_again(key)
            except StoreFault:
                if (waiting := self._unstored.pop(key, None)) is not None:
                    self._unstored[key] = waiting
                return

    async def _forget_the_oldest(self) -> None:
        now = self._parts.clock.monotonic()
        for key, waiting in list(self._unstored.items()):
            if now >= waiting.until and not waiting.one_at_a_time.locked():
                del self._unstored[key]
                self._parts.observer.error("the store was away for so long that fresh tokens are lost", sessions=1)
                await waiting.lease.release()

    # --- somebody was faster -----------------------------------------------------------------------------------------

    async def _superseded(self, cookie_value: Secret, renewed: Session) -> Session | None:
        """The record is gone or another, or what it would become has ended: the new tokens are dropped.

        A form login has a session of its own at the provider, which would live on without us, so it is ended there. The
        provider's session of a code flow is shared with other apps, and its logout is not ours to give.
        """
        store = self._parts.store
        self._parts.observer.refresh("superseded")
        current = await store.load(cookie_value)
        if current is not None and (current.version == renewed.version or await self._has_ended(current)):
            # Nobody replaced it, so the store refused what it would become: the new ``sid`` has ended already. Were
            # the old record served on, its dead tokens would be too. Or it was replaced, and the store went away before
            # it could say that this login has ended.
            await store.delete(renewed.key, EndCause.BACKCHANNEL)
            current = None
        if current is None and renewed.origin is LoginOrigin.FORM:
            _ = self._tasks.start(self._end_at_provider(renewed))
        return current

    async def _has_ended(self, session: Session) -> bool:
        return await self._parts.store.has_ended(
            issuer=session.identity.issuer,
            client_id=session.client_id,
            sid=session.sid,
            subject=session.identity.subject,
            issued_at=session.issued_at,
        )

    async def _end_at_provider(self, session: Session) -> None:
        try:
            await self._parts.provider.end_session(session)
        except ProviderFault as fault:
            self._parts.observer.warning("an ended session could not be ended at the provider", reason=fault.reason)

    def _report(self, fault: BaseException) -> None:
        if not isinstance(fault, SidegateError):
            self._parts.observer.error("storing fresh tokens broke", fault=repr(fault))
