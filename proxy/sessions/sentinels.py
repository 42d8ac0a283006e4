"""Which Redis is the primary: the sentinels are asked, all at once, and the majority is believed.

All at once, because one that hangs would hold up a failover; the majority, because one that was cut off from the others
still names the old primary. They are asked for every new connection to Redis and several times a second besides, so the
connections to them are kept.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from typing import TYPE_CHECKING

from redis.asyncio.sentinel import MasterNotFoundError

from proxy.errors import SettingsError
from proxy.sessions.redis_options import TcpNode
from proxy.sessions.resp_connection import CommandRefused, connect
from proxy.tasks import TaskOwner

if TYPE_CHECKING:
    from proxy.sessions.redis_options import BehindSentinels, RedisOptions
    from proxy.sessions.resp_connection import RespConnection

SENTINEL_S = 0.5
"""Seconds in which a sentinel must answer, connecting included; it answers from memory."""


MAX_UNANSWERED = 16
"""Questions without an answer after which the connection to a sentinel is given up: it hangs."""


class Sentinels:
    """Ask who is the primary; ``discover_master`` is the name by which the client library's pool asks."""

    def __init__(self, options: RedisOptions, topology: BehindSentinels) -> None:
        """Ask nobody yet."""
        self._options = options
        self._topology = topology
        self._connections: dict[TcpNode, RespConnection] = {}
        self._turn = asyncio.Lock()
        self._rounds = 0
        self._votes: Counter[TcpNode] | None = None

    def close(self) -> None:
        """Drop the connections; the next question opens new ones."""
        for connection in self._connections.values():
            connection.close()
        self._connections.clear()

    async def primary(self) -> TcpNode:
        """Return where the primary is.

        Raises:
            MasterNotFoundError: no sentinel answers, or none knows the name.
        """
        votes = await self._latest_votes()
        if not votes:
            raise MasterNotFoundError(
                f"no sentinel of {', '.join(map(str, self._topology.sentinels))} names a primary for "
                f"{self._topology.master!r}"
            )
        return votes.most_common(1)[0][0]

    async def _latest_votes(self) -> Counter[TcpNode]:
        """Return the votes of a round that began after this call: one round serves all who wait for it."""
        rounds_before = self._rounds
        async with self._turn:
            if self._rounds == rounds_before or self._votes is None:
                self._rounds, self._votes = self._rounds + 1, None
                self._votes = await self._round()
            return self._votes

    async def _round(self) -> Counter[TcpNode]:
        votes: Counter[TcpNode] = Counter()
        tasks = TaskOwner(_ignore)
        try:
            waiting = {tasks.start(self._vote(sentinel)) for sentinel in self._topology.sentinels}
            while waiting and not self._have_majority(votes):
                done, waiting = await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
                votes.update(node for task in done if (node := task.result()) is not None)
        finally:
            await tasks.close()
        return votes

    async def discover_master(self, _service_name: str) -> tuple[str, int]:
        """Return host and port of the primary; raises as :meth:`primary`."""
        node = await self.primary()
        return node.host, node.port

    def _have_majority(self, votes: Counter[TcpNode]) -> bool:
        return any(count * 2 > len(self._topology.sentinels) for count in votes.values())

    async def _vote(self, sentinel: TcpNode) -> TcpNode | None:
        try:
            async with asyncio.timeout(SENTINEL_S):
                return await self._ask(sentinel)
        except (OSError, SettingsError):
            self._drop(sentinel)
            return None  # it does not count; the others do

    async def _ask(self, sentinel: TcpNode) -> TcpNode | None:
        connection = self._connections.get(sentinel)
        if connection is None or not connection.is_open or connection.unanswered >= MAX_UNANSWERED:
            connection = await self._connected(sentinel)
        answer = await connection.ask(*self._question)
        match answer:
            case [bytes() as host, bytes() as port] if port.isdigit():
                return TcpNode(host.decode(errors="replace"), int(port))
            case _:
                return None

    async def _connected(self, sentinel: TcpNode) -> RespConnection:
        connection = await connect(sentinel, self._options)
        try:
            await self._introduce(connection)
        except BaseException:
            connection.close()
            raise
        self._drop(sentinel)
        self._connections[sentinel] = connection
        return connection

    def _drop(self, sentinel: TcpNode) -> None:
        connection = self._connections.pop(sentinel, None)
        if connection is not None:
            connection.close()

    async def _introduce(self, connection: RespConnection) -> None:
        try:
            _ = await connection.ask(*self._question)
        except CommandRefused as refusal:
            if refusal.code not in {"NOAUTH", "NOPERM"}:
                raise
            _ = await connection.ask("AUTH", *self._options.credentials())

    @property
    def _question(self) -> tuple[str, str, str]:
        return "SENTINEL", "GET-MASTER-ADDR-BY-NAME", self._topology.master


def _ignore(_fault: BaseException) -> None:
    # A vote that nobody waits for any more.
    return
