"""The Redis servers of the tests do what they say."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import pytest
import redis
from redis.backoff import NoBackoff
from redis.cluster import RedisCluster
from redis.retry import Retry
from redis.sentinel import Sentinel

from tests.redis.sentinel import MASTER

if TYPE_CHECKING:
    from tests.redis.cluster import ClusterHouse
    from tests.redis.fixtures import TlsRedis
    from tests.redis.sentinel import SentinelHouse
    from tests.redis.server import RedisServer


def test_a_server_is_handed_over_empty_and_as_it_was(empty_redis: RedisServer) -> None:
    empty_redis.call("SET", "left", "over")
    empty_redis.call("CONFIG", "SET", "maxmemory", "1")
    empty_redis.call("REPLICAOF", "127.0.0.1", "1")
    empty_redis.demand_password("secret")
    with redis.Redis(port=empty_redis.port) as client, pytest.raises(redis.AuthenticationError):
        client.ping()
    empty_redis.pause()

    empty_redis.reset()

    assert empty_redis.call("DBSIZE") == 0
    assert empty_redis.call("SET", "a", "b")


def test_a_server_that_was_killed_comes_back_empty_at_its_address(empty_redis: RedisServer) -> None:
    port, pid = empty_redis.port, empty_redis.pid
    empty_redis.call("SET", "a", "b")

    empty_redis.kill()
    was_away = not empty_redis.answers()
    empty_redis.start()

    assert was_away
    assert (empty_redis.port, empty_redis.call("DBSIZE")) == (port, 0)
    assert empty_redis.pid != pid


def test_an_acl_user_may_do_what_its_rules_say(empty_redis: RedisServer) -> None:
    empty_redis.add_user("tester", "a-password", "~sidegate:*", "+set", "+get")
    with redis.Redis(port=empty_redis.port, username="tester", password="a-password") as client:
        client.set("sidegate:a", "b")

        with pytest.raises(redis.exceptions.NoPermissionError):
            client.set("other:a", "b")

    empty_redis.forget_user("tester")


def test_a_tls_server_shows_a_certificate_of_its_authority_and_wants_one(empty_redis_tls: TlsRedis) -> None:
    at: dict[str, Any] = {"host": "127.0.0.1", "port": empty_redis_tls.server.port, "retry": Retry(NoBackoff(), 0)}
    trusting: dict[str, Any] = {**at, "ssl": True, "ssl_ca_certs": str(empty_redis_tls.authority)}
    own: dict[str, Any] = {
        "ssl_certfile": str(empty_redis_tls.client.certificate),
        "ssl_keyfile": str(empty_redis_tls.client.key),
    }

    with redis.Redis(**trusting, **own) as client:
        assert client.ping()
    for lacking in (trusting, {**at, "ssl": True, **own}, at):
        with redis.Redis(**lacking) as client, pytest.raises(redis.ConnectionError):
            client.ping()


def test_sentinels_name_another_primary_when_it_is_killed(empty_redis_sentinel: SentinelHouse) -> None:
    house = empty_redis_sentinel
    old = house.primary
    old.call("SET", "a", "b")
    old.call("WAIT", "2", "1000")

    new = house.fail_over()

    assert new is not old
    asked: Any = Sentinel([("127.0.0.1", sentinel.port) for sentinel in house.sentinels])  # type: ignore[no-untyped-call]
    assert asked.discover_master(MASTER)[1] == new.port
    assert new.call("GET", "a") == b"b"
    for sentinel in asked.sentinels:
        sentinel.close()


def test_sentinels_that_stood_still_name_another_primary_soon(empty_redis_sentinel: SentinelHouse) -> None:
    house = empty_redis_sentinel
    for sentinel in house.sentinels:
        sentinel.pause()
    time.sleep(2.2)  # beyond two seconds they do not trust what they see, and say so for a while
    for sentinel in house.sentinels:
        sentinel.resume()
    _ = [sentinel.knows() for sentinel in house.sentinels]
    began = time.monotonic()

    house.fail_over()

    assert time.monotonic() - began < 20


def test_a_paused_primary_is_replaced_and_follows_when_it_wakes(empty_redis_sentinel: SentinelHouse) -> None:
    old, new = empty_redis_sentinel.fail_over_from_a_paused_primary()

    old.resume()

    deadline = time.monotonic() + 20
    while _role(old) != b"slave":
        assert time.monotonic() < deadline
        time.sleep(0.05)
    assert empty_redis_sentinel.primary is new


def _role(server: RedisServer) -> bytes | None:
    """What it says it is; None while it cuts all connections, because its role changes."""
    try:
        role: bytes = server.call("ROLE")[0]
    except redis.exceptions.ConnectionError:
        return None
    return role


def test_a_cluster_is_whole_within_seconds_and_spreads_keys(empty_redis_cluster: ClusterHouse) -> None:
    house = empty_redis_cluster
    with RedisCluster.from_url(house.url) as client:
        for number in range(60):
            client.set(f"key-{number}", number)

    assert all(server.call("DBSIZE") > 0 for server in house.servers)
    assert house.owner_of("key-1").call("GET", "key-1") == b"1"


def test_a_slot_of_a_cluster_moves_and_comes_back(empty_redis_cluster: ClusterHouse) -> None:
    house = empty_redis_cluster
    owner = house.owner_of("a")

    new = house.move_slot_of("a")
    with pytest.raises(redis.exceptions.MovedError):
        owner.call("GET", "a")
    assert new.call("GET", "a") is None

    house.give_back("a")
    assert owner.call("GET", "a") is None
