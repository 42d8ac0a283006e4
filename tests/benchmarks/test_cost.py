"""What a request costs in instructions and calls of the interpreter: the same on every machine, so that CI can tell.

A budget is what it costs now and a tenth. Who makes a request dearer than that changes the figure here and says why;
who makes it cheaper takes the figure down. Microseconds are for ``make bench``.
"""

from __future__ import annotations

import gc
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest

from tests.benchmarks.exchange_in_memory import ExchangeInMemory

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from types import FrameType

INSTRUCTIONS, INSTRUCTIONS_OF_NEW_HEAD = 2_500, 5_000
"""Bytecodes of one authenticated exchange, request read to line logged: of a head that the connection brought before,
and of one that is new. CPython 3.11; later ones need fewer."""

CALLS, CALLS_OF_NEW_HEAD = 175, 370
"""Calls of functions, of ours and of the interpreter's, for the same two."""

WARM_UP = 20
"""Exchanges after which every memory of names is filled."""


@dataclass
class Exchange:
    """An exchange that is warm."""

    in_memory: ExchangeInMemory
    request: bytes

    asked: int = 0

    def __call__(self) -> bytes:
        return self.in_memory.once(self.request)

    def with_new_head(self) -> bytes:
        """Ask for what nobody asked for before."""
        self.asked += 1
        return self.in_memory.once(self.request.replace(b"/small", b"/small?%05d" % self.asked))


@pytest.fixture
async def exchange() -> AsyncIterator[Exchange]:
    in_memory = ExchangeInMemory()
    exchange = Exchange(in_memory, await in_memory.request_of_somebody_signed_in())
    for _ in range(WARM_UP):
        exchange.with_new_head()
    exchange()
    yield exchange
    in_memory.close()


@pytest.fixture
async def by_token() -> AsyncIterator[Exchange]:
    in_memory = ExchangeInMemory()
    exchange = Exchange(in_memory, await in_memory.request_of_an_api_client())
    for _ in range(WARM_UP):
        exchange.with_new_head()
    exchange()
    yield exchange
    in_memory.close()


def instructions_of(act: Callable[[], object]) -> int:
    """Count the bytecodes that run in frames below ``act``."""
    count = 0

    def trace(frame: FrameType, event: str, _argument: Any) -> Any:
        nonlocal count
        if event == "call":
            frame.f_trace_opcodes = True
            frame.f_trace_lines = False
        elif event == "opcode":
            count += 1
        return trace

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        act()
    finally:
        sys.settrace(before)
    return count


def calls_of(act: Callable[[], object]) -> int:
    """Count the calls of functions, those written in C too."""
    count = 0

    def hear(_frame: FrameType, event: str, _argument: Any) -> None:
        nonlocal count
        count += event in {"call", "c_call"}

    before = sys.getprofile()
    sys.setprofile(hear)
    try:
        act()
    finally:
        sys.setprofile(before)
    return count


async def test_what_is_counted_is_an_authenticated_request_that_reached_the_app(exchange: Exchange) -> None:
    answer = exchange()

    sent = b"".join(exchange.in_memory.at_upstream.written)
    assert answer.startswith(b"HTTP/1.1 200 OK\r\n")
    assert answer.endswith(b"x" * 1024)
    assert b"\r\nX-Auth-Subject: alice-id\r\n" in sent
    assert b"Cookie" not in sent


async def test_a_request_stays_within_its_budget_of_instructions(exchange: Exchange) -> None:
    counted = min(instructions_of(exchange) for _ in range(3))

    assert counted <= INSTRUCTIONS, f"a request takes {counted} instructions, its budget is {INSTRUCTIONS}"


async def test_a_request_stays_within_its_budget_of_calls(exchange: Exchange) -> None:
    counted = min(calls_of(exchange) for _ in range(3))

    assert counted <= CALLS, f"a request takes {counted} calls, its budget is {CALLS}"


async def test_a_new_head_stays_within_its_budget_of_instructions(exchange: Exchange) -> None:
    counted = min(instructions_of(exchange.with_new_head) for _ in range(3))

    assert counted <= INSTRUCTIONS_OF_NEW_HEAD, f"a new head takes {counted}, its budget is {INSTRUCTIONS_OF_NEW_HEAD}"


async def test_a_new_head_stays_within_its_budget_of_calls(exchange: Exchange) -> None:
    counted = min(calls_of(exchange.with_new_head) for _ in range(3))

    assert counted <= CALLS_OF_NEW_HEAD, f"a new head takes {counted} calls, its budget is {CALLS_OF_NEW_HEAD}"


async def test_the_count_is_the_same_each_time(exchange: Exchange) -> None:
    counts = sorted(instructions_of(exchange) for _ in range(5))

    # Not exactly: the first line of a batch wakes the thread that writes the log, and one in fifty draws ids for fifty.
    assert counts[3] - counts[0] <= 200


async def test_a_request_leaves_no_memory_behind(exchange: Exchange) -> None:
    def blocks() -> int:
        gc.collect()
        return sys.getallocatedblocks()

    before = blocks()
    for _ in range(500):
        exchange()
    exchange.in_memory.observer.close()  # or lines that wait to be written would be counted
    left = blocks() - before

    assert left < 250, f"500 requests left {left} blocks of memory: at least one in two requests leaves something"


async def test_a_known_bearer_token_costs_no_more_than_a_session(by_token: Exchange) -> None:
    answer = by_token()
    counted = min(instructions_of(by_token) for _ in range(3)), min(calls_of(by_token) for _ in range(3))
    of_new_head = min(instructions_of(by_token.with_new_head) for _ in range(3))

    assert answer.startswith(b"HTTP/1.1 200 OK\r\n")
    assert b"\r\nX-Auth-Subject: alice-id\r\n" in b"".join(by_token.in_memory.at_upstream.written)
    assert counted[0] <= INSTRUCTIONS, counted
    assert counted[1] <= CALLS, counted
    assert of_new_head <= INSTRUCTIONS_OF_NEW_HEAD, of_new_head
