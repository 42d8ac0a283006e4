"""Marks never shorten one another, and a watermark that changed while it was read is not remembered."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from proxy.clock import SystemClock
from proxy.core.login import Login
from proxy.core.secret import Secret
from proxy.core.session import BySid, BySubject, EndedMark, EverySessionOf
from proxy.sessions.redis_commands import RedisCommands
from proxy.sessions.redis_connection import RedisConnection
from proxy.sessions.redis_marks import NEVER, Marks, Watermark, Watermarks
from proxy.sessions.redis_names import RedisNames
from proxy.sessions.sealing import Sealer
from tests.support.clocks import START, FakeClock
from tests.support.observers import RecordingObserver
from tests.support.redis_stores import options_of
from tests.support.sessions import ISSUER, make_session

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from tests.redis.server import RedisServer

CLIENT = EverySessionOf(ISSUER, "legacy-app")
LOGIN = Login(ISSUER, "legacy-app", "s1", "alice-id", START)


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
async def marks(empty_redis: RedisServer, clock: FakeClock) -> AsyncIterator[Marks]:
    connection = RedisConnection(options_of(empty_redis), RecordingObserver(), SystemClock())
    await connection.start()
    yield Marks(RedisCommands(connection), RedisNames("sidegate:", Sealer([b"n" * 32, b"o" * 32])), clock)
    await connection.close()


@pytest.mark.parametrize("what", [BySid(ISSUER, "s1"), BySubject(ISSUER, "alice-id"), CLIENT])
async def test_each_kind_of_mark_names_the_login(marks: Marks, what: BySid | BySubject | EverySessionOf) -> None:
    assert not await marks.have_ended(LOGIN)

    await marks.put(EndedMark(what, ended_at=START, keep_until=START + 60))

    assert await marks.have_ended(LOGIN)


async def test_a_mark_names_nobody_else(marks: Marks) -> None:
    for what in (BySid(ISSUER, "s2"), BySubject(ISSUER, "bob-id"), EverySessionOf(ISSUER, "other")):
        await marks.put(EndedMark(what, ended_at=START, keep_until=START + 60))

    assert not await marks.have_ended(LOGIN)
    assert not await marks.have_ended(Login(ISSUER, "legacy-app", None, "alice-id", START))


async def test_marks_that_many_set_at_once_keep_the_latest_of_all(marks: Marks, clock: FakeClock) -> None:
    who = BySubject(ISSUER, "alice-id")
    chosen = [(START + n, START + 1000 - n) for n in range(40)]

    await asyncio.gather(*(marks.put(EndedMark(who, ended_at=a, keep_until=k)) for a, k in chosen))

    clock.advance(999)
    assert await marks.have_ended(Login(ISSUER, "c", None, "alice-id", START + 39))
    assert not await marks.have_ended(Login(ISSUER, "c", None, "alice-id", START + 40))
    clock.advance(1)
    assert not await marks.have_ended(Login(ISSUER, "c", None, "alice-id", START))


async def test_a_mark_whose_time_is_over_is_not_written(marks: Marks, empty_redis: RedisServer) -> None:
    await marks.put(EndedMark(CLIENT, ended_at=START, keep_until=START))
    await marks.spend("j", START)

    assert empty_redis.call("DBSIZE") == 0


async def test_a_token_id_is_spent_until_the_latest_of_what_many_say(marks: Marks, clock: FakeClock) -> None:
    await asyncio.gather(*(marks.spend("j", START + n) for n in range(39, 0, -1)))

    clock.advance(38)
    assert await marks.is_spent("j")
    clock.advance(1)
    assert not await marks.is_spent("j")


async def test_a_watermark_is_read_under_every_key(marks: Marks, clock: FakeClock, empty_redis: RedisServer) -> None:
    names = marks._names.marks(CLIENT)
    for n, name in enumerate(names):
        empty_redis.call("HSET", name, "ended_at", str(START + n), "keep_until", str(START + 100 - n))

    answers = await marks._commands.together("watermark", marks.asking_for_watermark(CLIENT))

    assert marks.watermark_from(answers) == Watermark(START + 1, START + 100)


def test_a_watermark_covers_up_to_its_second_and_only_while_it_is_kept() -> None:
    watermark = Watermark(ended_at=START + 0.2, keep_until=START + 60)

    assert watermark.covers(START + 0.9, START)
    assert not watermark.covers(START + 1, START)
    assert not watermark.covers(START, START + 60)
    assert not NEVER.covers(0, START)


def test_a_watermark_that_is_not_known_must_be_asked_for_and_is_remembered() -> None:
    watermarks = Watermarks(lambda: True)
    assert (watermarks.of(CLIENT), watermarks.unknown()) == (None, [])

    watermarks.keep(CLIENT, NEVER, watermarks.begin())

    assert (watermarks.of(CLIENT), watermarks.unknown()) == (NEVER, [])
    watermarks.forget()
    assert (watermarks.of(CLIENT), watermarks.unknown()) == (None, [CLIENT])


def test_a_change_that_overtakes_a_watermark_wins() -> None:
    watermarks = Watermarks(lambda: True)
    begun = watermarks.begin()
    watermarks.forget()

    watermarks.keep(CLIENT, NEVER, begun)

    assert watermarks.of(CLIENT) is None


def test_what_is_read_while_changes_are_not_heard_is_not_remembered() -> None:
    trusted = False
    watermarks = Watermarks(lambda: trusted)
    begun = watermarks.begin()
    trusted = True

    watermarks.keep(CLIENT, NEVER, begun)

    assert watermarks.of(CLIENT) is None


def test_a_change_begins_an_epoch() -> None:
    watermarks = Watermarks(lambda: True)
    before = watermarks.epoch

    watermarks.forget()

    assert watermarks.epoch != before


def test_a_login_is_that_of_its_session() -> None:
    assert Login.of(make_session(Secret("a"), sid="s1")) == LOGIN
