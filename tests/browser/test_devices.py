"""The list of devices in a browser: seen, by keyboard, without script, and what the other browser is told."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.browser.looks import look_at

if TYPE_CHECKING:
    from tests.browser.conftest import Arrive
    from tests.browser.visitor import Visitor
    from tests.journeys.house import House

pytestmark = pytest.mark.asyncio(loop_scope="session")

SESSIONS = "/_sidegate/sessions"
SAFARI = (
    "Mozilla/5.0 (iPhone; CPU iPhone OS 17_5 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) "
    "Version/17.5 Mobile/15E148 Safari/604.1"
)
SCRIPT = "a-script-with-a-name-that-nobody-knows/" + "1.2.3-" * 30


async def test_one_is_ended_by_keyboard_and_is_told_so(
    house: House, visitor: Visitor, arrive: Arrive, newcomer: str
) -> None:
    telephone, script = await arrive(house.url, user_agent=SAFARI), await arrive(house.url, user_agent=SCRIPT)
    for one in (telephone, script, visitor):
        await one.sign_in(newcomer, path="/notes")

    await visitor.open("/_sidegate/logout")
    await visitor.page.get_by_role("link", name="Where else you are signed in").click()
    await visitor.page.get_by_role("heading", name="Where you are signed in").wait_for()
    await look_at(visitor.page, "devices")
    assert await visitor.page.get_by_text("This browser").count() == 1
    await visitor.page.get_by_role("button", name="Sign out Mobile Safari 17 on iOS").focus()
    await visitor.page.keyboard.press("Enter")
    await visitor.page.get_by_role("status").wait_for()

    await look_at(visitor.page, "devices-one-ended")
    assert await visitor.page.get_by_text("Mobile Safari").count() == 0
    assert not await telephone.is_signed_in()
    assert await script.is_signed_in()
    await telephone.open("/notes")
    assert telephone.path().startswith("/_sidegate/login")
    await telephone.page.locator(".note").wait_for()
    await look_at(telephone.page, "login-ended-on-another-device")


async def test_all_others_are_ended_without_script(house: House, arrive: Arrive, newcomer: str) -> None:
    visitor, telephone = await arrive(house.url, java_script_enabled=False), await arrive(house.url, user_agent=SAFARI)
    for one in (telephone, visitor):
        await one.sign_in(newcomer, path="/notes")

    await visitor.open(SESSIONS)
    await visitor.page.get_by_role("button", name="Sign out everywhere else").click()
    await visitor.page.get_by_role("status").wait_for()

    assert await visitor.page.get_by_role("button", name="Sign out everywhere else").count() == 0
    assert not await telephone.is_signed_in()
    assert await visitor.is_signed_in()


async def test_this_browsers_own_signs_out(visitor: Visitor, newcomer: str) -> None:
    await visitor.sign_in(newcomer, path="/notes")

    await visitor.open(SESSIONS)
    await visitor.page.get_by_role("button", name="Sign out").click()
    await visitor.page.get_by_role("heading", name="You are signed out").wait_for()

    assert not await visitor.is_signed_in()


async def test_whoever_is_not_signed_in_comes_back_to_the_list(visitor: Visitor, newcomer: str) -> None:
    await visitor.open(SESSIONS)

    await visitor.fill_form(newcomer, f"{newcomer}-pw")
    await visitor.page.get_by_role("heading", name="Where you are signed in").wait_for()

    assert visitor.path() == SESSIONS
