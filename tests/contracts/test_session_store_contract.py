"""What every session store promises, whatever lies behind it.

The suite runs once for each factory of ``STORES``. A factory makes a fresh, started store from a :class:`World` and
gives back how to end it. Where a store may bring a change about a moment later (replicas), the tests wait for it with
``eventually``; nothing else may take time, because the clock is in the test's hand.
"""

from __future__ import annotations

import asyncio
import dataclasses
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import pytest
from msgspec.structs import replace

from proxy.core.identity import Identity
from proxy.core.login import Login
from proxy.core.routing import compile_access
from proxy.core.secret import Secret
from proxy.core.session import (
    BySid,
    BySubject,
    ByUsername,
    EndCause,
    EndedMark,
    EverySessionOf,
    LoginOrigin,
    session_key,
    subject_hash,
)
from proxy.errors import SessionEnded, StoreFull, StoreUnavailable
from proxy.sessions.live import LiveStreamRegistry
from proxy.sessions.memory import MemoryLimits, MemorySessionStore
from tests.support.clocks import START, FakeClock
from tests.support.eventually import eventually
from tests.support.observers import RecordingObserver
from tests.support.redis_stores import Replica, options_of, options_of_cluster, options_of_sentinels
from tests.support.sessions import ISSUER, make_bearer, make_session, make_tokens
from tests.support.stores import ASYNC_OPERATIONS, FailingSessionStore
from tests.support.streams import ENDED, RIGHTS_LOST, FakeStream, admit, make_stream

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

    from proxy.core.session import Session
    from proxy.ports import LoginStanding, SessionStore
    from proxy.sessions.redis_options import RedisOptions
    from tests.redis.sentinel import SentinelHouse

MAX_SESSIONS = 6
MAX_PER_USER = 3
A, B, C, D = (Secret(f"cookie-{letter}") for letter in "abcd")


@dataclass
class World:
    """What surrounds a store."""

    clock: FakeClock = field(default_factory=FakeClock)
    observer: RecordingObserver = field(default_factory=RecordingObserver)
    live: LiveStreamRegistry = field(init=False)

    def __post_init__(self) -> None:
        self.live = LiveStreamRegistry(self.observer)


Factory = "Callable[[World, pytest.FixtureRequest], Awaitable[tuple[SessionStore, Callable[[], Awaitable[None]]]]]"


async def _memory(world: World, _: pytest.FixtureRequest) -> tuple[SessionStore, Callable[[], Awaitable[None]]]:
    limits = MemoryLimits(max_sessions=MAX_SESSIONS, max_per_user=MAX_PER_USER)
    store = MemorySessionStore(world.clock, live=world.live, observer=world.observer, limits=limits)
    store.start()
    return store, store.close


async def _redis(world: World, request: pytest.FixtureRequest) -> tuple[SessionStore, Callable[[], Awaitable[None]]]:
    return await _on(world, options_of(request.getfixturevalue("empty_redis")))


async def _redis_cluster(
    world: World, request: pytest.FixtureRequest
) -> tuple[SessionStore, Callable[[], Awaitable[None]]]:
    return await _on(world, options_of_cluster(request.getfixturevalue("empty_redis_cluster")))


SENTINEL_TESTS_BEFORE_FAILOVER = 25


async def _redis_sentinel(
    world: World, request: pytest.FixtureRequest
) -> tuple[SessionStore, Callable[[], Awaitable[None]]]:
    """Behind sentinels; in the middle of the suite the primary is killed under a store that is in use."""
    house: SentinelHouse = request.getfixturevalue("empty_redis_sentinel")
    store, close = await _on(world, options_of_sentinels(house))
    tests = request.config.stash[TESTS_BEHIND_SENTINELS] = request.config.stash.get(TESTS_BEHIND_SENTINELS, 0) + 1
    if tests == SENTINEL_TESTS_BEFORE_FAILOVER:
        await store.count()
        await asyncio.to_thread(house.fail_over)
        await eventually(lambda: _is_there(store), expected=True, within_s=20)
    return store, close


TESTS_BEHIND_SENTINELS = pytest.StashKey[int]()


async def _is_there(store: SessionStore) -> bool:
    try:
        await store.spend_jti("is it there?", START + 1)
    except StoreUnavailable:
        return False
    return True


async def _on(world: World, options: RedisOptions) -> tuple[SessionStore, Callable[[], Awaitable[None]]]:
    replica = Replica(options, world.clock, max_per_user=MAX_PER_USER, observer=world.observer, live=world.live)
    await replica.start()
    return replica.store, replica.close


CAPPED_STORES = {"memory": _memory}
"""Those with a number of sessions that they hold; the cap of Redis is its memory."""

STORES = CAPPED_STORES | {"redis": _redis, "redis_cluster": _redis_cluster, "redis_sentinel": _redis_sentinel}


@pytest.fixture
def world() -> World:
    return World()


@pytest.fixture(params=STORES)
async def store(request: pytest.FixtureRequest, world: World) -> AsyncIterator[SessionStore]:
    made, close = await STORES[request.param](world, request)
    yield made
    await close()


async def live(store: SessionStore, cookie_value: Secret) -> bool:
    """Say whether both ways of asking find the session."""
    cached = store.cached(cookie_value)
    loaded = await store.load(cookie_value)
    return loaded is not None and cached is not None


# --- create, load, replace -------------------------------------------------------------------------------------------


async def test_a_created_session_is_found_by_its_cookie(store: SessionStore) -> None:
    session = make_session(A)

    await store.create(A, session)

    assert await store.load(A) == session


async def test_an_unknown_cookie_has_no_session(store: SessionStore) -> None:
    await store.create(A, make_session(A))

    assert await store.load(B) is None


async def test_a_session_cannot_be_created_under_a_foreign_cookie(store: SessionStore) -> None:
    with pytest.raises(ValueError, match="cookie"):
        await store.create(B, make_session(A))

    assert await store.count() == 0


async def test_a_cookie_value_is_used_for_one_session_only(store: SessionStore) -> None:
    await store.create(A, make_session(A))

    with pytest.raises(ValueError, match="one session only"):
        await store.create(A, make_session(A, subject="bob-id"))

    assert (await store.load(A)).identity.subject == "alice-id"


async def test_a_replaced_session_has_the_next_version_and_the_new_tokens(store: SessionStore) -> None:
    session = make_session(A)
    await store.create(A, session)

    stored = await store.replace(A, dataclasses.replace(session, tokens=make_tokens(2)))

    assert stored == dataclasses.replace(session, tokens=make_tokens(2), version=2)
    assert await store.load(A) == stored


async def test_a_replace_of_another_version_writes_nothing(store: SessionStore) -> None:
    session = make_session(A)
    await store.create(A, session)
    first = await store.replace(A, dataclasses.replace(session, tokens=make_tokens(2)))

    second = await store.replace(A, dataclasses.replace(session, tokens=make_tokens(3)))

    assert second is None
    assert await store.load(A) == first


async def test_of_concurrent_replaces_one_wins(store: SessionStore) -> None:
    session = make_session(A)
    await store.create(A, session)

    answers = await asyncio.gather(
        *(store.replace(A, dataclasses.replace(session, tokens=make_tokens(n))) for n in range(2, 12))
    )

    winners = [answer for answer in answers if answer is not None]
    assert len(winners) == 1
    assert await store.load(A) == winners[0]


async def test_a_replace_never_creates_what_was_never_there(store: SessionStore) -> None:
    assert await store.replace(A, make_session(A)) is None
    assert await store.load(A) is None


@pytest.mark.parametrize("cause", [EndCause.LOGOUT, EndCause.BACKCHANNEL])
async def test_a_replace_never_brings_back_what_was_deleted(store: SessionStore, cause: EndCause) -> None:
    session = make_session(A)
    await store.create(A, session)
    await store.delete(session.key, cause)

    assert await store.replace(A, dataclasses.replace(session, tokens=make_tokens(2))) is None
    assert await store.load(A) is None
    assert await store.count() == 0
    assert await store.find(BySid(ISSUER, session.sid)) == ()


async def test_a_replace_never_brings_back_what_expired(store: SessionStore, world: World) -> None:
    session = make_session(A)
    await store.create(A, session)
    world.clock.advance(7 * 86400)

    assert await store.replace(A, session) is None
    assert await store.load(A) is None


async def test_a_replace_never_gives_a_session_to_another_person(store: SessionStore) -> None:
    session = make_session(A)
    await store.create(A, session)

    with pytest.raises(ValueError, match="hands"):
        await store.replace(A, dataclasses.replace(session, identity=Identity(issuer=ISSUER, subject="bob-id")))

    assert await store.load(A) == session


async def test_a_session_is_found_by_the_sid_that_a_replace_gave_it_and_no_longer_by_the_old(
    store: SessionStore,
) -> None:
    session = make_session(A, sid="old")
    await store.create(A, session)

    await store.replace(A, dataclasses.replace(session, sid="new"))

    assert [found.sid for found in await store.find(BySid(ISSUER, "new"))] == ["new"]
    assert await store.find(BySid(ISSUER, "old")) == ()


async def test_a_session_is_found_by_the_user_name_that_a_refresh_gave_it_and_no_longer_by_the_old(
    store: SessionStore,
) -> None:
    session = make_session(A)
    await store.create(A, session)
    renamed = dataclasses.replace(session, identity=replace(session.identity, username="alicia"))

    await store.replace(A, renamed)

    assert [found.username for found in await store.find(ByUsername(ISSUER, "alicia"))] == ["alicia"]
    assert await store.find(ByUsername(ISSUER, "alice")) == ()
    assert len(await store.delete_matching(BySubject(ISSUER, "alice-id"), EndCause.LOGOUT_ALL)) == 1
    assert await store.count() == 0


# --- lifetimes -------------------------------------------------------------------------------------------------------


async def test_a_session_lives_until_its_absolute_end_and_not_a_moment_longer(
    store: SessionStore, world: World
) -> None:
    session = make_session(A, expires_at=START + 100)
    await store.create(A, session)

    world.clock.advance(99.9)
    assert await live(store, A)
    world.clock.advance(0.1)
    assert not await live(store, A)


async def test_activity_does_not_move_the_absolute_end(store: SessionStore, world: World) -> None:
    session = make_session(A, expires_at=START + 100)
    await store.create(A, session)
    world.clock.advance(60)
    store.touch(session)
    world.clock.advance(60)

    assert not await live(store, A)


async def test_a_session_without_activity_ends_after_its_idle_time(store: SessionStore, world: World) -> None:
    await store.create(A, make_session(A, idle_timeout_s=60))

    world.clock.advance(59)
    assert await live(store, A)
    world.clock.advance(1)
    assert not await live(store, A)
    await eventually(lambda: _ended(world, EndCause.IDLE), 1)


async def test_looking_a_session_up_is_no_activity(store: SessionStore, world: World) -> None:
    await store.create(A, make_session(A, idle_timeout_s=60))
    world.clock.advance(40)
    await live(store, A)
    world.clock.advance(40)

    assert not await live(store, A)


async def test_a_refresh_is_no_activity(store: SessionStore, world: World) -> None:
    session = make_session(A, idle_timeout_s=60)
    await store.create(A, session)
    world.clock.advance(40)
    await store.replace(A, session)
    world.clock.advance(40)

    assert not await live(store, A)


async def test_activity_moves_the_idle_end_and_is_seen(store: SessionStore, world: World) -> None:
    session = make_session(A, idle_timeout_s=60)
    await store.create(A, session)
    world.clock.advance(40)
    store.touch(session)
    world.clock.advance(40)

    await eventually(lambda: live(store, A), expected=True)
    await eventually(lambda: store.last_seen(session), START + 40)


async def test_activity_does_not_revive_an_idle_session(store: SessionStore, world: World) -> None:
    session = make_session(A, idle_timeout_s=60)
    await store.create(A, session)
    world.clock.advance(60)
    store.touch(session)

    assert not await live(store, A)


async def test_a_wall_clock_set_back_does_not_undo_activity(store: SessionStore, world: World) -> None:
    session = make_session(A, idle_timeout_s=60)
    await store.create(A, session)
    world.clock.advance(40)
    store.touch(session)
    await eventually(lambda: store.last_seen(session), START + 40)
    world.clock.set_wall_clock(START)
    store.touch(session)

    assert await store.last_seen(session) == START + 40


async def test_a_session_that_expired_is_neither_counted_nor_listed(store: SessionStore, world: World) -> None:
    await store.create(A, make_session(A, expires_at=START + 100))
    await store.create(B, make_session(B))
    world.clock.advance(100)

    assert await store.count() == 1
    assert [found.key for found in await store.find()] == [session_key(B)]


# --- deletion --------------------------------------------------------------------------------------------------------


async def test_a_deleted_session_is_gone_and_a_second_deletion_finds_nothing(store: SessionStore, world: World) -> None:
    session = make_session(A)
    await store.create(A, session)

    assert await store.delete(session.key, EndCause.LOGOUT) is True
    assert await store.delete(session.key, EndCause.LOGOUT) is False
    await eventually(lambda: live(store, A), expected=False)
    assert world.observer.ended == {EndCause.LOGOUT: 1}


async def test_deletion_closes_the_streams_of_that_session_alone(store: SessionStore, world: World) -> None:
    await store.create(A, make_session(A))
    await store.create(B, make_session(B))
    alices, bobs = make_stream(A), make_stream(B)
    world.live.opened(alices, session_key(A))
    world.live.opened(bobs, session_key(B))

    await store.delete(session_key(A), EndCause.BACKCHANNEL)

    await eventually(lambda: _value(alices.ends), [ENDED])
    assert bobs.ends == []


async def test_a_role_that_is_taken_away_closes_the_streams_that_needed_it_and_no_others(
    store: SessionStore, world: World
) -> None:
    session = make_session(A)
    admin = dataclasses.replace(session, identity=replace(session.identity, roles=frozenset({"admin"})))
    await store.create(A, admin)
    needs_admin = make_stream(A, access=compile_access({"any_role": ["admin"]}), session=admin)
    needs_a_session = make_stream(A, session=admin)
    world.live.opened(needs_admin, session.key)
    world.live.opened(needs_a_session, session.key)

    await store.replace(A, session)

    await eventually(lambda: _value(needs_admin.ends), [RIGHTS_LOST])
    assert needs_a_session.ends == []


async def test_a_subject_ends_all_sessions_of_that_person_and_of_nobody_else(store: SessionStore) -> None:
    await store.create(A, make_session(A, sid="s1"))
    await store.create(B, make_session(B, sid=None))
    await store.create(C, make_session(C, subject="bob-id"))

    ended = await store.delete_matching(BySubject(ISSUER, "alice-id"), EndCause.BACKCHANNEL)

    assert {summary.key for summary in ended} == {session_key(A), session_key(B)}
    assert {summary.key for summary in await store.find()} == {session_key(C)}


async def test_a_sid_ends_every_session_of_that_provider_session(store: SessionStore) -> None:
    await store.create(A, make_session(A, sid="s1"))
    await store.create(B, make_session(B, sid="s1"))
    await store.create(C, make_session(C, sid="s2"))

    ended = await store.delete_matching(BySid(ISSUER, "s1"), EndCause.BACKCHANNEL)

    assert len(ended) == 2
    assert {summary.key for summary in await store.find()} == {session_key(C)}


@pytest.mark.parametrize("sid", ['a"b', "a b&c;d/e", "a\0b", "ü€", "*", "-_", "x" * 2000])
async def test_a_sid_is_any_string(store: SessionStore, sid: str) -> None:
    await store.create(A, make_session(A, sid=sid))
    await store.create(B, make_session(B, sid="other"))

    ended = await store.delete_matching(BySid(ISSUER, sid), EndCause.BACKCHANNEL)

    assert [summary.sid for summary in ended] == [sid]
    assert await store.count() == 1


async def test_another_issuers_sid_and_subject_end_nothing(store: SessionStore) -> None:
    session = make_session(A)
    await store.create(A, session)

    assert await store.delete_matching(BySid("https://evil.example", session.sid), EndCause.BACKCHANNEL) == ()
    assert await store.delete_matching(BySubject("https://evil.example", "alice-id"), EndCause.BACKCHANNEL) == ()
    assert await live(store, A)


async def test_a_session_without_sid_is_not_ended_by_any_sid(store: SessionStore) -> None:
    await store.create(A, make_session(A, sid=None))

    for sid in ("", "None"):
        assert await store.delete_matching(BySid(ISSUER, sid), EndCause.BACKCHANNEL) == ()

    assert await live(store, A)


async def test_a_summary_says_who_when_and_where_from(store: SessionStore, world: World) -> None:
    session = make_session(A, user_agent="Mozilla", address="192.0.2.1")
    await store.create(A, session)
    world.clock.advance(5)
    store.touch(session)
    await eventually(lambda: store.last_seen(session), START + 5)

    (summary,) = await store.find(BySubject(ISSUER, "alice-id"))

    assert (summary.subject, summary.username, summary.sid) == ("alice-id", "alice", session.sid)
    assert (summary.created_at, summary.last_seen_at, summary.expires_at) == (START, START + 5, session.expires_at)
    assert (summary.user_agent, summary.address) == ("Mozilla", "192.0.2.1")


async def test_the_end_of_an_expired_session_is_said_once_with_its_cause(store: SessionStore, world: World) -> None:
    await store.create(A, make_session(A, expires_at=START + 100))
    world.clock.advance(100)

    await live(store, A)
    await live(store, A)
    await store.count()

    assert world.observer.ended == {EndCause.EXPIRED: 1}
    assert [(event.event, event.subject, event.reason) for event in world.observer.audits] == [
        ("session.expired", "alice-id", "expired")
    ]


# --- going on as another one -----------------------------------------------------------------------------------------


async def test_a_session_goes_on_under_another_cookie_and_its_streams_with_it(
    store: SessionStore, world: World
) -> None:
    await store.create(A, make_session(A))
    stream = make_stream(A)
    world.live.opened(stream, session_key(A))

    await store.supersede(A, B, make_session(B, acr="gold", created_at=START - 8 * 86400))

    assert await store.load(A) is None
    found = await store.load(B)
    assert found is not None
    assert (found.acr, found.created_at) == ("gold", START - 8 * 86400)
    assert stream.ends == []
    assert set(world.live.session_keys()) == {session_key(B)}
    stone = await store.tombstone(A)
    assert stone is not None
    assert stone.cause is EndCause.REPLACED

    await store.delete(session_key(B), EndCause.LOGOUT)
    assert stream.ends == [ENDED]


async def test_a_session_older_than_its_idle_time_goes_on_as_one_that_was_used_just_now(
    store: SessionStore, world: World
) -> None:
    await store.create(A, make_session(A))

    await store.supersede(A, B, make_session(B, created_at=START - 100_000, idle_timeout_s=60.0))
    world.clock.advance(59)

    assert await store.load(B) is not None


async def test_what_is_over_goes_on_as_nothing(store: SessionStore) -> None:
    with pytest.raises(SessionEnded):
        await store.supersede(A, B, make_session(B))

    assert await store.load(B) is None


async def test_where_the_new_one_was_ended_meanwhile_neither_lives_and_the_streams_close(
    store: SessionStore, world: World
) -> None:
    await store.create(A, make_session(A, sid="old"))
    stream = make_stream(A)
    world.live.opened(stream, session_key(A))
    await store.mark_ended(EndedMark(BySid(ISSUER, "new"), ended_at=START, keep_until=START + 60))

    with pytest.raises(SessionEnded):
        await store.supersede(A, B, make_session(B, sid="new"))

    assert (await store.load(A), await store.load(B)) == (None, None)
    assert stream.ends == [ENDED]
    assert len(world.live) == 0


# --- tombstones ------------------------------------------------------------------------------------------------------


async def test_an_ended_session_leaves_a_tombstone_for_24_hours(store: SessionStore, world: World) -> None:
    await store.create(A, make_session(A))
    await store.delete(session_key(A), EndCause.BACKCHANNEL)

    stone = await store.tombstone(A)
    assert (stone.cause, stone.subject_hash) == (EndCause.BACKCHANNEL, subject_hash(ISSUER, "alice-id"))
    world.clock.advance(24 * 3600 - 1)
    assert await store.tombstone(A) is not None
    world.clock.advance(1)
    assert await store.tombstone(A) is None


@pytest.mark.parametrize("origin", LoginOrigin)
async def test_a_tombstone_says_how_the_session_was_made(store: SessionStore, origin: LoginOrigin) -> None:
    await store.create(A, make_session(A, origin=origin))
    await store.delete(session_key(A), EndCause.LOGOUT)

    stone = await store.tombstone(A)

    assert stone is not None
    assert stone.origin is origin


async def test_a_session_that_nobody_looked_at_since_it_expired_has_its_tombstone(
    store: SessionStore, world: World
) -> None:
    await store.create(A, make_session(A, expires_at=START + 100))
    world.clock.advance(200)

    stone = await store.tombstone(A)
    assert stone is not None
    assert stone.cause is EndCause.EXPIRED


async def test_a_live_session_has_no_tombstone(store: SessionStore) -> None:
    await store.create(A, make_session(A))

    assert await store.tombstone(A) is None
    assert await store.tombstone(B) is None


# --- what has ended stays ended --------------------------------------------------------------------------------------


def _mark(what: BySid | BySubject, ended_at: float = START, keep_s: float = 3600) -> EndedMark:
    return EndedMark(what=what, ended_at=ended_at, keep_until=START + keep_s)


async def test_a_session_whose_sid_ended_before_it_was_made_is_refused(store: SessionStore) -> None:
    session = make_session(A)
    await store.mark_ended(_mark(BySid(ISSUER, session.sid)))

    with pytest.raises(SessionEnded):
        await store.create(A, session)

    assert await store.count() == 0
    assert await store.find(BySubject(ISSUER, "alice-id")) == ()


@pytest.mark.parametrize("issued_at", [START - 10, START, START + 0.9])
async def test_a_login_up_to_the_second_of_its_persons_logout_is_refused(store: SessionStore, issued_at: float) -> None:
    await store.mark_ended(_mark(BySubject(ISSUER, "alice-id")))

    with pytest.raises(SessionEnded):
        await store.create(A, make_session(A, issued_at=issued_at))


async def test_a_login_of_the_second_after_its_persons_logout_is_taken(store: SessionStore) -> None:
    await store.mark_ended(_mark(BySubject(ISSUER, "alice-id"), ended_at=START + 0.5))

    await store.create(A, make_session(A, issued_at=START + 1))

    assert await live(store, A)


async def test_a_refresh_in_flight_does_not_outlive_the_logout_of_its_sid(store: SessionStore) -> None:
    session = make_session(A)
    await store.create(A, session)
    await store.mark_ended(_mark(BySid(ISSUER, session.sid)))

    assert await store.replace(A, dataclasses.replace(session, tokens=make_tokens(2))) is None
    loaded = await store.load(A)
    assert loaded is None or loaded.tokens == make_tokens(1)


async def test_a_refresh_in_flight_does_not_outlive_the_logout_of_its_person(store: SessionStore) -> None:
    session = make_session(A)
    await store.create(A, session)
    await store.mark_ended(_mark(BySubject(ISSUER, "alice-id")))

    assert await store.replace(A, dataclasses.replace(session, tokens=make_tokens(2))) is None


async def test_a_later_mark_never_shortens_an_earlier_one(store: SessionStore, world: World) -> None:
    who = BySubject(ISSUER, "alice-id")
    await store.mark_ended(_mark(who, ended_at=START + 50, keep_s=3600))
    await store.mark_ended(_mark(who, ended_at=START, keep_s=10))
    world.clock.advance(100)

    assert await store.has_ended(
        issuer=ISSUER, client_id="legacy-app", sid=None, subject="alice-id", issued_at=START + 50
    )


async def test_a_mark_is_forgotten_when_its_time_is_over(store: SessionStore, world: World) -> None:
    session = make_session(A)
    await store.mark_ended(_mark(BySid(ISSUER, session.sid), keep_s=60))
    world.clock.advance(60)

    await store.create(A, session)

    assert await live(store, A)


def _login(**changes: object) -> Login:
    return replace(Login(ISSUER, "legacy-app", "s1", "alice-id", START), **changes)


async def _standing(store: SessionStore, login: Login) -> LoginStanding:
    """A standing that holds: a store of replicas may have to find out first whether it would be told of ends."""
    found: list[LoginStanding] = []

    async def holds() -> bool:
        standing = await store.standing(login)
        assert standing is not None
        found.append(standing)
        return standing.holds()

    await eventually(holds, expected=True)
    return found[-1]


async def test_the_standing_of_a_login_holds_until_a_mark_names_it(store: SessionStore) -> None:
    standings = [
        await _standing(store, _login()),
        await _standing(store, _login(sid=None)),
        await _standing(store, _login(sid="s2", subject="bob-id")),
    ]

    async def hold() -> list[bool]:
        return [standing.holds() for standing in standings]

    await store.mark_ended(_mark(BySid(ISSUER, "other")))
    await eventually(hold, expected=[True, True, True])
    await store.mark_ended(_mark(BySid(ISSUER, "s1")))
    await eventually(hold, expected=[False, True, True])
    await store.mark_ended(_mark(BySubject(ISSUER, "alice-id")))
    await eventually(hold, expected=[False, False, True])
    await store.mark_ended(_mark(EverySessionOf(ISSUER, "legacy-app")))
    await eventually(hold, expected=[False, False, False])


async def test_a_login_that_has_ended_has_no_standing(store: SessionStore) -> None:
    await store.mark_ended(_mark(BySubject(ISSUER, "alice-id")))

    assert await store.standing(_login()) is None
    assert await store.standing(_login(issued_at=START + 1)) is not None


async def test_streams_of_bearers_are_looked_at_when_a_login_ends(store: SessionStore, world: World) -> None:
    bearer = make_bearer(A)
    world.live.opened_by_bearer(FakeStream(admit(None, session=bearer)), bearer)
    world.live.take_doubts()

    await store.mark_ended(_mark(BySid(ISSUER, "any")))

    async def is_doubted() -> bool:
        return bearer.key in world.live.take_doubts()

    await eventually(is_doubted, expected=True)


@pytest.mark.parametrize(
    ("sid", "subject", "issued_at", "ended"),
    [
        ("gone", "bob-id", START + 99, True),
        (None, "alice-id", START, True),
        ("other", "alice-id", START - 1, True),
        ("other", "alice-id", START + 1, False),
        ("other", "bob-id", START, False),
        (None, "bob-id", START, False),
    ],
)
async def test_a_token_of_an_ended_sid_or_of_a_person_up_to_the_logout_has_ended(
    store: SessionStore, sid: str | None, subject: str, issued_at: float, *, ended: bool
) -> None:
    await store.mark_ended(_mark(BySid(ISSUER, "gone")))
    await store.mark_ended(_mark(BySubject(ISSUER, "alice-id")))

    assert (
        await store.has_ended(issuer=ISSUER, client_id="legacy-app", sid=sid, subject=subject, issued_at=issued_at)
        is ended
    )


async def test_a_mark_of_another_issuer_says_nothing(store: SessionStore) -> None:
    await store.mark_ended(_mark(BySid("https://other.example", "s")))

    assert not await store.has_ended(
        issuer=ISSUER, client_id="legacy-app", sid="s", subject="alice-id", issued_at=START
    )


async def test_a_realm_wide_logout_ends_what_was_issued_up_to_it_and_refuses_it_from_then_on(
    store: SessionStore, world: World
) -> None:
    await store.create(A, make_session(A))
    await store.create(B, make_session(B, issued_at=START + 1))
    await store.create(C, make_session(C, client_id="other"))
    stream = make_stream(A)
    world.live.opened(stream, session_key(A))

    await store.mark_ended(
        EndedMark(EverySessionOf(ISSUER, "legacy-app"), ended_at=START + 0.5, keep_until=START + 3600)
    )

    assert {found.key for found in await store.find()} == {session_key(B), session_key(C)}
    assert [await live(store, cookie) for cookie in (A, B, C)] == [False, True, True]
    await eventually(lambda: _value(stream.ends), [ENDED])
    assert world.observer.ended == {EndCause.ADMIN: 1}
    with pytest.raises(SessionEnded):
        await store.create(D, make_session(D))


# --- token ids -------------------------------------------------------------------------------------------------------


async def test_a_token_id_is_spent_from_its_spending_until_its_time(store: SessionStore, world: World) -> None:
    assert not await store.jti_is_spent("j1")

    await store.spend_jti("j1", START + 60)

    assert await store.jti_is_spent("j1")
    assert not await store.jti_is_spent("j2")
    world.clock.advance(60)
    assert not await store.jti_is_spent("j1")


async def test_spending_a_token_id_again_does_not_shorten_its_time(store: SessionStore, world: World) -> None:
    await store.spend_jti("j1", START + 60)
    await store.spend_jti("j1", START + 10)
    world.clock.advance(30)

    assert await store.jti_is_spent("j1")


# --- caps ------------------------------------------------------------------------------------------------------------


def _others(count: int) -> list[tuple[Secret, Session]]:
    cookies = [Secret(f"other-{n}") for n in range(count)]
    return [(cookie, make_session(cookie, subject=f"user-{n}-id")) for n, cookie in enumerate(cookies)]


@pytest.mark.parametrize("store", CAPPED_STORES, indirect=True)
async def test_at_the_cap_a_new_login_is_refused_and_nobody_is_put_out(store: SessionStore) -> None:
    others = _others(MAX_SESSIONS)
    for cookie, session in others:
        await store.create(cookie, session)

    with pytest.raises(StoreFull):
        await store.create(A, make_session(A))

    assert await store.load(A) is None
    assert [await live(store, cookie) for cookie, _ in others] == [True] * MAX_SESSIONS


@pytest.mark.parametrize("store", CAPPED_STORES, indirect=True)
async def test_at_the_cap_what_has_expired_makes_room(store: SessionStore, world: World) -> None:
    for cookie, session in _others(MAX_SESSIONS):
        await store.create(cookie, dataclasses.replace(session, expires_at=START + 100))
    world.clock.advance(100)

    await store.create(A, make_session(A))

    assert await live(store, A)
    assert await store.count() == 1


async def test_above_the_limit_per_user_the_oldest_session_ends(store: SessionStore, world: World) -> None:
    for cookie in (A, B, C):
        await store.create(cookie, make_session(cookie, created_at=world.clock.now()))
        world.clock.advance(1)

    ended = await store.create(D, make_session(D, created_at=world.clock.now()))

    assert ended == (session_key(A),)
    assert [await live(store, cookie) for cookie in (A, B, C, D)] == [False, True, True, True]
    assert world.observer.ended == {EndCause.OVER_LIMIT: 1}
    assert world.observer.audit_names == ["session.revoked"]


async def test_the_limit_per_user_counts_one_person_only(store: SessionStore) -> None:
    await store.create(A, make_session(A))
    await store.create(B, make_session(B))
    await store.create(C, make_session(C))

    assert await store.create(D, make_session(D, subject="bob-id")) == ()
    assert await live(store, A)


# --- the store is away -----------------------------------------------------------------------------------------------


async def test_a_store_that_is_away_raises_from_every_operation_and_loses_nothing(store: SessionStore) -> None:
    await store.create(A, make_session(A))
    failing = FailingSessionStore(store)
    failing.go_away()
    arguments = {
        "load": (A,),
        "last_seen": (make_session(A),),
        "create": (B, make_session(B)),
        "replace": (A, make_session(A)),
        "delete": (session_key(A), EndCause.LOGOUT),
        "delete_matching": (BySubject(ISSUER, "alice-id"), EndCause.LOGOUT),
        "tombstone": (A,),
        "mark_ended": (_mark(BySid(ISSUER, "s")),),
        "jti_is_spent": ("j",),
        "spend_jti": ("j", START + 1),
    }

    for name in ASYNC_OPERATIONS:
        with pytest.raises(StoreUnavailable):
            await getattr(failing, name)(*arguments.get(name, ()))

    failing.come_back()
    assert await failing.load(A) == make_session(A)
    assert await failing.count() == 1
    assert not await failing.jti_is_spent("j")


# --- waiting ---------------------------------------------------------------------------------------------------------


async def _value(seen: list[tuple[str, EndCause]]) -> list[tuple[str, EndCause]]:
    return seen


async def _ended(world: World, cause: EndCause) -> int:
    return world.observer.ended[cause]
