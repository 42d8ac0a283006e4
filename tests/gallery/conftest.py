"""One Chromium for the gallery, which needs no server and no Keycloak and so runs beside those that do."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import pytest_asyncio

from tests.gallery.exhibits import gallery
from tests.support.browser_fixtures import running_chromium

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from playwright.async_api import Browser, Page

    from proxy.pages.render import JinjaPages


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def browser() -> AsyncIterator[Browser]:
    """See ``tests/browser/conftest.py``."""
    async with running_chromium() as started:
        yield started


@pytest_asyncio.fixture(loop_scope="session")
async def sheet(browser: Browser) -> AsyncIterator[Page]:
    """A page of a fresh context; what it complains about fails the test."""
    context = await browser.new_context(reduced_motion="reduce", viewport={"width": 1280, "height": 800})
    context.set_default_timeout(10_000)
    page = await context.new_page()
    complaints: list[str] = []
    page.on("console", lambda message: complaints.append(message.text))
    page.on("pageerror", lambda error: complaints.append(str(error)))
    yield page
    await context.close()
    assert complaints == []


@pytest.fixture(scope="session")
def plain() -> JinjaPages:
    """The pages of a site that says its name and nothing of its look."""
    return gallery()
