"""The checks of every page find what they are there for; a page of ours passes them in each of its shapes."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import pytest_asyncio

from tests.browser.looks import page_faults

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from playwright.async_api import Browser, Page

    from tests.browser.visitor import Visitor
    from tests.journeys.house import House

GOOD = (
    '<!doctype html><html lang="en"><title>t</title><body style="background:#fff;color:#111"><main><h1>h</h1>{}</main>'
)

pytestmark = pytest.mark.asyncio(loop_scope="session")


@pytest_asyncio.fixture(loop_scope="session")
async def sheet(browser: Browser) -> AsyncIterator[Page]:
    """An empty narrow page."""
    context = await browser.new_context(viewport={"width": 320, "height": 600})
    yield await context.new_page()
    await context.close()


@pytest.mark.parametrize(
    ("content", "fault"),
    [
        ('<p style="color:#888">grey</p>', "text has a contrast of 3.54"),
        ('<p style="color:rgba(0,0,0,.4)">thin</p>', "text has a contrast of 2.85"),
        ('<input style="border:1px solid #777;min-height:24px">', "no label"),
        ('<label>a <input style="border:1px solid #ddd;min-height:24px"></label>', "the border has a contrast of"),
        ('<label>a <input style="border:1px solid #777" aria-invalid="true"></label>', "not tied to its field"),
        ('<p aria-describedby="nowhere">a</p>', "described by nothing, nowhere"),
        ('<img src="data:image/gif;base64,R0lGODlhAQABAAAAACw=">', "no alternative"),
        ('<img alt="" src="data:image/gif;base64,nonsense">', "an image that is not there"),
        ('<a href="/x"></a>', "no name"),
        ('<button style="font-size:8px;padding:0">x</button>', "too small to touch"),
        ('<p style="width:400px">wide</p>', "the page scrolls sideways"),
        ("<h1>again</h1>", "there is not one h1"),
        ('<p id="a"></p><p id="a"></p>', "an id stands twice"),
    ],
)
async def test_a_fault_is_found(sheet: Page, content: str, fault: str) -> None:
    await sheet.set_content(GOOD.format(content))

    found = await page_faults(sheet)

    assert any(fault in one for one in found), found


async def test_a_good_page_has_no_fault_and_one_without_anything_has_several(sheet: Page) -> None:
    await sheet.set_content(GOOD.format("<p>well</p>"))
    assert await page_faults(sheet) == []

    await sheet.set_content("<p>unpainted</p>")
    found = await page_faults(sheet)

    for fault in ("language", "title", "not one main", "nobody paints"):
        assert any(fault in one for one in found), (fault, found)


async def test_complaints_are_heard(house: House, visitor: Visitor) -> None:
    await visitor.open("/_sidegate/login")

    await visitor.page.evaluate(
        "document.body.insertAdjacentHTML('beforeend', '<img src=\"/_sidegate/assets/nowhere.svg\">');"
        "document.body.setAttribute('style', 'color: red'); console.warn('hm');"
        "setTimeout(() => { throw new Error('oops') })"
    )
    await visitor.page.wait_for_timeout(200)
    heard, visitor.complaints = " | ".join(visitor.complaints), []

    for complaint in ("style-src", "hm", "oops", "404 for"):
        assert complaint in heard
