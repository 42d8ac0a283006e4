"""The stage: the real gate of a file, with a clock that stands still and a store that holds one session at most."""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING

from proxy import slices
from proxy.clock import SystemClock
from proxy.core.secret import Secret
from proxy.gate.accept import Acceptor
from proxy.gate.authenticate import Authenticator
from proxy.gate.handler import Gate
from proxy.gate.rules import GateParts
from proxy.observe.observer import ProductionObserver
from proxy.respond import Responder
from proxy.sessions.live import LiveStreamRegistry
from proxy.sessions.memory import MemoryLimits, MemorySessionStore
from proxy.sessions.memory_kept import MemoryKeptRequests

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from proxy.core.bearer import Bearer
    from proxy.core.narrowing import Narrowing
    from proxy.core.request import Headers
    from proxy.core.routing import TokenExchange
    from proxy.core.session import Session
    from proxy.gate.rules import GateRules
    from proxy.settings.model import Settings


class _Standstill:
    """A ``ports.Clock`` that stands still, so that nothing passes between the decision and its account."""

    def __init__(self) -> None:
        self._now, self._monotonic = SystemClock.now(), SystemClock.monotonic()

    def now(self) -> float:
        return self._now

    def monotonic(self) -> float:
        return self._monotonic


class _NeverRefreshed:
    """A ``ports.Refresher`` for tokens that nobody made: they are as good as they will ever be."""

    def ready(self, _session: Session) -> bool:
        return True

    async def fresh(self, _cookie_value: Secret, session: Session) -> Session | None:
        return session


class _Unsigned:
    """``ports.IdentityAssertion`` that needs no key: that one is sent is told, not what it is."""

    def signed(self, person: Session | Bearer, narrowing: Narrowing, *, host: str, now: float) -> bytes:  # noqa: ARG002
        return b"<assertion>"

    def key_set(self) -> Mapping[str, object]:
        return {"keys": []}


class _NotExchanged:
    """``ports.ExchangedTokens`` that asks nobody: every token is had at once, and none is one."""

    def at_once(self, _person: Session | Bearer, wanted: TokenExchange) -> Secret:
        return Secret(f"<token for {wanted.audience}>")

    async def eventually(self, person: Session | Bearer, wanted: TokenExchange) -> Secret:
        return self.at_once(person, wanted)


class _BlankPages:
    """``ports.Pages`` that nobody reads: of an answer only status and Location are told."""

    def render(self, name: str, **_: object) -> bytes:
        return f"the page {name}".encode()

    def language(self, languages: Sequence[str]) -> str:
        return next(iter(languages), "en")

    def speaks(self, tag: str) -> bool:
        return tag == "en"

    def headers(self, name: str) -> Headers:
        return ((b"X-Page", name.encode()),)


class Stage:
    """The gate of a file, with a store that is empty so far."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.clock = _Standstill()
        self.rules: GateRules = slices.gate_rules(settings)
        self.acceptor = Acceptor(slices.accept_rules(settings), random_bytes=secrets.token_bytes)
        observer = ProductionObserver(_nobody_reads, clock=self.clock)
        live = LiveStreamRegistry(observer)
        self.store = MemorySessionStore(self.clock, live=live, observer=observer, limits=MemoryLimits())
        authenticator = Authenticator(
            self.store,
            _NeverRefreshed(),
            home=slices.home(settings),
            clock=self.clock,
            observer=observer,
        )
        self.gate = Gate(
            self.rules,
            GateParts(
                acceptor=self.acceptor,
                authenticator=authenticator,
                kept=MemoryKeptRequests(self.clock, random_bytes=secrets.token_bytes),
                responder=Responder(_BlankPages()),
                observer=observer,
                clock=self.clock,
                assertion=None if settings.identity_headers.assertion is None else _Unsigned(),
                exchanged=_NotExchanged(),
            ),
        )


def _nobody_reads(_lines: bytes) -> None:
    """Take what the gate would log: all of it is said on the terminal."""
