"""``/callback`` at the level of HTTP: state, issuer, and all that can come back; tabs have a file of their own."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

import pytest
from msgspec.structs import replace

from proxy.core.secret import Secret
from proxy.core.session import EndCause, LoginOrigin
from proxy.core.tokens import GrantRefusal
from proxy.errors import ClientMisconfigured, ProviderUnavailable, StoreFull, TokenRejected
from proxy.web.authorization import code_challenge
from proxy.web.options import Feature, LoginOptions
from tests.support.own_pages import (
    AUTHORIZATION,
    END_SESSION,
    METADATA,
    OWN,
    OwnPages,
    callback_query,
    make_login_grant,
    open_own_pages,
    query_of,
)

START = f"{OWN}/start"
CALLBACK = f"{OWN}/callback"


class TestCallback:
    async def test_a_good_answer_signs_in_and_leads_on(self, own: OwnPages) -> None:
        browser = own.browser()
        started = await browser.get(f"{START}?return_to=/app%3Fx%3D1")

        page = await browser.get(f"{CALLBACK}?{callback_query(started)}")

        assert (page.status, page.location) == (302, "/app?x=1")
        session = await own.live(browser)
        assert session.origin is LoginOrigin.CODE
        assert own.observer.logins == [("code", "success")]

    async def test_the_code_is_exchanged_with_what_was_sent(self, own: OwnPages) -> None:
        browser = own.browser()
        asked = query_of((started := await browser.get(START)).location)

        await browser.get(f"{CALLBACK}?{callback_query(started, code='c0de')}")

        exchange = own.provider.exchanges[0]
        assert exchange["code"] == "c0de"
        assert exchange["nonce"] == asked["nonce"]
        assert exchange["redirect_uri"] == asked["redirect_uri"]
        assert code_challenge(Secret(exchange["verifier"])) == asked["code_challenge"]

    async def test_the_providers_own_time_of_login_counts(self, own: OwnPages) -> None:
        own.provider.answer = make_login_grant(auth_time=1_700_000_000.0)

        browser = await own.signed_in_by_code()

        assert (await own.live(browser)).authenticated_at == 1_700_000_000.0

    @pytest.mark.parametrize(
        ("offer", "max_age", "lifetime_s"), [(Feature.ON, str(30 * 86400), 30 * 86400), (Feature.OFF, "", 12 * 3600)]
    )
    async def test_a_session_lasts_unless_the_site_offers_that_to_nobody(
        self, aiohttp_client: Any, offer: Feature, max_age: str, lifetime_s: int
    ) -> None:
        own = await open_own_pages(aiohttp_client, LoginOptions(remember_me=offer))
        browser = own.browser()
        started = await browser.get(START)

        page = await browser.get(f"{CALLBACK}?{callback_query(started)}")

        session = await own.live(browser)
        assert page.set_cookies["__Host-sidegate"]["max-age"] == max_age
        assert session.expires_at - session.created_at == lifetime_s

    async def test_two_tabs_at_once_both_arrive_where_they_wanted(self, own: OwnPages) -> None:
        browser = own.browser()
        one, two = await browser.get(f"{START}?return_to=/one"), await browser.get(f"{START}?return_to=/two")

        second = await browser.get(f"{CALLBACK}?{callback_query(two)}")
        first = await browser.get(f"{CALLBACK}?{callback_query(one)}")

        assert (first.location, second.location) == ("/one", "/two")

    async def test_a_new_login_ends_the_browsers_old_session_first(self, own: OwnPages) -> None:
        browser = await own.signed_in()
        old = Secret(browser.cookies["__Host-sidegate"])
        started = await browser.get(START)
        own.sessions.calls.clear()

        await browser.get(f"{CALLBACK}?{callback_query(started)}")

        assert await own.sessions.inner.load(old) is None
        assert own.sessions.calls == ["delete", "create"]
        assert own.observer.ended == {EndCause.REPLACED: 1}

    async def test_an_answer_is_taken_once(self, own: OwnPages) -> None:
        browser = own.browser()
        started = await browser.get(START)
        query = callback_query(started)
        await browser.get(f"{CALLBACK}?{query}")
        browser.cookies.pop("__Host-sidegate")

        assert (await browser.get(f"{CALLBACK}?{query}")).status == 400
        assert len(own.provider.exchanges) == 1

    async def test_a_late_answer_of_somebody_signed_in_goes_on_to_the_app(self, own: OwnPages) -> None:
        browser = await own.signed_in_by_code()

        page = await browser.get(f"{CALLBACK}?state=unknown&code=x&iss=y")

        assert (page.status, page.location) == (302, "/")

    async def test_an_answer_that_comes_too_late_begins_again_once_and_signs_nobody_in(self, own: OwnPages) -> None:
        browser = own.browser()
        started = await browser.get(START)
        own.clock.advance(1800)

        again = await browser.get(f"{CALLBACK}?{callback_query(started)}")
        assert again.location.startswith(f"{AUTHORIZATION}?")
        own.clock.advance(1800)
        page = await browser.get(f"{CALLBACK}?{callback_query(again)}")

        assert page.status == 400
        assert f'href="{OWN}/login' in page.text
        assert own.provider.exchanges == []


class TestRefusedAnswers:
    async def test_the_answer_to_a_foreign_tab_signs_nobody_in(self, own: OwnPages) -> None:
        attackers = await own.browser().get(START)
        victim = own.browser()
        await victim.get(START)

        page = await victim.get(f"{CALLBACK}?{callback_query(attackers)}")

        assert page.status == 400
        assert own.provider.exchanges == []
        assert "__Host-sidegate" not in page.set_cookies

    async def test_without_the_root_cookie_no_state_is_good_enough(self, own: OwnPages) -> None:
        started = await own.browser().get(START)

        page = await own.browser().get(f"{CALLBACK}?{callback_query(started)}")

        assert page.status == 400
        assert own.provider.exchanges == []

    @pytest.mark.parametrize(
        ("changes", "reason"),
        [
            ({"state": None}, "unknown_state"),
            ({"state": ""}, "unknown_state"),
            ({"state": "x"}, "unknown_state"),
            ({"iss": None}, "missing_issuer"),
            ({"iss": "https://evil.example"}, "wrong_issuer"),
            ({"iss": ""}, "wrong_issuer"),
            ({"code": None}, "no_code"),
            ({"code": ""}, "no_code"),
            ({"error": "access_denied"}, "access_denied"),
            ({"error": "login_required", "code": None}, "login_required"),
            ({"error": "<script>", "code": None}, "provider_error"),
            ({"error": "temporarily_unavailable"}, "temporarily_unavailable"),
        ],
    )
    async def test_a_bad_answer_is_a_400_page_and_no_session(
        self, own: OwnPages, changes: dict[str, str | None], reason: str
    ) -> None:
        browser = own.browser()
        started = await browser.get(f"{START}?return_to=/app")

        page = await browser.get(f"{CALLBACK}?{callback_query(started, **changes)}")

        assert page.status == 400
        assert f'href="{OWN}/login' in page.text
        assert "<script>" not in page.text.replace("<script src", "")
        assert own.provider.exchanges == []
        assert "__Host-sidegate" not in page.set_cookies
        assert own.observer.audits[-1].reason == reason

    @pytest.mark.parametrize("name", ["state", "code", "iss"])
    async def test_a_member_that_is_there_twice_is_none(self, own: OwnPages, name: str) -> None:
        browser = own.browser()
        query = callback_query(await browser.get(START))
        again = next(pair for pair in query.split("&") if pair.startswith(f"{name}="))

        page = await browser.get(f"{CALLBACK}?{query}&{again}")

        assert page.status == 400
        assert own.provider.exchanges == []

    async def test_iss_may_be_missing_where_nobody_promised_it(self, own: OwnPages) -> None:
        own.provider.metadata_answer = replace(METADATA, iss_parameter_supported=False)
        browser = own.browser()
        started = await browser.get(START)

        assert (await browser.get(f"{CALLBACK}?{callback_query(started, iss=None)}")).status == 302

    async def test_a_wrong_iss_is_refused_also_where_nobody_promised_it(self, own: OwnPages) -> None:
        own.provider.metadata_answer = replace(METADATA, iss_parameter_supported=False)
        browser = own.browser()
        started = await browser.get(START)

        assert (await browser.get(f"{CALLBACK}?{callback_query(started, iss='https://evil.example')}")).status == 400

    @pytest.mark.parametrize(
        ("answer", "status"),
        [
            (GrantRefusal.INVALID_GRANT, 400),
            (TokenRejected("nonce differs", reason="wrong_nonce"), 400),
            (ProviderUnavailable("timeout"), 503),
            (ClientMisconfigured("secret"), 503),
        ],
    )
    async def test_a_code_that_brings_no_grant_brings_no_session(self, own: OwnPages, answer: Any, status: int) -> None:
        own.provider.answer = answer
        browser = own.browser()
        started = await browser.get(f"{START}?return_to=/app")

        page = await browser.get(f"{CALLBACK}?{callback_query(started)}")

        assert page.status == status
        assert f'href="{OWN}/login?return_to=%2Fapp"' in page.text
        assert "__Host-sidegate" not in page.set_cookies

    async def test_a_full_store_is_503(self, own: OwnPages) -> None:
        async def full(*_args: Any) -> Any:
            raise StoreFull("at the cap")

        own.sessions.inner.create = full  # type: ignore[method-assign]
        browser = own.browser()
        started = await browser.get(START)

        assert (await browser.get(f"{CALLBACK}?{callback_query(started)}")).status == 503

    async def test_code_and_state_are_in_no_log_and_on_no_page(self, own: OwnPages) -> None:
        own.provider.answer = TokenRejected("nonce differs", reason="wrong_nonce")
        browser = own.browser()
        started = await browser.get(START)

        page = await browser.get(f"{CALLBACK}?{callback_query(started, code='s3cret-code')}")

        told = repr((own.observer.audits, own.observer.warnings, own.observer.errors, page.text))
        assert "s3cret-code" not in told
        assert query_of(started.location)["state"] not in told

    async def test_what_the_provider_says_in_words_is_not_shown(self, own: OwnPages) -> None:
        browser = own.browser()
        started = await browser.get(START)

        page = await browser.get(
            f"{CALLBACK}?{callback_query(started, error='access_denied', error_description='Call 0900-EVIL')}"
        )

        assert "EVIL" not in page.text

    @pytest.mark.parametrize("path", ["https://evil.example", "//evil.example", "/\\evil.example"])
    async def test_no_return_to_leaves_the_origin(self, own: OwnPages, path: str) -> None:
        browser = own.browser()
        started = await browser.get(f"{START}?return_to={quote(path)}")

        assert (await browser.get(f"{CALLBACK}?{callback_query(started)}")).location == "/"


AGAIN: dict[str, str | None] = {
    "error": "temporarily_unavailable",
    "error_description": "authentication_expired",
    "code": None,
}
"""How Keycloak says that its form was too old."""


class TestBeginningAgain:
    async def test_a_form_that_was_too_old_begins_again_by_itself(self, own: OwnPages) -> None:
        browser = own.browser()
        started = await browser.get(f"{START}?return_to=/app&provider=google")

        again = await browser.get(f"{CALLBACK}?{callback_query(started, **AGAIN)}")

        assert again.status == 302
        asked = query_of(again.location)
        assert asked["kc_idp_hint"] == "google"
        assert asked["state"] != query_of(started.location)["state"]
        assert (await browser.get(f"{CALLBACK}?{callback_query(again)}")).location == "/app"

    async def test_the_second_time_a_person_decides(self, own: OwnPages) -> None:
        browser = own.browser()
        started = await browser.get(START)
        again = await browser.get(f"{CALLBACK}?{callback_query(started, **AGAIN)}")

        page = await browser.get(f"{CALLBACK}?{callback_query(again, **AGAIN)}")

        assert page.status == 400


class TestALogoutLeftHalfWay:
    async def test_the_providers_session_that_ended_here_is_ended_there(self, own: OwnPages) -> None:
        own.provider.answer = make_login_grant(serial=7)
        browser = await own.signed_in_by_code()
        await browser.post(f"{OWN}/logout")
        started = await browser.get(f"{START}?return_to=/app")

        page = await browser.get(f"{CALLBACK}?{callback_query(started)}")

        assert page.status == 200
        assert f'action="{END_SESSION}"' in page.text
        assert page.field("id_token_hint") == "id-7"
        assert "__Host-sidegate" not in page.set_cookies
        done = await browser.get(f"{OWN}/logged-out?state={page.field('state')}")
        assert f'href="{OWN}/login?return_to=%2Fapp"' in done.text

    async def test_a_provider_without_logout_gets_a_page_that_says_so(self, own: OwnPages) -> None:
        own.provider.answer = make_login_grant(serial=7)
        own.provider.metadata_answer = replace(METADATA, end_session_endpoint=None)
        browser = await own.signed_in_by_code()
        await browser.post(f"{OWN}/logout")
        started = await browser.get(START)

        page = await browser.get(f"{CALLBACK}?{callback_query(started)}")

        assert page.status == 401
        assert f'href="{OWN}/login' in page.text
