"""A record is written once, replaced only by the next version, and outlives its session for the sweep alone."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from proxy.core.secret import Secret
from proxy.core.session import EndCause, Tombstone, session_key
from proxy.sessions.codec import SessionCodec, Unreadable, summary_of
from proxy.sessions.memory import TOMBSTONE_LIFETIME_S
from proxy.sessions.redis_records import Records, UnreadableRecords
from proxy.sessions.redis_times import LINGER_S
from proxy.sessions.sealing import Sealer
from tests.support.clocks import START, FakeClock
from tests.support.observers import RecordingObserver
from tests.support.redis_stores import KEY, Replica, options_of
from tests.support.sessions import make_session, make_tokens

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from tests.redis.server import RedisServer

A = Secret("cookie-a")
SESSION = make_session(A)
CODEC = SessionCodec(Sealer([KEY]))
STONE = Tombstone("hash", EndCause.LOGOUT, START)


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
async def replica(empty_redis: RedisServer, clock: FakeClock) -> AsyncIterator[Replica]:
    made = Replica(options_of(empty_redis), clock)
    await made.connection.start()
    yield made
    await made.connection.close()


@pytest.fixture
def records(replica: Replica) -> Records:
    return replica.store._work.records


async def test_a_record_is_written_once_and_a_second_one_changes_nothing(
    records: Records, empty_redis: RedisServer
) -> None:
    assert await records.add(SESSION, b"first", now=START)
    assert not await records.add(SESSION, b"second", now=START)

    assert empty_redis.call("GET", f"sidegate:s:{SESSION.key}") == b"first"


async def test_a_record_outlives_its_session_by_an_hour(records: Records, empty_redis: RedisServer) -> None:
    await records.add(make_session(A, expires_at=START + 100), b"record", now=START)

    left_s = empty_redis.call("PTTL", f"sidegate:s:{SESSION.key}") / 1000
    assert left_s == pytest.approx(100 + LINGER_S, abs=5)


async def test_only_a_record_of_the_named_version_is_replaced(records: Records) -> None:
    first, second, third = (CODEC.encode(A, make_session(A, version=n, tokens=make_tokens(n))) for n in (1, 2, 3))
    assert not await records.replace(SESSION.key, second, version=1), "there is none"
    await records.add(SESSION, first, now=START)

    assert not await records.replace(SESSION.key, third, version=2)
    assert await records.replace(SESSION.key, second, version=1)
    assert not await records.replace(SESSION.key, third, version=1)

    (stored,) = await records.read("load", [SESSION.key])
    assert stored.record == second


async def test_what_is_read_says_what_lies_there(records: Records, empty_redis: RedisServer) -> None:
    await records.add(SESSION, CODEC.encode(A, SESSION), now=START)
    other = session_key(Secret("other"))
    empty_redis.call("SET", f"sidegate:s:{other}", b"nonsense")

    found, unreadable, missing = await records.read("load", [SESSION.key, other, session_key(Secret("none"))])

    assert (found.summary, found.readable, found.last_seen_at) == (summary_of(SESSION), summary_of(SESSION), START)
    assert (unreadable.summary, unreadable.readable) == (Unreadable.TRUNCATED, None)
    assert (missing.summary, missing.readable, missing.record) == (None, None, b"")


@pytest.mark.parametrize(
    ("written", "seen_here", "last_seen_at"),
    [
        (str(START + 5), None, START + 5),
        (str(START + 5), START + 9, START + 9),
        (str(START + 5), START + 1, START + 5),
        (None, None, START),
        ("nonsense", None, START),
        (str(START - 5), None, START),
    ],
)
async def test_the_last_activity_is_the_latest_that_anybody_knows_of(
    replica: Replica, written: str | None, seen_here: float | None, last_seen_at: float
) -> None:
    records = replica.store._work.records
    if seen_here is not None:
        replica.store._work.touches.learned(SESSION.key, seen_here)

    answers = (CODEC.encode(A, SESSION), None if written is None else written.encode())

    assert records.read_from(SESSION.key, answers).last_seen_at == last_seen_at


async def test_a_tombstone_lasts_24_hours_and_opens_at_its_place_only(
    records: Records, empty_redis: RedisServer
) -> None:
    _, name, sealed, _, lasts_ms = records.burial(SESSION.key, STONE)

    assert (name, lasts_ms) == (f"sidegate:g:{SESSION.key}", TOMBSTONE_LIFETIME_S * 1000)
    assert records.tombstone_from(SESSION.key, sealed, START) == STONE
    assert records.tombstone_from(SESSION.key, sealed, START + TOMBSTONE_LIFETIME_S) is None
    assert records.tombstone_from(session_key(Secret("other")), sealed, START) is None
    assert records.tombstone_from(SESSION.key, b"", START) is None
    assert records.tombstone_from(SESSION.key, None, START) is None
    assert b"logout" not in sealed


async def test_a_tombstone_of_another_sidegate_is_none(records: Records) -> None:
    place = b"tombstone\0" + SESSION.key.encode()

    for text in (b"{}", b"[]", b"x", b'{"subject":"h","cause":"by_magic","at":1}'):
        assert records.tombstone_from(SESSION.key, Sealer([KEY]).seal(text, associated_data=place), START) is None


def test_unreadable_records_are_counted_each_and_said_now_and_then(clock: FakeClock) -> None:
    observer = RecordingObserver()
    unreadable = UnreadableRecords(observer, clock)

    for _ in range(3):
        unreadable.found(Unreadable.NOT_OURS)
        clock.advance(4)
    unreadable.found(Unreadable.OTHER_FORMAT)

    assert observer.store_errors == 4
    assert [(said["reason"], said["records"]) for _, said in observer.warnings] == [
        ("unknown_key_or_changed", 1),
        ("other_format", 3),
    ]
