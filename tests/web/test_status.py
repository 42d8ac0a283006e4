"""``/status``: what a page may ask as often as it likes."""

from __future__ import annotations

import json
from dataclasses import replace

from proxy.core.secret import Secret
from tests.support.clocks import START
from tests.support.own_pages import OWN, OwnPages

STATUS = f"{OWN}/status"


async def test_it_says_who_is_signed_in_and_until_when(own: OwnPages) -> None:
    browser = await own.signed_in(remember_me="true")

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
            "idle_expires_at": START + 7 * 86400,
        },
    }


async def test_the_idle_end_is_never_later_than_the_end(own: OwnPages) -> None:
    browser = await own.signed_in()

    times = json.loads((await browser.get(STATUS)).text)["session"]

    assert times["idle_expires_at"] == times["expires_at"] == START + 12 * 3600


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
    browser = await own.signed_in(remember_me="true")
    own.clock.advance(1000)
    own.sessions.touch(await own.live(browser))

    times = json.loads((await browser.get(STATUS)).text)["session"]

    assert times["idle_expires_at"] == START + 1000 + 7 * 86400


async def test_a_session_of_another_client_is_none_here(own: OwnPages) -> None:
    browser = await own.signed_in()
    session = await own.live(browser)
    await own.sessions.replace(Secret(browser.cookies["__Host-sidegate"]), replace(session, client_id="other-portal"))

    assert json.loads((await browser.get(STATUS)).text)["authenticated"] is False


async def test_a_store_that_is_away_is_not_taken_for_nobody(own: OwnPages) -> None:
    browser = await own.signed_in()
    own.sessions.go_away()

    assert (await browser.get(STATUS, Accept="application/json")).status == 503


async def test_nobody_keeps_the_answer(own: OwnPages) -> None:
    assert (await own.browser().get(STATUS)).headers["Cache-Control"] == "no-store"
