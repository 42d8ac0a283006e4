"""What a person was doing is not lost: forms over a login, the app's own logout link, pages inside frames."""

from __future__ import annotations

from hashlib import sha256
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import pytest

from tests.browser.looks import look_at
from tests.browser.visitor import fill_keycloak_form
from tests.support.eventually import eventually

if TYPE_CHECKING:
    from playwright.async_api import Page

    from tests.browser.conftest import Arrive
    from tests.browser.visitor import Visitor
    from tests.journeys.house import House

pytestmark = pytest.mark.asyncio(loop_scope="session")

REPORT = "Zwölf Boxkämpfer jagen Eva 🦊 <&>\n" * 60
PICTURE = bytes(range(256)) * 1200
TARGET = "/forms/save?draft=1&to=a%20b"
OFFERED = "What you just sent is kept"


async def end_at_keycloak(house: House, visitor: Visitor, username: str) -> None:
    """Have an administrator end the session, and wait until Sidegate has heard of it."""
    admin = house.keycloak.admin
    await admin.logout_user(await admin.user_id(username))
    await eventually(visitor.is_signed_in, expected=False, within_s=10)


async def fill_in(page: Page, *, picture: bytes | None = None) -> None:
    await page.get_by_label("Report").fill(REPORT)
    await page.get_by_label("Place").fill("Yellowstone")
    if picture is not None:
        files = {"name": "geyser.png", "mimeType": "image/png", "buffer": picture}
        await page.get_by_label("Picture").set_input_files(files)  # type: ignore[arg-type]


async def lose_session_and_hand_in(house: House, visitor: Visitor, username: str, *, form: str = "new") -> None:
    """Fill in a form as somebody signed in, whose session ends before it is sent."""
    await visitor.sign_in(username, path=f"/forms/{form}")
    await fill_in(visitor.page, picture=PICTURE if form == "new" else None)
    await end_at_keycloak(house, visitor, username)
    await visitor.page.get_by_role("button", name="Hand in").click()
    await visitor.page.get_by_role("status").get_by_text(OFFERED).wait_for()


async def has_arrived(visitor: Visitor, username: str, *contents: bytes) -> None:
    """See that the form arrived whole, as this person's first, at its own URL."""
    await visitor.page.get_by_role("heading", name="Handed in").wait_for()
    assert visitor.path() == TARGET
    assert await visitor.page.inner_text("#who") == f"{username} 1"
    assert await visitor.page.inner_text("#asked") == f"POST {TARGET}"
    digests = await visitor.page.locator("li").all_inner_texts()
    assert {sha256(content).hexdigest() for content in contents} <= set(digests)


async def count(visitor: Visitor) -> str:
    await visitor.open("/forms/count")
    return await visitor.page.inner_text("#count")


async def test_a_form_with_a_picture_arrives_once_after_the_same_person_has_signed_in_again(
    house: House, visitor: Visitor, newcomer: str
) -> None:
    await lose_session_and_hand_in(house, visitor, newcomer)
    await look_at(visitor.page, "login-with-a-form-kept")

    await visitor.fill_form(newcomer, "wrong")
    await visitor.page.get_by_role("alert").wait_for()
    await visitor.fill_form(newcomer, f"{newcomer}-pw")

    report = REPORT.replace("\n", "\r\n").encode()  # as forms send lines (HTML, "constructing entry list")
    await has_arrived(visitor, newcomer, report, PICTURE, b"Yellowstone")
    await visitor.page.reload()
    await visitor.page.get_by_role("heading", name="Nothing handed in").wait_for()
    assert await count(visitor) == "1"


async def test_it_arrives_by_way_of_keycloak_too_and_without_script(
    house: House, arrive: Arrive, newcomer: str
) -> None:
    visitor = await arrive(house.url, java_script_enabled=False)
    await lose_session_and_hand_in(house, visitor, newcomer, form="plain")

    query = urlsplit(visitor.page.url).query
    await visitor.open(f"/_sidegate/start?{query}")
    await fill_keycloak_form(visitor.page, newcomer, f"{newcomer}-pw")

    await has_arrived(visitor, newcomer)
    assert await count(visitor) == "1"


async def test_another_person_sends_nothing_and_is_told_so(house: House, visitor: Visitor, newcomer: str) -> None:
    await lose_session_and_hand_in(house, visitor, newcomer, form="plain")

    await visitor.fill_form("alice", "alice-pw")
    await visitor.page.get_by_text("You are signed in as somebody else").wait_for()
    await look_at(visitor.page, "form-of-somebody-else")
    await visitor.page.get_by_role("link", name="Continue").click()

    await visitor.page.get_by_role("heading", name="Nothing handed in").wait_for()
    assert visitor.path() == TARGET
    assert await count(visitor) == "0"


async def test_a_form_of_another_site_is_not_kept(house: House, visitor: Visitor, newcomer: str) -> None:
    await visitor.sign_in(newcomer, path="/forms/count")
    await end_at_keycloak(house, visitor, newcomer)
    elsewhere = visitor.page
    await elsewhere.goto(house.app.url.replace("127.0.0.1", "localhost") + "/forms/plain")
    await fill_in(elsewhere)
    await elsewhere.evaluate("url => { document.forms[0].action = url }", house.url + TARGET)

    await elsewhere.get_by_role("button", name="Hand in").click()

    await elsewhere.get_by_role("heading", name="Your form was not sent").wait_for()
    await look_at(elsewhere, "form-not-kept")
    await visitor.sign_in(newcomer, path="/forms/count")
    assert await elsewhere.inner_text("#count") == "0"


async def test_who_signs_in_out_of_a_frameset_comes_back_to_all_of_it(
    house: House, arrive: Arrive, visitor: Visitor, newcomer: str
) -> None:
    plain = await arrive(house.url, java_script_enabled=False)
    for person in (visitor, plain):
        await person.sign_in(newcomer, path="/forms/frameset?of=old")
    await end_at_keycloak(house, visitor, newcomer)

    for person, back_to in ((visitor, "/forms/frameset?of=old"), (plain, "/")):
        await person.page.frame_locator("[name=menu]").get_by_role("link", name="Second page").click()
        await person.page.frame_locator("[name=content]").get_by_role("link", name="Open the sign-in page").click()
        await person.fill_form(newcomer, f"{newcomer}-pw")
        await person.page.wait_for_url(house.url + back_to)


async def test_the_app_s_own_links_end_the_session(house: House, visitor: Visitor, newcomer: str) -> None:
    await visitor.sign_in(newcomer, path="/forms/frameset?of=old")
    menu, content = (visitor.page.frame_locator(f"[name={name}]") for name in ("menu", "content"))

    await menu.get_by_role("link", name="Leave").click()
    await content.get_by_role("link", name="Sign out in the whole window").click()
    await visitor.page.get_by_role("link", name="Stay signed in").click()
    await visitor.page.wait_for_url(house.url + "/forms/frameset?of=old")
    assert await visitor.is_signed_in()
    await menu.get_by_role("button", name="Leave at once").click()

    await visitor.page.get_by_role("heading", name="You are signed out").wait_for()
    assert not await visitor.is_signed_in()
