"""The app's own logout link ends the session by the word of the browser alone, never by what its form holds."""

from __future__ import annotations

import json

import pytest

from proxy.core.secret import Secret
from proxy.core.session import EndCause
from tests.support.own_pages import OWN, PUBLIC_URL, OwnPages

APP_LOGOUT = f"{OWN}/logout/app"


@pytest.mark.parametrize("said", [{"Sec-Fetch-Site": "same-origin"}, {"Origin": PUBLIC_URL}])
async def test_a_post_of_our_origin_ends_the_session(own: OwnPages, said: dict[str, str]) -> None:
    browser = await own.signed_in()
    old = Secret(browser.cookies["__Host-sidegate"])

    page = await browser.send("POST", APP_LOGOUT, headers=said)

    assert page.status == 303
    assert page.location.startswith(f"{OWN}/logged-out?state=")
    assert "__Host-sidegate" not in browser.cookies
    tombstone = await own.sessions.inner.tombstone(old)
    assert tombstone is not None
    assert tombstone.cause is EndCause.LOGOUT


async def test_a_field_of_the_app_that_is_called_like_ours_says_nothing(own: OwnPages) -> None:
    browser = await own.signed_in()

    page = await browser.post(APP_LOGOUT, {"csrf_token": "of the app", "return_to": "//evil.example.com"})

    assert page.status == 303
    assert await own.live(browser) is None


async def test_a_session_of_the_code_flow_ends_at_the_provider_too(own: OwnPages) -> None:
    browser = await own.signed_in_by_code()

    page = await browser.post(APP_LOGOUT)

    assert page.status == 200
    assert page.field("id_token_hint")
    assert await own.live(browser) is None


@pytest.mark.parametrize("said", [{}, {"Sec-Fetch-Site": "cross-site"}, {"Origin": "https://evil.example"}])
async def test_anybody_else_is_asked(own: OwnPages, said: dict[str, str]) -> None:
    browser = await own.signed_in()
    token = (await browser.get(f"{OWN}/logout")).field("csrf_token")

    page = await browser.send("POST", APP_LOGOUT, headers=said, data={"csrf_token": token})

    assert page.status == 403
    assert page.field("csrf_token") == token
    assert await own.live(browser) is not None


async def test_a_program_is_refused_with_a_code(own: OwnPages) -> None:
    browser = await own.signed_in()

    page = await browser.send("POST", APP_LOGOUT, headers={"Accept": "application/json"})

    assert (page.status, json.loads(page.text)["code"]) == (403, "csrf_rejected")


async def test_with_nobody_signed_in_it_is_done(own: OwnPages) -> None:
    page = await own.browser().post(APP_LOGOUT)

    assert page.status == 303
    assert page.location.startswith(f"{OWN}/logged-out?state=")


async def test_another_site_clears_no_cookie(own: OwnPages) -> None:
    page = await own.browser().send("POST", APP_LOGOUT, headers={"Sec-Fetch-Site": "cross-site"})

    assert page.status == 403
    assert page.set_cookies == {}
