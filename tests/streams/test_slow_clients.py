"""Clients that cost more than they bring: others are served beside them, and each kind has its end and its cap."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import resource
import socket
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import pytest

from tests.streams.door import (
    IS_FULL,
    app_of,
    exposition_of,
    figure,
    get,
    hello,
    many,
    memory_of,
    p99_ms,
    post,
    settings,
)
from tests.support.eventually import eventually

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.streams.door import Dial
    from tests.support.fixtures import StartSidegate
    from tests.support.legacy_app import LegacyApp
    from tests.support.sidegate_process import SidegateProcess

IDLE = 10_000 if IS_FULL else 2_000
REFUSED = "sidegate_client_connections_refused_total"
DRIPPING = 500
FLOOD = 2_000
REQUESTS = 3_000 if IS_FULL else 200
PATIENT = {"head": "60s", "idle": "120s", "body_idle": "60s"}


async def said(process: SidegateProcess, name: str) -> float:
    """One figure of ``/metrics``."""
    return figure(await asyncio.to_thread(exposition_of, process), name)


def connected(process: SidegateProcess, data: bytes = b"") -> socket.socket:
    sock = socket.create_connection(("127.0.0.1", process.port), timeout=20)
    if data:
        sock.sendall(data)
    return sock


def idle(process: SidegateProcess) -> socket.socket:
    """A connection that has had an answer and is kept."""
    sock = connected(process, get("/", process))
    while not sock.recv(65536).endswith(b"hello"):
        pass
    return sock


@contextmanager
def dripping(socks: list[socket.socket]) -> Iterator[None]:
    """Send one byte on each of these twice a second, until the block ends."""
    is_over = threading.Event()

    def drip() -> None:
        # Evenly, as many strangers do; all of them at once would be a burst, which is another trouble.
        for sock in itertools.cycle(socks):
            if is_over.wait(0.5 / len(socks)):
                return
            with contextlib.suppress(OSError):
                sock.send(b"x")

    thread = threading.Thread(target=drip)
    thread.start()
    try:
        yield
    finally:
        is_over.set()
        thread.join()


@contextmanager
def flooding(process: SidegateProcess) -> Iterator[list[int]]:
    """Connect, say nothing, go and come again, as fast as one thread can; yields how often, in a list of one."""
    is_over = threading.Event()
    connected_so_far = [0]

    def flood() -> None:
        kept: list[socket.socket] = []
        while not is_over.wait(0.001):
            with contextlib.suppress(OSError):
                kept.append(socket.create_connection(("127.0.0.1", process.port), timeout=1))
                connected_so_far[0] += 1
            if len(kept) >= FLOOD:
                kept.pop(0).close()
        for sock in kept:
            sock.close()

    thread = threading.Thread(target=flood)
    thread.start()
    try:
        yield connected_so_far
    finally:
        is_over.set()
        thread.join()


async def beside(
    process: SidegateProcess, crowd: Callable[[], contextlib.AbstractContextManager[Any]]
) -> tuple[float, float]:
    """The p99 of a visitor alone, and beside the crowd, in milliseconds."""

    def measure() -> tuple[float, float]:
        p99_ms(process, 100)
        alone = p99_ms(process, REQUESTS)
        with crowd():
            return alone, p99_ms(process, REQUESTS)

    return await asyncio.to_thread(measure)


@pytest.fixture
def other_app(legacy_app: Callable[[str], LegacyApp]) -> str:
    """An app in a process of its own, for the visitor."""
    return legacy_app("tests.support.environ_wsgi:application").url


def two_apps(app_url: str, visited: str, timeouts: dict[str, str]) -> dict[str, Any]:
    """The crowd asks one app, the visitor the other."""
    routes = [
        {"path": "/visitor", "access": "public", "upstream": "visited"},
        {"path": "/**", "access": "public", "upstream": "app"},
    ]
    upstreams = {"app": {"url": app_url}, "visited": {"url": visited}}
    return settings(app_url, server={"timeouts": timeouts}, upstreams=upstreams, routes=routes)


def told(what: str, alone: float, beside_it: float) -> None:
    print(f"{what}: p99 alone {alone:.2f} ms, beside it {beside_it:.2f} ms ({beside_it / alone:.2f} times)")


@pytest.mark.slow
@pytest.mark.timeout(180)
async def test_others_are_served_beside_thousands_of_idle_connections(
    sidegate_process: StartSidegate, other_app: str
) -> None:
    with many(IDLE), contextlib.ExitStack() as stack:
        hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
        async with app_of(hello) as app:
            # A shell's soft limit: Sidegate takes what the hard one allows.
            process = sidegate_process(
                two_apps(app.url, other_app, PATIENT),
                under=["prlimit", f"--nofile=1024:{hard if hard >= 0 else 'unlimited'}"],
                wait_for="listening",
            )
            before = memory_of(process)

            @contextmanager
            def crowd() -> Iterator[None]:
                for _ in range(IDLE):
                    stack.callback(idle(process).close)
                yield

            alone, beside_it = await beside(process, crowd)
            exposition = await asyncio.to_thread(exposition_of, process)
            each = (memory_of(process) - before) / IDLE / 1024

    told(f"{IDLE} idle connections ({each:.1f} KiB each)", alone, beside_it)
    assert figure(exposition, "sidegate_client_connections") >= IDLE
    assert figure(exposition, "sidegate_client_connections_refused_total") == 0
    assert each <= 32


@pytest.mark.slow
@pytest.mark.parametrize("part", ["head", "body"])
async def test_others_are_served_beside_those_who_drip(
    sidegate_process: StartSidegate, other_app: str, part: str
) -> None:
    with many(2 * DRIPPING), contextlib.ExitStack() as stack:
        async with app_of(hello) as app:
            process = sidegate_process(two_apps(app.url, other_app, PATIENT), wait_for="listening")
            body = post("/", process, "Content-Length: 100000")
            begun = get("/", process, "X-Long: ").removesuffix(b"\r\n\r\n") if part == "head" else body

            @contextmanager
            def crowd() -> Iterator[None]:
                socks = [stack.enter_context(connected(process, begun)) for _ in range(DRIPPING)]
                with dripping(socks):
                    yield

            alone, beside_it = await beside(process, crowd)

    told(f"{DRIPPING} that drip a {part}", alone, beside_it)


@pytest.mark.slow
async def test_others_are_served_beside_a_flood_of_connections_that_say_nothing(
    sidegate_process: StartSidegate, other_app: str
) -> None:
    with many(2 * FLOOD):
        async with app_of(hello) as app:
            process = sidegate_process(two_apps(app.url, other_app, {"head": "2s"}), wait_for="listening")
            counts: list[list[int]] = []

            @contextmanager
            def crowd() -> Iterator[None]:
                with flooding(process) as count:
                    counts.append(count)
                    yield

            alone, beside_it = await beside(process, crowd)

    told(f"a flood of {counts[0][0]} connections that say nothing", alone, beside_it)
    assert counts[0][0] > 100


async def test_those_who_drip_have_their_end(sidegate_process: StartSidegate) -> None:
    async with app_of(hello) as app:
        process = sidegate_process(settings(app.url, server={"timeouts": {"head": "1s"}}), wait_for="listening")

        def outlasts() -> list[bytes]:
            with contextlib.ExitStack() as stack:
                socks = [stack.enter_context(connected(process, b"GET / HTTP/1.1\r\nX: ")) for _ in range(20)]
                stack.enter_context(dripping(socks))
                return [sock.recv(65536) for sock in socks]

        answers = await asyncio.to_thread(outlasts)

    assert all(answer.startswith(b"HTTP/1.1 408 ") for answer in answers)


async def test_above_the_cap_connections_are_refused_and_counted_and_room_is_made_again(
    sidegate_process: StartSidegate, dial: Dial
) -> None:
    async with app_of(hello) as app:
        # 256 descriptors: 192 clients at most, and the rest for upstreams.
        process = sidegate_process(
            settings(app.url, server={"timeouts": PATIENT}), under=["prlimit", "--nofile=256:256"], wait_for="listening"
        )
        served = await dial(process)
        assert (await served.ask(get("/", process))).status == 200
        with contextlib.ExitStack() as stack:
            for _ in range(300):
                stack.enter_context(connected(process))
            await eventually(lambda: said(process, REFUSED), 109, within_s=10)

            assert await said(process, "sidegate_client_connections") == 192
            assert await (await dial(process)).ended() == b""
            assert (await served.ask(get("/", process))).status == 200

        await eventually(lambda: said(process, "sidegate_client_connections"), 1, within_s=10)
        assert (await (await dial(process)).ask(get("/", process))).status == 200
