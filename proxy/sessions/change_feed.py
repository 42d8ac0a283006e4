"""What one primary says of changes, over one connection: pushes, and a heartbeat that tells how far they reach.

Redis says it itself: ``CLIENT TRACKING ON BCAST`` (Redis 6, RESP3) names every key under our prefixes that is written,
deleted, expires or is evicted, whoever does it, ourselves included: a change of our own passes the same way, so there
is one way. Where it is refused, replicas tell one another on a channel (``TOLD``); that says nothing of ``redis-cli``,
expiry and eviction, and a message may be lost, so what is heard is believed for a short time only.

One connection asks for the pushes, receives them and is pinged. With two, the one that asked may die, and the other
goes on answering PING. A PONG is a barrier: Redis writes what was changed before the PING was read before its answer.
"""

from __future__ import annotations

import asyncio
import contextlib
from enum import StrEnum
from typing import TYPE_CHECKING, Protocol

from proxy.sessions.redis_options import Alone
from proxy.sessions.resp_connection import CommandRefused, RespError, connect

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from proxy.ports import Clock
    from proxy.sessions.redis_options import RedisNode, RedisOptions
    from proxy.sessions.resp_connection import Reply, RespConnection

TRACKED_KINDS = ("s:", "w:", "e:")
"""What follows the prefix in the names of tracked keys: records of sessions, watermarks, and the marks of what else has
ended."""

CHANNEL = "changes"
"""What follows the prefix in the name of the channel on which replicas tell one another."""

OPEN_WITHIN_S = 1.0
"""Seconds to connect and to agree."""

PING_EVERY_S = 0.25
"""Seconds from a PONG to the next PING."""

PONG_WITHIN_S = 0.5
"""Seconds without an answer after which the connection counts as lost; it is usually there after 0.2 ms."""

LATE_S = 0.1
"""Seconds that an answer is waited for when we were late ourselves: it may lie in the socket, unread."""


class ChangeListener(Protocol):
    """Who hears of changes; called in the loop, must not raise."""

    def changed(self, name: bytes) -> None:
        """The key of this full name was written or is gone."""

    def everything_changed(self) -> None:
        """Any key may have changed."""


class Manner(StrEnum):
    """How one hears of changes."""

    TRACKED = "tracked"
    TOLD = "told"


class ChangeFeed:
    """One open connection to one primary.

    Attributes:
        manner: how it hears of changes.
        refusal: the server's code when it refused tracking (``ERR``, ``NOPROTO``, ``NOPERM``), else empty.
        run_id: which run of which server this is; empty when it does not say.
        confirmed_at: instant of the monotonic clock up to which every change has been heard; minus infinity before the
            first PONG and after the end.
    """

    def __init__(self, listener: ChangeListener, clock: Clock, *, on_lost: Callable[[], None]) -> None:
        """Begin unconnected; ``on_lost`` is called once an open feed has ended, in the same turn of the loop."""
        self._listener = listener
        self._clock = clock
        self._connection: RespConnection | None = None
        self._on_lost = on_lost
        self._lost = asyncio.Event()
        self._has_agreed = False
        self.manner = Manner.TRACKED
        self.refusal = ""
        self.run_id = ""
        self.confirmed_at = float("-inf")

    async def agree(self, node: RedisNode, options: RedisOptions) -> None:
        """Connect, and ask for changes. Raises OSError (RespError is one) or SettingsError; the caller bounds it."""
        try:
            await self._connect(node, options)
            await self._ask_for_tracking(options)
        except CommandRefused as refusal:
            if not _means_no_tracking(refusal):
                raise
            self.refusal = refusal.code
            self.close()
            await self._connect(node, options)
            await self._subscribe(options)
        self._has_agreed = True

    async def beat(self) -> bool:
        """PING, and wait for the PONG; False when the connection is lost."""
        if self._connection is None:
            return False
        sent_at = self._clock.monotonic()
        pong = self._connection.send("PING")
        await asyncio.wait({pong}, timeout=PONG_WITHIN_S)
        if not pong.done() and self._clock.monotonic() - sent_at > PONG_WITHIN_S + LATE_S:
            await asyncio.wait({pong}, timeout=LATE_S)
        if not pong.done() or pong.exception() is not None:
            self.close()
            return False
        self.confirmed_at = sent_at
        return True

    async def pause(self) -> None:
        """Wait until the next PING is due, or the connection is lost."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(PING_EVERY_S):
                await self._lost.wait()

    def close(self) -> None:
        """End the connection; nothing is heard any more."""
        connection, self._connection = self._connection, None
        self.confirmed_at = float("-inf")
        if connection is not None:
            connection.close()

    async def _connect(self, node: RedisNode, options: RedisOptions) -> None:
        self._lost.clear()
        self._connection = await connect(node, options, on_push=self._heard, on_lost=self._end)

    async def _ask_for_tracking(self, options: RedisOptions) -> None:
        connection = self._opened()
        hello = await connection.ask("HELLO", "3", *_hello_credentials(options))
        if not isinstance(options.topology, Alone) and isinstance(hello, dict) and hello.get(b"role") != b"master":
            raise RespError("it is no primary any more")
        prefixes = [word for kind in TRACKED_KINDS for word in ("PREFIX", options.key_prefix + kind)]
        await connection.ask("CLIENT", "TRACKING", "ON", "BCAST", *prefixes)
        self.manner = Manner.TRACKED
        await self._ask_for_run_id()

    async def _subscribe(self, options: RedisOptions) -> None:
        connection = self._opened()
        if credentials := options.credentials():
            await connection.ask("AUTH", *credentials)
        self.manner = Manner.TOLD
        await self._ask_for_run_id()
        connection.hears_messages = True
        await connection.ask("SUBSCRIBE", options.key_prefix + CHANNEL)

    async def _ask_for_run_id(self) -> None:
        try:
            info = await self._opened().ask("INFO", "server")
        except CommandRefused:
            return
        lines = info.decode(errors="replace").splitlines() if isinstance(info, bytes) else []
        self.run_id = next((line[7:] for line in lines if line.startswith("run_id:")), "")

    def _opened(self) -> RespConnection:
        if self._connection is None:
            raise RespError("the connection is closed")
        return self._connection

    def _heard(self, push: Sequence[Reply]) -> None:
        if push[0] == b"invalidate":
            names = push[1]
            if not isinstance(names, list):  # FLUSHALL, FLUSHDB: everything
                self._listener.everything_changed()
                return
            for name in names:
                self._listener.changed(name)
        elif push[0] == b"message" and isinstance(push[2], bytes):
            for name in push[2].split(b"\n"):
                self._listener.changed(name)

    def _end(self) -> None:
        self.confirmed_at = float("-inf")
        self._lost.set()
        if self._has_agreed:
            self._has_agreed = False
            self._on_lost()


def _means_no_tracking(refusal: CommandRefused) -> bool:
    # Redis before 6 and some services know no HELLO 3 or no CLIENT TRACKING (ERR, NOPROTO), or forbid them (NOPERM).
    return refusal.code in {"ERR", "NOPROTO", "NOPERM"}


def _hello_credentials(options: RedisOptions) -> tuple[str, ...]:
    credentials = options.credentials()
    if not credentials:
        return ()
    return ("AUTH", *(credentials if len(credentials) > 1 else ("default", *credentials)))
