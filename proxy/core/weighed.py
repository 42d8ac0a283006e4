"""A cache that has an end in number and in bytes: what came first goes first (law 12).

Who shows what decides how large it is: a token may carry a thousand roles, and ten thousand of those are no longer
some megabytes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Generic, TypeVar

if TYPE_CHECKING:
    from proxy.core.secret import Secret

Key = TypeVar("Key")
Value = TypeVar("Value")

DECODED_FACTOR = 4
"""Bytes of memory for each character of a token, about: itself, its claims, the identity and the objects around."""


def decoded_weight(*tokens: Secret | None) -> int:
    """Return how many bytes these tokens take once their claims are read, about."""
    return DECODED_FACTOR * sum(len(token.reveal()) for token in tokens if token is not None)


class Weighed(dict[Key, Value], Generic[Key, Value]):
    """Values by key, at most so many and of so many bytes together; read as a dictionary, written by :meth:`put`."""

    def __init__(self, *, entries: int, in_all: int) -> None:
        """Begin empty.

        Args:
            entries: values at most.
            in_all: bytes of them together at most.
        """
        super().__init__()
        self._entries = entries
        self._in_all = in_all
        self._weights: dict[Key, int] = {}
        self.weight = 0

    def put(self, key: Key, value: Value, weight: int) -> None:
        """Keep ``value`` of about ``weight`` bytes as the newest; one that is too large by itself is not kept."""
        self.forget(key)
        if weight > self._in_all:
            return
        while len(self) >= self._entries or self.weight + weight > self._in_all:
            self.forget(next(iter(self)))
        self[key] = value
        self._weights[key] = weight
        self.weight += weight

    def forget(self, key: Key) -> None:
        """Let go of what is kept under ``key``, if anything is."""
        if self.pop(key, None) is not None:
            self.weight -= self._weights.pop(key)
