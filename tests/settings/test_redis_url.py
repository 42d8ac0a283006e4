"""How Redis is written in the file."""

from __future__ import annotations

import pytest

from proxy.settings.problems import ValueRefused
from proxy.settings.redis_url import RedisUrl, parse_host_and_port, parse_redis_url
from proxy.settings.values import TcpAddress, UnixAddress


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("redis://redis", RedisUrl(TcpAddress("redis", 6379))),
        ("redis://redis:6380/2", RedisUrl(TcpAddress("redis", 6380), database=2)),
        ("rediss://[::1]:6379/0", RedisUrl(TcpAddress("::1", 6379), is_tls=True)),
        ("unix:/run/redis.sock", RedisUrl(UnixAddress("/run/redis.sock"))),
    ],
)
def test_an_address_is_read(text: str, expected: RedisUrl) -> None:
    assert parse_redis_url(text) == expected


def test_user_and_password_are_unquoted_and_never_shown() -> None:
    url = parse_redis_url("redis://side%40gate:p%2Fw@redis:6379/0")

    assert url.username == "side@gate"
    assert url.password is not None
    assert url.password.reveal() == "p/w"
    assert "p/w" not in f"{url} {url!r}"
    assert str(url) == "redis://side@gate:***@redis:6379/0"


@pytest.mark.parametrize(
    "text", ["redis:6379", "http://redis", "redis://", "redis://redis/99", "redis://redis?db=1", "redis://redis/x", ""]
)
def test_anything_else_is_refused(text: str) -> None:
    with pytest.raises(ValueRefused):
        parse_redis_url(text)


def test_a_node_is_a_host_with_a_port() -> None:
    assert parse_host_and_port("sentinel-0:26379") == TcpAddress("sentinel-0", 26379)
    with pytest.raises(ValueRefused):
        parse_host_and_port("unix:/run/sentinel.sock")
