"""What a Redis says of itself (``INFO``), judged: version, eviction, persistence, room, role. Pure.

Which setting is the right one follows from what is kept there: sessions, and what has *ended*. A Redis that throws keys
away of its own accord signs people out, and forgets whose session is over.

Source: https://redis.io/docs/latest/commands/info/
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from msgspec import Struct, field

from proxy.doctor.finding import fail, ok, warn
from proxy.oidc.http_client import shown

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from proxy.doctor.finding import Finding

OLDEST: Final = (6, 2)
"""The oldest Redis that has all that is used: ``CLIENT TRACKING``, ``GETEX``-like options, ``ZADD GT``."""

FULL_SHARE: Final = 0.8
"""Share of ``maxmemory`` from which on it is time for more."""

NOEVICTION: Final = "noeviction"

_VERSION: Final = re.compile(r"(\d+)\.(\d+)")


class Health(Struct, frozen=True):
    """One primary.

    Attributes:
        node: what it is called in sentences.
        info: fields of INFO.
        saves: the ``save`` rule of its configuration, empty for none; None when it does not tell.
        least_replicas: how many must follow it, so that somebody can take its place.
    """

    node: str
    info: Mapping[str, str] = field(default_factory=dict)
    saves: str | None = None
    least_replicas: int = 0

    def number(self, name: str) -> int:
        """Return a field as a number; 0 when it is none."""
        text = self.info.get(name, "0")
        return int(text) if text.isdecimal() else 0


def parse_info(text: str) -> dict[str, str]:
    """Return the fields of an answer to INFO; headlines and what is no field are left out."""
    pairs = (line.partition(":") for line in text.splitlines() if not line.startswith("#"))
    return {name: shown(value) for name, sign, value in pairs if sign}


def judge(health: Health) -> Iterator[Finding]:
    """Give a finding for each thing that one primary says of itself."""
    yield _version(health)
    yield _eviction(health)
    yield from _room(health)
    yield _persistence(health)
    yield from _role(health)


def _version(health: Health) -> Finding:
    said = health.info.get("valkey_version") or health.info.get("redis_version", "")
    kind = "Valkey" if "valkey_version" in health.info else "Redis"
    found = _VERSION.match(health.info.get("redis_version", ""))
    if found is None:
        return warn(
            "version", f"{health.node} does not say its version", "see that it is Redis 6.2 or newer, or Valkey"
        )
    if (int(found[1]), int(found[2])) < OLDEST:
        return fail("version", f"{health.node} is {kind} {said}", "Sidegate needs Redis 6.2 or newer, or Valkey")
    return ok("version", f"{kind} {said}")


def _eviction(health: Health) -> Finding:
    policy = health.info.get("maxmemory_policy", "")
    if policy == NOEVICTION:
        return ok("eviction", NOEVICTION)
    remedy = "CONFIG SET maxmemory-policy noeviction, and the same in its file"
    sentence = f"{health.node} has maxmemory-policy {policy or 'unknown'}: when full, it forgets who has signed out"
    if health.number("maxmemory"):
        return fail("eviction", sentence, remedy)
    return warn("eviction", f"{sentence}; it has no maxmemory yet", remedy)


def _room(health: Health) -> Iterator[Finding]:
    limit, used = health.number("maxmemory"), health.number("used_memory")
    if limit and used >= limit * FULL_SHARE:
        share = f"{used / limit:.0%} of its maxmemory"
        yield warn("memory", f"{health.node} uses {share}; when it is full, logins get 503", "raise its maxmemory")


def _persistence(health: Health) -> Finding:
    info = health.info
    if "err" in {info.get("rdb_last_bgsave_status"), info.get("aof_last_write_status")}:
        sentence = f"{health.node} cannot save to disk, and then takes no writes"
        return fail("persistence", sentence, "look at its disk and its log")
    if info.get("aof_enabled") == "1":
        return ok("persistence", "append-only file")
    if health.saves:
        return ok("persistence", f"snapshots (save {health.saves}); after a crash the last logins may be gone")
    if health.saves is None:
        return ok("persistence", "no append-only file; whether it takes snapshots our user may not see (CONFIG GET)")
    sentence = f"{health.node} keeps nothing on disk: when it restarts, everybody signs in again"
    return warn("persistence", sentence, "set appendonly yes, if that matters")


def _role(health: Health) -> Iterator[Finding]:
    if health.info.get("role", "master") != "master":
        remedy = "point sessions.redis.url at the primary, or use sessions.redis.sentinel, which follows a failover"
        yield fail("role", f"{health.node} is a replica, which takes no writes", remedy)
    elif health.number("connected_slaves") < health.least_replicas:
        yield warn("replicas", f"nobody follows {health.node}, so nobody can take its place", "start a replica of it")
    elif health.least_replicas:
        yield ok("replicas", f"{health.number('connected_slaves')} follow {health.node}")
