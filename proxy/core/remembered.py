"""What was computed of a name, remembered: clients send the same few hundred names again and again.

Clients can also invent names, so there is a cap; what is beyond it is computed each time.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

MAX_REMEMBERED = 1024
"""Names that one memory holds; browsers and proxies together send some two hundred."""

MAX_NAME_LENGTH = 64
"""Bytes of a name that is remembered; the longest in IANA's registry has 45."""

Value = TypeVar("Value")


class Remembered(dict[bytes, Value]):
    """A function of a name as a dictionary: ``remembered[name]`` costs a lookup after the first time."""

    __slots__ = ("_compute",)

    def __init__(self, compute: Callable[[bytes], Value]) -> None:
        """Remember what ``compute``, which is pure, returns."""
        super().__init__()
        self._compute = compute

    def __missing__(self, name: bytes) -> Value:
        """Compute, and keep it while there is room."""
        value = self._compute(name)
        if len(self) < MAX_REMEMBERED and len(name) <= MAX_NAME_LENGTH:
            self[name] = value
        return value
