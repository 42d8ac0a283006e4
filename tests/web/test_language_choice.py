"""Choosing a language on our own pages: kept, without script, and nothing of a login is lost."""

from __future__ import annotations

import re
from html import unescape
from typing import TYPE_CHECKING, Any

import pytest

from proxy import errors
from tests.support.own_pages import OWN, OwnPages, Page, open_own_pages, query_of, submit_login

if TYPE_CHECKING:
    from tests.support.own_pages import Browser

COOKIE = "__Host-sidegate-language"


def switch(page: Page) -> dict[str, str]:
    """Where the page offers itself, by language."""
    return {
        tag: unescape(url) for url, tag in re.findall(r'<a href="([^"]*)" lang="[^"]*" hreflang="([^"]*)"', page.text)
    }


def language(page: Page) -> str:
    found = re.search(r'<html lang="([^"]*)" dir="([^"]*)"', page.text)
    assert found
    return found[1]


async def chosen(browser: Browser, page: Page, tag: str) -> Page:
    return await browser.get(switch(page)[tag])


async def test_a_choice_leads_back_to_the_same_page_and_is_kept(own: OwnPages) -> None:
    browser = own.browser()
    shown = await browser.get(f"{OWN}/login?return_to=/notes%3Fa%3D1&login_hint=alice", Accept_Language="fr")

    german = await chosen(browser, shown, "de")

    assert (language(shown), language(german)) == ("fr", "de")
    assert german.headers["Content-Language"] == "de"
    assert (german.field("return_to"), 'value="alice"' in german.text) == ("/notes?a=1", True)
    assert browser.cookies[COOKIE] == "de"
    assert (german.set_cookies[COOKIE]["max-age"], german.set_cookies[COOKIE]["httponly"]) == ("15552000", True)
    assert language(await browser.get(f"{OWN}/logged-out", Accept_Language="fr")) == "de"


async def test_a_choice_in_the_middle_of_a_login_loses_neither_place_nor_notes(own: OwnPages) -> None:
    browser = own.browser()
    kept = "k" * 22
    refused = await submit_login(browser, path=f"{OWN}/login?return_to=/notes&kept={kept}", password="wrong")

    again = await chosen(browser, refused, "es")

    assert refused.status == 401
    assert switch(refused)["es"].startswith(f"{OWN}/login?")
    assert query_of(switch(refused)["es"]) == {"return_to": "/notes", "kept": kept, "ui_locales": "es"}
    assert language(again) == "es"
    fields = {"username": "alice", "password": "secret words", "csrf_token": again.field("csrf_token")}
    done = await browser.post(f"{OWN}/login", fields)
    # Nothing waits under that id, and it is looked for: the note has come along.
    assert done.status == 303
    assert query_of(done.location) == {"why": "gone", "return_to": "/notes"}


async def test_nothing_that_somebody_typed_goes_into_an_address(own: OwnPages) -> None:
    refused = await submit_login(own.browser(), username="my password", password="wrong")

    assert all("my" not in url for url in switch(refused).values())
    assert 'value="my password"' in refused.text


async def test_the_way_over_a_path_of_its_own_leads_back_into_the_app(own: OwnPages) -> None:
    browser = own.browser()

    page = await browser.get(f"{OWN}/language?return_to=/notes%3Fa%3D1&ui_locales=fr")

    assert (page.status, page.location) == (303, "/notes?a=1")
    assert browser.cookies[COOKIE] == "fr"


@pytest.mark.parametrize("wanted", ["https://evil.example/", "//evil.example", "/\\evil.example", "/a\r\nX: y", ""])
async def test_it_leads_nowhere_else(wanted: str, own: OwnPages) -> None:
    page = await own.browser().send("GET", f"{OWN}/language", params={"return_to": wanted, "ui_locales": "fr"})

    assert (page.status, page.location) == (303, "/")


@pytest.mark.parametrize("asked", ["it", "xx", "de%0d%0aX:y", "..", "de&ui_locales=fr", ""])
async def test_only_a_language_of_ours_is_kept(asked: str, own: OwnPages) -> None:
    browser = own.browser()

    await browser.get(f"{OWN}/login?ui_locales={asked}")
    await browser.get(f"{OWN}/language?return_to=/&ui_locales={asked}")

    assert COOKIE not in browser.cookies


async def test_what_is_no_page_keeps_nothing(own: OwnPages) -> None:
    browser = own.browser()
    name = re.search(r"/assets/(sidegate\.[0-9a-f]+\.css)", (await browser.get(f"{OWN}/login")).text)
    assert name

    for path in ("status", f"assets/{name[1]}"):
        page = await browser.get(f"{OWN}/{path}?ui_locales=de")
        assert (page.status, COOKIE in page.set_cookies) == (200, False)


async def test_what_is_posted_keeps_nothing(own: OwnPages) -> None:
    page = await own.browser().post(f"{OWN}/login?ui_locales=de", {"username": "alice", "password": "wrong"})

    assert (page.status, language(page), COOKIE in page.set_cookies) == (403, "de", False)


async def test_every_page_that_people_read_offers_the_languages(own: OwnPages) -> None:
    browser = await own.signed_in()
    stranger = own.browser()
    # A code is spent: what leads on is a new login, not the old answer of the provider.
    pages = [
        (browser, await browser.get(f"{OWN}/logout?return_to=/notes"), "logout?return_to=%2Fnotes&"),
        (browser, await browser.get(f"{OWN}/sessions"), "sessions?"),
        (browser, await browser.get(f"{OWN}/nowhere"), "nowhere?"),
        (stranger, await stranger.get(f"{OWN}/callback?state=x&code=y"), "login?return_to=%2F&"),
        (stranger, await stranger.get(f"{OWN}/logged-out"), "logged-out?"),
        (
            browser,
            await browser.post(f"{OWN}/logout", {"csrf_token": "x", "return_to": "/a"}),
            "logout?return_to=%2Fa&",
        ),
        (browser, await browser.post(f"{OWN}/sessions/others/end", {"csrf_token": "x"}), "sessions?"),
    ]

    for visitor, page, like in pages:
        assert switch(page) == {tag: f"{OWN}/{like}ui_locales={tag}" for tag in ("de", "fr", "es")}
        followed = await visitor.get(switch(page)["de"])
        assert (language(followed), followed.status in {200, 404}) == ("de", True)
        visitor.cookies.pop(COOKIE)


class TestTheProvider:
    async def test_it_hears_in_which_languages_somebody_reads(self, own: OwnPages) -> None:
        browser = own.browser()
        first = await browser.get(f"{OWN}/start", Accept_Language="it, de-AT;q=0.8")
        await browser.get(f"{OWN}/login?ui_locales=fr")
        later = await browser.get(f"{OWN}/start", Accept_Language="it")

        assert query_of(first.location)["ui_locales"] == "it de-at"
        assert query_of(later.location)["ui_locales"] == "fr it"
        assert "ui_locales" not in query_of((await own.browser().get(f"{OWN}/start")).location)

    async def test_what_the_operator_set_wins(self, aiohttp_client: Any) -> None:
        own = await open_own_pages(aiohttp_client, auth_params={"ui_locales": "nl"})

        started = await own.browser().get(f"{OWN}/start?ui_locales=fr", Accept_Language="de")

        assert query_of(started.location)["ui_locales"] == "nl"


class TestSomethingIsAway:
    async def test_a_start_without_provider_waits_and_comes_back_by_itself(self, own: OwnPages) -> None:
        own.provider.metadata_answer = errors.ProviderUnavailable("away")
        browser = own.browser()

        page = await browser.get(f"{OWN}/start?return_to=/notes", Accept_Language="de")

        assert page.status == 503
        assert 4 <= int(page.headers["Refresh"]) <= 6
        assert page.headers["Refresh"] == page.headers["Retry-After"]
        assert f'href="{OWN}/start?return_to=/notes"' in page.text
        assert "von selbst" in page.text
        assert query_of(switch(page)["es"]) == {"return_to": "/notes", "ui_locales": "es"}

    async def test_a_login_page_without_store_waits_too(self, own: OwnPages) -> None:
        browser = await own.signed_in()
        own.sessions.go_away()

        page = await browser.get(f"{OWN}/login?return_to=/notes")

        assert (page.status, "Refresh" in page.headers) == (503, True)

    async def test_a_form_is_never_sent_again_by_itself(self, own: OwnPages) -> None:
        own.provider.answer = errors.ProviderUnavailable("away")

        page = await submit_login(own.browser())

        assert (page.status, "Refresh" in page.headers) == (503, False)
        assert "does not answer right now" in page.text
        assert 'value="alice"' in page.text

    async def test_what_was_posted_is_neither_asked_for_again_nor_offered_in_another_language(
        self, own: OwnPages
    ) -> None:
        browser = await own.signed_in()
        own.sessions.go_away()

        page = await browser.post(f"{OWN}/logout", {"csrf_token": "x"})

        assert (page.status, "Refresh" in page.headers, switch(page)) == (503, False, {})

    async def test_a_program_gets_no_page(self, own: OwnPages) -> None:
        own.provider.metadata_answer = errors.ProviderUnavailable("away")

        page = await own.browser().get(f"{OWN}/start", Accept="application/json")

        assert (page.status, "Refresh" in page.headers, page.headers["Retry-After"]) == (503, False, "5")
