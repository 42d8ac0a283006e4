"""A small TCP load balancer: it looks at ``/readyz`` of its replicas and gives new connections to those that are ready.

As a service of Kubernetes or a layer-4 balancer does: it knows no HTTP, moves no connection, repeats no request.
"""

from __future__ import annotations

import asyncio
import contextlib
from contextlib import asynccontextmanager
from itertools import count
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from tests.support.sidegate_process import SidegateProcess

LOOK_EVERY_S = 0.1


class Balancer:
    """See the module.

    Attributes:
        replicas: add and remove while it runs.
        port: where it listens on 127.0.0.1.
        refused: connections for which no replica could be had.
    """

    def __init__(self) -> None:
        """Begin without replicas."""
        self.replicas: list[SidegateProcess] = []
        self.port = 0
        self.refused = 0
        self._ready: list[SidegateProcess] = []
        self._turn = count()
        self._tasks: set[asyncio.Task[None]] = set()

    async def look(self) -> None:
        """Ask every replica once."""
        replicas = list(self.replicas)
        statuses = await asyncio.gather(*(asyncio.to_thread(replica.readiness) for replica in replicas))
        self._ready = [replica for replica, status in zip(replicas, statuses, strict=True) if status == 200]

    async def look_on(self) -> None:
        """Ask them again and again."""
        while True:
            await self.look()
            await asyncio.sleep(LOOK_EVERY_S)

    def accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serve one client."""
        task = asyncio.get_running_loop().create_task(self._serve(reader, writer))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        behind = await self._connect()
        if behind is None:
            self.refused += 1
            writer.transport.abort()
            return
        try:
            await asyncio.gather(_pass_on(reader, behind[1]), _pass_on(behind[0], writer))
        finally:
            writer.transport.abort()
            behind[1].transport.abort()

    async def _connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter] | None:
        """Connect to a ready replica; one that takes no connection any more is passed over."""
        for _ in range(2 * len(self._ready)):
            replica = self._ready[next(self._turn) % len(self._ready)]
            with contextlib.suppress(OSError):
                return await asyncio.open_connection("127.0.0.1", replica.port)
        return None

    async def close(self) -> None:
        """End every connection."""
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)


async def _pass_on(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(ConnectionError):
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()
        if writer.can_write_eof():
            writer.write_eof()


@asynccontextmanager
async def balancing(*replicas: SidegateProcess) -> AsyncIterator[Balancer]:
    """Balance between these replicas, and those added later, until the block ends."""
    balancer = Balancer()
    balancer.replicas += replicas
    server = await asyncio.start_server(balancer.accept, "127.0.0.1", 0, backlog=1024)
    balancer.port = server.sockets[0].getsockname()[1]
    await balancer.look()
    looking = asyncio.get_running_loop().create_task(balancer.look_on())
    try:
        yield balancer
    finally:
        looking.cancel()
        await asyncio.gather(looking, return_exceptions=True)
        server.close()
        await balancer.close()
