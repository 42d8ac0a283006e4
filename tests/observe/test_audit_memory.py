"""The trail in memory: what is kept, for how long, and what a follower hears."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from proxy.observe.audit_memory import AuditMemoryLimits, MemoryAuditTrail
from proxy.observe.audit_record import packed
from proxy.ports import AuditEvent
from tests.support.clocks import FakeClock

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from proxy.ports import AuditRecord

DAY_S = 86400.0


def a_trail(clock: FakeClock | None = None, **limits: int) -> tuple[MemoryAuditTrail, FakeClock]:
    clock = clock or FakeClock()
    return MemoryAuditTrail(AuditMemoryLimits(keep_s=DAY_S, **limits), clock=clock), clock


def note(trail: MemoryAuditTrail, clock: FakeClock, *usernames: str) -> None:
    for username in usernames:
        trail.add(AuditEvent(event="login.succeeded", username=username), clock.now())
        clock.advance(1)


async def names(
    trail: MemoryAuditTrail, username: str | None = None, *, since: float = 0, limit: int = 100
) -> list[str]:
    return [record.event.username or "" for record in await trail.read(username=username, since=since, limit=limit)]


async def heard(following: AsyncIterator[AuditRecord]) -> str:
    return (await asyncio.wait_for(anext(following), 10)).event.username or ""


async def test_the_newest_come_last_and_only_as_many_as_asked() -> None:
    trail, clock = a_trail()
    note(trail, clock, "a", "b", "c", "d")

    assert await names(trail) == ["a", "b", "c", "d"]
    assert await names(trail, limit=2) == ["c", "d"]
    assert await names(trail, since=clock.now() - 3) == ["b", "c", "d"]


async def test_one_persons_events_are_found_among_many() -> None:
    trail, clock = a_trail()
    note(trail, clock, "alice", "bob", "Alice", "bob")

    assert await names(trail, "alice") == ["alice", "Alice"]
    assert await names(trail, "alice", limit=1) == ["Alice"]
    assert await names(trail, "nobody") == []


async def test_what_is_too_old_goes_and_is_no_loss() -> None:
    trail, clock = a_trail()
    note(trail, clock, "a", "b")

    clock.advance(DAY_S - 1.5)

    assert await names(trail) == ["b"]
    assert trail.dropped == 0


async def test_at_the_cap_of_events_the_oldest_goes_and_is_counted() -> None:
    trail, clock = a_trail(max_events=3)

    note(trail, clock, *"abcdefgh")

    assert await names(trail) == ["f", "g", "h"]
    assert trail.dropped == 5


async def test_at_the_cap_of_bytes_the_oldest_goes() -> None:
    size = len(packed(AuditEvent(event="login.succeeded", username="a"), FakeClock().now()))
    trail, clock = a_trail(max_bytes=3 * size)

    note(trail, clock, *"abcdefgh")

    assert await names(trail) == ["f", "g", "h"]


async def test_a_follower_hears_the_past_and_then_what_comes() -> None:
    trail, clock = a_trail()
    note(trail, clock, "a", "b", "c")
    following = trail.follow(username=None, since=0, limit=2)

    assert [await heard(following), await heard(following)] == ["b", "c"]
    waiting = asyncio.get_running_loop().create_task(heard(following))
    await asyncio.sleep(0)
    assert not waiting.done()
    note(trail, clock, "d")

    assert await waiting == "d"


async def test_a_follower_misses_nothing_that_comes_while_it_reads_the_past() -> None:
    trail, clock = a_trail()
    note(trail, clock, "a", "b")
    following = trail.follow(username=None, since=0, limit=9)

    first = await heard(following)
    note(trail, clock, "c", "d")

    assert [first, *[await heard(following) for _ in range(3)]] == ["a", "b", "c", "d"]


async def test_a_follower_of_one_person_hears_nobody_else() -> None:
    trail, clock = a_trail()
    following = trail.follow(username="bob", since=0, limit=9)
    waiting = asyncio.get_running_loop().create_task(heard(following))
    await asyncio.sleep(0)

    note(trail, clock, "alice", "bob")

    assert await waiting == "bob"


async def test_a_slow_follower_costs_nothing_and_misses_what_has_gone() -> None:
    trail, clock = a_trail(max_events=2)
    following = trail.follow(username=None, since=0, limit=9)
    waiting = asyncio.get_running_loop().create_task(heard(following))
    await asyncio.sleep(0)

    note(trail, clock, *"abcdef")

    assert [await waiting, await heard(following)] == ["e", "f"]


async def test_who_stops_following_is_forgotten() -> None:
    trail, clock = a_trail()
    note(trail, clock, "a")
    following = trail.follow(username=None, since=0, limit=9)
    await heard(following)

    await following.aclose()

    assert trail._followers == set()
