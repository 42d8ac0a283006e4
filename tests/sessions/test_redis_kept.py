"""What is the Redis store's own, besides the contract: everything is sealed, ends by itself, and is bounded."""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING

import pytest

from proxy.core.kept import KEPT_LIFETIME_S
from proxy.errors import StoreFull
from proxy.sessions.redis_kept import RedisKeptRequests, _kept, _to_bytes
from proxy.sessions.sealing import Sealer
from tests.sessions.redis_parts import started
from tests.support.clocks import FakeClock
from tests.support.kept import make_kept
from tests.support.observers import RecordingObserver
from tests.support.redis_stores import KEY, options_of

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from proxy.sessions.redis_connection import RedisConnection
    from tests.redis.server import RedisServer

OTHER_KEY = b"x" * 32


@pytest.fixture
def observer() -> RecordingObserver:
    return RecordingObserver()


@pytest.fixture
async def connection(empty_redis: RedisServer) -> AsyncIterator[RedisConnection]:
    async with started(options_of(empty_redis)) as made:
        yield made


def store_on(connection: RedisConnection, observer: RecordingObserver, *keys: bytes) -> RedisKeptRequests:
    return RedisKeptRequests(
        connection,
        Sealer(keys or (KEY,)),
        clock=FakeClock(),
        observer=observer,
        random_bytes=secrets.token_bytes,
    )


@pytest.fixture
def store(connection: RedisConnection, observer: RecordingObserver) -> RedisKeptRequests:
    return store_on(connection, observer)


def test_everything_that_is_known_comes_back_as_it_was() -> None:
    kept = make_kept().kept

    assert _kept(_to_bytes(kept)) == kept


@pytest.mark.parametrize("text", [b"", b"[]", b"{}", b'{"place":["https","h"],"subject":"s","headers":[],"at":1}'])
def test_what_is_nothing_of_ours_is_none(text: bytes) -> None:
    assert _kept(text) is None


async def test_another_replica_finds_it(connection: RedisConnection, observer: RecordingObserver) -> None:
    kept_id = await store_on(connection, observer).keep(make_kept())

    assert await store_on(connection, observer).take(kept_id) == make_kept()


async def test_nothing_lies_there_in_clear_and_all_of_it_ends(
    store: RedisKeptRequests, empty_redis: RedisServer
) -> None:
    kept_id = await store.keep(make_kept(b"what-somebody-wrote", subject_hash="5ubject-hash"))

    names = empty_redis.call("KEYS", "*")
    everything = repr([names, *(empty_redis.call("DUMP", name) for name in names)])
    for secret in (kept_id, "what-somebody-wrote", "5ubject-hash", "app.example.com", "/save", "multipart"):
        assert secret not in everything
    assert len(names) == 2
    for name in names:
        assert KEPT_LIFETIME_S - 10 < empty_redis.call("TTL", name) <= KEPT_LIFETIME_S + 60


async def test_it_opens_under_its_own_id_only(
    store: RedisKeptRequests, empty_redis: RedisServer, observer: RecordingObserver
) -> None:
    kept_id = await store.keep(make_kept())
    other = store._names.kept("x" * 22)
    empty_redis.call("RENAME", store._names.kept(kept_id), other)

    assert await store.peek("x" * 22) is None
    assert "cannot be read" in observer.warnings[0][0]
    assert observer.store_errors == 1


async def test_it_opens_under_an_old_key_and_under_no_other(
    connection: RedisConnection, observer: RecordingObserver
) -> None:
    kept_id = await store_on(connection, observer).keep(make_kept())

    assert await store_on(connection, observer, OTHER_KEY).peek(kept_id) is None
    assert await store_on(connection, observer, OTHER_KEY, KEY).take(kept_id) == make_kept()


async def test_their_number_is_bounded_too(store: RedisKeptRequests, empty_redis: RedisServer) -> None:
    store.max_kept = 3
    for n in range(3):
        await store.keep(make_kept(subject_hash=str(n)))

    with pytest.raises(StoreFull):
        await store.keep(make_kept(subject_hash="late"))

    assert len(empty_redis.call("KEYS", "sidegate:k:*")) == 4


async def test_a_place_that_was_taken_for_nothing_lapses(
    store: RedisKeptRequests, connection: RedisConnection, empty_redis: RedisServer
) -> None:
    """A replica that dies between the place and the form leaves no more than that."""
    store.max_kept = 1
    kept_id = await store.keep(make_kept())
    empty_redis.call("DEL", store._names.kept(kept_id))
    with pytest.raises(StoreFull):
        await store.keep(make_kept(subject_hash="late"))
    clock = store._clock
    assert isinstance(clock, FakeClock)
    clock.advance(KEPT_LIFETIME_S)

    assert await store.keep(make_kept(subject_hash="late", kept_at=clock.now()))


async def test_a_form_that_was_taken_is_not_lost_with_its_place(
    store: RedisKeptRequests, empty_redis: RedisServer
) -> None:
    """Redis fails between the two steps: the form is out of it, and nobody else has it."""
    kept_id = await store.keep(make_kept())
    places = store._names.kept_places()
    empty_redis.call("DEL", places)
    empty_redis.call("SET", places, "of another type: whatever is asked of it is refused")

    assert await store.take(kept_id) == make_kept()
