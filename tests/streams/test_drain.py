"""Replicas are replaced under load, and nobody notices."""

from __future__ import annotations

import asyncio
import signal
import statistics
import time
from typing import TYPE_CHECKING, Any

import pytest

from tests.streams.door import IS_FULL, app_of, at_provider, get, hello, post, provider, ready, request_head, settings
from tests.support.balancer import balancing
from tests.support.ports import free_port
from tests.support.steady_load import SteadyLoad

if TYPE_CHECKING:
    from tests.streams.door import Dial
    from tests.support.fixtures import StartSidegate

PER_SECOND = 500
ROUNDS = 4 if IS_FULL else 1
SETTLE_S = 5.0 if IS_FULL else 1.0


@pytest.mark.slow
@pytest.mark.timeout(240)
async def test_no_request_fails_when_a_replica_is_replaced_under_load(sidegate_process: StartSidegate) -> None:
    port = free_port()
    async with app_of(hello) as app, provider(app_port=port) as issuer:

        def file() -> dict[str, Any]:
            server = {"listen": f"127.0.0.1:{free_port()}", "public_url": "http://app.example"}
            return settings(app.url, server=server, keycloak=at_provider(issuer))

        first, second = [await ready(sidegate_process(file(), wait_for="listening")) for _ in range(2)]
        requests = [
            get("/page", first),
            post("/form", first, "Content-Length: 4") + b"body",
        ]
        async with balancing(first, second) as balancer:
            load = SteadyLoad(balancer.port, requests)
            is_over = asyncio.Event()
            running = asyncio.create_task(  # noqa: TID251 - awaited below
                load.run(per_second=PER_SECOND, until=is_over.is_set)
            )
            codes, drained_s = [], []
            for _ in range(ROUNDS):
                await asyncio.sleep(SETTLE_S)
                fresh = sidegate_process(file(), wait_for="started")
                await ready(fresh)
                balancer.replicas.append(fresh)
                await asyncio.sleep(SETTLE_S)
                oldest = balancer.replicas[0]
                begun = time.monotonic()
                oldest.program.signal(signal.SIGTERM)
                codes.append(await asyncio.to_thread(oldest.program.wait, timeout_s=25))
                drained_s.append(time.monotonic() - begun)
                balancer.replicas.remove(oldest)
            await asyncio.sleep(SETTLE_S)
            is_over.set()
            await running
            load.close()

    p99 = statistics.quantiles(load.answered, n=100)[98] * 1000
    print(
        f"{len(load.answered)} answered, {len(load.failures)} failed, p99 {p99:.0f} ms, {load.connections} connections;"
        f" {ROUNDS} replicas ended after {', '.join(f'{each:.1f}' for each in drained_s)} s"
    )
    assert load.failures == []
    assert codes == [0] * ROUNDS
    assert len(load.answered) > PER_SECOND * SETTLE_S


async def test_a_running_answer_is_sent_to_its_end_and_the_exit_code_is_0(
    sidegate_process: StartSidegate, dial: Dial
) -> None:
    may_end = asyncio.Event()

    async def speak(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await request_head(reader)
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nfirst")
        await may_end.wait()
        writer.write(b"-half")
        await writer.drain()

    async with app_of(speak) as app:
        process = sidegate_process(settings(app.url), wait_for="listening")
        client = await dial(process)
        await client.send(get("/", process))
        head = await client.head()
        assert await client.reader.readexactly(5) == b"first"

        process.program.signal(signal.SIGTERM)
        await asyncio.sleep(1.5)
        may_end.set()

        assert await client.ended() == b"-half"
        assert head.status == 200
        assert await asyncio.to_thread(process.program.wait, timeout_s=10) == 0


async def test_what_does_not_end_is_ended_after_the_grace_with_exit_code_0(
    sidegate_process: StartSidegate, dial: Dial
) -> None:
    async def endless(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await request_head(reader)
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nfirst")
        await reader.read()

    async with app_of(endless) as app:
        process = sidegate_process(settings(app.url, server={"shutdown_grace": "2s"}), wait_for="listening")
        client = await dial(process)
        await client.send(get("/", process))
        await client.head()

        begun = time.monotonic()
        process.program.signal(signal.SIGTERM)
        code = await asyncio.to_thread(process.program.wait, timeout_s=15)

    assert code == 0
    assert 2 <= time.monotonic() - begun < 10
