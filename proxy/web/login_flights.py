"""The same form sent twice is one login.

A double click on the button, a browser that sends again what it did not see answered, all tabs of a restored window at
once: the provider would be asked each time, would refuse a one-time code the second time although it was right, and
would make a session for each that no cookie names. So what was sent from one browser with the same words is asked once,
and all get the same answer: the browser shows the last one and may not have seen the first.

Whoever shares an answer has shown the same root cookie and typed the same password and code, so nobody learns anything.
A login stays here for :data:`SHARED_FOR_S` after it is done, for what was sent before the answer arrived; a refusal
does not. Of what was typed only a MAC is kept, under a key of this process.
"""

from __future__ import annotations

import asyncio
import hmac
from typing import TYPE_CHECKING, Generic, TypeVar

from msgspec import Struct

from proxy import errors

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

    from proxy.core.secret import Secret
    from proxy.ports import Clock
    from proxy.tasks import TaskOwner

T = TypeVar("T")

SHARED_FOR_S = 5.0
"""Seconds after a login in which the same form gets the same answer: longer than any answer is under way."""

MAX_FLIGHTS = 2000
"""Logins that are remembered, about 10 KiB each with its session; above, one more is not shared with anybody."""


class _Flight(Struct, Generic[T]):
    task: asyncio.Task[T | errors.SidegateError]
    forget_at: float


class LoginFlights(Generic[T]):
    """Logins under way, and those of the last seconds, by what was sent."""

    def __init__(self, tasks: TaskOwner, clock: Clock, *, key: bytes, stays: Callable[[T], bool]) -> None:
        """Begin with none.

        Args:
            tasks: keeps a login that its browser does not wait for any more.
            key: random bytes of this process.
            stays: says whether an outcome is shared for a while after it came.
        """
        self._tasks = tasks
        self._clock = clock
        self._key = key
        self._stays = stays
        self._flights: dict[str, _Flight[T]] = {}

    def __len__(self) -> int:
        """Return how many are remembered."""
        return len(self._flights)

    def name(self, *sent: str | Secret) -> str:
        """Return what stands for what was sent."""
        texts = (part if isinstance(part, str) else part.reveal() for part in sent)
        raw = [text.encode(errors="surrogatepass") for text in texts]
        return hmac.digest(self._key, b"".join(len(part).to_bytes(4) + part for part in raw), "sha256").hex()

    async def share(self, name: str, work: Callable[[], Coroutine[object, object, T]]) -> T:
        """Return what comes of ``work``, or of the same that is under way or was done a moment ago.

        It goes on when its caller is cancelled.

        Raises:
            SidegateError: what the work raised.
        """
        self._forget_old()
        flight = self._flights.get(name)
        if flight is None:
            flight = _Flight(self._tasks.start(_settled(work())), float("inf"))
            if len(self._flights) < MAX_FLIGHTS:
                self._flights[name] = flight
                flight.task.add_done_callback(lambda _: self._landed(name))
        outcome = await asyncio.shield(flight.task)
        if isinstance(outcome, errors.SidegateError):
            raise outcome
        return outcome

    def _landed(self, name: str) -> None:
        flight = self._flights[name]
        outcome = None if flight.task.cancelled() or flight.task.exception() else flight.task.result()
        if outcome is None or isinstance(outcome, errors.SidegateError) or not self._stays(outcome):
            del self._flights[name]
            return
        flight.forget_at = self._clock.monotonic() + SHARED_FOR_S

    def _forget_old(self) -> None:
        now = self._clock.monotonic()
        for name in [name for name, flight in self._flights.items() if flight.forget_at <= now]:
            del self._flights[name]


async def _settled(work: Coroutine[object, object, T]) -> T | errors.SidegateError:
    """Return what was raised: several await it, and perhaps nobody does."""
    try:
        return await work
    except errors.SidegateError as error:
        return error
