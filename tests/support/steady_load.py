"""Load that keeps to its timetable whatever the server does, and repeats nothing: what fails, has failed."""

from __future__ import annotations

import asyncio
import contextlib
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable

PATIENCE_S = 10.0
Pair = tuple[asyncio.StreamReader, asyncio.StreamWriter]


@dataclass
class SteadyLoad:
    """Requests at an even pace over kept connections.

    Attributes:
        requests: sent in turn; each must have an answer with Content-Length.
        tls: for a door that speaks TLS; None: in clear.
        answered: seconds from the due instant to the whole answer, of those with status 200.
        failures: what became of the others, in words.
    """

    port: int
    requests: list[bytes]
    answered: list[float] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)
    connections: int = 0
    tls: ssl.SSLContext | None = None
    _idle: list[Pair] = field(default_factory=list)

    async def run(self, *, per_second: float, until: Callable[[], bool]) -> None:
        """Send until ``until()``, then wait for the answers that are still due."""
        loop = asyncio.get_running_loop()
        begun, sent = loop.time(), 0
        asking: set[asyncio.Task[None]] = set()
        while not until():
            task = loop.create_task(self._ask(self.requests[sent % len(self.requests)], begun + sent / per_second))
            asking.add(task)
            task.add_done_callback(asking.discard)
            sent += 1
            await asyncio.sleep(max(0.0, begun + sent / per_second - loop.time()))
        await asyncio.gather(*asking)

    def close(self) -> None:
        """End what is kept."""
        for _, writer in self._idle:
            writer.transport.abort()

    async def _ask(self, request: bytes, due: float) -> None:
        try:
            async with asyncio.timeout(PATIENCE_S):
                await self._ask_once(request)
        except (OSError, EOFError, TimeoutError) as fault:
            self.failures.append(f"{request.partition(b' ')[0].decode()}: {fault!r}")
        else:
            self.answered.append(asyncio.get_running_loop().time() - due)

    async def _ask_once(self, request: bytes) -> None:
        reader, writer = self._take() or await self._dial()
        is_kept = False
        try:
            writer.write(request)
            head = await reader.readuntil(b"\r\n\r\n")
            length = re.search(rb"(?i)\r\ncontent-length: *(\d+)", head)
            await reader.readexactly(int(length[1]) if length else 0)
            if b" 200 " not in head[:13]:
                raise ConnectionError(head.partition(b"\r\n")[0].decode())
            is_kept = b"connection: close" not in head.lower()
        finally:
            if is_kept:
                self._idle.append((reader, writer))
            else:
                with contextlib.suppress(RuntimeError):
                    writer.close()

    def _take(self) -> Pair | None:
        """Return a kept connection that nobody has ended."""
        while self._idle:
            reader, writer = self._idle.pop(0)
            if not reader.at_eof():
                return reader, writer
            writer.close()
        return None

    async def _dial(self) -> Pair:
        self.connections += 1
        return await asyncio.open_connection("127.0.0.1", self.port, ssl=self.tls)
