"""Which Redis is the primary: the sentinels are asked, all at once, and the majority is believed.

All at once, because one that hangs would hold up a failover; the majority, because one that was cut off from the others
still names the old primary. Asked at every new connection, so a failover is followed by whoever reconnects.
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


class Sentinels:
    """Ask who is the primary; ``discover_master`` is the name by which the client library's pool asks."""

    def __init__(self, options: RedisOptions, topology: BehindSentinels) -> None:
        """Ask nobody yet."""
        self._options = options
        self._topology = topology

    async def primary(self) -> TcpNode:
        """Return where the primary is.

        Raises:
            MasterNotFoundError: no sentinel answers, or none knows the name.
        """
        votes: Counter[TcpNode] = Counter()
        tasks = TaskOwner(_ignore)
        try:
            waiting = {tasks.start(self._vote(sentinel)) for sentinel in self._topology.sentinels}
            while waiting and not self._have_majority(votes):
                done, waiting = await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
                votes.update(node for task in done if (node := task.result()) is not None)
        finally:
            await tasks.close()
        if not votes:
            raise MasterNotFoundError(
                f"no sentinel of {', '.join(map(str, self._topology.sentinels))} names a primary for "
                f"{self._topology.master!r}"
            )
        return votes.most_common(1)[0][0]

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
            return None  # it does not count; the others do

    async def _ask(self, sentinel: TcpNode) -> TcpNode | None:
        connection = await connect(sentinel, self._options)
        try:
            answer = await self._ask_with_password(connection)
        finally:
            connection.close()
        if not isinstance(answer, list) or len(answer) != 2:
            return None
        return TcpNode(answer[0].decode(), int(answer[1]))

    async def _ask_with_password(self, connection: RespConnection) -> object:
        question = ("SENTINEL", "GET-MASTER-ADDR-BY-NAME", self._topology.master)
        try:
            return await connection.ask(*question)
        except CommandRefused as refusal:
            if refusal.code not in {"NOAUTH", "NOPERM"}:
                raise
        await connection.ask("AUTH", *self._options.credentials())
        return await connection.ask(*question)


def _ignore(_fault: BaseException) -> None:
    # A vote that nobody waits for any more.
    return
