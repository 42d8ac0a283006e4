"""Bookkeeping of idle upstream connections, without I/O: it returns what to close, and somebody else closes it.

The last one given back is taken first, so that those not needed grow old. A connection is in the pool or belongs to
one exchange, never both.
"""

from __future__ import annotations

from typing import Generic, Protocol, TypeVar


class Poolable(Protocol):
    """A connection."""

    @property
    def is_usable(self) -> bool:
        """Say whether nothing has ended or spoilt it."""


C = TypeVar("C", bound=Poolable)


class Pool(Generic[C]):
    """Idle connections of one origin, with the monotonic instant until which each may be used."""

    def __init__(self, *, max_idle: int, idle_s: float) -> None:
        """Keep at most ``max_idle`` connections, each for ``idle_s`` at most."""
        self._max_idle = max_idle
        self._idle_s = idle_s
        self._idle: dict[C, float] = {}

    def __len__(self) -> int:
        """Count the idle ones."""
        return len(self._idle)

    def take(self, now: float) -> tuple[C | None, list[C]]:
        """Return the freshest usable connection, or None, and those found over, which the caller closes."""
        over: list[C] = []
        while self._idle:
            connection, until = self._idle.popitem()
            if until > now and connection.is_usable:
                return connection, over
            over.append(connection)
        return None, over

    def put(self, connection: C, now: float, *, at_most_s: float | None = None) -> list[C]:
        """Keep a connection until ``idle_s`` or ``at_most_s`` from now, whichever is sooner; returns what to close."""
        keep_s = self._idle_s if at_most_s is None else min(self._idle_s, at_most_s)
        if keep_s <= 0:
            return [connection]
        self._idle[connection] = now + keep_s
        if len(self._idle) <= self._max_idle:
            return []
        oldest = next(iter(self._idle))
        del self._idle[oldest]
        return [oldest]

    def remove(self, connection: C) -> None:
        """Forget a connection that ended by itself."""
        self._idle.pop(connection, None)

    def expired(self, now: float) -> list[C]:
        """Take out what has been idle for too long."""
        over = [connection for connection, until in self._idle.items() if until <= now]
        for connection in over:
            del self._idle[connection]
        return over

    def retire(self) -> list[C]:
        """Take out everything, and keep nothing from now on."""
        self._idle_s = 0.0
        return self.empty()

    def empty(self) -> list[C]:
        """Take out everything."""
        over = list(self._idle)
        self._idle.clear()
        return over
