"""Forms that wait for a login, in the memory of one process.

Bounded three times: by time, by bytes of all together, and by number for each person, whose oldest goes. At the cap of
bytes a further form is refused, and its sender told: what somebody waits for is not thrown away for somebody else.
"""

from __future__ import annotations

from base64 import urlsafe_b64encode
from typing import TYPE_CHECKING

from proxy.core.kept import KEPT_ID_BYTES, KEPT_LIFETIME_S
from proxy.errors import StoreFull
from proxy.sessions.expiring import Deadlines

if TYPE_CHECKING:
    from collections.abc import Callable

    from proxy.core.kept import Kept, KeptRequest
    from proxy.ports import Clock

MAX_KEPT_PER_PERSON = 4
"""Forms of one person that wait at once: people sign in again in one tab, perhaps in two."""

MAX_KEPT_BYTES = 64 * 1024 * 1024
"""Bytes of all of them together, in one process: 64 of the largest."""

HEAD_ALLOWANCE = 4 * 1024
"""Bytes that each counts besides what it says: so that many small ones are bounded too."""


def new_kept_id(random_bytes: Callable[[int], bytes]) -> str:
    """Return an id that nobody guesses."""
    return urlsafe_b64encode(random_bytes(KEPT_ID_BYTES)).rstrip(b"=").decode()


def size_of(request: KeptRequest) -> int:
    """Return what a kept request counts, in bytes."""
    fields = sum(len(name) + len(value) for name, value in request.kept.headers)
    return len(request.body) + len(request.kept.place.target) + fields + HEAD_ALLOWANCE


class MemoryKeptRequests:
    """``ports.KeptRequests`` of one process."""

    def __init__(self, clock: Clock, *, random_bytes: Callable[[int], bytes], max_bytes: int = MAX_KEPT_BYTES) -> None:
        """Begin empty; ``max_bytes`` is for all together."""
        self._clock = clock
        self._random_bytes = random_bytes
        self._max_bytes = max_bytes
        self._bytes = 0
        # Keeps the order of keeping: the first of a person is the oldest.
        self._requests: dict[str, KeptRequest] = {}
        self._deadlines: Deadlines[str] = Deadlines()

    def __len__(self) -> int:
        """Return how many are held."""
        return len(self._requests)

    @property
    def held_bytes(self) -> int:
        """Return what all of them count, in bytes."""
        return self._bytes

    async def keep(self, request: KeptRequest) -> str:
        """Keep a form; returns its id.

        Raises:
            StoreFull
        """
        kept_id = new_kept_id(self._random_bytes)
        self._put(kept_id, request)
        return kept_id

    async def peek(self, kept_id: str) -> Kept | None:
        """Return what is known of it."""
        self._sweep()
        request = self._requests.get(kept_id)
        return None if request is None else request.kept

    async def take(self, kept_id: str) -> KeptRequest | None:
        """Return it once."""
        self._sweep()
        return self._forget(kept_id) if kept_id in self._requests else None

    async def give_back(self, kept_id: str, request: KeptRequest) -> None:
        """Keep it again under its id.

        Raises:
            StoreFull
        """
        if self._clock.now() < request.kept.kept_at + KEPT_LIFETIME_S:
            self._put(kept_id, request)

    def _put(self, kept_id: str, request: KeptRequest) -> None:
        self._sweep()
        subject_hash = request.kept.subject_hash
        theirs = [known for known, other in self._requests.items() if other.kept.subject_hash == subject_hash]
        going = theirs[: max(len(theirs) + 1 - MAX_KEPT_PER_PERSON, 0)]
        freed = sum(size_of(self._requests[known]) for known in going)
        if self._bytes - freed + size_of(request) > self._max_bytes:
            raise StoreFull("there is no room for further forms that wait for a login")
        for known in going:
            self._forget(known)
        self._requests[kept_id] = request
        self._bytes += size_of(request)
        self._deadlines.schedule(kept_id, request.kept.kept_at + KEPT_LIFETIME_S)

    def _forget(self, kept_id: str) -> KeptRequest:
        request = self._requests.pop(kept_id)
        self._bytes -= size_of(request)
        self._deadlines.forget(kept_id)
        return request

    def _sweep(self) -> None:
        now = self._clock.now()
        while (kept_id := self._deadlines.pop_due(now)) is not None:
            self._bytes -= size_of(self._requests.pop(kept_id))
