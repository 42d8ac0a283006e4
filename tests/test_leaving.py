"""Sites that serve nobody new are closed, and there are never many: laws of ``leaving``."""

from __future__ import annotations

import asyncio
from typing import Any, cast

from proxy.leaving import MAX_LEAVING, LeavingSites
from tests.support.eventually import eventually
from tests.support.observers import RecordingObserver

FOR_EVER = 3600.0


class FakeSite:
    def __init__(self, number: int, closed: list[int]) -> None:
        self.number, self.closed = number, closed

    async def close(self) -> None:
        self.closed.append(self.number)


async def nothing() -> None:
    pass


def fake_sites(count: int, closed: list[int]) -> list[Any]:
    return [cast("Any", FakeSite(number, closed)) for number in range(count)]


async def test_a_site_is_closed_when_its_time_has_come() -> None:
    closed: list[int] = []
    closed_then: list[int] = []

    async def then() -> None:
        closed_then.append(len(closed))

    leaving = LeavingSites(RecordingObserver(), leaves_after_s=0.01, then=then)

    leaving.add(fake_sites(2, closed))
    assert closed == []

    async def left() -> int:
        return len(leaving)

    await eventually(left, 0)
    assert sorted(closed) == [0, 1]
    assert closed_then == [1, 2], "whoever looks after what it has admitted does so after each"


async def test_above_the_cap_the_oldest_leave_at_once() -> None:
    closed: list[int] = []
    leaving = LeavingSites(RecordingObserver(), leaves_after_s=FOR_EVER, then=nothing)

    for one in fake_sites(MAX_LEAVING + 3, closed):
        leaving.add([one])
    for _ in range(5):
        await asyncio.sleep(0)

    assert closed == [0, 1, 2]
    assert len(leaving) == MAX_LEAVING
    await leaving.close()


async def test_of_an_exchange_of_more_sites_than_the_cap_none_is_hurried() -> None:
    closed: list[int] = []
    leaving = LeavingSites(RecordingObserver(), leaves_after_s=FOR_EVER, then=nothing)
    sites = fake_sites(2 * (MAX_LEAVING + 3), closed)
    first, second = sites[: MAX_LEAVING + 3], sites[MAX_LEAVING + 3 :]

    leaving.add(first)
    for _ in range(5):
        await asyncio.sleep(0)
    assert closed == []

    leaving.add(second)
    for _ in range(5):
        await asyncio.sleep(0)
    assert closed == list(range(MAX_LEAVING + 3))
    await leaving.close()


async def test_at_the_end_of_the_process_all_are_closed() -> None:
    closed: list[int] = []
    leaving = LeavingSites(RecordingObserver(), leaves_after_s=FOR_EVER, then=nothing)
    leaving.add(fake_sites(3, closed))

    await leaving.close()

    assert closed == [0, 1, 2]


async def test_a_site_that_cannot_be_closed_is_told_and_keeps_nobody_else() -> None:
    closed: list[int] = []
    observer = RecordingObserver()
    leaving = LeavingSites(observer, leaves_after_s=0.01, then=nothing)

    async def broken() -> None:
        raise RuntimeError("no")

    bad, good = fake_sites(2, closed)
    bad.close = broken
    leaving.add([bad, good])

    async def told() -> int:
        return len(observer.errors)

    await eventually(told, 1)
    assert closed == [1]
