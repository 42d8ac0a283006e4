r"""What the dialogues of the data path are held with: a gatekeeper of few words, a raw client, the path between.

::

    async with serving(upstream, on=loop) as path:
        client = await path.client()
        await client.send(b"GET / HTTP/1.1\r\nHost: app\r\n\r\n")
        assert (await client.answer()).status == 200
"""

from __future__ import annotations

import asyncio
import contextlib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from proxy.core.answer import Answer
from proxy.core.policy import Allow, decide
from proxy.core.routing import AUTHENTICATED, PUBLIC
from proxy.core.secret import Secret
from proxy.core.session import EndCause, SessionKey, session_key
from proxy.errors import (
    BodyTooLarge,
    ClientTooSlow,
    HeadTooLarge,
    RightsLost,
    SessionEnded,
    SidegateError,
    StreamsFull,
    TargetTooLong,
    UpstreamFault,
    UpstreamTimeout,
)
from proxy.forward.framing import FRAMING_FIELDS
from proxy.forward.options import ForwardOptions, TcpAddress, UpstreamOptions
from proxy.forward.origin import Origin
from proxy.forward.served import Served
from proxy.forward.server import DataPath
from proxy.ports import Admission, Forward, OwnPage, Reply, RequestEvent
from tests.support.clocks import START, FakeClock
from tests.support.sessions import make_bearer, make_session

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Awaitable, Callable, Collection

    from proxy.core.bearer import Bearer
    from proxy.core.request import Headers, RequestHead
    from proxy.core.session import Session
    from proxy.ports import OpenStream

PATIENCE_S = 5.0
"""How long a test waits for what must come."""

ALICES_COOKIE = Secret("alices-cookie")
ALICE = session_key(ALICES_COOKIE)
DEFAULTS = ForwardOptions()


@dataclass(frozen=True)
class PlainPlan:
    """An answer plan that leaves the head as it is, and may add a field."""

    added: Headers = ()

    def apply(self, status: int, headers: Headers) -> Headers:
        return (*headers, *self.added)


STATUS_OF_FAULT: dict[type[SidegateError], int] = {
    TargetTooLong: 414,
    HeadTooLarge: 431,
    BodyTooLarge: 413,
    ClientTooSlow: 408,
    UpstreamTimeout: 504,
    UpstreamFault: 502,
    SessionEnded: 401,
    RightsLost: 403,
    StreamsFull: 503,
}


def new_event() -> RequestEvent:
    return RequestEvent(request_id="r", started_at=0.0)


@dataclass
class FewWords:
    """A gatekeeper: ``/own…`` is an own page, ``/reply`` is answered, everything else goes to the upstream ``app``.

    Attributes:
        allow: whose requests they are; nobody's unless :meth:`knows_alice` was called.
    """

    heads: list[RequestHead] = field(default_factory=list)
    faults: list[SidegateError] = field(default_factory=list)
    ended: list[RequestEvent] = field(default_factory=list)
    allow: Allow = field(default_factory=lambda: _allow(None))
    plan: PlainPlan = PlainPlan()
    wait: Callable[[], Awaitable[object]] | None = None

    def knows_alice(self) -> None:
        """From now on every request is of Alice's session."""
        self.allow = _allow(make_session(ALICES_COOKIE))

    def knows_a_token(self) -> SessionKey:
        """From now on every request shows this token; returns the key of its streams."""
        bearer = make_bearer(Secret("header.payload.signature"))
        self.allow = _allow(bearer)
        return bearer.key

    def admit(self, head: RequestHead) -> Admission | Awaitable[Admission]:
        self.heads.append(head)
        if self.wait is not None:
            return self._admit_later(head)
        return self.admission(head)

    async def _admit_later(self, head: RequestHead) -> Admission:
        assert self.wait is not None
        await self.wait()
        return self.admission(head)

    def admission(self, head: RequestHead) -> Admission:
        if head.target.startswith(b"/own"):
            return OwnPage(method=head.method, target=head.target, headers=_end_to_end(head), event=new_event())
        if head.target.startswith(b"/reply"):
            return Reply(answer=Answer(401, ((b"Content-Type", b"text/plain"),), b"who?"), event=new_event())
        return self.forward(head)

    def forward(self, head: RequestHead, **changes: Any) -> Forward:
        upgrade = head.value(b"upgrade")
        values: dict[str, Any] = {
            "allow": self.allow,
            "upstream": "app",
            "method": head.method,
            "target": head.target,
            "headers": _end_to_end(head),
            "answer": self.plan,
            "event": new_event(),
            "upgrade": b"websocket" if upgrade == b"websocket" else None,
            "cookie_value": None if self.allow.session is None else ALICES_COOKIE,
        }
        return Forward(**{**values, **changes})

    def fault(self, error: SidegateError, head: RequestHead | None, event: RequestEvent | None) -> Reply:
        self.faults.append(error)
        status = next((code for kind, code in STATUS_OF_FAULT.items() if isinstance(error, kind)), 400)
        event = event or new_event()
        event.fault = error.reason
        answer = Answer(status, ((b"Content-Type", b"text/plain"),), error.reason.encode())
        return Reply(answer=answer, event=event)

    def finished(self, event: RequestEvent) -> None:
        self.ended.append(event)

    async def ends(self, count: int) -> list[RequestEvent]:
        """Wait until so many exchanges have ended."""
        await until(lambda: len(self.ended) >= count)
        return self.ended


def _allow(session: Session | Bearer | None) -> Allow:
    allow = decide(PUBLIC if session is None else AUTHENTICATED, session, START)
    assert isinstance(allow, Allow)
    return allow


def _end_to_end(head: RequestHead) -> Headers:
    return tuple(field for field in head.headers if field[0].lower() not in FRAMING_FIELDS)


@dataclass
class Streams:
    """Open streams of sessions, as ``sessions`` keeps them."""

    open: dict[SessionKey, set[OpenStream]] = field(default_factory=dict)
    bearers: list[Bearer] = field(default_factory=list)

    def opened(self, stream: OpenStream, key: SessionKey) -> None:
        self.open.setdefault(key, set()).add(stream)

    def opened_by_bearer(self, stream: OpenStream, bearer: Bearer) -> None:
        self.bearers.append(bearer)
        self.opened(stream, bearer.key)

    def over(self, stream: OpenStream, key: SessionKey) -> None:
        self.open.get(key, set()).discard(stream)

    def session_ended(self, key: SessionKey, cause: EndCause) -> int:
        closing = self.open.pop(key, set())
        for stream in closing:
            stream.end(SessionEnded(cause.value))
        return len(closing)

    def end(self, key: SessionKey, fault: SidegateError) -> None:
        for stream in self.open.pop(key):
            stream.end(fault)

    def session_changed(self, session: Session, now: float) -> int:
        raise AssertionError("no store is here")

    def in_doubt(self, key: SessionKey) -> None:
        raise AssertionError("no store is here")

    def bearers_in_doubt(self) -> None:
        raise AssertionError("no store is here")

    def all_in_doubt(self) -> None:
        raise AssertionError("no store is here")

    def session_keys(self) -> Collection[SessionKey]:
        return self.open.keys()

    def count(self, key: SessionKey = ALICE) -> int:
        return len(self.open.get(key, ()))


async def until(holds: Callable[[], object], *, within_s: float = PATIENCE_S) -> None:
    """Wait until ``holds()`` is true."""
    async with asyncio.timeout(within_s):
        while not holds():  # noqa: ASYNC110  what is waited for has no event
            await asyncio.sleep(0.002)


@dataclass
class Received:
    """One answer as a client read it."""

    status: int
    line: bytes
    fields: list[tuple[bytes, bytes]]
    body: bytes = b""

    def values(self, name: bytes) -> list[bytes]:
        return [value for given, value in self.fields if given.lower() == name.lower()]


class RawClient:
    """A client that sends the bytes it is told to and reads answers strictly."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    async def send(self, data: bytes) -> None:
        self.writer.write(data)
        async with asyncio.timeout(PATIENCE_S):
            await self.writer.drain()

    async def ask(self, data: bytes, *, method: bytes = b"GET") -> Received:
        await self.send(data)
        return await self.answer(method=method)

    async def head(self) -> Received:
        async with asyncio.timeout(PATIENCE_S):
            raw = await self.reader.readuntil(b"\r\n\r\n")
        line, *rest = raw.removesuffix(b"\r\n\r\n").split(b"\r\n")
        pairs = [field.partition(b": ") for field in rest]
        return Received(int(line.split(b" ")[1]), line, [(name, value) for name, _, value in pairs])

    async def answer(self, *, method: bytes = b"GET") -> Received:
        """Read one answer whole."""
        answer = await self.head()
        if method == b"HEAD" or answer.status in {204, 304} or answer.status < 200:
            return answer
        async with asyncio.timeout(PATIENCE_S):
            if answer.values(b"transfer-encoding") == [b"chunked"]:
                assert not answer.values(b"content-length")
                answer.body = b"".join([chunk async for chunk in self.chunks()])
            elif lengths := answer.values(b"content-length"):
                answer.body = await self.reader.readexactly(int(lengths[0]))
            else:
                answer.body = await self.reader.read()
        return answer

    async def chunks(self) -> AsyncGenerator[bytes, None]:
        while chunk := await self.chunk():
            yield chunk

    async def chunk(self) -> bytes:
        async with asyncio.timeout(PATIENCE_S):
            size = int((await self.reader.readuntil(b"\r\n")).strip(), 16)
            data = await self.reader.readexactly(size + 2)
        assert data.endswith(b"\r\n")
        return data[:-2]

    async def ended(self) -> bytes:
        """Read to the end and return what came; a reset is an end too."""
        received = b""
        async with asyncio.timeout(PATIENCE_S):
            with contextlib.suppress(ConnectionError):
                while data := await self.reader.read(65536):
                    received += data
        return received

    def close(self) -> None:
        self.writer.close()

    def reset(self) -> None:
        self.writer.transport.abort()


@dataclass
class Path:
    """A data path that serves, with its parts in the hand of the test."""

    data_path: DataPath
    gate: FewWords
    streams: Streams
    clock: FakeClock
    clients: list[RawClient] = field(default_factory=list)

    async def client(self) -> RawClient:
        client = RawClient(*await asyncio.open_connection("127.0.0.1", self.data_path.port, limit=2**20))
        self.clients.append(client)
        return client


class NoOwnPages(Origin):
    """Where no own page is asked for."""

    def __init__(self) -> None:
        super().__init__(UpstreamOptions(address=TcpAddress("127.0.0.1", 1)))


@contextlib.asynccontextmanager
async def serving(
    port: int,
    *,
    options: ForwardOptions = DEFAULTS,
    own_pages: Origin | None = None,
    upstream: UpstreamOptions | None = None,
) -> AsyncGenerator[Path, None]:
    """Serve on a free port in front of ``port``."""
    gate, streams, clock = FewWords(), Streams(), FakeClock()
    data_path = DataPath(
        Served(
            gatekeeper=gate,
            upstreams={"app": upstream or UpstreamOptions(address=TcpAddress("127.0.0.1", port))},
            own_pages={"": own_pages or NoOwnPages()},
        ),
        live=streams,
        options=options,
        clock=clock,
    )
    await data_path.start("127.0.0.1:0")
    path = Path(data_path, gate, streams, clock)
    try:
        yield path
    finally:
        for client in path.clients:
            client.close()
        await data_path.drain(0.0)
