"""Where sessions live, and how many they are: memory beside Redis, and a nearly empty Redis beside a full one.

Three Sidegates, asked with the cookies of as many sessions in turn. What differs is the store: memory, a Redis that
holds those sessions alone, and one that holds very many others beside them.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING

from benchmarks.contestants import SIDEGATE, Contestant, sidegate_command, sidegate_settings
from benchmarks.machine import MachineError, pinned
from benchmarks.started import ROOT, started
from tests.redis.server import redis_is_missing
from tests.support.ports import free_port
from tests.support.processes import Program

if TYPE_CHECKING:
    from contextlib import ExitStack
    from pathlib import Path

    from benchmarks.contestants import AccessLog, Place
    from benchmarks.machine import Cores

IN_REDIS = "sidegate-redis"
IN_FULL_REDIS = "sidegate-full-redis"
FILL_WITHIN_S = 900.0
FILLERS = 2
SERVER_KEY = "VNnxm5J0QjkYOhqinPMWFo5-eBbK07ZG2oPXtlU7RIk"
"""Any key: what it seals lives for minutes in a Redis of our own."""


@dataclass(frozen=True, slots=True)
class InRedis:
    """The command of a Sidegate that keeps its sessions in the Redis of a port; its client has the server's name."""

    name: str
    port: int

    def __call__(self, place: Place, log: AccessLog) -> list[str]:
        """Write the file and return the command."""
        settings = sidegate_settings(place, log)
        settings["keycloak"]["client_id"] = self.name
        settings["sessions"] |= {
            "store": "redis",
            "redis": {"url": f"redis://127.0.0.1:{self.port}/0"},
            "encryption_keys": [{"value": SERVER_KEY}],
        }
        return sidegate_command(place, settings)


def store_contestants() -> list[Contestant]:
    """Return Sidegate with its sessions in Redis, in the nearly empty one and in the full one; none without Redis."""
    if redis_is_missing():
        return []
    return [
        Contestant(name, InRedis(name, free_port()), "/_sidegate/start", (str(SIDEGATE), "--version"))
        for name in (IN_REDIS, IN_FULL_REDIS)
    ]


def start_stores(stack: ExitStack, folder: Path, cores: Cores, contestants: list[Contestant], *, others: int) -> None:
    """Start a Redis for each of the contestants, and put ``others`` sessions into the second."""
    for one in contestants:
        assert isinstance(one.command, InRedis)
        port = one.command.port
        command = ["redis-server", "--port", str(port), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no"]
        stack.enter_context(started(pinned(cores.others, command), folder / f"{one.name}.log", port=port))
        if one.name == IN_FULL_REDIS:
            _fill(port, others, folder)


def _fill(port: int, number: int, folder: Path) -> None:
    """Put so many sessions into the Redis of this port.

    Raises:
        MachineError: it did not work.
    """
    share = number // FILLERS
    fillers = [
        Program(
            [sys.executable, "-m", "benchmarks.fill", str(port), SERVER_KEY, str(filler * share), str(share)],
            log=folder / f"fill-{filler}.log",
            env={"PYTHONPATH": str(ROOT)},
        )
        for filler in range(FILLERS)
    ]
    for filler in fillers:
        if filler.wait(timeout_s=FILL_WITHIN_S):
            raise MachineError(f"the store could not be filled: {filler.output[-1000:]}")
