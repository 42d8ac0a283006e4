"""A primary with replicas, and three sentinels that watch them: a failover takes about two seconds."""

from __future__ import annotations

import contextlib
import time
from typing import TYPE_CHECKING, Any

import redis

from tests.redis.server import HOST, RedisServer

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

MASTER = "mymaster"
DOWN_AFTER_MS = 500
FAILOVER_TIMEOUT_MS = 3000
FAILOVER_WITHIN_S = 60.0
NUDGE_EVERY_S = 8.0
"""Seconds after which the sentinels are told to fail over: on a busy machine they may find no replica good enough at
first, and then wait twice their time-out.
"""
POLL_S = 0.02
_PERIODS = ("info-period", "500", "ask-period", "100", "publish-period", "300", "tilt-period", "1000")
"""Of SENTINEL DEBUG (Redis 7.0), in milliseconds: the ordinary ones are 10, 1, 2 and 30 s, of which a test would wait
many.

TILT is what a sentinel does after it stood still for two seconds, by a test or on a busy machine: it watches, and finds
nobody down. A primary that is killed then is found down late, and forever no replica is good enough: each has been
without its primary for more than ten times DOWN_AFTER_MS longer than that is known.

The ping period stays: five of it is how old the word of a replica may be that is to become the primary.
"""


class Sentinel(RedisServer):
    """One sentinel of three; it writes its configuration file itself."""

    def __init__(self, folder: Path, primary: RedisServer) -> None:
        """Watch ``primary``; two sentinels must agree that it is down."""
        super().__init__(folder, name="sentinel")
        self._file = self._folder / "sentinel.conf"
        lines = [
            f"port {self.port}",
            f"bind {HOST}",
            f"dir {self._folder}",
            f"sentinel monitor {MASTER} {HOST} {primary.port} 2",
            f"sentinel down-after-milliseconds {MASTER} {DOWN_AFTER_MS}",
            f"sentinel failover-timeout {MASTER} {FAILOVER_TIMEOUT_MS}",
        ]
        self._file.write_text("\n".join([*lines, ""]), "utf-8")

    def start(self) -> None:
        super().start()
        self.call("SENTINEL", "DEBUG", *_PERIODS)

    def primary_port(self) -> int:
        """Return the port of the server that it takes for the primary."""
        _host, port = self.call("SENTINEL", "GET-MASTER-ADDR-BY-NAME", MASTER)
        return int(port)

    def is_calm(self) -> bool:
        """Say whether it sees a primary that is up, no failover goes on, and it would begin one."""
        flags: bytes = self._state()[b"flags"]
        return flags == b"master" and b"sentinel_tilt:0" in self._info().split()

    def knows(self) -> tuple[int, int]:
        """Return how many replicas and how many other sentinels it has found."""
        state = self._state()
        return int(state[b"num-slaves"]), int(state[b"num-other-sentinels"])

    def _state(self) -> dict[bytes, bytes]:
        state: dict[bytes, bytes] = self.call("SENTINEL", "MASTER", MASTER)
        return state

    def _info(self) -> bytes:
        told: bytes = self.call("INFO", "sentinel")
        return told

    def _command(self) -> list[str]:
        return ["redis-server", str(self._file), "--sentinel"]


class SentinelHouse:
    """One primary, its replicas, three sentinels.

    Attributes:
        servers: the primary of the beginning, then the replicas.
        sentinels: three.
    """

    def __init__(self, folder: Path, *, replicas: int = 2) -> None:
        """Nothing runs before :meth:`start`."""
        self.servers = [RedisServer(folder) for _ in range(1 + replicas)]
        self.sentinels = [Sentinel(folder, self.servers[0]) for _ in range(3)]

    @property
    def nodes(self) -> list[str]:
        """``host:port`` of each sentinel, as ``sessions.redis.sentinel.nodes`` takes them."""
        return [sentinel.address for sentinel in self.sentinels]

    @property
    def settings(self) -> dict[str, Any]:
        """Return ``sessions.redis.sentinel``."""
        return {"master": MASTER, "nodes": self.nodes}

    @property
    def primary(self) -> RedisServer:
        """The server that the sentinels name now."""
        return self._at(self.sentinels[0].primary_port())

    @property
    def replicas(self) -> list[RedisServer]:
        """The others."""
        port = self.primary.port
        return [server for server in self.servers if server.port != port]

    def start(self) -> None:
        """Start all; returns when replicas follow and sentinels know of each other."""
        primary, *replicas = self.servers
        primary.start()
        for replica in replicas:
            replica.start()
            _follow(replica, primary)
        for sentinel in self.sentinels:
            sentinel.start()
        _wait("all knew of each other", self._is_whole)

    def end(self) -> None:
        """End every process."""
        for one in [*self.sentinels, *self.servers]:
            one.end()

    def fail_over(self) -> RedisServer:
        """SIGKILL the primary; returns the new one when all sentinels agree on it and it takes writes.

        The old one stays away until :meth:`reset`.
        """
        old = self.primary
        old.kill()
        return self._wait_for_another(old)

    def fail_over_from_a_paused_primary(self) -> tuple[RedisServer, RedisServer]:
        """SIGSTOP the primary; returns the old and the new one.

        When the old one is resumed it takes itself for a primary until a sentinel tells it otherwise.
        """
        old = self.primary
        old.pause()
        return old, self._wait_for_another(old)

    def heal(self) -> None:
        """Bring everybody back: every process runs, one primary, the others follow it; its data stays."""
        primary = self.primary
        for server in self.servers:
            if server is not primary:
                server.wake()
                _follow(server, primary)
        _wait("all were together again", self._is_whole)

    def reset(self) -> None:
        """Heal, and empty it."""
        self.heal()
        _insist(self.primary, "FLUSHALL")

    def _wait_for_another(self, old: RedisServer) -> RedisServer:
        def is_done() -> bool:
            ports = {sentinel.primary_port() for sentinel in self.sentinels}
            is_agreed = len(ports) == 1 and ports != {old.port} and _role(self._at(*ports)) == "master"
            return is_agreed and all(sentinel.is_calm() for sentinel in self.sentinels)

        nudge_at = time.monotonic() + NUDGE_EVERY_S

        def is_done_or_nudged() -> bool:
            nonlocal nudge_at
            if is_done():
                return True
            if time.monotonic() >= nudge_at:
                nudge_at += NUDGE_EVERY_S
                self.sentinels[0].call("SENTINEL", "FAILOVER", MASTER)
            return False

        _wait("there was a new primary", is_done_or_nudged)
        return self.primary

    def _is_whole(self) -> bool:
        primary = self.primary
        followers = [server for server in self.servers if server is not primary]
        whole = (len(followers), len(self.sentinels) - 1)
        return (
            _role(primary) == "master"
            and all(_follows(server, primary) for server in followers)
            and all(sentinel.is_calm() and sentinel.knows() == whole for sentinel in self.sentinels)
        )

    def _at(self, port: int) -> RedisServer:
        return next(server for server in self.servers if server.port == port)


def _follow(replica: RedisServer, primary: RedisServer) -> None:
    _insist(replica, "REPLICAOF", HOST, str(primary.port))


def _insist(server: RedisServer, *words: str) -> None:
    """Say it again while the connection ends: a sentinel that reconfigures a server cuts off all its clients."""

    def is_told() -> bool:
        server.call(*words)
        return True

    _wait(f"{server.address} did {words[0]}", is_told)


def _follows(replica: RedisServer, primary: RedisServer) -> bool:
    role = replica.call("ROLE")
    return role[0] == b"slave" and int(role[2]) == primary.port and role[3] == b"connected"


def _role(server: RedisServer) -> str:
    role: bytes = server.call("ROLE")[0]
    return role.decode()


def _wait(what: str, is_done: Callable[[], bool]) -> None:
    deadline = time.monotonic() + FAILOVER_WITHIN_S
    while time.monotonic() < deadline:
        # A process that is about to come or go may refuse for a moment.
        with contextlib.suppress(redis.RedisError):
            if is_done():
                return
        time.sleep(POLL_S)
    raise TimeoutError(f"{FAILOVER_WITHIN_S} s were over before {what}")
