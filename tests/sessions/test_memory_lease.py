"""One process needs no lease: each is free."""

from __future__ import annotations

from proxy.core.session import SessionKey
from proxy.sessions.memory_lease import MemoryRefreshLeases


async def test_every_lease_is_free_and_stays_held() -> None:
    leases = MemoryRefreshLeases()

    first, second = await leases.acquire(SessionKey("a")), await leases.acquire(SessionKey("a"))
    await first.release()

    assert first.is_held()
    assert second.is_held()
