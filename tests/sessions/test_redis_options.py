"""Where Redis is, as values."""

from __future__ import annotations

from proxy.core.secret import Secret
from proxy.sessions.redis_options import Alone, BehindSentinels, Cluster, RedisOptions, SocketPath, TcpNode

NODE = TcpNode("redis", 6379)


def test_a_topology_says_in_a_sentence_where_redis_is() -> None:
    assert str(Alone(NODE)) == "Redis at redis:6379"
    assert str(Alone(SocketPath("/run/redis.sock"))) == "Redis at unix:/run/redis.sock"
    assert str(Alone(TcpNode("::1", 6379))) == "Redis at [::1]:6379"
    assert str(BehindSentinels("mymaster", (NODE,))) == "Redis 'mymaster' (sentinels redis:6379)"
    assert str(Cluster((NODE, TcpNode("other", 1)))) == "Redis Cluster at redis:6379, other:1"


def test_credentials_are_nothing_a_password_or_a_user_with_a_password() -> None:
    alone = Alone(NODE)

    assert RedisOptions(topology=alone).credentials() == ()
    assert RedisOptions(topology=alone, password=lambda: Secret("p")).credentials() == ("p",)
    assert RedisOptions(topology=alone, username="u", password=lambda: Secret("p")).credentials() == ("u", "p")
    assert RedisOptions(topology=alone, username="u").credentials() == ("u", "")


def test_the_password_is_asked_each_time() -> None:
    passwords = iter([Secret("old"), Secret("new")])
    options = RedisOptions(topology=Alone(NODE), password=lambda: next(passwords))

    assert [options.credentials(), options.credentials()] == [("old",), ("new",)]


def test_options_show_no_password() -> None:
    options = RedisOptions(topology=Alone(NODE), password=lambda: Secret("hush"))

    assert "password" not in repr(options)
