"""What the trials need."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest
import uvloop

from tests.fuzz.nginx import nginx_command

if TYPE_CHECKING:
    from collections.abc import Callable


def pytest_asyncio_loop_factories() -> dict[str, Callable[[], asyncio.AbstractEventLoop]]:
    """Hold each trial once on each loop."""
    return {"asyncio": asyncio.new_event_loop, "uvloop": uvloop.new_event_loop}


@pytest.fixture
def nginx() -> str:
    """Where nginx is."""
    command = nginx_command()
    if command is None:
        pytest.skip("nginx is needed: apt-get install nginx")
    return command
