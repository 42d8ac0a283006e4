"""What the script adds to the login form, and that nothing but comfort is lost without it."""

from __future__ import annotations

import asyncio
import uuid
from typing import TYPE_CHECKING

import pytest

from tests.browser.looks import look_at
from tests.journeys.house import totp
from tests.support.eventually import eventually

if TYPE_CHECKING:
    from playwright.async_api import Page, Request, Route

    from tests.browser.conftest import Arrive
    from tests.browser.visitor import Visitor
    from tests.journeys.house import House

pytestmark = pytest.mark.asyncio(loop_scope="session")

OTP_SECRET = "a secret of one test"
OTP_CREDENTIAL = {
    "type": "otp",
    "secretData": f'{{"value": "{OTP_SECRET}"}}',
    "credentialData": '{"subType": "totp", "digits": 6, "counter": 0, "period": 30, "algorithm": "HmacSHA1"}',
}
PRESS = "(key) => password.dispatchEvent(new KeyboardEvent('keydown', { modifierCapsLock: key === 'A' }))"
"""Press a key; a large letter without Shift is one with Caps Lock."""
SHIFTS = """() => new Promise((tell) => {
  new PerformanceObserver((list) => tell(list.getEntries().length)).observe({ type: "layout-shift", buffered: true });
  setTimeout(() => tell(0), 200);
})"""
"""How often something on the page has moved by itself since it was opened (Layout Instability)."""


async def places(page: Page) -> list[float]:
    """Where the controls of the form stand."""
    tops: list[float] = await page.evaluate(
        "[...document.querySelectorAll('#login input, #login button')].map((one) => one.getBoundingClientRect().top)"
    )
    return tops


async def test_the_password_can_be_read_and_is_hidden_when_it_is_sent(visitor: Visitor) -> None:
    await visitor.open("/notes")
    page, password = visitor.page, visitor.page.locator("#password")
    show = page.get_by_role("button", name="Show password")
    await page.get_by_label("User name").fill("alice")
    await password.press_sequentially("geheim")
    for _ in "im":
        await password.press("ArrowLeft")

    await show.click()
    assert (await password.get_attribute("type"), await show.get_attribute("aria-pressed")) == ("text", "true")
    await page.keyboard.type("ü")
    assert await password.input_value() == "geheüim"
    await look_at(page, "login-password-shown")
    await show.press("Space")
    assert (await password.get_attribute("type"), await show.get_attribute("aria-pressed")) == ("password", "false")
    assert await page.evaluate("document.activeElement.id") == "reveal"
    await show.press("Space")

    await page.evaluate("login.addEventListener('submit', () => sessionStorage.setItem('type', password.type))")
    await password.press("Enter")
    await page.get_by_role("alert").wait_for()

    assert await page.evaluate("({ ...sessionStorage })") == {"type": "password"}
    assert await page.evaluate("({ ...localStorage })") == {}
    assert await page.locator("#password").input_value() == ""
    assert "geheüim" not in await page.content()


async def test_caps_lock_is_told_and_nothing_moves(visitor: Visitor) -> None:
    await visitor.page.set_viewport_size({"width": 320, "height": 640})
    await visitor.open("/notes")
    page, hint = visitor.page, visitor.page.locator("#caps")
    before = await places(page)
    assert await hint.get_attribute("role") == "status"

    await page.evaluate(PRESS, "A")
    assert await hint.inner_text() == "Caps Lock is on"
    assert await places(page) == before
    assert await page.evaluate(SHIFTS) == 0
    await look_at(page, "login-caps-lock")
    await page.evaluate(PRESS, "a")

    assert await hint.inner_text() == ""


async def test_a_code_is_asked_for_when_it_is_wanted(house: House, visitor: Visitor) -> None:
    name = f"user-{uuid.uuid4().hex[:10]}"
    password = {"type": "password", "value": f"{name}-pw", "temporary": False}
    await house.keycloak.admin.create_user(name, credentials=[password, OTP_CREDENTIAL])
    page, code = visitor.page, visitor.page.get_by_label("One-time code")
    await visitor.open("/notes")
    assert not await code.is_visible()
    assert await page.evaluate(SHIFTS) == 0

    await page.get_by_role("button", name="I have a one-time code").click()
    assert await page.evaluate("document.activeElement.id") == "otp"
    await look_at(page, "login-one-time-code")
    await visitor.fill_form(name, f"{name}-pw")
    await page.get_by_role("alert").wait_for()
    assert await code.is_visible()
    assert await page.evaluate("document.activeElement.id") == "password"
    await code.fill(totp(OTP_SECRET.encode()))
    await visitor.fill_form(name, f"{name}-pw")
    await page.wait_for_url(visitor.url + "/notes")

    assert await visitor.is_signed_in()


async def test_a_form_is_sent_once_again_when_nobody_answers_and_the_back_button_finds_no_password(
    visitor: Visitor,
) -> None:
    sent: list[Request] = []

    async def hold(route: Route) -> None:
        if route.request.method == "POST":
            sent.append(route.request)
            await route.fulfill(status=204)  # nothing comes of it: the page stays
        else:
            await route.continue_()

    page = visitor.page
    await page.clock.install()
    await visitor.open("/notes")
    await visitor.context.route("**/_sidegate/login*", hold)
    await page.get_by_label("User name").fill("alice")
    await page.locator("#password").fill("alice-pw")
    button = page.locator("button[type=submit]")
    await button.click()
    await eventually(lambda: asyncio.sleep(0, len(sent)), expected=1)
    assert (await button.inner_text(), await button.get_attribute("aria-disabled")) == ("Signing in …", "true")
    assert await page.locator("#password").get_attribute("type") == "password"
    await page.locator("#password").press("Enter")
    await button.click(force=True)
    assert len(sent) == 1

    await page.clock.fast_forward(26_000)

    assert await button.inner_text() == "Sign in"
    assert await button.get_attribute("aria-disabled") is None
    assert "try again" in await page.get_by_role("status").filter(has_text="longer").inner_text()
    await button.click()
    await eventually(lambda: asyncio.sleep(0, len(sent)), expected=2)
    for event in ("pagehide", "pageshow"):
        await page.evaluate("(name) => dispatchEvent(new PageTransitionEvent(name, { persisted: true }))", event)
    assert await button.inner_text() == "Sign in"
    assert await page.locator("#password").input_value() == ""


async def test_a_login_in_one_tab_sends_the_others_on(visitor: Visitor) -> None:
    first, second = visitor.page, await visitor.new_tab()
    await first.goto(visitor.url + "/notes?first")
    await second.goto(visitor.url + "/?second")
    visitor.page = second
    await visitor.fill_form("alice", "alice-pw")
    await second.wait_for_url(visitor.url + "/?second")

    await first.evaluate("document.dispatchEvent(new Event('visibilitychange'))")

    await first.wait_for_url(visitor.url + "/notes?first")


async def test_whoever_wants_to_sign_in_again_is_asked_although_signed_in(visitor: Visitor) -> None:
    await visitor.sign_in("alice", path="/notes")
    before = (await visitor.cookies())["sidegate"]["value"]

    await visitor.open("/_sidegate/login?prompt=login&return_to=/notes?again")
    await visitor.page.evaluate("document.dispatchEvent(new Event('visibilitychange'))")
    await visitor.fill_form("alice", "not-hers")
    await visitor.page.get_by_role("alert").wait_for()
    await visitor.page.evaluate("document.dispatchEvent(new Event('visibilitychange'))")
    assert (await visitor.cookies())["sidegate"]["value"] == before
    await visitor.fill_form("alice", "alice-pw")
    await visitor.page.wait_for_url(visitor.url + "/notes?again")

    assert (await visitor.cookies())["sidegate"]["value"] != before


@pytest.mark.parametrize("script", ["runs", "is off"])
async def test_any_password_can_be_typed_and_without_script_every_field_is_there(
    house: House, arrive: Arrive, newcomer: str, script: str
) -> None:
    visitor = await arrive(house.url, java_script_enabled=script == "runs")
    admin, password = house.keycloak.admin, " mit Leerzeichen  \u05e9\u05dc\u05d5\u05dd\u200f\u202e pässwörd 🔑&+% "
    await admin.reset_password(await admin.user_id(newcomer), password)

    await visitor.open("/notes")
    assert await visitor.page.get_by_label("One-time code").is_visible() is (script == "is off")
    for name in ("Show password", "I have a one-time code"):
        assert await visitor.page.get_by_role("button", name=name).is_visible() is (script == "runs")
    await visitor.fill_form(newcomer, password)
    await visitor.page.wait_for_url(visitor.url + "/notes")

    assert await visitor.is_signed_in()
