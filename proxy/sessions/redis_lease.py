"""Leases in Redis: of all replicas one refreshes a session, for as long as the call takes and not longer.

``l:<session key>`` holds a random token of whoever has the lease. It lives :data:`LEASE_TTL_S` and is renewed every
:data:`RENEW_EVERY_S` while it is held, so that a call may be slow and a killed holder costs the others no more than
its TTL. Both scripts work on this one key and compare the token, so nobody renews or releases another's lease.

What can happen to a lease:

=========================================  ==========================================================================
the holder releases it                     the next one has it at once
the holder is killed                       free after the TTL
the holder stands still beyond the TTL     lost for ever on its side, by its own monotonic clock: it looks before it
                                           spends a refresh token. Whoever takes it reads the session again
Redis forgets it (failover, FLUSHALL)      the holder's next renewal sets it again, unless somebody took it meanwhile
somebody else has it                       lost, and said
Redis cannot be reached                    held until the TTL is over; the renewals go on, so that the holder is first
                                           when Redis is back
=========================================  ==========================================================================

Neither clocks of two machines nor the time of Redis are compared: each side measures with its own clock from *before*
it asked, so the holder gives up before Redis does.
"""

from __future__ import annotations

import asyncio
import secrets
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from msgspec import Struct

from proxy.errors import StoreFault
from proxy.tasks import TaskOwner

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from proxy.core.session import SessionKey
    from proxy.ports import Clock, Observer

T = TypeVar("T")

LEASE_TTL_S = 5.0
"""Seconds after which the lease of a killed holder is free: the longest that its death holds up a session."""

RENEW_EVERY_S = 1.5
"""Seconds between two renewals: three may be lost before the lease is."""

TOKEN_BYTES = 16
"""Random bytes that tell holders apart."""

TAKE = """
local holder = redis.call('GET', KEYS[1])
if holder and holder ~= ARGV[1] then return 0 end
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
return 1
"""
"""Take or renew: 1, or 0 when somebody else has it. A repeated call is harmless, where ``SET NX`` would refuse it."""

GIVE_BACK = """
if redis.call('GET', KEYS[1]) == ARGV[1] then return redis.call('DEL', KEYS[1]) end
return 0
"""


class Connection(Protocol):
    """What is used of ``RedisConnection``."""

    @property
    def prefix(self) -> str:
        """What every key begins with."""

    async def run(self, operation: str, call: Callable[[Any], Awaitable[T]]) -> T:
        """Call Redis, bounded in time; every fault is StoreUnavailable."""


class LeaseTimes(Struct, frozen=True):
    """How long a lease lives and how often it is renewed, in seconds."""

    ttl_s: float = LEASE_TTL_S
    renew_every_s: float = RENEW_EVERY_S


class RedisRefreshLeases:
    """``ports.RefreshLeases`` of many replicas."""

    def __init__(
        self, connection: Connection, *, clock: Clock, observer: Observer, times: LeaseTimes | None = None
    ) -> None:
        """Hold none."""
        self._connection = connection
        self._clock = clock
        self._observer = observer
        self._times = times or LeaseTimes()
        self._tasks = TaskOwner(lambda fault: observer.error("the renewal of a lease broke", fault=repr(fault)))

    async def acquire(self, key: SessionKey) -> RedisLease | None:
        """Take the lease of this session; None while somebody else holds it.

        Raises:
            StoreUnavailable
        """
        lease = RedisLease(self._connection, f"{self._connection.prefix}l:{key}", clock=self._clock, times=self._times)
        if not await lease.take():
            return None
        lease.renewals = self._tasks.start(lease.renew_until_released(self._said_lost))
        return lease

    async def close(self) -> None:
        """Stop the renewals; what is still held lapses."""
        await self._tasks.close()

    def _said_lost(self) -> None:
        self._observer.warning("another replica took a lease that was held here: this process stood still or was cut "
                               "off for longer than the lease lives")  # fmt: skip


class RedisLease:
    """``ports.Lease``; made and started by :class:`RedisRefreshLeases`.

    Attributes:
        renewals: the task that keeps it; None until it was taken.
    """

    def __init__(self, connection: Connection, name: str, *, clock: Clock, times: LeaseTimes) -> None:
        """Prepare; nothing is asked yet."""
        self._connection = connection
        self._name = name
        self._clock = clock
        self._times = times
        self._token = secrets.token_hex(TOKEN_BYTES)
        self._held_until = float("-inf")
        self._is_lost = False
        self._released = asyncio.Event()
        self.renewals: asyncio.Task[None] | None = None

    def is_held(self) -> bool:
        """Say whether nobody else can have it; False for ever once that was in doubt."""
        self._is_lost = self._is_lost or self._clock.monotonic() >= self._held_until
        return not self._is_lost

    async def take(self) -> bool:
        """Take or renew; False when somebody else has it.

        Raises:
            StoreUnavailable
        """
        asked_at = self._clock.monotonic()
        taken = await self._connection.run("lease_take", self._ask_to_take)
        if taken:
            self._held_until = asked_at + self._times.ttl_s
        return bool(taken)

    async def renew_until_released(self, on_lost: Callable[[], None]) -> None:
        """Renew until :meth:`release`, or until somebody else has it, of which ``on_lost`` hears.

        It goes on when the lease was lost by the clock alone: a refresh token may be spent, and until the new one is
        stored the others had better wait.
        """
        while not await self._is_released_within(self._times.renew_every_s):
            # Asked before the renewal makes it look held again.
            self.is_held()
            with suppress(StoreFault):
                if not await self.take():
                    self._is_lost = True
                    on_lost()
                    return

    async def release(self) -> None:
        """Give it back, after a renewal that is on its way: it would take the lease again."""
        self._released.set()
        if self.renewals is not None:
            await asyncio.wait((self.renewals,))
        with suppress(StoreFault):
            await self._connection.run("lease_release", self._ask_to_give_back)

    async def _is_released_within(self, seconds: float) -> bool:
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                return await self._released.wait()
        return False

    def _ask_to_take(self, redis: Any) -> Awaitable[int]:
        answer: Awaitable[int] = redis.eval(TAKE, 1, self._name, self._token, int(self._times.ttl_s * 1000))
        return answer

    def _ask_to_give_back(self, redis: Any) -> Awaitable[int]:
        answer: Awaitable[int] = redis.eval(GIVE_BACK, 1, self._name, self._token)
        return answer
