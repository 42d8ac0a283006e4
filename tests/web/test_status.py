"""``/status``: what a page may ask as often as it likes, and the click that counts as activity."""

from __future__ import annotations

import dataclasses
import json
from typing import TYPE_CHECKING, Any

import pytest

from proxy.core.secret import Secret
from proxy.errors import ProviderUnavailable
from tests.support.clocks import START
from tests.support.own_pages import OWN, OwnPages, make_login_grant
from tests.support.sessions import make_tokens

if TYPE_CHECKING:
    from proxy.core.session import Session
    from tests.support.own_pages import Browser

STATUS = f"{OWN}/status"
WEEK_S = 7 * 86400


async def signed_in(own: OwnPages, **tokens: Any) -> Browser:
    """Somebody who wants to stay signed in, with tokens that say so; without a word they end at no known time."""
    own.provider.answer = make_login_grant(tokens=make_tokens(refresh_expires_at=None, **tokens))
    return await own.signed_in(remember_me="true")


async def times_of(browser: Browser) -> dict[str, int]:
    times: dict[str, int] = json.loads((await browser.get(STATUS)).text)["session"]
    return times


async def test_it_says_who_is_signed_in_and_until_when(own: OwnPages) -> None:
    browser = await signed_in(own)

    page = await browser.get(STATUS)

    assert json.loads(page.text) == {
        "authenticated": True,
        "username": "alice",
        "name": "Alice",
        "email": "alice@example.com",
        "roles": ["editor", "viewer"],
        "groups": ["/staff"],
        "session": {
            "created_at": START,
            "expires_at": START + 30 * 86400,
            "idle_expires_at": START + WEEK_S,
        },
    }


async def test_the_idle_end_is_never_later_than_the_end(own: OwnPages) -> None:
    own.provider.answer = make_login_grant(tokens=make_tokens(refresh_expires_at=None))
    browser = await own.signed_in()

    times = await times_of(browser)

    assert times["idle_expires_at"] == times["expires_at"] == START + 12 * 3600


async def test_tokens_that_nobody_uses_end_a_session_too(own: OwnPages) -> None:
    by_refresh, by_access = await own.signed_in(), await signed_in(own, refresh_token=None)

    assert (await times_of(by_refresh))["idle_expires_at"] == START + 1800
    assert (await times_of(by_access))["idle_expires_at"] == START + 300


async def test_for_a_stranger_it_is_200_with_the_same_members(own: OwnPages) -> None:
    page = await own.browser().get(STATUS)

    assert page.status == 200
    assert json.loads(page.text) == {
        "authenticated": False,
        "username": None,
        "name": None,
        "email": None,
        "roles": [],
        "groups": [],
        "session": None,
    }


async def test_it_never_counts_as_activity(own: OwnPages) -> None:
    browser = await own.signed_in(remember_me="true")
    for _ in range(7):
        own.clock.advance(86400 - 1)
        assert json.loads((await browser.get(STATUS)).text)["authenticated"] is True

    own.clock.advance(7)

    assert json.loads((await browser.get(STATUS)).text)["authenticated"] is False


async def test_activity_moves_the_idle_end(own: OwnPages) -> None:
    browser = await signed_in(own)
    own.clock.advance(1000)
    own.sessions.touch(await own.live(browser))

    assert (await times_of(browser))["idle_expires_at"] == START + 1000 + WEEK_S


async def test_a_session_of_another_client_is_none_here(own: OwnPages) -> None:
    browser = await own.signed_in()
    session = await own.live(browser)
    await own.sessions.replace(
        Secret(browser.cookies["__Host-sidegate"]), dataclasses.replace(session, client_id="other-portal")
    )

    assert json.loads((await browser.get(STATUS)).text)["authenticated"] is False


async def test_a_store_that_is_away_is_not_taken_for_nobody(own: OwnPages) -> None:
    browser = await own.signed_in()
    own.sessions.go_away()

    assert (await browser.get(STATUS, Accept="application/json")).status == 503


async def test_nobody_keeps_the_answer(own: OwnPages) -> None:
    assert (await own.browser().get(STATUS)).headers["Cache-Control"] == "no-store"


class TestStaying:
    async def test_a_click_moves_the_idle_end_and_never_the_end(self, own: OwnPages) -> None:
        browser = await signed_in(own)
        own.clock.advance(1000)

        said = json.loads((await browser.post(STATUS)).text)

        assert said["authenticated"] is True
        assert said["session"] == {
            "created_at": START,
            "expires_at": START + 30 * 86400,
            "idle_expires_at": START + 1000 + WEEK_S,
        }
        assert await times_of(browser) == said["session"]

    async def test_tokens_that_are_over_are_refreshed_so_that_the_providers_idle_time_begins_anew(
        self, own: OwnPages
    ) -> None:
        browser = await own.signed_in()
        session: Session = await own.live(browser)
        own.refresher.is_ready = False
        own.refresher.answer = dataclasses.replace(session, tokens=make_tokens(2, refresh_expires_at=START + 3500))

        said = json.loads((await browser.post(STATUS)).text)

        assert own.refresher.refreshed == 1
        assert said["session"]["idle_expires_at"] == START + 3500

    async def test_whoever_the_provider_ended_is_nobody(self, own: OwnPages) -> None:
        browser = await own.signed_in()
        own.refresher.is_ready = False

        said = json.loads((await browser.post(STATUS)).text)

        assert (said["authenticated"], said["session"]) == (False, None)

    async def test_a_provider_that_is_away_is_not_taken_for_an_end(self, own: OwnPages) -> None:
        browser = await own.signed_in()
        own.refresher.is_ready, own.refresher.answer = False, ProviderUnavailable("away")

        assert (await browser.post(STATUS, Accept="application/json")).status == 503
        assert await own.live(browser) is not None

    @pytest.mark.parametrize(
        "said",
        [{"Sec-Fetch-Site": "cross-site"}, {"Sec-Fetch-Site": "same-site"}, {"Origin": "https://evil.example"}, {}],
    )
    async def test_no_other_site_keeps_a_session_alive(self, own: OwnPages, said: dict[str, str]) -> None:
        browser = await signed_in(own)
        before = await times_of(browser)
        own.clock.advance(1000)

        refused = await browser.send("POST", STATUS, headers=said)

        assert refused.status == 403
        assert await times_of(browser) == before

    async def test_a_stranger_is_told_so(self, own: OwnPages) -> None:
        page = await own.browser().post(STATUS)

        assert (page.status, json.loads(page.text)["authenticated"]) == (200, False)
