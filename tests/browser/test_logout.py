"""Signing out in a browser: the question, here, at Keycloak, and by Keycloak's word."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import urlencode

import pytest

from tests.browser.looks import look_at
from tests.support.eventually import eventually

if TYPE_CHECKING:
    from tests.browser.conftest import Arrive
    from tests.browser.visitor import Visitor
    from tests.journeys.house import House

pytestmark = pytest.mark.asyncio(loop_scope="session")


async def sessions_of(house: House, username: str) -> list[str]:
    """Ids of the sessions that Keycloak has of a user."""
    admin = house.keycloak.admin
    return [one["id"] for one in await admin.sessions(await admin.user_id(username))]


async def test_a_form_session_ends_here_and_at_keycloak(house: House, visitor: Visitor, newcomer: str) -> None:
    await visitor.sign_in(newcomer, path="/notes")
    assert len(await sessions_of(house, newcomer)) == 1

    await visitor.page.get_by_role("link", name="Sign out").click()
    await look_at(visitor.page, "logout")
    await visitor.page.get_by_role("button", name="Sign out", exact=True).click()
    await visitor.page.get_by_role("heading", name="You are signed out").wait_for()

    await look_at(visitor.page, "logged-out")
    assert visitor.path().startswith("/_sidegate/logged-out")
    assert await sessions_of(house, newcomer) == []
    assert "sidegate" not in await visitor.cookies()
    await visitor.open("/notes")
    assert visitor.path().startswith("/_sidegate/login")


async def test_signing_out_everywhere_reaches_the_other_browser_and_tells_it_why(
    house: House, visitor: Visitor, arrive: Arrive, newcomer: str
) -> None:
    telephone = await arrive(house.url)
    await telephone.sign_in_at_keycloak(newcomer, return_to="/notes")
    await visitor.sign_in(newcomer, path="/notes")

    await visitor.open("/_sidegate/logout")
    await visitor.page.get_by_role("button", name="Sign out everywhere").click()
    await visitor.page.get_by_role("heading", name="You are signed out everywhere").wait_for()

    await look_at(visitor.page, "logged-out-everywhere")
    assert "2 sign-ins of yours on this site were ended" in await visitor.page.inner_text("main")
    assert await sessions_of(house, newcomer) == []
    assert "sidegate" not in await visitor.cookies()
    await telephone.open("/notes")
    assert telephone.path().startswith("/_sidegate/login")
    assert "signed out on another device" in await telephone.page.locator(".note").inner_text()
    await look_at(telephone.page, "signed-out-on-another-device")


async def test_keycloak_shows_our_page_in_its_frame_and_the_session_ends(
    house: House, visitor: Visitor, newcomer: str
) -> None:
    admin, client = house.keycloak.admin, house.client
    attributes = {
        "frontchannel.logout.url": f"{house.url}/_sidegate/frontchannel-logout",
        "frontchannel.logout.session.required": "true",
    }
    await admin.update_client(client, frontchannelLogout=True, attributes=attributes)
    try:
        await visitor.sign_in_at_keycloak(newcomer, return_to="/notes")
        await visitor.page.goto(f"{house.keycloak.issuer()}/protocol/openid-connect/logout")
        await visitor.page.locator("#kc-logout").click()

        async def look() -> bool:
            return await visitor.is_signed_in()

        await eventually(look, expected=False, within_s=10)
        # The frame is hidden, so its heading has no role; what the policy stops has no text of ours.
        heading = visitor.page.frame_locator("iframe").locator("h1")
        assert await heading.text_content() == "You are signed out"
    finally:
        await admin.update_client(client, frontchannelLogout=False)


async def test_no_other_origin_shows_it(house: House, visitor: Visitor) -> None:
    query = urlencode({"iss": house.keycloak.issuer(), "sid": "unknown"})
    frame = f"{house.url}/_sidegate/frontchannel-logout?{query}"
    elsewhere = await visitor.context.new_page()
    await elsewhere.goto(house.app.url)

    async with elsewhere.expect_console_message(lambda message: "frame-ancestors" in message.text):
        await elsewhere.evaluate("url => document.body.appendChild(document.createElement('iframe')).src = url", frame)

    assert await elsewhere.frame_locator("iframe").locator("h1").filter(has_text="signed out").count() == 0


async def test_who_stays_stays(visitor: Visitor) -> None:
    await visitor.sign_in("alice", path="/notes")
    await visitor.open("/_sidegate/logout?return_to=/notes")

    await visitor.page.get_by_role("link", name="Stay signed in").click()
    await visitor.page.wait_for_url(visitor.url + "/notes")

    assert await visitor.is_signed_in()


async def test_a_code_session_ends_at_keycloak_by_a_form_that_a_script_submits(
    house: House, visitor: Visitor, newcomer: str
) -> None:
    await visitor.sign_in_at_keycloak(newcomer, return_to="/notes")

    await visitor.open("/_sidegate/logout?return_to=/notes")
    await visitor.page.get_by_role("button", name="Sign out", exact=True).click()
    await visitor.page.get_by_role("heading", name="You are signed out").wait_for()

    assert visitor.path().startswith("/_sidegate/logged-out?")
    assert await sessions_of(house, newcomer) == []
    assert not await visitor.is_signed_in()
    # No single sign-on is left behind: the provider asks again.
    await visitor.open("/_sidegate/start?return_to=/notes")
    assert await visitor.page.locator("#kc-login").count() == 1


async def test_a_code_session_ends_at_keycloak_by_a_button_without_script(
    house: House, arrive: Arrive, newcomer: str
) -> None:
    visitor = await arrive(house.url, java_script_enabled=False)
    await visitor.sign_in_at_keycloak(newcomer, return_to="/notes")

    await visitor.open("/_sidegate/logout?return_to=/notes")
    await visitor.page.get_by_role("button", name="Sign out", exact=True).click()
    await visitor.page.get_by_role("heading", name="Signing out").wait_for()
    assert not await visitor.is_signed_in()
    await look_at(visitor.page, "logout-at-provider")
    await visitor.page.get_by_role("button", name="Finish signing out").click()
    await visitor.page.get_by_role("heading", name="You are signed out").wait_for()

    assert await sessions_of(house, newcomer) == []
    await visitor.page.get_by_role("link", name="Sign in again").click()
    assert visitor.path() == "/_sidegate/login?return_to=%2Fnotes"


async def test_who_was_signed_out_by_an_administrator_is_told_and_comes_back_to_the_place(
    house: House, visitor: Visitor, newcomer: str
) -> None:
    await visitor.sign_in(newcomer, path="/notes?page=2")
    (sid,) = await sessions_of(house, newcomer)

    await house.keycloak.admin.delete_session(sid)
    await eventually(visitor.is_signed_in, expected=False)
    await visitor.page.reload()

    assert visitor.path().startswith("/_sidegate/login?return_to=")
    assert "You were signed out elsewhere" in await visitor.page.locator(".note").inner_text()
    await look_at(visitor.page, "login-ended-elsewhere")
    await visitor.fill_form(newcomer, f"{newcomer}-pw")
    await visitor.page.wait_for_url(visitor.url + "/notes?page=2")


async def test_a_logout_in_one_tab_is_one_in_all(visitor: Visitor) -> None:
    await visitor.sign_in("alice", path="/notes")
    other = await visitor.new_tab()
    await other.goto(visitor.url + "/_sidegate/logout")
    await other.get_by_role("button", name="Sign out", exact=True).click()
    await other.get_by_role("heading", name="You are signed out").wait_for()

    await visitor.page.locator("textarea").fill("too late")
    await visitor.page.get_by_role("link", name="Who").click()

    await visitor.page.get_by_role("heading", name="Sign in").wait_for()
    assert visitor.path() == "/_sidegate/login"


async def test_a_question_that_was_left_open_goes_on_to_the_end(visitor: Visitor) -> None:
    await visitor.sign_in("alice", path="/notes")
    await visitor.page.get_by_role("link", name="Sign out").click()
    other = await visitor.new_tab()
    await other.goto(visitor.url + "/_sidegate/logout")
    await other.get_by_role("button", name="Sign out", exact=True).click()
    await other.get_by_role("heading", name="You are signed out").wait_for()

    await visitor.page.get_by_role("button", name="Sign out", exact=True).click()

    await visitor.page.get_by_role("heading", name="You are signed out").wait_for()


async def test_a_foreign_page_cannot_sign_a_person_out(house: House, visitor: Visitor) -> None:
    await visitor.sign_in("alice")
    foreign = await visitor.new_tab()
    await foreign.goto(house.keycloak.base_url + "/realms/acme")

    await foreign.set_content(f'<form method="post" action="{visitor.url}/_sidegate/logout"><button>go</button></form>')
    await foreign.get_by_role("button").click()
    await foreign.wait_for_url(visitor.url + "/_sidegate/logout")

    assert await visitor.is_signed_in()
