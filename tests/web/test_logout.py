"""``/logout`` and ``/logged-out``: who may end a session, and that it ends here whatever the provider does."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import quote

import pytest
from msgspec.structs import replace

from proxy.core.secret import Secret
from proxy.core.session import EndCause
from proxy.errors import ProviderUnavailable
from tests.support.own_pages import END_SESSION, METADATA, OWN, PUBLIC_URL, OwnPages, make_login_grant, query_of
from tests.support.sessions import ISSUER, make_tokens

LOGOUT = f"{OWN}/logout"


class TestTheQuestion:
    async def test_it_says_who_is_signed_in_and_ends_nothing(self, own: OwnPages) -> None:
        browser = await own.signed_in()

        page = await browser.get(f"{LOGOUT}?return_to=/app")

        assert page.status == 200
        assert "alice" in page.text
        assert page.field("return_to") == "/app"
        assert await own.live(browser) is not None

    async def test_with_nobody_signed_in_there_is_no_question(self, own: OwnPages) -> None:
        page = await own.browser().get(LOGOUT)

        assert page.status == 302
        assert page.location.startswith(f"{OWN}/logged-out?state=")

    async def test_a_user_name_is_text_whatever_it_holds(self, own: OwnPages) -> None:
        browser = await own.signed_in(username="<img src=x>\"'&")

        page = await browser.get(LOGOUT)

        assert "<img src=x>" not in page.text
        assert "&lt;img src=x&gt;" in page.text


class TestWhoMayEndIt:
    async def test_the_form_of_the_question_ends_it(self, own: OwnPages) -> None:
        browser = await own.signed_in()
        token = (await browser.get(LOGOUT)).field("csrf_token")

        page = await browser.send("POST", LOGOUT, data={"csrf_token": token})

        assert page.status == 303
        assert await own.live(browser) is None

    @pytest.mark.parametrize(
        "said",
        [
            {"Sec-Fetch-Site": "same-origin"},
            {"Origin": PUBLIC_URL},
            {"Origin": "HTTPS://APP.example.com"},
            {"Origin": "null", "Sec-Fetch-Site": "same-origin"},
        ],
    )
    async def test_a_page_of_our_origin_needs_no_token(self, own: OwnPages, said: dict[str, str]) -> None:
        browser = await own.signed_in()

        page = await browser.send("POST", LOGOUT, headers=said)

        assert page.status == 303
        assert "__Host-sidegate" not in browser.cookies

    @pytest.mark.parametrize(
        "said",
        [
            {},
            {"Sec-Fetch-Site": "cross-site"},
            {"Sec-Fetch-Site": "same-site"},
            {"Sec-Fetch-Site": "none"},
            {"Origin": "https://evil.example"},
            {"Origin": "null"},
            {"Origin": "http://app.example.com"},
            {"Origin": "https://evil.example", "Sec-Fetch-Site": "same-origin"},
            {"Origin": PUBLIC_URL, "Sec-Fetch-Site": "cross-site"},
        ],
    )
    async def test_nobody_else_ends_it_without_a_token(self, own: OwnPages, said: dict[str, str]) -> None:
        browser = await own.signed_in()

        page = await browser.send("POST", LOGOUT, headers=said)

        assert page.status == 403
        assert page.field("csrf_token")
        assert await own.live(browser) is not None

    async def test_a_wrong_token_is_refused_even_from_our_origin(self, own: OwnPages) -> None:
        browser = await own.signed_in()

        page = await browser.post(LOGOUT, {"csrf_token": "x"})

        assert page.status == 403
        assert await own.live(browser) is not None

    async def test_the_token_of_another_session_is_refused(self, own: OwnPages) -> None:
        other = await own.signed_in(username="mallory")
        token = (await other.get(LOGOUT)).field("csrf_token")
        browser = await own.signed_in()

        page = await browser.send("POST", LOGOUT, data={"csrf_token": token})

        assert page.status == 403

    async def test_a_program_is_refused_with_a_code(self, own: OwnPages) -> None:
        browser = await own.signed_in()

        page = await browser.send("POST", LOGOUT, headers={"Accept": "application/json"})

        assert (page.status, json.loads(page.text)["code"]) == (403, "csrf_rejected")

    async def test_without_a_session_anybody_may_be_told_that_it_is_over(self, own: OwnPages) -> None:
        page = await own.browser().send("POST", LOGOUT)

        assert page.status == 303
        assert page.location.startswith(f"{OWN}/logged-out?state=")


class TestWithoutASessionCookie:
    """A form of another site arrives without our cookies (SameSite=Lax): to us it looks like nobody's."""

    @pytest.mark.parametrize(
        "said",
        [
            {"Sec-Fetch-Site": "cross-site"},
            {"Sec-Fetch-Site": "same-site"},
            {"Origin": "https://evil.example"},
            {"Origin": "null"},
            {"Origin": PUBLIC_URL, "Sec-Fetch-Site": "cross-site"},
        ],
    )
    @pytest.mark.parametrize("accept", ["text/html", "application/json"])
    async def test_another_site_cannot_sign_anybody_out(self, own: OwnPages, said: dict[str, str], accept: str) -> None:
        page = await own.browser().send("POST", LOGOUT, headers={"Accept": accept, **said})

        assert page.status == 403
        assert "csrf_rejected" in page.text or "came from another site" in page.text
        assert page.set_cookies == {}

    @pytest.mark.parametrize("said", [{"Sec-Fetch-Site": "same-origin"}, {"Origin": PUBLIC_URL}])
    async def test_a_page_of_ours_has_stale_cookies_taken_away(self, own: OwnPages, said: dict[str, str]) -> None:
        page = await own.browser().send("POST", LOGOUT, headers=said)

        assert page.status == 303
        assert {cookie["max-age"] for cookie in page.set_cookies.values()} == {"0"}
        assert set(page.set_cookies) == {"__Host-sidegate", "__Host-sidegate-login"}

    async def test_when_nobody_can_say_who_asked_nothing_is_taken_away(self, own: OwnPages) -> None:
        page = await own.browser().send("POST", LOGOUT)

        assert (page.status, page.set_cookies) == (303, {})

    @pytest.mark.parametrize("path", [LOGOUT, f"{OWN}/logged-out", f"{OWN}/logged-out?state=x"])
    async def test_no_get_takes_anything_away(self, own: OwnPages, path: str) -> None:
        browser = await own.signed_in()

        page = await browser.get(path)
        without = await own.browser().send("GET", path, headers={"Sec-Fetch-Site": "same-origin"})

        assert (page.set_cookies, without.set_cookies) == ({}, {})


class TestTheEndHere:
    async def test_what_ended_is_remembered_before_it_is_deleted(self, own: OwnPages) -> None:
        browser = await own.signed_in()
        own.sessions.calls.clear()

        await browser.post(LOGOUT)

        assert own.sessions.calls[:2] == ["mark_ended", "delete"]
        assert await own.sessions.inner.has_ended(
            issuer=ISSUER, client_id="legacy-app", sid="sid-1", subject="alice-id", issued_at=0
        )

    async def test_cookies_go_and_the_trail_knows(self, own: OwnPages) -> None:
        browser = await own.signed_in()

        page = await browser.post(LOGOUT)

        assert page.set_cookies["__Host-sidegate"]["max-age"] == "0"
        assert page.set_cookies["__Host-sidegate-login"]["max-age"] == "0"
        assert own.observer.logouts == ["local"]
        assert own.observer.audits[-1].event == "logout.local"
        assert own.observer.audits[-1].sessions_affected == 1
        assert own.observer.ended == {EndCause.LOGOUT: 1}

    async def test_another_session_of_the_same_sid_ends_too(self, own: OwnPages) -> None:
        own.provider.answer = make_login_grant(serial=5)
        first, second = await own.signed_in_by_code(), await own.signed_in_by_code()

        await second.post(LOGOUT)

        assert await own.live(first) is None
        assert own.observer.audits[-1].sessions_affected == 2

    async def test_other_sessions_of_the_person_live_on(self, own: OwnPages) -> None:
        phone, desk = await own.signed_in(), await own.signed_in()

        await desk.post(LOGOUT)

        assert await own.live(phone) is not None

    async def test_a_session_without_sid_ends_too(self, own: OwnPages) -> None:
        own.provider.answer = make_login_grant(sid=None)
        browser = await own.signed_in()
        value = Secret(browser.cookies["__Host-sidegate"])

        await browser.post(LOGOUT)

        assert await own.sessions.inner.load(value) is None
        assert own.observer.audits[-1].sessions_affected == 1

    @pytest.mark.parametrize("operation", ["mark_ended", "delete"])
    async def test_while_the_store_is_away_nothing_has_ended_and_nobody_says_so(
        self, own: OwnPages, operation: str
    ) -> None:
        browser = await own.signed_in()
        own.sessions.away = {operation}

        page = await browser.post(LOGOUT)

        assert page.status == 503
        assert "__Host-sidegate" in browser.cookies
        assert own.provider.ended == []


class TestTheEndThere:
    async def test_a_form_session_is_ended_from_here_with_its_refresh_token(self, own: OwnPages) -> None:
        browser = await own.signed_in()

        page = await browser.post(LOGOUT, {"return_to": "/app"})

        assert page.status == 303
        assert own.provider.ended == ["refresh-1"]

    async def test_the_provider_is_told_only_after_the_session_is_gone(self, own: OwnPages) -> None:
        browser = await own.signed_in()
        value, seen = Secret(browser.cookies["__Host-sidegate"]), []

        async def look(_session: Any) -> None:
            seen.append(await own.sessions.inner.load(value))

        own.provider.end_session = look  # type: ignore[method-assign]
        await browser.post(LOGOUT)

        assert seen == [None]

    async def test_a_provider_that_fails_changes_nothing_here(self, own: OwnPages) -> None:
        own.provider.end_session_fault = ProviderUnavailable("away")
        browser = await own.signed_in()
        value = Secret(browser.cookies["__Host-sidegate"])

        page = await browser.post(LOGOUT)

        assert page.status == 303
        assert await own.sessions.inner.load(value) is None
        assert "not at the provider" in own.observer.warnings[0][0]

    async def test_without_a_refresh_token_there_is_nothing_to_tell(self, own: OwnPages) -> None:
        own.provider.answer = make_login_grant(tokens=make_tokens(refresh_token=None))
        browser = await own.signed_in()

        assert (await browser.post(LOGOUT)).status == 303
        assert own.provider.ended == []

    async def test_a_code_session_is_ended_by_a_form_that_the_browser_posts(self, own: OwnPages) -> None:
        browser = await own.signed_in_by_code()

        page = await browser.post(LOGOUT, {"return_to": "/app"})

        assert page.status == 200
        assert f'<form method="post" action="{END_SESSION}"' in page.text
        assert page.field("id_token_hint") == "id-1"
        assert page.field("client_id") == "legacy-app"
        assert page.field("post_logout_redirect_uri") == f"{PUBLIC_URL}{OWN}/logged-out"
        assert own.provider.ended == []
        assert "__Host-sidegate" not in browser.cookies

    async def test_the_way_back_is_kept_in_state(self, own: OwnPages) -> None:
        browser = await own.signed_in_by_code()
        page = await browser.post(LOGOUT, {"return_to": "/app?x=1"})

        done = await browser.get(f"{OWN}/logged-out?state={page.field('state')}")

        assert done.status == 200
        assert f'href="{OWN}/login?return_to=%2Fapp%3Fx%3D1"' in done.text

    async def test_without_an_id_token_the_form_goes_without_a_hint(self, own: OwnPages) -> None:
        own.provider.answer = make_login_grant(tokens=make_tokens(id_token=None))
        browser = await own.signed_in_by_code()

        page = await browser.post(LOGOUT)

        assert page.status == 200
        assert "id_token_hint" not in page.text

    @pytest.mark.parametrize(
        "metadata", [replace(METADATA, end_session_endpoint=None), ProviderUnavailable("not had yet")]
    )
    async def test_a_provider_without_logout_is_left_alone(self, own: OwnPages, metadata: Any) -> None:
        browser = await own.signed_in_by_code()
        own.provider.metadata_answer = metadata

        page = await browser.post(LOGOUT)

        assert page.status == 303
        assert page.location.startswith(f"{OWN}/logged-out?state=")


class TestLoggedOut:
    @pytest.mark.parametrize("state", ["", "x", "a.b", "%00", "é", "x" * 9000])
    async def test_any_state_is_200_and_leads_home(self, own: OwnPages, state: str) -> None:
        page = await own.browser().get(f"{OWN}/logged-out?state={quote(state, safe='%')[:7000]}")

        assert page.status == 200
        assert f'href="{OWN}/login"' in page.text

    async def test_a_state_that_somebody_made_leads_nowhere(self, own: OwnPages) -> None:
        ours = query_of((await own.browser().send("POST", LOGOUT)).location)["state"]
        payload, _, mac = ours.partition(".")

        page = await own.browser().get(f"{OWN}/logged-out?state={payload[:-2]}AA.{mac}")

        assert f'href="{OWN}/login"' in page.text

    @pytest.mark.parametrize("path", ["https://evil.example", "//evil.example", "/\\evil.example"])
    async def test_no_return_to_leaves_the_origin(self, own: OwnPages, path: str) -> None:
        page = await own.browser().send("POST", LOGOUT, data={"return_to": path})
        done = await own.browser().get(page.location)

        assert "evil" not in done.text
