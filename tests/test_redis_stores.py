"""Stores in Redis are those of every replica, and none fails at start because a server is away."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from proxy.core.secret import Secret
from proxy.errors import SettingsError, StoreUnavailable
from proxy.ports import NotCached
from proxy.redis_stores import RedisStores
from tests.support.clocks import FakeClock
from tests.support.eventually import eventually
from tests.support.made_stores import on_redis, stores_of
from tests.support.ports import free_port
from tests.support.sessions import make_session, make_tab

if TYPE_CHECKING:
    from tests.redis.server import RedisServer

A = Secret("cookie-a")


async def test_redis_holds_it_for_every_replica_under_its_prefix(empty_redis: RedisServer) -> None:
    sessions = on_redis(empty_redis.port, key_prefix="acme:")
    (one, _), (other, _) = (stores_of(sessions, FakeClock()) for _ in range(2))
    for stores in (one, other):
        assert isinstance(stores, RedisStores)
        await stores.start()

    await one.sessions.create(A, make_session(A))
    tab = make_tab("r", "s", issuer="https://sso.example.com", client_id="app")
    await one.authentications.put(tab)

    assert await other.sessions.load(A) == make_session(A)
    assert await other.authentications.take("r", "s") == tab
    lease = await one.leases.acquire(make_session(A).key)
    assert await other.leases.acquire(make_session(A).key) is None
    await lease.release()
    for stores in (one, other):
        await stores.close()
    assert [name for name in empty_redis.call("KEYS", "*") if not name.startswith(b"acme:")] == []


async def test_a_start_forgets_logins_at_a_client_that_the_file_does_not_have_any_more(
    empty_redis: RedisServer,
) -> None:
    clock = FakeClock()
    before, after = (stores_of(on_redis(empty_redis.port), clock)[0] for _ in range(2))
    await before.start()
    await before.authentications.put(make_tab("r", "gone", issuer="https://sso.example.com", client_id="old-app"))
    await before.authentications.put(make_tab("r", "stays", issuer="https://sso.example.com", client_id="app"))

    await after.start()

    async def left() -> list[str]:
        return [tab.state for tab in await after.authentications.tabs("r")]

    await eventually(left, ["stays"])
    for stores in (before, after):
        await stores.close()


async def test_a_redis_that_is_away_keeps_nobody_from_starting_and_is_found_when_it_comes(
    empty_redis: RedisServer,
) -> None:
    empty_redis.kill()
    stores, observer = stores_of(on_redis(empty_redis.port), FakeClock())
    await stores.start()

    readiness = stores.sessions.readiness()
    assert not readiness.is_ready
    assert str(empty_redis.port) in readiness.detail
    assert stores.sessions.cached(A) is NotCached.NOT_CACHED
    with pytest.raises(StoreUnavailable):
        await stores.sessions.load(A)

    empty_redis.start()

    async def is_ready() -> bool:
        return stores.sessions.readiness().is_ready

    await eventually(is_ready, expected=True, within_s=10)
    await stores.sessions.create(A, make_session(A))
    assert await stores.sessions.load(A) == make_session(A)
    assert [message for message, _ in observer.errors if "away" in message] != []
    await stores.close()


def test_a_key_that_is_none_is_said_before_anything_starts() -> None:
    with pytest.raises(SettingsError, match="session key"):
        stores_of({**on_redis(free_port()), "encryption_keys": [{"value": "short"}]})


def test_a_certificate_that_is_none_is_said_before_anything_starts() -> None:
    redis = {"url": "rediss://redis:6379/0", "tls": {"ca_file": "/no/such/file"}}

    with pytest.raises(SettingsError, match=r"sessions\.redis\.tls"):
        stores_of({**on_redis(1), "redis": redis})
