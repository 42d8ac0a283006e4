"""``/start`` and ``/callback`` at the level of HTTP: tabs, state, issuer, and everything that can come back."""

from __future__ import annotations

from dataclasses import replace
from typing import Any
from urllib.parse import quote

import pytest

from proxy.core.secret import Secret
from proxy.core.session import EndCause, LoginOrigin
from proxy.core.tokens import GrantRefusal
from proxy.errors import ClientMisconfigured, ProviderUnavailable, StoreFull, TokenRejected
from proxy.web.authorization import code_challenge
from proxy.web.flow_quota import FLOW_QUOTA, FLOWS_PER_ADDRESS
from proxy.web.options import Feature, LoginOptions
from tests.support.own_pages import (
    AUTHORIZATION,
    END_SESSION,
    METADATA,
    OWN,
    PUBLIC_URL,
    OwnPages,
    callback_query,
    make_login_grant,
    open_own_pages,
    query_of,
)

START = f"{OWN}/start"
CALLBACK = f"{OWN}/callback"


class TestStart:
    async def test_the_browser_goes_to_the_provider_with_pkce_state_and_nonce(self, own: OwnPages) -> None:
        page = await own.browser().get(f"{START}?return_to=/app")

        assert page.status == 302
        assert page.location.startswith(f"{AUTHORIZATION}?")
        asked = query_of(page.location)
        assert asked["response_type"] == "code"
        assert asked["client_id"] == "legacy-app"
        assert asked["redirect_uri"] == f"{PUBLIC_URL}{OWN}/callback"
        assert asked["scope"] == "openid profile email"
        assert asked["code_challenge_method"] == "S256"
        assert len({asked["state"], asked["nonce"], asked["code_challenge"]}) == 3
        assert all(len(asked[name]) == 43 for name in ("state", "nonce", "code_challenge"))

    async def test_a_link_may_name_broker_hint_and_action(self, own: OwnPages) -> None:
        page = await own.browser().get(
            f"{START}?provider=google&login_hint=al%20ice&prompt=login%20nonsense&kc_action=UPDATE_PASSWORD"
        )

        asked = query_of(page.location)
        assert asked["kc_idp_hint"] == "google"
        assert asked["login_hint"] == "al ice"
        assert asked["prompt"] == "login"
        assert asked["kc_action"] == "UPDATE_PASSWORD"

    async def test_registration_is_asked_only_where_it_is_switched_on(self, aiohttp_client: Any, own: OwnPages) -> None:
        willing = await open_own_pages(aiohttp_client, LoginOptions(registration=Feature.ON))

        assert query_of((await willing.browser().get(f"{START}?register=1")).location)["prompt"] == "create"
        assert "prompt" not in query_of((await own.browser().get(f"{START}?register=1")).location)

    async def test_further_parameters_never_replace_ours(self, aiohttp_client: Any) -> None:
        own = await open_own_pages(aiohttp_client, auth_params={"ui_locales": "de", "state": "fixed", "nonce": "fixed"})

        asked = query_of((await own.browser().get(START)).location)

        assert asked["ui_locales"] == "de"
        assert "fixed" not in {asked["state"], asked["nonce"]}

    async def test_without_metadata_nobody_is_sent_anywhere(self, own: OwnPages) -> None:
        own.provider.metadata_answer = ProviderUnavailable("not had yet")

        page = await own.browser().get(START)

        assert page.status == 503
        assert len(own.authentications) == 0

    async def test_one_address_cannot_fill_the_store(self, own: OwnPages) -> None:
        for number in range(FLOWS_PER_ADDRESS):
            own.client.app[FLOW_QUOTA].admit("203.0.113.7", str(number))  # type: ignore[index]

        page = await own.browser().get(START)

        assert (page.status, page.headers["Retry-After"]) == (429, "60")
        assert len(own.authentications) == 0
        assert (await own.browser(address="203.0.113.8").get(START)).status == 302

    @pytest.mark.parametrize("cookie", ["", "__Host-sidegate-login=" + "x" * 43, "another browser's"])
    async def test_a_callback_that_takes_no_tab_frees_no_place(self, own: OwnPages, cookie: str) -> None:
        other = own.browser()
        await other.get(START)
        cookie = f"__Host-sidegate-login={other.cookies['__Host-sidegate-login']}" if "another" in cookie else cookie
        for number in range(FLOWS_PER_ADDRESS - 2):
            own.client.app[FLOW_QUOTA].admit("203.0.113.7", str(number))  # type: ignore[index]
        started = await own.browser().get(START)

        for state in ("0", "1", query_of(started.location)["state"]):
            await own.browser().get(f"{CALLBACK}?{callback_query(started, state=state)}", Cookie=cookie)

        assert (await own.browser().get(START)).status == 429
        assert len(own.authentications) == 2

    async def test_a_callback_frees_its_place_once(self, own: OwnPages) -> None:
        browser = own.browser()
        started = await browser.get(START)
        for number in range(FLOWS_PER_ADDRESS - 1):
            own.client.app[FLOW_QUOTA].admit("203.0.113.7", str(number))  # type: ignore[index]

        for _ in range(3):
            await browser.get(f"{CALLBACK}?{callback_query(started)}")

        assert (await own.browser().get(START)).status == 302
        assert (await own.browser().get(START)).status == 429

    async def test_flows_that_came_to_their_end_do_not_count(self, own: OwnPages) -> None:
        browser, quota = own.browser(), own.client.app[FLOW_QUOTA]  # type: ignore[index]
        for number in range(FLOWS_PER_ADDRESS - 1):
            quota.admit("203.0.113.7", str(number))

        for _ in range(3):
            started = await browser.get(START)
            assert (await browser.get(f"{CALLBACK}?{callback_query(started)}")).status == 302


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
