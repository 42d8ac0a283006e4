"""What breaks, how it is mended, and what of the sessions may be lost by it.

A fault is two steps around a hold. While it holds, somebody signs out at a replica that it does not touch; whether that
works is part of what is looked at. ``SIDEGATE_TEST_FULL=1`` holds each fault for longer.
"""

from __future__ import annotations

import contextlib
import os
import threading
import time
from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING

import redis

from tests.support.pausing_proxy import PausingProxy

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.journeys.replicas import ReplicaHouse
    from tests.redis.server import RedisServer

IS_FULL = os.environ.get("SIDEGATE_TEST_FULL") == "1"
HOLD_S = 12.0 if IS_FULL else 1.5
"""Longer than the promise of one second, so that what was cached before must have been doubted."""

NEAR = 0
"""The replica at which somebody signs out; no fault is at this one alone."""

FAR = 1
"""The replica, or the network of the replica, that a fault of one is at."""


class Loss(Enum):
    """What of the sessions a fault may cost."""

    NOTHING = "nothing"
    EVERYTHING = "everything"
    ONE = "one session"


@dataclass(frozen=True, slots=True)
class Scene:
    """Where it happens; ``record`` is the name of the record that a fault of one session is at."""

    house: ReplicaHouse
    store: RedisServer
    record: str

    @property
    def far_network(self) -> PausingProxy:
        """The way of the far replica to Redis."""
        return self.house.networks[FAR]


def _nothing_to_mend(_: Scene) -> None:
    """It does not stay broken."""


@dataclass(frozen=True, slots=True)
class Fault:
    """One fault.

    Attributes:
        strike: breaks; done when it returns.
        mend: mends.
        breaks_connections: clients may find nobody at the replica.
        severs: a replica stands still, or cannot ask the store, until it is mended: it cannot know of an end before.
    """

    name: str
    strike: Callable[[Scene], object]
    mend: Callable[[Scene], object] = _nothing_to_mend
    loss: Loss = Loss.NOTHING
    breaks_connections: bool = False
    severs: bool = False


def _each_network(act: Callable[[PausingProxy], None]) -> Callable[[Scene], object]:
    def on_all(scene: Scene) -> None:
        for network in scene.house.networks:
            act(network)

    return on_all


def _set(**settings: str) -> Callable[[Scene], object]:
    def configure(scene: Scene) -> None:
        for name, value in settings.items():
            scene.store.call("CONFIG", "SET", name.replace("_", "-"), value)

    return configure


def _lock_out(scene: Scene) -> None:
    """Ask for a password that the replicas do not have; open connections are past being asked, so they end."""
    scene.store.demand_password("nobody-knows")
    _kill_clients(scene)


def _let_in(scene: Scene) -> None:
    scene.store.demand_password("")


def _kill_clients(scene: Scene) -> None:
    for kind in ("pubsub", "normal"):
        scene.store.call("CLIENT", "KILL", "TYPE", kind, "SKIPME", "yes")


def _evict(scene: Scene) -> None:
    """Make room for nothing: the next command that could need memory puts out every key."""
    scene.store.call("CONFIG", "SET", "maxmemory-policy", "allkeys-random")
    scene.store.call("CONFIG", "SET", "maxmemory", "1")
    deadline = time.monotonic() + 10
    while keys_of(scene.store, "s:"):
        assert time.monotonic() < deadline, "nothing was evicted"
        with contextlib.suppress(redis.RedisError):
            scene.store.call("SET", "somebody-elses", "x")
    scene.store.call("CONFIG", "SET", "maxmemory", "0")
    scene.store.call("CONFIG", "SET", "maxmemory-policy", "noeviction")


def _garble_one(scene: Scene) -> None:
    """Put bytes that nobody sealed in the place of the scene's record."""
    scene.store.call("SET", scene.record, b"\x01" + b"nonsense" * 20, "KEEPTTL")


def _load_slowly(scene: Scene) -> None:
    """Let it read its data anew, slowly: meanwhile it answers LOADING, afterwards everything is there."""
    keys = max(1, int(scene.store.call("DBSIZE")))
    scene.store.call("CONFIG", "SET", "loading-process-events-interval-bytes", "1024")
    scene.store.call("CONFIG", "SET", "key-load-delay", str(int(HOLD_S * 1e6 / keys)))

    def reload() -> None:
        # It answers when all is read, which is later than a call waits.
        with contextlib.suppress(redis.RedisError):
            scene.store.call("DEBUG", "RELOAD")

    threading.Thread(target=reload, daemon=True).start()


def _loaded(scene: Scene) -> None:
    deadline = time.monotonic() + HOLD_S + 20
    while True:
        with contextlib.suppress(redis.RedisError):
            scene.store.call("DBSIZE")
            scene.store.call("CONFIG", "SET", "key-load-delay", "0")
            return
        assert time.monotonic() < deadline, "it loads for ever"
        time.sleep(0.02)


def keys_of(store: RedisServer, kind: str) -> set[bytes]:
    """Return the names of the keys ``sidegate:<kind>…``."""
    with store.client() as client:
        return set(client.scan_iter(f"sidegate:{kind}*"))


SCHEDULE = (
    Fault(
        "a replica is killed and started again",
        lambda scene: scene.house.kill(FAR),
        lambda scene: scene.house.start_again(FAR),
        breaks_connections=True,
    ),
    Fault(
        "a replica stands still",
        lambda scene: scene.house.pause(FAR),
        lambda scene: scene.house.resume(FAR),
        severs=True,
    ),
    Fault("redis hangs", lambda scene: scene.store.pause(), lambda scene: scene.store.resume(), severs=True),
    Fault(
        "redis is killed and comes back empty",
        lambda scene: scene.store.kill(),
        lambda scene: scene.store.start(),
        Loss.EVERYTHING,
        severs=True,
    ),
    Fault(
        "the network of one replica falls silent",
        lambda scene: scene.far_network.pause(),
        lambda scene: scene.far_network.resume(),
        severs=True,
    ),
    Fault(
        "the answers to one replica do not arrive",
        lambda scene: scene.far_network.pause_answers(),
        lambda scene: scene.far_network.resume(),
        severs=True,
    ),
    Fault(
        "the network of one replica refuses",
        lambda scene: scene.far_network.refuse(),
        lambda scene: scene.far_network.resume(),
        severs=True,
    ),
    Fault("every connection to redis is reset", _each_network(PausingProxy.cut)),
    Fault(
        "the network to redis is slow",
        _each_network(lambda network: network.delay(0.1)),
        _each_network(lambda network: network.delay(0)),
    ),
    Fault("everything is flushed", lambda scene: scene.store.call("FLUSHALL"), loss=Loss.EVERYTHING),
    Fault("everything is evicted", _evict, loss=Loss.EVERYTHING),
    Fault("a record becomes unreadable", _garble_one, loss=Loss.ONE),
    Fault("redis ends its clients", _kill_clients),
    Fault("redis asks for a password", _lock_out, _let_in, severs=True),
    Fault("redis has no memory left", _set(maxmemory="1"), _set(maxmemory="0")),
    Fault(
        "redis takes no writes",
        lambda scene: scene.store.call("REPLICAOF", "127.0.0.1", "1"),
        lambda scene: scene.store.call("REPLICAOF", "NO", "ONE"),
    ),
    Fault("redis loads its data", _load_slowly, _loaded, severs=True),
    Fault(
        "keycloak falls silent",
        lambda scene: scene.house.keycloak_network.pause(),
        lambda scene: scene.house.keycloak_network.resume(),
    ),
    Fault(
        "keycloak refuses",
        lambda scene: scene.house.keycloak_network.refuse(),
        lambda scene: scene.house.keycloak_network.resume(),
    ),
)
