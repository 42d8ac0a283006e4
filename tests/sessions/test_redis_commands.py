"""Commands go in as few round trips as their order allows, and a deletion waits for a replica where there is one."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from redis.exceptions import NoPermissionError

from proxy.clock import SystemClock
from proxy.errors import StoreUnavailable
from proxy.sessions.redis_commands import MAX_TOGETHER, WAIT_MS, RedisCommands, Step
from proxy.sessions.redis_connection import RedisConnection
from tests.support.observers import RecordingObserver
from tests.support.redis_scripts import ScriptedConnection
from tests.support.redis_stores import options_of_cluster

if TYPE_CHECKING:
    from tests.redis.cluster import ClusterHouse

REFUSED = OSError("OOM")


async def test_commands_that_go_together_are_one_round_trip_with_answers_in_order() -> None:
    connection = ScriptedConnection(GET=lambda command: command[1])

    answers = await RedisCommands(connection).together("op", [("GET", name) for name in "abc"])

    assert answers == ["a", "b", "c"]
    assert len(connection.trips) == 1


async def test_a_long_list_of_commands_is_cut_so_that_nobody_else_waits_long() -> None:
    connection = ScriptedConnection(GET=lambda command: command[1])

    answers = await RedisCommands(connection).together("op", [("GET", n) for n in range(MAX_TOGETHER + 1)])

    assert answers == list(range(MAX_TOGETHER + 1))
    assert [len(trip) for trip in connection.trips] == [MAX_TOGETHER, 1]


async def test_nothing_to_ask_is_no_round_trip() -> None:
    connection = ScriptedConnection()

    assert await RedisCommands(connection).together("op", []) == []
    assert connection.trips == []


async def test_a_command_that_is_refused_is_a_fault_of_the_store() -> None:
    with pytest.raises(StoreUnavailable):
        await RedisCommands(ScriptedConnection(SET=REFUSED)).together("op", [("GET", "a"), ("SET", "a", "b")])


async def test_steps_on_one_server_are_one_round_trip_in_their_order() -> None:
    connection = ScriptedConnection(GET=lambda command: command[1])

    answers = await RedisCommands(connection).in_order("op", Step([("GET", "a")]), Step([]), Step([("GET", "b")]))

    assert answers == [["a"], [], ["b"]]
    assert connection.trips == [[("GET", "a"), ("GET", "b")]]


async def test_a_step_that_may_fail_hinders_none_of_the_others() -> None:
    connection = ScriptedConnection(SET=REFUSED)

    answers = await RedisCommands(connection).in_order(
        "op", Step([("SET", "tombstone", "x")], must_succeed=False), Step([("DEL", "record")])
    )

    assert answers == [[REFUSED], [1]]


async def test_a_deletion_waits_for_a_replica_where_there_is_one() -> None:
    connection = ScriptedConnection()
    commands = RedisCommands(connection)
    step = Step([("DEL", "a")], replicated=["a"])

    await commands.in_order("op", step)
    connection.slaves = 1
    await commands.look_for_replicas()
    answers = await commands.in_order("op", step)
    await commands.together("op", [("GET", "a")])

    waiting = ("WAIT", 1, WAIT_MS)
    assert connection.trips == [[("DEL", "a")], [("DEL", "a"), waiting], [("GET", "a")]]
    assert answers == [[1]], "what WAIT says is nobody's answer"


async def test_who_may_not_ask_for_replicas_goes_on_without() -> None:
    connection = ScriptedConnection()

    async def forbidden(_section: str) -> dict[str, int]:
        raise NoPermissionError("this user has no permissions to run the 'info' command")

    connection.info = forbidden  # type: ignore[method-assign]

    await RedisCommands(connection).look_for_replicas()


@pytest.mark.redis
async def test_steps_of_a_cluster_follow_one_another_though_they_lie_on_other_nodes(
    empty_redis_cluster: ClusterHouse,
) -> None:
    connection = RedisConnection(options_of_cluster(empty_redis_cluster), RecordingObserver(), SystemClock())
    await connection.start()
    commands = RedisCommands(connection)
    names = [f"name-{n}" for n in range(30)]
    await commands.look_for_replicas()

    written, read = await commands.in_order(
        "op", Step([("SET", name, name) for name in names], replicated=names), Step([("GET", name) for name in names])
    )

    assert written == [True] * 30
    assert read == [name.encode() for name in names]
    assert all(server.call("DBSIZE") > 0 for server in empty_redis_cluster.servers)
    commands._has_replicas = True  # it has none: each node then waits in vain, for as long as it is told
    assert await commands.in_order("op", Step([("DEL", name) for name in names], replicated=names)) == [[1] * 30]
    await connection.close()
