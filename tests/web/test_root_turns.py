"""Callbacks of one browser take turns; nobody waits for a stranger, and nobody waits for ever."""

from __future__ import annotations

import asyncio

import pytest

from proxy.web.root_turns import RootTurns


class Work:
    """Something that takes a turn and lasts until it is told to end."""

    def __init__(self, turns: RootTurns, root_id: str | None) -> None:
        self.begun, self.may_end = asyncio.Event(), asyncio.Event()
        self.task = asyncio.get_running_loop().create_task(self._run(turns, root_id))

    async def _run(self, turns: RootTurns, root_id: str | None) -> None:
        async with turns.turn(root_id):
            self.begun.set()
            await self.may_end.wait()


async def settle() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


async def test_two_of_one_root_come_one_after_the_other() -> None:
    turns = RootTurns(max_wait_s=10)
    first, second = Work(turns, "r"), Work(turns, "r")
    await first.begun.wait()
    await settle()
    assert not second.begun.is_set()

    first.may_end.set()
    await second.begun.wait()
    second.may_end.set()
    await asyncio.gather(first.task, second.task)

    assert len(turns) == 0


@pytest.mark.parametrize("others", ["s", None])
async def test_another_root_or_none_waits_for_nobody(others: str | None) -> None:
    turns = RootTurns(max_wait_s=10)
    first, second = Work(turns, "r"), Work(turns, others)

    await second.begun.wait()

    for work in (first, second):
        work.may_end.set()
        await work.task


async def test_who_waited_too_long_goes_on_and_takes_nobodys_turn() -> None:
    turns = RootTurns(max_wait_s=0.01)
    first = Work(turns, "r")
    await first.begun.wait()
    impatient = Work(turns, "r")
    await impatient.begun.wait()
    impatient.may_end.set()
    await impatient.task

    late = RootTurns.turn(turns, "r")
    assert len(turns) == 1, "the first is still there"
    first.may_end.set()
    await first.task
    async with late:
        pass
    assert len(turns) == 0


async def test_who_hangs_up_while_waiting_leaves_nothing_behind() -> None:
    turns = RootTurns(max_wait_s=10)
    first, second = Work(turns, "r"), Work(turns, "r")
    await first.begun.wait()
    second.task.cancel()
    await asyncio.gather(second.task, return_exceptions=True)
    third = Work(turns, "r")

    first.may_end.set()
    await third.begun.wait()

    third.may_end.set()
    await asyncio.gather(first.task, third.task)
    assert len(turns) == 0
