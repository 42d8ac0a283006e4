"""Signing in at Keycloak's page, in a browser."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.browser.looks import look_at
from tests.browser.visitor import fill_keycloak_form

if TYPE_CHECKING:
    from tests.browser.conftest import Arrive
    from tests.browser.visitor import Visitor
    from tests.journeys.house import House

pytestmark = pytest.mark.asyncio(loop_scope="session")


@pytest.mark.parametrize("script", ["runs", "is off"])
async def test_a_button_of_the_login_page_leads_through_keycloak_and_back(
    house: House, arrive: Arrive, script: str
) -> None:
    visitor = await arrive(house.url, java_script_enabled=script == "runs")
    await visitor.open("/notes?from=button")

    await visitor.page.get_by_role("link", name="Continue with Acme account").click()
    assert "kc_idp_hint=acme" in visitor.page.url
    await fill_keycloak_form(visitor.page, "alice", "alice-pw")
    await visitor.page.wait_for_url(visitor.url + "/notes?from=button")

    assert await visitor.is_signed_in()
    assert "Alice Test" in await visitor.page.inner_text("header")


async def test_two_tabs_at_once_both_arrive(visitor: Visitor) -> None:
    first, second = visitor.page, await visitor.new_tab()
    await first.goto(visitor.url + "/_sidegate/start?return_to=/notes")
    await second.goto(visitor.url + "/_sidegate/start?return_to=/?second")

    await fill_keycloak_form(second, "alice", "alice-pw")
    await second.wait_for_url(visitor.url + "/?second")
    # Keycloak's own page notices that somebody signed in elsewhere, and goes on by itself or at the next load.
    if not first.url.startswith(visitor.url):
        await first.reload()
    await first.wait_for_url(visitor.url + "/notes")

    assert await visitor.is_signed_in()


async def test_a_callback_that_nobody_asked_for_is_a_page_with_a_way_on(visitor: Visitor) -> None:
    answer = await visitor.open("/_sidegate/callback?state=forged&code=forged")

    assert answer.status == 400
    await look_at(visitor.page, "callback-failed")
    await visitor.page.get_by_role("link", name="Sign in again").click()
    await visitor.page.wait_for_url(lambda url: "/_sidegate/callback" not in url)
    assert not await visitor.is_signed_in()


async def test_the_back_button_after_a_login_is_no_dead_end(visitor: Visitor) -> None:
    await visitor.sign_in_at_keycloak("alice", return_to="/notes")

    await visitor.page.go_back()

    await visitor.page.wait_for_load_state()
    await visitor.open("/notes")
    assert visitor.path() == "/notes"


async def test_a_refusal_of_keycloak_is_a_page_with_a_way_on(visitor: Visitor) -> None:
    await visitor.open("/_sidegate/start?return_to=/notes&prompt=none")

    assert await visitor.page.get_by_role("link", name="Sign in again").count() == 1
    assert not await visitor.is_signed_in()
    assert visitor.page.url.startswith(visitor.url)
