"""What was met in the last seconds, and is forgotten when nobody meets it again.

Two generations: what is asked for moves to the younger, and :meth:`Recent.age` drops the elder. So an entry lives
between one and two intervals after it was last of use, without a clock.
"""

from __future__ import annotations

from typing import Generic, TypeVar

K = TypeVar("K")
V = TypeVar("V")


class Recent(Generic[K, V]):
    """A bounded mapping that forgets; see the module."""

    __slots__ = ("_elder", "_max_entries", "_younger")

    def __init__(self, max_entries: int) -> None:
        """Hold at most ``max_entries`` in each generation; what comes when it is full is not kept."""
        self._max_entries = max_entries
        self._younger: dict[K, V] = {}
        self._elder: dict[K, V] = {}

    def __len__(self) -> int:
        """Count the entries."""
        return len(self._younger) + len(self._elder)

    def get(self, key: K) -> V | None:
        """Return what is kept under ``key``, for another while, or None."""
        value = self._younger.get(key)
        if value is None and self._elder:
            value = self._elder.pop(key, None)
            if value is not None:
                self.keep(key, value)
        return value

    def keep(self, key: K, value: V) -> None:
        """Keep an entry in the place of an older one."""
        if len(self._younger) < self._max_entries or key in self._younger:
            self._younger[key] = value

    def forget(self, key: K) -> None:
        """Drop an entry."""
        self._younger.pop(key, None)
        self._elder.pop(key, None)

    def age(self) -> None:
        """Drop what was not of use since the last time."""
        self._elder, self._younger = self._younger, {}
