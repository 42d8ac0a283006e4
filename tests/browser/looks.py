"""Looking at a page as people see it: narrow and wide, light and dark; a picture of each is kept."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Literal

from tests.support.browser_fixtures import screenshot

if TYPE_CHECKING:
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
    """Keep four pictures of the page as ``<name>-<width>-<scheme>.png``; none of them may have a fault."""
    before = page.viewport_size
    faults: dict[str, list[str]] = {}
    for width in WIDTHS_PX:
        await page.set_viewport_size({"width": width, "height": 640 if width < 600 else 800})
        for scheme in SCHEMES:
            # Without motion, else a colour is measured on its way.
            await page.emulate_media(color_scheme=scheme, reduced_motion="reduce")
            await screenshot(page, f"{name}-{width}-{scheme}")
            if found := await page_faults(page):
                faults[f"{width} px, {scheme}"] = found
    await page.emulate_media(color_scheme="light", reduced_motion="reduce")
    if before is not None:
        await page.set_viewport_size(before)
    assert not faults, f"{name}: {faults}"
