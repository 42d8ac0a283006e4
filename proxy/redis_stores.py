"""Sessions, logins, forms, failures, leases and the audit trail in Redis, shared by all replicas.

A part of the composition root, beside ``stores.py``: imported only where ``sessions.store`` is ``redis``.
"""

from __future__ import annotations

import contextlib
import secrets
from typing import TYPE_CHECKING, Final

from proxy import page_slices, redis_slices, slices
from proxy.errors import StoreUnavailable
from proxy.observe.audit_redis import RedisAuditTrail
from proxy.sessions.cache import SessionCache
from proxy.sessions.ledger import Ledger
from proxy.sessions.recovery import RecoveringStore, Recovery
from proxy.sessions.redis import RedisSessionStore
from proxy.sessions.redis_authentication import RedisAuthenticationStore
from proxy.sessions.redis_connection import RedisConnection
from proxy.sessions.redis_kept import RedisKeptRequests
from proxy.sessions.redis_lease import RedisRefreshLeases
from proxy.sessions.redis_throttle import RedisFailures
from proxy.sessions.redis_workings import RedisStoreParts
from proxy.sessions.sealing import Sealer
from proxy.sessions.throttle import FailureThrottle
from proxy.sessions.tracking import Tracking
from proxy.tasks import TaskOwner

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Sequence

    from proxy.certificates import TlsFiles
    from proxy.core.authentication import OfClient
    from proxy.ports import Clock, LiveStreams, Observer
    from proxy.settings.model import Settings
    from proxy.settings.portals import SiteSettings

MAX_CACHED: Final = 50_000
"""Sessions of Redis that one replica keeps decoded; whoever is beyond costs a round trip now and then."""

MAX_CACHED_BYTES: Final = 256 * 1024 * 1024
"""Bytes of them together, about: with tokens of 3 KiB each session takes 15, so this comes first when all are large."""


class RedisStores:
    """Everything in Redis, with what this replica keeps of it.

    Attributes:
        connection: to Redis; the audit trail goes over it too.
        sessions: the store in Redis, behind what it may have missed or lost.
        sealer: of what lies there.
    """

    def __init__(self, sites: Sequence[SiteSettings], *, clock: Clock, observer: Observer, live: LiveStreams) -> None:
        """Connect to nothing yet.

        Raises:
            SettingsError: a key or a file cannot be used.
        """
        settings = sites[0].settings
        tls = redis_slices.redis_tls(settings)
        self.tls_files: Sequence[TlsFiles] = () if tls is None else (tls,)
        self.sealer = Sealer(slices.encryption_keys(settings))
        self.connection = RedisConnection(redis_slices.redis_options(settings, tls), observer, clock)
        parts = RedisStoreParts(
            clock=clock,
            observer=observer,
            live=live,
            cache=SessionCache(MAX_CACHED, MAX_CACHED_BYTES),
            max_cached=MAX_CACHED,
            max_per_user=settings.sessions.max_per_user,
        )
        self._clock = clock
        self._observer = observer
        self._kept = RedisSessionStore(self.connection, self.sealer, parts=parts, tracking=self._make_tracking)
        self._recovery = Recovery(Ledger(), self._kept, observer=observer, clock=clock)
        self.sessions = RecoveringStore(self._kept, self._recovery, clock=clock, live=live)
        self.authentications = RedisAuthenticationStore(self.connection, self.sealer, clock=clock, observer=observer)
        self._served = tuple(client for one in sites for client in slices.served_clients(one.settings))
        self._tasks = TaskOwner(lambda fault: observer.error("old logins were not looked through", fault=repr(fault)))
        self.kept = RedisKeptRequests(
            self.connection, self.sealer, clock=clock, observer=observer, random_bytes=secrets.token_bytes
        )
        self._failures = RedisFailures(self.connection, clock)
        self.leases = RedisRefreshLeases(self.connection, clock=clock, observer=observer)
        self.audit = self._make_audit(settings)

    def _make_audit(self, settings: Settings) -> RedisAuditTrail | None:
        kept = redis_slices.audit_redis_limits(settings)
        if kept is None:
            return None
        return RedisAuditTrail(self.connection, self.sealer, limits=kept, clock=self._clock, observer=self._observer)

    def _make_tracking(self, store: RedisSessionStore) -> Tracking:
        self._tracking = Tracking(
            self.connection,
            store,
            observer=self._observer,
            clock=self._clock,
            on_new_primary=self._repeat,
        )
        return self._tracking

    def _repeat(self) -> None:
        self._recovery.primary_changed()

    async def start(self) -> None:
        """Connect and hear of changes; serves by asking for each request while that is not so."""
        await self.connection.start()
        await self._tracking.start()
        self._kept.start()
        self._recovery.start()
        if self.audit is not None:
            self.audit.start()
        _ = self._tasks.start(self.keep_only(self._served))

    async def keep_only(self, served: Collection[OfClient]) -> None:
        """Forget logins at a client that the file does not have any more; nobody could finish them."""
        with contextlib.suppress(StoreUnavailable):
            # If not now, then never: they expire in half an hour, and no other client takes them.
            await self.authentications.keep_only(served)

    def prepare(self, sites: Sequence[SiteSettings]) -> Callable[[], None]:
        """Return what adopts keys, certificates and limits; connections that stand keep theirs.

        Raises:
            SettingsError: a key or a file cannot be used.
        """
        settings = sites[0].settings
        keys, take_tls = slices.encryption_keys(settings), [files.prepared() for files in self.tls_files]

        def adopt() -> None:
            self.sealer.adopt(keys)
            self._kept.adopt(max_per_user=settings.sessions.max_per_user)
            for take in take_tls:
                take()

        return adopt

    async def close(self) -> None:
        """Write what waits, then let go of the connections."""
        await self._tasks.close()
        if self.audit is not None:
            await self.audit.close()
        await self.leases.close()
        await self._recovery.close()
        await self._kept.close()
        await self._tracking.close()
        await self.connection.close()

    def throttle(self, settings: Settings) -> FailureThrottle:
        """Count failures of all replicas by the rules of one site."""
        return FailureThrottle(self._failures, rules=page_slices.throttle_rules(settings), digest=self.sealer.digest)

    def active_sessions(self) -> int:
        """Return the number of sessions of all replicas."""
        return self._kept.active_sessions()
