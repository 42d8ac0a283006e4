"""Fixtures of this room."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import pytest_asyncio

from tests.oidc.answering import AnsweringServer, answering_server
from tests.support.clocks import FakeClock
from tests.support.observers import RecordingObserver

if TYPE_CHECKING:
    from collections.abc import AsyncIterator


@pytest.fixture
def clock() -> FakeClock:
    """Time in the hand of the test."""
    return FakeClock()


@pytest.fixture
def observer() -> RecordingObserver:
    """Everything that was said."""
    return RecordingObserver()


@pytest_asyncio.fixture
async def server() -> AsyncIterator[AnsweringServer]:
    """A small real HTTP server."""
    async with answering_server() as running:
        yield running


@pytest.fixture(autouse=True)
def no_proxy_of_this_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    """A proxy in the environment of whoever runs the tests is none of the test's."""
    for name in ("http_proxy", "https_proxy", "all_proxy", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)
