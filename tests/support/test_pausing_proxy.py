"""The network in the hand of a test does what the test says."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import pytest
import pytest_asyncio

from tests.support.eventually import eventually
from tests.support.pausing_proxy import PausingProxy

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

SILENCE_S = 0.1
Pair = tuple[asyncio.StreamReader, asyncio.StreamWriter]


class Echo:
    """Echoes, counts its connections, and keeps what it heard."""

    def __init__(self) -> None:
        self.connections = 0
        self.heard = b""

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        while data := await reader.read(65536):
            self.heard += data
            writer.write(data)
            await writer.drain()
        writer.close()


@pytest_asyncio.fixture
async def echo() -> AsyncIterator[tuple[Echo, PausingProxy]]:
    """An echo behind a proxy."""
    echo = Echo()
    server = await asyncio.start_server(echo.serve, "127.0.0.1", 0)
    proxy = PausingProxy(server.sockets[0].getsockname()[1])
    await asyncio.to_thread(proxy.start)
    yield echo, proxy
    await asyncio.to_thread(proxy.stop)
    server.close()


@asynccontextmanager
async def connected(proxy: PausingProxy) -> AsyncIterator[Pair]:
    reader, writer = await asyncio.open_connection("127.0.0.1", proxy.port)
    try:
        yield reader, writer
    finally:
        writer.transport.abort()


async def says(pair: Pair, data: bytes) -> bytes:
    pair[1].write(data)
    return await asyncio.wait_for(pair[0].readexactly(len(data)), 5)


async def is_silent(reader: asyncio.StreamReader) -> bool:
    try:
        await asyncio.wait_for(reader.read(1), SILENCE_S)
    except TimeoutError:
        return True
    return False


async def test_bytes_pass_and_connections_are_counted(echo: tuple[Echo, PausingProxy]) -> None:
    _, proxy = echo
    large = b"x" * 3_000_000

    async with connected(proxy) as first, connected(proxy) as second:
        assert await says(first, b"one") == b"one"
        assert await says(second, large) == large
        assert (proxy.accepted, proxy.open_connections) == (2, 2)


async def test_an_end_is_passed_on_both_ways(echo: tuple[Echo, PausingProxy]) -> None:
    _, proxy = echo
    async with connected(proxy) as pair:
        await says(pair, b"one")
        pair[1].write_eof()

        assert await asyncio.wait_for(pair[0].read(), 5) == b""


async def test_a_pause_is_silent_and_loses_nothing(echo: tuple[Echo, PausingProxy]) -> None:
    app, proxy = echo
    async with connected(proxy) as pair:
        await says(pair, b"one")

        await asyncio.to_thread(proxy.pause)
        pair[1].write(b"two")
        assert await is_silent(pair[0])
        assert app.heard == b"one"

        await asyncio.to_thread(proxy.resume)
        assert await asyncio.wait_for(pair[0].readexactly(3), 5) == b"two"


async def test_a_connection_made_during_a_pause_is_accepted_and_silent(echo: tuple[Echo, PausingProxy]) -> None:
    app, proxy = echo
    await asyncio.to_thread(proxy.pause)
    async with connected(proxy) as pair:
        pair[1].write(b"one")
        assert await is_silent(pair[0])
        assert app.connections == 0

        await asyncio.to_thread(proxy.resume)
        assert await asyncio.wait_for(pair[0].readexactly(3), 5) == b"one"


async def test_answers_alone_can_be_held_back(echo: tuple[Echo, PausingProxy]) -> None:
    app, proxy = echo
    async with connected(proxy) as pair:
        await says(pair, b"one")

        await asyncio.to_thread(proxy.pause_answers)
        pair[1].write(b"two")
        assert await is_silent(pair[0])
        assert app.heard == b"onetwo"

        await asyncio.to_thread(proxy.resume)
        assert await asyncio.wait_for(pair[0].readexactly(3), 5) == b"two"


async def test_a_delay_keeps_the_order(echo: tuple[Echo, PausingProxy]) -> None:
    _, proxy = echo
    proxy.delay(0.2)
    async with connected(proxy) as pair:
        begun = asyncio.get_running_loop().time()
        for number in range(9):
            pair[1].write(b"%d" % number)
            await asyncio.sleep(0.002)
        await asyncio.sleep(0.05)
        proxy.delay(0)
        pair[1].write(b"9")

        assert await asyncio.wait_for(pair[0].readexactly(10), 5) == b"0123456789"
        assert asyncio.get_running_loop().time() - begun >= 0.2


async def test_what_is_delayed_does_not_slip_through_a_pause(echo: tuple[Echo, PausingProxy]) -> None:
    app, proxy = echo
    async with connected(proxy) as pair:
        await says(pair, b"one")
        proxy.delay(0.05)
        pair[1].write(b"two")
        await asyncio.sleep(0.02)

        await asyncio.to_thread(proxy.pause)
        await asyncio.sleep(0.1)
        assert app.heard == b"one"

        await asyncio.to_thread(proxy.resume)
        assert await asyncio.wait_for(pair[0].readexactly(3), 5) == b"two"


async def test_a_cut_resets_what_is_open_and_lets_new_ones_in(echo: tuple[Echo, PausingProxy]) -> None:
    _, proxy = echo
    async with connected(proxy) as pair:
        await says(pair, b"one")
        await asyncio.to_thread(proxy.cut)
        with pytest.raises(ConnectionResetError):
            await asyncio.wait_for(pair[0].readexactly(1), 5)

    async with connected(proxy) as pair:
        assert await says(pair, b"two") == b"two"


async def test_a_refusal_lasts_until_it_is_taken_back(echo: tuple[Echo, PausingProxy]) -> None:
    _, proxy = echo
    port = proxy.port
    await asyncio.to_thread(proxy.refuse)
    with pytest.raises(ConnectionRefusedError):
        await asyncio.open_connection("127.0.0.1", port)

    await asyncio.to_thread(proxy.resume)

    async with connected(proxy) as pair:
        assert await says(pair, b"one") == b"one"
    assert proxy.port == port


async def test_a_target_that_is_away_ends_the_connection(echo: tuple[Echo, PausingProxy], free_port: int) -> None:
    _, proxy = echo
    proxy.target_port = free_port

    with pytest.raises((ConnectionResetError, asyncio.IncompleteReadError)):
        async with connected(proxy) as pair:
            await asyncio.wait_for(pair[0].readexactly(1), 5)

    async def open_connections() -> int:
        return proxy.open_connections

    await eventually(open_connections, 0)
