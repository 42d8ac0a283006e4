"""What is the Redis store's own, besides the contract: several replicas, their caches, and who is faster.

Everything here runs on a real Redis; each replica has a connection, a tracking and a cache of its own.
"""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from proxy.core.secret import Secret
from proxy.core.session import BySid, BySubject, EndCause, EndedMark, EverySessionOf, session_key
from proxy.errors import SessionEnded, StoreUnavailable
from proxy.ports import NotCached
from proxy.sessions.codec import FORMAT
from tests.support.clocks import START, FakeClock
from tests.support.eventually import eventually
from tests.support.redis_stores import KEY, Replica, close_all, options_of
from tests.support.sessions import ISSUER, make_session, make_tokens
from tests.support.stepped import Actor, SteppedConnection, interleavings
from tests.support.streams import ENDED, make_stream

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

    from tests.redis.server import RedisServer

A, B = Secret("cookie-a"), Secret("cookie-b")
NOT_CACHED = NotCached.NOT_CACHED
CLIENT = EverySessionOf(ISSUER, "legacy-app")


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
async def replicas(
    empty_redis: RedisServer, clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[tuple[Replica, Replica]]:
    """Two replicas, both sure of what they have cached, also on a machine that stands still for seconds."""
    monkeypatch.setattr("proxy.sessions.change_feed.PONG_WITHIN_S", 30.0)
    monkeypatch.setattr("proxy.sessions.tracking.MAX_STALENESS_S", 30.0)
    two = [await Replica(options_of(empty_redis), clock).start() for _ in range(2)]
    for one in two:
        await eventually(_of(one.tracking.is_trusted), expected=True, within_s=10)
    yield two[0], two[1]
    await close_all(two)


def _of(look: Callable[[], Any]) -> Callable[[], Awaitable[Any]]:
    async def looked() -> Any:
        return look()

    return looked


class Counting:
    """Counts the round trips of a replica."""

    def __init__(self, replica: Replica) -> None:
        self.operations: list[str] = []
        run = replica.connection.run

        async def counted(operation: str, call: Any) -> Any:
            self.operations.append(operation)
            return await run(operation, call)

        replica.connection.run = counted  # type: ignore[method-assign]


async def _signed_in(replica: Replica, **changes: Any) -> None:
    """A session of cookie A that ``replica`` has cached."""
    await replica.store.create(A, make_session(A, **changes))
    await eventually(lambda: _is_cached(replica), expected=True, within_s=10)


async def _is_cached(replica: Replica) -> bool:
    # Loaded again until it is kept: what Redis tells of the change by which it was made may come later.
    if replica.store.cached(A) is NOT_CACHED:
        await replica.store.load(A)
    return replica.store.cached(A) is not NOT_CACHED


# --- round trips -----------------------------------------------------------------------------------------------------


async def test_a_cached_session_costs_no_round_trip_and_a_miss_costs_one(replicas: tuple[Replica, Replica]) -> None:
    one, other = replicas
    await _signed_in(one)
    await other.store.load(Secret("somebody else's"))
    on_one, on_other = Counting(one), Counting(other)
    await _signed_in_there(other)

    assert one.store.cached(A) == make_session(A)
    one.store.touch(make_session(A))
    assert [name for name in on_one.operations if name not in {"touch", "sweep"}] == []
    assert on_other.operations.count("load") >= 1
    assert {name for name in on_other.operations if name not in {"touch", "sweep"}} <= {"load", "watermark"}

    other.cache.forget(session_key(A))
    on_other.operations.clear()
    await other.store.load(A)
    assert [name for name in on_other.operations if name != "sweep"] == ["load"]


async def _signed_in_there(replica: Replica) -> None:
    await eventually(lambda: _is_cached(replica), expected=True, within_s=10)


async def test_a_lost_watermark_comes_along_with_the_next_load(replicas: tuple[Replica, Replica]) -> None:
    one, _ = replicas
    await _signed_in(one)
    one.store.everything_changed()
    counting = Counting(one)

    await one.store.load(A)

    assert [name for name in counting.operations if name != "sweep"] == ["load"]
    assert one.store.cached(A) == make_session(A)


# --- a change on one replica is law on the other ---------------------------------------------------------------------


async def test_a_logout_on_one_replica_is_law_on_the_other(replicas: tuple[Replica, Replica]) -> None:
    one, other = replicas
    await _signed_in(one)
    await _signed_in_there(other)

    await one.store.delete(session_key(A), EndCause.LOGOUT)

    assert one.store.cached(A) is NOT_CACHED
    await eventually(_of(lambda: other.store.cached(A)), NOT_CACHED)
    assert await other.store.load(A) is None
    assert (one.observer.ended, other.observer.ended) == ({EndCause.LOGOUT: 1}, {})


async def test_a_refresh_on_one_replica_is_seen_on_the_other(replicas: tuple[Replica, Replica]) -> None:
    one, other = replicas
    await _signed_in(one)
    await _signed_in_there(other)

    renewed = await one.store.replace(A, make_session(A, tokens=make_tokens(2)))

    await eventually(_of(lambda: other.store.cached(A)), NOT_CACHED)
    assert await other.store.load(A) == renewed


@pytest.mark.parametrize("command", [("DEL", "sidegate:s:{key}"), ("FLUSHALL",), ("PEXPIRE", "sidegate:s:{key}", "1")])
async def test_what_is_taken_out_by_hand_is_served_nowhere(
    replicas: tuple[Replica, Replica], empty_redis: RedisServer, command: tuple[str, ...]
) -> None:
    one, other = replicas
    await _signed_in(one)
    await _signed_in_there(other)

    empty_redis.call(*(word.format(key=session_key(A)) for word in command))

    for replica in replicas:
        await eventually(_of(lambda replica=replica: replica.store.cached(A)), NOT_CACHED)
        assert await replica.store.load(A) is None


async def test_streams_of_a_session_that_changed_elsewhere_are_in_doubt(replicas: tuple[Replica, Replica]) -> None:
    one, other = replicas
    await _signed_in(one)
    other.live.opened(make_stream(A), session_key(A))

    await one.store.delete(session_key(A), EndCause.LOGOUT)

    await eventually(_of(other.live.has_doubts.is_set), expected=True)
    assert other.live.take_doubts() == {session_key(A)}
    stone = await other.store.tombstone(A)
    assert stone.cause is EndCause.LOGOUT


async def test_who_holds_streams_elsewhere_learns_as_what_the_session_goes_on(
    replicas: tuple[Replica, Replica], empty_redis: RedisServer
) -> None:
    one, other = replicas
    await _signed_in(one)
    other.live.opened(make_stream(A), session_key(A))

    await one.store.supersede(A, B, make_session(B))

    await eventually(_of(other.live.has_doubts.is_set), expected=True)
    assert await other.store.load(A) is None
    assert await other.store.heir(A) == B
    assert await other.store.heir(B) is None
    assert await other.store.load(B) == make_session(B)
    kept = empty_redis.call("GET", f"sidegate:h:{session_key(A)}")
    assert b"cookie-b" not in (kept if isinstance(kept, bytes) else str(kept).encode())


async def test_nothing_is_served_from_the_cache_while_changes_are_not_heard(
    replicas: tuple[Replica, Replica], empty_redis: RedisServer
) -> None:
    one, _ = replicas
    await _signed_in(one)
    stream = make_stream(A)
    one.live.opened(stream, session_key(A))

    await one.tracking.close()

    assert one.store.cached(A) is NOT_CACHED
    assert await one.store.load(A) == make_session(A)
    assert one.store.cached(A) is NOT_CACHED
    assert one.live.take_doubts() == {session_key(A)}


async def test_what_is_loaded_while_changes_are_not_heard_is_not_kept_for_later(
    replicas: tuple[Replica, Replica],
) -> None:
    one, _ = replicas
    await one.store.create(A, make_session(A))
    one.tracking.is_trusted = lambda: False  # type: ignore[method-assign]
    await one.store.load(A)
    one.tracking.is_trusted = lambda: True  # type: ignore[method-assign]

    assert one.store.cached(A) is NOT_CACHED


async def test_activity_on_one_replica_keeps_the_session_on_the_other(
    replicas: tuple[Replica, Replica], clock: FakeClock
) -> None:
    one, other = replicas
    session = make_session(A, idle_timeout_s=60)
    await _signed_in(one, idle_timeout_s=60)
    await _signed_in_there(other)
    clock.advance(50)
    one.store.touch(session)
    await eventually(lambda: other.store.last_seen(session), START + 50)
    clock.advance(50)

    assert other.store.cached(A) is NOT_CACHED
    assert await other.store.load(A) == session
    assert other.store.cached(A) == session


# --- the watermark of a client ---------------------------------------------------------------------------------------


async def test_a_realm_wide_logout_ends_what_was_issued_before_it_on_every_replica(
    replicas: tuple[Replica, Replica],
) -> None:
    one, other = replicas
    await _signed_in(one)
    await _signed_in_there(other)
    stream = make_stream(A)
    other.live.opened(stream, session_key(A))

    await one.store.mark_ended(EndedMark(CLIENT, ended_at=START, keep_until=START + 3600))

    assert one.store.cached(A) is NOT_CACHED
    await eventually(_of(lambda: other.store.cached(A)), NOT_CACHED)
    assert other.live.take_doubts() == {session_key(A)}
    assert await other.store.find() == ()
    assert await other.store.load(A) is None
    assert stream.ends == [ENDED]
    assert other.observer.ended == {EndCause.ADMIN: 1}


async def test_a_session_issued_after_the_watermark_is_served_from_the_cache(
    replicas: tuple[Replica, Replica],
) -> None:
    one, _ = replicas
    await one.store.mark_ended(EndedMark(CLIENT, ended_at=START - 10, keep_until=START + 3600))

    await _signed_in(one)

    assert one.store.cached(A) == make_session(A)


# --- who is faster ---------------------------------------------------------------------------------------------------


@asynccontextmanager
async def _stepped(
    server: RedisServer, clock: FakeClock, **changes: Any
) -> AsyncIterator[tuple[Replica, SteppedConnection]]:
    """A replica without background work, whose calls a test lets go one by one."""
    replica = Replica(options_of(server), clock, stepped=True, **changes)
    await replica.connection.start()
    assert isinstance(replica.store_connection, SteppedConnection)
    try:
        yield replica, replica.store_connection
    finally:
        await replica.connection.close()


async def _logout(replica: Replica, what: BySid | BySubject) -> None:
    await replica.store.mark_ended(EndedMark(what, ended_at=START, keep_until=START + 3600))
    await replica.store.delete_matching(what, EndCause.BACKCHANNEL)


CREATE_TURNS = 4
LOGOUT_TURNS = 4


@pytest.mark.parametrize("by", ["sid", "subject"])
async def test_a_logout_and_a_login_in_any_order_of_their_steps_leave_nobody_signed_in(
    empty_redis: RedisServer, clock: FakeClock, by: str
) -> None:
    outcomes = set()
    async with _stepped(empty_redis, clock) as (here, slow_here), _stepped(empty_redis, clock) as (there, slow_there):
        for order in interleavings(CREATE_TURNS, LOGOUT_TURNS):
            cookie, who = Secret(order), BySubject(ISSUER, f"subject-{order}")
            session = make_session(cookie, sid=order, subject=who.subject)
            what = BySid(ISSUER, order) if by == "sid" else who
            came_of_it, ended = await _in_turns(
                order,
                Actor(slow_here, here.store.create(cookie, session)),
                Actor(slow_there, _logout(there, what)),
            )

            assert not isinstance(ended, Exception)
            outcomes.add(type(came_of_it))
            assert await there.store.load(cookie) is None, f"{order}: the login outlived the logout"
            assert await there.store.find(who) == (), order
    assert outcomes == {tuple, SessionEnded}, "both ways of seeing the other must have been tried"


async def _in_turns(order: str, first: Actor, second: Actor) -> tuple[object, object]:
    for turn in order:
        await (first if turn == "A" else second).take_a_turn()
    return await first.finish(), await second.finish()


REPLACE_TURNS = 4
"""The turn after these leaves the old index, which is nobody's business any more."""


async def test_a_refresh_that_brings_a_new_sid_and_the_logout_of_it_in_any_order_leave_nobody_signed_in(
    empty_redis: RedisServer, clock: FakeClock
) -> None:
    async with _stepped(empty_redis, clock) as (here, slow_here), _stepped(empty_redis, clock) as (there, slow_there):
        for order in interleavings(REPLACE_TURNS, LOGOUT_TURNS):
            cookie = Secret(order)
            session = make_session(cookie, sid="old", subject=order)
            await here.store.create(cookie, session)
            await _in_turns(
                order,
                Actor(slow_here, here.store.replace(cookie, replace(session, sid=order))),
                Actor(slow_there, _logout(there, BySid(ISSUER, order))),
            )

            left = await there.store.load(cookie)
            assert left is None or left.sid == "old", f"{order}: the new sid outlived its logout"


async def test_of_two_logins_at_once_where_one_session_is_allowed_one_stays(
    empty_redis: RedisServer, clock: FakeClock
) -> None:
    async with (
        _stepped(empty_redis, clock, max_per_user=1) as (here, slow_here),
        _stepped(empty_redis, clock, max_per_user=1) as (there, slow_there),
    ):
        # Each has stored its session before either looks for others.
        for order in (first + rest for first in ("AAABBB", "ABABAB") for rest in ("AAABBB", "BBBAAA", "ABABAB")):
            one, other, who = Secret(f"{order}-1"), Secret(f"{order}-2"), BySubject(ISSUER, f"subject-{order}")
            await _in_turns(
                order,
                Actor(slow_here, here.store.create(one, make_session(one, subject=who.subject))),
                Actor(slow_there, there.store.create(other, make_session(other, subject=who.subject))),
            )

            assert len(await there.store.find(who)) == 1, order


async def test_a_list_read_while_a_session_is_made_takes_it_out_of_no_index(
    empty_redis: RedisServer, clock: FakeClock
) -> None:
    async with _stepped(empty_redis, clock) as (here, slow_here), _stepped(empty_redis, clock) as (there, slow_there):
        for order in interleavings(CREATE_TURNS, 3):
            cookie, who = Secret(order), BySubject(ISSUER, f"subject-{order}")
            await _in_turns(
                order,
                Actor(slow_here, here.store.create(cookie, make_session(cookie, subject=who.subject))),
                Actor(slow_there, there.store.find(who)),
            )

            assert len(await there.store.find(who)) == 1, order


async def test_of_two_replicas_that_end_a_session_at_once_one_says_so(replicas: tuple[Replica, Replica]) -> None:
    one, other = replicas
    await _signed_in(one)

    answers = await asyncio.gather(
        *(replica.store.delete(session_key(A), EndCause.LOGOUT) for replica in replicas for _ in range(5))
    )

    assert answers.count(True) == 1
    assert one.observer.ended[EndCause.LOGOUT] + other.observer.ended[EndCause.LOGOUT] == 1


async def test_of_two_replicas_that_refresh_at_once_one_wins(replicas: tuple[Replica, Replica]) -> None:
    await _signed_in(replicas[0])
    renewed = [make_session(A, tokens=make_tokens(n)) for n in range(2, 8)]

    answers = await asyncio.gather(*(replicas[n % 2].store.replace(A, one) for n, one in enumerate(renewed)))

    assert len([answer for answer in answers if answer is not None]) == 1


# --- what cannot be read ---------------------------------------------------------------------------------------------


@pytest.fixture
async def one(replicas: tuple[Replica, Replica]) -> Replica:
    return replicas[0]


def _spoil(server: RedisServer, how: Callable[[bytes], bytes]) -> None:
    name = f"sidegate:s:{session_key(A)}"
    server.call("SET", name, how(server.call("GET", name)), "KEEPTTL")


SPOILED = {
    "truncated": lambda record: record[:20],
    "empty": lambda _: b"",
    "future": lambda record: bytes([FORMAT + 1]) + record[1:],
    "changed": lambda record: record[:20] + bytes([record[20] ^ 1]) + record[21:],
    "nonsense": lambda _: b"\xff" * 500,
}


@pytest.mark.parametrize("how", SPOILED)
async def test_a_record_that_cannot_be_read_is_no_session_an_event_and_no_deletion(
    one: Replica, empty_redis: RedisServer, how: str
) -> None:
    await one.store.create(A, make_session(A))
    _spoil(empty_redis, SPOILED[how])

    assert await one.store.load(A) is None
    assert await one.store.load(A) is None
    assert await one.store.replace(A, make_session(A, tokens=make_tokens(2))) is None
    assert await one.store.delete(session_key(A), EndCause.LOGOUT) is False
    assert len(one.observer.warnings) == 1
    assert "cannot be read" in one.observer.warnings[0][0]
    assert one.observer.store_errors >= 2


async def test_a_logout_that_names_a_record_that_cannot_be_read_takes_it_out(
    one: Replica, empty_redis: RedisServer
) -> None:
    await one.store.create(A, make_session(A, sid="s1"))
    _spoil(empty_redis, SPOILED["future"])

    assert await one.store.delete_matching(BySid(ISSUER, "s1"), EndCause.BACKCHANNEL) == ()

    assert empty_redis.call("EXISTS", f"sidegate:s:{session_key(A)}") == 0


async def test_unreadable_records_are_said_once_in_a_while_with_their_number(
    one: Replica, empty_redis: RedisServer, clock: FakeClock
) -> None:
    await one.store.create(A, make_session(A))
    _spoil(empty_redis, SPOILED["future"])
    for _ in range(5):
        await one.store.load(A)
    clock.advance(10)
    await one.store.load(A)

    assert [fields["records"] for _, fields in one.observer.warnings] == [1, 5]
    assert one.observer.store_errors == 6


# --- keys ------------------------------------------------------------------------------------------------------------

NEW = b"second key of the tests 32 bytes"


async def test_after_a_rotation_the_old_key_opens_and_the_new_one_seals(
    empty_redis: RedisServer, clock: FakeClock
) -> None:
    options = options_of(empty_redis)
    before, between, after = (Replica(options, clock, keys=keys) for keys in ((KEY,), (NEW, KEY), (NEW,)))
    for replica in (before, between, after):
        await replica.start()
    await before.store.create(A, make_session(A))
    await between.store.create(B, make_session(B))
    alice = BySubject(ISSUER, "alice-id")

    assert await between.store.load(A) == make_session(A)
    assert {found.key for found in await between.store.find(alice)} == {session_key(A), session_key(B)}
    assert await after.store.load(B) == make_session(B)
    assert await after.store.load(A) is None
    assert [message for message, _ in after.observer.warnings if "encryption_keys" in message] != []
    assert (await between.store.replace(A, make_session(A))).version == 2
    assert (await after.store.load(A)).version == 2
    assert len(await between.store.delete_matching(alice, EndCause.LOGOUT_ALL)) == 2
    await close_all((before, between, after))


async def test_a_mark_set_under_the_old_key_holds_under_the_new(empty_redis: RedisServer, clock: FakeClock) -> None:
    before, after = (Replica(options_of(empty_redis), clock, keys=keys) for keys in ((KEY,), (NEW, KEY)))
    for replica in (before, after):
        await replica.start()
    mark = EndedMark(BySubject(ISSUER, "alice-id"), ended_at=START, keep_until=START + 60)

    await before.store.mark_ended(mark)

    with pytest.raises(SessionEnded):
        await after.store.create(A, make_session(A))
    await close_all((before, after))


# --- Redis is away ---------------------------------------------------------------------------------------------------


async def test_a_redis_that_is_away_is_503_for_everything_and_costs_nobody_a_session(
    one: Replica, empty_redis: RedisServer
) -> None:
    await _signed_in(one)
    empty_redis.call("REPLICAOF", "127.0.0.1", "1")  # it refuses writes, as a primary does that was put down
    session = make_session(A)
    writes = (
        lambda: one.store.create(B, make_session(B)),
        lambda: one.store.replace(A, session),
        lambda: one.store.delete(session.key, EndCause.LOGOUT),
        lambda: one.store.delete_matching(BySubject(ISSUER, "alice-id"), EndCause.LOGOUT),
        lambda: one.store.mark_ended(EndedMark(CLIENT, ended_at=0, keep_until=START + 60)),
        lambda: one.store.spend_jti("j", START + 60),
    )
    for write in writes:
        with pytest.raises(StoreUnavailable):
            await write()
    one.store.touch(session)
    empty_redis.call("REPLICAOF", "NO", "ONE")

    assert await one.store.load(A) == session
    assert one.observer.ended == {}


# --- counting --------------------------------------------------------------------------------------------------------


async def test_active_sessions_is_known_at_once_and_counted_in_the_background(
    empty_redis: RedisServer, clock: FakeClock
) -> None:
    replica = Replica(options_of(empty_redis), clock)
    await replica.connection.start()
    for n in range(40):
        cookie = Secret(f"cookie-{n}")
        await replica.store.create(cookie, make_session(cookie, subject=f"u{n}"))
    assert replica.store.active_sessions() == 0

    replica.store.start()

    await eventually(_of(replica.store.active_sessions), 40)
    assert await replica.store.count() == 40
    assert len(await replica.store.find()) == 40
    await replica.store.close()
    await replica.connection.close()


async def test_listing_and_counting_all_asks_nothing_that_holds_redis_up(
    empty_redis: RedisServer, clock: FakeClock
) -> None:
    replica = Replica(options_of(empty_redis), clock)
    await replica.connection.start()
    await replica.store.create(A, make_session(A))
    empty_redis.call("CONFIG", "RESETSTAT")

    await replica.store.find()
    await replica.store.count()
    with empty_redis.client() as client:
        asked = {name.removeprefix("cmdstat_").partition("|")[0] for name in client.info("commandstats")}

    await replica.connection.close()
    assert asked <= {"zscan", "get", "zcount", "hmget", "config", "ping", "info", "hello", "client"}


async def test_a_session_that_was_taken_out_by_hand_is_in_no_list_and_leaves_the_index_in_time(
    one: Replica, empty_redis: RedisServer, clock: FakeClock
) -> None:
    who = BySubject(ISSUER, "alice-id")
    await one.store.create(A, make_session(A))
    (index,) = empty_redis.call("KEYS", "sidegate:i:sub:*")
    empty_redis.call("DEL", f"sidegate:s:{session_key(A)}")

    assert await one.store.find(who) == ()
    assert empty_redis.call("ZCARD", index) == 1, "it could be one that is just being made"
    clock.advance(30)
    assert await one.store.find(who) == ()
    assert empty_redis.call("ZCARD", index) == 0


async def test_every_key_has_an_end(one: Replica, empty_redis: RedisServer) -> None:
    await _signed_in(one)
    one.store.touch(make_session(A))
    await one.store.create(B, make_session(B))
    await one.store.delete(session_key(B), EndCause.LOGOUT)
    for what in (CLIENT, BySid(ISSUER, "s"), BySubject(ISSUER, "u")):
        await one.store.mark_ended(EndedMark(what, ended_at=START - 10, keep_until=START + 60))
    await one.store.spend_jti("j", START + 60)

    names = empty_redis.call("KEYS", "*")
    assert {name.split(b":")[1] for name in names} >= {b"s", b"t", b"g", b"i", b"e", b"w", b"j"}
    assert [name for name in names if empty_redis.call("PTTL", name) < 0] == []


async def test_a_record_is_touched_by_nothing_but_a_refresh(one: Replica, empty_redis: RedisServer) -> None:
    await _signed_in(one)
    name = f"sidegate:s:{session_key(A)}"
    record, ends_at = empty_redis.call("GET", name), empty_redis.call("PEXPIRETIME", name)

    one.store.touch(make_session(A))
    await one.store.last_seen(make_session(A))
    await one.store.find()
    assert (empty_redis.call("GET", name), empty_redis.call("PEXPIRETIME", name)) == (record, ends_at)

    await one.store.replace(A, make_session(A))
    assert empty_redis.call("GET", name) != record
    assert empty_redis.call("PEXPIRETIME", name) == ends_at
