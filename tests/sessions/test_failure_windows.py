"""What the storages of failures do not do, and say so."""

from __future__ import annotations

import pytest

from proxy.sessions.memory_throttle import MemoryFailures
from tests.support.clocks import FakeClock


@pytest.fixture
def windows() -> MemoryFailures:
    return MemoryFailures(FakeClock())


async def test_nobody_counts_in_fixed_windows_by_mistake(windows: MemoryFailures) -> None:
    for call in (windows.incr("key", 60), windows.get("key"), windows.get_expiry("key")):
        with pytest.raises(NotImplementedError):
            await call


async def test_nobody_is_forgiven_by_mistake(windows: MemoryFailures) -> None:
    for call in (windows.reset(), windows.clear("key")):
        with pytest.raises(NotImplementedError):
            await call


async def test_the_library_is_told_that_the_store_is_there(windows: MemoryFailures) -> None:
    assert await windows.check()
    assert windows.base_exceptions == ()
