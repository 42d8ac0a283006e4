"""Leases of one process: one holder for each session."""

from __future__ import annotations

from proxy.core.session import SessionKey
from proxy.sessions.memory_lease import MemoryRefreshLeases

KEY = SessionKey("a")


async def test_a_lease_has_one_holder_until_it_is_given_back() -> None:
    leases = MemoryRefreshLeases()
    first = await leases.acquire(KEY)
    assert first is not None
    assert first.is_held()

    assert await leases.acquire(KEY) is None
    assert await leases.acquire(SessionKey("b")) is not None

    await first.release()
    assert not first.is_held()
    assert await leases.acquire(KEY) is not None


async def test_a_lease_that_was_given_back_takes_nothing_from_its_next_holder() -> None:
    leases = MemoryRefreshLeases()
    first = await leases.acquire(KEY)
    assert first is not None
    await first.release()
    second = await leases.acquire(KEY)

    await first.release()

    assert second is not None
    assert second.is_held()
    assert await leases.acquire(KEY) is None
