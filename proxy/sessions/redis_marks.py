"""What has ended and stays ended, and which token ids are spent, in Redis.

A mark is a hash of two instants: ``ended_at`` and ``keep_until``. Each write keeps the later of each, in one script on
one key, so marks of several replicas never shorten one another. The clocks that decide are those of the readers; the
TTL in Redis only takes away what no clock asks for any more.

Watermarks (marks of a whole client) decide about every request, so each replica remembers them, and of each session in
which epoch of theirs it was judged. Redis tells of their changes as it tells of records; what was read before a change
that arrived meanwhile is used once and not kept.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from msgspec import Struct

from proxy.core.session import BySid, BySubject, EverySessionOf
from proxy.sessions.redis_commands import Step

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from proxy.core.login import Login
    from proxy.core.session import EndedMark
    from proxy.ports import Clock
    from proxy.sessions.redis_commands import Command, RedisCommands
    from proxy.sessions.redis_names import RedisNames

MARK: Final = """
local function keep_later(field, value)
  local known = redis.call('HGET', KEYS[1], field)
  if not known or tonumber(known) < tonumber(value) then redis.call('HSET', KEYS[1], field, value) end
end
keep_later('ended_at', ARGV[1])
keep_later('keep_until', ARGV[2])
if redis.call('PTTL', KEYS[1]) < tonumber(ARGV[3]) then redis.call('PEXPIRE', KEYS[1], ARGV[3]) end
return 1
"""

SPEND: Final = """
local known = redis.call('GET', KEYS[1])
if known and tonumber(known) >= tonumber(ARGV[1]) then return 0 end
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
return 1
"""
"""Remember a token id until the later of two instants."""


class Watermark(Struct, frozen=True):
    """Up to when logins of a client are over, and how long that counts; Unix seconds."""

    ended_at: float = float("-inf")
    keep_until: float = float("-inf")

    def covers(self, issued_at: float, now: float) -> bool:
        """Say whether a login of that instant is over. Whole seconds: ``iat`` has no finer grain."""
        return now < self.keep_until and issued_at // 1 <= self.ended_at // 1

    def later(self, other: Watermark) -> Watermark:
        """Return what two marks say together."""
        return Watermark(max(self.ended_at, other.ended_at), max(self.keep_until, other.keep_until))


NEVER: Final = Watermark()


class Marks:
    """Marks of one Redis."""

    def __init__(self, commands: RedisCommands, names: RedisNames, clock: Clock) -> None:
        """Nothing is read yet."""
        self._commands = commands
        self._names = names
        self._clock = clock

    async def put(self, mark: EndedMark) -> None:
        """Keep a mark; of two for the same thing the later end and the longer keeping count.

        Raises:
            StoreUnavailable
        """
        name = self._names.marks(mark.what)[0]
        lasts_ms = int((mark.keep_until - self._clock.now()) * 1000)
        if lasts_ms > 0:
            command = ("EVAL", MARK, 1, name, repr(mark.ended_at), repr(mark.keep_until), lasts_ms)
            await self._commands.in_order("mark", Step([command], replicated=[name]))

    def asking(self, login: Login) -> list[Command]:
        """Return the commands whose answers :meth:`cover` takes."""
        return [command for what in _of(login) for command in self._asking_for(what)]

    def cover(self, login: Login, answers: Sequence[Any]) -> bool:
        """Say whether the answers to :meth:`asking` hold a mark that names this login."""
        now, taken = self._clock.now(), iter(answers)
        for what in _of(login):
            for mark in [_watermark(next(taken)) for _ in self._names.marks(what)]:
                is_over = now < mark.keep_until if isinstance(what, BySid) else mark.covers(login.issued_at, now)
                if is_over:
                    return True
        return False

    def names(self, login: Login) -> list[bytes]:
        """Return under which names the marks stand that could end a login."""
        return [name.encode() for what in _of(login) for name in self._names.marks(what)]

    async def have_ended(self, login: Login) -> bool:
        """Ask whether a mark names this login.

        Raises:
            StoreUnavailable
        """
        return self.cover(login, await self._commands.together("ended", self.asking(login)))

    def asking_for_watermark(self, client: EverySessionOf) -> list[Command]:
        """Return the commands whose answers :meth:`watermark_from` takes."""
        return self._asking_for(client)

    @staticmethod
    def watermark_from(answers: Sequence[Any]) -> Watermark:
        """Return what the answers say together: one for each server key."""
        together = NEVER
        for answer in answers:
            together = together.later(_watermark(answer))
        return together

    def _asking_for(self, what: BySid | BySubject | EverySessionOf) -> list[Command]:
        return [("HMGET", name, "ended_at", "keep_until") for name in self._names.marks(what)]

    # --- token ids ---------------------------------------------------------------------------------------------------

    async def is_spent(self, jti: str) -> bool:
        """Say whether a token id was remembered.

        Raises:
            StoreUnavailable
        """
        (until,) = await self._commands.together("jti", [("GET", self._names.spent(jti))])
        return until is not None and self._clock.now() < float(until)

    async def spend(self, jti: str, until: float) -> None:
        """Remember a token id until the Unix time ``until``.

        Raises:
            StoreUnavailable
        """
        lasts_ms = int((until - self._clock.now()) * 1000)
        if lasts_ms > 0:
            name = self._names.spent(jti)
            await self._commands.in_order(
                "jti", Step([("EVAL", SPEND, 1, name, repr(until), lasts_ms)], replicated=[name])
            )


class Watermarks:
    """What this replica knows of the watermarks of clients: as many as there are clients in the settings.

    Attributes:
        epoch: counts the changes of any of them: what was judged in another epoch must be judged anew.
    """

    def __init__(self, is_trusted: Callable[[], bool]) -> None:
        """``is_trusted``: says whether changes would be told; while they would not, nothing is kept."""
        self._is_trusted = is_trusted
        self._known: dict[EverySessionOf, Watermark | None] = {}
        self.epoch = 0

    def of(self, client: EverySessionOf) -> Watermark | None:
        """Return the watermark of a client; None when Redis must be asked."""
        return self._known.get(client)

    def unknown(self) -> list[EverySessionOf]:
        """Return the clients that were asked for before and must be again."""
        return [client for client, watermark in self._known.items() if watermark is None]

    def begin(self) -> int | None:
        """Hear that Redis is about to be asked; give the answer back to :meth:`keep`."""
        return self.epoch if self._is_trusted() else None

    def keep(self, client: EverySessionOf, watermark: Watermark, begun: int | None) -> None:
        """Remember what was read, unless a change overtook it."""
        self._known[client] = watermark if begun == self.epoch else None

    def forget(self) -> None:
        """Some watermark changed, or nobody can say."""
        self.epoch += 1
        self._known = dict.fromkeys(self._known)


def _of(login: Login) -> tuple[BySid | BySubject | EverySessionOf, ...]:
    many = (BySubject(login.issuer, login.subject), EverySessionOf(login.issuer, login.client_id))
    return many if login.sid is None else (BySid(login.issuer, login.sid), *many)


def _watermark(answer: Sequence[bytes | None]) -> Watermark:
    ended_at, keep_until = answer
    return NEVER if ended_at is None or keep_until is None else Watermark(float(ended_at), float(keep_until))
