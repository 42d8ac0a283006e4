"""Logins that do not break: two tabs, a double click, the back button, a night, a window that is restored.

Without script: whatever the login page's own does for tabs that are open, the server leads on by itself.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from tests.browser.visitor import fill_keycloak_form

if TYPE_CHECKING:
    from playwright.async_api import Page

    from tests.browser.conftest import Arrive
    from tests.browser.visitor import Visitor
    from tests.journeys.house import House

pytestmark = pytest.mark.asyncio(loop_scope="session")

TABS = 10
"""Tabs of the restored window: more than the six connections that a browser opens to one host."""


async def logins_at_keycloak(house: House, username: str) -> int:
    admin = house.keycloak.admin
    return len(await admin.sessions(await admin.user_id(username)))


async def test_a_double_click_and_a_second_tab_are_one_login(house: House, arrive: Arrive, newcomer: str) -> None:
    visitor = await arrive(house.url, java_script_enabled=False)
    first, second = visitor.page, await visitor.new_tab()
    await first.goto(visitor.url + "/notes?first")
    await second.goto(visitor.url + "/?second")

    await second.get_by_label("User name").fill(newcomer)
    await second.get_by_label("Password", exact=True).fill(f"{newcomer}-pw")
    await second.get_by_role("button", name="Sign in").dblclick()
    await second.wait_for_url(visitor.url + "/?second")
    await visitor.fill_form(newcomer, "whatever is typed here")
    await first.wait_for_url(visitor.url + "/notes?first")

    assert await logins_at_keycloak(house, newcomer) == 1
    await second.go_back()
    await second.wait_for_url(visitor.url + "/?second")
    await second.goto(visitor.url + "/_sidegate/login")
    assert second.url == visitor.url + "/", "a bookmark of the login page leads on"


async def test_a_form_that_was_open_overnight_comes_again_with_the_name(house: House, arrive: Arrive) -> None:
    visitor = await arrive(house.url, java_script_enabled=False)
    await visitor.open("/notes?morning")
    await visitor.context.clear_cookies(name="sidegate-login")  # as the browser does after 30 minutes

    await visitor.fill_form("alice", "alice-pw")
    assert "open too long" in await visitor.page.get_by_role("alert").inner_text()
    assert await visitor.page.get_by_label("User name").input_value() == "alice"
    assert await visitor.page.get_by_label("Password", exact=True).input_value() == ""

    await visitor.fill_form("alice", "alice-pw")
    await visitor.page.wait_for_url(visitor.url + "/notes?morning")


async def test_the_back_button_after_a_wrong_password_brings_a_form_that_works(house: House, arrive: Arrive) -> None:
    visitor = await arrive(house.url, java_script_enabled=False)
    await visitor.open("/notes?back")
    await visitor.fill_form("alice", "not hers")
    await visitor.page.get_by_role("alert").wait_for()

    await visitor.page.go_back()
    await visitor.fill_form("alice", "alice-pw")

    await visitor.page.wait_for_url(visitor.url + "/notes?back")


async def test_every_tab_of_a_restored_window_arrives_where_it_was(house: House, arrive: Arrive) -> None:
    visitor = await arrive(house.url, java_script_enabled=False)
    await visitor.sign_in("alice")
    await forget_all_but_a_dead_session(visitor)
    tabs = [visitor.page, *[await visitor.new_tab() for _ in range(TABS - 1)]]
    ways = [f"{visitor.url}/notes?tab={number}" for number in range(TABS)]

    await asyncio.gather(*(tab.goto(way) for tab, way in zip(tabs, ways, strict=True)))
    await sign_in_at(tabs[3], "alice-pw", ways[3])
    await sign_in_at(tabs[7], "whatever is typed here", ways[7])

    await asyncio.gather(*(tab.reload() for tab in tabs))
    assert [tab.url for tab in tabs] == ways


async def test_an_answer_of_keycloak_that_comes_twice_leads_on(visitor: Visitor) -> None:
    answers: list[str] = []
    visitor.page.on("request", lambda asked: answers.append(asked.url) if "/callback?" in asked.url else None)
    await visitor.open("/_sidegate/start?return_to=/notes")
    await fill_keycloak_form(visitor.page, "alice", "alice-pw")
    await visitor.page.wait_for_url(visitor.url + "/notes")
    await visitor.open("/")

    await visitor.page.goto(answers[0])

    assert visitor.path() == "/notes"


async def forget_all_but_a_dead_session(visitor: Visitor) -> None:
    """Leave the browser as after a night: its session is over, the cookie that names it is still there."""
    session = (await visitor.cookies())["sidegate"]
    await visitor.context.request.post(f"{visitor.url}/_sidegate/logout", headers={"Origin": visitor.url})
    assert not await visitor.is_signed_in()
    await visitor.context.clear_cookies()
    await visitor.context.add_cookies(
        [{"name": "sidegate", "value": session["value"], "url": visitor.url, "httpOnly": True, "sameSite": "Lax"}]
    )


async def sign_in_at(tab: Page, password: str, way: str) -> None:
    await tab.get_by_label("User name").fill("alice")
    await tab.get_by_label("Password", exact=True).fill(password)
    await tab.get_by_role("button", name="Sign in").click()
    await tab.wait_for_url(way)
