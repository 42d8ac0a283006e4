"""What came of it, as Markdown: ratios first, then what they are made of."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from benchmarks.contestants import OURS, PEER, YARDSTICK, AccessLog
from benchmarks.stored import IN_FULL_REDIS, IN_REDIS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from benchmarks.samples import Figure, Key
    from benchmarks.starting import Start


@dataclass(frozen=True, slots=True)
class Goal:
    """What we want: the figure of ``who`` divided by that of ``of``, at most ``ratio``."""

    scenario: str
    what: str
    of: str
    ratio: float
    who: str = OURS


GOALS = (
    Goal("2,000/s", "cpu_us", YARDSTICK, 1.6),
    Goal("2,000/s", "cpu_us", PEER, 0.40),
    Goal("2,000/s", "cpu_us", "oauth2-proxy", 0.30),
    Goal("2,000/s", "cpu_us", "gatekeeper", 0.22),
    Goal("saturated", "cpu_us", YARDSTICK, 2.3),
    Goal("saturated", "cpu_us", PEER, 0.16),
    Goal("1 connection, 800/s", "p50_us", YARDSTICK, 1.15),
    Goal("WebSocket, 2,000/s", "cpu_us", YARDSTICK, 1.5),
    Goal("1,000 sessions in turn, 2,000/s", "cpu_us", OURS, 1.02, who=IN_REDIS),
    Goal("1,000 sessions in turn, 2,000/s", "cpu_us", IN_REDIS, 1.05, who=IN_FULL_REDIS),
)
START_GOAL_S = 0.6
IDLE_GOAL_MIB = 60
"""What we want of the first minute."""

_HOW = """\
CPU is that of the server's whole process tree, per answer, on a core of its own; medians over the rounds.
Latencies count from the instant a request was due, or from its sending where it is asked as fast as it is answered.
Ratios hold for the load that stands beside them, and for no other."""
_WORDS = {"cpu_us": "CPU per answer", "p50_us": "p50"}


@dataclass(frozen=True, slots=True)
class Results:
    """Everything that a run found out.

    Attributes:
        starts: the first minute, by name.
        sessions: how many sessions ``many sessions`` means, by name.
        notes: sentences about the run.
    """

    figures: Mapping[Key, Figure]
    starts: Mapping[str, Start]
    sessions: Mapping[str, int]
    machine: Mapping[str, str]
    versions: Mapping[str, str]
    notes: list[str] = field(default_factory=list)
    profile: str = ""


def markdown(results: Results) -> str:
    """Return the report."""
    parts = [
        "# What a request costs",
        _HOW,
        "\n".join(f"- {note}" for note in results.notes),
        "## Goals",
        _goals(results.figures),
        *_scenarios(results.figures),
        *_further(results),
        "## Machine and versions",
        _table(["what", "which"], [[name, text] for name, text in {**results.machine, **results.versions}.items()]),
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def _goals(figures: Mapping[Key, Figure]) -> str:
    rows = [_goal(goal, log, *pair) for goal in GOALS for log in AccessLog if (pair := _pair(figures, goal, log))]
    return _table(["load", "figure", "access log", "of", "to", "ratio", "goal", ""], rows)


def _pair(figures: Mapping[Key, Figure], goal: Goal, log: AccessLog) -> tuple[Figure, Figure] | None:
    ours, theirs = figures.get((goal.scenario, log, goal.who)), figures.get((goal.scenario, log, goal.of))
    return None if ours is None or theirs is None or not getattr(theirs, goal.what) else (ours, theirs)


def _goal(goal: Goal, log: AccessLog, ours: Figure, theirs: Figure) -> list[str]:
    ratio = getattr(ours, goal.what) / getattr(theirs, goal.what)
    verdict = "met" if ratio <= goal.ratio else "missed"
    if ours.disturbed or theirs.disturbed:
        verdict += ", disturbed"
    return [
        goal.scenario,
        _WORDS[goal.what],
        log.value,
        goal.who,
        goal.of,
        f"{ratio:.2f}",
        f"≤ {goal.ratio:.2f}",
        verdict,
    ]


def _scenarios(figures: Mapping[Key, Figure]) -> Iterable[str]:
    for scenario, log in dict.fromkeys((scenario, log) for scenario, log, _ in figures):
        here = {name: figure for (its, at, name), figure in figures.items() if (its, at) == (scenario, log)}
        yield f"## {scenario}, access log {log.value}"
        yield _scenario_table(here)


def _scenario_table(here: Mapping[str, Figure]) -> str:
    def ratio(of: str, figure: Figure) -> str:
        return f"{figure.cpu_us / here[of].cpu_us:.2f}" if of in here and here[of].cpu_us else ""

    columns: dict[str, Callable[[Figure], str]] = {
        "CPU µs": lambda figure: f"{figure.cpu_us:,.1f}",
        f"to {YARDSTICK}": lambda figure: ratio(YARDSTICK, figure),
        f"to {PEER}": lambda figure: ratio(PEER, figure),
        "p50 µs": lambda figure: f"{figure.p50_us:,.0f}",
        "p99 µs": lambda figure: f"{figure.p99_us:,.0f}",
        "answers/s": lambda figure: f"{figure.per_s:,.0f}",
        "MiB": lambda figure: f"{figure.memory_mib:,.0f}",
        "wrong": lambda figure: str(figure.wrong),
        "disturbed": lambda figure: f"{figure.disturbed} of {figure.samples}",
    }
    rows = [[name, *(say(figure) for say in columns.values())] for name, figure in here.items()]
    return _table(["server", *columns], rows)


def _further(results: Results) -> Iterable[str]:
    if results.sessions:
        yield "## Sessions that were made for “many sessions”"
        yield _table(["server", "sessions"], [[name, f"{number:,}"] for name, number in results.sessions.items()])
    if results.starts:
        yield "## From start to the first answer, and memory while nobody asks"
        yield _starts_table(results.starts)
    if results.profile:
        yield "## Where Sidegate's time goes at 2,000/s"
        yield results.profile


def _starts_table(starts: Mapping[str, Start]) -> str:
    rows = [
        [name, f"{start.median_s:.2f}", f"{start.fastest_s:.2f}", f"{start.idle_mib:.0f}", _first_minute(name, start)]
        for name, start in starts.items()
    ]
    return _table(["server", "s", "fastest", "idle MiB", f"goal ≤ {START_GOAL_S} s, ≤ {IDLE_GOAL_MIB} MiB"], rows)


def _first_minute(name: str, start: Start) -> str:
    if name != OURS:
        return ""
    verdicts = (start.median_s <= START_GOAL_S, round(start.idle_mib) <= IDLE_GOAL_MIB)
    return ", ".join("met" if is_met else "missed" for is_met in verdicts)


def _table(head: list[str], rows: list[list[str]]) -> str:
    if not rows:
        return "Nothing was measured."
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)
