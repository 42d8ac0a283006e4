"""Another language in the middle of a login: nothing is lost, and Keycloak's pages follow."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.browser.looks import look_at

if TYPE_CHECKING:
    from tests.browser.conftest import Arrive
    from tests.browser.visitor import Visitor
    from tests.journeys.house import House

pytestmark = pytest.mark.asyncio(loop_scope="session")


async def language(visitor: Visitor) -> str | None:
    return await visitor.page.locator("html").get_attribute("lang")


async def choose(visitor: Visitor, name: str) -> None:
    await visitor.page.get_by_role("navigation").get_by_role("link", name=name, exact=True).click()


async def sign_in(visitor: Visitor, password: str) -> None:
    """Sign in as bob, whatever the fields are called."""
    await visitor.page.locator("#username").fill("bob")
    await visitor.page.locator("#password").fill(password)
    await visitor.page.locator("main form button[type=submit]").click()


@pytest.mark.parametrize("options", [{}, {"java_script_enabled": False}], ids=["with script", "without"])
async def test_the_switch_keeps_the_place_of_a_login_with_and_without_script(
    house: House, arrive: Arrive, options: dict[str, bool]
) -> None:
    visitor = await arrive(house.url, **options)
    await visitor.open("/notes?page=2")

    await choose(visitor, "Deutsch")
    assert (await language(visitor), await visitor.page.title()) == ("de", "Anmelden · Old Faithful")
    await sign_in(visitor, "wrong")
    assert "Das hat nicht geklappt" in await visitor.page.get_by_role("alert").inner_text()
    assert await visitor.page.locator("#username").input_value() == "bob"
    await choose(visitor, "Español")
    assert await language(visitor) == "es"
    if not options:
        await look_at(visitor.page, "login-es")
    await sign_in(visitor, "bob-pw")
    await visitor.page.wait_for_url(visitor.url + "/notes?page=2")

    refused = await visitor.open("/admin?a=1&b=%C3%A4")
    assert (refused.status, await language(visitor)) == (403, "es")
    assert "El rol editor" in await visitor.page.inner_text("main")
    await choose(visitor, "Français")
    assert (visitor.path(), await language(visitor)) == ("/admin?a=1&b=%C3%A4", "fr")
    assert (await visitor.cookies())["sidegate-language"]["value"] == "fr"


async def test_the_pages_of_keycloak_follow(house: House, arrive: Arrive) -> None:
    admin = house.keycloak.admin
    await admin.update_realm(internationalizationEnabled=True, supportedLocales=["en", "de"], defaultLocale="en")
    try:
        visitor = await arrive(house.url)
        await visitor.open("/_sidegate/login?return_to=/notes&ui_locales=de")

        await visitor.page.get_by_role("link", name="Passwort vergessen?").click()

        await visitor.page.locator("#kc-login").wait_for()
        assert await language(visitor) == "de"
    finally:
        await admin.update_realm(internationalizationEnabled=False)
