"""How long open streams wait for a store."""

from __future__ import annotations

import asyncio

import pytest

from proxy.errors import StoreUnavailable
from proxy.sessions.store_patience import STORE_PATIENCE_S, StorePatience
from tests.support.clocks import FakeClock


async def test_a_connection_that_broke_is_no_outage_yet() -> None:
    tries = 0

    async def ask() -> str:
        nonlocal tries
        tries += 1
        if tries < 3:
            raise StoreUnavailable("the connection broke")
        return "answer"

    assert await StorePatience(FakeClock()).asked(ask) == "answer"


async def test_while_the_store_is_silent_for_one_nobody_else_waits() -> None:
    clock, asked = FakeClock(), 0

    async def ask() -> None:
        nonlocal asked
        asked += 1
        await asyncio.Event().wait()

    async def answer() -> str:
        return "answer"

    patience = StorePatience(clock)
    for _ in range(3):
        with pytest.raises(StoreUnavailable):
            await patience.asked(ask)
    assert asked == 1

    clock.advance(STORE_PATIENCE_S)
    assert await patience.asked(answer) == "answer"
