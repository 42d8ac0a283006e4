"""A gate with a real memory store and real pages; only time, the observer and the refresher are in the test's hand."""

from __future__ import annotations

import dataclasses
import secrets
from collections.abc import Awaitable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, cast

import pytest
from msgspec.structs import replace

from proxy import slices
from proxy.core.request import RequestHead
from proxy.core.secret import Secret
from proxy.errors import ProviderUnavailable
from proxy.gate.accept import Acceptor
from proxy.gate.authenticate import Authenticator
from proxy.gate.exchange import TokenExchanges
from proxy.gate.handler import Gate
from proxy.gate.rules import GateParts
from proxy.ports import Admission, Forward, Reply
from proxy.respond import Responder
from proxy.sessions.live import LiveStreamRegistry
from proxy.sessions.memory import MemoryLimits, MemorySessionStore
from proxy.sessions.memory_kept import MemoryKeptRequests
from proxy.settings.model import Settings
from tests.support.clocks import FakeClock
from tests.support.exchanger import ExchangerInHand
from tests.support.observers import RecordingObserver
from tests.support.own_pages import pages_of
from tests.support.sessions import make_session
from tests.support.stores import FailingSessionStore

if TYPE_CHECKING:
    from proxy.core.session import Session
    from proxy.ports import BearerTokens, Provider

HOST = (b"Host", b"app.example.com")
HTML = (b"Accept", b"text/html")


@dataclass
class RefresherInHand:
    """A ``ports.Refresher`` (fake) that a test tells what is fresh and what a refresh brings."""

    is_fresh: bool = True
    outcome: Session | ProviderUnavailable | None = None
    calls: list[str] = field(default_factory=list)

    def ready(self, _session: Session) -> bool:
        return self.is_fresh

    async def fresh(self, _cookie_value: Secret, _session: Session) -> Session | None:
        self.calls.append("fresh")
        if isinstance(self.outcome, ProviderUnavailable):
            raise self.outcome
        return self.outcome


class GateInHand:
    """A gate and all that a test may look at or bend."""

    def __init__(self, *, bearers: BearerTokens | None = None, **file: Any) -> None:
        self.clock = FakeClock()
        self.observer = RecordingObserver()
        self.refresher = RefresherInHand()
        limits = MemoryLimits()
        live = LiveStreamRegistry(self.observer)
        self.kept = MemoryKeptRequests(self.clock, random_bytes=secrets.token_bytes)
        self.store = FailingSessionStore(
            MemorySessionStore(self.clock, live=live, observer=self.observer, limits=limits)
        )
        settings = settings_of(**file)
        self.settings = settings
        authenticator = Authenticator(
            self.store,
            self.refresher,
            home=slices.home(settings),
            clock=self.clock,
            observer=self.observer,
        )
        self.exchanger = ExchangerInHand(self.clock)
        self.exchanges = TokenExchanges(cast("Provider", self.exchanger), clock=self.clock, observer=self.observer)
        live.hear(self.exchanges.forget)
        self.gate = Gate(
            slices.gate_rules(settings),
            GateParts(
                acceptor=Acceptor(slices.accept_rules(settings), random_bytes=secrets.token_bytes),
                authenticator=authenticator,
                kept=self.kept,
                responder=Responder(pages_of(slices.look(settings))),
                observer=self.observer,
                clock=self.clock,
                assertion=slices.identity_assertion(settings, clock=self.clock, observer=self.observer),
                exchanged=self.exchanges,
                bearers=bearers,
            ),
        )

    async def signed_in(self, *roles: str, **changes: Any) -> tuple[bytes, bytes]:
        """Make a session with these roles and return its Cookie field."""
        value = Secret(secrets.token_urlsafe(32))
        session = make_session(value, **changes)
        session = dataclasses.replace(session, identity=replace(session.identity, roles=frozenset(roles)))
        await self.store.create(value, session)
        return (b"Cookie", b"__Host-sidegate=" + value.reveal().encode())

    def head(
        self, target: bytes = b"/", *headers: tuple[bytes, bytes], method: bytes = b"GET", peer: str = "203.0.113.7"
    ) -> RequestHead:
        """Return a head that came by https."""
        fields = headers if any(name == b"Host" for name, _ in headers) else (HOST, *headers)
        return RequestHead(method=method, target=target, headers=fields, peer=peer, scheme="https")

    async def admit(
        self, target: bytes = b"/", *headers: tuple[bytes, bytes], method: bytes = b"GET", peer: str = "203.0.113.7"
    ) -> Admission:
        """Ask the gate, awaiting when it must."""
        admission = self.gate.admit(self.head(target, *headers, method=method, peer=peer))
        return await admission if isinstance(admission, Awaitable) else admission

    async def forwarded(self, *args: Any, **named: Any) -> Forward:
        admission = await self.admit(*args, **named)
        assert isinstance(admission, Forward), admission
        return admission

    async def refused(self, *args: Any, **named: Any) -> Reply:
        admission = await self.admit(*args, **named)
        assert isinstance(admission, Reply), admission
        return admission


def settings_of(**file: Any) -> Settings:
    """Return the smallest file that works, with these sections."""
    return Settings.model_validate(_file(file))


def _file(given: dict[str, Any]) -> dict[str, Any]:
    return {
        "server": {"public_url": "https://app.example.com", **given.pop("server", {})},
        "keycloak": {
            "issuer": "https://sso.example.com/realms/acme",
            "client_id": "legacy-app",
            "client_auth": {"secret": {"value": "s"}},
        },
        "upstreams": {"app": {"url": "http://127.0.0.1:8000"}},
        **given,
    }


@pytest.fixture
def make_gate() -> type[GateInHand]:
    return GateInHand


def header(reply: Reply, name: bytes) -> bytes | None:
    return next((value for key, value in reply.answer.headers if key.lower() == name), None)
