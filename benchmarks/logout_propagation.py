"""How fast a logout is law everywhere: ``python -m benchmarks.logout_propagation``; ``--quick`` for a rough answer.

Four replicas around one Redis. A session that the other three have in their caches is ended by a POST at the first;
meanwhile each of the others is asked again and again, on a kept connection, whether it still serves it.

*refused after*
    from the sending of the POST to the first refusal that has arrived, so with the way of the request that met it and
    the pause before it.
*last served after*
    from the sending of the POST to the last answer of the app that has arrived. This is what was served too long.

Then the same for a replica whose connections to Redis were cut silently a moment before (no FIN, no RST), and for
streams that are open on one replica.
"""

from __future__ import annotations

import argparse
import asyncio
import base64
import contextlib
import os
import re
import statistics
import sys
import tempfile
import time
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.replicas import Door, Replicas, start_replicas
from benchmarks.sign_in import sign_in_apart

if TYPE_CHECKING:
    from collections.abc import Sequence

REPLICAS = 4
ASK_EVERY_S = 0.002
CUT_ASK_EVERY_S = 0.01
PATIENCE_S = 10.0
CUT_SETTLE_S = 0.1
"""Between the cut and the logout: what was on its way when it happened has arrived."""

GOAL_P99_S = 0.05
GOAL_CUT_S = 1.0
GOAL_BACK_S = 5.0
GOAL_STREAMS_S = 1.0
SERVED = 200
ERROR = 400
CLOSED_BY_POLICY = re.compile(rb"\x88.\x03\xf0", re.DOTALL)
"""A close frame with the code 1008 (RFC 6455 §5.5.1, §7.4.1)."""


@dataclass(frozen=True, slots=True)
class Plan:
    """How much is done."""

    logouts: int
    cuts: int
    streams: int


WHOLE = Plan(logouts=500, cuts=20, streams=1000)
QUICK = Plan(logouts=25, cuts=3, streams=100)


@dataclass(slots=True)
class Measured:
    """Seconds after the POST; ``back`` after the network was."""

    refused: list[float] = field(default_factory=list)
    served: list[float] = field(default_factory=list)
    back: list[float] = field(default_factory=list)


# --- requests --------------------------------------------------------------------------------------------------------


async def logouts(replicas: Replicas, cookies: Sequence[str]) -> Measured:
    """End each session at the first replica and watch the others."""
    measured = Measured()
    first, *others = (Door(port, replicas.authority) for port in replicas.ports)
    for cookie in cookies:
        for door in others:
            await _must_serve(door, cookie)
        posting = asyncio.get_running_loop().create_task(first.sign_out(cookie, replicas.origin))
        begun = time.perf_counter()
        for refused, served in await asyncio.gather(*(_watch(door, cookie, begun) for door in others)):
            measured.refused.append(refused)
            measured.served.append(served)
        assert await posting < ERROR
    for door in (first, *others):
        door.close()
    return measured


async def _watch(door: Door, cookie: str, begun: float) -> tuple[float, float]:
    """Ask until it refuses; returns when it refused and when it served last (0: never after the POST)."""
    served = 0.0
    while time.perf_counter() < begun + PATIENCE_S:
        status = await door.get(cookie)
        now = time.perf_counter() - begun
        if status != SERVED:
            return now, served
        served = now
        await asyncio.sleep(ASK_EVERY_S)
    raise TimeoutError(f"still served {PATIENCE_S} s after the logout")


async def _sign_out(door: Door, cookie: str, replicas: Replicas) -> tuple[float, float]:
    """Sign out, which must work; the pair says nothing."""
    status = await door.sign_out(cookie, replicas.origin)
    if status >= ERROR:
        raise ConnectionError(f"the logout was answered with {status}")
    return 0.0, 0.0


async def _must_serve(door: Door, cookie: str) -> None:
    until = time.perf_counter() + PATIENCE_S
    while await door.get(cookie) != SERVED:
        if time.perf_counter() > until:
            raise TimeoutError("a live session is not served")
        await asyncio.sleep(ASK_EVERY_S)


# --- a replica that is cut off ---------------------------------------------------------------------------------------


async def cuts(replicas: Replicas, cookies: Sequence[str], living: str) -> Measured:
    """Cut the last replica off silently, then end a session at the first; watch the last.

    ``living`` is a session that is served again when the network is back.
    """
    measured = Measured()
    first = Door(replicas.ports[0], replicas.authority)
    for cookie in cookies:
        await _must_serve(Door(replicas.ports[-1], replicas.authority), cookie)
        await asyncio.to_thread(replicas.network.pause)
        await asyncio.sleep(CUT_SETTLE_S)
        begun = time.perf_counter()
        watching = _watch_cut(replicas, cookie, begun)
        _, (refused, served) = await asyncio.gather(_sign_out(first, cookie, replicas), watching)
        measured.refused.append(refused)
        measured.served.append(served)
        await asyncio.to_thread(replicas.network.resume)
        resumed = time.perf_counter()
        await _must_serve(Door(replicas.ports[-1], replicas.authority), living)
        measured.back.append(time.perf_counter() - resumed)
    first.close()
    return measured


async def _watch_cut(replicas: Replicas, cookie: str, begun: float) -> tuple[float, float]:
    """Ask by a timetable, each time on a connection of its own: an answer that is held up holds up no question."""
    refused: list[float] = []
    served = [0.0]

    async def ask() -> None:
        door = Door(replicas.ports[-1], replicas.authority)
        status = await door.get(cookie)
        (served if status == SERVED else refused).append(time.perf_counter() - begun)
        door.close()

    async with asyncio.timeout(PATIENCE_S), asyncio.TaskGroup() as group:
        while time.perf_counter() < begun + 2 * GOAL_CUT_S:
            group.create_task(ask())
            await asyncio.sleep(CUT_ASK_EVERY_S)
    return min(refused), max(served)


# --- open streams ----------------------------------------------------------------------------------------------------


async def streams(replicas: Replicas, cookie: str, other: str, number: int) -> Measured:
    """Open streams on the second replica, half WebSockets, half events; end their session at the first.

    ``other`` is a session whose stream must stay open.
    """
    paths = ["/ws", "/events?every=60"] * (number // 2)
    opened = [await _open(replicas, cookie, path) for path in paths]
    staying = await _open(replicas, other, "/events?every=0.1")
    begun = time.perf_counter()
    ends = asyncio.gather(
        *(
            (_closed if path == "/ws" else _ended)(reader, begun)
            for path, (reader, _) in zip(paths, opened, strict=True)
        )
    )
    await _sign_out(Door(replicas.ports[0], replicas.authority), cookie, replicas)
    measured = Measured(refused=await ends)
    async with asyncio.timeout(PATIENCE_S):
        await staying[0].readuntil(b"data: ")
    for _, writer in [*opened, staying]:
        writer.transport.abort()
    return measured


async def _open(replicas: Replicas, cookie: str, path: str) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    reader, writer = await asyncio.open_connection("127.0.0.1", replicas.ports[1])
    fields = [f"Host: {replicas.authority}", f"Origin: {replicas.origin}", f"Cookie: {cookie}"]
    if path == "/ws":
        key = base64.b64encode(os.urandom(16)).decode()
        fields += [
            "Upgrade: websocket",
            "Connection: Upgrade",
            "Sec-WebSocket-Version: 13",
            f"Sec-WebSocket-Key: {key}",
        ]
    writer.write("\r\n".join([f"GET {path} HTTP/1.1", *fields, "", ""]).encode())
    head = await reader.readuntil(b"\r\n\r\n")
    assert head.startswith((b"HTTP/1.1 101 ", b"HTTP/1.1 200 ")), head
    await reader.readuntil(b"user")  # who is there: the stream is open at the app too
    return reader, writer


async def _closed(reader: asyncio.StreamReader, begun: float) -> float:
    """Wait for the close frame of a WebSocket."""
    heard = b""
    async with asyncio.timeout(PATIENCE_S):
        while data := await reader.read(4096):
            heard += data
            if CLOSED_BY_POLICY.search(heard):
                return time.perf_counter() - begun
    raise ConnectionError(f"a WebSocket broke off after {heard!r}")


async def _ended(reader: asyncio.StreamReader, begun: float) -> float:
    """Wait for the end of a body, which breaks off, because it is not whole."""
    async with asyncio.timeout(PATIENCE_S):
        with contextlib.suppress(ConnectionResetError):
            await reader.read()
    return time.perf_counter() - begun


# --- the run ---------------------------------------------------------------------------------------------------------


def report(plan: Plan, plain: Measured, cut: Measured, closed: Measured) -> str:
    """Return the figures as Markdown."""
    rows = [
        _row(f"{plan.logouts} logouts, refused after", plain.refused, f"p99 ≤ {GOAL_P99_S * 1000:.0f}"),
        _row(f"{plan.logouts} logouts, last served after", plain.served, ""),
        _row(f"{plan.cuts} silent cuts, refused after", cut.refused, ""),
        _row(f"{plan.cuts} silent cuts, last served after", cut.served, f"max ≤ {GOAL_CUT_S * 1000:.0f}"),
        _row(f"{plan.cuts} silent cuts, living ones back after", cut.back, f"max ≤ {GOAL_BACK_S * 1000:.0f}"),
        _row(
            f"{plan.streams} streams of a session, closed after", closed.refused, f"max ≤ {GOAL_STREAMS_S * 1000:.0f}"
        ),
    ]
    return "\n".join(["| milliseconds | p50 | p99 | max | goal |", "| --- | --- | --- | --- | --- |", *rows])


def _row(what: str, seconds: list[float], goal: str) -> str:
    ordered = sorted(seconds)
    p50, p99 = statistics.median(ordered), ordered[min(len(ordered) - 1, int(len(ordered) * 0.99))]
    return f"| {what} | {p50 * 1000:,.1f} | {p99 * 1000:,.1f} | {ordered[-1] * 1000:,.1f} | {goal} |"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run it and print the table."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.logout_propagation", description="See the module.")
    parser.add_argument("--quick", action="store_const", const=QUICK, default=WHOLE, dest="plan", help="rough")
    plan: Plan = parser.parse_args(arguments).plan
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="logout-propagation-")))
        replicas = start_replicas(stack, folder, REPLICAS)
        needed = plan.logouts + plan.cuts + 2
        cookies = sign_in_apart(replicas.origin, "/_sidegate/start", needed)
        living = cookies.pop()
        closed = asyncio.run(streams(replicas, cookies.pop(), living, plan.streams))
        plain = asyncio.run(logouts(replicas, cookies[: plan.logouts]))
        cut = asyncio.run(cuts(replicas, cookies[plan.logouts :], living))
    sys.stdout.write(report(plan, plain, cut, closed) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
