"""Proving more at Keycloak in the middle of one's work, in a browser."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import pytest

from tests.browser.looks import look_at
from tests.browser.visitor import fill_keycloak_form
from tests.journeys.house import House, totp, wait_for
from tests.keycloak.levels import LEVELS, OTP_SECRET, make_levels_realm, make_person_with_code

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.browser.conftest import Arrive
    from tests.keycloak.server import KeycloakServer

pytestmark = pytest.mark.asyncio(loop_scope="session")

ROUTES = [
    {"path": "/notes", "methods": ["POST"], "access": {"acr": "gold"}},
    {"path": "/notes", "access": "authenticated"},
    {"path": "/gold", "access": {"acr": "gold", "max_age": "5m"}},
    {"path": "/unobtainable", "access": {"acr": "unobtainable"}},
    {"path": "/**", "access": "authenticated"},
]
FETCH = """async (path) => {
  const answer = await fetch(path);
  return [answer.status, answer.headers.get("WWW-Authenticate"), (await answer.json()).login_url];
}"""


@pytest.fixture(scope="module")
def house(keycloak: KeycloakServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    """A house in a realm with levels, whose form asks for a code too."""
    wait_for(make_levels_realm(keycloak.admin))
    folder, app = tmp_path_factory.mktemp("browser-levels"), "proxy.demo.legacy_app:application"
    made = House(keycloak, folder, realm=LEVELS, application=app, login={"otp": "required"}, routes=ROUTES)
    try:
        made.wait_until_ready()
        yield made
    finally:
        made.end()


async def test_a_form_that_needs_more_proof_waits_for_it_and_what_is_not_granted_is_said(
    house: House, arrive: Arrive
) -> None:
    visitor = await arrive(house.url)
    name, now = await make_person_with_code(house.keycloak.admin), time.time()
    page = visitor.page
    await visitor.open("/notes")
    await page.get_by_label("User name").fill(name)
    await page.get_by_label("Password", exact=True).fill(f"{name}-pw")
    await page.get_by_label("One-time code").fill(totp(OTP_SECRET, now))
    await page.get_by_role("button", name="Sign in").click()
    await page.wait_for_url(house.url + "/notes")
    cookie, session = (await visitor.cookies())["sidegate"]["value"], await _session(visitor)

    await page.locator("textarea").fill("kept over the proof")
    await page.get_by_role("button", name="Keep").click()
    await fill_keycloak_form(page, name, f"{name}-pw")
    await page.locator("#otp").fill(totp(OTP_SECRET, now + 30))
    await page.locator("#kc-login").click()
    await page.wait_for_url(house.url + "/notes")

    assert "kept over the proof" in await page.inner_text("main")
    assert (await visitor.cookies())["sidegate"]["value"] != cookie
    assert await _session(visitor) == session

    await visitor.open("/gold")
    assert visitor.path() == "/gold"

    status, challenge, login_url = await page.evaluate(FETCH, "/unobtainable")
    assert (status, login_url) == (401, "/_sidegate/start?return_to=/unobtainable&acr_values=unobtainable")
    assert 'error="insufficient_user_authentication", acr_values="unobtainable"' in challenge

    answer = await visitor.open("/unobtainable")
    assert answer.status == 403
    assert "more proof" in await page.inner_text("main")
    assert page.url.startswith(house.url)
    await look_at(page, "proof-refused")
    assert await visitor.is_signed_in()


async def _session(visitor: Any) -> tuple[float, float]:
    answer = await visitor.context.request.get(f"{visitor.url}/_sidegate/status")
    session = (await answer.json())["session"]
    return session["created_at"], session["expires_at"]
