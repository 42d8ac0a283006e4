"""``/logout/all``: everything of the person ends here first, and what did not end there is said."""

from __future__ import annotations

import json
from html import unescape
from typing import TYPE_CHECKING, Any

import pytest

from proxy.core.secret import Secret
from proxy.core.session import EndCause
from proxy.errors import ClientMisconfigured, ProviderUnavailable
from proxy.ports import AccountAnswer
from tests.support.own_pages import OWN, PUBLIC_URL, OwnPages, Page
from tests.support.sessions import ISSUER

if TYPE_CHECKING:
    from tests.support.own_pages import Browser

ALL = f"{OWN}/logout/all"
JSON = {"Accept": "application/json", "Sec-Fetch-Site": "same-origin"}


async def ask(browser: Browser, **headers: str) -> Page:
    """Ask as a script of ours does."""
    return await browser.send("POST", ALL, headers={**JSON, **headers})


class TestTheEndHere:
    async def test_every_session_of_the_person_ends_and_nobody_elses(self, own: OwnPages) -> None:
        desk, phone, code = await own.signed_in(), await own.signed_in(), await own.signed_in_by_code()
        bob = await own.signed_in(username="bob")

        page = await desk.post(ALL)

        assert page.status == 200
        assert [await own.live(each) for each in (desk, phone, code)] == [None, None, None]
        assert await own.live(bob) is not None
        assert own.observer.ended == {EndCause.LOGOUT_ALL: 3}

    async def test_the_number_is_said_on_the_page_and_to_a_program(self, own: OwnPages) -> None:
        first, _ = await own.signed_in(), await own.signed_in()
        page = await first.post(ALL)
        second = await own.signed_in(username="bob")

        answer = await ask(second)

        assert "2 sign-ins of yours on this site were ended" in unescape(page.text)
        assert (answer.status, json.loads(answer.text)) == (200, {"success": True, "sessions_ended": 1})

    async def test_it_stays_ended(self, own: OwnPages) -> None:
        browser = await own.signed_in()
        own.sessions.calls.clear()

        await browser.post(ALL)

        assert own.sessions.calls[:2] == ["mark_ended", "delete_matching"]
        ended: dict[str, Any] = {"issuer": ISSUER, "client_id": "legacy-app", "sid": "any", "subject": "alice-id"}
        assert await own.sessions.inner.has_ended(**ended, issued_at=own.clock.now())
        assert not await own.sessions.inner.has_ended(**ended, issued_at=own.clock.now() + 1)

    async def test_the_session_before_us_ends_also_when_no_list_leads_to_it(self, own: OwnPages) -> None:
        browser = await own.signed_in()
        own.sessions.inner._index.clear()  # type: ignore[attr-defined]
        own.sessions.inner._unindex = lambda _session: None  # type: ignore[attr-defined]
        value = Secret(browser.cookies["__Host-sidegate"])

        answer = await ask(browser)

        assert await own.sessions.inner.load(value) is None
        assert json.loads(answer.text)["sessions_ended"] == 1

    async def test_cookies_go_and_the_trail_knows(self, own: OwnPages) -> None:
        browser, _ = await own.signed_in(), await own.signed_in()

        page = await browser.post(ALL)

        assert page.set_cookies["__Host-sidegate"]["max-age"] == "0"
        assert page.set_cookies["__Host-sidegate-login"]["max-age"] == "0"
        event = own.observer.audits[-1]
        assert (event.event, event.username, event.sessions_affected) == ("logout.all", "alice", 2)
        assert own.observer.logouts == ["all"]

    async def test_the_other_devices_are_told_why(self, own: OwnPages) -> None:
        desk, phone = await own.signed_in(), await own.signed_in()

        await desk.post(ALL)

        assert "signed out on another device" in (await phone.get(f"{OWN}/login")).text
        assert "signed out" not in (await desk.get(f"{OWN}/login")).text

    @pytest.mark.parametrize("operation", ["mark_ended", "delete_matching", "delete"])
    async def test_while_the_store_is_away_nobody_says_that_it_is_done(self, own: OwnPages, operation: str) -> None:
        browser = await own.signed_in()
        own.sessions.away = {operation}

        page = await browser.post(ALL)

        assert page.status == 503
        assert "__Host-sidegate" in browser.cookies
        assert own.provider.ended_everywhere == []
        assert own.observer.audit_names == ["login.succeeded"]


class TestWhoMayEndIt:
    async def test_the_button_of_the_question_does_it(self, own: OwnPages) -> None:
        browser = await own.signed_in()
        shown = await browser.get(f"{OWN}/logout")

        page = await browser.send("POST", ALL, data={"csrf_token": shown.field("csrf_token")})

        assert f'formaction="{ALL}"' in shown.text
        assert page.status == 200
        assert await own.live(browser) is None

    @pytest.mark.parametrize(
        "said",
        [{}, {"Sec-Fetch-Site": "cross-site"}, {"Sec-Fetch-Site": "same-site"}, {"Origin": "https://evil.example"}],
    )
    async def test_nobody_else_does_without_a_token(self, own: OwnPages, said: dict[str, str]) -> None:
        browser = await own.signed_in()

        page = await browser.send("POST", ALL, headers=said)
        program = await browser.send("POST", ALL, headers={**said, "Accept": "application/json"})

        assert (page.status, program.status) == (403, 403)
        assert page.field("csrf_token")
        assert json.loads(program.text)["code"] == "csrf_rejected"
        assert await own.live(browser) is not None

    async def test_the_token_of_another_session_is_refused(self, own: OwnPages) -> None:
        other = await own.signed_in(username="mallory")
        token = (await other.get(f"{OWN}/logout")).field("csrf_token")
        browser = await own.signed_in()

        page = await browser.send("POST", ALL, data={"csrf_token": token}, headers={"Origin": PUBLIC_URL})

        assert page.status == 403
        assert await own.live(browser) is not None

    async def test_whoever_is_not_signed_in_is_sent_to_sign_in(self, own: OwnPages) -> None:
        await own.signed_in()

        page = await own.browser().post(ALL, {"return_to": "/app"})
        program = await ask(own.browser())

        assert (page.status, page.location) == (303, f"{OWN}/login?return_to=%2Fapp")
        assert (program.status, json.loads(program.text)["code"]) == (401, "auth_required")
        assert "WWW-Authenticate" in program.headers
        assert await own.sessions.inner.count() == 1

    async def test_a_form_of_another_site_is_told_nothing(self, own: OwnPages) -> None:
        page = await own.browser().send("POST", ALL, headers={"Sec-Fetch-Site": "cross-site"})

        assert (page.status, page.set_cookies) == (403, {})

    async def test_get_is_405(self, own: OwnPages) -> None:
        browser = await own.signed_in()

        assert (await browser.get(ALL)).status == 405
        assert await own.live(browser) is not None


class TestTheEndThere:
    async def test_the_provider_is_told_after_everything_is_gone(self, own: OwnPages) -> None:
        browser = await own.signed_in()
        seen: list[int] = []

        async def look(_session: Any) -> AccountAnswer:
            seen.append(await own.sessions.inner.count())
            return AccountAnswer.ENDED

        own.provider.end_all_sessions = look  # type: ignore[method-assign]
        page = await browser.post(ALL)

        assert seen == [0]
        assert "signed out of the other applications" in page.text
        assert 'role="alert"' not in page.text

    @pytest.mark.parametrize(
        ("answer", "word", "sentence"),
        [
            (AccountAnswer.REFUSED, "refused", "did not let us"),
            (AccountAnswer.NO_ENDPOINT, "no_endpoint", "has no way"),
            (ProviderUnavailable("away"), "unavailable", "does not answer"),
            (ClientMisconfigured("bad secret"), "unavailable", "does not answer"),
        ],
    )
    async def test_what_was_not_ended_is_said_and_the_rest_stands(
        self, own: OwnPages, answer: Any, word: str, sentence: str
    ) -> None:
        own.provider.account_answer = answer
        browser, program = await own.signed_in(), await own.signed_in(username="bob")

        page, document = await browser.post(ALL), json.loads((await ask(program)).text)

        assert page.status == 200
        assert sentence in page.text
        assert 'role="alert"' in page.text
        assert document == {"success": True, "sessions_ended": 1, "not_ended_at_provider": word}
        assert await own.sessions.inner.count() == 0

    async def test_a_provider_that_fails_is_told_to_the_operator(self, own: OwnPages) -> None:
        own.provider.account_answer = ProviderUnavailable("away")
        browser = await own.signed_in()

        await browser.post(ALL)

        assert "not at the provider" in own.observer.warnings[0][0]
