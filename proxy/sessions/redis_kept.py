"""Forms that wait for a login, in Redis: kept by whichever replica was asked, sent on by whichever is asked later.

Each is a hash of two sealed parts, so that who asks what it is need not read what may be a megabyte: ``h`` the head,
``b`` the body; sealed under the server key *and* the id, which only the browser has. Its name is the hash of its id.

What all together take is counted in one sorted set, by the instant at which each is forgotten, whose members say
``name:size:person``: the caps are kept by a script on that one key. A place is taken there first, and the form is
written then; between the two it is a place for nothing, which lapses. A form that is taken gives its place back last.
"""

from __future__ import annotations

import json
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final

from proxy.core.kept import KEPT_LIFETIME_S, Kept, KeptRequest, Place
from proxy.core.secret import Secret
from proxy.errors import StoreFull, StoreUnavailable
from proxy.sessions.memory_kept import MAX_KEPT_PER_PERSON, new_kept_id, size_of
from proxy.sessions.redis_commands import Command, Connection, RedisCommands
from proxy.sessions.redis_names import RedisNames

if TYPE_CHECKING:
    from collections.abc import Callable

    from proxy.ports import Clock, Observer
    from proxy.sessions.sealing import Sealer

MAX_KEPT_BYTES: Final = 256 * 1024 * 1024
"""Bytes of all of them together: 256 of the largest. Redis has it besides the sessions."""

MAX_KEPT: Final = 4096
"""Number of them: what the script looks through while nobody else is served, about 2 ms."""

PLACE: Final = """
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', ARGV[1])
local members, used, theirs = redis.call('ZRANGE', KEYS[1], 0, -1), 0, {}
for _, member in ipairs(members) do
  local size, person = string.match(member, ':(%d+):(%x+)$')
  used = used + tonumber(size)
  if person == ARGV[5] then theirs[#theirs + 1] = member end
end
local count, going = #members, {}
for n = 1, #theirs + 1 - tonumber(ARGV[6]) do
  going[n] = theirs[n]
  used = used - tonumber(string.match(theirs[n], ':(%d+):%x+$'))
  count = count - 1
end
if used + tonumber(ARGV[4]) > tonumber(ARGV[7]) or count + 1 > tonumber(ARGV[8]) then return false end
for _, member in ipairs(going) do redis.call('ZREM', KEYS[1], member) end
redis.call('ZADD', KEYS[1], ARGV[2], ARGV[3] .. ':' .. ARGV[4] .. ':' .. ARGV[5])
local lasts = math.ceil(tonumber(ARGV[2]) - tonumber(ARGV[1])) + 60
if redis.call('TTL', KEYS[1]) < lasts then redis.call('EXPIRE', KEYS[1], lasts) end
return going
"""
"""Take a place; the oldest of the same person give theirs up. Returns who did, or nothing when there is no room.

Arguments: now, until, name, size, person, places of a person, bytes of all, number of all.
"""

PUT: Final = """
redis.call('HSET', KEYS[1], 'h', ARGV[1], 'b', ARGV[2])
redis.call('PEXPIRE', KEYS[1], ARGV[3])
return 1
"""
"""Keep both parts, and never without an end."""

TAKE: Final = """
local parts = redis.call('HMGET', KEYS[1], 'h', 'b')
redis.call('DEL', KEYS[1])
return parts
"""

MINIMUM_LIFE_MS: Final = 1


class RedisKeptRequests:
    """``ports.KeptRequests`` of many replicas."""

    def __init__(
        self,
        connection: Connection,
        sealer: Sealer,
        *,
        clock: Clock,
        observer: Observer,
        random_bytes: Callable[[int], bytes],
    ) -> None:
        """Ask nothing yet."""
        self._commands = RedisCommands(connection)
        self._names = RedisNames(connection.prefix, sealer)
        self._sealer = sealer
        self._clock = clock
        self._observer = observer
        self._random_bytes = random_bytes
        self.max_bytes = MAX_KEPT_BYTES
        self.max_kept = MAX_KEPT

    async def keep(self, request: KeptRequest) -> str:
        """Keep a form; returns its id.

        Raises:
            StoreFull, StoreUnavailable
        """
        kept_id = new_kept_id(self._random_bytes)
        await self._put(kept_id, request)
        return kept_id

    async def peek(self, kept_id: str) -> Kept | None:
        """Return what is known of it.

        Raises:
            StoreUnavailable
        """
        (sealed,) = await self._commands.together("kept_peek", [("HGET", self._names.kept(kept_id), "h")])
        return self._kept(kept_id, sealed)

    async def take(self, kept_id: str) -> KeptRequest | None:
        """Return it once.

        Raises:
            StoreUnavailable
        """
        command = ("EVAL", TAKE, 1, self._names.kept(kept_id))
        ((head, body),) = await self._commands.together("kept_take", [command])
        kept = self._kept(kept_id, head)
        opened = None if kept is None or body is None else self._opened(kept_id, "b", body)
        if kept is None or opened is None:
            return None
        request = KeptRequest(kept=kept, body=opened)
        place = self._member(kept_id, request)
        # The form is nowhere else any more; a place that is not given back lapses.
        with suppress(StoreUnavailable):
            await self._commands.together("kept_place", [("ZREM", self._names.kept_places(), place)])
        return request

    async def give_back(self, kept_id: str, request: KeptRequest) -> None:
        """Keep it again under its id, for the rest of its time.

        Raises:
            StoreFull, StoreUnavailable
        """
        if self._clock.now() < request.kept.kept_at + KEPT_LIFETIME_S:
            await self._put(kept_id, request)

    async def _put(self, kept_id: str, request: KeptRequest) -> None:
        until, now = request.kept.kept_at + KEPT_LIFETIME_S, self._clock.now()
        gone = await self._placed(kept_id, request, until=until, now=now)
        name, lasts_ms = self._names.kept(kept_id), max(int((until - now) * 1000), MINIMUM_LIFE_MS)
        head = self._sealed(kept_id, "h", _to_bytes(request.kept))
        body = self._sealed(kept_id, "b", request.body)
        commands: list[Command] = [("EVAL", PUT, 1, name, head, body, lasts_ms)]
        commands += [("DEL", self._names.kept_named(member.partition(b":")[0].decode())) for member in gone]
        await self._commands.together("kept_put", commands)

    async def _placed(self, kept_id: str, request: KeptRequest, *, until: float, now: float) -> list[bytes]:
        """Take a place for it; returns the members of those that gave theirs up."""
        digest, size, person = self._member(kept_id, request).split(":")
        limits = (MAX_KEPT_PER_PERSON, self.max_bytes, self.max_kept)
        command = ("EVAL", PLACE, 1, self._names.kept_places(), now, until, digest, size, person, *limits)
        (gone,) = await self._commands.together("kept_place", [command])
        if gone is None:
            raise StoreFull("there is no room for further forms that wait for a login")
        members: list[bytes] = gone
        return members

    def _member(self, kept_id: str, request: KeptRequest) -> str:
        person = self._sealer.digest(f"kept\0{request.kept.subject_hash}")
        return f"{self._names.kept_digest(kept_id)}:{size_of(request)}:{person}"

    def _kept(self, kept_id: str, sealed: bytes | None) -> Kept | None:
        text = None if sealed is None else self._opened(kept_id, "h", sealed)
        kept = None if text is None else _kept(text)
        return kept if kept is not None and self._clock.now() < kept.kept_at + KEPT_LIFETIME_S else None

    def _sealed(self, kept_id: str, part: str, text: bytes) -> bytes:
        return self._sealer.bound_to(Secret(kept_id)).seal(text, associated_data=f"kept\0{part}".encode())

    def _opened(self, kept_id: str, part: str, sealed: bytes) -> bytes | None:
        opened = self._sealer.bound_to(Secret(kept_id)).open(sealed, associated_data=f"kept\0{part}".encode())
        if opened is None:
            self._observer.store_error()
            self._observer.warning("a form that was kept over a login cannot be read; its sender is told so")
        return opened


def _to_bytes(kept: Kept) -> bytes:
    place = kept.place
    values = {
        "place": [place.scheme, place.host, place.target.decode("latin-1")],
        "subject": kept.subject_hash,
        "headers": [[name.decode("latin-1"), value.decode("latin-1")] for name, value in kept.headers],
        "at": kept.kept_at,
    }
    return json.dumps(values).encode()


def _kept(text: bytes) -> Kept | None:
    """Return what was kept, or None when it is of a Sidegate that knows other members."""
    try:
        values: dict[str, Any] = json.loads(text)
        scheme, host, target = values["place"]
        return Kept(
            place=Place(scheme=scheme, host=host, target=target.encode("latin-1")),
            subject_hash=values["subject"],
            headers=tuple((name.encode("latin-1"), value.encode("latin-1")) for name, value in values["headers"]),
            kept_at=float(values["at"]),
        )
    except (ValueError, TypeError, KeyError, AttributeError):
        return None
