"""The ACL user of the README may do all that we do, and no more than that."""

from __future__ import annotations

import asyncio
import dataclasses
import secrets
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import redis
from msgspec.structs import replace

from proxy.clock import SystemClock
from proxy.core.authentication import OfClient
from proxy.core.secret import Secret
from proxy.core.session import BySid, BySubject, EndCause, EndedMark, EverySessionOf
from proxy.observe.audit_redis import AuditRedisLimits, RedisAuditTrail
from proxy.ports import AuditEvent
from proxy.sessions.redis_authentication import RedisAuthenticationStore
from proxy.sessions.redis_kept import RedisKeptRequests
from proxy.sessions.redis_lease import RedisRefreshLeases
from proxy.sessions.redis_throttle import RedisFailures
from proxy.sessions.sealing import Sealer
from tests.sessions.redis_parts import until
from tests.support.kept import make_kept
from tests.support.redis_stores import KEY, Replica, options_of, options_of_cluster
from tests.support.sessions import ISSUER, make_session, make_tab

if TYPE_CHECKING:
    from tests.redis.cluster import ClusterHouse
    from tests.redis.server import RedisServer

README = Path(__file__).parents[2] / "README.md"
PASSWORD = "of the readme"
A, B = Secret("a"), Secret("b")


def _rules() -> list[str]:
    """The rules of the README's user, after its password."""
    [line] = [line for line in README.read_text("utf-8").splitlines() if line.startswith("ACL SETUSER sidegate ")]
    words = line.split()
    assert words[3:5] == ["on", ">PASSWORD"]
    return words[5:]


def _known(replica: Replica) -> Replica:
    replica.options = dataclasses.replace(replica.options, username="sidegate", password=lambda: Secret(PASSWORD))
    replica.__post_init__()
    return replica


async def _do_everything(replica: Replica) -> None:
    clock, store, connection, sealer = SystemClock(), replica.store, replica.connection, Sealer([KEY])
    failures = RedisFailures(connection, clock)
    assert await failures.acquire_entry("key", 5, 60)
    assert (await failures.get_moving_window("key", 5, 60))[1] == 1
    await failures.release_entry("key")
    for cookie in (A, B):
        now = clock.now()
        session = make_session(cookie, issued_at=now, created_at=now, expires_at=now + 3600)
        await store.create(cookie, session)
        store.touch(session)
        assert await store.replace(cookie, session) is not None
        assert await store.load(cookie) is not None
        await store.last_seen(session)
    assert await store.count() == 2
    assert len(await store.find()) == 2
    await store.mark_ended(EndedMark(BySid(ISSUER, "sid-of-a"), ended_at=now, keep_until=now + 60))
    await store.mark_ended(EndedMark(EverySessionOf(ISSUER, "another"), ended_at=now, keep_until=now + 60))
    assert len(await store.delete_matching(BySubject(ISSUER, "alice-id"), EndCause.BACKCHANNEL)) == 2
    assert await store.tombstone(A) is not None
    await store.spend_jti("jti", now + 60)
    assert await store.jti_is_spent("jti")
    tabs = RedisAuthenticationStore(connection, sealer, clock=clock, observer=replica.observer)
    tab = replace(make_tab("root", "state"), expires_at=now + 600)
    await tabs.put(tab)
    assert await tabs.peek(tab.root_id, tab.state) is not None
    assert await tabs.take(tab.root_id, tab.state) is not None
    await tabs.put(tab)
    assert await tabs.keep_only([OfClient(tab.issuer, tab.client_id)]) == 0
    assert len(await tabs.tabs(tab.root_id)) == 1
    assert await tabs.drop_matching(OfClient(tab.issuer, tab.client_id)) == 1
    await tabs.drop_root(tab.root_id)
    kept = RedisKeptRequests(
        connection, sealer, clock=clock, observer=replica.observer, random_bytes=secrets.token_bytes
    )
    kept_id = await kept.keep(make_kept(kept_at=now))
    assert await kept.peek(kept_id) is not None
    assert await kept.take(kept_id) is not None
    leases = RedisRefreshLeases(connection, clock=clock, observer=replica.observer)
    lease = await leases.acquire(session.key)
    assert lease is not None
    await lease.release()
    await leases.close()
    limits = AuditRedisLimits(keep_s=60)
    trail = RedisAuditTrail(connection, sealer, limits=limits, clock=clock, observer=replica.observer)
    trail.start()
    trail.add(AuditEvent(event="login.succeeded", username="alice"), now)
    await trail.close()
    assert await trail.read(username="alice", since=0, limit=10)


def _denied(server: RedisServer) -> list[object]:
    return [entry[b"object"] for entry in server.call("ACL", "LOG")]


async def test_it_may_do_all_that_we_do_on_a_server_alone(empty_redis: RedisServer) -> None:
    empty_redis.add_user("sidegate", PASSWORD, *_rules())
    empty_redis.call("ACL", "LOG", "RESET")
    replica = await _known(Replica(options_of(empty_redis, database=1), SystemClock())).start()
    try:
        await until(replica.tracking.is_trusted)
        await asyncio.wait_for(_do_everything(replica), 30)
    finally:
        await replica.close()
        empty_redis.forget_user("sidegate")

    assert _denied(empty_redis) == []
    assert replica.observer.warnings == []
    assert replica.observer.errors == []


async def test_it_may_do_all_that_we_do_on_a_cluster(empty_redis_cluster: ClusterHouse) -> None:
    house = empty_redis_cluster
    for server in house.servers:
        server.add_user("sidegate", PASSWORD, *_rules())
        server.call("ACL", "LOG", "RESET")
    replica = await _known(Replica(options_of_cluster(house), SystemClock())).start()
    try:
        await until(replica.tracking.is_trusted)
        await asyncio.wait_for(_do_everything(replica), 30)
    finally:
        await replica.close()
        for server in house.servers:
            server.forget_user("sidegate")

    assert [_denied(server) for server in house.servers] == [[], [], []]
    assert replica.observer.errors == []


@pytest.mark.parametrize(
    "command",
    [
        ("GET", "another:key"),
        ("SET", "another:key", "1"),
        ("FLUSHALL",),
        ("KEYS", "*"),
        ("CONFIG", "GET", "*"),
        ("CLIENT", "KILL", "TYPE", "normal"),
        ("ACL", "LIST"),
        ("DEBUG", "SLEEP", "0"),
        ("SHUTDOWN",),
        ("PUBLISH", "another:channel", "1"),
        ("REPLICAOF", "NO", "ONE"),
    ],
)
def test_it_may_do_nothing_to_others(empty_redis: RedisServer, command: tuple[str, ...]) -> None:
    empty_redis.add_user("sidegate", PASSWORD, *_rules())
    try:
        with (
            redis.Redis(port=empty_redis.port, username="sidegate", password=PASSWORD) as client,
            pytest.raises(redis.exceptions.NoPermissionError),
        ):
            client.execute_command(*command)
    finally:
        empty_redis.forget_user("sidegate")
