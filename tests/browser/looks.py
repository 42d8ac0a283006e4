"""Looking at a page as people see it: narrow and wide, light and dark; pictures are kept."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Literal

from tests.support.browser_fixtures import screenshot

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from playwright.async_api import Page

PAGE_FAULTS = Path(__file__).with_name("page_faults.js").read_text("utf-8")
WIDTHS_PX = (320, 1280)
"""The narrowest that WCAG 2.2 (1.4.10) knows, and a desk."""
SCHEMES: tuple[Literal["light"], Literal["dark"]] = ("light", "dark")


async def page_faults(page: Page) -> list[str]:
    """What is wrong with the page as it is shown now."""
    faults: list[str] = await page.evaluate(PAGE_FAULTS)
    return faults


async def look_at(page: Page, name: str) -> None:
    """Keep a picture of the page as it is shown; in none of its four shapes may it have a fault."""
    await screenshot(page, name)
    faults = {shape: await page_faults(page) async for shape in shapes(page)}
    assert not any(faults.values()), f"{name}: {faults}"


async def portray(page: Page, name: str) -> None:
    """The same with a picture of each shape, ``<name>-<width>-<scheme>.png``: where pages are shown for their looks."""
    faults: dict[str, list[str]] = {}
    async for shape in shapes(page):
        await screenshot(page, f"{name}-{shape}")
        faults[shape] = await page_faults(page)
    assert not any(faults.values()), f"{name}: {faults}"


async def shapes(page: Page) -> AsyncIterator[str]:
    """Show the page narrow and wide, light and dark, in turn, and then as it was; names the shape."""
    before = page.viewport_size
    for width in WIDTHS_PX:
        await page.set_viewport_size({"width": width, "height": 640 if width < 600 else 800})
        for scheme in SCHEMES:
            # Without motion, else a colour is measured on its way.
            await page.emulate_media(color_scheme=scheme, reduced_motion="reduce")
            yield f"{width}-{scheme}"
    await page.emulate_media(color_scheme="light", reduced_motion="reduce")
    if before is not None:
        await page.set_viewport_size(before)
