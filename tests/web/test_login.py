"""``/login`` at the level of HTTP: who gets in, who does not, and what anybody can learn from the difference."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest

from proxy.core.secret import Secret
from proxy.core.session import BySid, EndCause, EndedMark, Persistence, session_key
from proxy.core.tokens import GrantRefusal
from proxy.errors import ClientMisconfigured, ProviderUnavailable, StoreFull, TokenRejected
from proxy.web.login import NOTICES
from proxy.web.options import Feature, LoginMode, LoginOptions, OtpField, ProviderButton
from tests.support.own_pages import OWN, OwnPages, open_own_pages, query_of, submit_login
from tests.support.sessions import ISSUER

LOGIN = f"{OWN}/login"
AS_JSON = {"Accept": "application/json"}
NOTICE = 'class="message note"'

HOSTILE_PATHS = [
    "https://evil.example",
    "//evil.example",
    "/\\evil.example",
    "/%09/evil.example",
    "/\t/evil.example",
    "javascript:alert(1)",
    "/ok\r\nSet-Cookie: a=b",
    "\\\\evil.example",
    "/" + "a" * 2100,
]


class TestSigningIn:
    async def test_a_right_password_leads_on_with_a_session(self, own: OwnPages) -> None:
        browser = own.browser()

        page = await submit_login(browser, path=f"{LOGIN}?return_to=/reports%3Fyear%3D2026")

        assert (page.status, page.location) == (303, "/reports?year=2026")
        session = await own.live(browser)
        assert session.identity.username == "alice"
        assert own.observer.logins == [("form", "success")]
        assert own.observer.audit_names == ["login.succeeded"]

    async def test_without_a_wish_the_landing_page_comes(self, aiohttp_client: Any) -> None:
        own = await open_own_pages(aiohttp_client, LoginOptions(landing="/welcome"))

        assert (await submit_login(own.browser())).location == "/welcome"

    async def test_a_page_that_is_only_shown_stores_nothing(self, own: OwnPages) -> None:
        browser = own.browser()

        for _ in range(30):
            await browser.get(LOGIN)

        assert len(own.authentications) == 0
        assert own.sessions.calls == []

    async def test_thirty_tabs_that_were_shown_all_work(self, own: OwnPages) -> None:
        browser = own.browser()
        shown = [await browser.get(f"{LOGIN}?return_to=/page/{number}") for number in range(30)]

        for number in (0, 29, 7):
            form = {"username": "alice", "password": "secret words", "csrf_token": shown[number].field("csrf_token")}
            page = await browser.post(LOGIN, form)
            assert page.location == f"/page/{number}"

    async def test_somebody_signed_in_is_led_on(self, own: OwnPages) -> None:
        browser = await own.signed_in()

        page = await browser.get(f"{LOGIN}?return_to=/app")

        assert (page.status, page.location) == (303, "/app")

    async def test_whoever_asks_to_sign_in_again_is_asked_and_not_led_on_by_the_script(self, own: OwnPages) -> None:
        browser = await own.signed_in()
        before = browser.cookies["__Host-sidegate"]

        page = await browser.get(f"{LOGIN}?prompt=login&return_to=/app")
        form = {"username": "alice", "password": "wrong", "csrf_token": page.field("csrf_token")}
        refused = await browser.post(LOGIN, form)
        form |= {"password": "secret words", "csrf_token": refused.field("csrf_token")}
        accepted = await browser.post(LOGIN, form)

        assert f'data-status="{OWN}/status"' in (await own.browser().get(LOGIN)).text
        assert [shown.status for shown in (page, refused)] == [200, 401]
        assert "data-status" not in page.text + refused.text
        assert (accepted.status, accepted.location) == (303, "/app")
        assert browser.cookies["__Host-sidegate"] != before

    async def test_in_redirect_mode_the_page_leads_to_the_provider(self, aiohttp_client: Any) -> None:
        own = await open_own_pages(aiohttp_client, LoginOptions(mode=LoginMode.REDIRECT))

        page = await own.browser().get(f"{LOGIN}?return_to=/app")

        assert (page.status, page.location) == (302, f"{OWN}/start?return_to=%2Fapp")

    async def test_in_redirect_mode_no_password_is_taken(self, aiohttp_client: Any) -> None:
        own = await open_own_pages(aiohttp_client, LoginOptions(mode=LoginMode.REDIRECT))

        page = await own.browser().post(LOGIN, {"username": "alice", "password": "secret words"})

        assert (page.status, page.headers["Allow"]) == (405, "GET, HEAD")
        assert own.provider.passwords == []

    @pytest.mark.parametrize("password", ["with spaces  ", "pässwörd", "🔑🔑", "a+b&c=d%41", "\u200frtl", "x" * 4096])
    async def test_any_password_reaches_the_provider_as_it_was_typed(self, own: OwnPages, password: str) -> None:
        await submit_login(own.browser(), username="Ünï cödé 🙂", password=password)

        assert own.provider.passwords == [("Ünï cödé 🙂", password, None)]

    async def test_a_form_may_come_as_multipart(self, own: OwnPages) -> None:
        from aiohttp import FormData

        browser = own.browser()
        form = FormData(default_to_multipart=True)
        token = (await browser.get(LOGIN)).field("csrf_token")
        for name, value in {"username": "alice", "password": "secret words", "csrf_token": token}.items():
            form.add_field(name, value)

        assert (await browser.post(LOGIN, form)).status == 303

    @pytest.mark.parametrize(
        ("content_type", "body"),
        [
            ("multipart/form-data", b"--x--"),
            ("multipart/form-data; boundary=x", b"nonsense"),
            (
                "multipart/form-data; boundary=x",
                b'--x\r\nContent-Disposition: form-data; name="_charset_"\r\n\r\n' + b"x" * 40 + b"\r\n--x--\r\n",
            ),
            ("multipart/form-data; boundary=x", b"--x\r\nContent-Transfer-Encoding: x\r\n\r\n1\r\n--x--\r\n"),
            ("multipart/form-data; boundary=x", b"--x\r\nA: " + b"b" * 9000 + b"\r\n\r\n1\r\n--x--\r\n"),
            ("multipart/form-data; boundary=x", b"--x\r\n" + b"A: b\r\n" * 200 + b"\r\n1\r\n--x--\r\n"),
            ("multipart/form-data; boundary=x", b"--x\r\nno field\r\n\r\n1\r\n--x--\r\n"),
            ("multipart/mixed; boundary=x", b"--x--"),
            ("a" * 4000, b"x"),
        ],
    )
    async def test_a_broken_form_is_refused_in_the_askers_words_and_is_no_fault_of_ours(
        self, own: OwnPages, content_type: str, body: bytes
    ) -> None:
        page = await own.browser().post(LOGIN, body, Content_Type=content_type, **AS_JSON)

        assert (page.status, json.loads(page.text)["code"]) == (400, "form_rejected")
        assert (await own.browser().post(LOGIN, body, Content_Type=content_type)).status == 400
        assert own.observer.errors == []

    async def test_the_code_is_passed_on_without_its_spaces(self, own: OwnPages) -> None:
        await submit_login(own.browser(), otp="123 456")

        assert own.provider.passwords[0][2] == "123456"

    async def test_a_hidden_code_field_passes_nothing_on(self, aiohttp_client: Any) -> None:
        own = await open_own_pages(aiohttp_client, LoginOptions(otp=OtpField.HIDDEN))

        await submit_login(own.browser(), otp="123456")

        assert own.provider.passwords[0][2] is None


class TestRememberMe:
    async def test_ticked_the_cookie_lasts_as_long_as_the_session(self, own: OwnPages) -> None:
        browser = own.browser()

        page = await submit_login(browser, remember_me="true")

        assert page.set_cookies["__Host-sidegate"]["max-age"] == str(30 * 86400)
        assert (await own.live(browser)).persistence is Persistence.LASTING

    async def test_unticked_the_cookie_ends_with_the_browser_and_the_session_after_twelve_hours(
        self, own: OwnPages
    ) -> None:
        browser = own.browser()

        page = await submit_login(browser)

        assert page.set_cookies["__Host-sidegate"]["max-age"] == ""
        session = await own.live(browser)
        assert session.expires_at - session.created_at == 12 * 3600

    async def test_what_is_not_offered_cannot_be_had(self, aiohttp_client: Any) -> None:
        own = await open_own_pages(aiohttp_client, LoginOptions(remember_me=Feature.OFF))

        page = await submit_login(own.browser(), remember_me="true")

        assert page.set_cookies["__Host-sidegate"]["max-age"] == ""


class TestRefusals:
    async def test_every_refusal_of_a_person_looks_the_same(self, own: OwnPages) -> None:
        seen = set()
        for refusal in (GrantRefusal.INVALID_CREDENTIALS, GrantRefusal.ACCOUNT_DISABLED, GrantRefusal.INVALID_GRANT):
            own.provider.answer = refusal
            page = await submit_login(own.browser())
            token = page.field("csrf_token")
            seen.add((page.status, page.text.replace(token, ""), tuple(sorted(page.headers)), len(token)))

        assert len(seen) == 1
        assert seen.pop()[0] == 401

    @pytest.mark.parametrize(
        "form",
        [
            {"username": ""},
            {"password": ""},
            {"username": "a\0b"},
            {"password": "a\0b"},
            {"password": "x" * 10_000},
            {"username": "x" * 10_000},
            {"otp": "x" * 10_000},
            {"username": "al\r\nice"},
        ],
    )
    async def test_what_can_be_no_password_is_refused_alike_without_asking(
        self, own: OwnPages, form: dict[str, str]
    ) -> None:
        page = await submit_login(own.browser(), **form)

        assert page.status == 401
        assert "That did not work." in page.text
        assert own.provider.passwords == []

    async def test_a_required_code_that_is_missing_is_refused_without_asking(self, aiohttp_client: Any) -> None:
        own = await open_own_pages(aiohttp_client, LoginOptions(otp=OtpField.REQUIRED))

        assert (await submit_login(own.browser())).status == 401
        assert own.provider.passwords == []

    async def test_the_page_keeps_the_user_name_and_the_way_but_never_the_password(self, own: OwnPages) -> None:
        page = await submit_login(
            own.browser(), path=f"{LOGIN}?return_to=/app", username='ali"ce<b>', password="Pa55w0rd!"
        )

        assert page.status == 401
        assert 'value="ali&#34;ce&lt;b&gt;"' in page.text
        assert page.field("return_to") == "/app"
        assert "Pa55w0rd!" not in page.text
        assert "Pa55w0rd!" not in repr((own.observer.audits, own.observer.warnings, own.observer.errors, page.headers))

    async def test_the_page_drawn_again_can_be_sent(self, own: OwnPages) -> None:
        browser = own.browser()
        refused = await submit_login(browser, password="wrong")

        form = {"username": "alice", "password": "secret words", "csrf_token": refused.field("csrf_token")}

        assert (await browser.post(LOGIN, form)).status == 303

    @pytest.mark.parametrize(("took_s", "answered_s"), [(0.0, 0.5), (0.3, 0.5), (0.5, 0.5), (0.51, 0.75), (2.01, 2.25)])
    async def test_a_refusal_is_answered_on_the_grid(self, own: OwnPages, took_s: float, answered_s: float) -> None:
        begun = own.clock.monotonic()
        usual = own.provider.password_grant

        async def slow(*args: Any, **more: Any) -> Any:
            own.clock.advance(took_s)
            return await usual(*args, **more)

        own.provider.password_grant = slow  # type: ignore[method-assign]

        await submit_login(own.browser(), password="wrong")

        assert own.clock.monotonic() - begun == pytest.approx(answered_s)

    async def test_a_bad_token_is_answered_on_the_grid_too(self, own: OwnPages) -> None:
        await submit_login(own.browser(), csrf_token="x")

        assert own.slept == [0.5]

    async def test_success_waits_for_nothing(self, own: OwnPages) -> None:
        await own.signed_in()

        assert own.slept == []

    async def test_an_account_that_is_not_set_up_leads_into_the_code_flow(self, own: OwnPages) -> None:
        own.provider.answer = GrantRefusal.ACCOUNT_SETUP_REQUIRED

        page = await submit_login(own.browser(), path=f"{LOGIN}?return_to=/app", username="carol & co")

        assert page.status == 200
        assert f'href="{OWN}/start?login_hint=carol+%26+co&amp;return_to=%2Fapp"' in page.text
        assert "__Host-sidegate" not in page.set_cookies

    async def test_the_provider_refusing_us_is_no_wrong_password(self, own: OwnPages) -> None:
        own.provider.answer = ClientMisconfigured("the client secret is wrong")

        page = await submit_login(own.browser())

        assert page.status == 503
        assert "not set up correctly" in page.text
        assert "req-1" in page.text
        assert "client secret" not in page.text
        assert own.observer.warnings[0][0] == "the client secret is wrong"

    async def test_tokens_that_are_refused_are_a_mistake_of_the_set_up(self, own: OwnPages) -> None:
        own.provider.answer = TokenRejected("iss is wrong", reason="wrong_issuer")

        page = await submit_login(own.browser())

        assert page.status == 503
        assert own.observer.logins == [("form", "misconfigured")]
        assert own.observer.audits[0].reason == "wrong_issuer"

    async def test_the_provider_away_is_503_with_a_time_to_try_again(self, own: OwnPages) -> None:
        own.provider.answer = ProviderUnavailable("timeout")

        page = await submit_login(own.browser())

        assert (page.status, page.headers["Retry-After"]) == (503, "5")
        assert page.field("csrf_token")

    async def test_the_store_away_is_503_and_no_cookie(self, own: OwnPages) -> None:
        own.sessions.away = {"create"}

        page = await submit_login(own.browser())

        assert page.status == 503
        assert "__Host-sidegate" not in page.set_cookies

    async def test_a_full_store_is_503_and_puts_nobody_out(self, own: OwnPages) -> None:
        first = await own.signed_in()

        async def full(*_args: Any) -> Any:
            raise StoreFull("at the cap")

        own.sessions.inner.create = full  # type: ignore[method-assign]
        page = await submit_login(own.browser())

        assert page.status == 503
        assert await own.live(first) is not None

    async def test_a_login_that_was_ended_on_its_way_is_none(self, own: OwnPages) -> None:
        now = own.clock.now()
        await own.sessions.mark_ended(EndedMark(BySid(ISSUER, "sid-1"), ended_at=now, keep_until=now + 3600))

        page = await submit_login(own.browser())

        assert page.status == 401
        assert "ended while it was under way" in page.text
        assert "__Host-sidegate" not in page.set_cookies

    async def test_more_grants_at_once_than_allowed_wait_and_are_refused_in_time(self, aiohttp_client: Any) -> None:
        own = await open_own_pages(aiohttp_client, LoginOptions(max_concurrent=1, max_wait_s=0.05))
        entered, held, usual = asyncio.Event(), asyncio.Event(), own.provider.password_grant

        async def slow(*args: Any, **more: Any) -> Any:
            entered.set()
            await held.wait()
            return await usual(*args, **more)

        own.provider.password_grant = slow  # type: ignore[method-assign]
        first = asyncio.get_running_loop().create_task(submit_login(own.browser()))
        await entered.wait()
        second = await submit_login(own.browser())
        held.set()

        assert second.status == 503
        assert (await first).status == 303


class TestForgery:
    async def test_a_form_without_its_token_is_refused_with_a_fresh_one(self, own: OwnPages) -> None:
        browser = own.browser()

        page = await submit_login(browser, csrf_token="")

        assert page.status == 403
        assert own.provider.passwords == []
        form = {"username": "alice", "password": "secret words", "csrf_token": page.field("csrf_token")}
        assert (await browser.post(LOGIN, form)).status == 303

    async def test_the_form_of_another_browser_is_refused(self, own: OwnPages) -> None:
        attackers = (await own.browser().get(LOGIN)).field("csrf_token")

        page = await submit_login(own.browser(), csrf_token=attackers)

        assert page.status == 403
        assert own.provider.passwords == []

    async def test_a_browser_without_the_root_cookie_is_refused(self, own: OwnPages) -> None:
        token = (await own.browser().get(LOGIN)).field("csrf_token")

        page = await own.browser().post(LOGIN, {"username": "alice", "password": "secret words", "csrf_token": token})

        assert page.status == 403

    async def test_two_root_cookies_are_none(self, own: OwnPages) -> None:
        browser = own.browser()
        token = (await browser.get(LOGIN)).field("csrf_token")
        root = browser.cookies["__Host-sidegate-login"]
        twice = f"__Host-sidegate-login={root}; __Host-sidegate-login={root}"

        page = await browser.post(
            LOGIN, {"username": "alice", "password": "secret words", "csrf_token": token}, Cookie=twice
        )

        assert page.status == 403

    async def test_a_form_left_open_too_long_is_refused(self, own: OwnPages) -> None:
        browser = own.browser()
        token = (await browser.get(LOGIN)).field("csrf_token")
        own.clock.advance(1800)

        page = await browser.post(LOGIN, {"username": "alice", "password": "secret words", "csrf_token": token})

        assert page.status == 403
        assert own.provider.passwords == []

    @pytest.mark.parametrize(
        "said", [{"Sec-Fetch-Site": "cross-site"}, {"Sec-Fetch-Site": "same-site"}, {"Origin": "https://evil.example"}]
    )
    async def test_a_form_from_another_site_is_refused_even_with_a_token(
        self, own: OwnPages, said: dict[str, str]
    ) -> None:
        browser = own.browser()
        token = (await browser.get(LOGIN)).field("csrf_token")
        form = {"username": "alice", "password": "secret words", "csrf_token": token}

        page = await browser.send("POST", LOGIN, data=form, headers=said)

        assert page.status == 403
        assert own.provider.passwords == []
        assert own.observer.audits[-1].reason == "csrf_foreign"
        assert own.slept == [0.5]

    @pytest.mark.parametrize("accept", ["text/html", "application/json"])
    @pytest.mark.parametrize(
        ("content_type", "body"),
        [
            ("application/x-www-form-urlencoded", b"username=mallory&password=x&csrf_token=x"),
            ("application/json", b"[]"),
            ("multipart/form-data", b"no form"),
            ("text/plain", b"no form"),
        ],
    )
    async def test_a_form_from_another_site_leaves_the_forms_that_are_open_valid(
        self, own: OwnPages, accept: str, content_type: str, body: bytes
    ) -> None:
        browser = own.browser()
        token = (await browser.get(LOGIN)).field("csrf_token")
        said = {"Sec-Fetch-Site": "cross-site", "Accept": accept, "Cookie": "", "Content-Type": content_type}

        page = await browser.send("POST", LOGIN, headers=said, data=body)

        assert (page.status, page.set_cookies) == (403, {})
        form = {"username": "alice", "password": "secret words", "csrf_token": token}
        assert (await browser.post(LOGIN, form)).status == 303

    async def test_the_answer_to_another_site_leads_to_the_form_and_repeats_nothing(self, own: OwnPages) -> None:
        browser = own.browser()

        page = await browser.send(
            "POST", LOGIN, data={"username": "mallory"}, headers={"Sec-Fetch-Site": "cross-site", "Cookie": ""}
        )
        told = await browser.send(
            "POST", LOGIN, json={}, headers={"Sec-Fetch-Site": "cross-site", "Cookie": "", **AS_JSON}
        )

        assert f'href="{OWN}/login?return_to=%2F"' in page.text
        assert "<form" not in page.text
        assert "mallory" not in page.text
        assert json.loads(told.text) == {"success": False, "code": "csrf_rejected", "request_id": "req-1"}

    async def test_a_form_of_before_the_logout_cannot_be_sent_again(self, own: OwnPages) -> None:
        browser = own.browser()
        token = (await browser.get(LOGIN)).field("csrf_token")
        form = {"username": "alice", "password": "secret words", "csrf_token": token}
        assert (await browser.post(LOGIN, form)).status == 303
        await browser.post(f"{OWN}/logout")

        replayed = await browser.post(LOGIN, form)

        assert replayed.status == 403

    @pytest.mark.parametrize("path", HOSTILE_PATHS)
    async def test_no_field_leads_to_another_origin(self, own: OwnPages, path: str) -> None:
        from urllib.parse import quote

        by_query = await submit_login(own.browser(), path=f"{LOGIN}?return_to={quote(path)}")
        by_field = await submit_login(own.browser(), return_to=path)

        assert (by_query.location, by_field.location) == ("/", "/")

    async def test_a_wish_that_is_there_twice_is_none(self, own: OwnPages) -> None:
        page = await submit_login(own.browser(), path=f"{LOGIN}?return_to=/a&return_to=/b")

        assert page.location == "/"


class TestSessionIds:
    async def test_the_id_is_new_at_each_login_and_the_old_session_is_gone(self, own: OwnPages) -> None:
        browser = await own.signed_in()
        old = Secret(browser.cookies["__Host-sidegate"])

        page = await submit_login_while_signed_in(own, browser)

        assert page.status == 303
        assert browser.cookies["__Host-sidegate"] != old.reveal()
        assert await own.sessions.inner.load(old) is None
        assert own.observer.ended == {EndCause.REPLACED: 1}

    async def test_the_old_record_is_gone_before_the_new_one_is_made(self, own: OwnPages) -> None:
        browser = await own.signed_in()
        own.sessions.calls.clear()

        await submit_login_while_signed_in(own, browser)

        assert own.sessions.calls == ["delete", "create"]

    async def test_when_the_old_one_cannot_be_deleted_there_is_no_new_one(self, own: OwnPages) -> None:
        browser = await own.signed_in()
        own.sessions.away = {"delete"}

        page = await submit_login_while_signed_in(own, browser)

        assert page.status == 503
        assert "__Host-sidegate" not in page.set_cookies

    async def test_an_id_that_an_attacker_planted_is_not_taken_over(self, own: OwnPages) -> None:
        planted = "A" * 43
        browser = own.browser(cookies={"__Host-sidegate": planted})

        await submit_login(browser)

        assert browser.cookies["__Host-sidegate"] != planted
        assert await own.sessions.inner.load(Secret(planted)) is None

    async def test_two_logins_at_once_are_two_sessions(self, own: OwnPages) -> None:
        one, other = await own.signed_in(), await own.signed_in(username="bob")

        assert one.cookies["__Host-sidegate"] != other.cookies["__Host-sidegate"]
        assert (await own.live(one)).identity.username == "alice"
        assert (await own.live(other)).identity.username == "bob"


async def submit_login_while_signed_in(own: OwnPages, browser: Any) -> Any:
    """Send a form that was opened before the first login."""
    session = browser.cookies.pop("__Host-sidegate")
    token = (await browser.get(LOGIN)).field("csrf_token")
    browser.cookies["__Host-sidegate"] = session
    return await browser.post(LOGIN, {"username": "alice", "password": "secret words", "csrf_token": token})


class TestJson:
    async def test_a_page_with_its_own_form_gets_what_it_needs(self, aiohttp_client: Any) -> None:
        own = await open_own_pages(aiohttp_client, LoginOptions(providers=(ProviderButton("google", "Google"),)))

        page = await own.browser().get(f"{LOGIN}?return_to=/app", **AS_JSON)

        document = json.loads(page.text)
        link = f"{OWN}/start?provider=google&return_to=%2Fapp"
        assert document["otp"] == "optional"
        assert document["providers"] == [{"alias": "google", "label": "Google", "url": link}]
        assert document["csrf_token"]
        assert "__Host-sidegate-login" in page.set_cookies

    async def test_a_json_login_says_who_signed_in_and_where_to_go(self, own: OwnPages) -> None:
        browser = own.browser()
        token = json.loads((await browser.get(LOGIN, **AS_JSON)).text)["csrf_token"]
        form = {"username": "alice", "password": "secret words", "csrf_token": token, "return_to": "/app"}

        page = await browser.send("POST", LOGIN, json=form, headers=AS_JSON)

        assert page.status == 200
        assert json.loads(page.text) == {
            "success": True,
            "redirect_url": "/app",
            "user": {
                "username": "alice",
                "name": "Alice",
                "email": "alice@example.com",
                "roles": ["editor", "viewer"],
                "groups": ["/staff"],
            },
        }
        assert await own.live(browser) is not None

    @pytest.mark.parametrize(
        ("answer", "status", "code"),
        [
            (GrantRefusal.INVALID_CREDENTIALS, 401, "invalid_credentials"),
            (GrantRefusal.ACCOUNT_DISABLED, 401, "invalid_credentials"),
            (GrantRefusal.ACCOUNT_SETUP_REQUIRED, 401, "account_setup_required"),
            (ClientMisconfigured("secret"), 503, "misconfigured"),
            (ProviderUnavailable("away"), 503, "provider_unavailable"),
        ],
    )
    async def test_a_refusal_has_its_code(self, own: OwnPages, answer: Any, status: int, code: str) -> None:
        own.provider.answer = answer
        browser = own.browser()
        token = json.loads((await browser.get(LOGIN, **AS_JSON)).text)["csrf_token"]
        form = {"username": "alice", "password": "secret words", "csrf_token": token, "return_to": "/app"}

        page = await browser.send("POST", LOGIN, json=form, headers=AS_JSON)

        document = json.loads(page.text)
        assert (page.status, document["success"], document["code"]) == (status, False, code)
        if code == "account_setup_required":
            assert query_of(document["redirect_url"]) == {"login_hint": "alice", "return_to": "/app"}

    async def test_a_bad_token_is_403_with_a_fresh_one(self, own: OwnPages) -> None:
        browser = own.browser()

        page = await browser.send("POST", LOGIN, json={"username": "a", "password": "b"}, headers=AS_JSON)

        document = json.loads(page.text)
        assert (page.status, document["code"]) == (403, "csrf_rejected")
        form = {"username": "alice", "password": "secret words", "csrf_token": document["csrf_token"]}
        assert (await browser.send("POST", LOGIN, json=form, headers=AS_JSON)).status == 200

    async def test_half_a_character_is_no_password(self, own: OwnPages) -> None:
        browser = own.browser()
        token = json.loads((await browser.get(LOGIN, **AS_JSON)).text)["csrf_token"]
        body = '{"username": "\\ud800", "password": "x", "csrf_token": "' + token + '"}'

        page = await browser.send("POST", LOGIN, data=body, headers={**AS_JSON, "Content-Type": "application/json"})

        assert page.status == 401
        assert own.provider.passwords == []

    async def test_half_a_character_can_be_drawn_and_told(self, own: OwnPages) -> None:
        browser = own.browser()
        token = (await browser.get(LOGIN)).field("csrf_token")
        body = '{"username": "\\ud800", "password": "x", "csrf_token": "' + token + '"}'

        page = await browser.send("POST", LOGIN, data=body, headers={"Content-Type": "application/json"})

        assert page.status == 401
        own.observer.audits[-1].username.encode()  # type: ignore[union-attr]


class TestEndedElsewhere:
    @pytest.mark.parametrize(
        ("cause", "sentence"),
        [
            (EndCause.BACKCHANNEL, "You were signed out elsewhere"),
            (EndCause.FRONTCHANNEL, "You were signed out elsewhere"),
            (EndCause.LOGOUT_ALL, "on another device"),
            (EndCause.DEVICE, "on another device"),
            (EndCause.OVER_LIMIT, "too many devices"),
            (EndCause.ADMIN, "ended by an administrator"),
            (EndCause.REFRESH_REFUSED, "ended at the sign-in service"),
            (EndCause.EXPIRED, "after some time"),
            (EndCause.IDLE, "after some time"),
        ],
    )
    async def test_the_page_says_why_the_session_ended(self, own: OwnPages, cause: EndCause, sentence: str) -> None:
        browser = await own.signed_in()
        await own.sessions.delete(session_key(Secret(browser.cookies["__Host-sidegate"])), cause)

        page = await browser.get(LOGIN)

        assert (page.status, sentence in page.text) == (200, True)

    def test_every_cause_has_its_words_but_those_that_are_ones_own_doing(self) -> None:
        assert set(EndCause) - set(NOTICES) == {EndCause.LOGOUT, EndCause.REPLACED}

    async def test_it_is_said_to_the_browser_that_was_signed_out_and_to_no_other(self, own: OwnPages) -> None:
        browser = await own.signed_in()
        await own.sessions.delete(session_key(Secret(browser.cookies["__Host-sidegate"])), EndCause.DEVICE)

        assert NOTICE in (await browser.get(LOGIN)).text
        assert NOTICE not in (await own.browser().get(LOGIN)).text

    async def test_after_ones_own_logout_it_says_nothing(self, own: OwnPages) -> None:
        browser = await own.signed_in()
        await own.sessions.delete(session_key(Secret(browser.cookies["__Host-sidegate"])), EndCause.LOGOUT)

        assert NOTICE not in (await browser.get(LOGIN)).text

    async def test_a_store_that_is_away_is_not_taken_for_nobody(self, own: OwnPages) -> None:
        browser = await own.signed_in()
        own.sessions.go_away()

        assert (await browser.get(LOGIN)).status == 503
