"""Leases of one process: nobody else has its sessions, so who holds one is known here.

Single flight is the refresher's own business; but while the sites of a process are exchanged there are two refreshers,
and a refresh of the one that leaves must not be done again by the one that comes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from proxy.core.session import SessionKey


class MemoryLease:
    """``ports.Lease`` that only its holder gives back."""

    def __init__(self, held: set[SessionKey], key: SessionKey) -> None:
        """Hold it."""
        self._held = held
        self._key: SessionKey | None = key
        held.add(key)

    def is_held(self) -> bool:
        """Say whether it was not given back."""
        return self._key is not None

    async def release(self) -> None:
        """Give it back; a second call does nothing."""
        if self._key is not None:
            self._held.discard(self._key)
            self._key = None


class MemoryRefreshLeases:
    """``ports.RefreshLeases`` where no other replica shares the sessions; as many as refreshes are under way."""

    def __init__(self) -> None:
        """Begin with all free."""
        self._held: set[SessionKey] = set()

    async def acquire(self, key: SessionKey) -> MemoryLease | None:
        """Return the lease, or None while it is held."""
        return None if key in self._held else MemoryLease(self._held, key)
