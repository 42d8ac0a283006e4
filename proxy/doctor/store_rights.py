"""What our user may do on Redis: each command that Sidegate uses is tried, on names of the doctor's own.

Under the prefix of the file, for the rights are given for that prefix; each name ends after a minute by itself, and is
taken away before that. A cluster's node that does not hold the name answers with MOVED, after it has looked at the
rights.

Source: https://redis.io/docs/latest/operate/oss_and_stack/management/security/acl/
"""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING, Final

from proxy.doctor.finding import fail, ok, warn
from proxy.sessions.resp_connection import CommandRefused

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from proxy.doctor.finding import Finding
    from proxy.sessions.resp_connection import RespConnection

_LIFE_S: Final = 60

_KEY, _CHANNEL = "{key}", "{channel}"

TRIED: Final[Sequence[tuple[str, ...]]] = (
    ("PING",),
    *(("SET", _KEY + "s", "1", "EX", str(_LIFE_S)), ("GET", _KEY + "s"), ("GETRANGE", _KEY + "s", "0", "0")),
    *(("EXISTS", _KEY + "s"), ("TTL", _KEY + "s"), ("PTTL", _KEY + "s")),
    *(("EXPIRE", _KEY + "s", str(_LIFE_S)), ("PEXPIRE", _KEY + "s", str(_LIFE_S * 1000))),
    *(("HSET", _KEY + "h", "a", "1"), ("HGET", _KEY + "h", "a"), ("HMGET", _KEY + "h", "a"), ("HGETALL", _KEY + "h")),
    *(("HINCRBY", _KEY + "h", "b", "1"), ("HLEN", _KEY + "h"), ("HDEL", _KEY + "h", "a")),
    *(("LPUSH", _KEY + "l", "1"), ("LRANGE", _KEY + "l", "0", "0"), ("LTRIM", _KEY + "l", "0", "0")),
    ("LPOP", _KEY + "l"),
    *(("ZADD", _KEY + "z", "1", "a"), ("ZRANGE", _KEY + "z", "0", "0"), ("ZRANGEBYSCORE", _KEY + "z", "0", "1")),
    *(("ZCOUNT", _KEY + "z", "0", "1"), ("ZSCAN", _KEY + "z", "0"), ("ZREM", _KEY + "z", "a")),
    ("ZREMRANGEBYSCORE", _KEY + "z", "-inf", "0"),
    *(("XADD", _KEY + "x", "*", "a", "1"), ("XRANGE", _KEY + "x", "-", "+", "COUNT", "1")),
    *(("XREVRANGE", _KEY + "x", "+", "-", "COUNT", "1"), ("XTRIM", _KEY + "x", "MAXLEN", "0")),
    *(("EVAL", "return redis.call('GET', KEYS[1])", "1", _KEY + "s"), ("WAIT", "0", "1"), ("PUBLISH", _CHANNEL, "")),
    ("SCAN", "0", "MATCH", _KEY + "*", "COUNT", "1"),
    ("DEL", _KEY + "s"),
    ("DEL", _KEY + "h"),
    ("DEL", _KEY + "l"),
    ("DEL", _KEY + "z"),
    ("DEL", _KEY + "x"),
)
"""In an order in which each has what it needs; the last ones leave nothing behind."""

_ELSEWHERE: Final = frozenset({"MOVED", "ASK"})
"""A cluster's word for a name of another node; the rights were looked at before."""

REMEDY: Final = "give the user what the README has under Redis (ACL SETUSER)"


async def look_at_rights(connection: RespConnection, prefix: str) -> Finding:
    """Try everything, on a connection that has said who it is.

    Raises:
        RespError: the connection is lost.
    """
    key = f"{prefix}doctor:{secrets.token_hex(8)}:"
    forbidden: list[str] = []
    unknown: list[str] = []
    unseen: list[str] = []
    for command in _filled(key, f"{prefix}doctor"):
        try:
            await connection.ask(*command)
        except CommandRefused as refusal:
            if refusal.code not in _ELSEWHERE:
                {"NOPERM": forbidden, "ERR": unknown}.get(refusal.code, unseen).append(command[0])
    if forbidden:
        return fail("rights", f"our user may not {_listed(forbidden)} under {prefix}", REMEDY)
    if unknown:
        return warn("rights", f"it does not know {_listed(unknown)}", "use Redis 6.2 or newer, or Valkey")
    if unseen:
        sentence = f"whether our user may {_listed(unseen)} cannot be seen: it refuses that to everybody now"
        return warn("rights", sentence, "mend what its other lines and its log say, and run the doctor again")
    return ok("rights", f"our user may do what Sidegate does, under {prefix}")


def _filled(key: str, channel: str) -> Iterator[tuple[str, ...]]:
    for command in TRIED:
        yield tuple(word.replace(_KEY, key).replace(_CHANNEL, channel) for word in command)


def _listed(names: Sequence[str]) -> str:
    return ", ".join(dict.fromkeys(names))
