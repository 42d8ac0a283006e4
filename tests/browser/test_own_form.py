"""The example of docs/examples: a company's own form, as a public page of the app."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.browser.visitor import Visitor
    from tests.journeys.house import House

pytestmark = pytest.mark.asyncio(loop_scope="session")

FORM = "/static/examples/own-form.html"


async def test_a_company_signs_people_in_by_a_form_of_its_own(house: House, visitor: Visitor, newcomer: str) -> None:
    admin, page = house.keycloak.admin, visitor.page
    await visitor.open(f"{FORM}?return_to=/notes?from=own")
    partner = page.get_by_role("link", name="Partner network")
    assert "provider=partner" in str(await partner.get_attribute("href"))

    await visitor.fill_form(newcomer, "not-theirs")
    await page.get_by_text("That did not work.").wait_for()
    assert await page.get_by_label("Password").input_value() == ""
    await visitor.fill_form(newcomer, f"{newcomer}-pw")
    await page.wait_for_url(visitor.url + "/notes?from=own")
    await visitor.open(f"{FORM}?return_to=/notes")
    await page.wait_for_url(visitor.url + "/notes")

    await visitor.context.clear_cookies()
    await admin.set_required_actions(await admin.user_id(newcomer), "UPDATE_PASSWORD")
    await visitor.open(FORM)
    await page.get_by_role("link", name="Partner network").wait_for()
    await visitor.fill_form(newcomer, f"{newcomer}-pw")
    await page.locator("#kc-login").wait_for()
    assert await page.locator("#username").input_value() == newcomer
