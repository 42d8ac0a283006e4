"""What our user may do: every command that Sidegate uses is tried, and leaves nothing behind."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from proxy.core.secret import Secret
from proxy.doctor.store_rights import TRIED, look_at_rights
from proxy.sessions.redis_options import Alone, RedisOptions, TcpNode
from proxy.sessions.resp_connection import connect
from tests.redis.server import HOST

if TYPE_CHECKING:
    from proxy.doctor.finding import Finding
    from tests.redis.server import RedisServer

ROOT = Path(__file__).parents[2]
PREFIX = "sidegate:"

SAID_WHEN_CONNECTING = frozenset({"AUTH", "HELLO", "CLIENT", "SUBSCRIBE", "CLUSTER", "INFO", "CONFIG"})
"""Tried by whoever looks at the rest: the feed of changes, the primaries, the health."""

_METHODS = {"xadd": "XADD", "xrange": "XRANGE", "xrevrange": "XREVRANGE", "xtrim": "XTRIM", "scan": "SCAN"}


def commands_used() -> set[str]:
    """Every command of Redis in the rooms that speak with it: by name, in scripts, by a method of the library."""
    used: set[str] = set()
    for room in ("sessions", "observe"):
        for file in (ROOT / "proxy" / room).glob("*redis*.py"):
            text = file.read_text("utf-8")
            used |= set(re.findall(r"redis\.p?call\('([A-Z]+)'", text))
            used |= set(re.findall(r'\(\s*"([A-Z]{3,16})"', text))
            used |= {command for method, command in _METHODS.items() if re.search(rf"\.{method}\(", text)}
    return used


async def looked(server: RedisServer, *rules: str) -> Finding:
    server.add_user("gate", "pw", *rules)
    options = RedisOptions(
        topology=Alone(TcpNode(HOST, server.port)), username="gate", password=lambda: Secret("pw"), key_prefix=PREFIX
    )
    connection = await connect(TcpNode(HOST, server.port), options)
    try:
        await connection.ask("AUTH", *options.credentials())
        return await look_at_rights(connection, PREFIX)
    finally:
        connection.close()
        server.forget_user("gate")


def rules_of_the_readme() -> list[str]:
    (line,) = re.findall(r"ACL SETUSER sidegate on >PASSWORD (.*)", (ROOT / "README.md").read_text("utf-8"))
    return line.split()


def test_every_command_that_sidegate_uses_is_tried() -> None:
    tried = {command[0] for command in TRIED} | SAID_WHEN_CONNECTING

    used = commands_used()
    assert len(used) > 25
    assert used - tried == set()


async def test_the_user_of_the_readme_may_do_it_all(empty_redis: RedisServer) -> None:
    found = await looked(empty_redis, *rules_of_the_readme())

    assert (str(found.verdict), found.sentence) == ("ok", "our user may do what Sidegate does, under sidegate:")


async def test_nothing_is_left_behind(empty_redis: RedisServer) -> None:
    await looked(empty_redis, *rules_of_the_readme())

    assert empty_redis.call("KEYS", "*") == []


@pytest.mark.parametrize(
    ("rule", "named"), [("-eval", "EVAL"), ("-zadd", "ZADD"), ("-publish", "PUBLISH"), ("-wait", "WAIT")]
)
async def test_a_command_that_is_missing_is_named(empty_redis: RedisServer, rule: str, named: str) -> None:
    found = await looked(empty_redis, *rules_of_the_readme(), rule)

    assert (str(found.verdict), found.sentence) == ("fail", f"our user may not {named} under sidegate:")
    assert "README" in found.remedy


async def test_what_redis_refuses_to_everybody_is_no_proof_of_a_right(empty_redis: RedisServer) -> None:
    empty_redis.call("CONFIG", "SET", "maxmemory", "1")
    try:
        found = await looked(empty_redis, *rules_of_the_readme())
    finally:
        empty_redis.call("CONFIG", "SET", "maxmemory", "0")

    assert str(found.verdict) == "warn"
    assert "SET" in found.sentence


async def test_another_prefix_is_a_failure(empty_redis: RedisServer) -> None:
    found = await looked(empty_redis, "~other:*", "&other:*", "+@all")

    assert str(found.verdict) == "fail"
    assert "SET" in found.sentence
