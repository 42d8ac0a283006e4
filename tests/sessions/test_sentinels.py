"""Which Redis is the primary: the majority of the sentinels is believed."""

from __future__ import annotations

import asyncio
import contextlib
import time
from typing import TYPE_CHECKING

import pytest
from redis.asyncio.sentinel import MasterNotFoundError

from proxy.core.secret import Secret
from proxy.sessions.redis_options import BehindSentinels, RedisOptions, TcpNode
from proxy.sessions.sentinels import MAX_UNANSWERED, SENTINEL_S, Sentinels
from tests.support.ports import free_port

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from tests.redis.sentinel import SentinelHouse

OLD, NEW = TcpNode("10.0.0.1", 6379), TcpNode("10.0.0.2", 6379)
NAMES_NOBODY = b"*-1\r\n"
HANGS = b""


def _names(node: TcpNode) -> bytes:
    return b"*2\r\n$%d\r\n%b\r\n$4\r\n%d\r\n" % (len(node.host), node.host.encode(), node.port)


class FakeSentinel:
    """Answers each command with the same bytes; ``password`` makes it want AUTH first."""

    def __init__(self, answer: bytes, password: str | None = None) -> None:
        self.answer = answer
        self.password = password
        self.accepted = self.asked = 0
        self._writers: list[asyncio.StreamWriter] = []

    def hang_up(self) -> None:
        for writer in self._writers:
            writer.close()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.accepted += 1
        self._writers.append(writer)
        is_known = self.password is None
        with contextlib.suppress(ConnectionError), contextlib.closing(writer):
            while command := await reader.read(4096):
                self.asked += 1
                if b"AUTH" in command:
                    is_known = self.password is not None and self.password.encode() in command
                    writer.write(b"+OK\r\n" if is_known else b"-WRONGPASS no\r\n")
                else:
                    writer.write(self.answer if is_known else b"-NOAUTH Authentication required.\r\n")


@contextlib.asynccontextmanager
async def _serving(*sentinels: FakeSentinel) -> AsyncIterator[tuple[TcpNode, ...]]:
    servers = [await asyncio.start_server(one.serve, "127.0.0.1", 0) for one in sentinels]
    try:
        yield tuple(TcpNode("127.0.0.1", server.sockets[0].getsockname()[1]) for server in servers)
    finally:
        for server in servers:
            server.close()


_made: list[Sentinels] = []


@pytest.fixture(autouse=True)
async def _closed() -> AsyncIterator[None]:
    yield
    for sentinels in _made:
        sentinels.close()
    _made.clear()
    await asyncio.sleep(0)


def _asking(nodes: tuple[TcpNode, ...], password: str | None = None) -> Sentinels:
    topology = BehindSentinels("mymaster", nodes)
    secret = None if password is None else (lambda: Secret(password))
    sentinels = Sentinels(RedisOptions(topology=topology, password=secret), topology)
    _made.append(sentinels)
    return sentinels


async def test_the_majority_is_believed_and_not_one_that_was_cut_off() -> None:
    async with _serving(FakeSentinel(_names(OLD)), FakeSentinel(_names(NEW)), FakeSentinel(_names(NEW))) as nodes:
        assert await _asking(nodes).primary() == NEW


async def test_those_that_hang_or_are_gone_do_not_count() -> None:
    async with _serving(FakeSentinel(HANGS), FakeSentinel(_names(NEW))) as nodes:
        began_at = time.monotonic()

        assert await _asking((*nodes, TcpNode("127.0.0.1", free_port()))).primary() == NEW
        assert time.monotonic() - began_at < SENTINEL_S + 2


async def test_a_name_that_no_sentinel_knows_is_said() -> None:
    async with _serving(FakeSentinel(NAMES_NOBODY)) as nodes:
        with pytest.raises(MasterNotFoundError, match="names a primary for 'mymaster'"):
            await _asking(nodes).primary()


async def test_what_is_no_sentinel_does_not_count() -> None:
    async with _serving(FakeSentinel(b"HTTP/1.1 200 OK\r\n"), FakeSentinel(b"+OK\r\n")) as nodes:
        with pytest.raises(MasterNotFoundError):
            await _asking(nodes).primary()


async def test_a_sentinel_that_wants_a_password_is_given_ours() -> None:
    async with _serving(FakeSentinel(_names(NEW), password="right")) as nodes:
        assert await _asking(nodes, "right").primary() == NEW
        with pytest.raises(MasterNotFoundError):
            await _asking(nodes, "wrong").primary()


async def test_a_sentinel_without_a_password_is_not_told_ours() -> None:
    async with _serving(FakeSentinel(_names(NEW))) as nodes:
        assert await _asking(nodes, "ours").primary() == NEW


async def test_the_connections_are_kept_and_asked_again() -> None:
    fake = FakeSentinel(_names(OLD))
    async with _serving(fake) as nodes:
        sentinels = _asking(nodes)
        assert [await sentinels.primary() for _ in range(5)] == [OLD] * 5
        fake.answer = _names(NEW)

        assert await sentinels.primary() == NEW
        assert fake.accepted == 1
        sentinels.close()
        assert await sentinels.primary() == NEW
        assert fake.accepted == 2


async def test_one_round_serves_all_who_wait_for_it_and_nobody_is_given_an_older_answer() -> None:
    fake = FakeSentinel(_names(OLD))
    async with _serving(fake) as nodes:
        sentinels = _asking(nodes)
        assert await asyncio.gather(*(sentinels.primary() for _ in range(100))) == [OLD] * 100
        assert fake.asked <= 3

        fake.answer = _names(NEW)
        assert await sentinels.primary() == NEW


async def test_a_round_that_was_given_up_gives_nobody_an_older_answer() -> None:
    fake = FakeSentinel(_names(OLD))
    async with _serving(fake) as nodes:
        sentinels = _asking(nodes)
        await sentinels.primary()
        fake.answer = HANGS
        given_up = asyncio.get_running_loop().create_task(sentinels.primary())
        await asyncio.sleep(0.05)
        waiting = asyncio.get_running_loop().create_task(sentinels.primary())
        await asyncio.sleep(0)
        fake.answer = _names(NEW)
        given_up.cancel()

        # What was asked before is answered never, so the next answer would be taken for it: the connection is new.
        fake.hang_up()
        with contextlib.suppress(MasterNotFoundError):
            assert await waiting == NEW
        assert await sentinels.primary() == NEW


async def test_a_sentinel_that_hangs_beside_a_majority_is_given_up_and_found_again() -> None:
    hangs = FakeSentinel(HANGS)
    async with _serving(hangs, FakeSentinel(_names(NEW)), FakeSentinel(_names(NEW))) as nodes:
        sentinels = _asking(nodes)
        for _ in range(3 * MAX_UNANSWERED):
            assert await sentinels.primary() == NEW
        unanswered = [connection.unanswered for connection in sentinels._connections.values()]
        assert max(unanswered) <= MAX_UNANSWERED

        hangs.answer = _names(NEW)
        assert await sentinels.primary() == NEW


async def test_a_sentinel_that_was_restarted_is_asked_again() -> None:
    fake = FakeSentinel(_names(NEW))
    async with _serving(fake) as nodes:
        sentinels = _asking(nodes)
        await sentinels.primary()
        fake.hang_up()
        await asyncio.sleep(0.05)

        assert await sentinels.primary() == NEW


async def test_the_pool_of_the_library_is_told_host_and_port() -> None:
    async with _serving(FakeSentinel(_names(NEW))) as nodes:
        assert await _asking(nodes).discover_master("mymaster") == ("10.0.0.2", 6379)


async def test_real_sentinels_name_the_primary(empty_redis_sentinel: SentinelHouse) -> None:
    house = empty_redis_sentinel
    sentinels = _asking(tuple(TcpNode("127.0.0.1", sentinel.port) for sentinel in house.sentinels))

    assert await sentinels.primary() == TcpNode("127.0.0.1", house.primary.port)
