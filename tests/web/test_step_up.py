"""Step-up at the level of HTTP: what is asked of the provider, what its answer must give, and what comes of it."""

from __future__ import annotations

import dataclasses
import json
from typing import TYPE_CHECKING, Any

import pytest
from msgspec.structs import replace

from proxy.core.policy import StepUp, decide
from proxy.core.routing import compile_access
from proxy.core.secret import Secret
from proxy.core.session import BySid, EndCause, EndedMark, LoginOrigin, session_key
from proxy.errors import ProviderUnavailable
from proxy.web.options import LoginMode, LoginOptions
from tests.support.clocks import START as NOW
from tests.support.eventually import eventually
from tests.support.own_pages import (
    METADATA,
    OWN,
    OwnPages,
    callback_query,
    make_login_grant,
    open_own_pages,
    query_of,
    submit_login,
)
from tests.support.sessions import ISSUER

if TYPE_CHECKING:
    from tests.support.own_pages import Browser, Page

START, CALLBACK = f"{OWN}/start", f"{OWN}/callback"
GOLD = f"{START}?return_to=/gold&acr_values=gold"
ESSENTIAL = {"id_token": {"acr": {"essential": True, "values": ["gold"]}}}
DAY = 86_400


def cookie_of(browser: Browser) -> Secret:
    return Secret(browser.cookies["__Host-sidegate"])


async def step_up(own: OwnPages, browser: Browser, start: str = GOLD, **grant: Any) -> Page:
    """Go to the provider and come back with a grant: gold and fresh unless told otherwise."""
    started = await browser.get(start)
    own.provider.answer = make_login_grant(**{"serial": 7, "acr": "gold", "auth_time": own.clock.now(), **grant})
    return await browser.get(f"{CALLBACK}?{callback_query(started)}")


class TestAsking:
    async def test_the_provider_is_asked_for_what_the_link_names(self, own: OwnPages) -> None:
        asked = query_of((await own.browser().get(f"{GOLD}%20platinum&max_age=300")).location)

        assert (asked["acr_values"], asked["max_age"]) == ("gold platinum", "300")
        assert "claims" not in asked

    @pytest.mark.parametrize(("supported", "expected"), [(("silver", "gold"), ESSENTIAL), (("silver",), None)])
    async def test_what_the_provider_promises_is_asked_as_essential_and_nothing_else(
        self, own: OwnPages, supported: tuple[str, ...], expected: object
    ) -> None:
        own.provider.metadata_answer = replace(
            METADATA, claims_parameter_supported=True, acr_values_supported=supported
        )

        asked = query_of((await own.browser().get(GOLD)).location)

        assert json.loads(asked.get("claims", "null")) == expected

    async def test_a_login_asks_for_nothing_of_the_kind(self, own: OwnPages) -> None:
        own.provider.metadata_answer = replace(
            METADATA, claims_parameter_supported=True, acr_values_supported=("gold",)
        )

        assert not {"acr_values", "max_age", "claims"} & set(query_of((await own.browser().get(START)).location))

    @pytest.mark.parametrize("written", ["acr_values=0", "acr_values=gold%20bronze", "acr_values=x%22", "max_age=abc"])
    async def test_a_link_can_ask_for_nothing_that_no_route_asks_for(self, own: OwnPages, written: str) -> None:
        browser = await own.signed_in()
        started = await browser.get(f"{START}?{written}")

        assert not {"acr_values", "max_age", "claims"} & set(query_of(started.location))

    async def test_a_link_that_asks_for_less_than_a_route_gives_no_more_than_the_provider_says(
        self, own: OwnPages
    ) -> None:
        browser = await own.signed_in()

        await step_up(own, browser, f"{START}?max_age=999999999", acr="silver", auth_time=NOW - 5000)

        session = await own.live(browser)
        assert (session.acr, session.authenticated_at) == ("silver", NOW - 5000)
        for rule in ({"acr": "gold"}, {"max_age": 300}):
            assert isinstance(decide(compile_access(rule), session, own.clock.now()), StepUp)


class TestGoingOn:
    async def test_the_session_goes_on_under_a_new_id_with_its_age_and_end(self, own: OwnPages) -> None:
        browser = await own.signed_in(remember_me="true")
        old, old_cookie = await own.live(browser), cookie_of(browser)
        own.clock.advance(3 * DAY)

        page = await step_up(own, browser)

        assert (page.status, page.location) == (302, "/gold")
        new = await own.live(browser)
        assert new.key != old.key
        assert await own.sessions.load(old_cookie) is None
        assert (new.created_at, new.expires_at, new.persistence) == (old.created_at, old.expires_at, old.persistence)
        assert (new.acr, new.authenticated_at, new.origin) == ("gold", own.clock.now(), LoginOrigin.CODE)
        assert own.observer.audits[-1].reason == "step_up"

    async def test_a_provider_that_says_no_time_leaves_the_one_of_the_sign_in(self, own: OwnPages) -> None:
        browser = await own.signed_in()
        own.clock.advance(DAY / 4)

        await step_up(own, browser, auth_time=None)

        assert (await own.live(browser)).authenticated_at == NOW

    async def test_the_cookie_lasts_no_longer_than_the_session(self, own: OwnPages) -> None:
        browser = await own.signed_in(remember_me="true")
        own.clock.advance(3 * DAY)

        page = await step_up(own, browser)

        assert page.set_cookies["__Host-sidegate"]["max-age"] == str(27 * DAY)

    async def test_a_session_that_ends_with_the_browser_goes_on_as_one(self, own: OwnPages) -> None:
        browser = await own.signed_in()

        page = await step_up(own, browser)

        assert page.set_cookies["__Host-sidegate"]["max-age"] == ""
        assert (await own.live(browser)).expires_at == NOW + DAY / 2

    async def test_the_old_record_is_gone_before_the_new_one_is_there(self, own: OwnPages) -> None:
        browser = await own.signed_in()
        own.sessions.calls.clear()

        await step_up(own, browser)

        assert "supersede" in own.sessions.calls
        assert not {"create", "delete"} & set(own.sessions.calls)

    async def test_a_store_that_is_away_leaves_the_browser_its_cookie(self, own: OwnPages) -> None:
        browser = await own.signed_in()
        cookie = cookie_of(browser)
        started = await browser.get(GOLD)
        own.provider.answer = make_login_grant(serial=7, acr="gold", auth_time=NOW)
        own.sessions.away = {"supersede"}

        page = await browser.get(f"{CALLBACK}?{callback_query(started)}")

        assert page.status == 503
        assert cookie_of(browser) == cookie

    async def test_what_waits_for_it_is_named_in_the_session_beside_the_old_notes(self, own: OwnPages) -> None:
        browser = await own.signed_in()
        old = dataclasses.replace(await own.live(browser), notes={"before": "told"})
        await own.sessions.replace(cookie_of(browser), old)

        await step_up(own, browser, f"{GOLD}&kept={'k' * 22}")

        assert (await own.live(browser)).notes == {"before": "told", "kept": "k" * 22}


class TestAtTheProvider:
    async def test_the_forms_session_is_ended_there_and_its_logout_token_ends_nothing_here(self, own: OwnPages) -> None:
        browser = await own.signed_in()
        old = await own.live(browser)

        await step_up(own, browser)

        async def ended() -> list[str]:
            return own.provider.ended

        await eventually(ended, [old.tokens.refresh_token.reveal()])
        await own.sessions.mark_ended(EndedMark(BySid(ISSUER, old.sid), ended_at=NOW, keep_until=NOW + 60))
        assert await own.sessions.delete_matching(BySid(ISSUER, old.sid), EndCause.BACKCHANNEL) == ()
        assert await own.live(browser) is not None

    async def test_its_failure_changes_nothing_here(self, own: OwnPages) -> None:
        browser = await own.signed_in()
        own.provider.end_session_fault = ProviderUnavailable("away")

        assert (await step_up(own, browser)).status == 302

        async def warned() -> bool:
            return any("not at the provider" in str(said) for said in own.observer.warnings)

        await eventually(warned, expected=True)
        assert await own.live(browser) is not None

    async def test_a_session_of_the_same_provider_session_is_not_ended_there(self, own: OwnPages) -> None:
        browser = await own.signed_in_by_code()
        sid = (await own.live(browser)).sid

        await step_up(own, browser, sid=sid)

        assert (await own.live(browser)).acr == "gold"
        assert own.provider.ended == []


class TestSomebodyElse:
    async def test_another_person_is_a_new_login(self, own: OwnPages) -> None:
        browser = await own.signed_in()
        old = await own.live(browser)
        own.clock.advance(DAY / 4)

        await step_up(own, browser, username="bob")

        new = await own.live(browser)
        assert new.identity.username == "bob"
        assert new.created_at == own.clock.now()
        assert new.expires_at != old.expires_at
        assert "supersede" not in own.sessions.calls

    async def test_so_is_somebody_whose_session_ended_on_the_way(self, own: OwnPages) -> None:
        browser = await own.signed_in()
        started = await browser.get(GOLD)
        await own.sessions.delete(session_key(cookie_of(browser)), EndCause.ADMIN)
        own.clock.advance(60)
        own.provider.answer = make_login_grant(serial=7, acr="gold", auth_time=own.clock.now())

        await browser.get(f"{CALLBACK}?{callback_query(started)}")

        assert (await own.live(browser)).created_at == own.clock.now()

    async def test_a_login_without_such_a_wish_is_no_step_up(self, own: OwnPages) -> None:
        browser = await own.signed_in()
        own.clock.advance(60)

        await step_up(own, browser, START)

        assert (await own.live(browser)).created_at == own.clock.now()


class TestLessThanAsked:
    @pytest.mark.parametrize("grant", [{"acr": "1"}, {"acr": None}, {"acr": "silver"}])
    async def test_a_weaker_answer_is_a_page_that_says_so_and_changes_nothing(
        self, own: OwnPages, grant: dict[str, Any]
    ) -> None:
        browser = await own.signed_in()
        before = await own.live(browser)

        page = await step_up(own, browser, **grant)

        assert page.status == 403
        assert "more proof" in page.text
        assert f"{OWN}/login?return_to=%2Fgold" in page.text
        assert await own.live(browser) == before
        assert own.observer.audits[-1].reason == "wrong_acr"

    async def test_no_time_of_login_is_less_than_a_time_that_was_asked(self, own: OwnPages) -> None:
        browser = await own.signed_in()

        page = await step_up(own, browser, f"{START}?max_age=300", auth_time=None)

        assert page.status == 403

    async def test_an_old_answer_is_asked_for_once_more_with_a_question_and_then_no_more(self, own: OwnPages) -> None:
        browser = await own.signed_in()
        old = NOW - 301

        again = await step_up(own, browser, f"{START}?return_to=/gold&max_age=300", auth_time=old)

        assert again.status == 302
        asked = query_of(again.location)
        assert (asked["prompt"], asked["max_age"]) == ("login", "300")
        page = await browser.get(f"{CALLBACK}?{callback_query(again)}")
        assert page.status == 403

    async def test_a_fresh_one_at_the_second_time_is_taken(self, own: OwnPages) -> None:
        browser = await own.signed_in()
        again = await step_up(own, browser, f"{START}?return_to=/gold&max_age=300", auth_time=NOW - 301)
        own.provider.answer = make_login_grant(serial=8, auth_time=NOW)

        page = await browser.get(f"{CALLBACK}?{callback_query(again)}")

        assert (page.status, page.location) == (302, "/gold")

    async def test_a_stranger_gets_no_session_by_it(self, own: OwnPages) -> None:
        browser = own.browser()

        assert (await step_up(own, browser, acr="silver")).status == 403
        assert await own.live(browser) is None


async def test_in_the_mode_redirect_it_is_the_same(aiohttp_client: Any) -> None:
    own = await open_own_pages(aiohttp_client, LoginOptions(mode=LoginMode.REDIRECT))
    browser = await own.signed_in_by_code()

    page = await step_up(own, browser)

    assert (page.status, (await own.live(browser)).acr) == (302, "gold")


async def test_the_form_takes_the_wish_along_into_the_code_flow(own: OwnPages) -> None:
    page = await own.browser().get(f"{OWN}/login?return_to=/gold&acr_values=gold&max_age=60")

    assert page.status == 200
    assert (await submit_login(own.browser(), path=f"{OWN}/login?acr_values=gold")).status == 303
