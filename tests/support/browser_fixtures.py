"""A real browser: Debian's Chromium, driven by Playwright; without windows where it is there so, as Playwright's own.

A window costs half a second of a processor for each person who comes, and nobody looks at it.
The asynchronous API, because the synchronous one leaves a running loop behind in which no other test can run.
"""

from __future__ import annotations

import os
import re
import shutil
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import pytest_asyncio
from playwright.async_api import async_playwright

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from playwright.async_api import Browser, Page

SCREENSHOTS = Path(__file__).parents[2] / "test-output" / "screenshots"
# Nothing may leave the machine, and no test needs a sandbox of its own.
ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


async def screenshot(page: Page, name: str) -> Path:
    """Keep a picture of the whole page as test-output/screenshots/<name>.png; its path."""
    path = SCREENSHOTS / f"{re.sub(r'[^A-Za-z0-9_.-]+', '-', name)}.png"
    path.parent.mkdir(parents=True, exist_ok=True)
    await page.screenshot(path=path, full_page=True)
    return path


@asynccontextmanager
async def running_chromium() -> AsyncIterator[Browser]:
    """Chromium, started and closed; skips the test where there is none."""
    async with async_playwright() as playwright:
        started = await playwright.chromium.launch(executable_path=_chromium(), args=ARGUMENTS)
        yield started
        await started.close()


@pytest_asyncio.fixture
async def browser() -> AsyncIterator[Browser]:
    """One Chromium; ``await browser.new_context()`` for each person in front of it."""
    async with running_chromium() as started:
        yield started


@pytest_asyncio.fixture
async def browser_page(browser: Browser) -> AsyncIterator[Page]:
    """A page of a fresh context: no cookie, nothing cached."""
    context = await browser.new_context(locale="en-GB")
    yield await context.new_page()
    await context.close()


def _chromium() -> str:
    installed = (shutil.which(name) for name in ("chromium-headless-shell", "chromium", "chromium-browser"))
    found = os.environ.get("CHROMIUM") or next(filter(None, installed), None)
    if found is None:
        pytest.skip("a browser is needed: apt-get install chromium")
    return found
