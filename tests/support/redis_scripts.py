"""A connection that answers as a test says, and remembers what was asked: for laws that need no Redis."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

from proxy.errors import StoreUnavailable

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

T = TypeVar("T")


class ScriptedPipeline:
    """Takes commands, gives answers."""

    def __init__(self, connection: ScriptedConnection) -> None:
        """Begin empty."""
        self._connection = connection
        self._commands: list[tuple[Any, ...]] = []

    def execute_command(self, *command: Any, **named: Any) -> None:
        """Take a command; ``target_nodes`` is remembered behind it."""
        self._commands.append((*command, *named.values()))

    async def execute(self, *, raise_on_error: bool) -> list[Any]:
        """Give the answers."""
        assert raise_on_error is False
        self._connection.trips.append(self._commands)
        return [self._connection.answer(command) for command in self._commands]


class ScriptedConnection:
    """``redis_commands.Connection``: ``answers`` by the first word of a command, else 1.

    Attributes:
        trips: the commands of each round trip.
        is_away: every call is StoreUnavailable, and counted in ``refusals``.
    """

    prefix = "test:"

    def __init__(self, **answers: Any) -> None:
        """``answers``: a value, or what makes one of a command."""
        self.answers = answers
        self.trips: list[list[tuple[Any, ...]]] = []
        self.is_away = False
        self.refusals = 0
        self.client: Any = self
        self.slaves = 0

    @property
    def commands(self) -> list[tuple[Any, ...]]:
        """Every command so far."""
        return [command for trip in self.trips for command in trip]

    async def run(self, _operation: str, call: Callable[[Any], Awaitable[T]]) -> T:
        """Call, unless it is away; an error among the answers is that too."""
        if self.is_away:
            self.refusals += 1
            raise StoreUnavailable("away")
        try:
            return await call(self.client)
        except OSError as error:
            raise StoreUnavailable("refused") from error

    # -- as the client

    def pipeline(self, *, transaction: bool) -> ScriptedPipeline:
        """Begin a pipeline."""
        assert transaction is False
        return ScriptedPipeline(self)

    async def info(self, section: str) -> dict[str, int]:
        """Say how many replicas there are."""
        assert section == "replication"
        return {"connected_slaves": self.slaves}

    def answer(self, command: tuple[Any, ...]) -> Any:
        """Return what is answered to a command."""
        answer = self.answers.get(str(command[0]), 1)
        return answer(command) if callable(answer) else answer
