"""A TCP proxy whose connections a test pauses, delays and cuts: the network between two parts, in the test's hand.

It runs in a thread with a loop of its own, so that tests with and without a loop use it alike; what a method does is in
force when it returns.
"""

from __future__ import annotations

import asyncio
import socket
import struct
import threading
from collections import deque
from enum import Enum
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

HOST = "127.0.0.1"
CALL_TIMEOUT_S = 10.0
TIMER_SLACK_S = 0.001


class Flow(Enum):
    """What becomes of bytes."""

    PASSES = "passes"
    ANSWERS_STOPPED = "answers stopped"
    STOPPED = "stopped"


class PausingProxy:
    """Connections to ``127.0.0.1:<port>`` are passed on to ``127.0.0.1:<target_port>``.

    Attributes:
        target_port: may be changed; connections made from then on go there.
        accepted: how many connections were ever accepted.
    """

    def __init__(self, target_port: int) -> None:
        """Nothing runs before :meth:`start`."""
        self.target_port = target_port
        self.accepted = 0
        self.port = 0
        self.flow = Flow.PASSES
        self.delay_s = 0.0
        self._pairs: set[_Pair] = set()
        self._server: asyncio.Server | None = None
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._run, name=f"proxy of {target_port}", daemon=True)

    @property
    def address(self) -> str:
        """``127.0.0.1:<port>``."""
        return f"{HOST}:{self.port}"

    @property
    def open_connections(self) -> int:
        """How many are open now."""
        return len(self._pairs)

    # -- its life

    def start(self) -> Self:
        """Listen on a free port; returns itself."""
        self._thread.start()
        self._call(self._listen)
        return self

    def stop(self) -> None:
        """End the listener, every connection and the thread."""
        self._call(self._refuse)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(CALL_TIMEOUT_S)
        self._loop.close()

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.stop()

    # -- the network

    def pause(self) -> None:
        """Hold every byte back, both ways and on new connections too: silence without FIN or RST. Nothing is lost."""
        self._call(lambda: self._set_flow(Flow.STOPPED))

    def pause_answers(self) -> None:
        """Pass on what the client says, and hold back what it is answered."""
        self._call(lambda: self._set_flow(Flow.ANSWERS_STOPPED))

    def resume(self) -> None:
        """Pass everything again: what was held back first; listen again after :meth:`refuse`."""

        async def resume() -> None:
            if self._server is None:
                await self._listen()
            await self._set_flow(Flow.PASSES)

        self._call(resume)

    def delay(self, seconds: float) -> None:
        """Deliver what arrives from now on this much later, each way; 0 takes it back."""
        self.delay_s = seconds

    def cut(self) -> None:
        """Break every connection (RST at both ends); new ones are accepted."""
        self._call(self._cut)

    def refuse(self) -> None:
        """Break every connection, and refuse new ones until :meth:`resume`."""
        self._call(self._refuse)

    # -- inside its loop

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        self._loop.run_forever()

    def _call(self, work: Callable[[], Coroutine[None, None, None]]) -> None:
        asyncio.run_coroutine_threadsafe(work(), self._loop).result(CALL_TIMEOUT_S)

    async def _listen(self) -> None:
        self._server = await self._loop.create_server(lambda: _Pair(self).client, HOST, self.port, backlog=1024)
        self.port = self._server.sockets[0].getsockname()[1]

    async def _refuse(self) -> None:
        if self._server is not None:
            self._server.close()
            self._server = None
        await self._cut()

    async def _cut(self) -> None:
        for pair in list(self._pairs):
            pair.break_off()

    async def _set_flow(self, flow: Flow) -> None:
        self.flow = flow
        for pair in list(self._pairs):
            pair.obey()

    def opened(self, pair: _Pair) -> None:
        """Hear of a new connection."""
        self.accepted += 1
        self._pairs.add(pair)

    def closed(self, pair: _Pair) -> None:
        """Hear that one is over."""
        self._pairs.discard(pair)


class _Pair:
    """One connection: the side of the client and the side of the target."""

    def __init__(self, proxy: PausingProxy) -> None:
        self.proxy = proxy
        self.client = _Side(self)
        self.target = _Side(self)
        self._dialling: asyncio.Task[None] | None = None

    def other(self, side: _Side) -> _Side:
        """Return where the bytes of ``side`` go."""
        return self.target if side is self.client else self.client

    def may_pass(self, side: _Side) -> bool:
        """Say whether bytes of ``side`` are passed on now."""
        if side is self.client:
            return self.proxy.flow is not Flow.STOPPED and self.target.transport is not None
        return self.proxy.flow is Flow.PASSES

    def opened(self) -> None:
        """Begin; while everything is stopped nobody is dialled."""
        self.proxy.opened(self)
        self.obey()

    def obey(self) -> None:
        """Do what the proxy was told last."""
        if self.target.transport is None and self._dialling is None and self.proxy.flow is not Flow.STOPPED:
            self._dialling = asyncio.get_running_loop().create_task(self._dial())
        for side in (self.client, self.target):
            side.obey()

    async def _dial(self) -> None:
        try:
            await asyncio.get_running_loop().create_connection(lambda: self.target, HOST, self.proxy.target_port)
        except OSError:
            self.break_off()
        else:
            self.obey()

    def closed(self) -> None:
        """End both sides, what is written first."""
        self.proxy.closed(self)
        for side in (self.client, self.target):
            side.close()

    def break_off(self) -> None:
        """End both sides at once, with RST."""
        self.proxy.closed(self)
        if self._dialling is not None:
            self._dialling.cancel()
        for side in (self.client, self.target):
            side.break_off()


class _Side(asyncio.Protocol):
    """One end of a connection; reads only while its bytes may pass and the other end takes them."""

    def __init__(self, pair: _Pair) -> None:
        self.transport: asyncio.Transport | None = None
        self._pair = pair
        self._held: deque[tuple[float, bytes]] = deque()
        self._is_full = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport
        transport.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if self is self._pair.client:
            self._pair.opened()
        else:
            self.obey()

    def data_received(self, data: bytes) -> None:
        loop = asyncio.get_running_loop()
        delay_s = self._pair.proxy.delay_s
        self._held.append((loop.time() + delay_s, data))
        if delay_s:
            # A timer may come a moment before the instant that it was asked for.
            loop.call_later(delay_s + TIMER_SLACK_S, self._deliver)
        else:
            self._deliver()

    def _deliver(self) -> None:
        """Pass on what is due, in order, as long as it may pass."""
        now = asyncio.get_running_loop().time()
        while self._held and self._held[0][0] <= now and self._pair.may_pass(self):
            self._pair.other(self).write(self._held.popleft()[1])

    def write(self, data: bytes) -> None:
        """Send, unless this end is over."""
        if self.transport is not None and not self.transport.is_closing():
            self.transport.write(data)

    def obey(self) -> None:
        """Read or do not read, as the pair says."""
        if self.transport is None or self.transport.is_closing():
            return
        if self._pair.may_pass(self) and not self._pair.other(self)._is_full:
            self._deliver()
            self.transport.resume_reading()
        else:
            self.transport.pause_reading()

    def pause_writing(self) -> None:
        self._is_full = True
        self._pair.other(self).obey()

    def resume_writing(self) -> None:
        self._is_full = False
        self._pair.other(self).obey()

    def connection_lost(self, exc: Exception | None) -> None:
        self._pair.closed()

    def close(self) -> None:
        """End in order."""
        if self.transport is not None:
            self.transport.close()

    def break_off(self) -> None:
        """End with RST."""
        if self.transport is not None:
            # Lingering for zero seconds is how a socket is told to send RST instead of FIN.
            self.transport.get_extra_info("socket").setsockopt(
                socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0)
            )
            self.transport.abort()
