"""The script that pages of the app include, in a page of the legacy app, against the real gate and Keycloak.

Times are bent in the answers of ``/status`` only; what is counted and ended is.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import pytest
from playwright.async_api import Error

from tests.support.browser_fixtures import screenshot
from tests.support.eventually import eventually

if TYPE_CHECKING:
    from playwright.async_api import Page, Route

    from tests.browser.visitor import Visitor
    from tests.journeys.house import House

pytestmark = pytest.mark.asyncio(loop_scope="session")

PAGE = "/session"
STATUS = "/_sidegate/status"
STRICT = (
    "default-src 'none'; script-src 'self'; connect-src 'self'; style-src 'self'; img-src 'self'; form-action 'self'"
)

TURN = """(state) => {
  Object.defineProperty(document, "hidden", { value: state === "hidden", configurable: true });
  document.dispatchEvent(new Event("visibilitychange"));
}"""
"""As if the tab were put behind another, or before it again."""


class Bent:
    """What the page is told of its session: the truth, but with these times instead (seconds from now)."""

    def __init__(self, visitor: Visitor) -> None:
        self.url = visitor.url + STATUS
        self.times: dict[str, int] = {}
        self.asked: list[str] = []

    async def __call__(self, route: Route) -> None:
        self.asked.append(route.request.method)
        try:
            answer = await route.fetch()
            said: dict[str, Any] = await answer.json()
        except Error:
            return  # the page was closed while it asked
        if said["session"]:
            said["session"].update({name: int(time.time()) + left for name, left in self.times.items()})
        await route.fulfill(response=answer, json=said)


async def bent(visitor: Visitor, **times: int) -> Bent:
    told = Bent(visitor)
    told.times = times
    await visitor.context.route(told.url, told)
    return told


async def under_a_strict_policy(route: Route) -> None:
    answer = await route.fetch()
    await route.fulfill(response=answer, headers={**answer.headers, "content-security-policy": STRICT})


async def test_it_says_who_is_signed_in_and_a_logout_in_one_tab_is_noticed_in_the_other(visitor: Visitor) -> None:
    await visitor.context.route(visitor.url + PAGE, under_a_strict_policy)
    await visitor.sign_in("alice", path=PAGE)
    page, other = visitor.page, await visitor.new_tab()
    await other.goto(visitor.url + PAGE)
    for tab in (page, other):
        await tab.locator("main strong", has_text="Alice Test").wait_for()

    await other.get_by_role("button", name="Sign out").click()
    await other.get_by_role("heading", name="You are signed out").wait_for()
    await page.wait_for_url(visitor.url + "/_sidegate/login?return_to=%2Fsession")

    assert not await visitor.is_signed_in()
    again = await other.get_by_role("link", name="Sign in again").get_attribute("href")
    assert again == "/_sidegate/login?return_to=%2Fsession"
    await visitor.fill_form("alice", "alice-pw")
    await page.wait_for_url(visitor.url + PAGE)


async def test_a_word_before_the_end_and_a_click_that_keeps_the_session_if_anything_can(visitor: Visitor) -> None:
    await visitor.context.route(visitor.url + PAGE, under_a_strict_policy)
    told = await bent(visitor, idle_expires_at=90)
    await visitor.sign_in("alice", path=PAGE)
    page, warning = visitor.page, visitor.page.get_by_role("alert")
    stay, again = (page.get_by_role("button", name=name) for name in ("Stay signed in", "Sign in again"))
    await warning.wait_for()
    assert "Your session ends at" in await warning.inner_text()
    box = await warning.bounding_box()
    assert box is not None
    assert box["y"] + box["height"] == pytest.approx(await page.evaluate("innerHeight"), abs=1)
    await screenshot(page, "session-script-warning")
    told.times = {}
    await stay.click()
    await eventually(warning.is_visible, expected=False)
    assert told.asked == ["GET", "POST"]

    # Staying does not help any more.
    told.times = {"idle_expires_at": 80}
    await page.evaluate(TURN, "visible")
    await stay.focus()
    await stay.press("Enter")
    await again.wait_for()
    assert await again.evaluate("(button) => button === document.activeElement")

    # The absolute end is near, and known to be.
    told.times = {"idle_expires_at": 70, "expires_at": 70}
    await page.reload()
    before = (await visitor.cookies())["sidegate"]["value"]
    await again.click()
    await page.wait_for_url(lambda url: "/_sidegate/login" in url)
    await visitor.fill_form("alice", "alice-pw")
    await page.wait_for_url(visitor.url + PAGE)
    assert (await visitor.cookies())["sidegate"]["value"] != before


async def test_an_end_elsewhere_is_noticed_without_a_word_and_a_hidden_page_asks_nothing(
    house: House, visitor: Visitor, newcomer: str
) -> None:
    await visitor.page.clock.install()
    told = await bent(visitor)
    await visitor.sign_in(newcomer, path=PAGE)
    await eventually(lambda: visitor.page.locator("main strong").inner_text(), expected=f"{newcomer.capitalize()} Test")

    asked = len(told.asked)
    await visitor.page.evaluate(TURN, "hidden")
    await visitor.page.clock.fast_forward("01:00:00")
    assert len(told.asked) == asked
    await visitor.page.evaluate(TURN, "visible")
    await eventually(lambda: _number(told), expected=asked + 1)
    around = await page_around(visitor)
    framed = around.frames[1]
    await framed.locator("main strong", has_text=newcomer.capitalize()).wait_for()
    await house.keycloak.admin.logout_user(await house.keycloak.admin.user_id(newcomer))
    await eventually(visitor.is_signed_in, expected=False)
    await framed.evaluate("document.dispatchEvent(new Event('visibilitychange'))")
    await around.frame_locator("iframe").get_by_role("link", name="Open the sign-in page").wait_for()
    await visitor.page.clock.fast_forward("00:03:00")

    await visitor.page.wait_for_url(visitor.url + "/_sidegate/login?return_to=%2Fsession")
    assert "signed out elsewhere" in await visitor.page.locator(".note").inner_text()


async def page_around(visitor: Visitor) -> Page:
    """A page in another tab that shows the page with the script in a frame."""
    content = f'<!doctype html><html lang="en"><title>Around</title><h1>Around</h1><iframe src="{PAGE}"></iframe>'
    address = visitor.url + "/static/around.html"
    await visitor.context.route(address, lambda route: route.fulfill(content_type="text/html", body=content))
    page = await visitor.new_tab()
    await page.goto(address)
    return page


async def _number(told: Bent) -> int:
    return len(told.asked)


async def test_somebody_else_in_another_tab_makes_the_page_theirs(visitor: Visitor, newcomer: str) -> None:
    await visitor.sign_in("alice", path=PAGE)
    await visitor.page.locator("main strong", has_text="Alice").wait_for()
    other = await visitor.new_tab()
    await other.goto(visitor.url + "/_sidegate/login?prompt=login")
    alices, visitor.page = visitor.page, other
    await visitor.fill_form(newcomer, f"{newcomer}-pw")
    await other.wait_for_url(visitor.url + "/")

    await alices.evaluate("document.dispatchEvent(new Event('visibilitychange'))")

    # What the app wrote, not what the script puts in: the page itself is theirs now.
    await alices.locator("header .who", has_text=newcomer.capitalize()).wait_for()
    assert alices.url == visitor.url + PAGE


async def test_a_public_page_is_left_in_peace(house: House, visitor: Visitor) -> None:
    async def public(route: Route) -> None:
        content = (
            f'<!doctype html><html lang="de"><script src="{house.url}/_sidegate/assets/session.js" defer></script>'
            # What somebody else may have written into the page, and what the script must not take for itself.
            '<img name="currentScript" src="data:," alt="">'
            '<p data-sidegate="user">wer</p><p data-sidegate="logout" data-text="Raus"></p>'
            '<p data-sidegate="warning" hidden></p>'
        )
        await route.fulfill(status=200, content_type="text/html", body=content)

    await visitor.context.route(visitor.url + "/static/public.html", public)
    await visitor.open("/static/public.html")
    await eventually(visitor.page.locator("p").first.inner_text, expected="")
    assert not await visitor.page.get_by_role("button", name="Raus").is_visible()
    assert visitor.path() == "/static/public.html"

    await visitor.sign_in("alice", path="/notes")
    await bent(visitor, idle_expires_at=90)
    await visitor.open("/static/public.html")
    warning = visitor.page.locator("[data-sidegate=warning]")
    await warning.wait_for()

    assert "Ihre Sitzung endet um" in await warning.inner_text()
    assert await warning.get_attribute("style") is None
    await visitor.page.get_by_role("button", name="Raus").click()
    await visitor.page.get_by_role("heading", name="You are signed out").wait_for()
