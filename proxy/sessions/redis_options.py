"""Where Redis is and as whom we speak to it, as values.

What lives here: the slice of the settings that the connections to Redis need. What must not: sockets, the client
library, the settings model.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from msgspec import Struct

if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable

    from proxy.core.secret import Secret

DEFAULT_PREFIX = "sidegate:"
"""Begins the name of every key that is ours."""


@dataclass(frozen=True, slots=True, order=True)
class TcpNode:
    """A host (an IPv6 one without brackets) and a port."""

    host: str
    port: int

    def __str__(self) -> str:
        """Return ``host:port``."""
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


class SocketPath(Struct, frozen=True):
    """A Redis of this machine."""

    path: str

    def __str__(self) -> str:
        """Return ``unix:/path``."""
        return f"unix:{self.path}"


RedisNode = TcpNode | SocketPath


class Alone(Struct, frozen=True):
    """One Redis; a managed service that moves its address counts as one too."""

    node: RedisNode

    def __str__(self) -> str:
        """Return what a sentence of the log calls it."""
        return f"Redis at {self.node}"


class BehindSentinels(Struct, frozen=True):
    """A primary with replicas; the sentinels know which is the primary."""

    master: str
    sentinels: tuple[TcpNode, ...]

    def __str__(self) -> str:
        """Return what a sentence of the log calls it."""
        return f"Redis {self.master!r} (sentinels {', '.join(map(str, self.sentinels))})"


class Cluster(Struct, frozen=True):
    """A Redis Cluster; one node that answers tells of the others."""

    nodes: tuple[TcpNode, ...]

    def __str__(self) -> str:
        """Return what a sentence of the log calls it."""
        return f"Redis Cluster at {', '.join(map(str, self.nodes))}"


Topology = Alone | BehindSentinels | Cluster


@dataclass(frozen=True, slots=True, kw_only=True)
class RedisOptions:
    """What a connection to Redis needs.

    Attributes:
        topology: alone, behind sentinels, or a cluster.
        key_prefix: begins every key and channel of ours; two gates with different prefixes share a Redis.
        database: for Redis alone and behind sentinels; a cluster has only 0.
        username: of an ACL; None for the default user.
        password: asked at every connect, so that a password that was changed in its file is taken without a restart;
            None without one. It may raise SettingsError. Sentinels are asked without it first, and with it when they
            want one.
        tls: asked at every connect, so that renewed certificates are taken; None for plain TCP. It holds for the
            sentinels too. Host names are checked as the context says.
    """

    topology: Topology
    key_prefix: str = DEFAULT_PREFIX
    database: int = 0
    username: str | None = None
    password: Callable[[], Secret] | None = field(default=None, repr=False)
    tls: Callable[[], ssl.SSLContext] | None = field(default=None, repr=False)

    def credentials(self) -> tuple[str, ...]:
        """Return the arguments of AUTH: nothing, a password, or user name and password."""
        password = "" if self.password is None else self.password().reveal()
        if self.username:
            return (self.username, password)
        return (password,) if password else ()
