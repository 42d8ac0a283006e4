"""``make bench``: the parts of a run and their order.

::

    make bench                                   everything; less than 20 minutes
    make bench ARGS="--quick"                    the same in short; less than 90 seconds, and rough
    make bench ARGS="--parts cost --only nginx,sidegate"
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks import samples
from benchmarks.arena import Surroundings, enter, set_up, sign_in_many_at
from benchmarks.behind import SMALL
from benchmarks.contestants import OURS, SIDEGATE, AccessLog, Contestant, present_contestants, versions_of
from benchmarks.hot_path import profile
from benchmarks.load import Generators, Load
from benchmarks.machine import MachineError, choose_cores, notes, version_of
from benchmarks.picture import svg
from benchmarks.report import Results, markdown
from benchmarks.samples import Entrant, Sample, Sampler, Scenario, figures, rounds
from benchmarks.starting import Start, start_of
from benchmarks.stored import start_stores, store_contestants
from tests.support.processes import ProgramError

RESULTS = Path(__file__).with_name("results")
PARTS = {
    "cost": samples.COST,
    "websocket": samples.MESSAGES,
    "large": samples.LARGE_FILE,
    "sessions": samples.MANY_SESSIONS,
    "redis": (),
    "start": (),
    "profile": (),
}


@dataclass(frozen=True, slots=True)
class Plan:
    """How much is done; ``retake_s`` from the beginning, disturbed samples are no longer taken again."""

    rounds: int
    seconds: float
    sessions: int
    in_full_redis: int
    retake_s: float


WHOLE = Plan(rounds=3, seconds=4.0, sessions=10_000, in_full_redis=1_000_000, retake_s=720.0)
QUICK = Plan(rounds=1, seconds=1.0, sessions=100, in_full_redis=5_000, retake_s=0.0)
STORED_SESSIONS = 1000
"""In turn, of each server of the part ``redis``."""


@dataclass(slots=True)
class Run:
    """One run, part by part."""

    plan: Plan
    parts: list[str]
    around: Surroundings
    contestants: list[Contestant]
    generators: Generators
    stored: list[Contestant]
    begun_at: float = field(default_factory=time.monotonic)
    entrants: list[Entrant] = field(default_factory=list)
    taken: list[Sample] = field(default_factory=list)
    starts: dict[str, Start] = field(default_factory=dict)
    sessions: dict[str, int] = field(default_factory=dict)
    profile: str = ""

    def go(self, stack: ExitStack) -> None:
        """Do every part."""
        if "start" in self.parts:
            # Before any other of its kind runs: their memory would be shared, and so count for half.
            say("start ...")
            self.starts = {one.name: start_of(self.around, one) for one in self.contestants}
        loaded = [part for part in self.parts if part != "start"]
        if loaded:
            self._load(stack, loaded)

    def _load(self, stack: ExitStack, parts: list[str]) -> None:
        """Start every server, and do what loads them."""
        logs = list(AccessLog) if "cost" in self.parts else [AccessLog.AS_SHIPPED]
        self.entrants = [enter(stack, self.around, one, log) for one in self.contestants for log in logs]
        for part in parts:
            say(f"{part} ...")
            if part == "sessions":
                self._make_sessions()
            if PARTS[part]:
                self._measure(PARTS[part], self.entrants)
            if part == "redis" and self.stored:
                self._measure_stores()
        if "profile" in self.parts:
            self.profile = self._profile()

    def _measure(self, scenarios: tuple[Scenario, ...], entrants: list[Entrant]) -> None:
        sampler = Sampler(
            self.generators,
            self.around.cores,
            seconds=self.plan.seconds,
            retake_until=self.begun_at + self.plan.retake_s,
        )
        for sample in rounds(scenarios, entrants, sampler=sampler, number=self.plan.rounds):
            self.taken.append(sample)
            say(_line(sample))

    def _measure_stores(self) -> None:
        with ExitStack() as stack:
            start_stores(stack, self.around.folder, self.around.cores, self.stored, others=self.plan.in_full_redis)
            ours = [one for one in self.entrants if one.name == OURS and one.log is AccessLog.AS_SHIPPED]
            entrants = ours + [enter(stack, self.around, one, AccessLog.AS_SHIPPED) for one in self.stored]
            by_name = {one.name: one for one in [*self.contestants, *self.stored]}
            number = min(STORED_SESSIONS, self.plan.sessions)
            for entrant in entrants:
                sign_in_many_at(entrant, by_name[entrant.name], number)
            self._measure(samples.STORED, entrants)

    def _make_sessions(self) -> None:
        by_name = {one.name: one for one in self.contestants}
        for entrant in self.entrants:
            if entrant.log is AccessLog.AS_SHIPPED:
                number = sign_in_many_at(entrant, by_name[entrant.name], self.plan.sessions)
                if number:
                    self.sessions[entrant.name] = number

    def _profile(self) -> str:
        ours = [one for one in self.entrants if one.name == OURS and one.log is AccessLog.AS_SHIPPED]
        if not ours:
            return ""
        seconds = max(3.0, self.plan.seconds)
        load = Load(SMALL, 64, 2000, seconds + 3, ours[0].one)
        return profile(
            ours[0].pid,
            self.around.folder / "profile",
            seconds=seconds,
            core=self.around.cores.others,
            load=lambda: self.generators.requests(ours[0].port, load),
        )

    def results(self, remarks: list[str]) -> Results:
        """Return what was found out."""
        return Results(
            figures=figures(self.taken),
            starts=self.starts,
            sessions=self.sessions,
            machine={**notes(), "Python": version_of([str(SIDEGATE.with_name("python")), "-VV"])},
            versions=versions_of(self.contestants),
            notes=[*remarks, self._how()],
            profile=self.profile,
        )

    def _how(self) -> str:
        minutes = (time.monotonic() - self.begun_at) / 60
        disturbed = sum(sample.is_disturbed for sample in self.taken)
        return (
            f"rounds: {self.plan.rounds}, samples of {self.plan.seconds:.0f} s, {minutes:.1f} minutes in all; "
            f"{disturbed} of {len(self.taken)} samples were disturbed by others"
        )


def main(arguments: list[str] | None = None) -> int:
    """Run what the arguments ask for; returns the exit code."""
    asked = _arguments(arguments)
    contestants, skipped = present_contestants()
    contestants = [one for one in contestants if not asked.only or one.name in asked.only]
    for line in skipped:
        say(line)
    try:
        with ExitStack() as stack:
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="bench-", ignore_cleanup_errors=True)))
            cores = choose_cores()
            stored = store_contestants() if "redis" in asked.parts and _has_ours(contestants) else []
            if "redis" in asked.parts and not stored:
                skipped.append("the part redis is skipped: it needs redis-server and Sidegate")
                say(skipped[-1])
            around = set_up(stack, folder, cores, contestants + stored)
            run = Run(asked.plan, asked.parts, around, contestants, Generators(folder, cores.others), stored)
            run.go(stack)
            _write(asked.into, run.results(skipped))
    except (MachineError, ProgramError) as error:
        say(f"bench: {error}")
        return 1
    return 0


def _has_ours(contestants: list[Contestant]) -> bool:
    return any(one.name == OURS for one in contestants)


def _arguments(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="make bench", description="What a request costs, beside the peers.")
    parser.add_argument(
        "--quick", dest="plan", action="store_const", const=QUICK, default=WHOLE, help="short and rough"
    )
    parser.add_argument("--parts", type=_parts, default=list(PARTS), help=f"of {','.join(PARTS)}")
    parser.add_argument("--only", type=lambda text: text.split(","), default=[], help="names of servers")
    parser.add_argument("--into", type=Path, default=None, help="folder of the results")
    asked = parser.parse_args(arguments)
    if asked.into is None:
        asked.into = RESULTS if asked.plan is WHOLE else RESULTS / "quick"
    return asked


def _parts(text: str) -> list[str]:
    parts = text.split(",")
    if unknown := set(parts) - PARTS.keys():
        raise argparse.ArgumentTypeError(f"no part is named {', '.join(sorted(unknown))}")
    return [part for part in PARTS if part in parts]


def _write(into: Path, results: Results) -> None:
    into.mkdir(parents=True, exist_ok=True)
    (into / "results.md").write_text(markdown(results), "utf-8")
    if results.figures:
        (into / "cpu.svg").write_text(svg(results.figures), "utf-8")
    say(f"Written: {into / 'results.md'}")


def _line(sample: Sample) -> str:
    answers = sample.answers
    mark = f"  disturbed ({sample.foreign:.0%})" if sample.is_disturbed else ""
    wrong = f"  {answers.wrong} wrong" if answers.wrong else ""
    return (
        f"  {sample.scenario:<24}{sample.name:<18}log {sample.log.value:<11}"
        f"{sample.cpu_us:>9,.1f} µs CPU  p50 {answers.p50_us:>7,.0f}  p99 {answers.p99_us:>8,.0f}{wrong}{mark}"
    )


def say(text: str) -> None:
    """Print a line at once."""
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
