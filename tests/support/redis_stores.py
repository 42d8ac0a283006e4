"""A session store on a real Redis, with everything that belongs to it: connection, tracking, cache."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from proxy.clock import SystemClock
from proxy.sessions.cache import SessionCache
from proxy.sessions.live import LiveStreamRegistry
from proxy.sessions.redis import RedisSessionStore
from proxy.sessions.redis_connection import RedisConnection
from proxy.sessions.redis_options import Alone, BehindSentinels, Cluster, RedisOptions, TcpNode
from proxy.sessions.redis_workings import RedisStoreParts
from proxy.sessions.sealing import Sealer
from proxy.sessions.tracking import Tracking
from tests.support.observers import RecordingObserver
from tests.support.stepped import SteppedConnection

if TYPE_CHECKING:
    from collections.abc import Iterable

    from proxy.ports import Clock
    from tests.redis.cluster import ClusterHouse
    from tests.redis.sentinel import SentinelHouse
    from tests.redis.server import RedisServer

KEY = b"first key of the tests, 32 bytes"


def options_of(server: RedisServer, **changes: object) -> RedisOptions:
    """How a server alone is reached."""
    return RedisOptions(topology=Alone(TcpNode("127.0.0.1", server.port)), **changes)  # type: ignore[arg-type]


def options_of_sentinels(house: SentinelHouse) -> RedisOptions:
    """How a primary behind sentinels is reached."""
    nodes = (node.rpartition(":") for node in house.nodes)
    return RedisOptions(
        topology=BehindSentinels("mymaster", tuple(TcpNode(host, int(port)) for host, _, port in nodes))
    )


def options_of_cluster(house: ClusterHouse) -> RedisOptions:
    """How a cluster is reached."""
    host, _, port = house.url.removeprefix("redis://").partition("/")[0].rpartition(":")
    return RedisOptions(topology=Cluster((TcpNode(host, int(port)),)))


@dataclass
class Replica:
    """One process' share: its own connection, tracking, cache and streams, over a Redis that others share.

    Only the store has the test's clock; connection and tracking measure in real time, as Redis does.
    """

    options: RedisOptions
    clock: Clock
    keys: tuple[bytes, ...] = (KEY,)
    max_per_user: int = 50
    observer: RecordingObserver = field(default_factory=RecordingObserver)
    live: LiveStreamRegistry = None  # type: ignore[assignment]  # made when none is given
    stepped: bool = False
    store_connection: RedisConnection | SteppedConnection = field(init=False)
    cache: SessionCache = field(init=False)
    connection: RedisConnection = field(init=False)
    tracking: Tracking = field(init=False)
    store: RedisSessionStore = field(init=False)

    def __post_init__(self) -> None:
        given: LiveStreamRegistry | None = self.live
        self.live = LiveStreamRegistry(self.observer) if given is None else given
        self.cache = SessionCache(1000, 10_000_000)
        self.connection = RedisConnection(self.options, self.observer, SystemClock())
        parts = RedisStoreParts(
            clock=self.clock,
            observer=self.observer,
            live=self.live,
            cache=self.cache,
            max_cached=1000,
            max_per_user=self.max_per_user,
        )
        self.store_connection = SteppedConnection(self.connection) if self.stepped else self.connection
        self.store = RedisSessionStore(self.store_connection, Sealer(self.keys), parts=parts, tracking=self._track)

    def _track(self, store: RedisSessionStore) -> Tracking:
        self.tracking = Tracking(self.connection, store, observer=self.observer, clock=SystemClock())
        return self.tracking

    async def start(self) -> Replica:
        """Connect; returns when Redis was looked at."""
        await self.connection.start()
        await self.tracking.start()
        self.store.start()
        return self

    async def close(self) -> None:
        """Let go of everything."""
        await self.store.close()
        await self.tracking.close()
        await self.connection.close()


async def close_all(replicas: Iterable[Replica]) -> None:
    """Close each."""
    for replica in replicas:
        await replica.close()
