"""Finding sessions: one in one round trip, many by pages; an entry that leads elsewhere finds nobody."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from msgspec.structs import replace

from proxy.core.secret import Secret
from proxy.core.session import BySid, BySubject, session_key
from proxy.sessions.codec import Unreadable, summary_of
from proxy.sessions.redis_indexes import PAGE
from tests.support.clocks import START, FakeClock
from tests.support.redis_stores import Replica, options_of
from tests.support.sessions import ISSUER, make_session

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from proxy.core.session import SessionsFilter
    from proxy.sessions.redis_reading import Reading
    from tests.redis.server import RedisServer

A, B = Secret("cookie-a"), Secret("cookie-b")


@pytest.fixture
async def replica(empty_redis: RedisServer) -> AsyncIterator[Replica]:
    made = Replica(options_of(empty_redis), FakeClock(), max_per_user=0)
    await made.connection.start()
    yield made
    await made.connection.close()


@pytest.fixture
def reading(replica: Replica) -> Reading:
    return replica.store._reading


async def _keys(reading: Reading, which: SessionsFilter | None) -> list[str]:
    return [stored.key async for page in reading.pages(which) for stored in page]


async def test_one_session_is_read_with_its_last_activity(replica: Replica, reading: Reading) -> None:
    await replica.store.create(A, make_session(A))

    stored = await reading.one(session_key(A))

    assert (stored.readable, stored.last_seen_at) == (summary_of(make_session(A)), START)
    assert (await reading.one(session_key(B))).summary is None


async def test_all_are_found_by_pages_with_what_cannot_be_read_among_them(
    replica: Replica, reading: Reading, empty_redis: RedisServer
) -> None:
    for cookie in (A, B):
        await replica.store.create(cookie, make_session(cookie, subject=f"{cookie.reveal()}-id"))
    empty_redis.call("SET", f"sidegate:s:{session_key(B)}", b"x")

    found = {stored.key: stored.summary async for page in reading.pages(None) for stored in page}

    assert found == {
        session_key(A): summary_of(make_session(A, subject="cookie-a-id")),
        session_key(B): Unreadable.TRUNCATED,
    }


async def test_a_person_with_more_sessions_than_a_page_is_found_whole(replica: Replica, reading: Reading) -> None:
    summary = summary_of(make_session(A))
    keys = [session_key(Secret(str(n))) for n in range(PAGE + 20)]
    who = BySubject(ISSUER, "alice-id")
    for key in keys:
        await replica.store._work.indexes.enter_under([who], replace(summary, key=key), now=START)

    pages = [len(page) async for page in reading.pages(who)]

    assert pages == [0, 0], "entries without records find nobody"
    assert len(await replica.store._work.indexes.keys(who)) == len(keys)


async def test_an_entry_that_leads_to_another_persons_session_finds_nobody(replica: Replica, reading: Reading) -> None:
    await replica.store.create(A, make_session(A, sid="s1"))
    wrong = BySid(ISSUER, "s2")
    await replica.store._work.indexes.enter_under([wrong], summary_of(make_session(A, sid="s2")), now=START)

    assert await _keys(reading, wrong) == []
    assert await _keys(reading, BySid(ISSUER, "s1")) == [session_key(A)]
