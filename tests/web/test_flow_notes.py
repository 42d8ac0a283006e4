"""What a link may say of a login, where it goes along, and what of it the session has."""

from __future__ import annotations

import json
import re
from html import unescape
from typing import Any

import pytest

from proxy.web.flow_notes import along, session_notes, wishes
from proxy.web.options import Feature, LoginMode, LoginOptions, ProviderButton
from tests.support.own_pages import OWN, OwnPages, callback_query, open_own_pages, query_of, submit_login

KEPT = "k" * 22
LOGIN = f"{OWN}/login"


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ({}, {}),
        ({"provider": "google"}, {"provider": "google"}),
        ({"provider": "a b"}, {}),
        ({"provider": "../x"}, {}),
        ({"provider": "x" * 65}, {}),
        ({"prompt": "login"}, {"prompt": "login"}),
        ({"prompt": "none"}, {"prompt": "none"}),
        ({"prompt": "create"}, {}),
        ({"prompt": "login login consent x"}, {"prompt": "login consent"}),
        ({"login_hint": "alice@example.com"}, {"login_hint": "alice@example.com"}),
        ({"login_hint": "a\nb"}, {}),
        ({"login_hint": "x" * 256}, {}),
        ({"kc_action": "UPDATE_PASSWORD"}, {"kc_action": "UPDATE_PASSWORD"}),
        ({"kc_action": "delete_credential:1a-2b"}, {"kc_action": "delete_credential:1a-2b"}),
        ({"kc_action": "x y"}, {}),
        ({"state": "x", "redirect_uri": "https://evil.example", "scope": "all"}, {}),
        ({"register": "1"}, {}),
        ({"kept": "A" * 22}, {"kept": "A" * 22}),
        ({"kept": "A" * 21}, {}),
        ({"kept": "A" * 21 + "."}, {}),
        ({"ui_locales": "de-CH fr"}, {"ui_locales": "de-CH fr"}),
        ({"ui_locales": "de  fr"}, {}),
        ({"ui_locales": "<b>"}, {}),
        ({"ui_locales": "de " * 200 + "de"}, {}),
        ({"acr_values": "gold urn:mace:silver"}, {"acr_values": "gold urn:mace:silver"}),
        ({"acr_values": 'gold"'}, {}),
        ({"acr_values": "x" * 256}, {}),
        ({"max_age": "0"}, {"max_age": "0"}),
        ({"max_age": "-1"}, {}),
        ({"max_age": "1" * 10}, {}),
        ({"max_age": "٣"}, {}),
        ({"max_age": "5\n"}, {}),
    ],
)
def test_what_a_link_may_wish_for(query: dict[str, str], expected: dict[str, str]) -> None:
    assert wishes(query, Feature.OFF) == expected


def test_registration_replaces_every_other_prompt() -> None:
    assert wishes({"register": "1", "prompt": "none"}, Feature.ON) == {"prompt": "create"}


def test_what_says_the_way_does_not_go_along_from_the_form() -> None:
    way = {"provider": "google", "prompt": "login", "kc_action": "X"}
    notes = {**way, "kept": KEPT, "ui_locales": "de", "of no link": "x"}

    assert along(notes) == {"kept": KEPT, "ui_locales": "de"}


def test_the_session_has_the_kept_request_and_nothing_else() -> None:
    assert session_notes({"kept": KEPT, "login_hint": "alice"}) == {"kept": KEPT}
    assert session_notes({"login_hint": "alice"}) == {}


class TestOnTheWay:
    async def test_the_form_carries_what_waits_into_the_session(self, own: OwnPages) -> None:
        browser = own.browser()

        await submit_login(browser, path=f"{LOGIN}?kept={KEPT}&return_to=/app")

        assert dict((await own.live(browser)).notes) == {"kept": KEPT}

    async def test_a_refusal_does_not_lose_it(self, own: OwnPages) -> None:
        browser = own.browser()
        refused = await submit_login(browser, path=f"{LOGIN}?kept={KEPT}&return_to=/app", password="wrong")

        form = {"username": "alice", "password": "secret words", "csrf_token": refused.field("csrf_token")}
        assert (await browser.post(LOGIN, form)).status == 303

        assert dict((await own.live(browser)).notes) == {"kept": KEPT}

    async def test_the_code_flow_carries_it_too(self, own: OwnPages) -> None:
        browser = own.browser()
        started = await browser.get(f"{OWN}/start?kept={KEPT}")

        await browser.get(f"{OWN}/callback?{callback_query(started)}")

        assert dict((await own.live(browser)).notes) == {"kept": KEPT}
        assert KEPT not in started.location

    async def test_what_a_form_says_of_itself_is_not_believed(self, own: OwnPages) -> None:
        browser = own.browser()

        await submit_login(browser, kept=KEPT, notes=json.dumps({"kept": KEPT}))

        assert dict((await own.live(browser)).notes) == {}

    async def test_every_link_of_the_form_takes_the_wishes_along(self, aiohttp_client: Any) -> None:
        login = LoginOptions(
            registration=Feature.ON, forgot_password=Feature.ON, providers=(ProviderButton("google", "Google"),)
        )
        own = await open_own_pages(aiohttp_client, login)

        page = await own.browser().get(f"{LOGIN}?kept={KEPT}&ui_locales=de&acr_values=gold&prompt=none&provider=x")

        links = [unescape(link) for link in re.findall(r'href="([^"]*/start[^"]*)"', page.text)]
        assert len(links) == 3
        assert all(f"kept={KEPT}&ui_locales=de&acr_values=gold" in link for link in links)
        assert not any("prompt=none" in link or "provider=x" in link for link in links)

    async def test_a_hint_stands_in_the_form(self, own: OwnPages) -> None:
        page = await own.browser().get(f"{LOGIN}?login_hint=al%22ice")

        assert 'value="al&#34;ice"' in page.text

    async def test_without_a_form_everything_goes_to_the_start_of_the_code_flow(self, aiohttp_client: Any) -> None:
        login = LoginOptions(mode=LoginMode.REDIRECT, registration=Feature.ON)
        own = await open_own_pages(aiohttp_client, login)

        page = await own.browser().get(f"{LOGIN}?kept={KEPT}&register=1&max_age=60&return_to=/app&scope=all")

        asked = query_of(page.location)
        assert asked == {"kept": KEPT, "register": "1", "max_age": "60", "return_to": "/app"}
