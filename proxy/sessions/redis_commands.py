"""How commands go to Redis, alone or a cluster: together in one round trip, or one step after the other.

Nothing spans slots: each command and each script touches one key. So several commands that belong together are no
transaction, and their order is all that there is to rely on. On one server a pipeline runs in order. In a cluster each
node runs its part of a pipeline in order, but the nodes run at the same time: what must not come before something else
is a step of its own there.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, Protocol, TypeVar

from msgspec import Struct
from redis.asyncio import RedisCluster
from redis.exceptions import ResponseError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable, Iterator, Sequence

T = TypeVar("T")

Command = tuple[str | bytes | int | float, ...]
"""A command as Redis takes it: its name, then what follows."""

MAX_TOGETHER: Final = 300
"""Commands of one pipeline: Redis is busy with them for about 1 ms, and nobody else waits longer."""

WAIT_MS: Final = 100
"""Milliseconds that a deletion waits for one replica to have it; replication takes less than 1 within a data centre."""


class Connection(Protocol):
    """What the stores use of ``RedisConnection``."""

    @property
    def prefix(self) -> str:
        """What every key begins with."""

    async def run(self, operation: str, call: Callable[[Any], Awaitable[T]]) -> T:
        """Call Redis, bounded in time.

        Raises:
            StoreUnavailable: whatever is wrong with it; whether a write had its effect is unknown.
        """


class Step(Struct, frozen=True):
    """Commands of which none runs before those of the step before it.

    Attributes:
        must_succeed: an error of one of them is an error of the whole; else it is an answer of the type Exception.
        replicated: keys whose change a replica shall have before the step is over, where there are replicas.
    """

    commands: Sequence[Command]
    must_succeed: bool = True
    replicated: Sequence[str] = ()


class RedisCommands:
    """Commands over one connection."""

    def __init__(self, connection: Connection) -> None:
        """Nothing is known of replicas before :meth:`look_for_replicas`."""
        self._connection = connection
        self._has_replicas = False

    @property
    def prefix(self) -> str:
        """What every key begins with."""
        return self._connection.prefix

    async def together(self, operation: str, commands: Sequence[Command]) -> list[Any]:
        """Send all commands at once; return their answers in the order of the commands.

        Raises:
            StoreUnavailable: also when one of them was refused; the others had their effect.
        """
        (answers,) = await self.in_order(operation, Step(commands))
        return answers

    async def in_order(self, operation: str, *steps: Step) -> list[list[Any]]:
        """Send the steps one after the other, in as few round trips as keep that order; return the answers of each.

        Raises:
            StoreUnavailable: Redis is away, or a command of a step that must succeed was refused.
        """

        async def call(client: Any) -> list[list[Any]]:
            if isinstance(client, RedisCluster):
                return [await self._sent(client, [step]) for step in steps]
            answers = iter(await self._sent(client, steps))
            return [[next(answers) for _ in step.commands] for step in steps]

        return await self._connection.run(operation, call)

    async def look_for_replicas(self) -> None:
        """Learn whether deletions have anybody to wait for.

        Raises:
            StoreUnavailable
        """

        async def call(client: Any) -> bool:
            if isinstance(client, RedisCluster):
                return bool(client.get_replicas())
            try:
                return bool((await client.info("replication")).get("connected_slaves"))
            except ResponseError:
                return self._has_replicas  # an ACL may forbid INFO, and nothing else is the worse for it

        self._has_replicas = await self._connection.run("replicas", call)

    async def _sent(self, client: Any, steps: Sequence[Step]) -> list[Any]:
        answers: list[Any] = []
        for part in _parts(steps):
            pipeline = client.pipeline(transaction=False)
            for command, _ in part:
                pipeline.execute_command(*command)
            if self._has_replicas:
                _wait(client, pipeline, [key for step in steps for key in step.replicated])
            received = (await pipeline.execute(raise_on_error=False))[: len(part)]
            for answer, (_, step) in zip(received, part, strict=True):
                if step.must_succeed and isinstance(answer, Exception):
                    raise answer
            answers += received
        return answers


def _parts(steps: Sequence[Step]) -> Iterator[list[tuple[Command, Step]]]:
    commands = [(command, step) for step in steps for command in step.commands]
    for start in range(0, len(commands), MAX_TOGETHER):
        yield commands[start : start + MAX_TOGETHER]


def _wait(client: Any, pipeline: Any, keys: Iterable[str]) -> None:
    """Wait for one replica, on the connection that the changes went over: WAIT speaks of no other."""
    if not isinstance(client, RedisCluster):
        if any(True for _ in keys):
            pipeline.execute_command("WAIT", 1, WAIT_MS)
        return
    for node in {client.get_node_from_key(key) for key in keys}:
        pipeline.execute_command("WAIT", 1, WAIT_MS, target_nodes=node)
