"""Tasks have an owner: kept until they end, reported when they break, ended when the owner ends."""

from __future__ import annotations

import asyncio
import gc
import weakref
from contextlib import suppress
from typing import TYPE_CHECKING

import pytest

from proxy.tasks import TaskOwner

if TYPE_CHECKING:
    from collections.abc import AsyncIterator


class Owned:
    """An owner and the faults that it reported."""

    def __init__(self) -> None:
        self.faults: list[BaseException] = []
        self.owner = TaskOwner(self.faults.append)


@pytest.fixture
async def owned() -> AsyncIterator[Owned]:
    made = Owned()
    yield made
    await made.owner.close()


async def test_a_task_that_nobody_else_holds_goes_on(owned: Owned) -> None:
    gate: asyncio.Future[None] = asyncio.get_running_loop().create_future()
    done = []

    async def work(waits_for: asyncio.Future[None]) -> None:
        await waits_for
        done.append(True)

    task = weakref.ref(owned.owner.start(work(gate)))
    await asyncio.sleep(0)
    gc.collect()
    assert task() is not None
    gate.set_result(None)
    await asyncio.sleep(0)
    await asyncio.sleep(0)

    assert done == [True]


async def test_what_ended_is_not_kept(owned: Owned) -> None:
    await owned.owner.start(asyncio.sleep(0))
    await asyncio.sleep(0)

    assert owned.owner._tasks == set()


async def test_a_fault_that_nobody_awaited_is_reported(owned: Owned) -> None:
    async def work() -> None:
        raise ValueError("broken")

    _ = owned.owner.start(work())
    for _ in range(3):
        await asyncio.sleep(0)

    assert [str(fault) for fault in owned.faults] == ["broken"]


async def test_finish_gives_the_result(owned: Owned) -> None:
    assert await owned.owner.finish(asyncio.sleep(0, "result")) == "result"


async def test_finish_raises_the_fault_of_the_work(owned: Owned) -> None:
    async def work() -> None:
        raise ValueError("broken")

    with pytest.raises(ValueError, match="broken"):
        await owned.owner.finish(work())


async def test_what_is_finished_goes_on_when_its_caller_is_cancelled(owned: Owned) -> None:
    gate = asyncio.Event()
    done = []

    async def work() -> None:
        await gate.wait()
        done.append(True)

    caller = owned.owner.start(owned.owner.finish(work()))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    caller.cancel()
    await asyncio.gather(caller, return_exceptions=True)
    gate.set()
    await asyncio.sleep(0)
    await asyncio.sleep(0)

    assert caller.cancelled()
    assert done == [True]


async def test_close_cancels_what_still_runs_and_waits_for_it(owned: Owned) -> None:
    cleaned = []

    async def work() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            await asyncio.sleep(0)
            cleaned.append(True)

    task = owned.owner.start(work())
    await asyncio.sleep(0)
    await owned.owner.close()

    assert task.cancelled()
    assert cleaned == [True]
    assert owned.faults == [], "a cancellation is no fault"


async def test_close_cancels_again_what_lost_its_cancellation(owned: Owned, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("proxy.tasks.CANCEL_AGAIN_S", 0.01)

    async def work() -> None:
        with suppress(asyncio.CancelledError):
            await asyncio.Event().wait()
        await asyncio.Event().wait()

    task = owned.owner.start(work())
    await asyncio.sleep(0)
    async with asyncio.timeout(10):
        await owned.owner.close()

    assert task.cancelled()
