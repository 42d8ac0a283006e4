"""What tests of the connections to Redis share: started parts, and whoever listens."""

from __future__ import annotations

import asyncio
import contextlib
import time
from typing import TYPE_CHECKING, Any

from proxy.clock import SystemClock
from proxy.sessions.redis_connection import Alone, RedisConnection, RedisOptions, TcpNode
from proxy.sessions.tracking import Tracking
from tests.redis.server import HOST
from tests.support.observers import RecordingObserver

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

PATIENCE_S = 10.0


def alone(port: int, **further: Any) -> RedisOptions:
    """Options for a Redis alone on this port."""
    return RedisOptions(topology=Alone(TcpNode(HOST, port)), **further)


async def until(is_so: Callable[[], object], *, within_s: float = PATIENCE_S) -> float:
    """Wait until ``is_so()``; the seconds that it took."""
    began_at = time.monotonic()
    while not is_so():
        assert time.monotonic() - began_at < within_s, f"not so after {within_s} s"
        await asyncio.sleep(0.002)
    return time.monotonic() - began_at


@contextlib.asynccontextmanager
async def started(options: RedisOptions, observer: RecordingObserver | None = None) -> AsyncIterator[RedisConnection]:
    """A connection that has looked once."""
    connection = RedisConnection(options, observer or RecordingObserver(), SystemClock())
    await connection.start()
    try:
        yield connection
    finally:
        await connection.close()


class Listener:
    """Remembers what changed; ``emptied`` counts how often everything did."""

    def __init__(self) -> None:
        """Begin with nothing heard."""
        self.names: list[bytes] = []
        self.emptied = 0
        self.new_primaries = 0

    def changed(self, name: bytes) -> None:
        self.names.append(name)

    def everything_changed(self) -> None:
        self.emptied += 1

    def primary_changed(self) -> None:
        self.new_primaries += 1

    def forget(self) -> None:
        """Begin anew."""
        self.names.clear()
        self.emptied = self.new_primaries = 0


class Tracked:
    """A connection, its tracking, and what was heard."""

    def __init__(self, connection: RedisConnection, observer: RecordingObserver) -> None:
        """Begin with nothing heard."""
        self.connection = connection
        self.observer = observer
        self.heard = Listener()
        self.tracking = Tracking(
            connection,
            self.heard,
            observer=observer,
            clock=SystemClock(),
            on_new_primary=self.heard.primary_changed,
        )

    async def until_trusted(self) -> None:
        """Wait until the cache may be believed, then begin anew with listening."""
        await until(self.tracking.is_trusted)
        self.heard.forget()

    async def until_heard(self, name: bytes) -> float:
        """Wait until this key changed; the seconds that it took."""
        return await until(lambda: name in self.heard.names)


@contextlib.asynccontextmanager
async def tracked(options: RedisOptions) -> AsyncIterator[Tracked]:
    """Tracking that has been started."""
    observer = RecordingObserver()
    async with started(options, observer) as connection:
        parts = Tracked(connection, observer)
        await parts.tracking.start()
        try:
            yield parts
        finally:
            await parts.tracking.close()
