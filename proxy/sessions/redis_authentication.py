"""Authentication sessions in Redis: the flows of signing in that are under way, on whichever replica each step runs.

A root is one hash: the SHA-256 of a state leads to its tab, sealed under the server key *and* the root's id, which only
the browser's cookie holds. A number before each tab says which is the oldest. Putting and taking are scripts on that
one key, so a tab is used once however many replicas are asked at the same time.

Bounded by time: a root lives as long as its last tab, 30 minutes. That nobody fills Redis in that time is the business
of the web's quota for each address; a page that is merely shown makes no record.
"""

from __future__ import annotations

import json
from hashlib import sha256
from typing import TYPE_CHECKING, Any, Final

from proxy.core.authentication import MAX_TABS, ExecutionStatus, Tab
from proxy.core.secret import Secret
from proxy.sessions.redis_commands import Connection, RedisCommands
from proxy.sessions.redis_names import RedisNames

if TYPE_CHECKING:
    from proxy.ports import Clock, Observer
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

TAKE: Final = """
local tab = redis.call('HGET', KEYS[1], ARGV[1])
if tab then redis.call('HDEL', KEYS[1], ARGV[1]) end
return tab
"""

MINIMUM_LIFE_MS: Final = 1


class RedisAuthenticationStore:
    """``ports.AuthenticationStore`` of many replicas."""

    def __init__(self, connection: Connection, sealer: Sealer, *, clock: Clock, observer: Observer) -> None:
        """Ask nothing yet."""
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
        sealed = self._bound(tab.root_id).seal(_to_bytes(tab), associated_data=_place(tab.state))
        lasts_ms = max(int((tab.expires_at - self._clock.now()) * 1000), MINIMUM_LIFE_MS)
        values = (_field(tab.state), sealed, MAX_TABS, lasts_ms)
        await self._commands.together("tab_put", [("EVAL", PUT, 1, self._names.root(tab.root_id), *values)])

    async def peek(self, root_id: str, state: str) -> Tab | None:
        """Return the unexpired tab with this state in this root, or None.

        Raises:
            StoreUnavailable
        """
        (entry,) = await self._commands.together("tab_peek", [("HGET", self._names.root(root_id), _field(state))])
        return self._opened(root_id, state, entry)

    async def take(self, root_id: str, state: str) -> Tab | None:
        """Return the unexpired tab and remove it in one step: a tab is used once.

        Raises:
            StoreUnavailable
        """
        command = ("EVAL", TAKE, 1, self._names.root(root_id), _field(state))
        (entry,) = await self._commands.together("tab_take", [command])
        return self._opened(root_id, state, entry)

    async def drop_root(self, root_id: str) -> None:
        """Forget a root with all its tabs.

        Raises:
            StoreUnavailable
        """
        await self._commands.together("tab_drop", [("DEL", self._names.root(root_id))])

    def _opened(self, root_id: str, state: str, entry: bytes | None) -> Tab | None:
        if entry is None:
            return None
        sealed = entry.partition(b":")[2]
        text = self._bound(root_id).open(sealed, associated_data=_place(state))
        tab = None if text is None else _tab(root_id, state, text)
        if tab is None:
            self._observer.store_error()
            self._observer.warning("a login that was under way cannot be read; its browser has to begin again")
            return None
        return tab if self._clock.now() < tab.expires_at else None

    def _bound(self, root_id: str) -> Sealer:
        return self._sealer.bound_to(Secret(root_id))


def _field(state: str) -> str:
    return sha256(state.encode(errors="surrogatepass")).hexdigest()


def _place(state: str) -> bytes:
    return b"tab\0" + state.encode(errors="surrogatepass")


def _to_bytes(tab: Tab) -> bytes:
    values = {name: getattr(tab, name) for name in Tab.__slots__ if name not in {"root_id", "state", "code_verifier"}}
    for name in ("executions", "notes", "session_notes"):
        values[name] = dict(values[name])
    return json.dumps(values | {"code_verifier": tab.code_verifier.reveal()}).encode()


def _tab(root_id: str, state: str, text: bytes) -> Tab | None:
    """Return the tab, or None when it is of a Sidegate that knows other members."""
    try:
        values: dict[str, Any] = json.loads(text)
        values["code_verifier"] = Secret(values["code_verifier"])
        values["executions"] = {name: ExecutionStatus(word) for name, word in values["executions"].items()}
        values["required_actions"] = tuple(values["required_actions"])
        return Tab(root_id=root_id, state=state, **values)
    except (ValueError, TypeError, KeyError, AttributeError):
        return None
