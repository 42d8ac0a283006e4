"""Which nodes hold the primaries now; changes are heard from each of them.

Alone there is nothing to find. Sentinels are asked each time. In a cluster one connection is kept and asked for the
slots; when it is gone the next node that is known is asked.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Protocol

from redis.asyncio.sentinel import MasterNotFoundError

from proxy.errors import SettingsError
from proxy.sessions.redis_options import Alone, BehindSentinels, Cluster, RedisNode, TcpNode
from proxy.sessions.resp_connection import RespError, connect
from proxy.sessions.sentinels import Sentinels

if TYPE_CHECKING:
    from collections.abc import Iterable

    from proxy.sessions.redis_options import RedisOptions
    from proxy.sessions.resp_connection import RespConnection

NODE_S = 0.5
"""Seconds in which a node of a cluster must tell of the slots, connecting included."""


class Primaries(Protocol):
    """Where the primaries are."""

    async def find(self) -> frozenset[RedisNode]:
        """Return the primaries; bounded in time.

        Raises:
            OSError: nobody tells. Who was known before is as good a guess as any.
        """

    def close(self) -> None:
        """Drop what is kept for asking."""


def primaries_of(options: RedisOptions) -> Primaries:
    """Return how the primaries of this topology are found."""
    topology = options.topology
    if isinstance(topology, Alone):
        return OnePrimary(topology.node)
    if isinstance(topology, BehindSentinels):
        return PrimaryBehindSentinels(options, topology)
    return PrimariesOfCluster(options, topology)


class OnePrimary:
    """Redis alone."""

    def __init__(self, node: RedisNode) -> None:
        """It is ``node``, always."""
        self._nodes = frozenset({node})

    async def find(self) -> frozenset[RedisNode]:
        """Return it."""
        return self._nodes

    def close(self) -> None:
        """Nothing is kept."""


class PrimaryBehindSentinels:
    """The one that most sentinels name."""

    def __init__(self, options: RedisOptions, topology: BehindSentinels) -> None:
        """Ask nobody yet."""
        self._sentinels = Sentinels(options, topology)

    async def find(self) -> frozenset[RedisNode]:
        """Return it."""
        try:
            return frozenset({await self._sentinels.primary()})
        except MasterNotFoundError as error:
            raise OSError(str(error)) from error

    def close(self) -> None:
        """Drop the connections to the sentinels."""
        self._sentinels.close()


class PrimariesOfCluster:
    """Every node that holds slots."""

    def __init__(self, options: RedisOptions, topology: Cluster) -> None:
        """Ask nobody yet."""
        self._options = options
        self._seeds = topology.nodes
        self._known: frozenset[RedisNode] = frozenset()
        self._asked: tuple[TcpNode, RespConnection] | None = None
        self._turn = asyncio.Lock()

    async def find(self) -> frozenset[RedisNode]:
        """Return them, as the first node sees it that answers."""
        async with self._turn:
            return await self._find()

    async def _find(self) -> frozenset[RedisNode]:
        for node in self._candidates():
            try:
                async with asyncio.timeout(NODE_S):
                    self._known = await self._ask(node)
            except (OSError, SettingsError):
                self.close()
            else:
                return self._known
        raise RespError("no node of the cluster tells who holds the slots")

    def close(self) -> None:
        """Drop the connection on which slots are asked for."""
        if self._asked is not None:
            self._asked[1].close()
            self._asked = None

    def _candidates(self) -> Iterable[TcpNode]:
        asked = () if self._asked is None else (self._asked[0],)
        known = sorted(node for node in self._known if isinstance(node, TcpNode))
        return dict.fromkeys((*asked, *known, *self._seeds))

    async def _ask(self, node: TcpNode) -> frozenset[RedisNode]:
        if self._asked is None or self._asked[0] != node or not self._asked[1].is_open:
            self.close()
            self._asked = (node, await connect(node, self._options))
            if credentials := self._options.credentials():
                await self._asked[1].ask("AUTH", *credentials)
        return _primaries(await self._asked[1].ask("CLUSTER", "SLOTS"), asked=node)


def _primaries(slots: object, *, asked: TcpNode) -> frozenset[RedisNode]:
    """Read the answer to CLUSTER SLOTS: ranges of ``[first, last, [host, port, …], replicas…]``; a node that does not
    know its own host gives an empty one or none, which means the one that was asked.
    """
    found: set[RedisNode] = set()
    for entry in slots if isinstance(slots, list) else ():
        host, port = entry[2][0], int(entry[2][1])
        found.add(TcpNode(host.decode() if host else asked.host, port))
    if not found:
        raise RespError(f"{asked} knows of no slots")
    return frozenset(found)
