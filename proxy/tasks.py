"""Owned tasks: the one place where a task is made.

A bare ``asyncio.create_task`` is collected when nobody holds it, and its exception is lost; the linter bans it
elsewhere. Whoever needs something to go on in the background, or to finish although a client hangs up, has a
:class:`TaskOwner`, which keeps, reports and at the end cancels what it started.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, Final, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

T = TypeVar("T")

CANCEL_AGAIN_S: Final = 1.0
"""Seconds after which a task that still runs is cancelled again: ``asyncio.wait_for`` of Python 3.11, which libraries
use, loses a cancellation that comes when what it waits for is just done (mended in 3.12; python/cpython#86296).
"""


class TaskOwner:
    """Keep tasks alive until they end; ``on_fault`` hears of each that ends with an exception nobody awaited."""

    def __init__(self, on_fault: Callable[[BaseException], None]) -> None:
        """Start with no task."""
        self._tasks: set[asyncio.Task[Any]] = set()
        self._on_fault = on_fault

    def start(self, work: Coroutine[Any, Any, T]) -> asyncio.Task[T]:
        """Run ``work`` in the background and keep it; its fault is reported."""
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._ended)
        return task

    async def finish(self, work: Coroutine[Any, Any, T]) -> T:
        """Await ``work`` so that it goes on when the caller is cancelled (token rotation, store writes)."""
        return await asyncio.shield(self.start(work))

    async def close(self) -> None:
        """Cancel what still runs and wait for it."""
        running = set(self._tasks)
        while running:
            for task in running:
                task.cancel()
            _, running = await asyncio.wait(running, timeout=CANCEL_AGAIN_S)

    def _ended(self, task: asyncio.Task[Any]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (fault := task.exception()) is not None:
            self._on_fault(fault)
