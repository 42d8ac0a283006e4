"""The connection to Redis: alone, behind sentinels, or a cluster; bounded in time, honest about faults.

What lives here: the client library's pool, deadlines, the probe that notices an outage and its end, and the one place
where a fault of Redis becomes ``StoreUnavailable``. What must not: what is stored (the stores), what a fault means
(``redis_faults``), what is said of an outage (``redis_outage``).

Nothing is retried here. A call may be several commands of which the first had its effect; whether it may run twice only
the store knows. Whoever is refused gets 503 and may try again, and the next call has a fresh connection.
"""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING, Any, TypeVar

import redis.exceptions as library
from redis.asyncio import Redis, RedisCluster
from redis.asyncio.cluster import ClusterNode
from redis.asyncio.connection import Connection, ConnectionPool, SSLConnection, UnixDomainSocketConnection
from redis.asyncio.retry import Retry
from redis.asyncio.sentinel import SentinelConnectionPool, SentinelManagedConnection
from redis.backoff import NoBackoff
from redis.credentials import CredentialProvider

from proxy.errors import SettingsError, StoreUnavailable
from proxy.sessions.redis_faults import TRANSPORT_FAULTS, UNREACHABLE, Fault, fault_of
from proxy.sessions.redis_options import (
    Alone,
    BehindSentinels,
    Cluster,
    RedisOptions,
    SocketPath,
    TcpNode,
    Topology,
)
from proxy.sessions.redis_outage import Outages
from proxy.sessions.sentinels import Sentinels
from proxy.tasks import TaskOwner

if TYPE_CHECKING:
    import ssl
    from collections.abc import Awaitable, Callable

    from proxy.ports import Clock, Observer, Readiness

__all__ = [
    "Alone",
    "BehindSentinels",
    "Cluster",
    "RedisClient",
    "RedisConnection",
    "RedisOptions",
    "SocketPath",
    "TcpNode",
    "Topology",
]

CONNECT_S = 1.0
"""Seconds to connect, TLS included; a handshake within a data centre takes 10 ms."""

COMMAND_S = 1.0
"""Seconds from a command to its answer; Redis answers in less than one millisecond, a fork may hold it up for 200."""

OPERATION_S = 2.0
"""Seconds for a whole call: waiting for a connection, connecting, every command of it."""

PROBE_S = 1.0
"""Seconds between two looks at Redis while all is well."""

PROBE_AWAY_S = 0.5
"""Seconds between two looks while it is away: so long its return may go unnoticed."""

MAX_CALLS = 64
"""Calls at once; a further one waits. At 1 ms each that is 64,000 a second, more than one Redis does."""

MAX_CONNECTIONS = 2 * MAX_CALLS
"""Connections to one node; twice the calls, so that a call may do two commands at once."""

WRITE_PROBES = 16
"""Keys that the write probe of a cluster uses: enough that each of three primaries holds one (0.998)."""

T = TypeVar("T")
RedisClient = Redis | RedisCluster
"""What a call is given: of the client library, bytes in and out, RESP2."""


class RedisConnection:
    """``run`` calls against Redis; whatever is wrong with it is StoreUnavailable."""

    def __init__(self, options: RedisOptions, observer: Observer, clock: Clock) -> None:
        """Connect to nothing yet."""
        self.options = options
        self.prefix = options.key_prefix
        self._observer = observer
        self._clock = clock
        self._client: RedisClient | None = None
        self._slots = asyncio.Semaphore(MAX_CALLS)
        self._tasks = TaskOwner(self._task_failed)
        self._doubt = asyncio.Event()
        self._outages = Outages(str(options.topology), now=clock.monotonic(), unix_now=clock.now())
        self._refusal: Fault | None = None
        self._watch: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Look at Redis once, at most :data:`OPERATION_S`, then keep looking. Never fails because Redis is away."""
        self._client = make_client(self.options)
        await self._look()
        self._watch = self._tasks.start(self._keep_looking())

    async def close(self) -> None:
        """End the probe, what still runs, and the connections; at most :data:`OPERATION_S`."""
        await self._tasks.close()
        client, self._client = self._client, None
        if client is not None:
            with contextlib.suppress(*TRANSPORT_FAULTS):  # it is away, so its connections cannot be closed politely
                async with asyncio.timeout(OPERATION_S):
                    await client.aclose()

    def readiness(self) -> Readiness:
        """Say whether Redis is there and takes writes, as the last look and the calls since saw it."""
        return self._outages.readiness()

    def look_now(self) -> None:
        """Hear that the primaries changed: let go of connections to those that were, before the next look is due."""
        self._doubt.set()

    async def run(self, operation: str, call: Callable[[Any], Awaitable[T]]) -> T:
        """Return what ``call`` returns, which is given the client.

        It goes on when the caller is cancelled, within its time: a write is not torn in two by somebody who hangs up.
        One command at a time, or a pipeline: a call has at most two connections.

        Args:
            operation: a short fixed word for ``store_duration_seconds{op}``.
            call: what it raises of its own (any SidegateError) is raised unchanged.

        Raises:
            StoreUnavailable: Redis is away, slow, or answers with an error; whether a write had its effect is unknown.
        """
        if self._refusal is not None:
            raise self._unavailable(self._refusal)
        began_at = self._clock.monotonic()
        task = self._tasks.start(self._outcome(call, self._slots))
        # The task has a deadline of its own; this one holds even while the library tidies up after it.
        await asyncio.wait({task}, timeout=OPERATION_S + CONNECT_S / 4)
        self._observer.store_call(operation, self._clock.monotonic() - began_at)
        value, error = task.result() if task.done() else (None, TimeoutError())
        if error is None:
            return value  # type: ignore[return-value]  # None only where T has None
        if not isinstance(error, TRANSPORT_FAULTS) and not isinstance(error, SettingsError):
            raise error
        fault = fault_of(error)
        self._failed(fault)
        raise self._unavailable(fault) from error

    async def _outcome(
        self, call: Callable[[Any], Awaitable[T]], turn: contextlib.AbstractAsyncContextManager[None]
    ) -> tuple[T | None, Exception | None]:
        try:
            async with asyncio.timeout(OPERATION_S), turn:
                return await call(self._connected()), None
        except Exception as error:  # noqa: BLE001 - handed to whoever awaits; nobody may be there any more
            return None, error

    def _connected(self) -> RedisClient:
        if self._client is None:
            raise library.ConnectionError("the connection to Redis is not open")
        return self._client

    def _unavailable(self, fault: Fault) -> StoreUnavailable:
        self._observer.store_error()
        return StoreUnavailable(f"{self.options.topology}: {fault.sentence}")

    def _failed(self, fault: Fault) -> None:
        line = self._outages.failed(fault, now=self._clock.monotonic(), unix_now=self._clock.now())
        if line is not None:
            self._observer.error(line, fault=fault.kind.value)
        if fault.kind in UNREACHABLE:
            self._doubt.set()

    async def _keep_looking(self) -> None:
        while True:
            try:
                async with asyncio.timeout(PROBE_AWAY_S if self._outages.is_open else PROBE_S):
                    await self._doubt.wait()
                    # A moment for a storm of faults to gather, so that it is one look and not one for each.
                    await asyncio.sleep(PROBE_AWAY_S / 10)
            except TimeoutError:
                pass
            if self._doubt.is_set():
                # One connection that broke is seldom alone: after a reset every idle one is dead, and would cost
                # somebody a 503 hours later.
                await self._drop_idle()
            self._doubt.clear()
            await self._look()

    async def _look(self) -> None:
        # Out of turn: that many calls wait for one another says nothing of Redis, and must not refuse them all.
        _, error = await self._outcome(self._probe, contextlib.nullcontext())
        if error is None:
            self._refusal = None
            line = self._outages.probed(now=self._clock.monotonic(), unix_now=self._clock.now())
            if line is not None:
                self._observer.warning(line)
            return
        fault = fault_of(error)
        self._failed(fault)
        self._doubt.clear()
        if fault.kind in UNREACHABLE and not isinstance(self.options.topology, Cluster):
            await self._refuse(fault)

    async def _refuse(self, fault: Fault) -> None:
        # While Redis is away requests are refused at once instead of after a second each, and idle connections are
        # dropped: those to a machine that vanished look alive until somebody waits for them. In a cluster one node
        # may be away and the others well; there the library drops the connections of the node.
        if self._refusal is None:
            await self._drop_idle()
        self._refusal = fault

    async def _drop_idle(self) -> None:
        if isinstance(self._client, Redis):
            idle = self._client.connection_pool._available_connections  # noqa: SLF001 - see below
            # Taken out first: the library's own way leaves them among the idle ones while it closes them, and so gives
            # somebody a connection that is half closed.
            dropped = [idle.pop() for _ in range(len(idle))]
            try:
                # Whatever cannot be closed politely is closed all the same.
                await asyncio.gather(*(connection.disconnect() for connection in dropped), return_exceptions=True)
            finally:
                idle.extend(dropped)

    async def _probe(self, client: Any) -> None:
        if isinstance(client, RedisCluster):
            await client.execute_command("PING", target_nodes=RedisCluster.PRIMARIES)
        else:
            if isinstance(client.connection_pool, _PrimaryPool):
                # Drops idle connections when the sentinels name another primary than before. Sentinels that are away
                # are no reason to leave a primary that answers.
                with contextlib.suppress(library.ConnectionError):
                    await client.connection_pool.get_master_address()  # type: ignore[no-untyped-call]
            await client.execute_command("PING")
        if self._outages.wants_write:
            for number in range(WRITE_PROBES if isinstance(client, RedisCluster) else 1):
                await client.set(f"{self.prefix}probe:{number}", b"1", ex=60)

    def _task_failed(self, fault: BaseException) -> None:
        self._observer.error("the probe of Redis ended", fault=repr(fault))


def make_client(options: RedisOptions) -> RedisClient:
    """Return the client library's client for ``options``; it connects when it is first used."""
    topology = options.topology
    if isinstance(topology, Cluster):
        return _cluster_client(options, topology)
    arguments = _connection_arguments(options) | {"db": options.database, "max_connections": MAX_CONNECTIONS}
    arguments["retry"] = _no_retry()
    if isinstance(topology, BehindSentinels):
        managed = _ManagedTlsConnection if options.tls else SentinelManagedConnection
        pool: ConnectionPool = _PrimaryPool(  # type: ignore[no-untyped-call]
            topology.master, Sentinels(options, topology), connection_class=managed, **arguments
        )
    elif isinstance(topology.node, SocketPath):
        pool = ConnectionPool(UnixDomainSocketConnection, path=topology.node.path, **arguments)
    else:
        tcp = _TlsConnection if options.tls else Connection
        pool = ConnectionPool(tcp, host=topology.node.host, port=topology.node.port, **arguments)
    return Redis.from_pool(pool)


def _cluster_client(options: RedisOptions, topology: Cluster) -> RedisCluster:
    arguments = _connection_arguments(options)
    tls = arguments.pop("tls", None)
    client = RedisCluster(
        startup_nodes=[ClusterNode(node.host, node.port) for node in topology.nodes],
        max_connections=MAX_CONNECTIONS,
        retry=_no_retry(),
        # A MOVED mends the map of its slot. To ask for the whole map the library closes every connection, also those
        # on which others wait for an answer; it asks anyway when a node is lost.
        reinitialize_steps=0,
        **arguments,
    )
    if tls is not None:
        _give_tls(client, tls)
    return client


def _give_tls(client: RedisCluster, tls: Callable[[], ssl.SSLContext]) -> None:
    # The cluster client takes file names only; nodes that it finds later are made from these same arguments.
    client.connection_kwargs["tls"] = tls
    client.connection_kwargs["connection_class"] = _TlsConnection
    for node in client.startup_nodes:
        node.connection_kwargs["tls"] = tls
        node.connection_class = _TlsConnection


def _connection_arguments(options: RedisOptions) -> dict[str, Any]:
    arguments: dict[str, Any] = {
        "socket_connect_timeout": CONNECT_S,
        "socket_timeout": COMMAND_S,
        "credential_provider": _Credentials(options) if options.username or options.password else None,
        # RESP2 is what every server and every managed service speaks; pushes have a connection of their own.
        "protocol": 2,
        # The library would introduce itself by CLIENT SETINFO: a round trip and a permission for nothing.
        "driver_info": None,
    }
    if options.tls is not None:
        arguments["tls"] = options.tls
    return arguments


def _no_retry() -> Retry:
    return Retry(NoBackoff(), 0)


class _Credentials(CredentialProvider):
    """User name and password as they are at this connect."""

    def __init__(self, options: RedisOptions) -> None:
        self._options = options

    def get_credentials(self) -> tuple[str] | tuple[str, str]:
        try:
            return self._options.credentials()  # type: ignore[return-value]  # one or two
        except SettingsError as error:
            # The library closes a half-made connection only for errors of its own.
            raise library.AuthenticationError(str(error)) from error

    async def get_credentials_async(self) -> tuple[str] | tuple[str, str]:
        return self.get_credentials()


class _Contexts:
    """Stands where the library keeps the context that it made of files."""

    def __init__(self, tls: Callable[[], ssl.SSLContext]) -> None:
        self.get = tls


class _TlsConnection(SSLConnection):
    def __init__(self, *, tls: Callable[[], ssl.SSLContext], **arguments: Any) -> None:
        super().__init__(**arguments)
        self.ssl_context = _Contexts(tls)  # type: ignore[assignment]


class _PrimaryPool(SentinelConnectionPool):
    """Connections to whichever Redis the sentinels name; none to one that they named before."""

    async def aclose(self) -> None:
        await super().aclose()
        self.sentinel_manager.close()

    async def release(self, connection: Any) -> None:
        if self.master_address not in {None, (connection.host, connection.port)}:
            connection.mark_for_reconnect()
        await super().release(connection)


class _ManagedTlsConnection(SentinelManagedConnection, _TlsConnection):
    """Over TLS to whichever Redis is the primary."""
