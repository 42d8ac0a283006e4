"""What Redis may answer or be, and what becomes of it: StoreUnavailable, one line of the log, and a way back."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
import subprocess
import sys
import time
from typing import TYPE_CHECKING, Any

import pytest
import uvloop
from redis.asyncio.cluster import ClusterNode
from redis.asyncio.connection import Connection

from proxy.core.secret import Secret
from proxy.errors import SettingsError, StoreUnavailable
from proxy.sessions.redis_connection import (
    MAX_CALLS,
    OPERATION_S,
    PROBE_AWAY_S,
    BehindSentinels,
    Cluster,
    RedisConnection,
    RedisOptions,
    SocketPath,
    TcpNode,
)
from proxy.sessions.redis_options import Alone
from tests.forward.certificates import Certificates
from tests.redis.sentinel import MASTER
from tests.redis.server import HOST, RedisServer
from tests.sessions.fake_redis import HANGS, OK, PONG, FakeRedis, serving
from tests.sessions.redis_parts import alone, started, until
from tests.support.eventually import eventually
from tests.support.observers import RecordingObserver
from tests.support.pausing_proxy import PausingProxy

if TYPE_CHECKING:
    from pathlib import Path

    from tests.redis.cluster import ClusterHouse
    from tests.redis.fixtures import TlsRedis
    from tests.redis.sentinel import SentinelHouse

RECOVERY_S = 5.0
KEYS = [f"sidegate:x:{number}" for number in range(30)]


async def _read(connection: RedisConnection) -> object:
    return await connection.run("get", lambda redis: redis.get("sidegate:x"))


async def _write(connection: RedisConnection, key: str = "sidegate:x") -> object:
    return await connection.run("set", lambda redis: redis.set(key, "1"))


async def _refused(connection: RedisConnection) -> str:
    """The sentence of a write that is refused."""
    with pytest.raises(StoreUnavailable) as refusal:
        await _write(connection)
    return str(refusal.value)


async def _is_well(connection: RedisConnection) -> bool:
    try:
        await _write(connection)
    except StoreUnavailable:
        return False
    return connection.readiness().is_ready


async def _until_well(connection: RedisConnection) -> float:
    began_at = time.monotonic()
    while not await _is_well(connection):
        assert time.monotonic() - began_at < 10, connection.readiness()
        await asyncio.sleep(0.02)
    return time.monotonic() - began_at


# -- what a server may answer; a fake says it


@pytest.mark.parametrize(
    ("answer", "word"),
    [
        (b"-LOADING Redis is loading the dataset in memory\r\n", "loading"),
        (b"-NOAUTH Authentication required.\r\n", "sessions.redis.password"),
        (b"-MOVED 866 127.0.0.1:7001\r\n", "sessions.redis.cluster"),
        (b"-CLUSTERDOWN The cluster is down\r\n", "cluster"),
        (b"-BUSY Redis is busy running a script.\r\n", "script"),
        (b"HTTP/1.1 400 Bad Request\r\n\r\n", "protocol"),
        (b"$12\r\ntruncated", "in time"),
        (HANGS, "in time"),
    ],
)
async def test_a_server_that_answers_everything_so_is_away_until_it_does_not(answer: bytes, word: str) -> None:
    observer = RecordingObserver()
    async with serving(FakeRedis({}, otherwise=answer)) as fake, started(alone(fake.port), observer) as connection:
        assert word in await _refused(connection)
        assert not connection.readiness().is_ready
        assert word in connection.readiness().detail

        fake.answers, fake.otherwise = {"PING": PONG}, OK

        assert await _until_well(connection) < RECOVERY_S

    assert len(observer.errors) == 1
    assert word in observer.errors[0][0]
    assert [line for line, _ in observer.warnings if "is back" in line]
    assert observer.store_errors > 0


@pytest.mark.parametrize(
    ("answer", "word"),
    [
        (b"-READONLY You can't write against a read only replica.\r\n", "replica"),
        (b"-OOM command not allowed when used memory > 'maxmemory'.\r\n", "maxmemory"),
        (b"-MISCONF Redis is configured to save RDB snapshots\r\n", "disk"),
    ],
)
async def test_a_server_that_takes_no_writes_is_not_ready_until_it_does(answer: bytes, word: str) -> None:
    observer = RecordingObserver()
    fake = FakeRedis({"PING": PONG, "GET": b"$1\r\nv\r\n", "SET": answer})
    async with serving(fake), started(alone(fake.port), observer) as connection:
        for _ in range(5):
            assert word in await _refused(connection)
        assert not connection.readiness().is_ready
        await asyncio.sleep(1)
        assert not connection.readiness().is_ready
        assert await _read(connection) == b"v"

        fake.answers["SET"] = OK

        assert await _until_well(connection) < RECOVERY_S

    assert len(observer.errors) == 1
    assert len([line for line, _ in observer.warnings if "is back" in line]) == 1


async def test_an_answer_that_breaks_off_is_no_answer() -> None:
    fake = FakeRedis({"PING": PONG, "GET": b"$12\r\ntrunc"})
    async with serving(fake), started(alone(fake.port)) as connection:
        fake.closes = True

        with pytest.raises(StoreUnavailable):
            await _read(connection)


async def test_what_came_late_is_never_taken_for_the_answer_to_another_question() -> None:
    fake = FakeRedis({"PING": PONG, "GET": HANGS})
    async with serving(fake), started(alone(fake.port)) as connection:
        with pytest.raises(StoreUnavailable):
            await _read(connection)
        fake.answers["GET"] = b"$3\r\nnew\r\n"
        fake.say(b"$3\r\nold\r\n")

        await _until_readable(connection)
        assert await _read(connection) == b"new"


async def _until_readable(connection: RedisConnection) -> None:
    deadline = time.monotonic() + 10
    while True:
        try:
            await _read(connection)
        except StoreUnavailable:
            assert time.monotonic() < deadline
            await asyncio.sleep(0.02)
        else:
            return


async def test_a_single_slow_answer_takes_nobody_else_down() -> None:
    fake = FakeRedis({"PING": PONG, "GET": b"$1\r\nv\r\n", "LRANGE": HANGS})
    async with serving(fake), started(alone(fake.port)) as connection:
        with pytest.raises(StoreUnavailable):
            await connection.run("slow", lambda redis: redis.lrange("x", 0, 1))

        assert await _read(connection) == b"v"


# -- who we are, and over what


async def test_a_wrong_password_is_said_and_a_right_one_is_taken_without_a_restart(empty_redis: RedisServer) -> None:
    passwords = {"now": "wrong"}
    empty_redis.add_user("gate", "right", "~sidegate:*", "&sidegate:*", "+@all")
    observer = RecordingObserver()
    options = alone(empty_redis.port, username="gate", password=lambda: Secret(passwords["now"]))
    try:
        async with started(options, observer) as connection:
            assert "sessions.redis.password" in await _refused(connection)

            passwords["now"] = "right"

            assert await _until_well(connection) < RECOVERY_S
    finally:
        empty_redis.forget_user("gate")
    assert len(observer.errors) == 1
    assert "wrong" not in repr(observer.errors)


async def test_a_password_file_that_cannot_be_read_is_a_fault_and_not_a_crash(empty_redis: RedisServer) -> None:
    def unreadable() -> Secret:
        raise SettingsError("sessions.redis.password: /run/secrets/redis is missing")

    async with started(alone(empty_redis.port, password=unreadable)) as connection:
        assert "/run/secrets/redis is missing" in await _refused(connection)


async def test_a_server_that_begins_to_want_a_password_is_a_refusal(empty_redis: RedisServer) -> None:
    observer = RecordingObserver()
    async with started(alone(empty_redis.port), observer) as connection:
        await _write(connection)
        with empty_redis.client() as client:
            client.config_set("requirepass", "secret")
            try:
                client.execute_command("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
                await until(lambda: not connection.readiness().is_ready)
                assert "sessions.redis.password" in await _refused(connection)
            finally:
                client.config_set("requirepass", "")

        assert await _until_well(connection) < RECOVERY_S


async def test_a_user_without_permission_is_told_which_and_stays_in_service(empty_redis: RedisServer) -> None:
    empty_redis.add_user("reader", "pw", "~sidegate:*", "+get", "+ping")
    observer = RecordingObserver()
    options = alone(empty_redis.port, username="reader", password=lambda: Secret("pw"))
    try:
        async with started(options, observer) as connection:
            for _ in range(3):
                assert "run SET" in await _refused(connection)
            assert await _read(connection) is None
            assert connection.readiness().is_ready
    finally:
        empty_redis.forget_user("reader")
    assert len(observer.errors) == 1


async def test_another_database_is_selected(empty_redis: RedisServer) -> None:
    async with started(alone(empty_redis.port, database=3)) as connection:
        await _write(connection)

    assert "db3" in str(empty_redis.call("INFO", "keyspace"))


async def test_a_unix_socket_is_a_way_too(tmp_path: Path) -> None:
    path = tmp_path / "redis.sock"
    server = RedisServer(tmp_path, options=("--unixsocket", str(path)))
    server.start()
    try:
        options = RedisOptions(topology=Alone(SocketPath(str(path))))
        async with started(options) as connection:
            assert await _write(connection)
    finally:
        server.end()


def _context(redis: TlsRedis, *, authority: Path | None = None, shows: bool = True) -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=str(authority or redis.authority))
    if shows:
        context.load_cert_chain(redis.client.certificate, redis.client.key)
    return context


async def test_tls_is_spoken_with_a_certificate_that_is_verified_both_ways(empty_redis_tls: TlsRedis) -> None:
    asked: list[int] = []

    def context() -> ssl.SSLContext:
        asked.append(1)
        return _context(empty_redis_tls)

    async with started(alone(empty_redis_tls.server.port, tls=context)) as connection:
        assert await _write(connection)
        assert connection.readiness().is_ready
    assert asked


async def test_an_authority_that_did_not_issue_its_certificate_is_a_refusal(
    empty_redis_tls: TlsRedis, tmp_path: Path
) -> None:
    other = Certificates(tmp_path).authority_file
    observer = RecordingObserver()
    options = alone(empty_redis_tls.server.port, tls=lambda: _context(empty_redis_tls, authority=other))
    async with started(options, observer) as connection:
        assert "its certificate is not accepted" in await _refused(connection)
        assert "sessions.redis.tls.ca_file" in connection.readiness().detail
    assert [fields for _, fields in observer.errors] == [{"fault": "tls"}]


async def test_a_server_that_wants_a_certificate_of_ours_is_not_reached_without(empty_redis_tls: TlsRedis) -> None:
    options = alone(empty_redis_tls.server.port, tls=lambda: _context(empty_redis_tls, shows=False))
    async with started(options) as connection:
        await _refused(connection)
        assert not connection.readiness().is_ready


async def test_tls_where_none_is_spoken_is_a_refusal_in_bounded_time(
    empty_redis: RedisServer, empty_redis_tls: TlsRedis
) -> None:
    began_at = time.monotonic()
    async with started(alone(empty_redis.port, tls=lambda: _context(empty_redis_tls))) as connection:
        assert not connection.readiness().is_ready
    async with started(alone(empty_redis_tls.server.port)) as connection:
        assert not connection.readiness().is_ready
    assert time.monotonic() - began_at < 4 * OPERATION_S


# -- the network between


async def test_connections_that_fell_silent_are_all_left_once_redis_can_be_reached_again(
    empty_redis: RedisServer,
) -> None:
    with PausingProxy(empty_redis.port) as network:
        async with started(alone(network.port)) as connection:
            _ = await asyncio.gather(*(_write(connection, key) for key in KEYS))
            network.pause()
            await until(lambda: not connection.readiness().is_ready)
            # The old connections stay silent for ever; only new ones pass.
            network.target_port = empty_redis.port
            network.cut()
            network.resume()

            assert await _until_well(connection) < RECOVERY_S
            _ = await asyncio.gather(*(_write(connection, key) for key in KEYS))


def test_connections_that_were_reset_while_idle_cost_nobody_anything_later(empty_redis: RedisServer) -> None:
    """On uvloop, which tells of a reset only whoever writes."""

    async def reset_while_idle(network: PausingProxy) -> None:
        async with started(alone(network.port)) as connection:
            _ = await asyncio.gather(*(_write(connection, key) for key in KEYS))
            network.cut()
            with contextlib.suppress(StoreUnavailable):
                await _write(connection, KEYS[0])
            assert await _until_well(connection) < RECOVERY_S
            await asyncio.sleep(PROBE_AWAY_S)

            _ = await asyncio.gather(*(_write(connection, key) for key in KEYS))

    with PausingProxy(empty_redis.port) as network, asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(reset_while_idle(network))


async def test_a_network_that_refuses_is_an_outage_of_one_line(empty_redis: RedisServer) -> None:
    observer = RecordingObserver()
    with PausingProxy(empty_redis.port) as network:
        async with started(alone(network.port), observer) as connection:
            await _write(connection)
            network.refuse()
            await until(lambda: not connection.readiness().is_ready)
            for _ in range(100):
                await _refused(connection)
            network.resume()

            assert await _until_well(connection) < RECOVERY_S

    assert len(observer.errors) == 1
    assert len(observer.warnings) == 1


# -- several servers


def _sentinel(house: SentinelHouse) -> RedisOptions:
    return RedisOptions(topology=BehindSentinels(MASTER, tuple(TcpNode(HOST, one.port) for one in house.sentinels)))


def _cluster(house: ClusterHouse, **further: Any) -> RedisOptions:
    return RedisOptions(topology=Cluster(tuple(TcpNode(HOST, one.port) for one in house.servers)), **further)


async def test_a_failover_is_followed(empty_redis_sentinel: SentinelHouse) -> None:
    house = empty_redis_sentinel
    async with started(_sentinel(house)) as connection:
        await _write(connection)
        new = await asyncio.to_thread(house.fail_over)

        assert await _until_well(connection) < RECOVERY_S
        assert new.call("EXISTS", "sidegate:x") == 1


async def test_calls_that_wait_for_one_another_are_no_outage_of_redis(
    empty_redis: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("proxy.sessions.redis_connection.PROBE_S", 3600.0)
    async with started(alone(empty_redis.port)) as connection:
        for _ in range(MAX_CALLS):
            await connection._slots.acquire()

        await connection._look()

        assert connection.readiness().is_ready
        assert connection._refusal is None


async def test_a_look_that_is_asked_for_lets_idle_connections_go_at_once(
    empty_redis: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("proxy.sessions.redis_connection.PROBE_S", 3600.0)
    async with started(alone(empty_redis.port)) as connection:
        before = await connection.run("id", lambda redis: redis.client_id())

        connection.look_now()

        async def is_another() -> bool:
            return bool(await connection.run("id", lambda redis: redis.client_id()) != before)

        await eventually(is_another, expected=True, within_s=10)


async def test_a_connection_that_is_being_closed_is_given_to_nobody(
    empty_redis: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("proxy.sessions.redis_connection.PROBE_S", 3600.0)
    closing: list[Connection] = []
    may_close, really_close = asyncio.Event(), Connection.disconnect

    async def close_slowly(self: Connection) -> None:
        closing.append(self)
        await may_close.wait()
        await really_close(self)

    async def is_closing() -> bool:
        return bool(closing)

    async with started(alone(empty_redis.port)) as connection:
        monkeypatch.setattr(Connection, "disconnect", close_slowly)
        connection.look_now()
        await eventually(is_closing, expected=True)
        client = connection._client
        assert client is not None

        assert not set(closing) & set(client.connection_pool._available_connections)
        may_close.set()
        assert await _write(connection)


async def test_a_primary_that_was_replaced_while_it_was_stopped_is_left(empty_redis_sentinel: SentinelHouse) -> None:
    house = empty_redis_sentinel
    async with started(_sentinel(house)) as connection:
        _ = await asyncio.gather(*(_write(connection, key) for key in KEYS))
        old, new = await asyncio.to_thread(house.fail_over_from_a_paused_primary)
        old.resume()

        assert await _until_well(connection) < RECOVERY_S
        _ = await asyncio.gather(*(_write(connection, f"{key}:after") for key in KEYS))
        assert [key for key in KEYS if new.call("EXISTS", f"{key}:after") != 1] == []


async def test_sentinels_that_are_away_are_no_reason_to_leave_a_primary_that_answers(
    empty_redis_sentinel: SentinelHouse,
) -> None:
    house = empty_redis_sentinel
    async with started(_sentinel(house)) as connection:
        await _write(connection)
        for sentinel in house.sentinels:
            sentinel.pause()
        try:
            for _ in range(20):
                assert await _write(connection)
                await asyncio.sleep(0.1)
            assert connection.readiness().is_ready
        finally:
            for sentinel in house.sentinels:
                sentinel.resume()


async def test_a_cluster_is_spoken_to_on_every_node(empty_redis_cluster: ClusterHouse) -> None:
    house = empty_redis_cluster
    async with started(_cluster(house)) as connection:
        assert connection.readiness().is_ready
        for key in KEYS:
            await _write(connection, key)

    assert [key for key in KEYS if house.owner_of(key).call("EXISTS", key) != 1] == []


async def test_a_slot_that_moved_is_followed(empty_redis_cluster: ClusterHouse) -> None:
    house = empty_redis_cluster
    async with started(_cluster(house)) as connection:
        target = house.move_slot_of("sidegate:x")
        try:
            await _write(connection)
            assert target.call("EXISTS", "sidegate:x") == 1
            target.call("DEL", "sidegate:x")
        finally:
            house.give_back("sidegate:x")
        assert await _until_well(connection) < RECOVERY_S


async def test_a_node_of_a_cluster_that_hangs_is_bounded_and_the_others_go_on(
    empty_redis_cluster: ClusterHouse,
) -> None:
    house = empty_redis_cluster
    async with started(_cluster(house)) as connection:
        stopped = house.servers[1]
        key_there = next(key for key in KEYS if house.owner_of(key) is stopped)
        stopped.pause()
        try:
            began_at = time.monotonic()
            with pytest.raises(StoreUnavailable):
                await _write(connection, key_there)
            assert time.monotonic() - began_at < OPERATION_S + 2
            await until(lambda: not connection.readiness().is_ready)
        finally:
            stopped.resume()

        assert await _until_well(connection) < RECOVERY_S
        await _write(connection, key_there)


async def test_a_cluster_that_is_none_is_said(empty_redis: RedisServer) -> None:
    options = RedisOptions(topology=Cluster((TcpNode(HOST, empty_redis.port),)))
    async with started(options) as connection:
        assert "cluster" in await _refused(connection)


async def test_tls_and_a_password_reach_the_nodes_of_a_cluster_and_a_primary_behind_sentinels() -> None:
    from proxy.sessions.redis_connection import make_client

    context = ssl.create_default_context()
    further: dict[str, Any] = {"tls": lambda: context, "username": "gate", "password": lambda: Secret("pw")}
    nodes = (TcpNode(HOST, 1),)
    cluster = make_client(RedisOptions(topology=Cluster(nodes), **further))
    behind = make_client(RedisOptions(topology=BehindSentinels(MASTER, nodes), **further))

    made = [
        cluster.startup_nodes[0].acquire_connection(),  # type: ignore[union-attr]
        ClusterNode(HOST, 2, **cluster.nodes_manager.connection_kwargs).acquire_connection(),  # type: ignore[union-attr]
        behind.connection_pool.make_connection(),  # type: ignore[union-attr]
    ]

    for connection in made:
        assert connection._connection_arguments()["ssl"] is context
        assert connection.credential_provider.get_credentials() == ("gate", "pw")


_ON_UVLOOP = """
import sys, uvloop
from tests.sessions.redis_parts import alone, started, tracked

async def main():
    async with tracked(alone(int(sys.argv[1]))) as parts:
        await parts.until_trusted()
        await parts.connection.run("set", lambda redis: redis.set("sidegate:s:1", "1"))
        await parts.until_heard(b"sidegate:s:1")
    print("done")

uvloop.run(main())
"""


def test_all_of_it_runs_on_uvloop(empty_redis: RedisServer) -> None:
    program = [sys.executable, "-W", "error", "-c", _ON_UVLOOP, str(empty_redis.port)]

    done = subprocess.run(program, capture_output=True, text=True, timeout=60, check=False)

    assert (done.stdout, done.stderr) == ("done\n", "")
