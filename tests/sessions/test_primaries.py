"""Which nodes hold the primaries."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from proxy.sessions.primaries import OnePrimary, PrimariesOfCluster, PrimaryBehindSentinels, primaries_of
from proxy.sessions.redis_options import Alone, BehindSentinels, Cluster, RedisOptions, TcpNode
from tests.redis.server import HOST
from tests.sessions.fake_redis import HANGS, FakeRedis, serving
from tests.sessions.redis_parts import alone
from tests.support.ports import free_port

if TYPE_CHECKING:
    from tests.redis.cluster import ClusterHouse


def _of(*nodes: TcpNode) -> PrimariesOfCluster:
    topology = Cluster(nodes)
    return PrimariesOfCluster(RedisOptions(topology=topology), topology)


def _slots(host: bytes | None, port: int) -> bytes:
    named = b"$-1\r\n" if host is None else b"$%d\r\n%b\r\n" % (len(host), host)
    return b"*1\r\n*3\r\n:0\r\n:16383\r\n*3\r\n%b:%d\r\n$2\r\nid\r\n" % (named, port)


def test_each_topology_has_its_way() -> None:
    node = TcpNode("h", 1)

    assert isinstance(primaries_of(alone(1)), OnePrimary)
    assert isinstance(primaries_of(RedisOptions(topology=BehindSentinels("m", (node,)))), PrimaryBehindSentinels)
    assert isinstance(primaries_of(RedisOptions(topology=Cluster((node,)))), PrimariesOfCluster)


async def test_alone_there_is_one() -> None:
    topology = Alone(TcpNode("h", 1))

    assert await primaries_of(RedisOptions(topology=topology)).find() == {topology.node}


async def test_where_no_sentinel_answers_nobody_tells() -> None:
    topology = BehindSentinels("m", (TcpNode(HOST, free_port()),))

    with pytest.raises(OSError, match="no sentinel"):
        await primaries_of(RedisOptions(topology=topology)).find()


async def test_a_real_cluster_names_all_its_primaries_from_any_node(empty_redis_cluster: ClusterHouse) -> None:
    servers = empty_redis_cluster.servers
    for server in servers:
        primaries = _of(TcpNode(HOST, server.port))
        assert await primaries.find() == {TcpNode(HOST, one.port) for one in servers}
        primaries.close()


async def test_the_next_node_is_asked_when_one_is_gone_or_hangs() -> None:
    async with serving(FakeRedis({}, otherwise=HANGS)) as hangs, serving(FakeRedis({})) as answers:
        answers.answers["CLUSTER"] = _slots(b"10.0.0.1", 7000)
        primaries = _of(*(TcpNode(HOST, port) for port in (free_port(), hangs.port, answers.port)))

        assert await primaries.find() == {TcpNode("10.0.0.1", 7000)}
        primaries.close()


@pytest.mark.parametrize("host", [b"", None])
async def test_a_node_that_does_not_know_its_host_means_the_one_that_was_asked(host: bytes | None) -> None:
    async with serving(FakeRedis({"CLUSTER": _slots(host, 7000)})) as fake:
        primaries = _of(TcpNode(HOST, fake.port))

        assert await primaries.find() == {TcpNode(HOST, 7000)}
        primaries.close()


async def test_one_connection_is_kept_for_asking() -> None:
    async with serving(FakeRedis({"CLUSTER": _slots(b"10.0.0.1", 7000)})) as fake:
        primaries = _of(TcpNode(HOST, fake.port))
        for _ in range(5):
            await primaries.find()

        assert len(fake._writers) == 1
        primaries.close()


async def test_what_is_no_cluster_tells_nothing() -> None:
    async with serving(FakeRedis({"CLUSTER": b"-ERR This instance has cluster support disabled\r\n"})) as fake:
        with pytest.raises(OSError, match="no node"):
            await _of(TcpNode(HOST, fake.port)).find()


async def test_a_cluster_without_slots_tells_nothing() -> None:
    async with serving(FakeRedis({"CLUSTER": b"*0\r\n"})) as fake:
        with pytest.raises(OSError, match="no node"):
            await _of(TcpNode(HOST, fake.port)).find()
