"""Where failed sign-ins lie, as the ``limits`` library wants it: a storage of moving windows.

The library's own storages are not used: that in memory keeps each name for ever, and looks through all of them at each
try; that of Redis makes connections of its own, beside our deadlines, credentials and words for what is wrong with it.
"""

from __future__ import annotations

from abc import abstractmethod
from typing import NoReturn

from limits.aio.storage import MovingWindowSupport, Storage


class FailureWindows(Storage, MovingWindowSupport):
    """A storage for :class:`limits.aio.strategies.MovingWindowRateLimiter` that can also take an entry back."""

    @property
    def base_exceptions(self) -> tuple[type[Exception], ...]:
        """Return what the library may wrap: nothing, for whoever asks knows our errors."""
        return ()

    @abstractmethod
    def now(self) -> float:
        """Return the instant, in seconds, by the clock that entries are written with."""

    @abstractmethod
    async def release_entry(self, key: str) -> None:
        """Take the newest entry of ``key`` away, if there is one.

        Entries are alike but for their instants, and those of tries at the same time differ by seconds.

        Raises:
            StoreUnavailable
        """

    async def check(self) -> bool:
        """Return True: whether the store is there is said by its readiness."""
        return True

    async def incr(self, key: str, expiry: int, amount: int = 1) -> NoReturn:
        """Refuse: there are no fixed windows here."""
        raise NotImplementedError

    async def get(self, key: str) -> NoReturn:
        """Refuse, as :meth:`incr`."""
        raise NotImplementedError

    async def get_expiry(self, key: str) -> NoReturn:
        """Refuse, as :meth:`incr`."""
        raise NotImplementedError

    async def reset(self) -> NoReturn:
        """Refuse: nobody is forgiven by accident."""
        raise NotImplementedError

    async def clear(self, key: str) -> NoReturn:
        """Refuse, as :meth:`reset`."""
        raise NotImplementedError
