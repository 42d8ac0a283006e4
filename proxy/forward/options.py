"""What the composition root may set of the data path; values only, mapped from the settings by ``app``."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from msgspec import Struct

if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable

KIB = 1024


class TcpAddress(Struct, frozen=True):
    """Host name or IP address, looked up at each connect, and port."""

    host: str
    port: int


class UnixAddress(Struct, frozen=True):
    """Path of a unix socket."""

    path: str


Address = TcpAddress | UnixAddress

_DEFAULT_PORTS = {"http": 80, "https": 443}


def parse_upstream_url(url: str) -> Address:
    """Return where ``http(s)://host[:port]`` or ``unix:/path`` is.

    Raises:
        ValueError: neither of these forms.
    """
    if url.startswith("unix:"):
        return UnixAddress(url.removeprefix("unix:"))
    parts = urlsplit(url)
    if parts.scheme not in _DEFAULT_PORTS or not parts.hostname:
        raise ValueError(f"{url} is neither http(s)://host[:port] nor unix:/path")
    return TcpAddress(parts.hostname, parts.port or _DEFAULT_PORTS[parts.scheme])


def parse_listen(listen: str) -> Address:
    """Return where ``host:port``, ``[v6]:port`` or ``unix:/path`` is; an empty host means every address.

    Raises:
        ValueError: none of these forms.
    """
    if listen.startswith("unix:"):
        return UnixAddress(listen.removeprefix("unix:"))
    host, colon, port = listen.rpartition(":")
    if not colon or not port.isdecimal():
        raise ValueError(f"{listen} is neither host:port nor unix:/path")
    return TcpAddress(host.strip("[]"), int(port))


class HeadLimits(Struct, frozen=True, kw_only=True):
    """How large a head may be; llhttp has no limits of its own.

    Attributes:
        head_bytes: the whole head (nginx 32 KiB in 4 buffers, Apache 8 KiB a line and 100 fields).
        line_bytes: request line or one field.
        fields: number of header fields.
    """

    head_bytes: int = 32 * KIB
    line_bytes: int = 16 * KIB
    fields: int = 128


ANSWER_LIMITS = HeadLimits(head_bytes=64 * KIB, line_bytes=32 * KIB, fields=256)
"""An app may set many cookies; what is larger is 502."""


class UpstreamOptions(Struct, frozen=True, kw_only=True):
    """One upstream.

    Attributes:
        address: see :func:`parse_upstream_url`.
        tls: asked for a context at each connect, so that renewed files count; None: in clear.
        server_name: the name to verify and to send as SNI; the host of the address when None.
        connect_timeout_s: DNS, TCP and TLS together.
        response_timeout_s: from the end of the request to the answer's head; also how long an upstream may leave a
            request body unread.
        idle_s: how long an unused connection is kept: below the 5 s of node and uvicorn, whose closing would meet our
            next request.
        max_idle: unused connections kept; above, the oldest is closed.
    """

    address: Address
    tls: Callable[[], ssl.SSLContext] | None = None
    server_name: str | None = None
    connect_timeout_s: float = 5.0
    response_timeout_s: float = 60.0
    idle_s: float = 4.0
    max_idle: int = 256


class ForwardOptions(Struct, frozen=True, kw_only=True):
    """The listener and its clients.

    Attributes:
        tls: serve TLS with this context, which may be reloaded in place.
        max_body_size: bytes; 0 means no limit.
        max_connections: further ones are closed at once, so that memory stays bounded.
        head_timeout_s: from the first byte of a head to its end, and for a new connection to its first byte.
        idle_timeout_s: between two requests.
        body_idle_timeout_s: silence within a body: a client that neither sends nor reads.
        linger_timeout_s: how long the rest of a refused upload is read and thrown away, so that a reset does not
            overtake the answer (nginx ``lingering_timeout`` 5 s).
        continue_after_s: how long a client that sent ``Expect: 100-continue`` waits for the app's word before we say
            it (curl itself waits 1 s).
    """

    tls: ssl.SSLContext | None = None
    limits: HeadLimits = HeadLimits()
    max_body_size: int = 0
    max_connections: int = 20_000
    head_timeout_s: float = 10.0
    idle_timeout_s: float = 75.0
    body_idle_timeout_s: float = 60.0
    linger_timeout_s: float = 5.0
    continue_after_s: float = 1.0
