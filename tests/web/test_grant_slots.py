"""Slots for password grants: bounded at once, bounded waiting, bounded in time."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack

import pytest

from proxy.errors import ProviderUnavailable
from proxy.web import grant_slots
from proxy.web.grant_slots import GrantSlots


async def test_no_more_at_once_than_there_are_slots() -> None:
    slots, inside, most = GrantSlots(2, max_wait_s=5), 0, 0

    async def login() -> None:
        nonlocal inside, most
        async with slots.slot():
            inside += 1
            most = max(most, inside)
            await asyncio.sleep(0)
            inside -= 1

    await asyncio.gather(*(login() for _ in range(20)))

    assert most == 2


async def test_who_waits_too_long_is_told_that_the_provider_is_busy() -> None:
    slots = GrantSlots(1, max_wait_s=0.01)

    async with slots.slot():
        with pytest.raises(ProviderUnavailable) as caught:
            async with slots.slot():
                pytest.fail("there was a slot")

    assert caught.value.reason == "provider_busy"


async def test_who_gave_up_leaves_no_slot_taken() -> None:
    slots = GrantSlots(1, max_wait_s=0.01)
    async with slots.slot():
        with pytest.raises(ProviderUnavailable):
            await AsyncExitStack().enter_async_context(slots.slot())

    async with slots.slot():
        pass


async def test_the_queue_has_a_cap(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(grant_slots, "WAITING_PER_SLOT", 3)
    slots, go = GrantSlots(1, max_wait_s=5), asyncio.Event()

    async def login() -> None:
        async with slots.slot():
            await go.wait()

    async with asyncio.TaskGroup() as group:
        for _ in range(4):
            group.create_task(login())
        await asyncio.sleep(0)
        await asyncio.sleep(0)

        with pytest.raises(ProviderUnavailable):
            await AsyncExitStack().enter_async_context(slots.slot())
        go.set()


async def test_a_grant_that_fails_gives_its_slot_back() -> None:
    slots = GrantSlots(1, max_wait_s=0.01)
    with pytest.raises(RuntimeError):
        async with slots.slot():
            raise RuntimeError

    async with slots.slot():
        pass
