"""Real Redis for every test that asks: alone, with TLS, watched by sentinels, as a cluster.

A server lives as long as the run; the ``empty_…`` fixture of the same name hands it over empty and as it was at its
start, whatever the test before did to it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest

from tests.forward.certificates import CertificateFiles, Certificates
from tests.redis.cluster import ClusterHouse
from tests.redis.sentinel import SentinelHouse
from tests.redis.server import HOST, MISSING, RedisServer, TlsFiles, redis_is_missing

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@dataclass(frozen=True, slots=True)
class TlsRedis:
    """A server that speaks only TLS, and what a client of it needs: the authority and a certificate of its own."""

    server: RedisServer
    authority: Path
    client: CertificateFiles


@pytest.fixture(scope="session")
def redis_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    """One server alone for the run; ask for ``empty_redis`` to have it empty."""
    _need_redis()
    server = RedisServer(tmp_path_factory.mktemp("redis"))
    server.start()
    yield server
    server.end()


@pytest.fixture
def empty_redis(redis_server: RedisServer) -> RedisServer:
    """The server, empty."""
    redis_server.reset()
    return redis_server


@pytest.fixture(scope="session")
def redis_sentinel(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SentinelHouse]:
    """One primary, two replicas, three sentinels for the run."""
    _need_redis()
    house = SentinelHouse(tmp_path_factory.mktemp("redis-sentinel"))
    try:
        house.start()
        yield house
    finally:
        house.end()


@pytest.fixture
def empty_redis_sentinel(redis_sentinel: SentinelHouse) -> SentinelHouse:
    """All of it running and together, and empty."""
    redis_sentinel.reset()
    return redis_sentinel


@pytest.fixture(scope="session")
def redis_cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ClusterHouse]:
    """A cluster of three primaries for the run."""
    _need_redis()
    house = ClusterHouse(tmp_path_factory.mktemp("redis-cluster"))
    try:
        house.start()
        yield house
    finally:
        house.end()


@pytest.fixture
def empty_redis_cluster(redis_cluster: ClusterHouse) -> ClusterHouse:
    """The cluster, whole and empty."""
    redis_cluster.reset()
    return redis_cluster


@pytest.fixture(scope="session")
def redis_tls(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TlsRedis]:
    """A server that speaks only TLS and wants to see a certificate."""
    _need_redis()
    folder = tmp_path_factory.mktemp("redis-tls")
    certificates = Certificates(folder)
    files = TlsFiles(certificates.authority_file, certificates.files(HOST))
    server = RedisServer(folder, tls=files)
    server.start()
    yield TlsRedis(server, files.authority, certificates.files("sidegate.test"))
    server.end()


@pytest.fixture
def empty_redis_tls(redis_tls: TlsRedis) -> TlsRedis:
    """The server with TLS, empty."""
    redis_tls.server.reset()
    return redis_tls


def _need_redis() -> None:
    if redis_is_missing():
        pytest.skip(MISSING)
