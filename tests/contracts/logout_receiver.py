"""Where back-channel logouts arrive in provider tests: a small threaded server that remembers what it was sent."""

from __future__ import annotations

import threading
import time
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl

import jwt

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping


@dataclass(frozen=True, slots=True)
class LogoutCall:
    """One POST; header names in lower case."""

    path: str
    headers: Mapping[str, str]
    form: tuple[tuple[str, str], ...]

    @property
    def token(self) -> str:
        return dict(self.form)["logout_token"]

    @property
    def header(self) -> dict[str, Any]:
        return jwt.get_unverified_header(self.token)

    @property
    def claims(self) -> dict[str, Any]:
        claims: dict[str, Any] = jwt.decode(self.token, options={"verify_signature": False})
        return claims


@dataclass(slots=True)
class LogoutReceiver:
    """What came, and what is answered."""

    url: str = ""
    status: int = 200
    calls: list[LogoutCall] = field(default_factory=list)

    def of_session(self, sid: str) -> list[LogoutCall]:
        """The calls for one session, by ``sid``, in the order in which they came."""
        return [call for call in list(self.calls) if call.claims.get("sid") == sid]

    def wait_for(self, sid: str, count: int, timeout_s: float = 3.0) -> list[LogoutCall]:
        """The calls for the session, once there are as many as expected."""
        deadline = time.monotonic() + timeout_s
        while len(self.of_session(sid)) < count and time.monotonic() < deadline:
            time.sleep(0.01)
        return self.of_session(sid)


@contextmanager
def running_logout_receiver() -> Iterator[LogoutReceiver]:
    """A receiver on a free port of loopback."""
    receiver = LogoutReceiver()
    server = ThreadingHTTPServer(("127.0.0.1", 0), _handler_of(receiver))
    server.daemon_threads = True
    receiver.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield receiver
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def _handler_of(receiver: LogoutReceiver) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", "0")))
            headers = {name.lower(): value for name, value in self.headers.items()}
            receiver.calls.append(LogoutCall(self.path, headers, tuple(parse_qsl(body.decode()))))
            self.send_response(receiver.status)
            self.send_header("Content-Length", "0")
            self.send_header("Connection", "close")
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class's name
            """Silence."""

    return Handler
