"""Something that the provider publishes: fetched at start, then again and again; the old one is kept on failure.

Never fatal: a failure is a sentence in :attr:`Fetched.trouble` and one log line when the state changes, and the next
try comes after a growing pause. One fetch at a time, however many wait for it.
"""

from __future__ import annotations

import asyncio
import random
from typing import TYPE_CHECKING, Generic, TypeVar

from msgspec import Struct

from proxy.errors import ProviderUnavailable

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from proxy.ports import Clock, Observer
    from proxy.tasks import TaskOwner

T = TypeVar("T")

FIRST_PAUSE_S = 1.0
"""Seconds before the first retry: Keycloak says ``Retry-After: 1`` while it starts."""

LONGEST_PAUSE_S = 5.0
"""Seconds between retries at most, so that a provider that came back is noticed soon."""

JITTER = 0.2
"""Share of a pause that is left to chance: replicas that failed together do not come back together."""


class Surroundings(Struct, frozen=True):
    """What every fetched thing needs; ``sleep`` is ``asyncio.sleep`` or a fake."""

    clock: Clock
    observer: Observer
    tasks: TaskOwner
    sleep: Callable[[float], Awaitable[None]]


class Fetched(Generic[T]):
    """The last good value of a published document, and what is wrong with the newest try."""

    def __init__(
        self, name: str, fetch: Callable[[], Awaitable[T]], *, every_s: float, surroundings: Surroundings
    ) -> None:
        """Hold nothing yet.

        Args:
            name: for log lines: ``metadata``, ``keys``.
            fetch: gets and checks the document; raises ProviderUnavailable.
            every_s: seconds between two good fetches.
        """
        self.value: T | None = None
        self.trouble: str | None = None
        self.since = surroundings.clock.now()
        self._name = name
        self._fetch = fetch
        self._every_s = every_s
        self._around = surroundings
        self._flight: asyncio.Task[T | None] | None = None
        self._had = asyncio.Event()
        self._troubled = asyncio.Event()
        self._failures = 0

    @property
    def in_flight(self) -> bool:
        """Say whether a fetch is under way, which :meth:`fetch` would join."""
        return self._flight is not None and not self._flight.done()

    async def had(self) -> None:
        """Wait for the first good value."""
        await self._had.wait()

    async def fetch(self) -> T:
        """Fetch now, or join the fetch that is under way; goes on when the caller is cancelled.

        Raises:
            ProviderUnavailable: with the sentence that :attr:`trouble` has too.
        """
        if self._flight is None or self._flight.done():
            self._flight = self._around.tasks.start(self._attempt())
        outcome = await asyncio.shield(self._flight)
        if outcome is None:
            raise ProviderUnavailable(self.trouble or f"{self._name} cannot be had")
        return outcome

    async def keep_fresh(self) -> None:
        """Fetch for ever; cancelled by the owner of the task."""
        while True:
            try:
                await self.fetch()
            except ProviderUnavailable:
                await self._around.sleep(self._pause_s())
            else:
                await self._rest()

    async def _rest(self) -> None:
        """Sleep until the next fetch is due, or until one that somebody else asked for failed: then it is retried."""
        due, failed = self._around.tasks.start(self._until_due()), self._around.tasks.start(self._troubled.wait())
        await asyncio.wait({due, failed}, return_when=asyncio.FIRST_COMPLETED)
        due.cancel()
        failed.cancel()

    async def _until_due(self) -> None:
        await self._around.sleep(self._every_s)

    def _pause_s(self) -> float:
        pause = min(LONGEST_PAUSE_S, FIRST_PAUSE_S * 2.0 ** min(self._failures - 1, 10))
        return pause * (1 - JITTER * random.random())  # noqa: S311 - spreads load, guards nothing

    async def _attempt(self) -> T | None:
        """Return what was fetched, or None: a fault is told here, once, and waits in ``trouble`` for who asks."""
        try:
            value = await self._fetch()
        except ProviderUnavailable as fault:
            self._failed(str(fault))
            return None
        self._succeeded(value)
        return value

    def _failed(self, sentence: str) -> None:
        self._failures += 1
        if self.trouble is None:
            self.since = self._around.clock.now()
        if self.trouble != sentence:
            kept = "the last good ones are kept" if self.value is not None else "retrying"
            self._around.observer.warning(f"provider {self._name}: {sentence}; {kept}")
        self.trouble = sentence
        self._troubled.set()

    def _succeeded(self, value: T) -> None:
        self._failures = 0
        if self.trouble is not None:
            self.since = self._around.clock.now()
            self._around.observer.warning(f"provider {self._name}: available again")
        self.value, self.trouble = value, None
        self._troubled.clear()
        self._had.set()
