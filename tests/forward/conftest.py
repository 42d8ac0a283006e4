"""Dialogues are held on both event loops: the one that everybody has, and the faster one."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest
import pytest_asyncio
import uvloop

from tests.forward.certificates import Certificates
from tests.forward.dialogue import Path, serving

if TYPE_CHECKING:
    import pathlib
    from collections.abc import AsyncGenerator, Callable

    from tests.support.raw_upstream import RawUpstream


def pytest_asyncio_loop_factories() -> dict[str, Callable[[], asyncio.AbstractEventLoop]]:
    """Run each dialogue once on each loop."""
    return {"asyncio": asyncio.new_event_loop, "uvloop": uvloop.new_event_loop}


@pytest_asyncio.fixture
async def path(echo_app: RawUpstream) -> AsyncGenerator[Path, None]:
    """A data path in front of the raw upstream."""
    async with serving(echo_app.port) as path:
        yield path


@pytest.fixture
def certificates(tmp_path: pathlib.Path) -> Certificates:
    """An authority for this test."""
    return Certificates(tmp_path)
