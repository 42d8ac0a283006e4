"""A login leads to the form that waits for it, by both ways, and tells the person when it cannot."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import pytest
from msgspec.structs import replace

from proxy.core.kept import KEPT_LIFETIME_S, NotKept, Place, kept_mark
from proxy.core.session import subject_hash
from proxy.errors import StoreUnavailable
from tests.support.kept import make_kept
from tests.support.own_pages import OWN, OwnPages, callback_query, submit_login
from tests.support.sessions import ISSUER

if TYPE_CHECKING:
    from proxy.core.kept import KeptRequest

PLACE = Place(scheme="https", host="app.example.com", target=b"/save?x=1&y=%20")
ALICE = "alice-id"
TARGET = PLACE.target.decode()


def form_of(subject: str, **changes: Any) -> KeptRequest:
    return make_kept(subject_hash=subject_hash(ISSUER, subject), **{"place": PLACE, **changes})


async def waiting(own: OwnPages, subject: str, **changes: Any) -> str:
    """Keep a form; returns what a link to the login says of it."""
    kept_id = await own.kept.keep(form_of(subject, **changes))
    return f"return_to={quote(TARGET, safe='/')}&kept={kept_id}"


def mark_of(link: str) -> str:
    return kept_mark(link.rpartition("=")[2], PLACE)


async def test_the_login_page_says_what_waits(own: OwnPages) -> None:
    link = await waiting(own, ALICE)

    page = await own.browser().get(f"{OWN}/login?{link}")
    other = await own.browser().get(f"{OWN}/login?return_to=/a&kept={'x' * 22}")

    assert "What you just sent is kept" in page.text
    assert "What you just sent is kept" not in other.text


async def test_the_form_login_leads_to_the_form_that_waits(own: OwnPages) -> None:
    link, browser = await waiting(own, ALICE), own.browser()

    page = await submit_login(browser, path=f"{OWN}/login?{link}")

    assert (page.status, page.location) == (303, TARGET)
    assert browser.cookies["__Host-sidegate-kept"] == mark_of(link)
    cookie = page.set_cookies["__Host-sidegate-kept"]
    assert (cookie["max-age"], cookie["httponly"], cookie["secure"], cookie["path"]) == ("120", True, True, "/")


async def test_a_form_of_a_page_s_own_is_told_where_to_go(own: OwnPages) -> None:
    link, browser = await waiting(own, ALICE), own.browser()
    shown = await browser.get(f"{OWN}/login?{link}", Accept="application/json")
    fields = {"username": "alice", "password": "secret words", "csrf_token": json.loads(shown.text)["csrf_token"]}

    page = await browser.post(f"{OWN}/login", fields, Accept="application/json")

    assert json.loads(page.text)["redirect_url"] == TARGET
    assert browser.cookies["__Host-sidegate-kept"] == mark_of(link)


async def test_the_code_flow_leads_on_by_a_page_of_ours(own: OwnPages) -> None:
    """A redirect from the provider would still be another site's to the browser."""
    link, browser = await waiting(own, ALICE), own.browser()
    started = await browser.get(f"{OWN}/start?{link}")

    page = await browser.get(f"{OWN}/callback?{callback_query(started)}")

    assert (page.status, page.headers["Refresh"]) == (200, f"0; url={TARGET}")
    assert 'href="/save?x=1&amp;y=%20"' in page.text
    assert browser.cookies["__Host-sidegate-kept"] == mark_of(link)
    assert await own.live(browser) is not None


async def test_somebody_who_signed_in_in_another_tab_is_led_to_the_form(own: OwnPages) -> None:
    link, browser = await waiting(own, ALICE), await own.signed_in()

    page = await browser.get(f"{OWN}/login?{link}")

    assert (page.status, page.location) == (303, TARGET)
    assert browser.cookies["__Host-sidegate-kept"] == mark_of(link)


async def test_a_login_for_which_nothing_waits_sets_no_mark(own: OwnPages) -> None:
    browser = own.browser()

    page = await submit_login(browser, path=f"{OWN}/login?return_to=/a")

    assert page.location == "/a"
    assert "__Host-sidegate-kept" not in browser.cookies


async def told(own: OwnPages, link: str, why: NotKept) -> str:
    """Sign in by both ways; returns the page that says why."""
    browser, coder = own.browser(), own.browser()
    page = await submit_login(browser, path=f"{OWN}/login?{link}")
    answer = await coder.get(f"{OWN}/callback?{callback_query(await coder.get(f'{OWN}/start?{link}'))}")

    assert answer.location == page.location
    assert page.location.startswith(f"{OWN}/not-sent?why={why}&return_to=")
    for visitor in (browser, coder):
        assert "__Host-sidegate-kept" not in visitor.cookies
        assert await own.live(visitor) is not None
    return (await browser.get(page.location)).text


async def test_another_person_is_told_and_the_form_waits_on(own: OwnPages) -> None:
    link = await waiting(own, "somebody else")

    text = await told(own, link, NotKept.OTHER_PERSON)

    assert "You are signed in as somebody else" in text
    assert 'href="/save?x=1&amp;y=%20"' in text
    assert len(own.kept) == 1


async def test_who_comes_too_late_is_told(own: OwnPages) -> None:
    link = await waiting(own, ALICE)
    own.clock.advance(KEPT_LIFETIME_S)

    assert "no longer there" in await told(own, link, NotKept.GONE)


@pytest.mark.parametrize("elsewhere", [{"host": "other.example.com"}, {"scheme": "http"}])
async def test_a_form_for_another_origin_is_not_sent_to_this_one(own: OwnPages, elsewhere: dict[str, Any]) -> None:
    place = replace(PLACE, **elsewhere)

    await told(own, await waiting(own, ALICE, place=place), NotKept.GONE)


async def test_a_store_that_is_away_costs_nobody_the_login(own: OwnPages, monkeypatch: pytest.MonkeyPatch) -> None:
    link = await waiting(own, ALICE)

    async def away(_kept_id: str) -> None:
        raise StoreUnavailable("away")

    monkeypatch.setattr(own.kept, "peek", away)

    await told(own, link, NotKept.GONE)


@pytest.mark.parametrize("why", ["", "foreign", "too_large", "<b>", "gone"])
async def test_only_what_is_known_here_is_said(own: OwnPages, why: str) -> None:
    page = await own.browser().get(f"{OWN}/not-sent?why={quote(why)}&return_to=//evil.example.com")

    assert page.status == 200
    assert "no longer there" in page.text
    assert 'href="//evil' not in page.text
    assert 'href="/" target="_top"' in page.text
