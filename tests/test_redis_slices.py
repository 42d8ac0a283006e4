"""From the file to the options of the stores in Redis: no key may be lost on the way."""

from __future__ import annotations

import ssl
from typing import TYPE_CHECKING

import pytest

from proxy import redis_slices, slices
from proxy.observe.audit_memory import AuditMemoryLimits
from proxy.observe.audit_redis import AuditRedisLimits
from proxy.sessions.redis_options import Alone, BehindSentinels, Cluster, SocketPath, TcpNode
from tests.support.made_settings import settings

if TYPE_CHECKING:
    from proxy.sessions.redis_options import RedisOptions, Topology


def _redis(redis: dict[str, object]) -> RedisOptions:
    given = settings(sessions={"store": "redis", "redis": redis, "encryption_keys": [{"value": "A" * 43}]})
    return redis_slices.redis_options(given, None)


@pytest.mark.parametrize(
    ("redis", "topology"),
    [
        ({}, Alone(TcpNode("redis", 6379))),
        ({"url": "redis://[::1]:7000/3"}, Alone(TcpNode("::1", 7000))),
        ({"url": "unix:/run/redis.sock"}, Alone(SocketPath("/run/redis.sock"))),
        ({"url": "redis://node:7000/0", "cluster": True}, Cluster((TcpNode("node", 7000),))),
        (
            {"sentinel": {"master": "m", "nodes": ["a:1", "b:2"]}},
            BehindSentinels("m", (TcpNode("a", 1), TcpNode("b", 2))),
        ),
    ],
)
def test_where_redis_is(redis: dict[str, object], topology: Topology) -> None:
    assert _redis(redis).topology == topology


def test_as_whom_redis_is_spoken_to() -> None:
    options = _redis({"url": "redis://gate:from-url@redis:6379/5", "key_prefix": "acme:"})

    assert (options.database, options.key_prefix) == (5, "acme:")
    assert options.credentials() == ("gate", "from-url")
    assert _redis({"url": "redis://gate@redis:6379/0", "password": {"value": "apart"}}).credentials() == (
        "gate",
        "apart",
    )
    assert _redis({}).credentials() == ()


def test_redis_over_tls_is_verified_unless_it_is_not_asked_for() -> None:
    plain = settings(sessions={"redis": {"url": "redis://redis:6379/0"}})
    over_tls = settings(sessions={"redis": {"url": "rediss://redis:6379/0"}})

    assert redis_slices.redis_tls(plain) is None
    files = redis_slices.redis_tls(over_tls)
    assert (files.context.verify_mode, files.context.check_hostname) == (ssl.CERT_REQUIRED, True)
    assert redis_slices.redis_options(over_tls, files).tls() is files.context


def test_the_trail_is_kept_as_long_as_the_file_says_or_not_at_all() -> None:
    kept, not_kept = settings(audit={"keep": "1h"}), settings(audit={"keep": "0s"})

    assert (slices.audit_memory_limits(kept), redis_slices.audit_redis_limits(kept)) == (
        AuditMemoryLimits(keep_s=3600.0),
        AuditRedisLimits(keep_s=3600.0),
    )
    assert (slices.audit_memory_limits(not_kept), redis_slices.audit_redis_limits(not_kept)) == (None, None)
