"""The course that every trial runs: a real data path, a real gate with one public route, and an upstream that logs."""

from __future__ import annotations

import secrets
from collections.abc import Awaitable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from proxy import slices
from proxy.forward.options import ForwardOptions, TcpAddress, UpstreamOptions
from proxy.forward.served import Served
from proxy.forward.server import DataPath
from proxy.gate.accept import Acceptor
from proxy.gate.authenticate import Authenticator
from proxy.gate.handler import Gate
from proxy.gate.rules import GateParts
from proxy.respond import Responder
from proxy.sessions.live import LiveStreamRegistry
from proxy.sessions.memory import MemoryLimits, MemorySessionStore
from proxy.sessions.memory_kept import MemoryKeptRequests
from proxy.settings.model import Settings
from tests.forward.dialogue import NoOwnPages, Streams
from tests.fuzz.wire import Log, Script, connect, settle
from tests.gate.conftest import RefresherInHand
from tests.support.clocks import FakeClock
from tests.support.observers import RecordingObserver
from tests.support.own_pages import pages_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from proxy.core.request import RequestHead
    from proxy.errors import SidegateError
    from proxy.ports import Admission, Reply, RequestEvent
    from tests.fuzz.wire import Sender

PUBLIC_SITE = {
    "server": {"public_url": "http://app.example.com"},
    "keycloak": {
        "issuer": "https://sso.example.com/realms/acme",
        "client_id": "legacy-app",
        "client_auth": {"secret": {"value": "s"}},
    },
    "upstreams": {"app": {"url": "http://127.0.0.1:8000"}},
    "routes": [{"path": "/**", "access": "public"}],
}
PATIENT = ForwardOptions(linger_timeout_s=0.3)


def make_gate(observer: RecordingObserver) -> Gate:
    """Return a real gate in front of one public route."""
    settings = Settings.model_validate(PUBLIC_SITE)
    clock = FakeClock()
    live = LiveStreamRegistry(observer)
    store = MemorySessionStore(clock, live=live, observer=observer, limits=MemoryLimits())
    return Gate(
        slices.gate_rules(settings),
        GateParts(
            acceptor=Acceptor(slices.accept_rules(settings), random_bytes=secrets.token_bytes),
            authenticator=Authenticator(
                store, RefresherInHand(), home=slices.home(settings), clock=clock, observer=observer
            ),
            kept=MemoryKeptRequests(clock, random_bytes=secrets.token_bytes),
            responder=Responder(pages_of(slices.look(settings))),
            observer=observer,
            clock=clock,
        ),
    )


@dataclass(slots=True)
class Admitted:
    """A head that reached the gate, and what the gate said."""

    head: RequestHead
    admission: Admission

    @property
    def id(self) -> bytes:
        return self.admission.event.request_id.encode()


class Witness:
    """A gatekeeper that asks the real one and remembers all of it."""

    def __init__(self, gate: Gate) -> None:
        self.gate = gate
        self.admitted: list[Admitted] = []
        self.faults: list[tuple[SidegateError, RequestHead | None, Reply]] = []
        self.ended: list[RequestEvent] = []

    def begin(self) -> None:
        self.admitted, self.faults, self.ended = [], [], []

    def admit(self, head: RequestHead) -> Admission | Awaitable[Admission]:
        admission = self.gate.admit(head)
        assert not isinstance(admission, Awaitable), "a public route asks nobody"
        self.admitted.append(Admitted(head, admission))
        return admission

    def fault(self, error: SidegateError, head: RequestHead | None, event: RequestEvent | None) -> Reply:
        reply = self.gate.fault(error, head, event)
        self.faults.append((error, head, reply))
        return reply

    def finished(self, event: RequestEvent) -> None:
        self.ended.append(event)
        self.gate.finished(event)


class Course:
    """A data path with its upstream; ``script`` says what the upstream answers."""

    def __init__(self, script: Callable[[bytes], Script]) -> None:
        self._observer = RecordingObserver()
        self._data_path: DataPath | None = None
        self.witness = Witness(make_gate(self._observer))
        self.log = Log(script)

    async def start(self) -> None:
        await self.log.start()
        self._data_path = DataPath(
            Served(
                gatekeeper=self.witness,
                upstreams={"app": UpstreamOptions(address=TcpAddress("127.0.0.1", self.log.port), idle_s=60.0)},
                own_pages={"": NoOwnPages()},
            ),
            live=Streams(),
            options=PATIENT,
            clock=FakeClock(),
        )
        await self._data_path.start("127.0.0.1:0")

    async def stop(self) -> None:
        if self._data_path is not None:
            await self._data_path.drain(0.0)
        self.log.stop()

    @property
    def port(self) -> int:
        """Of the front door."""
        assert self._data_path is not None
        return self._data_path.port

    async def client(self) -> Sender:
        """Connect to the front door."""
        return await connect(self.port)

    def begin(self) -> None:
        """Forget the trial before."""
        self.witness.begin()
        self.log.begin()
        self._observer.requests.clear()

    def is_answering(self) -> bool:
        """Say whether the upstream has more to write."""
        return not self.log.is_settled

    async def settled(self) -> bool:
        """Wait until no client is left and nothing is under way at the upstream; False when that does not come."""
        data_path = self._data_path
        assert data_path is not None
        return await settle(lambda: not data_path.open_connections and self.log.is_settled)
