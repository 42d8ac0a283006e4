"""Samples: a load on one server, and what it cost; taken again when the cores were not ours.

Rounds alternate: each asks every server the same, in an order that turns with each round, so that what changes in the
machine meanwhile falls on all alike.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from enum import Enum
from statistics import median
from typing import TYPE_CHECKING

from benchmarks.behind import LARGE, SMALL, WEBSOCKET
from benchmarks.contestants import AccessLog
from benchmarks.load import Load
from benchmarks.machine import core_times, foreign_share, tree_cpu_s, tree_memory_mib

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from benchmarks.load import Answers, Generators
    from benchmarks.machine import Cores

FOREIGN_LIMIT = 0.04
"""Part of the server's core that others may use; with more, caches and latencies are no longer the server's own, and
the sample is taken again. The kernel's own threads take about 0.01.
"""

MAX_TRIES = 3


class Kind(Enum):
    """How a load is made."""

    TIMETABLE = "by a timetable"
    SATURATED = "as fast as it is answered"
    MESSAGES = "messages by a timetable"


class Sessions(Enum):
    """Whose cookies are sent."""

    ONE = "one session"
    MANY = "many sessions in turn"


@dataclass(frozen=True, slots=True, kw_only=True)
class Scenario:
    """What is asked of everybody; ``rate`` is per second, 0 as fast as it is answered."""

    name: str
    kind: Kind = Kind.TIMETABLE
    path: str = SMALL
    connections: int = 64
    rate: int = 2000
    sessions: Sessions = Sessions.ONE
    logs: tuple[AccessLog, ...] = (AccessLog.AS_SHIPPED,)


BOTH = (AccessLog.AS_SHIPPED, AccessLog.OFF)
COST = (
    Scenario(name="800/s", rate=800, logs=BOTH),
    Scenario(name="2,000/s", logs=BOTH),
    Scenario(name="saturated", kind=Kind.SATURATED, rate=0, logs=BOTH),
    Scenario(name="1 connection, 800/s", connections=1, rate=800, logs=BOTH),
)
MANY_SESSIONS = (Scenario(name="many sessions, 2,000/s", sessions=Sessions.MANY),)
STORED = (Scenario(name="1,000 sessions in turn, 2,000/s", sessions=Sessions.MANY),)
LARGE_FILE = (Scenario(name="100 MiB", path=LARGE, connections=1, rate=0),)
MESSAGES = (Scenario(name="WebSocket, 2,000/s", kind=Kind.MESSAGES, path=WEBSOCKET),)


@dataclass(frozen=True, slots=True)
class Entrant:
    """A running server under test; ``one`` and ``many`` are files of cookies."""

    name: str
    log: AccessLog
    port: int
    pid: int
    one: Path
    many: Path


@dataclass(frozen=True, slots=True)
class Sample:
    """One measurement.

    Attributes:
        cpu_us: microseconds of CPU of the server's whole process tree per answer.
        foreign: part of the server's core that others used.
        memory_mib: of the tree, after the load.
    """

    scenario: str
    name: str
    log: AccessLog
    cpu_us: float
    answers: Answers
    foreign: float
    memory_mib: float

    @property
    def is_disturbed(self) -> bool:
        return self.foreign > FOREIGN_LIMIT


class Sampler:
    """Takes samples."""

    def __init__(self, generators: Generators, cores: Cores, *, seconds: float, retake_until: float) -> None:
        """``seconds`` is the length of a sample; after ``retake_until`` (monotonic) none is taken again."""
        self._generators = generators
        self._cores = cores
        self._seconds = seconds
        self._retake_until = retake_until

    def sample(self, scenario: Scenario, entrant: Entrant) -> Sample:
        """Return the first undisturbed sample, or the least disturbed of all."""
        taken: list[Sample] = []
        while not taken or (
            taken[-1].is_disturbed and len(taken) < MAX_TRIES and time.monotonic() < self._retake_until
        ):
            taken.append(self._take(scenario, entrant))
        return min(taken, key=lambda sample: sample.foreign)

    def _take(self, scenario: Scenario, entrant: Entrant) -> Sample:
        cpu_before, core_before, begin = tree_cpu_s(entrant.pid), core_times(self._cores.server), time.monotonic()
        answers = self._load(scenario, entrant)
        cpu_s = tree_cpu_s(entrant.pid) - cpu_before
        took_s = time.monotonic() - begin
        foreign = foreign_share(core_before, core_times(self._cores.server), ours_s=cpu_s, took_s=took_s)
        return Sample(
            scenario.name,
            entrant.name,
            entrant.log,
            cpu_s * 1e6 / max(1, answers.answered),
            answers,
            foreign,
            tree_memory_mib(entrant.pid),
        )

    def _load(self, scenario: Scenario, entrant: Entrant) -> Answers:
        cookies = entrant.one if scenario.sessions is Sessions.ONE else entrant.many
        load = Load(scenario.path, scenario.connections, scenario.rate, self._seconds, cookies)
        if scenario.kind is Kind.SATURATED:
            return self._generators.saturate(entrant.port, load)
        if scenario.kind is Kind.MESSAGES:
            return self._generators.messages(entrant.port, load)
        return self._generators.requests(entrant.port, load)


def rounds(
    scenarios: Iterable[Scenario], entrants: list[Entrant], *, sampler: Sampler, number: int
) -> Iterator[Sample]:
    """Yield the samples of so many rounds; each begins with another server."""
    for turn in range(number):
        for scenario in scenarios:
            asked = [one for one in entrants if one.log in scenario.logs]
            for place in range(len(asked)):
                yield sampler.sample(scenario, asked[(place + turn) % len(asked)])


@dataclass(frozen=True, slots=True)
class Figure:
    """The median over the rounds; ``disturbed`` and ``wrong`` are sums."""

    cpu_us: float
    p50_us: float
    p99_us: float
    per_s: float
    memory_mib: float
    wrong: int
    disturbed: int
    samples: int


Key = tuple[str, AccessLog, str]


def figures(samples: Iterable[Sample]) -> dict[Key, Figure]:
    """Return the figure of each scenario, access log and server."""
    grouped: dict[Key, list[Sample]] = {}
    for sample in samples:
        grouped.setdefault((sample.scenario, sample.log, sample.name), []).append(sample)
    return {key: _figure(group) for key, group in grouped.items()}


def _figure(group: list[Sample]) -> Figure:
    return Figure(
        cpu_us=median(sample.cpu_us for sample in group),
        p50_us=median(sample.answers.p50_us for sample in group),
        p99_us=median(sample.answers.p99_us for sample in group),
        per_s=median(sample.answers.answered / sample.answers.seconds for sample in group),
        memory_mib=median(sample.memory_mib for sample in group),
        wrong=sum(sample.answers.wrong for sample in group),
        disturbed=sum(sample.is_disturbed for sample in group),
        samples=len(group),
    )
