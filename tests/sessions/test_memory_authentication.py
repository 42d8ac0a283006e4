"""What is the memory store's own, besides the contract: its counts, and that nothing leaks."""

from __future__ import annotations

import random

from proxy.core.authentication import ROOT_LIFETIME_S
from proxy.sessions.memory_authentication import MemoryAuthenticationStore
from tests.support.clocks import START, FakeClock
from tests.support.sessions import make_tab


async def test_the_count_of_tabs_is_true_after_any_use() -> None:
    chance = random.Random(3)
    clock = FakeClock()
    store = MemoryAuthenticationStore(clock, max_tabs=40)
    for n in range(3000):
        root, state = f"r{chance.randrange(12)}", f"s{chance.randrange(30)}"
        step = chance.randrange(10)
        if step < 7:
            await store.put(make_tab(root, state, expires_at=clock.now() + chance.choice([5, 500])))
        elif step < 9:
            await store.take(root, state)
        else:
            await store.drop_root(root)
        clock.advance(n % 3)
        assert len(store) == sum(map(len, store._roots.values())) <= 40
        assert set(store._roots) == set(store._deadlines._at)


async def test_nothing_is_left_when_every_root_has_expired() -> None:
    clock = FakeClock()
    store = MemoryAuthenticationStore(clock)
    for n in range(50):
        await store.put(make_tab(f"r{n}", "s"))
    clock.advance(ROOT_LIFETIME_S)
    await store.put(make_tab("new", "s", expires_at=START + 2 * ROOT_LIFETIME_S))

    assert (len(store), store.root_count) == (1, 1)


async def test_the_last_tab_takes_its_root_along() -> None:
    store = MemoryAuthenticationStore(FakeClock())
    await store.put(make_tab("r1", "s1"))
    await store.take("r1", "s1")

    assert (len(store), store.root_count, len(store._deadlines)) == (0, 0, 0)
