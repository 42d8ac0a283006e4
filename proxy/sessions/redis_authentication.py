"""Authentication sessions in Redis: the flows of signing in that are under way, on whichever replica each step runs.

A root is one hash: the SHA-256 of a state leads to its tab, sealed under the server key *and* the root's id, which only
the browser's cookie holds. Before each tab stand in clear a number that says which is the oldest, and three marks
(HMACs, cut short): of the server key, of the issuer and of the client, by which the tabs of a client that is served no
more are found. Putting, taking and dropping are scripts on that one key, so a tab is used once however many replicas
are asked at the same time.

Bounded by time: a root lives as long as its last tab, 30 minutes. That nobody fills Redis in that time is the business
of the web's quota for each address; a page that is merely shown makes no record.
"""

from __future__ import annotations

import json
from functools import partial
from hashlib import sha256
from typing import TYPE_CHECKING, Any, Final

from redis.asyncio import RedisCluster

from proxy.core.authentication import MAX_TABS, ExecutionStatus, OfRealm, Tab, TabStatus
from proxy.core.secret import Secret
from proxy.core.session import LoginOrigin
from proxy.sessions.redis_commands import Connection, RedisCommands
from proxy.sessions.redis_names import RedisNames

if TYPE_CHECKING:
    from collections.abc import Collection

    from proxy.core.authentication import OfClient, TabsFilter
    from proxy.ports import Clock, Observer
    from proxy.sessions.redis_commands import Command
    from proxy.sessions.sealing import Sealer

PUT: Final = """
local known = redis.call('HGET', KEYS[1], ARGV[1])
local serial = known and string.match(known, '^%d+') or redis.call('HINCRBY', KEYS[1], 'tabs_made', 1)
redis.call('HSET', KEYS[1], ARGV[1], serial .. ':' .. ARGV[2])
if redis.call('HLEN', KEYS[1]) - 1 > tonumber(ARGV[3]) then
  local entries, oldest, first = redis.call('HGETALL', KEYS[1]), nil, nil
  for n = 1, #entries, 2 do
    local made = entries[n] ~= 'tabs_made' and tonumber(string.match(entries[n + 1], '^%d+'))
    if made and (not first or made < first) then oldest, first = entries[n], made end
  end
  redis.call('HDEL', KEYS[1], oldest)
end
if redis.call('PTTL', KEYS[1]) < tonumber(ARGV[4]) then redis.call('PEXPIRE', KEYS[1], ARGV[4]) end
return 1
"""
"""Keep a tab; a step of one keeps its place; the oldest goes above the cap."""

DROP: Final = """
local entries, dropped = redis.call('HGETALL', KEYS[1]), 0
for n = 1, #entries, 2 do
  local _, issuer, client = string.match(entries[n + 1], '^%d+:(%x+):(%x+):(%x+):')
  for _, mark in ipairs(ARGV) do
    if issuer == mark or client == mark then
      dropped = dropped + redis.call('HDEL', KEYS[1], entries[n])
    end
  end
end
if dropped > 0 and redis.call('HLEN', KEYS[1]) == 1 then redis.call('DEL', KEYS[1]) end
return dropped
"""
"""Forget the tabs that have one of these marks, and the root with the last of them."""

KEEP_ONLY: Final = """
local entries, dropped, are_ours, are_served = redis.call('HGETALL', KEYS[1]), 0, {}, {}
for n, mark in ipairs(ARGV) do
  if n > 1 and n <= 1 + tonumber(ARGV[1]) then are_ours[mark] = true else are_served[mark] = true end
end
for n = 1, #entries, 2 do
  local ours, _, client = string.match(entries[n + 1], '^%d+:(%x+):(%x+):(%x+):')
  if ours and are_ours[ours] and not are_served[client] then
    dropped = dropped + redis.call('HDEL', KEYS[1], entries[n])
  end
end
if dropped > 0 and redis.call('HLEN', KEYS[1]) == 1 then redis.call('DEL', KEYS[1]) end
return dropped
"""
"""Forget the tabs made under one of our keys (so many marks, after their number) for a client that is not served (the
marks after those).
"""

TAKE: Final = """
local tab = redis.call('HGET', KEYS[1], ARGV[1])
if tab then redis.call('HDEL', KEYS[1], ARGV[1]) end
return tab
"""

SERIAL_FIELD: Final = b"tabs_made"
"""The field of a root that counts its tabs; :data:`PUT` and :data:`DROP` know it too."""

MINIMUM_LIFE_MS: Final = 1

MARK_DIGITS: Final = 32
"""Hexadecimal digits of a mark: 128 bits."""

SCAN_COUNT: Final = 1000
"""Keys that Redis looks at in one step of a scan, for about 1 ms."""


class RedisAuthenticationStore:
    """``ports.AuthenticationStore`` of many replicas."""

    def __init__(self, connection: Connection, sealer: Sealer, *, clock: Clock, observer: Observer) -> None:
        """Ask nothing yet."""
        self._connection = connection
        self._commands = RedisCommands(connection)
        self._names = RedisNames(connection.prefix, sealer)
        self._sealer = sealer
        self._clock = clock
        self._observer = observer

    async def put(self, tab: Tab) -> None:
        """Keep a tab in its root (made when new); the oldest tab goes above MAX_TABS.

        Raises:
            StoreUnavailable
        """
        field = _field(tab.state)
        sealed = self._bound(tab.root_id).seal(_to_bytes(tab), associated_data=_place(field))
        lasts_ms = max(int((tab.expires_at - self._clock.now()) * 1000), MINIMUM_LIFE_MS)
        marks = (self._marks()[0], self._marks(tab.issuer)[0], self._marks(tab.issuer, tab.client_id)[0])
        values = (field, ":".join((*marks, "")).encode() + sealed, MAX_TABS, lasts_ms)
        await self._commands.together("tab_put", [("EVAL", PUT, 1, self._names.root(tab.root_id), *values)])

    async def peek(self, root_id: str, state: str) -> Tab | None:
        """Return the unexpired tab with this state in this root, or None.

        Raises:
            StoreUnavailable
        """
        (entry,) = await self._commands.together("tab_peek", [("HGET", self._names.root(root_id), _field(state))])
        return self._opened(root_id, _field(state), entry)

    async def take(self, root_id: str, state: str) -> Tab | None:
        """Return the unexpired tab and remove it in one step: a tab is used once.

        Raises:
            StoreUnavailable
        """
        command = ("EVAL", TAKE, 1, self._names.root(root_id), _field(state))
        (entry,) = await self._commands.together("tab_take", [command])
        return self._opened(root_id, _field(state), entry)

    async def drop_root(self, root_id: str) -> None:
        """Forget a root with all its tabs.

        Raises:
            StoreUnavailable
        """
        await self._commands.together("tab_drop", [("DEL", self._names.root(root_id))])

    async def tabs(self, root_id: str) -> tuple[Tab, ...]:
        """Return the unexpired tabs of a root, the oldest first.

        Raises:
            StoreUnavailable
        """
        (found,) = await self._commands.together("tab_list", [("HGETALL", self._names.root(root_id))])
        entries = [(field, entry) for field, entry in found.items() if field != SERIAL_FIELD]
        ordered = sorted(entries, key=lambda one: int(one[1].partition(b":")[0]))
        opened = [self._opened(root_id, field.decode(), entry) for field, entry in ordered]
        return tuple(tab for tab in opened if tab is not None)

    async def drop_matching(self, which: TabsFilter) -> int:
        """Forget every tab of a client or an issuer, looking through all roots; returns how many.

        Raises:
            StoreUnavailable: some may be gone, some not.
        """
        marks = self._marks(which.issuer) if isinstance(which, OfRealm) else self._marks(which.issuer, which.client_id)
        return await self._at_every_root(DROP, *marks)

    async def keep_only(self, served: Collection[OfClient]) -> int:
        """Forget every tab of a client that is none of these, made under our keys; returns how many.

        Raises:
            StoreUnavailable: some may be gone, some not.
        """
        ours = self._marks()
        marks = [mark for client in served for mark in self._marks(client.issuer, client.client_id)]
        return await self._at_every_root(KEEP_ONLY, len(ours), *ours, *marks)

    async def _at_every_root(self, script: str, *values: str | int) -> int:
        commands: list[Command] = [("EVAL", script, 1, name, *values) for name in await self._every_root()]
        return sum(await self._commands.together("tab_drop", commands)) if commands else 0

    async def _every_root(self) -> list[bytes]:
        """Return the names of all roots. One that moves to another node meanwhile may be missed."""
        names: list[bytes] = []
        for node in await self._connection.run("tab_scan", _primaries):
            cursor: int | None = 0
            while cursor is not None:
                cursor, found = await self._connection.run("tab_scan", partial(self._scan, node=node, cursor=cursor))
                names += found
        return names

    async def _scan(self, client: Any, *, node: Any, cursor: int) -> tuple[int | None, list[bytes]]:
        where = {} if node is None else {"target_nodes": node}
        at, found = await client.scan(cursor, match=self._names.every_root, count=SCAN_COUNT, **where)
        (cursor,) = at.values() if isinstance(at, dict) else (at,)
        return cursor or None, found

    def _marks(self, *what: str) -> list[str]:
        """Return what stands for an issuer, a client of one, or (for nothing) the key, under each server key, the first
        key's first.
        """
        return [digest[:MARK_DIGITS] for digest in self._sealer.digests("\0".join(("tabs of", *what)))]

    def _opened(self, root_id: str, field: str, entry: bytes | None) -> Tab | None:
        if entry is None:
            return None
        sealed = entry.split(b":", 4)[-1]
        text = self._bound(root_id).open(sealed, associated_data=_place(field))
        tab = None if text is None else _tab(root_id, text)
        if tab is None:
            self._observer.store_error()
            self._observer.warning("a login that was under way cannot be read; its browser has to begin again")
            return None
        return tab if self._clock.now() < tab.expires_at else None

    def _bound(self, root_id: str) -> Sealer:
        return self._sealer.bound_to(Secret(root_id))


def _field(state: str) -> str:
    return sha256(state.encode(errors="surrogatepass")).hexdigest()


def _place(field: str) -> bytes:
    return b"tab\0" + field.encode()


async def _primaries(client: Any) -> list[Any]:
    return client.get_primaries() if isinstance(client, RedisCluster) else [None]


def _to_bytes(tab: Tab) -> bytes:
    values = {name: getattr(tab, name) for name in Tab.__struct_fields__ if name not in {"root_id", "code_verifier"}}
    for name in ("executions", "notes", "session_notes"):
        values[name] = dict(values[name])
    return json.dumps(values | {"code_verifier": tab.code_verifier.reveal()}).encode()


def _tab(root_id: str, text: bytes) -> Tab | None:
    """Return the tab, or None when it is of a Sidegate that knows other members."""
    try:
        values: dict[str, Any] = json.loads(text)
        values["code_verifier"] = Secret(values["code_verifier"])
        values["origin"] = LoginOrigin(values["origin"])
        values["status"] = TabStatus(values["status"])
        values["executions"] = {name: ExecutionStatus(word) for name, word in values["executions"].items()}
        values["required_actions"] = tuple(values["required_actions"])
        return Tab(root_id=root_id, **values)
    except (ValueError, TypeError, KeyError, AttributeError):
        return None
