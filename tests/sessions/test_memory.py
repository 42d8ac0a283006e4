"""What is the memory store's own, besides the contract: nothing leaks, every structure has a cap, expiry is swept."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from proxy.core.secret import Secret
from proxy.core.session import BySid, BySubject, EndCause, EndedMark, EverySessionOf, session_key
from proxy.errors import SessionEnded, StoreFull
from proxy.sessions.live import LiveStreamRegistry
from proxy.sessions.memory import SWEEP_SLICE, MemoryLimits, MemorySessionStore
from tests.support.clocks import START, FakeClock
from tests.support.eventually import eventually
from tests.support.observers import RecordingObserver
from tests.support.sessions import ISSUER, make_session
from tests.support.streams import ENDED, make_stream

if TYPE_CHECKING:
    from proxy.ports import SessionStore

A = Secret("cookie-a")
MakeStore = Callable[..., MemorySessionStore]


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def observer() -> RecordingObserver:
    return RecordingObserver()


@pytest.fixture
def make_store(clock: FakeClock, observer: RecordingObserver) -> MakeStore:
    def make(**limits: float) -> MemorySessionStore:
        live = LiveStreamRegistry(observer)
        return MemorySessionStore(clock, live=live, observer=observer, limits=MemoryLimits(**limits))

    return make


def test_it_is_a_session_store(make_store: MakeStore) -> None:
    store: SessionStore = make_store()

    assert isinstance(store, MemorySessionStore)


async def test_cached_knows_at_once(make_store: MakeStore) -> None:
    store = make_store()
    await store.create(A, make_session(A))

    assert store.cached(A) == make_session(A)
    assert store.cached(Secret("unknown")) is None


async def test_indexes_and_deadlines_are_empty_when_every_session_has_ended(
    make_store: MakeStore, clock: FakeClock
) -> None:
    chance = random.Random(7)
    store = make_store(max_sessions=1000, max_per_user=5)
    sessions = []
    for n in range(300):
        cookie = Secret(f"cookie-{n}")
        sid = chance.choice([None, f"sid-{n % 20}"])
        session = make_session(cookie, subject=f"u{n % 30}", sid=sid, idle_timeout_s=chance.choice([50, 500]))
        await store.create(cookie, session)
        sessions.append((cookie, session))
    for cookie, session in chance.sample(sessions, 100):
        await store.replace(cookie, replace(session, sid="moved"))
    for n in range(10):
        await store.delete_matching(BySid(ISSUER, f"sid-{n}"), EndCause.BACKCHANNEL)
        await store.delete_matching(BySubject(ISSUER, f"u{n}"), EndCause.BACKCHANNEL)
    clock.advance(500)

    assert await store.count() == 0
    assert (store._records, store._index, len(store._deadlines)) == ({}, {}, 0)


async def test_tombstones_are_bounded_and_the_oldest_goes(make_store: MakeStore, clock: FakeClock) -> None:
    store = make_store(max_tombstones=2)
    for n in range(4):
        cookie = Secret(f"cookie-{n}")
        await store.create(cookie, make_session(cookie))
        await store.delete(session_key(cookie), EndCause.LOGOUT)
        clock.advance(1)

    assert len(store._tombstones) == 2
    assert await store.tombstone(Secret("cookie-1")) is None
    assert await store.tombstone(Secret("cookie-3")) is not None


async def test_token_ids_are_bounded_and_none_is_forgotten_for_another(make_store: MakeStore, clock: FakeClock) -> None:
    store = make_store(max_spent_ids=2)
    await store.spend_jti("j1", START + 10)
    await store.spend_jti("j2", START + 20)

    with pytest.raises(StoreFull):
        await store.spend_jti("j3", START + 30)

    assert [await store.jti_is_spent(jti) for jti in ("j1", "j2", "j3")] == [True, True, False]
    await store.spend_jti("j2", START + 40)
    clock.advance(10)
    await store.spend_jti("j3", START + 30)
    assert await store.jti_is_spent("j3")


async def test_ended_marks_are_bounded_and_a_forgotten_one_lets_no_new_login_in(make_store: MakeStore) -> None:
    store = make_store(max_ended_marks=2)
    for n in range(3):
        await store.mark_ended(EndedMark(BySid(ISSUER, f"sid-{n}"), ended_at=START + n, keep_until=START + 3600 + n))

    assert len(store._ended) == 2
    with pytest.raises(SessionEnded):
        await store.create(A, make_session(A, sid="sid-0", issued_at=START))
    assert await store.has_ended(issuer=ISSUER, client_id="legacy-app", sid="sid-0", subject="anybody", issued_at=START)
    await store.create(A, make_session(A, sid="sid-9", issued_at=START + 1))


async def test_a_forgotten_mark_ends_nobody_who_is_signed_in(make_store: MakeStore) -> None:
    store = make_store(max_ended_marks=1)
    session = make_session(A, issued_at=START - 100)
    await store.create(A, session)
    for n in range(5):
        await store.mark_ended(EndedMark(BySid(ISSUER, f"sid-{n}"), ended_at=START + n, keep_until=START + 3600 + n))

    assert await store.replace(A, session) is not None
    assert store.cached(A) is not None


async def test_at_the_cap_the_oldest_session_of_the_same_person_makes_room(make_store: MakeStore) -> None:
    store = make_store(max_sessions=2, max_per_user=2)
    for name in "ab":
        await store.create(Secret(name), make_session(Secret(name)))

    ended = await store.create(Secret("c"), make_session(Secret("c")))

    assert ended == (session_key(Secret("a")),)
    assert store.active_sessions() == 2


async def test_a_login_refused_at_the_cap_puts_nobody_out(make_store: MakeStore) -> None:
    store = make_store(max_sessions=1, max_per_user=1)
    await store.create(A, make_session(A, subject="bob-id"))

    with pytest.raises(StoreFull):
        await store.create(Secret("b"), make_session(Secret("b")))

    assert store.cached(A) is not None


async def test_at_the_cap_the_expired_are_found_behind_many_that_were_used_meanwhile(
    make_store: MakeStore, clock: FakeClock
) -> None:
    used = SWEEP_SLICE + 10
    store = make_store(max_sessions=used + 1, max_per_user=0)
    sessions = []
    for n in range(used + 1):
        cookie = Secret(f"cookie-{n}")
        session = make_session(cookie, subject=f"u{n}", idle_timeout_s=100 if n < used else 101)
        await store.create(cookie, session)
        sessions.append(session)
    clock.advance(50)
    for session in sessions[:used]:
        store.touch(session)
    clock.advance(51)

    await store.create(A, make_session(A))

    assert store.active_sessions() == used + 1


async def test_without_a_limit_per_user_a_person_may_have_any_number(make_store: MakeStore) -> None:
    store = make_store(max_per_user=0)
    for n in range(100):
        cookie = Secret(f"cookie-{n}")
        assert await store.create(cookie, make_session(cookie)) == ()

    assert await store.count() == 100


async def test_the_record_is_gone_before_its_streams_close(make_store: MakeStore) -> None:
    store = make_store()
    await store.create(A, make_session(A))
    seen = []
    stream = make_stream(A)
    stream.on_end = lambda: seen.append(store.cached(A))
    store._live.opened(stream, session_key(A))

    await store.delete(session_key(A), EndCause.LOGOUT)

    assert seen == [None]


async def test_expiry_is_swept_in_the_background_and_closes_streams(
    make_store: MakeStore, clock: FakeClock, observer: RecordingObserver
) -> None:
    store = make_store(sweep_interval_s=0.005)
    await store.create(A, make_session(A, expires_at=START + 100))
    stream = make_stream(A)
    store._live.opened(stream, session_key(A))
    store.start()
    clock.advance(100)

    async def seen() -> tuple[list[str], int]:
        return stream.ends, store.active_sessions()

    await eventually(seen, ([ENDED], 0))
    await store.close()
    assert observer.ended == {EndCause.EXPIRED: 1}
    assert observer.errors == []


async def test_the_background_sweep_lets_the_loop_turn_between_slices(make_store: MakeStore, clock: FakeClock) -> None:
    store = make_store(max_per_user=0, sweep_interval_s=60)
    for n in range(SWEEP_SLICE + 1):
        cookie = Secret(f"cookie-{n}")
        await store.create(cookie, make_session(cookie, expires_at=START + 100))
    clock.advance(100)
    counts = []
    store.start()
    for _ in range(4):
        await asyncio.sleep(0)
        counts.append(store.active_sessions())
    await store.close()

    assert 1 in counts
    assert counts[-1] == 0


class TestACrowdThatEnds:
    EVERYBODY = EndedMark(EverySessionOf(ISSUER, "legacy-app"), ended_at=START, keep_until=START + 3600)
    CROWD = 2 * SWEEP_SLICE + 1

    async def _crowd(self, make_store: MakeStore) -> tuple[MemorySessionStore, list[Secret]]:
        store = make_store(max_per_user=0)
        cookies = [Secret(f"cookie-{number}") for number in range(self.CROWD)]
        for cookie in cookies:
            await store.create(cookie, make_session(cookie))
        return store, cookies

    async def test_nobody_of_it_is_served_while_the_others_have_their_turn(self, make_store: MakeStore) -> None:
        store, cookies = await self._crowd(make_store)
        last = store.cached(cookies[-1])
        ending = asyncio.get_running_loop().create_task(store.mark_ended(self.EVERYBODY))
        turns = 0

        while not ending.done():
            await asyncio.sleep(0)
            turns += 1
            assert last is not None
            store.touch(last)
            assert store.cached(cookies[-1]) is None
            assert await store.load(cookies[0]) is None

        assert turns >= 3
        assert store.active_sessions() == 0

    async def test_it_ends_to_the_last_although_who_asked_hangs_up(
        self, make_store: MakeStore, observer: RecordingObserver
    ) -> None:
        store, cookies = await self._crowd(make_store)
        ending = asyncio.get_running_loop().create_task(store.mark_ended(self.EVERYBODY))
        await asyncio.sleep(0)
        ending.cancel()

        async def ended() -> int:
            return observer.ended[EndCause.ADMIN]

        await eventually(ended, self.CROWD, within_s=10)
        tombstone = await store.tombstone(cookies[-1])
        assert tombstone is not None
        assert tombstone.cause is EndCause.ADMIN

    async def test_it_is_listed_in_slices(self, make_store: MakeStore) -> None:
        store, _ = await self._crowd(make_store)
        listing = asyncio.get_running_loop().create_task(store.find())
        turns = 0

        while not listing.done():
            await asyncio.sleep(0)
            turns += 1

        assert turns >= 3
        assert len(listing.result()) == self.CROWD
