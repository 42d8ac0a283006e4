"""The first minute: how long a server takes from its start to its first answer, and what it weighs when nobody asks."""

from __future__ import annotations

import time
from dataclasses import dataclass
from statistics import median
from typing import TYPE_CHECKING

from benchmarks.arena import wait_until_answering
from benchmarks.contestants import AccessLog, Place
from benchmarks.machine import pinned, tree_memory_mib
from tests.support.ports import free_port
from tests.support.processes import Program

if TYPE_CHECKING:
    from benchmarks.arena import Surroundings
    from benchmarks.contestants import Contestant

STARTS = 7
"""Starts that are counted, after one that is not: it fills the disk's cache and Python's compiled files."""

SETTLES_S = 2.0
"""From the first answer until the memory is read: providers were found by then, and what a start threw away is gone."""


@dataclass(frozen=True, slots=True)
class Start:
    """What was seen of the starts of one server.

    Attributes:
        median_s: from the start of the process to the first answer that is not an error of its own.
        fastest_s: the same, when the machine disturbed least.
        idle_mib: resident memory of its tree, shared pages counted once (PSS).
    """

    median_s: float
    fastest_s: float
    idle_mib: float


def start_of(around: Surroundings, contestant: Contestant) -> Start:
    """Start a server again and again, each time with a port of its own and nobody signed in."""
    _ = _one_start(around, contestant)
    seen = [_one_start(around, contestant) for _ in range(STARTS)]
    seconds = [taken for taken, _ in seen]
    return Start(median(seconds), min(seconds), median(memory for _, memory in seen))


def _one_start(around: Surroundings, contestant: Contestant) -> tuple[float, float]:
    """Return seconds and MiB."""
    folder = around.folder / f"{contestant.name}-start"
    folder.mkdir(exist_ok=True)
    place = Place(folder, free_port(), around.upstream.url, around.issuer, around.redis_port)
    command = pinned(around.cores.server, contestant.command(place, AccessLog.AS_SHIPPED))
    begin = time.monotonic()
    program = Program(command, log=folder / "output.log")
    try:
        wait_until_answering(program, place.port)
        taken = time.monotonic() - begin
        time.sleep(SETTLES_S)
        return taken, tree_memory_mib(program.pid)
    finally:
        program.end(patience_s=5)
