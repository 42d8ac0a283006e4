"""Operators at work in a test: a real store and trail in memory, people in it, time that stands still."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from proxy.core.secret import Secret
from proxy.observe.audit_memory import AuditMemoryLimits, MemoryAuditTrail
from proxy.sessions.live import LiveStreamRegistry
from proxy.sessions.memory import MemoryLimits, MemorySessionStore
from proxy.web.administration import AdministrationParts, ManagedSite, Operator, StoreAdministration
from tests.support.clocks import FakeClock
from tests.support.observers import RecordingObserver
from tests.support.sessions import ISSUER, make_session
from tests.support.stores import FailingSessionStore

if TYPE_CHECKING:
    from proxy.core.session import Session

OPERATOR = Operator("command")


@dataclass
class Office:
    """Everything that an operator may look at."""

    clock: FakeClock
    observer: RecordingObserver
    sessions: FailingSessionStore
    trail: MemoryAuditTrail
    parts: AdministrationParts

    @property
    def administration(self) -> StoreAdministration:
        """What a command has in hand."""
        return StoreAdministration(self.parts, OPERATOR)

    async def signed_in(self, cookie: str, **changes: Any) -> Session:
        """Store a session."""
        value = Secret(cookie)
        session = make_session(value, **changes)
        await self.sessions.create(value, session)
        return session

    async def is_live(self, cookie: str) -> bool:
        return await self.sessions.load(Secret(cookie)) is not None


def make_office(**changes: Any) -> Office:
    """An office with nobody signed in."""
    clock, observer = FakeClock(), RecordingObserver()
    live = LiveStreamRegistry(observer)
    memory = MemorySessionStore(clock, live=live, observer=observer, limits=MemoryLimits())
    sessions, trail = FailingSessionStore(memory), MemoryAuditTrail(AuditMemoryLimits(keep_s=86400.0), clock=clock)
    members: dict[str, Any] = {
        "sites": (ManagedSite("", ISSUER, "legacy-app", b"k" * 32),),
        "sessions": sessions,
        "trail": trail,
        "observer": observer,
        "clock": clock,
    }
    return Office(clock, observer, sessions, trail, AdministrationParts(**{**members, **changes}))
