"""Where sessions live, at real servers: alone, by TLS, behind sentinels, as a cluster."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from proxy.doctor import store
from proxy.doctor.store import look_at_store
from proxy.sessions.redis_options import TcpNode
from tests.doctor.conftest import told
from tests.support.ports import free_port

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from pathlib import Path

    import pytest

    from proxy.doctor.visit import Visit
    from tests.redis.cluster import ClusterHouse
    from tests.redis.fixtures import TlsRedis
    from tests.redis.sentinel import SentinelHouse
    from tests.redis.server import RedisServer

    Begin = Callable[..., Awaitable[Visit]]

ISSUER = "http://sso.test/realms/acme"
KEY = [{"value": "A" * 43}]
PASSWORD = "pw-of-redis"


async def findings(visit_to: Begin, **redis: Any) -> dict[str, tuple[str, str, str]]:
    sessions = {"store": "redis", "encryption_keys": KEY, "redis": redis}
    found = told(await look_at_store(await visit_to(ISSUER, sessions=sessions)))
    assert PASSWORD not in repr(found)
    return found


def verdicts_of(found: dict[str, tuple[str, str, str]]) -> dict[str, str]:
    return {check: verdict for check, (verdict, _, _) in found.items()}


async def test_memory_is_well_and_says_what_it_means(visit_to: Begin) -> None:
    found = told(await look_at_store(await visit_to(ISSUER)))

    assert found == {"sessions": ("ok", "in this process, at most 100000; for one replica, and they end with it", "")}


async def test_one_redis_is_told_line_by_line(empty_redis: RedisServer, visit_to: Begin) -> None:
    found = await findings(visit_to, url=empty_redis.url)

    assert verdicts_of(found) == {
        "reachable": "ok",
        "latency": found["latency"][0],
        "version": "ok",
        "eviction": "ok",
        "persistence": "warn",
        "rights": "ok",
        "tracking": "ok",
        "TLS": "ok",
    }
    assert found["persistence"][2] == "set appendonly yes, if that matters"
    assert empty_redis.call("KEYS", "*") == []


async def test_a_policy_that_throws_sessions_away_is_a_failure(empty_redis: RedisServer, visit_to: Begin) -> None:
    empty_redis.call("CONFIG", "SET", "maxmemory-policy", "allkeys-lru")
    empty_redis.call("CONFIG", "SET", "maxmemory", str(512 * 1024 * 1024))

    assert (await findings(visit_to, url=empty_redis.url))["eviction"][0] == "fail"


async def test_a_slow_redis_is_a_warning(
    empty_redis: RedisServer, visit_to: Begin, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(store, "SLOW_S", 0.0)

    assert (await findings(visit_to, url=empty_redis.url))["latency"][0] == "warn"


async def test_nobody_there_is_one_line(visit_to: Begin) -> None:
    found = await findings(visit_to, url=f"redis://127.0.0.1:{free_port()}/0")

    assert list(found) == ["reachable"]
    verdict, sentence, remedy = found["reachable"]
    assert (verdict, sentence.lower().endswith("no connection (connection refused)")) == ("fail", True)
    assert remedy == "check that it runs and sessions.redis.url"


async def test_a_wrong_password_is_one_line_with_the_key_of_the_file(empty_redis: RedisServer, visit_to: Begin) -> None:
    empty_redis.demand_password("another")

    found = await findings(visit_to, url=empty_redis.url, password={"value": PASSWORD})

    assert list(found) == ["reachable"]
    assert "sessions.redis.password" in found["reachable"][2]


async def test_a_user_who_may_see_little_is_told_what_is_missing(empty_redis: RedisServer, visit_to: Begin) -> None:
    empty_redis.add_user(
        "gate", PASSWORD, "~sidegate:*", "+@read", "+@write", "+@connection", "-client", "-@dangerous", "+wait"
    )
    url = f"redis://gate:{PASSWORD}@{empty_redis.address}/0"
    try:
        found = await findings(visit_to, url=url)
    finally:
        empty_redis.forget_user("gate")

    assert (found["version"][0], found["rights"][0], found["tracking"][0]) == ("warn", "fail", "fail")
    assert "EVAL" in found["rights"][1]


async def test_replicas_that_must_tell_one_another_are_a_warning(empty_redis: RedisServer, visit_to: Begin) -> None:
    empty_redis.add_user("gate", PASSWORD, "~sidegate:*", "&sidegate:*", "+@all", "-client|tracking")
    try:
        found = await findings(visit_to, url=f"redis://gate:{PASSWORD}@{empty_redis.address}/0")
    finally:
        empty_redis.forget_user("gate")

    assert found["tracking"][0] == "warn"
    assert "CLIENT TRACKING" in found["tracking"][1]


async def test_tls_says_how_long_the_certificate_holds(empty_redis_tls: TlsRedis, visit_to: Begin) -> None:
    tls = {
        "ca_file": str(empty_redis_tls.authority),
        "cert_file": str(empty_redis_tls.client.certificate),
        "key_file": str(empty_redis_tls.client.key),
    }

    found = await findings(visit_to, url=empty_redis_tls.server.url, tls=tls)

    assert found["reachable"][0] == "ok"
    assert found["TLS"][1].startswith(f"the certificate of {empty_redis_tls.server.address} holds for")


async def test_an_authority_that_is_not_named_is_one_line(empty_redis_tls: TlsRedis, visit_to: Begin) -> None:
    found = await findings(visit_to, url=empty_redis_tls.server.url)

    assert list(found) == ["reachable"]
    assert "sessions.redis.tls.ca_file" in found["reachable"][2]


async def test_files_of_tls_that_cannot_be_used_are_a_failure(visit_to: Begin, tmp_path: Path) -> None:
    found = await findings(visit_to, url="rediss://127.0.0.1:1/0", tls={"ca_file": str(tmp_path / "gone")})

    assert list(found) == ["TLS"]
    assert str(tmp_path / "gone") in found["TLS"][1]


async def test_a_public_address_in_clear_is_a_warning() -> None:
    assert str((await store._in_clear(TcpNode("8.8.8.8", 6379))).verdict) == "warn"
    assert str((await store._in_clear(TcpNode("10.1.2.3", 6379))).verdict) == "ok"


async def test_where_a_name_leads_that_does_not_resolve_is_not_taken_for_private() -> None:
    assert str((await store._in_clear(TcpNode("redis.invalid", 6379))).verdict) == "warn"


async def test_a_store_without_a_primary_is_a_failure(
    empty_redis: RedisServer, visit_to: Begin, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def none_found(_options: object) -> list[Any]:
        return []

    monkeypatch.setattr(store, "_primaries", none_found)

    assert verdicts_of(await findings(visit_to, url=empty_redis.url)) == {"reachable": "ok", "primary": "fail"}


async def test_sentinels_are_asked_one_by_one(empty_redis_sentinel: SentinelHouse, visit_to: Begin) -> None:
    known = empty_redis_sentinel.settings
    nodes, gone = known["nodes"], f"127.0.0.1:{free_port()}"

    agreed = await findings(visit_to, sentinel=known)
    silent = await findings(visit_to, sentinel={**known, "nodes": [*nodes, gone]})
    few = await findings(visit_to, sentinel={**known, "nodes": nodes[:2]})
    unknown = await findings(visit_to, sentinel={**known, "master": "nobody"})

    assert [agreed[check][0] for check in ("sentinels", "rights", "replicas")] == ["ok"] * 3
    assert (silent["sentinels"][0], gone in silent["sentinels"][1]) == ("warn", True)
    assert (few["sentinels"][0], "only 2" in few["sentinels"][1]) == ("warn", True)
    assert list(unknown) == ["reachable"]
    assert "sessions.redis.sentinel" in unknown["reachable"][2]


async def test_every_primary_of_a_cluster_is_looked_at(empty_redis_cluster: ClusterHouse, visit_to: Begin) -> None:
    first, second, *_ = empty_redis_cluster.servers
    second.call("CONFIG", "SET", "maxmemory-policy", "allkeys-lru")
    try:
        visit = await visit_to(
            ISSUER,
            sessions={"store": "redis", "encryption_keys": KEY, "redis": {"url": first.url, "cluster": True}},
        )
        found = await look_at_store(visit)
    finally:
        second.call("CONFIG", "SET", "maxmemory-policy", "noeviction")

    assert [one.sentence for one in found if one.check == "cluster"] == ["3 primaries hold the slots"]
    assert {str(one.verdict) for one in found if one.check == "eviction"} == {"ok", "warn"}
    assert {str(one.verdict) for one in found if one.check == "rights"} == {"ok"}
    assert len([one for one in found if one.check == "replicas"]) == 3
