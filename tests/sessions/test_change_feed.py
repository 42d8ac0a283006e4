"""What one primary says of changes; a fake of Redis says it here, the real one in ``test_tracking``."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING

import pytest

from proxy.core.secret import Secret
from proxy.sessions.change_feed import PONG_WITHIN_S, ChangeFeed, Manner
from proxy.sessions.redis_options import BehindSentinels, RedisOptions, TcpNode
from proxy.sessions.resp_connection import CommandRefused, RespError
from tests.redis.server import HOST
from tests.sessions.fake_redis import HANGS, INFO, OK, PONG, WELL, FakeRedis, serving
from tests.sessions.redis_parts import Listener, alone, until
from tests.support.clocks import FakeClock

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

NEVER = float("-inf")
INVALIDATES_ALL = b">2\r\n$10\r\ninvalidate\r\n_\r\n"
REPLICA = b"%1\r\n$4\r\nrole\r\n$7\r\nreplica\r\n"
SUBSCRIBED = b"*3\r\n$9\r\nsubscribe\r\n$16\r\nsidegate:changes\r\n:1\r\n"
PONG_TO_SUBSCRIBER = b"*2\r\n$4\r\npong\r\n$0\r\n\r\n"
TELLS = {"INFO": INFO, "SUBSCRIBE": SUBSCRIBED, "PING": PONG_TO_SUBSCRIBER, "AUTH": OK}
"""What a Redis answers that refuses to track."""


def _invalidates(*names: bytes) -> bytes:
    listed = b"".join(b"$%d\r\n%b\r\n" % (len(name), name) for name in names)
    return b">2\r\n$10\r\ninvalidate\r\n*%d\r\n%b" % (len(names), listed)


class Fed:
    """A feed, its clock, and what was heard."""

    def __init__(self) -> None:
        self.clock = FakeClock()
        self.heard = Listener()
        self.losses = 0
        self.feed = ChangeFeed(self.heard, self.clock, on_lost=self._lost)

    def _lost(self) -> None:
        self.losses += 1

    async def agree(self, fake: FakeRedis, options: RedisOptions | None = None) -> None:
        await self.feed.agree(TcpNode(HOST, fake.port), options or alone(fake.port))


@contextlib.asynccontextmanager
async def _agreed(fake: FakeRedis, options: RedisOptions | None = None) -> AsyncIterator[Fed]:
    fed = Fed()
    async with serving(fake):
        try:
            await fed.agree(fake, options)
            yield fed
        finally:
            fed.feed.close()


async def test_it_asks_for_every_prefix_on_the_connection_that_hears() -> None:
    fake = FakeRedis(WELL)
    async with _agreed(fake) as fed:
        assert fed.feed.manner is Manner.TRACKED
        assert fed.feed.run_id == "fake-1"

    said = [b" ".join(words) for words in fake.heard]
    assert said[0] == b"HELLO 3"
    assert said[1] == b"CLIENT TRACKING ON BCAST PREFIX sidegate:s: PREFIX sidegate:w: PREFIX sidegate:e:"


@pytest.mark.parametrize(
    ("username", "expected"), [(None, b"HELLO 3 AUTH default pw"), ("gate", b"HELLO 3 AUTH gate pw")]
)
async def test_it_introduces_itself_with_the_password_of_this_moment(username: str | None, expected: bytes) -> None:
    fake = FakeRedis(WELL)
    async with serving(fake):
        fed = Fed()
        await fed.agree(fake, alone(fake.port, username=username, password=lambda: Secret("pw")))
        fed.feed.close()

    assert b" ".join(fake.heard[0]) == expected


async def test_changes_are_heard_by_name_and_a_null_means_everything() -> None:
    fake = FakeRedis(WELL)
    async with _agreed(fake) as fed:
        fake.say(_invalidates(b"sidegate:s:1", b"sidegate:w:2") + INVALIDATES_ALL)
        await until(lambda: fed.heard.emptied)

        assert fed.heard.names == [b"sidegate:s:1", b"sidegate:w:2"]


async def test_a_pong_confirms_the_instant_of_its_ping_not_its_own() -> None:
    fake = FakeRedis(WELL)
    async with _agreed(fake) as fed:
        assert fed.feed.confirmed_at == NEVER
        fake.answers["PING"] = HANGS
        sent_at = fed.clock.monotonic()
        beating = asyncio.get_running_loop().create_task(fed.feed.beat())
        await until(lambda: fake.heard[-1] == [b"PING"])
        fed.clock.advance(0.3)
        fake.say(PONG)

        assert await beating
        assert fed.feed.confirmed_at == sent_at


async def test_silence_ends_the_feed() -> None:
    fake = FakeRedis(WELL)
    async with _agreed(fake) as fed:
        await fed.feed.beat()
        fake.answers["PING"] = HANGS

        assert not await asyncio.wait_for(fed.feed.beat(), PONG_WITHIN_S + 5)
        assert fed.feed.confirmed_at == NEVER
        assert fed.losses == 1


@pytest.mark.parametrize("answer", [b"-LOADING Redis is loading\r\n", b"-NOAUTH no\r\n", b"HTTP/1.1 400\r\n"])
async def test_any_other_answer_to_a_ping_ends_the_feed(answer: bytes) -> None:
    fake = FakeRedis(WELL)
    async with _agreed(fake) as fed:
        fake.answers["PING"] = answer

        assert not await fed.feed.beat()
        assert fed.feed.confirmed_at == NEVER


async def test_a_lost_connection_is_told_at_once_and_wakes_whoever_pauses() -> None:
    fake = FakeRedis(WELL)
    async with _agreed(fake) as fed:
        await fed.feed.beat()
        fake.closes = True
        pausing = asyncio.get_running_loop().create_task(fed.feed.pause())
        fake.say(b">1\r\n$3\r\nbye\r\n-ERR bye\r\n")

        await until(lambda: fed.losses == 1)
        await pausing
        assert fed.feed.confirmed_at == NEVER
        assert not await fed.feed.beat()


async def test_an_unknown_push_is_no_change() -> None:
    fake = FakeRedis(WELL)
    async with _agreed(fake) as fed:
        fake.say(b">2\r\n$7\r\nstrange\r\n$1\r\nx\r\n" + INVALIDATES_ALL)
        await until(lambda: fed.heard.emptied)

        assert fed.heard.names == []


async def test_a_replica_is_not_listened_to_where_primaries_change() -> None:
    fake = FakeRedis({**WELL, "HELLO": REPLICA})
    async with serving(fake):
        node = TcpNode(HOST, fake.port)
        options = RedisOptions(topology=BehindSentinels("mymaster", (node,)))
        fed = Fed()

        with pytest.raises(RespError, match="no primary"):
            await fed.agree(fake, options)
        fed.feed.close()


@pytest.mark.parametrize(
    ("refused", "refusal"),
    [
        ({"HELLO": b"-ERR unknown command 'HELLO'\r\n"}, "ERR"),
        ({"HELLO": b"-NOPROTO unsupported protocol version\r\n"}, "NOPROTO"),
        ({"CLIENT": b"-ERR Unknown subcommand\r\n"}, "ERR"),
        ({"CLIENT": b"-NOPERM no\r\n"}, "NOPERM"),
    ],
)
async def test_a_server_that_refuses_to_track_is_listened_to_on_the_channel(
    refused: dict[str, bytes], refusal: str
) -> None:
    fake = FakeRedis({**WELL, **TELLS, **refused})
    async with _agreed(fake) as fed:
        assert (fed.feed.manner, fed.feed.refusal) == (Manner.TOLD, refusal)
        assert await fed.feed.beat()

        message = b"sidegate:s:1\nsidegate:s:2"
        fake.say(b"*3\r\n$7\r\nmessage\r\n$16\r\nsidegate:changes\r\n$%d\r\n%b\r\n" % (len(message), message))
        await until(lambda: len(fed.heard.names) == 2)

        assert fed.heard.names == [b"sidegate:s:1", b"sidegate:s:2"]
        assert await fed.feed.beat()
        assert [b"SUBSCRIBE", b"sidegate:changes"] in fake.heard


async def test_a_wrong_password_is_no_reason_to_believe_that_tracking_is_refused() -> None:
    fake = FakeRedis({**WELL, "HELLO": b"-WRONGPASS no\r\n"})
    async with serving(fake):
        fed = Fed()

        with pytest.raises(CommandRefused):
            await fed.agree(fake)
        fed.feed.close()

    assert [words[0] for words in fake.heard] == [b"HELLO"]


async def test_a_server_that_does_not_say_its_run_is_taken_all_the_same() -> None:
    fake = FakeRedis({**WELL, "INFO": b"-NOPERM no\r\n"})
    async with _agreed(fake) as fed:
        assert fed.feed.run_id == ""
        assert await fed.feed.beat()


async def test_a_feed_that_was_never_opened_has_no_beat() -> None:
    assert not await Fed().feed.beat()
