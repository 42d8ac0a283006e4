"""Where sessions live, as ``sessions.store`` says: shared by all replicas, or in this process alone.

A part of the composition root: like ``app.py`` it knows concrete classes, and nobody but ``app.py`` knows it. What is
in Redis has a file of its own, which is imported only where the settings name it.
"""

from __future__ import annotations

import secrets
from functools import cached_property, partial
from typing import TYPE_CHECKING, Protocol

from proxy import slices
from proxy.observe.audit_memory import MemoryAuditTrail
from proxy.ports import AuditTrail
from proxy.sessions.memory import MemorySessionStore
from proxy.sessions.memory_authentication import MemoryAuthenticationStore
from proxy.sessions.memory_kept import MemoryKeptRequests
from proxy.sessions.memory_lease import MemoryRefreshLeases

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Sequence

    from proxy.certificates import TlsFiles
    from proxy.core.authentication import OfClient
    from proxy.ports import (
        AuthenticationStore,
        Clock,
        KeptRequests,
        LiveStreams,
        Observer,
        RefreshLeases,
        SessionStore,
        Throttle,
    )
    from proxy.redis_stores import RedisStores
    from proxy.sessions.memory_throttle import MemoryFailures
    from proxy.sessions.throttle import FailureThrottle
    from proxy.settings.model import Settings
    from proxy.settings.portals import SiteSettings


class KeptTrail(AuditTrail, Protocol):
    """An audit trail that says what it lost."""

    @property
    def dropped(self) -> int:
        """Events that are not kept for want of room."""


class Stores(Protocol):
    """The stores of one process."""

    @property
    def sessions(self) -> SessionStore:
        """Where sessions live."""

    @property
    def authentications(self) -> AuthenticationStore:
        """Where logins under way live."""

    @property
    def kept(self) -> KeptRequests:
        """Where forms wait for a login."""

    @property
    def leases(self) -> RefreshLeases:
        """Who may refresh a session."""

    @property
    def audit(self) -> KeptTrail | None:
        """Where audit events are kept; None where ``audit.keep`` is 0."""

    @property
    def tls_files(self) -> Sequence[TlsFiles]:
        """Files that are to be watched."""

    async def start(self) -> None:
        """Begin; never fails because a server is away."""

    async def close(self) -> None:
        """Let go of all."""

    def prepare(self, sites: Sequence[SiteSettings]) -> Callable[[], None]:
        """Read what of another file concerns stores that run: limits, keys, certificates; and return what adopts it.

        Raises:
            SettingsError: a key or a file cannot be used.
        """

    async def keep_only(self, served: Collection[OfClient]) -> None:
        """Forget logins under way at clients that are none of these; nobody could finish them."""

    def active_sessions(self) -> int:
        """Return the number of live sessions at once, for ``sessions_active``."""

    def throttle(self, settings: Settings) -> Throttle:
        """Say how many sign-ins failed of late, by the rules of one site; people of one issuer are counted once."""


def make_stores(
    sites: Sequence[SiteSettings], *, clock: Clock, observer: Observer, live: LiveStreams
) -> MemoryStores | RedisStores:
    """Return the stores that ``sessions.store`` names, for all sites; nothing is asked before ``start``.

    Raises:
        SettingsError: a key or a file of ``sessions.redis`` cannot be used.
    """
    settings = sites[0].settings
    if settings.sessions.store != "redis":
        return MemoryStores(settings, clock=clock, observer=observer, live=live)
    from proxy.redis_stores import RedisStores  # noqa: PLC0415 - a tenth of a start, and most have no Redis

    return RedisStores(sites, clock=clock, observer=observer, live=live)


class MemoryStores:
    """Everything in this process."""

    def __init__(self, settings: Settings, *, clock: Clock, observer: Observer, live: LiveStreams) -> None:
        """Begin empty."""
        limits = slices.memory_limits(settings)
        self.sessions = MemorySessionStore(clock, live=live, observer=observer, limits=limits)
        self.authentications = MemoryAuthenticationStore(clock)
        self.kept = MemoryKeptRequests(clock, random_bytes=secrets.token_bytes)
        self._clock = clock
        self.leases = MemoryRefreshLeases()
        kept = slices.audit_memory_limits(settings)
        self.audit = None if kept is None else MemoryAuditTrail(kept, clock=clock)
        self.tls_files: Sequence[TlsFiles] = ()

    async def start(self) -> None:
        """Begin to sweep."""
        self.sessions.start()

    async def close(self) -> None:
        """Stop sweeping; the sessions go with the process."""
        await self.sessions.close()

    def prepare(self, sites: Sequence[SiteSettings]) -> Callable[[], None]:
        """Return what adopts the limits."""
        return partial(self.sessions.adopt, slices.memory_limits(sites[0].settings))

    async def keep_only(self, served: Collection[OfClient]) -> None:
        """Forget the logins of others."""
        await self.authentications.keep_only(served)

    def active_sessions(self) -> int:
        """Return the number of sessions here."""
        return self.sessions.active_sessions()

    def throttle(self, settings: Settings) -> FailureThrottle:
        """Count failures by the rules of one site."""
        from proxy.page_slices import throttle_rules  # noqa: PLC0415 - nobody signs in before the first page
        from proxy.sessions.throttle import FailureThrottle  # noqa: PLC0415

        return FailureThrottle(self._failures, rules=throttle_rules(settings), digest=self._digest)

    @cached_property
    def _failures(self) -> MemoryFailures:
        from proxy.sessions.memory_throttle import MemoryFailures  # noqa: PLC0415 - as above

        return MemoryFailures(self._clock)

    @cached_property
    def _digest(self) -> Callable[[str], str]:
        from proxy.sessions.sealing import KEY_BYTES, Sealer  # noqa: PLC0415 - as above, and nothing else is sealed here

        return Sealer([secrets.token_bytes(KEY_BYTES)]).digest
