"""Many trials at once, each on a course of its own; counts, and what was found with the seed that shows it again."""

from __future__ import annotations

import asyncio
import contextlib
from collections import Counter
from dataclasses import dataclass, field
from itertools import count
from typing import TYPE_CHECKING

from proxy.ports import Forward
from tests.fuzz import answer_trial, request_trial
from tests.fuzz.answer_grammar import make_scene
from tests.fuzz.nginx import NginxHop
from tests.fuzz.request_grammar import make_stimulus

if TYPE_CHECKING:
    from collections.abc import Iterator

PATIENCE = 10
_OF_TIME = ("waits for the rest", "nginx")
"""Sentences that a machine with too much to do can cause: they count when they are true at ten times the patience."""

LANES = 6
"""Trials of each direction under way at once: most of their time is waiting for what does not come."""


LINE = 300
"""Characters of a finding that are shown; its seed shows the rest."""


@dataclass(slots=True)
class Tally:
    """What was done and found.

    Attributes:
        streams: clients whose bytes were odd; ``heads`` of theirs reached the gate, ``forwarded`` went on.
        statuses: how the requests ended, refusals before the gate included; 499 is a client that left.
        scenes: odd answers; ``answers`` is what became of them, by status.
        findings: sentences, each with its direction and seed.
    """

    streams: int = 0
    heads: int = 0
    forwarded: int = 0
    statuses: Counter[int] = field(default_factory=Counter)
    scenes: int = 0
    answers: Counter[int] = field(default_factory=Counter)
    read_by_nginx: int = 0
    findings: list[str] = field(default_factory=list)

    def lines(self) -> list[str]:
        """Say it."""
        refused = {status: number for status, number in sorted(self.statuses.items()) if status != 200}
        return [
            f"requests: {self.streams} streams, {self.heads} heads at the gate, {self.forwarded} forwarded",
            f"  {self.read_by_nginx} read by nginx too, {self.statuses[200]} answered, otherwise {refused}",
            f"answers: {self.scenes} scenes, by status {dict(sorted(self.answers.items()))}",
            f"findings: {len(self.findings)}",
            *self.findings[:50],
        ]


class Campaign:
    """Trials from ``seed`` upwards, until the time is over or ``limit`` of each direction are done."""

    def __init__(self, *, nginx_command: str | None, seed: int, limit: int | None = None) -> None:
        self.tally = Tally()
        self._nginx = NginxHop(nginx_command, count=LANES) if nginx_command else None
        self._request_seeds: Iterator[int] = iter(range(seed, seed + limit)) if limit else count(seed)
        self._answer_seeds: Iterator[int] = iter(range(seed, seed + limit)) if limit else count(seed)

    async def run(self, seconds: float) -> Tally:
        """Hold trials for so long."""
        if self._nginx is not None:
            await self._nginx.start()
        lanes = [self._ask(place) for place in range(LANES)] + [self._answer() for _ in range(LANES)]
        try:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(seconds):
                    await asyncio.gather(*lanes)
        finally:
            if self._nginx is not None:
                await self._nginx.stop()
        return self.tally

    async def _ask(self, place: int) -> None:
        course = request_trial.RequestCourse(self._nginx, place=place)
        await course.start()
        try:
            for seed in self._request_seeds:
                outcome = await course.run(make_stimulus(seed))
                if _may_be_haste(request_trial.complaints(outcome)):
                    outcome = await course.run(make_stimulus(seed), patience=PATIENCE)
                self._note_requests(outcome)
        finally:
            await course.stop()

    def _note_requests(self, outcome: request_trial.Outcome) -> None:
        tally = self.tally
        tally.streams += 1
        tally.heads += len(outcome.admitted)
        tally.forwarded += sum(isinstance(one.admission, Forward) for one in outcome.admitted)
        tally.read_by_nginx += sum(len(transcript.messages) for transcript in outcome.by_nginx)
        tally.statuses.update(event.status for event in outcome.ended)
        found = request_trial.complaints(outcome)
        tally.findings += [f"request {outcome.stimulus.seed}: {text[:LINE]}" for text in found]

    async def _answer(self) -> None:
        course = answer_trial.AnswerCourse()
        await course.start()
        try:
            for seed in self._answer_seeds:
                result = await course.run(make_scene(seed))
                if _may_be_haste(answer_trial.complaints(result)):
                    result = await course.run(make_scene(seed), patience=PATIENCE)
                self._note_answer(result)
        finally:
            await course.stop()

    def _note_answer(self, result: answer_trial.Result) -> None:
        tally = self.tally
        tally.scenes += 1
        tally.answers.update(event.status for event in result.ended if event.path == "/first")
        found = answer_trial.complaints(result)
        tally.findings += [f"answer {result.scene.seed}: {text[:LINE]}" for text in found]


def _may_be_haste(found: list[str]) -> bool:
    return bool(found) and all(any(words in text for words in _OF_TIME) for text in found)
