"""What the streams of this folder are tried with besides the front door."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import pytest_asyncio

from tests.forward.certificates import Certificates
from tests.streams.door import Dial

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

HERE = Path(__file__).parent


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Leave what is slow to the full run: the whole suite is to take less than a quarter of an hour."""
    if os.environ.get("SIDEGATE_TEST_FULL"):
        return
    for item in items:
        if item.path.parent == HERE and item.get_closest_marker("slow"):
            item.add_marker(pytest.mark.skip(reason="slow: set SIDEGATE_TEST_FULL=1"))


@pytest.fixture
def certificates(tmp_path: Path) -> Certificates:
    """An authority for this test."""
    return Certificates(tmp_path)


@pytest_asyncio.fixture
async def dial() -> AsyncIterator[Dial]:
    """Open a raw client; it ends with the test."""
    dial = Dial()
    yield dial
    await dial.close()
