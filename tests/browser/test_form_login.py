"""Signing in on our own page, as people do it: with and without script, by keyboard, in two tabs, wrongly."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.browser.looks import look_at

if TYPE_CHECKING:
    from tests.browser.conftest import Arrive
    from tests.browser.visitor import Visitor
    from tests.journeys.house import House

pytestmark = pytest.mark.asyncio(loop_scope="session")


async def test_a_person_opens_the_app_signs_in_and_sees_who_the_app_says_she_is(visitor: Visitor) -> None:
    await visitor.open("/")
    await look_at(visitor.page, "login")

    await visitor.fill_form("alice", "alice-pw")
    await visitor.page.wait_for_url(visitor.url + "/")

    assert "You are Alice Test" in await visitor.page.inner_text("main")
    cookie = (await visitor.cookies())["sidegate"]
    assert (cookie["httpOnly"], cookie["sameSite"], cookie["path"]) == (True, "Lax", "/")
    assert await visitor.page.evaluate("document.cookie") == ""


async def test_a_browser_without_script_signs_in_and_out(house: House, arrive: Arrive) -> None:
    visitor = await arrive(house.url, java_script_enabled=False)

    await visitor.sign_in("alice", path="/notes")
    await visitor.page.locator("textarea").fill("kept without a script")
    await visitor.page.get_by_role("button", name="Keep").click()
    assert "kept without a script" in await visitor.page.inner_text("main")

    await visitor.page.get_by_role("link", name="Sign out").click()
    await visitor.page.get_by_role("button", name="Sign out", exact=True).click()
    await visitor.page.get_by_role("heading", name="You are signed out").wait_for()
    assert not await visitor.is_signed_in()


async def test_a_wrong_password_is_told_and_the_user_name_is_kept(visitor: Visitor) -> None:
    await visitor.open("/notes")
    await visitor.fill_form("alice", "not-hers")
    alert = visitor.page.get_by_role("alert")
    await alert.wait_for()

    assert "That did not work" in await alert.inner_text()
    username, password = visitor.page.get_by_label("User name"), visitor.page.get_by_label("Password", exact=True)
    assert await username.input_value() == "alice"
    assert await password.input_value() == ""
    assert await visitor.page.evaluate("document.activeElement.id") == "password"
    assert await visitor.page.evaluate("document.activeElement.getAttribute('aria-describedby')") == "problem"
    await look_at(visitor.page, "login-wrong-password")

    await password.fill("alice-pw")
    await visitor.page.keyboard.press("Enter")
    await visitor.page.wait_for_url(visitor.url + "/notes")


@pytest.mark.parametrize("path", ["/notes?sort=new&q=a%2Fb%20c", "/?x=%C3%A4", "/notes"])
async def test_the_way_back_is_kept_through_a_wrong_password(visitor: Visitor, path: str) -> None:
    await visitor.open(path)
    await visitor.fill_form("alice", "not-hers")
    await visitor.page.get_by_role("alert").wait_for()

    await visitor.fill_form("alice", "alice-pw")
    await visitor.page.wait_for_url(visitor.url + path)

    assert visitor.path() == path


async def test_the_keyboard_suffices(visitor: Visitor) -> None:
    await visitor.open("/notes")
    press, typed = visitor.page.keyboard.press, visitor.page.keyboard.type
    focused = "(({id, name, textContent}) => id || name || textContent.trim())(document.activeElement)"
    visited = [await visitor.page.evaluate(focused)]

    await typed("alice")
    for _ in range(8):
        await press("Tab")
        visited.append(await visitor.page.evaluate(focused))
        outline = "getComputedStyle(document.activeElement).outlineStyle"
        assert await visitor.page.evaluate(outline) == "solid", f"no ring around {visited[-1]}"
        if visited[-1] == "password":
            await typed("alice-pw")
        if visited[-1] == "Sign in":
            break
    await press("Enter")
    await visitor.page.wait_for_url(visitor.url + "/notes")

    assert visited == ["username", "password", "reveal", "unfold", "remember_me", "Forgot password?", "Sign in"]


async def test_two_tabs_with_the_form_both_arrive(visitor: Visitor) -> None:
    first, second = visitor.page, await visitor.new_tab()
    await first.goto(visitor.url + "/notes")
    await second.goto(visitor.url + "/?second")

    visitor.page = second
    await visitor.fill_form("alice", "alice-pw")
    await second.wait_for_url(visitor.url + "/?second")
    visitor.page = first
    await visitor.fill_form("alice", "alice-pw")
    await first.wait_for_url(visitor.url + "/notes")

    await second.reload()
    assert second.url == visitor.url + "/?second"


async def test_the_back_button_shows_no_page_of_the_app_after_a_logout(visitor: Visitor) -> None:
    await visitor.sign_in("alice", path="/notes")
    await visitor.page.get_by_role("link", name="Sign out").click()
    await visitor.page.get_by_role("button", name="Sign out", exact=True).click()
    await visitor.page.get_by_role("heading", name="You are signed out").wait_for()

    await visitor.open("/notes")

    assert visitor.path() == "/_sidegate/login?return_to=/notes"


async def test_an_account_that_is_not_set_up_is_finished_at_keycloak(
    house: House, visitor: Visitor, newcomer: str
) -> None:
    admin = house.keycloak.admin
    await admin.set_required_actions(await admin.user_id(newcomer), "UPDATE_PASSWORD")

    await visitor.open("/notes?after=setup")
    await visitor.fill_form(newcomer, f"{newcomer}-pw")
    await visitor.page.get_by_role("heading", name="One more step").wait_for()
    await look_at(visitor.page, "setup-required")
    await visitor.page.get_by_role("link", name="Continue").click()
    await visitor.page.locator("#username").wait_for()
    assert await visitor.page.locator("#username").input_value() == newcomer
    await visitor.page.locator("#password").fill(f"{newcomer}-pw")
    await visitor.page.locator("#kc-login").click()
    await visitor.page.locator("#password-new").fill("another-pw-1")
    await visitor.page.locator("#password-confirm").fill("another-pw-1")
    await visitor.page.locator("input[type=submit], button[type=submit]").first.click()

    await visitor.page.wait_for_url(visitor.url + "/notes?after=setup")
    assert newcomer.capitalize() in await visitor.page.inner_text("header")


async def test_somebody_who_is_signed_in_does_not_see_the_form(visitor: Visitor) -> None:
    await visitor.sign_in("alice")

    await visitor.open("/_sidegate/login?return_to=/notes")

    assert visitor.path() == "/notes"
