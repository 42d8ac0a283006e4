"""The own pages as most tests want them."""

from __future__ import annotations

from typing import Any

import pytest_asyncio

from tests.support.own_pages import OwnPages, open_own_pages


@pytest_asyncio.fixture
async def own(aiohttp_client: Any) -> OwnPages:
    """The application with default options."""
    return await open_own_pages(aiohttp_client)
