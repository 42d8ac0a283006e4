"""What the streams of this folder are tried with besides the front door."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import pytest_asyncio

from tests.forward.certificates import Certificates
from tests.streams.door import Dial

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path


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
