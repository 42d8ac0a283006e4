"""The throttle of sign-ins: failures of each person, each address and each known browser, in moving windows.

What lives here: which limits a try is under, and the names under which failures are counted. The arithmetic is that of
the ``limits`` library; where its entries lie is the business of :mod:`memory_throttle` and :mod:`redis_throttle`.

Nobody is counted by name. A limit has a fixed number of *places*, and an HMAC says which is whose. So there is nothing
that a flood of invented names could push out, memory has an end however many there are, and nobody can choose with whom
to share a place. That two people share one is as likely as one in the number of places, and matters only while one of
them is refused.
"""

from __future__ import annotations

from contextlib import suppress
from math import ceil
from typing import TYPE_CHECKING, Final

from limits import RateLimitItemPerSecond
from limits.aio.strategies import MovingWindowRateLimiter
from msgspec import Struct

from proxy.core.throttle import Rate
from proxy.errors import StoreUnavailable, Throttled

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from proxy.core.throttle import ThrottleRules
    from proxy.ports import Attempt
    from proxy.sessions.failure_windows import FailureWindows

MAX_PLACES: Final = 1 << 16
"""Places of one limit at most; with 20 people refused, somebody else meets a taken one with a chance of 1 in 3,277."""

MAX_FAILURES: Final = 1 << 20
"""Failures that one limit remembers at most, in all its places: 8 MiB of instants in memory, 30 MiB in Redis."""

DIGITS: Final = 16
"""Hexadecimal digits of a digest that choose a place: 64 bits, so that no place is likelier than another."""

KNOWN_AT_ONCE: Final = 4
"""Known browsers of one person whose whole budget may be spent at once; a thief with many marks gets no further."""


class _Limit(Struct, frozen=True):
    """One limit that a try is under: its name for people, its rate, and the place where its failures lie."""

    name: str
    item: RateLimitItemPerSecond
    place: str


class FailureThrottle:
    """``ports.Throttle``."""

    def __init__(self, windows: FailureWindows, *, rules: ThrottleRules, digest: Callable[[str], str]) -> None:
        """Keep what each try needs.

        Args:
            digest: text to hex, under a key that nobody outside knows and every replica shares.
        """
        self._windows = windows
        self._limiter = MovingWindowRateLimiter(windows)
        self._rules = rules
        self._digest = digest

    async def check(self, attempt: Attempt) -> None:
        """Return when a try may go on.

        Raises:
            Throttled, StoreUnavailable
        """
        for limit in self._limits(attempt):
            if not await self._limiter.test(limit.item, limit.place):
                raise await self._throttled(limit)

    async def reserve(self, attempt: Attempt) -> None:
        """Count a try as failed, under every limit or none.

        Raises:
            Throttled, StoreUnavailable
        """
        taken: list[_Limit] = []
        for limit in self._limits(attempt):
            if not await self._limiter.hit(limit.item, limit.place):
                await self._release(taken)
                raise await self._throttled(limit)
            taken.append(limit)

    async def give_back(self, attempt: Attempt) -> None:
        """Take back what was counted; never raises."""
        await self._release(self._limits(attempt))

    async def _release(self, limits: Iterable[_Limit]) -> None:
        for limit in limits:
            # What the store does not take back counts until it runs out: that is the safe side.
            with suppress(StoreUnavailable):
                await self._windows.release_entry(limit.item.key_for(limit.place))

    async def _throttled(self, limit: _Limit) -> Throttled:
        reset_at, _ = await self._limiter.get_window_stats(limit.item, limit.place)
        # Never beyond the window, though another replica's clock be ahead: the key itself lasts no longer.
        wait_s = min(max(1, ceil(reset_at - self._windows.now())), limit.item.get_expiry())
        return Throttled(
            f"too many sign-ins failed: the limit per {limit.name} holds", limit=limit.name, retry_after_s=wait_s
        )

    def _limits(self, attempt: Attempt) -> Iterator[_Limit]:
        per_user, per_address = self._rules.per_user, self._rules.per_address
        if per_user is not None and attempt.known_browser is None:
            yield self._limit("user", per_user, attempt.username)
        if per_user is not None and attempt.known_browser is not None:
            together = Rate(per_user.failures * KNOWN_AT_ONCE, per_user.window_s)
            yield self._limit("known_browser", per_user, attempt.known_browser)
            yield self._limit("known_browsers", together, attempt.username)
        if per_address is not None and attempt.address is not None:
            yield self._limit("address", per_address, attempt.address)

    def _limit(self, name: str, rate: Rate, who: str) -> _Limit:
        digest = int(self._digest(f"throttle\0{name}\0{self._rules.issuer}\0{who}")[:DIGITS], 16)
        place = digest % min(MAX_PLACES, MAX_FAILURES // rate.failures)
        return _Limit(name, RateLimitItemPerSecond(rate.failures, rate.window_s, name), f"{place:x}")
