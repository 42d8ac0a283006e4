"""Two that work at the same time on one Redis, taking turns as a test says."""

from __future__ import annotations

import asyncio
from itertools import combinations
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Coroutine, Iterator

    from proxy.ports import Readiness
    from proxy.sessions.redis_connection import RedisConnection

T = TypeVar("T")


class SteppedConnection:
    """A connection on which each call waits until it is let go; ``is_free`` lets all go."""

    def __init__(self, connection: RedisConnection) -> None:
        """Let all calls go, until ``is_free`` is taken away."""
        self._connection = connection
        self._may_go = asyncio.Semaphore(0)
        self.prefix = connection.prefix
        self.is_free = True
        self.waits = asyncio.Event()

    def readiness(self) -> Readiness:
        """As the connection says."""
        return self._connection.readiness()

    async def run(self, operation: str, call: Callable[[Any], Awaitable[T]]) -> T:
        """Wait for the turn, then call."""
        if not self.is_free:
            self.waits.set()
            await self._may_go.acquire()
        return await self._connection.run(operation, call)

    def let_one_go(self) -> None:
        """Give a turn."""
        self.waits.clear()
        self._may_go.release()


class Actor:
    """Somebody who does something over a stepped connection, one call each turn."""

    def __init__(self, connection: SteppedConnection, work: Coroutine[Any, Any, object]) -> None:
        """Begin, up to the first call."""
        self._connection = connection
        connection.is_free = False
        connection.waits.clear()
        self.task = asyncio.ensure_future(work)

    async def take_a_turn(self) -> None:
        """Do one call and all that follows from it, up to the next call; nothing when the work is done."""
        await self._until_it_waits()
        if not self.task.done():
            self._connection.let_one_go()
            await self._until_it_waits()

    async def finish(self) -> object:
        """Do the rest; return what came of it, or the exception."""
        while not self.task.done():
            await self.take_a_turn()
        self._connection.is_free = True
        return self.task.exception() or self.task.result()

    async def _until_it_waits(self) -> None:
        waits = asyncio.ensure_future(self._connection.waits.wait())
        await asyncio.wait({self.task, waits}, return_when=asyncio.FIRST_COMPLETED)
        waits.cancel()


def interleavings(first: int, second: int) -> Iterator[str]:
    """Every order in which ``first`` turns of A and ``second`` turns of B can follow one another."""
    for places in combinations(range(first + second), first):
        yield "".join("A" if place in places else "B" for place in range(first + second))
