"""Leases of one process: there is nobody else, and its own single flight is enough."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from proxy.core.session import SessionKey


class UncontestedLease:
    """``ports.Lease`` that nobody can take away."""

    def is_held(self) -> bool:
        """Return True."""
        return True

    async def release(self) -> None:
        """Do nothing: nobody waits for it."""


UNCONTESTED = UncontestedLease()


class MemoryRefreshLeases:
    """``ports.RefreshLeases`` where no other replica shares the sessions."""

    async def acquire(self, key: SessionKey) -> UncontestedLease:  # noqa: ARG002 - all are free
        """Return the lease at once."""
        return UNCONTESTED
