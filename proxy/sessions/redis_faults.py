"""What a fault of Redis means, and the sentence for it; parsed once, here.

What lives here: a table from the errors of the client library to a kind and a sentence with its remedy. What must not:
sockets, state. The server's own words are not repeated: an error of Redis may quote the arguments of a command.
"""

from __future__ import annotations

import os
import re
import ssl
from enum import StrEnum

import redis.exceptions as library
from msgspec import Struct
from redis.asyncio.sentinel import MasterNotFoundError

from proxy.errors import SettingsError


class FaultKind(StrEnum):
    """Kinds that need different remedies."""

    AWAY = "away"
    TLS = "tls"
    REFUSED = "refused"
    LOADING = "loading"
    CLUSTER_DOWN = "cluster_down"
    REPLICA = "replica"
    FULL = "full"
    FORBIDDEN = "forbidden"
    WRONG_TYPE = "wrong_type"
    BUSY = "busy"
    OTHER = "other"


UNREACHABLE = frozenset({FaultKind.AWAY, FaultKind.TLS, FaultKind.REFUSED, FaultKind.LOADING, FaultKind.CLUSTER_DOWN})
"""Kinds that a PING meets too."""

READS_ONLY = frozenset({FaultKind.REPLICA, FaultKind.FULL})
"""Kinds that a PING does not meet, but a write does."""


class Fault(Struct, frozen=True):
    """A fault of Redis; ``sentence`` names what is wrong and the remedy."""

    kind: FaultKind
    sentence: str


_BY_TYPE: tuple[tuple[type[BaseException], FaultKind, str], ...] = (
    (SettingsError, FaultKind.REFUSED, "its password cannot be read ({detail})"),
    (
        ssl.SSLCertVerificationError,
        FaultKind.TLS,
        (
            "its certificate is not accepted ({detail}); set sessions.redis.tls.ca_file to its "
            "authority, and connect under a name that stands in the certificate"
        ),
    ),
    (
        ssl.SSLError,
        FaultKind.TLS,
        (
            "the TLS handshake failed ({detail}); check that this port speaks TLS, and whether it wants a certificate "
            "of ours (sessions.redis.tls.cert_file)"
        ),
    ),
    (
        MasterNotFoundError,
        FaultKind.AWAY,
        "{detail}; check sessions.redis.sentinel, and that a sentinel is up and knows that name",
    ),
    (
        library.BusyLoadingError,
        FaultKind.LOADING,
        "it is still loading its data from disk; wait, it is taken as soon as it has loaded",
    ),
    (
        library.AuthenticationError,
        FaultKind.REFUSED,
        (
            "it refuses our credentials or wants some; check sessions.redis.password and the user name in "
            "sessions.redis.url"
        ),
    ),
    (
        library.NoPermissionError,
        FaultKind.FORBIDDEN,
        "its ACL does not let our user {detail}; give the user the commands and keys that the README lists",
    ),
    (
        library.ReadOnlyError,
        FaultKind.REPLICA,
        (
            "it is a read-only replica; point sessions.redis.url at the primary, or use sessions.redis.sentinel, which "
            "follows a failover"
        ),
    ),
    (
        library.OutOfMemoryError,
        FaultKind.FULL,
        "it is at maxmemory and takes no writes; give it more memory",
    ),
    (
        library.ClusterDownError,
        FaultKind.CLUSTER_DOWN,
        "the cluster is down (CLUSTERDOWN): a primary is missing and has no replica yet; look at CLUSTER INFO",
    ),
    (
        library.ClusterError,
        FaultKind.CLUSTER_DOWN,
        "its nodes send us from one to another without end (MOVED); look at CLUSTER NODES, they disagree",
    ),
    (
        library.AskError,
        FaultKind.CLUSTER_DOWN,
        "it answers that the key lives on another node (MOVED); for a cluster set sessions.redis.cluster to true",
    ),
    (
        library.MaxConnectionsError,
        FaultKind.BUSY,
        "all our connections to it are in use; it answers too slowly for the load",
    ),
    (library.InvalidResponse, FaultKind.AWAY, "what answers there does not speak Redis's protocol; check the address"),
    (
        library.TimeoutError,
        FaultKind.AWAY,
        "it does not answer in time; check that it runs, that it is not blocked (SLOWLOG), and the network between",
    ),
    (TimeoutError, FaultKind.AWAY, "it does not answer in time; check that it runs, and the network between"),
    (OSError, FaultKind.AWAY, "no connection ({detail}); check that it runs and sessions.redis.url"),
    (library.ConnectionError, FaultKind.AWAY, "{detail}; check that it runs, and its log"),
    (RuntimeError, FaultKind.AWAY, "it broke off the connection; check that it runs, and the network between"),
    (
        library.RedisClusterException,
        FaultKind.CLUSTER_DOWN,
        (
            "no node of the cluster answers as a node of a whole cluster; check that the nodes run with "
            "cluster-enabled and cover all slots"
        ),
    ),
)

_BY_CODE = {
    "WRONGTYPE": (
        FaultKind.WRONG_TYPE,
        (
            "a key under our prefix holds something that we did not write; give each program a "
            "sessions.redis.key_prefix of its own"
        ),
    ),
    "MISCONF": (FaultKind.FULL, "it takes no writes because it cannot save to disk (MISCONF); look at its disk"),
    "NOREPLICAS": (
        FaultKind.FULL,
        "it takes no writes because it has too few replicas (min-replicas-to-write); look at its replicas",
    ),
    "BUSY": (FaultKind.AWAY, "a script keeps it busy; look for what else runs scripts on it"),
    "MASTERDOWN": (FaultKind.REPLICA, "it is a replica that has lost its primary; point sessions.redis at the primary"),
    "UNBLOCKED": (FaultKind.AWAY, "its role has just changed; it is asked again"),
}

TRANSPORT_FAULTS: tuple[type[BaseException], ...] = (
    library.RedisError,
    library.RedisClusterException,
    OSError,
    RuntimeError,
)
"""What a call to Redis raises when Redis is at fault; TimeoutError is an OSError.

RuntimeError is what uvloop says of a write to a transport that a reset has closed a moment before.
"""

_MAX_CHAIN = 8
_COMMAND = re.compile(r"'([a-zA-Z|.]+)' command")
_CODE = re.compile(r"([A-Z]{2,20})\b")


def fault_of(error: BaseException) -> Fault:
    """Return what ``error`` (one of :data:`TRANSPORT_FAULTS`, or a SettingsError) means; never raises.

    The library wraps what the socket or the handshake said, so causes are looked at too: the first row of the table
    that fits any of them counts.
    """
    chain = _chain(error)
    for kind_of_error, kind, sentence in _BY_TYPE:
        for cause in chain:
            if isinstance(cause, kind_of_error) and not isinstance(cause, library.MasterDownError):
                return Fault(kind, sentence.format(detail=_detail(cause)))
    return _by_code(error)


def _by_code(error: BaseException) -> Fault:
    code = _code(error)
    if code in _BY_CODE:
        return Fault(*_BY_CODE[code])
    named = f"with {code}" if code else f"in a way that was not foreseen ({type(error).__name__})"
    return Fault(FaultKind.OTHER, f"it answers {named}; look at its log, and that it is Redis 6.2 or newer")


def _chain(error: BaseException) -> list[BaseException]:
    chain: list[BaseException] = []
    step: BaseException | None = error
    while step is not None and len(chain) < _MAX_CHAIN and step not in chain:
        chain.append(step)
        step = step.__cause__ or step.__context__
    return chain


def _code(error: BaseException) -> str:
    # To the library a lost primary is a cluster that is down, which it is not to an operator.
    if isinstance(error, library.MasterDownError):
        return "MASTERDOWN"
    if isinstance(error, library.RedisError) and error.status_code:
        return error.status_code
    found = _CODE.match(str(error))
    return found[1] if found else ""


def _detail(error: BaseException) -> str:
    if isinstance(error, library.NoPermissionError):
        command = _COMMAND.search(str(error))
        return f"run {command[1].upper()}" if command else "use the keys or channels under our prefix"
    if isinstance(error, ssl.SSLCertVerificationError):
        return error.verify_message
    if isinstance(error, ssl.SSLError):
        return error.reason or "handshake failed"
    if isinstance(error, OSError):
        # Those of name resolution are below zero, and have a text of their own.
        return os.strerror(error.errno) if error.errno and error.errno > 0 else error.strerror or type(error).__name__
    if type(error) is library.ConnectionError:
        return "it is at maxclients" if "max number of clients" in str(error) else "it closed the connection"
    return str(error).rstrip(".")
