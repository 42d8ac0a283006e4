"""Silent return at the level of HTTP: who is asked nothing, once, and who is never tried."""

from __future__ import annotations

from typing import Any

import pytest

from proxy.core.secret import Secret
from proxy.core.session import EndCause, session_key
from proxy.errors import ProviderUnavailable, StoreFull, TokenRejected
from proxy.web.options import LoginMode, LoginOptions
from proxy.web.silent_return import RETURNING, TRIED_FOR_S
from tests.support.own_pages import (
    METADATA,
    OWN,
    Browser,
    OwnPages,
    Page,
    callback_query,
    make_login_grant,
    open_own_pages,
    query_of,
)

LOGIN, CALLBACK = f"{OWN}/login", f"{OWN}/callback"
WANTED = f"{LOGIN}?return_to=/reports"


async def ended(own: OwnPages, cause: EndCause = EndCause.REFRESH_REFUSED) -> Browser:
    """A browser that had a session of the code flow."""
    browser = await own.signed_in_by_code()
    await own.sessions.delete(session_key(Secret(browser.cookies["__Host-sidegate"])), cause)
    return browser


def is_silent(page: Page) -> bool:
    return page.status == 302 and query_of(page.location).get("prompt") == "none"


def refusal(started: Page, error: str = "login_required") -> str:
    return f"{CALLBACK}?{callback_query(started, code=None, error=error)}"


@pytest.mark.parametrize("cause", sorted(RETURNING))
async def test_whose_session_ended_by_itself_is_asked_nothing(own: OwnPages, cause: EndCause) -> None:
    browser = await ended(own, cause)

    started = await browser.get(WANTED)
    assert is_silent(started)
    back = await browser.get(f"{CALLBACK}?{callback_query(started)}")

    assert (back.status, back.location) == (302, "/reports")
    assert (await own.live(browser)).identity.username == "alice"


@pytest.mark.parametrize("cause", sorted(set(EndCause) - RETURNING))
async def test_whose_session_somebody_ended_is_asked(own: OwnPages, cause: EndCause) -> None:
    browser = await ended(own, cause)

    page = await browser.get(WANTED)

    assert page.status == 200
    assert 'name="password"' in page.text


async def test_where_the_operator_has_everybody_asked_nobody_is_spared(aiohttp_client: Any) -> None:
    own = await open_own_pages(aiohttp_client, auth_params={"prompt": "login"})

    assert (await (await ended(own)).get(WANTED)).status == 200


async def test_after_ones_own_logout_nobody_is_signed_in_again(own: OwnPages) -> None:
    browser = await own.signed_in_by_code()
    cookie = browser.cookies["__Host-sidegate"]
    await browser.post(f"{OWN}/logout")
    browser.cookies["__Host-sidegate"] = cookie

    assert (await browser.get(WANTED)).status == 200


async def test_who_signs_out_of_a_session_that_had_ended_by_itself_is_asked(own: OwnPages) -> None:
    browser = await ended(own, EndCause.EXPIRED)

    said = await browser.get(f"{OWN}/logout")

    assert said.location.startswith(f"{OWN}/logged-out")
    assert (await browser.get(WANTED)).status == 200


async def test_a_session_of_the_form_has_none_at_the_provider_to_return_by(own: OwnPages) -> None:
    browser = await own.signed_in()
    await own.sessions.delete(session_key(Secret(browser.cookies["__Host-sidegate"])), EndCause.REFRESH_REFUSED)

    assert (await browser.get(WANTED)).status == 200


async def test_strangers_and_people_who_are_signed_in_are_not_tried(own: OwnPages) -> None:
    assert (await own.browser().get(WANTED)).status == 200
    assert (await (await own.signed_in_by_code()).get(WANTED)).location == "/reports"


@pytest.mark.parametrize("error", ["login_required", "interaction_required", "consent_required", "server_error"])
async def test_a_provider_that_would_have_to_ask_leads_to_the_form_and_never_in_a_circle(
    own: OwnPages, error: str
) -> None:
    browser = await ended(own)
    started = await browser.get(f"{WANTED}&acr_values=gold")

    back = await browser.get(refusal(started, error))

    assert back.status == 302
    assert back.location.startswith(f"{LOGIN}?")
    assert query_of(back.location) == {"return_to": "/reports", "acr_values": "gold"}
    for _ in range(3):
        page = await browser.get(back.location)
        assert page.status == 200
        assert "Your session has ended" in page.text
    assert not [audit for audit in own.observer.audits if audit.event == "login.failed"]


async def test_tokens_that_cannot_be_trusted_lead_to_the_form_too(own: OwnPages) -> None:
    browser = await ended(own)
    started = await browser.get(WANTED)
    own.provider.answer = TokenRejected("forged", reason="wrong_nonce")

    back = await browser.get(f"{CALLBACK}?{callback_query(started)}")

    assert back.location == WANTED.replace("/reports", "%2Freports")
    assert await own.live(browser) is None


async def test_a_session_is_tried_once_and_after_a_while_once_more(own: OwnPages) -> None:
    browser = await ended(own)

    assert is_silent(await browser.get(WANTED))
    assert (await browser.get(WANTED)).status == 200
    own.clock.advance(TRIED_FOR_S)
    assert is_silent(await browser.get(WANTED))


async def test_another_person_is_not_signed_in_unasked(own: OwnPages) -> None:
    browser = await ended(own)
    started = await browser.get(WANTED)
    own.provider.answer = make_login_grant("bob", 9)

    back = await browser.get(f"{CALLBACK}?{callback_query(started)}")

    assert back.location.startswith(LOGIN)
    assert await own.live(browser) is None


@pytest.mark.parametrize(
    "headers",
    [
        {"Sec-Purpose": "prefetch"},
        {"Sec-Fetch-Dest": "iframe"},
        {"Accept": "application/json"},
        {"Accept": "*/*"},
    ],
)
async def test_only_a_person_before_the_whole_window_is_led_away(own: OwnPages, headers: dict[str, str]) -> None:
    browser = await ended(own)

    assert (await browser.get(WANTED, **headers)).status == 200


async def test_who_asks_for_a_question_gets_it(own: OwnPages) -> None:
    browser = await ended(own)

    assert (await browser.get(f"{WANTED}&prompt=login")).status == 200


async def test_while_the_provider_is_away_the_form_is_shown(own: OwnPages) -> None:
    browser = await ended(own)
    own.provider.metadata_answer = ProviderUnavailable("away")

    assert (await browser.get(WANTED)).status == 200
    own.provider.metadata_answer = METADATA
    assert is_silent(await browser.get(WANTED))


async def test_where_the_try_cannot_be_remembered_there_is_none(own: OwnPages, monkeypatch: pytest.MonkeyPatch) -> None:
    browser = await ended(own)

    async def full(*_: object) -> None:
        raise StoreFull("no further id")

    monkeypatch.setattr(own.sessions.inner, "spend_jti", full)

    assert (await browser.get(WANTED)).status == 200


async def test_no_link_can_make_a_flow_silent(own: OwnPages) -> None:
    browser = own.browser()
    started = await browser.get(f"{OWN}/start?silent=x&prompt=none")

    page = await browser.get(refusal(started))

    assert page.status == 400


async def test_in_the_mode_redirect_the_ordinary_flow_asks_nothing_by_itself(aiohttp_client: Any) -> None:
    own = await open_own_pages(aiohttp_client, LoginOptions(mode=LoginMode.REDIRECT))
    browser = await ended(own)

    started = await browser.get((await browser.get(WANTED)).location)
    back = await browser.get(f"{CALLBACK}?{callback_query(started)}")

    assert "prompt" not in query_of(started.location)
    assert back.location == "/reports"


async def test_the_page_after_a_logout_leads_nowhere_by_itself(aiohttp_client: Any) -> None:
    own = await open_own_pages(aiohttp_client, LoginOptions(mode=LoginMode.REDIRECT))
    browser = await own.signed_in_by_code()
    await browser.post(f"{OWN}/logout")

    page = await browser.get(f"{OWN}/logged-out")

    assert page.status == 200
    assert "Refresh" not in page.headers
    assert "http-equiv" not in page.text
