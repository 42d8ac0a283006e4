"""What every store of forms that wait for a login promises; runs once for each factory of ``STORES``."""

from __future__ import annotations

import asyncio
import re
import secrets
from typing import TYPE_CHECKING

import pytest

from proxy.clock import SystemClock
from proxy.core.kept import KEPT_LIFETIME_S, MAX_KEPT_BODY
from proxy.errors import StoreFull
from proxy.sessions.memory_kept import MAX_KEPT_PER_PERSON, MemoryKeptRequests, size_of
from proxy.sessions.redis_connection import RedisConnection
from proxy.sessions.redis_kept import RedisKeptRequests
from proxy.sessions.sealing import Sealer
from tests.support.clocks import FakeClock
from tests.support.kept import make_kept
from tests.support.observers import RecordingObserver
from tests.support.redis_stores import KEY, options_of, options_of_cluster

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from proxy.ports import KeptRequests
    from proxy.sessions.redis_options import RedisOptions

CAP = 10 * size_of(make_kept(b"x" * 1000))
"""Bytes that the stores of this suite hold, but for the test of the largest body."""

Made = "tuple[KeptRequests, Callable[[int], None], Callable[[], Awaitable[None]]]"


async def _memory(clock: FakeClock, _: pytest.FixtureRequest) -> Made:
    store = MemoryKeptRequests(clock, random_bytes=secrets.token_bytes, max_bytes=CAP)

    def allow(size: int) -> None:
        store._max_bytes = size

    async def close() -> None:
        pass

    return store, allow, close


async def _redis(clock: FakeClock, request: pytest.FixtureRequest) -> Made:
    return await _on(clock, options_of(request.getfixturevalue("empty_redis")))


async def _redis_cluster(clock: FakeClock, request: pytest.FixtureRequest) -> Made:
    return await _on(clock, options_of_cluster(request.getfixturevalue("empty_redis_cluster")))


async def _on(clock: FakeClock, options: RedisOptions) -> Made:
    connection = RedisConnection(options, RecordingObserver(), SystemClock())
    await connection.start()
    store = RedisKeptRequests(
        connection,
        Sealer([KEY]),
        clock=clock,
        observer=RecordingObserver(),
        random_bytes=secrets.token_bytes,
    )

    def allow(size: int) -> None:
        store.max_bytes = size

    allow(CAP)
    return store, allow, connection.close


STORES = {"memory": _memory, "redis": _redis, "redis_cluster": _redis_cluster}


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture(params=STORES)
async def made(
    request: pytest.FixtureRequest, clock: FakeClock
) -> AsyncIterator[tuple[KeptRequests, Callable[[int], None]]]:
    store, allow, close = await STORES[request.param](clock, request)
    yield store, allow
    await close()


@pytest.fixture
def store(made: tuple[KeptRequests, Callable[[int], None]]) -> KeptRequests:
    return made[0]


async def test_what_is_kept_comes_back_as_it_was_and_once(store: KeptRequests) -> None:
    request = make_kept(bytes(range(256)))

    kept_id = await store.keep(request)

    assert re.fullmatch(r"[A-Za-z0-9_-]{22}", kept_id)
    assert await store.peek(kept_id) == request.kept
    assert await store.peek(kept_id) == request.kept
    assert await store.take(kept_id) == request
    assert await store.take(kept_id) is None
    assert await store.peek(kept_id) is None


async def test_of_concurrent_takes_one_gets_it(store: KeptRequests) -> None:
    kept_id = await store.keep(make_kept())

    answers = await asyncio.gather(*(store.take(kept_id) for _ in range(10)))

    assert [answer for answer in answers if answer is not None] == [make_kept()]


@pytest.mark.parametrize("kept_id", ["", "x" * 22, "../all", "all"])
async def test_another_id_finds_nothing(store: KeptRequests, kept_id: str) -> None:
    await store.keep(make_kept())

    assert await store.peek(kept_id) is None
    assert await store.take(kept_id) is None


async def test_two_forms_that_are_alike_have_two_ids(store: KeptRequests) -> None:
    assert await store.keep(make_kept()) != await store.keep(make_kept())


async def test_an_empty_body_and_the_largest_one_are_kept(
    made: tuple[KeptRequests, Callable[[int], None]],
) -> None:
    store, allow = made
    allow(4 * MAX_KEPT_BODY)
    for body in (b"", secrets.token_bytes(MAX_KEPT_BODY)):
        kept_id = await store.keep(make_kept(body))
        taken = await store.take(kept_id)
        assert taken is not None
        assert taken.body == body


async def test_it_is_forgotten_in_time(store: KeptRequests, clock: FakeClock) -> None:
    first, second = await store.keep(make_kept()), await store.keep(make_kept())
    clock.advance(KEPT_LIFETIME_S - 1)
    assert await store.take(first) is not None
    clock.advance(1)

    assert await store.peek(second) is None
    assert await store.take(second) is None


async def test_the_oldest_of_a_person_goes_and_nobody_else_s(store: KeptRequests, clock: FakeClock) -> None:
    others = await store.keep(make_kept(subject_hash="hash-of-bob"))
    ids = []
    for n in range(MAX_KEPT_PER_PERSON + 1):
        clock.advance(1)
        ids.append(await store.keep(make_kept(kept_at=clock.now(), body=b"%d" % n)))

    assert await store.peek(ids[0]) is None
    assert [await store.peek(kept_id) is not None for kept_id in ids[1:]] == [True] * MAX_KEPT_PER_PERSON
    assert await store.peek(others) is not None


async def test_at_the_cap_of_all_a_further_form_is_refused_and_none_is_lost(store: KeptRequests) -> None:
    body = b"x" * 1000
    ids = [await store.keep(make_kept(body, subject_hash=f"{n}")) for n in range(10)]

    with pytest.raises(StoreFull):
        await store.keep(make_kept(body, subject_hash="late"))

    assert all([await store.peek(kept_id) is not None for kept_id in ids])


async def test_what_is_taken_or_forgotten_makes_room(store: KeptRequests, clock: FakeClock) -> None:
    body = b"x" * 1000
    ids = [await store.keep(make_kept(body, subject_hash=f"{n}")) for n in range(10)]
    await store.take(ids[0])
    await store.keep(make_kept(body, subject_hash="late"))
    with pytest.raises(StoreFull):
        await store.keep(make_kept(body, subject_hash="later"))
    clock.advance(KEPT_LIFETIME_S)

    assert await store.keep(make_kept(body, subject_hash="later", kept_at=clock.now()))


async def test_what_could_not_be_sent_is_given_back_for_the_rest_of_its_time(
    store: KeptRequests, clock: FakeClock
) -> None:
    kept_id = await store.keep(make_kept())
    request = await store.take(kept_id)
    assert request is not None
    clock.advance(60)

    await store.give_back(kept_id, request)

    assert await store.peek(kept_id) == request.kept
    clock.advance(KEPT_LIFETIME_S - 60)
    assert await store.take(kept_id) is None
    await store.give_back(kept_id, request)
    assert await store.peek(kept_id) is None
