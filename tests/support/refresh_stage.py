"""Replicas that refresh the same sessions, among fakes: one clock, one provider, one store, leases that all share."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, cast

from proxy.core.refresh import RefreshPolicy
from proxy.core.secret import Secret
from proxy.errors import StoreUnavailable
from proxy.sessions.fresh_tokens import RefreshParts
from proxy.sessions.live import LiveStreamRegistry
from proxy.sessions.memory import MemoryLimits, MemorySessionStore
from proxy.sessions.refresher import SessionRefresher
from proxy.tasks import TaskOwner
from tests.support.clocks import FakeClock
from tests.support.observers import RecordingObserver
from tests.support.provider_fakes import HandLedProvider
from tests.support.sessions import make_grant, make_session, make_tokens
from tests.support.stores import FailingSessionStore

if TYPE_CHECKING:
    from proxy.core.session import Session, SessionKey
    from proxy.core.tokens import Grant

A = Secret("cookie-a")
SOON_AFTER = 256.0
"""Seconds after which every session is refreshed early: the jitter takes at most a quarter of the sixty."""
OVER_AFTER = 301.0


class ContestedLease:
    """A lease that a test can take away."""

    def __init__(self, leases: ContestedLeases, key: SessionKey) -> None:
        """Hold it."""
        self._leases = leases
        self._key = key

    def is_held(self) -> bool:
        """Say whether it is still ours."""
        return self._leases.held.get(self._key) is self

    async def release(self) -> None:
        """Give it back if it is ours."""
        if self.is_held():
            del self._leases.held[self._key]


class ContestedLeases:
    """``ports.RefreshLeases`` of replicas in one process; ``is_away`` makes it raise, ``held`` is what is held."""

    def __init__(self) -> None:
        """Begin with none held."""
        self.held: dict[SessionKey, ContestedLease] = {}
        self.is_away = False

    async def acquire(self, key: SessionKey) -> ContestedLease | None:
        """Take it unless it is held."""
        await asyncio.sleep(0)
        if self.is_away:
            raise StoreUnavailable("lease_take: the store is away")
        if key in self.held:
            return None
        lease = self.held[key] = ContestedLease(self, key)
        return lease

    def lose(self, key: SessionKey) -> None:
        """Let a lease lapse, as when its holder stood still."""
        del self.held[key]


class RefreshStage:
    """Refreshers of one session store; ``refresher`` is that of the first replica."""

    def __init__(self) -> None:
        """Begin with one replica and nobody signed in."""
        self.requests = TaskOwner(lambda _: None)
        self.clock = FakeClock()
        self.observer = RecordingObserver()
        self.provider = HandLedProvider(self.next_grant)
        self.leases = ContestedLeases()
        memory = MemorySessionStore(
            self.clock, live=LiveStreamRegistry(self.observer), observer=self.observer, limits=MemoryLimits()
        )
        self.store = FailingSessionStore(memory)
        self.replicas: list[SessionRefresher] = []
        self._sleeping: list[tuple[float, asyncio.Future[None]]] = []
        self.refresher = self.replica()

    @property
    def parts(self) -> RefreshParts:
        """What every replica is made of; whoever sleeps there wakes in :meth:`pass_time`."""
        return RefreshParts(
            provider=cast("Any", self.provider),
            store=cast("Any", self.store),
            leases=self.leases,
            clock=self.clock,
            observer=self.observer,
            sleep=self._sleep,
        )

    def replica(self, policy: RefreshPolicy | None = None, *, name: bytes = b"one") -> SessionRefresher:
        """One more replica."""
        made = SessionRefresher(self.parts, policy=policy or RefreshPolicy(), replica=name)
        self.replicas.append(made)
        return made

    def ask(
        self, session: Session, cookie: Secret = A, *, at: SessionRefresher | None = None
    ) -> asyncio.Task[Session | None]:
        """Begin a request that needs fresh tokens."""
        return self.requests.start((at or self.refresher).fresh(cookie, session))

    def next_grant(self, session: Session) -> Grant:
        """Make tokens that begin now, with the next numbers."""
        now = self.clock.now()
        tokens = make_tokens(
            session.version + 1, obtained_at=now, access_expires_at=now + 300, refresh_expires_at=now + 1800
        )
        return make_grant(session, tokens=tokens)

    async def sign_in(self, cookie: Secret = A, **changes: Any) -> Session:
        """Store a session made at START."""
        session = make_session(cookie, **changes)
        await self.store.create(cookie, session)
        return session

    async def settle(self) -> None:
        """Let what is in the background go on until it sleeps or ends."""
        for _ in range(40):
            await asyncio.sleep(0)

    async def pass_time(self, seconds: float) -> None:
        """Let both clocks go on, and wake whoever sleeps on the way at the right time."""
        end = self.clock.monotonic() + seconds
        await self.settle()
        while due := [one for one in self._sleeping if one[0] <= end]:
            wakes_at, woken = min(due, key=lambda one: one[0])
            self._sleeping.remove((wakes_at, woken))
            self.clock.advance(max(wakes_at - self.clock.monotonic(), 0))
            if not woken.done():
                woken.set_result(None)
            await self.settle()
        self.clock.advance(end - self.clock.monotonic())

    async def stored(self, cookie: Secret = A) -> Session | None:
        """What the store holds, whether it is away or not."""
        return await self.store.inner.load(cookie)

    async def end(self) -> None:
        """End everything."""
        self.provider.let_go()
        self.leases.held.clear()
        await self.pass_time(1)
        for one in self.replicas:
            await one.close()
        await self.requests.close()

    async def _sleep(self, seconds: float) -> None:
        woken = asyncio.get_running_loop().create_future()
        self._sleeping.append((self.clock.monotonic() + seconds, woken))
        await woken
