"""Failed sign-ins in Redis, counted for all replicas together.

A key is a list of instants, the newest first, no longer than its limit, gone when the window is over. Each step is one
script or one command on one key. Whether there is room and taking it is one step, so that of many tries at once, on
however many replicas, no more pass than there is room for.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from proxy.sessions.failure_windows import FailureWindows
from proxy.sessions.redis_commands import Connection, RedisCommands

if TYPE_CHECKING:
    from proxy.ports import Clock

ACQUIRE: Final = """
local now, expiry, limit, amount = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3]), tonumber(ARGV[4])
local since, live = now - expiry, 0
for _, instant in ipairs(redis.call('LRANGE', KEYS[1], 0, limit - 1)) do
  if tonumber(instant) > since then live = live + 1 end
end
if live + amount > limit then return 0 end
for _ = 1, amount do redis.call('LPUSH', KEYS[1], ARGV[1]) end
redis.call('LTRIM', KEYS[1], 0, limit - 1)
redis.call('EXPIRE', KEYS[1], expiry)
return 1
"""
"""Count some more, or none."""


class RedisFailures(FailureWindows):
    """Instants of failures by key."""

    def __init__(self, connection: Connection, clock: Clock) -> None:
        """Ask nothing yet."""
        super().__init__()
        self._commands = RedisCommands(connection)
        self._clock = clock

    def now(self) -> float:
        """Return Unix seconds, which replicas share."""
        return self._clock.now()

    async def acquire_entry(self, key: str, limit: int, expiry: int, amount: int = 1) -> bool:
        """Count ``amount`` more now, or none when that would be more than ``limit`` within ``expiry`` seconds.

        Raises:
            StoreUnavailable
        """
        command = ("EVAL", ACQUIRE, 1, self._name(key), repr(self.now()), expiry, limit, amount)
        (taken,) = await self._commands.together("throttle_reserve", [command])
        return bool(taken)

    async def get_moving_window(self, key: str, limit: int, expiry: int) -> tuple[float, int]:
        """Return the instant of the oldest entry that counts (now, when none does), and how many do.

        Raises:
            StoreUnavailable
        """
        now = self.now()
        (entries,) = await self._commands.together("throttle_check", [("LRANGE", self._name(key), 0, limit - 1)])
        live = [instant for entry in entries if (instant := float(entry)) > now - expiry]
        return min(live, default=now), len(live)

    async def release_entry(self, key: str) -> None:
        """Take the newest entry away, if there is one.

        Raises:
            StoreUnavailable
        """
        await self._commands.together("throttle_give_back", [("LPOP", self._name(key))])

    def _name(self, key: str) -> str:
        return f"{self._commands.prefix}f:{key}"
