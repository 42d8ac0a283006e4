"""``sessions.store`` chooses where everything lives, and what is not chosen is not even imported."""

from __future__ import annotations

import subprocess
import sys
from contextlib import nullcontext
from typing import TYPE_CHECKING, Any

import pytest

from proxy.core.secret import Secret
from proxy.errors import SettingsError, StoreFull, Throttled
from proxy.ports import Attempt
from proxy.redis_stores import RedisStores
from proxy.settings.load import one_site
from proxy.settings.model import Settings
from proxy.stores import MemoryStores
from tests.support.clocks import FakeClock
from tests.support.made_sites import site_file
from tests.support.made_stores import KEY, on_redis, stores_of
from tests.support.sessions import make_session, make_tab

if TYPE_CHECKING:
    from proxy.settings.portals import SiteSettings
    from tests.redis.server import RedisServer

A = Secret("cookie-a")
SITE = Settings.model_validate(site_file())


async def test_memory_is_the_default_and_holds_what_is_put_there() -> None:
    stores, _ = stores_of({}, FakeClock())
    assert isinstance(stores, MemoryStores)
    await stores.start()

    await stores.sessions.create(A, make_session(A))
    await stores.authentications.put(make_tab("r", "s"))

    assert stores.active_sessions() == 1
    assert await stores.authentications.take("r", "s") is not None
    assert await stores.leases.acquire(make_session(A).key) is not None
    assert stores.sessions.readiness().is_ready
    await stores.close()


async def test_failures_are_counted_over_replicas_or_in_one_process(empty_redis: RedisServer) -> None:
    alice = Attempt(username="alice", address=None)
    for sessions, is_shared in ((on_redis(empty_redis.port), True), ({}, False)):
        one, other = stores_of(sessions)[0], stores_of(sessions)[0]
        one_throttle, other_throttle = one.throttle(SITE), other.throttle(SITE)
        await one.start()
        await other.start()
        for _ in range(5):
            await one_throttle.reserve(alice)

        with pytest.raises(Throttled):
            await one_throttle.check(alice)
        refused = pytest.raises(Throttled) if is_shared else nullcontext()
        with refused:
            await other_throttle.check(alice)
        await one.close()
        await other.close()


async def test_the_trail_is_kept_where_sessions_are_or_nowhere(empty_redis: RedisServer) -> None:
    (memory, _), (redis, _) = stores_of({}), stores_of(on_redis(empty_redis.port))

    assert type(memory.audit).__name__ == "MemoryAuditTrail"
    assert type(redis.audit).__name__ == "RedisAuditTrail"


def test_nobody_who_has_no_redis_waits_for_its_library() -> None:
    script = "import proxy.app, proxy.stores, sys; sys.exit(any(name.split('.')[0] == 'redis' for name in sys.modules))"

    assert subprocess.run([sys.executable, "-c", script], check=False, timeout=60).returncode == 0


async def test_failures_are_counted_by_the_issuer_whatever_portal_they_were_at() -> None:
    stores, _ = stores_of({})
    alice = Attempt(username="alice", address=None)
    same, other = (
        Settings.model_validate(site_file(server={"public_url": "https://b.example.com"}, **keycloak))
        for keycloak in ({}, {"keycloak": {"issuer": "https://sso.example.com/realms/other"}})
    )
    for _ in range(5):
        await stores.throttle(SITE).reserve(alice)

    with pytest.raises(Throttled):
        await stores.throttle(same).check(alice)
    await stores.throttle(other).check(alice)


def of_file(**sessions: Any) -> tuple[SiteSettings, ...]:
    return one_site(Settings.model_validate(site_file(sessions=sessions)))


async def test_another_cap_counts_from_the_instant_at_which_it_is_adopted() -> None:
    stores, _ = stores_of({"memory": {"max_sessions": 2}}, FakeClock())
    adopt = stores.prepare(of_file(memory={"max_sessions": 1}))
    await stores.sessions.create(A, make_session(A))

    adopt()

    with pytest.raises(StoreFull):
        await stores.sessions.create(Secret("b"), make_session(Secret("b"), subject="bob-id"))
    assert await stores.sessions.load(A) is not None, "nobody is put out"


def test_other_session_keys_seal_from_the_instant_at_which_they_are_adopted() -> None:
    stores, _ = stores_of(on_redis(1), FakeClock())
    assert isinstance(stores, RedisStores)
    before = stores.sealer.seal(b"text", associated_data=b"place")
    new, old = {"value": "B" * 43}, {"value": KEY}

    adopt = stores.prepare(of_file(store="redis", encryption_keys=[new, old]))
    digest = stores.sealer.digest("who")
    adopt()

    assert stores.sealer.open(before, associated_data=b"place") == b"text"
    assert stores.sealer.digests("who")[1] == digest


def test_keys_that_cannot_be_read_change_nothing() -> None:
    stores, _ = stores_of(on_redis(1), FakeClock())

    with pytest.raises(SettingsError, match="cannot be read"):
        stores.prepare(of_file(store="redis", encryption_keys=[{"file": "/nowhere/key"}]))
