"""Whether cached sessions may be believed: on real servers, with every way to change a key and to lose a connection."""

from __future__ import annotations

import asyncio
import os
import signal
import ssl
import statistics
import subprocess
import sys
import time
from typing import TYPE_CHECKING

import pytest

from proxy.sessions.change_feed import PONG_WITHIN_S
from proxy.sessions.redis_connection import Alone, BehindSentinels, Cluster, RedisOptions, SocketPath, TcpNode
from proxy.sessions.tracking import MAX_STALENESS_S, SAY_AFTER_S, TOLD_TRUST_S
from tests.redis.sentinel import MASTER
from tests.redis.server import HOST, RedisServer
from tests.sessions.redis_parts import Tracked, alone, tracked, until
from tests.support.pausing_proxy import PausingProxy

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator
    from pathlib import Path

    from tests.redis.cluster import ClusterHouse
    from tests.redis.fixtures import TlsRedis
    from tests.redis.sentinel import SentinelHouse

KEY = b"sidegate:s:0123456789abcdef"
WATERMARK = b"sidegate:w:fedcba"
RECOVERY_S = 5.0
SLACK_S = 1.0
"""For a busy machine, added to what is bounded."""


def _delete(redis: RedisServer) -> None:
    redis.call("DEL", KEY)


def _unlink(redis: RedisServer) -> None:
    redis.call("UNLINK", KEY)


def _write(redis: RedisServer) -> None:
    redis.call("SET", KEY, "other")


def _expire_later(redis: RedisServer) -> None:
    redis.call("EXPIRE", KEY, "100")


def _expire_now(redis: RedisServer) -> None:
    redis.call("PEXPIRE", KEY, "20")


def _rename_away(redis: RedisServer) -> None:
    redis.call("RENAME", KEY, "elsewhere")


def _write_by_script(redis: RedisServer) -> None:
    redis.call("EVAL", "return redis.call('SET', KEYS[1], 'x')", "1", KEY)


def _write_in_a_transaction(redis: RedisServer) -> None:
    with redis.client() as client, client.pipeline(transaction=True) as pipeline:
        pipeline.set("unrelated", "1").delete(KEY).execute()


@pytest.fixture
async def parts(empty_redis: RedisServer) -> AsyncIterator[Tracked]:
    async with tracked(alone(empty_redis.port)) as parts:
        await parts.until_trusted()
        yield parts


@pytest.mark.parametrize(
    "change",
    [
        _delete,
        _unlink,
        _write,
        _expire_later,
        _expire_now,
        _rename_away,
        _write_by_script,
        _write_in_a_transaction,
    ],
)
async def test_every_change_by_whomever_is_heard(
    parts: Tracked, empty_redis: RedisServer, change: Callable[[RedisServer], None]
) -> None:
    empty_redis.call("SET", KEY, "value")
    await parts.until_heard(KEY)
    parts.heard.forget()

    await asyncio.to_thread(change, empty_redis)

    await parts.until_heard(KEY)
    assert parts.heard.emptied == 0


async def test_an_eviction_is_heard(parts: Tracked, empty_redis: RedisServer) -> None:
    empty_redis.call("SET", KEY, "value")
    await parts.until_heard(KEY)
    parts.heard.forget()

    empty_redis.call("CONFIG", "SET", "maxmemory-policy", "allkeys-random")
    empty_redis.call("CONFIG", "SET", "maxmemory", "1")
    await asyncio.to_thread(empty_redis.call, "PING")

    await parts.until_heard(KEY)


@pytest.mark.parametrize("command", ["FLUSHALL", "FLUSHDB"])
async def test_emptying_redis_changes_everything(parts: Tracked, empty_redis: RedisServer, command: str) -> None:
    empty_redis.call(command)

    await until(lambda: parts.heard.emptied == 1)
    assert parts.tracking.is_trusted()


async def test_a_watermark_is_heard_and_a_touch_is_not(parts: Tracked, empty_redis: RedisServer) -> None:
    empty_redis.call("SET", "sidegate:t:0123456789abcdef", "1")
    empty_redis.call("SET", "other:s:0123456789abcdef", "1")
    empty_redis.call("SET", WATERMARK, "1")

    await parts.until_heard(WATERMARK)

    assert parts.heard.names == [WATERMARK]


async def test_what_this_process_changes_itself_is_heard_the_same_way(parts: Tracked) -> None:
    await parts.connection.run("set", lambda redis: redis.set(KEY, "1"))

    await parts.until_heard(KEY)


async def test_a_change_is_heard_within_milliseconds(parts: Tracked, empty_redis: RedisServer) -> None:
    names = [b"sidegate:s:%d" % number for number in range(200)]
    delays: list[float] = []
    with empty_redis.client() as client:
        for name in names:
            client.set(name, "1")
        await parts.until_heard(names[-1])
        parts.heard.forget()
        for name in names:
            began_at = time.perf_counter()
            client.delete(name)
            while name not in parts.heard.names[-1:]:  # noqa: ASYNC110 - a turn of the loop is what is measured
                await asyncio.sleep(0)
            delays.append(time.perf_counter() - began_at)

    assert statistics.median(delays) < 0.05


async def test_nothing_is_trusted_before_the_first_answer_and_the_cache_begins_anew(empty_redis: RedisServer) -> None:
    async with tracked(alone(empty_redis.port)) as parts:
        was_trusted = parts.tracking.is_trusted()
        await until(parts.tracking.is_trusted)

        assert not was_trusted
        assert parts.heard.emptied > 0


async def test_a_tracking_connection_that_is_killed_is_distrust_at_once_and_comes_back(
    parts: Tracked, empty_redis: RedisServer
) -> None:
    empty_redis.call("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")

    await until(lambda: parts.heard.emptied > 0)
    assert await until(parts.tracking.is_trusted) < RECOVERY_S


async def test_a_primary_that_was_restarted_is_a_new_one_and_a_lost_connection_is_not(
    parts: Tracked, empty_redis: RedisServer
) -> None:
    empty_redis.call("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
    await until(lambda: parts.heard.emptied > 0)
    await until(parts.tracking.is_trusted)
    assert parts.heard.new_primaries == 0

    empty_redis.restart()

    await until(lambda: parts.heard.new_primaries == 1)
    assert await until(parts.tracking.is_trusted) < RECOVERY_S


async def test_a_redis_that_hangs_is_not_trusted_beyond_the_named_staleness(
    parts: Tracked, empty_redis: RedisServer
) -> None:
    empty_redis.pause()
    try:
        began_at = time.monotonic()
        await until(lambda: not parts.tracking.is_trusted())
        assert time.monotonic() - began_at < MAX_STALENESS_S + SLACK_S
        await until(lambda: parts.heard.emptied > 0)
    finally:
        empty_redis.resume()

    assert await until(parts.tracking.is_trusted) < RECOVERY_S


async def test_a_connection_that_falls_silent_is_distrust_within_the_named_staleness(empty_redis: RedisServer) -> None:
    with PausingProxy(empty_redis.port) as network:
        async with tracked(alone(network.port)) as parts:
            await parts.until_trusted()
            network.pause_answers()
            silent_at = time.monotonic()
            empty_redis.call("SET", KEY, "1")
            while parts.tracking.is_trusted():
                await asyncio.sleep(0.001)
                assert time.monotonic() - silent_at < MAX_STALENESS_S + SLACK_S
            await until(lambda: parts.heard.emptied > 0)

            network.resume()

            assert await until(parts.tracking.is_trusted) < RECOVERY_S


async def test_a_change_held_back_on_the_wire_is_heard_before_anything_is_trusted_again(
    empty_redis: RedisServer,
) -> None:
    with PausingProxy(empty_redis.port) as network:
        async with tracked(alone(network.port)) as parts:
            await parts.until_trusted()
            for _ in range(5):
                network.pause_answers()
                empty_redis.call("SET", KEY, "1")
                await asyncio.sleep(PONG_WITHIN_S / 2)
                network.resume()
                await until(lambda: not parts.tracking.is_trusted() or parts.heard.names or parts.heard.emptied)
                await until(parts.tracking.is_trusted)
                assert parts.heard.names or parts.heard.emptied
                parts.heard.forget()


async def test_a_loop_that_was_held_up_believes_nothing_on_waking(parts: Tracked, empty_redis: RedisServer) -> None:
    empty_redis.call("SET", KEY, "1")
    await parts.until_heard(KEY)
    parts.heard.forget()

    empty_redis.call("DEL", KEY)
    time.sleep(MAX_STALENESS_S + 0.05)  # noqa: ASYNC251 - the loop is held up, as by a long computation

    assert not parts.tracking.is_trusted()
    await until(parts.tracking.is_trusted)
    assert KEY in parts.heard.names or parts.heard.emptied


_STOPPED_PROCESS = """
import asyncio, sys, time
from tests.sessions.redis_parts import alone, tracked

async def main():
    async with tracked(alone(int(sys.argv[1]))) as parts:
        await parts.until_trusted()
        print("ready", flush=True)
        while True:
            # As requests do: look whenever the loop has a turn, and serve what is cached while it is trusted.
            is_served = parts.tracking.is_trusted() and not parts.heard.names and not parts.heard.emptied
            print(time.monotonic(), "served" if is_served else "refused", flush=True)
            await asyncio.sleep(0)
            await asyncio.sleep(0.01)

{runner}(main())
"""


@pytest.mark.parametrize("runner", ["asyncio.run", "__import__('uvloop').run"])
def test_a_process_that_was_stopped_serves_nothing_stale_on_waking(empty_redis: RedisServer, runner: str) -> None:
    program = subprocess.Popen(
        [sys.executable, "-c", _STOPPED_PROCESS.replace("{runner}", runner), str(empty_redis.port)],
        stdout=subprocess.PIPE,
        text=True,
    )
    assert program.stdout is not None
    try:
        assert program.stdout.readline() == "ready\n"
        assert program.stdout.readline().endswith(" served\n")
        program.send_signal(signal.SIGSTOP)
        os.waitid(os.P_PID, program.pid, os.WSTOPPED)
        empty_redis.call("SET", KEY, "1")
        time.sleep(MAX_STALENESS_S + 0.1)
        woken_at = time.monotonic()

        program.send_signal(signal.SIGCONT)

        said = _said_after(woken_at, program, count=50)
        assert said == {"refused"}
    finally:
        program.kill()
        program.communicate()


def _said_after(instant: float, program: subprocess.Popen[str], *, count: int) -> set[str]:
    """The answers to ``count`` looks after an instant of the clock that all processes share."""
    assert program.stdout is not None
    said: list[str] = []
    while len(said) < count:
        at, word = program.stdout.readline().split()
        if float(at) > instant:
            said.append(word)
    return set(said)


async def test_a_start_without_redis_does_not_fail_and_tracks_once_it_comes(empty_redis: RedisServer) -> None:
    empty_redis.kill()
    async with tracked(alone(empty_redis.port)) as parts:
        assert not parts.tracking.is_trusted()
        empty_redis.start()

        assert await until(parts.tracking.is_trusted) < RECOVERY_S


async def test_an_outage_of_redis_is_said_by_its_connection_and_not_again_here(
    parts: Tracked, empty_redis: RedisServer
) -> None:
    empty_redis.restart()
    await until(parts.tracking.is_trusted)

    assert not [line for line, _ in parts.observer.errors if "not heard" in line]


async def test_changes_are_heard_over_tls_too(empty_redis_tls: TlsRedis) -> None:
    def context() -> ssl.SSLContext:
        made = ssl.create_default_context(cafile=str(empty_redis_tls.authority))
        made.load_cert_chain(empty_redis_tls.client.certificate, empty_redis_tls.client.key)
        return made

    async with tracked(alone(empty_redis_tls.server.port, tls=context)) as parts:
        await parts.until_trusted()
        empty_redis_tls.server.call("SET", KEY, "1")

        await parts.until_heard(KEY)


async def test_changes_are_heard_over_a_unix_socket_too(tmp_path: Path) -> None:
    path = tmp_path / "redis.sock"
    server = RedisServer(tmp_path, options=("--unixsocket", str(path)))
    server.start()
    try:
        async with tracked(RedisOptions(topology=Alone(SocketPath(str(path))))) as parts:
            await parts.until_trusted()
            server.call("SET", KEY, "1")

            await parts.until_heard(KEY)
    finally:
        server.end()


# -- where tracking is refused


@pytest.fixture(scope="module")
def old_redis(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    """A Redis that knows no HELLO, as those before 6."""
    server = RedisServer(tmp_path_factory.mktemp("old-redis"), options=("--rename-command", "CLIENT", "NO-CLIENT"))
    server.start()
    yield server
    server.end()


async def test_where_tracking_is_refused_replicas_tell_one_another(old_redis: RedisServer) -> None:
    async with tracked(alone(old_redis.port)) as one, tracked(alone(old_redis.port)) as other:
        await one.until_trusted()
        await other.until_trusted()

        await one.tracking.announce([KEY, WATERMARK])

        await other.until_heard(WATERMARK)
        assert KEY in other.heard.names
        [(line, _)] = other.observer.warnings
        assert "refuses CLIENT TRACKING (ERR)" in line
        assert f"{TOLD_TRUST_S:g} s" in line


async def test_where_tracking_is_refused_no_copy_grows_old(old_redis: RedisServer) -> None:
    async with tracked(alone(old_redis.port)) as parts:
        await parts.until_trusted()

        assert await until(lambda: parts.heard.emptied >= 2) < 2 * TOLD_TRUST_S + SLACK_S
        assert parts.tracking.is_trusted()


async def test_where_tracking_is_refused_silence_is_distrust_too(old_redis: RedisServer) -> None:
    with PausingProxy(old_redis.port) as network:
        async with tracked(alone(network.port)) as parts:
            await parts.until_trusted()
            network.pause_answers()

            assert await until(lambda: not parts.tracking.is_trusted()) < TOLD_TRUST_S + SLACK_S

            network.resume()
            assert await until(parts.tracking.is_trusted) < RECOVERY_S


async def test_a_user_who_may_not_track_falls_back_with_a_sentence(empty_redis: RedisServer) -> None:
    empty_redis.add_user("limited", "pw", "~sidegate:*", "&sidegate:*", "+@all", "-client|tracking")
    try:
        async with tracked(_as_user(empty_redis.port)) as parts:
            await parts.until_trusted()

            assert "refuses CLIENT TRACKING (NOPERM)" in parts.observer.warnings[0][0]
    finally:
        empty_redis.forget_user("limited")


async def test_tracking_that_is_impossible_is_said_once(
    empty_redis: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("proxy.sessions.tracking.SAY_AFTER_S", SAY_AFTER_S / 10)
    empty_redis.add_user("limited", "pw", "~sidegate:*", "+@all", "-client|tracking", "-subscribe")
    try:
        async with tracked(_as_user(empty_redis.port)) as parts:
            await until(lambda: parts.observer.errors)
            await asyncio.sleep(1)

            assert not parts.tracking.is_trusted()
            [(line, _)] = parts.observer.errors
            assert "its changes are not heard" in line
    finally:
        empty_redis.forget_user("limited")


async def test_where_redis_tells_itself_nothing_is_announced(parts: Tracked) -> None:
    await parts.tracking.announce([KEY])

    assert [operation for operation, _ in parts.observer.store_calls] == []


# -- several primaries


async def test_every_primary_of_a_cluster_is_heard(empty_redis_cluster: ClusterHouse) -> None:
    house = empty_redis_cluster
    names = [b"sidegate:s:%d" % number for number in range(50)]
    async with tracked(_cluster(house)) as parts:
        await parts.until_trusted()

        for name in names:
            house.owner_of(name).call("SET", name, "1")

        await until(lambda: set(names) <= set(parts.heard.names))


async def test_one_primary_of_a_cluster_that_hangs_is_distrust(empty_redis_cluster: ClusterHouse) -> None:
    house = empty_redis_cluster
    async with tracked(_cluster(house)) as parts:
        await parts.until_trusted()
        house.servers[1].pause()
        try:
            assert await until(lambda: not parts.tracking.is_trusted()) < MAX_STALENESS_S + SLACK_S
        finally:
            house.servers[1].resume()

        assert await until(parts.tracking.is_trusted) < RECOVERY_S


async def test_a_failover_is_followed_and_tells_of_a_new_primary(empty_redis_sentinel: SentinelHouse) -> None:
    house = empty_redis_sentinel
    async with tracked(_sentinel(house)) as parts:
        await parts.until_trusted()
        new = await asyncio.to_thread(house.fail_over)

        await until(lambda: parts.heard.new_primaries)
        assert await until(parts.tracking.is_trusted) < RECOVERY_S
        new.call("SET", KEY, "1")
        await parts.until_heard(KEY)


async def test_connections_to_who_was_the_primary_are_let_go_when_another_is_named(
    parts: Tracked, monkeypatch: pytest.MonkeyPatch
) -> None:
    looked: list[str] = []
    monkeypatch.setattr(parts.connection, "look_now", lambda: looked.append("looked"))

    parts.tracking._follow(frozenset({TcpNode(HOST, 1)}))

    assert looked == ["looked"]


async def test_a_primary_that_was_replaced_while_it_was_stopped_is_not_believed_on_waking(
    empty_redis_sentinel: SentinelHouse,
) -> None:
    house = empty_redis_sentinel
    async with tracked(_sentinel(house)) as parts:
        await parts.until_trusted()
        old, new = await asyncio.to_thread(house.fail_over_from_a_paused_primary)
        old.resume()

        await until(parts.tracking.is_trusted)
        new.call("SET", KEY, "1")
        await parts.until_heard(KEY)


def _as_user(port: int) -> RedisOptions:
    from proxy.core.secret import Secret

    return alone(port, username="limited", password=lambda: Secret("pw"))


def _cluster(house: ClusterHouse) -> RedisOptions:
    return RedisOptions(topology=Cluster((TcpNode(HOST, house.servers[0].port),)))


def _sentinel(house: SentinelHouse) -> RedisOptions:
    return RedisOptions(topology=BehindSentinels(MASTER, tuple(TcpNode(HOST, one.port) for one in house.sentinels)))
