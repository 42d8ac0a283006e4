"""Wait for what another replica, task or thread will bring about."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

T = TypeVar("T")


async def eventually(look: Callable[[], Awaitable[T]], expected: T, *, within_s: float = 10.0) -> None:
    """Look again until ``look`` returns ``expected``; fail with the last answer after ``within_s`` seconds."""
    deadline = time.monotonic() + within_s
    while (seen := await look()) != expected:
        assert time.monotonic() < deadline, f"still {seen!r}, not {expected!r}, after {within_s} s"
        await asyncio.sleep(0.005)
