"""``python -m tests.fuzz --minutes 10``: odd bytes through the data path, judged by the parsers of others.

``--seed N`` begins elsewhere; ``--request N`` and ``--answer N`` hold one trial again and show its bytes.
"""

from __future__ import annotations

import argparse
import asyncio
import sys

import uvloop

from tests.fuzz import answer_trial, request_trial
from tests.fuzz.answer_grammar import make_scene
from tests.fuzz.campaign import Campaign
from tests.fuzz.nginx import NginxHop, nginx_command
from tests.fuzz.request_grammar import make_stimulus


def main() -> int:
    """Run; 1 when anything was found."""
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    parser.add_argument("--minutes", type=float, default=10.0)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--loop", choices=("asyncio", "uvloop"), default="asyncio")
    parser.add_argument("--request", type=int, metavar="SEED")
    parser.add_argument("--answer", type=int, metavar="SEED")
    arguments = parser.parse_args()
    factory = uvloop.new_event_loop if arguments.loop == "uvloop" else asyncio.new_event_loop
    with asyncio.Runner(loop_factory=factory) as runner:
        return runner.run(_run(arguments))


async def _run(arguments: argparse.Namespace) -> int:
    if arguments.request is not None:
        return await _show_request(arguments.request)
    if arguments.answer is not None:
        return await _show_answer(arguments.answer)
    command = nginx_command()
    if command is None:
        print("nginx is not here: its reading is left out (apt-get install nginx)")
    tally = await Campaign(nginx_command=command, seed=arguments.seed).run(arguments.minutes * 60)
    print("\n".join(tally.lines()))
    return 1 if tally.findings else 0


async def _show_request(seed: int) -> int:
    command = nginx_command()
    nginx = NginxHop(command, count=1) if command else None
    course = request_trial.RequestCourse(nginx, place=0)
    if nginx is not None:
        await nginx.start()
    await course.start()
    outcome = await course.run(make_stimulus(seed))
    print("sent:", *outcome.stimulus.pieces, sep="\n  ")
    print("forwarded:", *(stream for stream, _ in outcome.streams), sep="\n  ")
    print("answered:", outcome.answers)
    found = request_trial.complaints(outcome)
    print("found:", *found, sep="\n  ")
    await course.stop()
    if nginx is not None:
        await nginx.stop()
    return 1 if found else 0


async def _show_answer(seed: int) -> int:
    course = answer_trial.AnswerCourse()
    await course.start()
    result = await course.run(make_scene(seed))
    print("asked:", result.scene.first, "pipelined" if result.scene.is_pipelined else "one by one")
    print("said:", *result.scene.script.pieces, result.scene.script.end, sep="\n  ")
    print("the client got:", result.first)
    print("the other client got:", result.other)
    found = answer_trial.complaints(result)
    print("found:", *found, sep="\n  ")
    await course.stop()
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
