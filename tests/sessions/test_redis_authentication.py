"""What is the Redis store's own, besides the contract: tabs are sealed for their browser, and bounded in time."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from proxy.core.authentication import MAX_TABS, ROOT_LIFETIME_S, ExecutionStatus, OfClient, Tab, TabStatus
from proxy.core.secret import Secret
from proxy.core.session import LoginOrigin
from proxy.sessions.redis_authentication import RedisAuthenticationStore, _tab, _to_bytes
from proxy.sessions.sealing import Sealer
from tests.sessions.redis_parts import started
from tests.support.clocks import FakeClock
from tests.support.observers import RecordingObserver
from tests.support.redis_stores import KEY, options_of
from tests.support.sessions import ISSUER, make_tab

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from proxy.sessions.redis_connection import RedisConnection
    from tests.redis.server import RedisServer

texts = st.text(st.characters(), max_size=20)
instants = st.floats(min_value=0, max_value=1e11)
TAB_FIELDS = {
    "root_id": texts,
    "issuer": texts,
    "client_id": texts,
    "tab_id": texts,
    "state": texts,
    "nonce": texts,
    "code_verifier": texts.map(Secret),
    "return_to": texts,
    "created_at": instants,
    "expires_at": instants,
    "origin": st.sampled_from(LoginOrigin),
    "status": st.sampled_from(TabStatus),
    "restarts": st.integers(0, 9),
    "attempts": st.integers(0, 9),
    "executions": st.dictionaries(texts, st.sampled_from(ExecutionStatus), max_size=3),
    "notes": st.dictionaries(texts, texts, max_size=3),
    "session_notes": st.dictionaries(texts, texts, max_size=3),
    "required_actions": st.lists(texts, max_size=3).map(tuple),
}


@pytest.fixture
def observer() -> RecordingObserver:
    return RecordingObserver()


@pytest.fixture
async def connection(empty_redis: RedisServer) -> AsyncIterator[RedisConnection]:
    async with started(options_of(empty_redis)) as made:
        yield made


@pytest.fixture
def store(connection: RedisConnection, observer: RecordingObserver) -> RedisAuthenticationStore:
    return RedisAuthenticationStore(connection, Sealer([KEY]), clock=FakeClock(), observer=observer)


@given(tab=st.fixed_dictionaries(TAB_FIELDS).map(lambda drawn: Tab(**drawn)))
def test_every_tab_comes_back_as_it_was(tab: Tab) -> None:
    assert {*TAB_FIELDS} == {*Tab.__struct_fields__}, "a field is not tried"
    assert _tab(tab.root_id, _to_bytes(tab)) == tab


@pytest.mark.parametrize("text", [b"", b"[]", b"{}", b'{"code_verifier":"x","executions":[],"required_actions":[]}'])
def test_what_is_no_tab_of_ours_is_none(text: bytes) -> None:
    assert _tab("root", text) is None


async def test_a_tab_opens_with_the_cookie_of_its_root_only(
    store: RedisAuthenticationStore, empty_redis: RedisServer, observer: RecordingObserver
) -> None:
    await store.put(make_tab("r1", "s1"))
    (name,) = empty_redis.call("KEYS", "sidegate:a:*")
    entries = empty_redis.call("HGETALL", name)
    other = store._names.root("r2")
    empty_redis.call("HSET", other, *(word for entry in entries.items() for word in entry))

    assert await store.peek("r2", "s1") is None
    assert "cannot be read" in observer.warnings[0][0]
    assert observer.store_errors == 1
    assert await store.take("r1", "s1") == make_tab("r1", "s1")


async def test_a_tab_under_a_key_that_is_gone_begins_again(
    store: RedisAuthenticationStore, connection: RedisConnection, observer: RecordingObserver
) -> None:
    await store.put(make_tab("r1", "s1"))
    other = RedisAuthenticationStore(connection, Sealer([b"x" * 32]), clock=FakeClock(), observer=observer)
    both = RedisAuthenticationStore(connection, Sealer([b"x" * 32, KEY]), clock=FakeClock(), observer=observer)

    assert await other.peek("r1", "s1") is None
    assert await both.peek("r1", "s1") == make_tab("r1", "s1")


async def test_a_root_lives_as_long_as_its_last_tab(store: RedisAuthenticationStore, empty_redis: RedisServer) -> None:
    await store.put(make_tab("r1", "s1"))
    short = make_tab("r1", "s2")
    await store.put(replace(short, expires_at=short.created_at + 1))
    (name,) = empty_redis.call("KEYS", "sidegate:a:*")

    assert empty_redis.call("PTTL", name) / 1000 == pytest.approx(ROOT_LIFETIME_S, abs=5)


async def test_a_step_keeps_the_place_of_its_tab(store: RedisAuthenticationStore) -> None:
    for n in range(MAX_TABS):
        await store.put(make_tab("r1", f"s{n}"))
    await store.put(make_tab("r1", "s0", attempts=1))

    await store.put(make_tab("r1", "new"))

    assert await store.peek("r1", "s0") is None, "it is still the oldest"
    assert await store.peek("r1", "s1") is not None


async def test_a_client_that_is_gone_is_found_under_an_older_key_too(
    store: RedisAuthenticationStore, connection: RedisConnection, observer: RecordingObserver
) -> None:
    await store.put(make_tab("r1", "s1"))
    rotated = RedisAuthenticationStore(connection, Sealer([b"x" * 32, KEY]), clock=FakeClock(), observer=observer)
    stranger = RedisAuthenticationStore(connection, Sealer([b"y" * 32]), clock=FakeClock(), observer=observer)

    assert await stranger.drop_matching(OfClient(ISSUER, "legacy-app")) == 0
    assert await rotated.drop_matching(OfClient(ISSUER, "legacy-app")) == 1
    assert await store.peek("r1", "s1") is None


async def test_a_start_leaves_alone_what_lies_there_under_other_keys(
    store: RedisAuthenticationStore, connection: RedisConnection, observer: RecordingObserver
) -> None:
    await store.put(make_tab("r1", "s1"))
    neighbour = RedisAuthenticationStore(connection, Sealer([b"n" * 32]), clock=FakeClock(), observer=observer)
    rotated = RedisAuthenticationStore(connection, Sealer([b"x" * 32, KEY]), clock=FakeClock(), observer=observer)
    other = OfClient(ISSUER, "other-app")

    assert await neighbour.keep_only([other]) == 0
    assert await rotated.keep_only([other, OfClient(ISSUER, "legacy-app")]) == 0
    assert await rotated.keep_only([other]) == 1
    assert await store.keep_only([]) == 0


async def test_the_last_tab_that_is_dropped_takes_its_root_along(
    store: RedisAuthenticationStore, empty_redis: RedisServer
) -> None:
    await store.put(make_tab("r1", "s1"))
    await store.drop_matching(OfClient(ISSUER, "legacy-app"))

    assert empty_redis.call("KEYS", "sidegate:a:*") == []


async def test_other_keys_are_not_looked_at(store: RedisAuthenticationStore, empty_redis: RedisServer) -> None:
    for n in range(1500):
        empty_redis.call("SET", f"sidegate:b:{n}", "x")
    await store.put(make_tab("r1", "s1"))

    assert await store.drop_matching(OfClient(ISSUER, "legacy-app")) == 1
    assert empty_redis.call("DBSIZE") == 1500
