"""What is the memory store's own, besides the contract: its counts, and that nothing leaks."""

from __future__ import annotations

import random
import secrets

import pytest

from proxy.core.kept import KEPT_LIFETIME_S
from proxy.errors import StoreFull
from proxy.sessions.memory_kept import MAX_KEPT_PER_PERSON, MemoryKeptRequests, size_of
from tests.support.clocks import FakeClock
from tests.support.kept import make_kept


async def test_the_count_of_bytes_is_true_after_any_use() -> None:
    chance, clock, ids = random.Random(5), FakeClock(), [""]
    store = MemoryKeptRequests(clock, random_bytes=secrets.token_bytes, max_bytes=50_000)
    for _ in range(2000):
        if chance.random() < 0.7:
            person = str(chance.randrange(6))
            request = make_kept(b"x" * chance.randrange(9000), subject_hash=person, kept_at=clock.now())
            try:
                ids.append(await store.keep(request))
            except StoreFull:
                assert store.held_bytes + size_of(request) > 50_000
        else:
            await store.take(chance.choice(ids))
        clock.advance(chance.randrange(200))
        assert store.held_bytes == sum(map(size_of, store._requests.values())) <= 50_000
        assert set(store._requests) == set(store._deadlines._at)


async def test_nothing_is_left_when_all_have_had_their_time() -> None:
    clock = FakeClock()
    store = MemoryKeptRequests(clock, random_bytes=secrets.token_bytes)
    for n in range(50):
        await store.keep(make_kept(subject_hash=str(n)))
    clock.advance(KEPT_LIFETIME_S)
    await store.peek("x")

    assert (len(store), store.held_bytes, len(store._deadlines)) == (0, 0, 0)


async def test_one_person_cannot_fill_it() -> None:
    store = MemoryKeptRequests(FakeClock(), random_bytes=secrets.token_bytes)
    for _ in range(100):
        await store.keep(make_kept())

    assert len(store) == MAX_KEPT_PER_PERSON


async def test_what_is_remembered_of_the_head_counts_too() -> None:
    """A Referer may be as long as a head may be; without it half a gigabyte of them would count as nothing."""
    store = MemoryKeptRequests(FakeClock(), random_bytes=secrets.token_bytes, max_bytes=30_000)

    with pytest.raises(StoreFull):
        await store.keep(make_kept(headers=((b"Referer", b"x" * 30_000),)))
