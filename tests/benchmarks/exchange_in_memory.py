"""One authenticated request and its answer, from the bytes read to the bytes written, without a socket.

Everything is what ``sidegate run`` wires, but the transports, the clock and the sink of the log.
"""

from __future__ import annotations

import asyncio
import dataclasses
import os
import secrets
from typing import TYPE_CHECKING, Any

from msgspec.structs import replace

from proxy.app import Sidegate
from proxy.core.secret import Secret
from proxy.forward.options import ForwardOptions, TcpAddress, UpstreamOptions
from proxy.forward.served import Served
from proxy.forward.server import DataPath
from proxy.observe.observer import ProductionObserver
from proxy.oidc.jwks import parse_keys
from proxy.settings.load import one_site
from proxy.settings.model import Settings
from tests.forward.dialogue import NoOwnPages
from tests.oidc.signing import jwk, sign
from tests.support.clocks import START, FakeClock
from tests.support.sessions import make_session

if TYPE_CHECKING:
    from collections.abc import Iterable

ISSUER = "http://127.0.0.1:8080/realms/acme"
SETTINGS = {
    "server": {"public_url": "http://127.0.0.1:4180"},
    "keycloak": {
        "issuer": ISSUER,
        "client_id": "legacy-app",
        "client_auth": {"secret": {"value": "s"}},
    },
    "upstreams": {"app": {"url": "http://127.0.0.1:8000"}},
    "routes": [
        {"path": "/static/**", "access": "public"},
        {"path": "/admin/**", "access": {"any_role": ["admin"]}},
        {"path": "/**", "access": "authenticated"},
    ],
}

ANSWER = (
    b"HTTP/1.1 200 OK\r\nServer: nginx\r\nDate: Sat, 21 Nov 2026 10:00:00 GMT\r\nContent-Type: text/plain\r\n"
    b"Content-Length: 1024\r\nLast-Modified: Sat, 21 Nov 2026 09:00:00 GMT\r\nConnection: keep-alive\r\n"
    b'ETag: "67aa-400"\r\nAccept-Ranges: bytes\r\n\r\n' + b"x" * 1024
)


class TransportInMemory(asyncio.Transport):
    """Keeps what is written; nothing ever waits."""

    def __init__(self) -> None:
        super().__init__({"peername": ("127.0.0.1", 54321), "socket": _Socket()})
        self.written: list[bytes] = []

    def write(self, data: Any) -> None:
        self.written.append(bytes(data))

    def writelines(self, parts: Iterable[Any]) -> None:
        self.written.append(b"".join(parts))

    def is_closing(self) -> bool:
        return False

    def get_write_buffer_size(self) -> int:
        return 0

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        pass

    def pause_reading(self) -> None:
        pass

    def resume_reading(self) -> None:
        pass

    def close(self) -> None:
        pass

    def abort(self) -> None:
        pass


class _Socket:
    def fileno(self) -> int:
        return _DEVICE

    def __getattr__(self, _name: str) -> Any:
        return lambda *_arguments: None


_DEVICE = os.open(os.devnull, os.O_RDONLY | os.O_CLOEXEC)


class ExchangeInMemory:
    """A client's connection and an idle one to the upstream; :meth:`once` asks and answers."""

    def __init__(self) -> None:
        settings = Settings.model_validate(SETTINGS)
        clock = FakeClock()
        self.observer = ProductionObserver(lambda _lines: None, clock=clock)
        self._wired = Sidegate(one_site(settings), clock=clock, observer=self.observer)
        self._data_path = DataPath(
            Served(
                gatekeeper=self._wired.sites.served().gatekeeper,
                upstreams={"app": UpstreamOptions(address=TcpAddress("127.0.0.1", 8000))},
                own_pages={"": NoOwnPages()},
            ),
            live=self._wired.live,
            options=ForwardOptions(),
            clock=clock,
        )
        self.at_client, self.at_upstream = TransportInMemory(), TransportInMemory()
        self._client = self._data_path._accept()
        self._client.connection_made(self.at_client)
        origin = self._data_path._origins["app"]
        self._upstream = origin.new_connection()
        self._upstream.connection_made(self.at_upstream)
        origin.give_back(self._upstream)

    async def request_of_somebody_signed_in(self) -> bytes:
        """Make a session and return the bytes of a request with its cookie."""
        value = Secret(secrets.token_urlsafe(32))
        session = make_session(value)
        who = replace(
            session.identity,
            issuer=ISSUER,
            email="a@b.test",
            email_is_verified=True,
            name="Alice",
            roles=frozenset({"editor"}),
        )
        await self._wired.stores.sessions.create(value, dataclasses.replace(session, identity=who))
        return (
            b"GET /small HTTP/1.1\r\nHost: 127.0.0.1:4180\r\nUser-Agent: bench\r\nAccept: */*\r\n"
            b"Accept-Language: en\r\nCookie: sidegate=" + value.reveal().encode() + b"\r\n\r\n"
        )

    async def request_of_an_api_client(self) -> bytes:
        """Sign a token, have it verified, and return the bytes of a request that shows it."""
        site = self._wired.sites.current[0]
        keys = parse_keys({"keys": [jwk("RSA-2048")]}, "http://127.0.0.1:8080/certs", allowed={"RS256"})
        site.provider._keys.value = keys
        claims = {"iss": ISSUER, "aud": "legacy-app", "sub": "alice-id", "typ": "Bearer", "sid": "s-1"}
        times = {"iat": START, "exp": START + 300, "realm_access": {"roles": ["editor"]}}
        token = sign({**claims, **times, "preferred_username": "alice"})
        bearers = site.gate._parts.bearers
        assert bearers is not None
        await bearers.verified(Secret(token), peer="127.0.0.1")
        return (
            b"GET /small HTTP/1.1\r\nHost: 127.0.0.1:4180\r\nUser-Agent: bench\r\nAccept: */*\r\n"
            b"Accept-Language: en\r\nAuthorization: Bearer " + token.encode() + b"\r\n\r\n"
        )

    def once(self, request: bytes) -> bytes:
        """Let the client send, the upstream answer; returns what the client got."""
        self.at_client.written.clear()
        self.at_upstream.written.clear()
        _read(self._client, request)
        _read(self._upstream, ANSWER)
        return b"".join(self.at_client.written)

    def close(self) -> None:
        """End both connections."""
        self._client.connection_lost(None)
        self._upstream.connection_lost(None)
        self.observer.close()


def _read(protocol: asyncio.BufferedProtocol, data: bytes) -> None:
    """Do as a loop that read ``data``."""
    protocol.get_buffer(-1)[: len(data)] = data
    protocol.buffer_updated(len(data))
