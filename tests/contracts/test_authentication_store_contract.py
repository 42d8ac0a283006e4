"""What every store of authentication sessions promises; runs once for each factory of ``STORES``."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest
from msgspec.structs import replace

from proxy.clock import SystemClock
from proxy.core.authentication import MAX_TABS, ROOT_LIFETIME_S, OfClient, OfRealm
from proxy.sessions.memory_authentication import MemoryAuthenticationStore
from proxy.sessions.redis_authentication import RedisAuthenticationStore
from proxy.sessions.redis_connection import RedisConnection
from proxy.sessions.sealing import Sealer
from tests.support.clocks import START, FakeClock
from tests.support.observers import RecordingObserver
from tests.support.redis_stores import KEY, options_of, options_of_cluster
from tests.support.sessions import ISSUER, make_tab

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

    from proxy.ports import AuthenticationStore
    from proxy.sessions.redis_options import RedisOptions

CAP = 2 * MAX_TABS
"""Tabs that the stores of this suite hold."""


async def _memory(
    clock: FakeClock, _: pytest.FixtureRequest
) -> tuple[AuthenticationStore, Callable[[], Awaitable[None]]]:
    async def close() -> None:
        pass

    return MemoryAuthenticationStore(clock, max_tabs=CAP), close


async def _redis(
    clock: FakeClock, request: pytest.FixtureRequest
) -> tuple[AuthenticationStore, Callable[[], Awaitable[None]]]:
    return await _on(clock, options_of(request.getfixturevalue("empty_redis")))


async def _redis_cluster(
    clock: FakeClock, request: pytest.FixtureRequest
) -> tuple[AuthenticationStore, Callable[[], Awaitable[None]]]:
    return await _on(clock, options_of_cluster(request.getfixturevalue("empty_redis_cluster")))


async def _on(clock: FakeClock, options: RedisOptions) -> tuple[AuthenticationStore, Callable[[], Awaitable[None]]]:
    connection = RedisConnection(options, RecordingObserver(), SystemClock())
    await connection.start()
    store = RedisAuthenticationStore(connection, Sealer([KEY]), clock=clock, observer=RecordingObserver())
    return store, connection.close


CAPPED_STORES = {"memory": _memory}
"""Those with a number of tabs that they hold; the cap of Redis is time, and its memory."""

STORES = CAPPED_STORES | {"redis": _redis, "redis_cluster": _redis_cluster}


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture(params=STORES)
async def store(request: pytest.FixtureRequest, clock: FakeClock) -> AsyncIterator[AuthenticationStore]:
    made, close = await STORES[request.param](clock, request)
    yield made
    await close()


async def test_a_tab_is_found_by_its_root_and_state(store: AuthenticationStore) -> None:
    await store.put(make_tab("r1", "s1"))

    assert await store.peek("r1", "s1") == make_tab("r1", "s1")


@pytest.mark.parametrize(("root_id", "state"), [("r2", "s1"), ("r1", "s2"), ("", "s1"), ("r1", "")])
async def test_a_state_means_nothing_in_another_root(store: AuthenticationStore, root_id: str, state: str) -> None:
    await store.put(make_tab("r1", "s1"))

    assert await store.peek(root_id, state) is None
    assert await store.take(root_id, state) is None


async def test_a_tab_is_used_once(store: AuthenticationStore) -> None:
    await store.put(make_tab("r1", "s1"))

    assert await store.take("r1", "s1") == make_tab("r1", "s1")
    assert await store.take("r1", "s1") is None
    assert await store.peek("r1", "s1") is None


async def test_of_concurrent_takes_one_gets_the_tab(store: AuthenticationStore) -> None:
    await store.put(make_tab("r1", "s1"))

    answers = await asyncio.gather(*(store.take("r1", "s1") for _ in range(10)))

    assert [answer for answer in answers if answer is not None] == [make_tab("r1", "s1")]


async def test_tabs_of_one_root_do_not_disturb_one_another(store: AuthenticationStore) -> None:
    await store.put(make_tab("r1", "s1"))
    await store.put(make_tab("r1", "s2"))
    await store.take("r1", "s1")

    assert await store.peek("r1", "s2") == make_tab("r1", "s2")


async def test_a_step_puts_a_new_value_in_the_place_of_the_tab(store: AuthenticationStore) -> None:
    await store.put(make_tab("r1", "s1"))
    await store.put(make_tab("r1", "s1", attempts=1))

    assert (await store.take("r1", "s1")).attempts == 1
    assert await store.take("r1", "s1") is None


async def test_an_expired_tab_is_not_there(store: AuthenticationStore, clock: FakeClock) -> None:
    await store.put(make_tab("r1", "s1"))
    clock.advance(ROOT_LIFETIME_S - 1)
    assert await store.peek("r1", "s1") is not None
    clock.advance(1)

    assert await store.peek("r1", "s1") is None
    assert await store.take("r1", "s1") is None


async def test_a_dropped_root_has_no_tab(store: AuthenticationStore) -> None:
    await store.put(make_tab("r1", "s1"))
    await store.put(make_tab("r2", "s1"))
    await store.drop_root("r1")
    await store.drop_root("never there")

    assert await store.peek("r1", "s1") is None
    assert await store.peek("r2", "s1") is not None


async def test_the_tabs_of_a_root_are_told_in_the_order_of_their_making(
    store: AuthenticationStore, clock: FakeClock
) -> None:
    for n in range(11):
        await store.put(make_tab("r1", f"s{n}"))
    await store.put(make_tab("r2", "other"))
    await store.put(make_tab("r1", "s3", attempts=1))
    await store.put(replace(make_tab("r1", "short"), expires_at=START + 10))
    await store.take("r1", "s5")
    clock.advance(10)

    told = await store.tabs("r1")

    assert [tab.state for tab in told] == [f"s{n}" for n in range(11) if n != 5]
    assert told[3] == make_tab("r1", "s3", attempts=1)
    assert await store.tabs("never there") == ()


async def test_the_tabs_of_a_client_that_is_gone_go_and_no_others(store: AuthenticationStore) -> None:
    for root in ("r1", "r2"):
        await store.put(make_tab(root, "gone", client_id="old-app"))
        await store.put(make_tab(root, "stays"))
    await store.put(make_tab("r3", "gone", client_id="old-app"))
    await store.put(make_tab("r3", "elsewhere", client_id="old-app", issuer="https://other.example"))

    assert await store.drop_matching(OfClient(ISSUER, "old-app")) == 3
    assert await store.drop_matching(OfClient(ISSUER, "old-app")) == 0

    left = {tab.state for root in ("r1", "r2", "r3") for tab in await store.tabs(root)}
    assert left == {"stays", "elsewhere"}


async def test_the_tabs_of_a_realm_that_is_gone_go_with_all_its_clients(store: AuthenticationStore) -> None:
    await store.put(make_tab("r1", "one", client_id="a"))
    await store.put(make_tab("r1", "two", client_id="b"))
    await store.put(make_tab("r1", "elsewhere", issuer="https://other.example"))

    assert await store.drop_matching(OfRealm(ISSUER)) == 2
    assert [tab.state for tab in await store.tabs("r1")] == ["elsewhere"]


async def test_a_start_keeps_only_the_tabs_of_the_clients_that_are_served(store: AuthenticationStore) -> None:
    await store.put(make_tab("r1", "served"))
    await store.put(make_tab("r1", "gone", client_id="old-app"))
    await store.put(make_tab("r2", "served too", client_id="b"))
    await store.put(make_tab("r3", "elsewhere", issuer="https://old.example"))
    served = [OfClient(ISSUER, "legacy-app"), OfClient(ISSUER, "b")]

    assert await store.keep_only(served) == 2
    assert await store.keep_only(served) == 0

    assert {tab.state for root in ("r1", "r2", "r3") for tab in await store.tabs(root)} == {"served", "served too"}


async def test_above_the_cap_of_a_root_its_oldest_tab_goes(store: AuthenticationStore) -> None:
    for n in range(MAX_TABS + 1):
        await store.put(make_tab("r1", f"s{n}"))

    assert await store.peek("r1", "s0") is None
    assert [await store.peek("r1", f"s{n}") is not None for n in range(1, MAX_TABS + 1)] == [True] * MAX_TABS


async def test_a_step_of_a_tab_in_a_full_root_puts_nobody_out(store: AuthenticationStore) -> None:
    for n in range(MAX_TABS):
        await store.put(make_tab("r1", f"s{n}"))
    await store.put(make_tab("r1", "s5", attempts=1))

    assert await store.peek("r1", "s0") is not None


@pytest.mark.parametrize("store", CAPPED_STORES, indirect=True)
async def test_at_the_cap_of_all_the_oldest_root_goes(store: AuthenticationStore) -> None:
    for n in range(CAP + 1):
        await store.put(make_tab(f"r{n}", "s"))

    assert await store.peek("r0", "s") is None
    assert await store.peek("r1", "s") is not None
    assert await store.peek(f"r{CAP}", "s") is not None


@pytest.mark.parametrize("store", CAPPED_STORES, indirect=True)
async def test_at_the_cap_of_all_what_has_expired_goes_first(store: AuthenticationStore, clock: FakeClock) -> None:
    await store.put(make_tab("old", "s"))
    for n in range(CAP - 1):
        await store.put(replace(make_tab(f"short{n}", "s"), expires_at=START + 10))
    clock.advance(10)

    await store.put(make_tab("new", "s"))

    assert await store.peek("old", "s") is not None
    assert await store.peek("new", "s") is not None
