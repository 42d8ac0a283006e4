"""How often one address may ask for what costs us something and proves nothing about who asks.

A bucket of ``burst`` that gains one every ``refill_s``; of each address only the instant is kept at which its bucket is
full again.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from proxy.web.flow_quota import counted_address

if TYPE_CHECKING:
    from proxy.ports import Clock

MAX_ADDRESSES = 10_000
"""Addresses told apart (about 2 MiB); those beyond share one bucket, so that no crowd makes room for itself."""

EVERYBODY_ELSE = "everybody else"


class AddressBudget:
    """Budgets by address; an IPv6 address counts by its /64."""

    def __init__(self, clock: Clock, *, burst: int, refill_s: float) -> None:
        """Begin with every bucket full; ``burst`` is a number of requests, ``refill_s`` seconds for one more."""
        self._clock = clock
        self._depth_s = burst * refill_s
        self._refill_s = refill_s
        self._full_at: dict[str, float] = {}

    def __len__(self) -> int:
        """Return how many budgets are remembered."""
        return len(self._full_at)

    def spend(self, address: str) -> bool:
        """Take one; False when there is none left."""
        now = self._clock.monotonic()
        name = self._bucket(counted_address(address), now)
        full_at = max(self._full_at.get(name, now), now) + self._refill_s
        # Half a step of grace: a hundred sums of a tenth are not ten to the last bit.
        if full_at - now > self._depth_s + self._refill_s / 2:
            return False
        self._full_at[name] = full_at
        return True

    def has_any(self, address: str) -> bool:
        """Say whether :meth:`spend` would take one, without taking it."""
        now = self._clock.monotonic()
        full_at = max(self._full_at.get(self._bucket(counted_address(address), now), now), now)
        return full_at + self._refill_s / 2 - now <= self._depth_s

    def _bucket(self, name: str, now: float) -> str:
        if name in self._full_at or len(self._full_at) < MAX_ADDRESSES:
            return name
        self._full_at = {known: at for known, at in self._full_at.items() if at > now}
        return name if len(self._full_at) < MAX_ADDRESSES else EVERYBODY_ELSE
