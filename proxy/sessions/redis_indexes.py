"""Which sessions there are: by provider session, person and user name, and the roster of all.

Sorted sets of session keys. An index leads, it does not decide: an entry whose record is gone, or is another's, is
stale, and whoever finds it passes it over. A stale entry may be of a session just being made (entries are written
before the record, so that no session is ever without), therefore it is taken out only when it is found stale again
:data:`STALE_FOR_S` later. What it would lead to at its score is over, so each write takes out what lies below now.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from proxy.core.session import SessionKey
from proxy.sessions.redis_times import LINGER_S, ends_at

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Sequence

    from proxy.core.session import SessionsFilter
    from proxy.sessions.codec import RecordSummary
    from proxy.sessions.redis_commands import Command, RedisCommands
    from proxy.sessions.redis_names import RedisNames

STALE_FOR_S: Final = 30.0
"""Seconds that an entry must have been stale; ten times what a session takes to be made at the very longest."""

MAX_SUSPECTS: Final = 10_000
"""Stale entries that wait for that; above it the one found first is forgotten, and found again."""

PAGE: Final = 150
"""Entries of a roster that are looked at together: two commands each make one pipeline."""

ADD: Final = """
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', ARGV[1])
redis.call('ZADD', KEYS[1], ARGV[2], ARGV[3])
if redis.call('PTTL', KEYS[1]) < tonumber(ARGV[4]) then redis.call('PEXPIRE', KEYS[1], ARGV[4]) end
return 1
"""
"""Take out what is over, add one entry, and let the set live at least as long as it."""


class Indexes:
    """The indexes of one Redis."""

    def __init__(self, commands: RedisCommands, names: RedisNames) -> None:
        """Nothing is read yet."""
        self._commands = commands
        self._names = names
        self._suspects: dict[tuple[str, SessionKey], float] = {}

    # --- writing -----------------------------------------------------------------------------------------------------

    async def enter(self, summary: RecordSummary, *, now: float) -> None:
        """Enter a session everywhere that leads to it; twice does no harm.

        Raises:
            StoreUnavailable
        """
        due_at, roster = ends_at(summary, summary.created_at), self._names.roster(summary.key)
        # What is due in the roster is for the sweep to end, so only what no record is left of is taken out here.
        enrolled = ("EVAL", ADD, 1, roster, now - LINGER_S, due_at, summary.key, _lasts_ms(summary, now))
        await self._commands.together("index", [enrolled, *self._entering(summary, summary.filters(), now)])

    async def enter_under(self, filters: Collection[SessionsFilter], summary: RecordSummary, *, now: float) -> None:
        """Enter a session that is in the roster under what it is found by from now on.

        Raises:
            StoreUnavailable
        """
        if filters:
            await self._commands.together("index", list(self._entering(summary, filters, now)))

    def _entering(self, summary: RecordSummary, filters: Iterable[SessionsFilter], now: float) -> Iterator[Command]:
        for which in filters:
            name = self._names.index(which)[0]
            yield ("EVAL", ADD, 1, name, now, summary.expires_at, summary.key, _lasts_ms(summary, now))

    async def leave(self, filters: Collection[SessionsFilter], key: SessionKey) -> None:
        """Take a session out from under what it was found by.

        Raises:
            StoreUnavailable
        """
        if filters:
            await self._commands.together("index", [c for which in filters for c in self.striking_from(which, key)])

    def striking(self, summary: RecordSummary) -> list[Command]:
        """Return the commands that take a session out everywhere."""
        names = (*self._names.every_index(summary), self._names.roster(summary.key))
        return [("ZREM", name, summary.key) for name in names]

    def striking_from(self, which: SessionsFilter, key: SessionKey) -> list[Command]:
        """Return the commands that take a session out of one index."""
        return [("ZREM", name, key) for name in self._names.index(which)]

    # --- reading -----------------------------------------------------------------------------------------------------

    async def keys(self, which: SessionsFilter) -> tuple[SessionKey, ...]:
        """Return the keys that the index holds, stale ones too, each once.

        Raises:
            StoreUnavailable
        """
        names = self._names.index(which)
        answers = await self._commands.together("index", [("ZRANGE", name, 0, -1) for name in names])
        return tuple(dict.fromkeys(_key(member) for members in answers for member in members))

    async def found_stale(self, which: SessionsFilter, keys: Iterable[SessionKey], *, now: float) -> None:
        """Take out those that were stale long enough ago, and remember the others.

        Args:
            now: monotonic seconds.

        Raises:
            StoreUnavailable
        """
        name = self._names.index(which)[0]
        stale = [key for key in keys if self._is_stale_long_enough((name, key), now)]
        if stale:
            await self._commands.together("index", [c for key in stale for c in self.striking_from(which, key)])

    def _is_stale_long_enough(self, entry: tuple[str, SessionKey], now: float) -> bool:
        first_at = self._suspects.setdefault(entry, now)
        if now - first_at >= STALE_FOR_S:
            del self._suspects[entry]
            return True
        if len(self._suspects) > MAX_SUSPECTS:
            del self._suspects[next(iter(self._suspects))]
        return False

    # --- the roster --------------------------------------------------------------------------------------------------

    async def page(self, roster: str, cursor: int) -> tuple[int, tuple[SessionKey, ...]]:
        """Return some sessions of a part of the roster, and the cursor of the next page, 0 after the last.

        A session that is there from the first page to the last is on at least one of them; it may be on two.

        Raises:
            StoreUnavailable
        """
        ((next_cursor, entries),) = await self._commands.together("list", [("ZSCAN", roster, cursor, "COUNT", PAGE)])
        return int(next_cursor), tuple(_key(member) for member, _ in entries)

    async def due(self, now: float) -> tuple[SessionKey, ...]:
        """Return sessions that are over at ``now`` unless they were used meanwhile, at most a page of each part.

        Raises:
            StoreUnavailable
        """
        commands: Sequence[Command] = [
            ("ZRANGEBYSCORE", name, "-inf", now, "LIMIT", 0, PAGE) for name in self._names.rosters()
        ]
        return tuple(_key(member) for part in await self._commands.together("sweep", commands) for member in part)

    async def count(self, now: float) -> int:
        """Return how many sessions are not over at ``now``; it costs the same for a thousand and a million.

        Raises:
            StoreUnavailable
        """
        commands: Sequence[Command] = [("ZCOUNT", name, f"({now!r}", "+inf") for name in self._names.rosters()]
        return sum(await self._commands.together("count", commands))

    def putting_off(self, key: SessionKey, due_at: float) -> Command:
        """Return the command that moves a session that is there to a later instant."""
        return ("ZADD", self._names.roster(key), "XX", "GT", due_at, key)

    def striking_off(self, key: SessionKey) -> Command:
        """Return the command that takes a session out of the roster."""
        return ("ZREM", self._names.roster(key), key)


def _lasts_ms(summary: RecordSummary, now: float) -> int:
    return int(max(summary.expires_at - now + LINGER_S, 1.0) * 1000)


def _key(member: bytes) -> SessionKey:
    return SessionKey(member.decode(errors="replace"))
