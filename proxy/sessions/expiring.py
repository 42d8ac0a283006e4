"""Bookkeeping of things that end by themselves: synchronous, without a clock of its own, bounded.

``Deadlines`` says what is due; ``ExpiringMap`` is a map with a cap whose entries have an end. Both work in
O(log n) for each change, so that a full store costs no more than an empty one.
"""

from __future__ import annotations

import heapq
from typing import Generic, TypeVar

K = TypeVar("K")
V = TypeVar("V")

STALE_ALLOWANCE = 64
"""Stale heap entries that are tolerated before the heap is built anew; above it they may be half of the heap."""


class Deadlines(Generic[K]):
    """Instants by key, the next one first. Each key has one deadline; a later ``schedule`` replaces it."""

    def __init__(self) -> None:
        """Begin with no deadline."""
        self._at: dict[K, float] = {}
        self._heap: list[tuple[float, int, K]] = []
        self._count = 0

    def __len__(self) -> int:
        """Return how many keys have a deadline."""
        return len(self._at)

    @property
    def heap_size(self) -> int:
        """Entries held, stale ones included: never more than twice the keys plus ``STALE_ALLOWANCE``."""
        return len(self._heap)

    def schedule(self, key: K, at: float) -> None:
        """Give ``key`` the deadline ``at`` (any unit, as long as it is always the same)."""
        if self._at.get(key) == at:
            return
        self._at[key] = at
        # The counter decides between equal instants, because keys need not be comparable.
        self._count += 1
        heapq.heappush(self._heap, (at, self._count, key))
        self._compact()

    def forget(self, key: K) -> None:
        """Take the deadline of ``key`` away; nothing happens when it has none."""
        if self._at.pop(key, None) is not None:
            self._compact()

    def pop_due(self, now: float) -> K | None:
        """Remove and return the key whose deadline is the earliest at or before ``now``; None when nothing is due."""
        self._drop_stale()
        if not self._heap or self._heap[0][0] > now:
            return None
        return self._pop()

    def pop_first(self) -> K | None:
        """Remove and return the key with the earliest deadline, due or not; None when there is no key."""
        self._drop_stale()
        return self._pop() if self._heap else None

    def _pop(self) -> K:
        _, _, key = heapq.heappop(self._heap)
        del self._at[key]
        return key

    def _drop_stale(self) -> None:
        while self._heap and self._at.get(self._heap[0][2]) != self._heap[0][0]:
            heapq.heappop(self._heap)

    def _compact(self) -> None:
        """Keep the heap in proportion: what is forgotten early would otherwise stay until its time (law 12)."""
        if len(self._heap) <= 2 * len(self._at) + STALE_ALLOWANCE:
            return
        self._heap = [(at, count, key) for at, count, key in self._heap if self._at.get(key) == at]
        heapq.heapify(self._heap)


class ExpiringMap(Generic[K, V]):
    """At most ``cap`` entries, each with the instant from which on it is no longer there."""

    def __init__(self, cap: int) -> None:
        """Begin empty; ``cap`` is a number of entries, at least 1."""
        self._cap = cap
        self._values: dict[K, tuple[V, float]] = {}
        self._deadlines: Deadlines[K] = Deadlines()

    def __len__(self) -> int:
        """Return how many entries are held, those included whose end has passed and that were not swept yet."""
        return len(self._values)

    def get(self, key: K, now: float) -> V | None:
        """Return the value of ``key``, or None when there is none or its end has come."""
        entry = self._values.get(key)
        return entry[0] if entry is not None and now < entry[1] else None

    def put(self, key: K, value: V, until: float) -> None:
        """Keep ``value`` until the instant ``until``; the caller has made room (:meth:`is_full`)."""
        self._values[key] = (value, until)
        self._deadlines.schedule(key, until)

    def is_full(self, now: float) -> bool:
        """Say whether a further key would exceed the cap, after what has ended was swept out."""
        if len(self._values) >= self._cap:
            self.sweep(now)
        return len(self._values) >= self._cap

    def pop_first(self) -> V | None:
        """Remove and return the value that would end first; None when empty."""
        key = self._deadlines.pop_first()
        return None if key is None else self._values.pop(key)[0]

    def discard(self, key: K) -> None:
        """Remove ``key`` if it is there."""
        if self._values.pop(key, None) is not None:
            self._deadlines.forget(key)

    def sweep(self, now: float) -> None:
        """Remove every entry whose end has come."""
        while (key := self._deadlines.pop_due(now)) is not None:
            del self._values[key]
