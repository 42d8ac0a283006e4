"""A session store that can be away, around one that works."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from proxy.errors import StoreUnavailable
from proxy.ports import NotCached, Readiness

if TYPE_CHECKING:
    from proxy.core.secret import Secret
    from proxy.core.session import Session
    from proxy.ports import SessionStore

ASYNC_OPERATIONS = (
    "load",
    "last_seen",
    "create",
    "replace",
    "supersede",
    "heir",
    "delete",
    "delete_matching",
    "find",
    "count",
    "tombstone",
    "mark_ended",
    "has_ended",
    "standing",
    "jti_is_spent",
    "spend_jti",
)


class FailingSessionStore:
    """A ``proxy.ports.SessionStore`` that raises StoreUnavailable from every operation in ``away``.

    ``calls`` holds the name of each operation that was tried. As a store on the other side of a network does, it
    caches nothing while ``load`` is away.
    """

    def __init__(self, inner: SessionStore) -> None:
        """Begin reachable."""
        self.inner = inner
        self.away: set[str] = set()
        self.calls: list[str] = []

    def go_away(self) -> None:
        """Fail everything."""
        self.away = set(ASYNC_OPERATIONS)

    def come_back(self) -> None:
        """Fail nothing."""
        self.away = set()

    def cached(self, cookie_value: Secret) -> Session | NotCached | None:
        """Say that the store must be asked, while it is away."""
        return NotCached.NOT_CACHED if "load" in self.away else self.inner.cached(cookie_value)

    def readiness(self) -> Readiness:
        """Say that it is away while anything is."""
        return Readiness(is_ready=False, detail="the store is away") if self.away else self.inner.readiness()

    def touch(self, session: Session) -> None:
        """Touch never raises."""
        if not self.away:
            self.inner.touch(session)

    def __getattr__(self, name: str) -> Any:
        """Wrap each asynchronous operation of the Protocol."""
        if name not in ASYNC_OPERATIONS:
            raise AttributeError(name)

        async def operation(*args: Any, **named: Any) -> Any:
            self.calls.append(name)
            if name in self.away:
                raise StoreUnavailable(f"{name}: the store is away")
            return await getattr(self.inner, name)(*args, **named)

        return operation
