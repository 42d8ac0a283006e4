"""Indexes lead to sessions by their end, trim themselves, and believe no entry too early to be stale."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from msgspec.structs import replace

from proxy.clock import SystemClock
from proxy.core.secret import Secret
from proxy.core.session import BySid, BySubject, session_key
from proxy.sessions.codec import RecordSummary, summary_of
from proxy.sessions.redis_commands import RedisCommands
from proxy.sessions.redis_connection import RedisConnection
from proxy.sessions.redis_indexes import MAX_SUSPECTS, PAGE, STALE_FOR_S, Indexes
from proxy.sessions.redis_names import RedisNames
from proxy.sessions.redis_times import LINGER_S
from proxy.sessions.sealing import Sealer
from tests.support.clocks import START
from tests.support.observers import RecordingObserver
from tests.support.redis_scripts import ScriptedConnection
from tests.support.redis_stores import options_of
from tests.support.sessions import ISSUER, make_session

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from tests.redis.server import RedisServer

ALICE = BySubject(ISSUER, "alice-id")
NAMES = RedisNames("sidegate:", Sealer([b"k" * 32]))


@pytest.fixture
async def indexes(empty_redis: RedisServer) -> AsyncIterator[Indexes]:
    connection = RedisConnection(options_of(empty_redis), RecordingObserver(), SystemClock())
    await connection.start()
    yield Indexes(RedisCommands(connection), NAMES)
    await connection.close()


def _summary(name: str, **changes: object) -> RecordSummary:
    return summary_of(make_session(Secret(name), **changes))


async def test_a_session_is_led_to_by_all_that_finds_it(indexes: Indexes) -> None:
    summary = _summary("a", sid="s1")

    await indexes.enter(summary, now=START)
    await indexes.enter(summary, now=START)

    assert [await indexes.keys(which) for which in summary.filters()] == [(summary.key,)] * 3
    assert await indexes.count(START) == 1


async def test_what_is_over_is_taken_out_when_another_is_entered(indexes: Indexes, empty_redis: RedisServer) -> None:
    await indexes.enter(_summary("a", expires_at=START + 10), now=START)
    await indexes.enter(_summary("b"), now=START + 10)

    assert await indexes.keys(ALICE) == (session_key(Secret("b")),)


async def test_an_index_lives_as_long_as_the_longest_of_its_sessions(
    indexes: Indexes, empty_redis: RedisServer
) -> None:
    (name,) = NAMES.index(ALICE)
    await indexes.enter(_summary("a", expires_at=START + 1000), now=START)
    await indexes.enter(_summary("b", expires_at=START + 10), now=START)

    assert 1000 < empty_redis.call("PTTL", name) / 1000 - LINGER_S + 1 < 1002


async def test_the_roster_keeps_what_is_due_for_the_sweep_while_its_record_lasts(indexes: Indexes) -> None:
    first = _summary("a", expires_at=START + 10)
    await indexes.enter(first, now=START)
    same_part = next(key for n in range(500) if (key := session_key(Secret(f"x{n}")))[0] == first.key[0])

    await indexes.enter(replace(_summary("b"), key=same_part), now=START + 20)
    assert (await indexes.due(START + 20), await indexes.count(START + 20)) == ((first.key,), 1)

    await indexes.enter(replace(_summary("b"), key=same_part), now=START + 11 + LINGER_S)
    assert await indexes.due(START + 11 + LINGER_S) == ()


async def test_a_session_is_due_when_its_idle_time_is_over_and_use_puts_it_off(
    indexes: Indexes, empty_redis: RedisServer
) -> None:
    summary = _summary("a", idle_timeout_s=60)
    await indexes.enter(summary, now=START)
    assert (await indexes.due(START + 59), await indexes.due(START + 60)) == ((), (summary.key,))

    empty_redis.call(*indexes.putting_off(summary.key, START + 100))
    empty_redis.call(*indexes.putting_off(summary.key, START + 70))

    assert (await indexes.due(START + 99), await indexes.due(START + 100)) == ((), (summary.key,))
    empty_redis.call(*indexes.striking_off(summary.key))
    empty_redis.call(*indexes.putting_off(summary.key, START + 200))
    assert await indexes.count(START) == 0, "use enters nobody again"


async def test_a_session_leaves_what_it_was_found_by(indexes: Indexes) -> None:
    summary = _summary("a", sid="new")
    await indexes.enter(summary, now=START)
    await indexes.enter_under([BySid(ISSUER, "old")], summary, now=START)
    await indexes.leave([BySid(ISSUER, "old")], summary.key)
    await indexes.leave([], summary.key)

    assert (await indexes.keys(BySid(ISSUER, "old")), await indexes.keys(BySid(ISSUER, "new"))) == ((), (summary.key,))


async def test_a_large_part_of_the_roster_comes_in_pages_and_each_session_is_on_one(
    indexes: Indexes, empty_redis: RedisServer
) -> None:
    keys = ["a" + session_key(Secret(str(n)))[1:] for n in range(4 * PAGE)]
    (roster,) = {NAMES.roster(key) for key in keys}
    empty_redis.call("ZADD", roster, *(word for key in keys for word in (START, key)))

    cursor, page = await indexes.page(roster, 0)
    sizes, seen = [len(page)], {*page}
    while cursor:
        cursor, page = await indexes.page(roster, cursor)
        sizes.append(len(page))
        seen |= {*page}

    assert seen == {*keys}
    assert max(sizes) < 3 * PAGE


async def test_an_entry_is_taken_out_when_it_was_stale_long_enough() -> None:
    connection = ScriptedConnection()
    indexes = Indexes(RedisCommands(connection), RedisNames("test:", Sealer([b"k" * 32])))

    await indexes.found_stale(ALICE, ["key"], now=100)
    await indexes.found_stale(ALICE, ["key"], now=100 + STALE_FOR_S - 1)
    assert connection.commands == []
    await indexes.found_stale(ALICE, ["key"], now=100 + STALE_FOR_S)

    assert [(command[0], command[2]) for command in connection.commands] == [("ZREM", "key")]
    await indexes.found_stale(ALICE, ["key"], now=101 + STALE_FOR_S)
    assert len(connection.commands) == 1


async def test_suspects_are_bounded() -> None:
    indexes = Indexes(RedisCommands(ScriptedConnection()), RedisNames("test:", Sealer([b"k" * 32])))

    await indexes.found_stale(ALICE, [str(n) for n in range(MAX_SUSPECTS + 50)], now=0)

    assert len(indexes._suspects) == MAX_SUSPECTS
