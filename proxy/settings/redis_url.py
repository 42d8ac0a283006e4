"""How Redis is written in the file: one URL, or nodes as ``host:port``.

The scheme says TLS (``rediss``), as every Redis client reads it. A password in the URL never shows in an error or when
the settings are printed.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from urllib.parse import unquote, urlsplit

from proxy.core.secret import Secret
from proxy.settings.problems import ValueRefused
from proxy.settings.values import TcpAddress, UnixAddress, parse_address, parse_text

DEFAULT_PORT = 6379
MAX_DATABASE = 15
_EXAMPLE = "write redis://HOST:6379/0, rediss://HOST:6379/0 or unix:/path"


@dataclass(frozen=True, slots=True)
class RedisUrl:
    """Where Redis is, and as whom we speak to it.

    Attributes:
        username: of an ACL; None for the default user.
        password: None without one.
        database: 0 to 15; a cluster has only 0.
    """

    address: TcpAddress | UnixAddress
    is_tls: bool = False
    database: int = 0
    username: str | None = None
    password: Secret | None = field(default=None, repr=False)

    def __str__(self) -> str:
        """Return the URL as the file takes it, with ``***`` for a password."""
        if isinstance(self.address, UnixAddress):
            return str(self.address)
        secret = "" if self.password is None else ":***"
        user = f"{self.username or ''}{secret}@" if self.username or secret else ""
        return f"{'rediss' if self.is_tls else 'redis'}://{user}{self.address}/{self.database}"


def parse_redis_url(value: object) -> RedisUrl:
    """Return where Redis is: ``redis://``, ``rediss://`` or ``unix:/path``."""
    if isinstance(value, RedisUrl):
        return value
    text = parse_text(value)
    if text.startswith("unix:"):
        address = parse_address(text)
        return RedisUrl(address)
    scheme, separator, rest = text.partition("://")
    if not separator or scheme not in {"redis", "rediss"} or re.search(r"[\s?#\\]", text):
        raise ValueRefused("is no URL of a Redis", _EXAMPLE)
    parts = urlsplit(f"//{rest}")
    return RedisUrl(
        address=_address(rest.rpartition("@")[2].partition("/")[0]),
        is_tls=scheme == "rediss",
        database=_database(parts.path.strip("/")),
        username=unquote(parts.username) if parts.username else None,
        password=Secret(unquote(parts.password)) if parts.password else None,
    )


def parse_host_and_port(value: object) -> TcpAddress:
    """Return a node: ``host:port``."""
    address = parse_address(value)
    if isinstance(address, UnixAddress):
        raise ValueRefused("is a socket, and others must reach it too", "write host:port")
    return address


def _address(authority: str) -> TcpAddress:
    has_port = re.search(r":[0-9]+$", authority) is not None
    try:
        address = parse_address(authority if has_port else f"{authority}:{DEFAULT_PORT}")
    except ValueRefused:
        raise ValueRefused("has no valid host and port", _EXAMPLE) from None
    if isinstance(address, UnixAddress):
        raise ValueRefused("has no valid host and port", _EXAMPLE)
    return address


def _database(path: str) -> int:
    if not path:
        return 0
    if not re.fullmatch(r"[0-9]{1,2}", path) or int(path) > MAX_DATABASE:
        raise ValueRefused(f"names no database from 0 to {MAX_DATABASE}", _EXAMPLE)
    return int(path)
