"""``sessions.store`` chooses where everything lives, and neither choice fails at start because a server is away."""

from __future__ import annotations

from contextlib import nullcontext
from typing import TYPE_CHECKING, Any

import pytest

from proxy.clock import SystemClock
from proxy.core.secret import Secret
from proxy.errors import SettingsError, StoreUnavailable, Throttled
from proxy.ports import Attempt, NotCached
from proxy.sessions.live import LiveStreamRegistry
from proxy.settings.model import Settings
from proxy.stores import MemoryStores, RedisStores, Surroundings, make_stores
from tests.support.clocks import FakeClock
from tests.support.eventually import eventually
from tests.support.observers import RecordingObserver
from tests.support.ports import free_port
from tests.support.sessions import make_session, make_tab

if TYPE_CHECKING:
    from collections.abc import Mapping

    from proxy.ports import Clock
    from tests.redis.server import RedisServer

KEY = "A" * 43
A = Secret("cookie-a")


def _stores(
    sessions: Mapping[str, Any], clock: Clock | None = None
) -> tuple[MemoryStores | RedisStores, RecordingObserver]:
    settings = Settings.model_validate(
        {
            "server": {"public_url": "https://app.example.com"},
            "keycloak": {"issuer": "https://sso.example.com", "client_id": "app", "client_auth": {"method": "none"}},
            "upstreams": {"app": {"url": "http://127.0.0.1:8000"}},
            "sessions": sessions,
        }
    )
    observer = RecordingObserver()
    around = Surroundings(clock=clock or SystemClock(), observer=observer, live=LiveStreamRegistry(observer))
    return make_stores(settings, around), observer


def _on(port: int, **redis: Any) -> dict[str, Any]:
    url = f"redis://127.0.0.1:{port}/0"
    return {"store": "redis", "redis": {"url": url, **redis}, "encryption_keys": [{"value": KEY}]}


async def test_memory_is_the_default_and_holds_what_is_put_there() -> None:
    stores, _ = _stores({}, FakeClock())
    assert isinstance(stores, MemoryStores)
    await stores.start()

    await stores.sessions.create(A, make_session(A))
    await stores.authentications.put(make_tab("r", "s"))

    assert stores.active_sessions() == 1
    assert await stores.authentications.take("r", "s") is not None
    assert await stores.leases.acquire(make_session(A).key) is not None
    assert stores.sessions.readiness().is_ready
    await stores.close()


async def test_redis_holds_it_for_every_replica_under_its_prefix(empty_redis: RedisServer) -> None:
    sessions = _on(empty_redis.port, key_prefix="acme:")
    (one, _), (other, _) = (_stores(sessions, FakeClock()) for _ in range(2))
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
    before, after = (_stores(_on(empty_redis.port), clock)[0] for _ in range(2))
    await before.start()
    await before.authentications.put(make_tab("r", "gone", issuer="https://sso.example.com", client_id="old-app"))
    await before.authentications.put(make_tab("r", "stays", issuer="https://sso.example.com", client_id="app"))

    await after.start()

    async def left() -> list[str]:
        return [tab.state for tab in await after.authentications.tabs("r")]

    await eventually(left, ["stays"])
    for stores in (before, after):
        await stores.close()


async def test_failures_are_counted_over_replicas_or_in_one_process(empty_redis: RedisServer) -> None:
    alice = Attempt(username="alice", address=None)
    for sessions, is_shared in ((_on(empty_redis.port), True), ({}, False)):
        one, other = _stores(sessions)[0], _stores(sessions)[0]
        await one.start()
        await other.start()
        for _ in range(5):
            await one.throttle.reserve(alice)

        with pytest.raises(Throttled):
            await one.throttle.check(alice)
        refused = pytest.raises(Throttled) if is_shared else nullcontext()
        with refused:
            await other.throttle.check(alice)
        await one.close()
        await other.close()


async def test_a_redis_that_is_away_keeps_nobody_from_starting_and_is_found_when_it_comes(
    empty_redis: RedisServer,
) -> None:
    empty_redis.kill()
    stores, observer = _stores(_on(empty_redis.port), FakeClock())
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


async def test_the_trail_is_kept_where_sessions_are_or_nowhere(empty_redis: RedisServer) -> None:
    (memory, _), (redis, _) = _stores({}), _stores(_on(empty_redis.port))

    assert type(memory.audit).__name__ == "MemoryAuditTrail"
    assert type(redis.audit).__name__ == "RedisAuditTrail"


def test_a_key_that_is_none_is_said_before_anything_starts() -> None:
    with pytest.raises(SettingsError, match="session key"):
        _stores({**_on(free_port()), "encryption_keys": [{"value": "short"}]})


def test_a_certificate_that_is_none_is_said_before_anything_starts() -> None:
    redis = {"url": "rediss://redis:6379/0", "tls": {"ca_file": "/no/such/file"}}

    with pytest.raises(SettingsError, match=r"sessions\.redis\.tls"):
        _stores({**_on(1), "redis": redis})
