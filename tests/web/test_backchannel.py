"""``/backchannel-logout`` at the level of HTTP: what is obeyed, what is refused, and in which order."""

from __future__ import annotations

import json
from typing import Any

import pytest

from proxy.core.session import EndCause
from proxy.errors import ProviderUnavailable, TokenRejected
from proxy.ports import VerifiedJws
from proxy.web.options import Feature
from tests.support.clocks import START
from tests.support.own_pages import OWN, OwnPages, Page, make_login_grant, open_own_pages
from tests.support.sessions import ISSUER

PATH = f"{OWN}/backchannel-logout"
EVENT = "http://schemas.openid.net/event/backchannel-logout"


def logout_token(own: OwnPages, compact: str = "a.b.c", **changes: Any) -> str:
    """Let the provider sign a token; None leaves a claim out."""
    claims = {
        "iss": ISSUER,
        "aud": "legacy-app",
        "iat": START,
        "exp": START + 120,
        "jti": "jti-1",
        "sub": "alice-id",
        "sid": "sid-1",
        "events": {EVENT: {}},
        **changes,
    }
    payload = {name: value for name, value in claims.items() if value is not None}
    own.provider.logout_tokens[compact] = VerifiedJws({"alg": "RS256", "typ": "logout+jwt"}, payload)
    return compact


async def send(own: OwnPages, token: str) -> Page:
    """Post a token as Keycloak does."""
    return await own.browser(address="198.51.100.5").send(
        "POST", PATH, data={"logout_token": token}, headers={"Accept": "*/*"}
    )


class TestObeyed:
    async def test_the_session_of_the_sid_ends(self, own: OwnPages) -> None:
        browser = await own.signed_in()
        other = await own.signed_in()

        page = await send(own, logout_token(own))

        assert page.status == 200
        assert await own.live(browser) is None
        assert await own.live(other) is not None
        assert own.observer.ended == {EndCause.BACKCHANNEL: 1}

    async def test_without_a_sid_all_sessions_of_the_person_end(self, own: OwnPages) -> None:
        one, two = await own.signed_in(), await own.signed_in()
        bob = await own.signed_in(username="bob")

        page = await send(own, logout_token(own, sid=None))

        assert page.status == 200
        assert (await own.live(one), await own.live(two)) == (None, None)
        assert await own.live(bob) is not None
        assert own.observer.audits[-1].sessions_affected == 2

    async def test_a_session_that_does_not_know_its_sid_ends_with_the_one_that_is_named(self, own: OwnPages) -> None:
        own.provider.answer = make_login_grant(sid=None)
        nameless = await own.signed_in()
        own.provider.answer = make_login_grant(serial=7)
        other = await own.signed_in()
        own.provider.answer = make_login_grant("bob", sid=None)
        bob = await own.signed_in(username="bob")

        await send(own, logout_token(own, sid="sid-1"))

        assert await own.live(nameless) is None
        assert await own.live(other) is not None
        assert await own.live(bob) is not None
        assert own.observer.audits[-1].sessions_affected == 1

    async def test_without_a_sub_nobody_is_searched_for(self, own: OwnPages) -> None:
        await send(own, logout_token(own, sub=None))

        assert "find" not in own.sessions.calls

    async def test_an_unknown_session_is_200_too_and_stays_ended(self, own: OwnPages) -> None:
        page = await send(own, logout_token(own, sid="never-heard-of"))

        assert page.status == 200
        assert own.observer.audits[-1].sessions_affected == 0
        assert await own.sessions.inner.has_ended(
            issuer=ISSUER, client_id="legacy-app", sid="never-heard-of", subject="x", issued_at=START
        )

    async def test_the_answer_is_stored_by_nobody_and_ends_the_connection(self, own: OwnPages) -> None:
        page = await send(own, logout_token(own))

        assert page.headers["Cache-Control"] == "no-store"
        assert page.headers["Connection"].lower() == "close"

    async def test_the_trail_and_the_figures_know(self, own: OwnPages) -> None:
        await own.signed_in()

        await send(own, logout_token(own))

        event = own.observer.audits[-1]
        assert (event.event, event.username, event.sessions_affected) == ("logout.backchannel", "alice", 1)
        assert own.observer.logouts == ["backchannel"]

    async def test_the_signature_is_verified_within_the_callers_own_budget(self, own: OwnPages) -> None:
        await send(own, logout_token(own))

        assert own.provider.verified == [("a.b.c", "backchannel", "198.51.100.5")]

    async def test_the_order_is_mark_delete_remember(self, own: OwnPages) -> None:
        await send(own, logout_token(own))

        assert own.sessions.calls == ["mark_ended", "jti_is_spent", "delete_matching", "find", "spend_jti"]

    async def test_a_store_that_is_away_hears_what_ended_before_anything_is_asked_of_it(self, own: OwnPages) -> None:
        """So that it can keep that for later: the provider never sends twice."""
        own.sessions.go_away()

        await send(own, logout_token(own))

        assert own.sessions.calls == ["mark_ended"]

    async def test_other_fields_beside_the_token_are_no_reason_to_refuse(self, own: OwnPages) -> None:
        form = {"logout_token": logout_token(own), "more": "x"}

        assert (await own.browser().send("POST", PATH, data=form)).status == 200


class TestRefused:
    async def test_a_token_is_obeyed_once(self, own: OwnPages) -> None:
        token = logout_token(own)
        await send(own, token)

        page = await send(own, token)

        assert (page.status, own.observer.audits[-1].reason) == (400, "replayed")

    @pytest.mark.parametrize(
        ("changes", "reason"),
        [
            ({"iss": "https://evil.example"}, "wrong_issuer"),
            ({"aud": "other-app"}, "wrong_audience"),
            ({"exp": START - 61}, "expired"),
            ({"exp": None, "iat": START - 301}, "issued_too_long_ago"),
            ({"iat": START + 61}, "issued_in_future"),
            ({"iat": None}, "missing_iat"),
            ({"jti": None}, "missing_jti"),
            ({"nonce": "x"}, "unexpected_nonce"),
            ({"events": {}}, "malformed_events"),
            ({"sid": None, "sub": None}, "nobody_named"),
            ({"sid": 7}, "malformed_sid"),
        ],
    )
    async def test_a_token_that_breaks_a_rule_ends_nothing_and_spends_nothing(
        self, own: OwnPages, changes: dict[str, Any], reason: str
    ) -> None:
        browser = await own.signed_in()
        own.sessions.calls.clear()

        page = await send(own, logout_token(own, **changes))

        assert page.status == 400
        assert json.loads(page.text)["error"] == "invalid_request"
        assert reason in json.loads(page.text)["error_description"]
        assert own.observer.audits[-1].event == "logout.rejected"
        assert own.observer.audits[-1].reason == reason
        assert own.observer.logouts == ["rejected"]
        assert await own.live(browser) is not None
        assert own.sessions.calls == []

    async def test_a_refused_token_does_not_spend_the_jti_of_a_good_one(self, own: OwnPages) -> None:
        browser = await own.signed_in()
        await send(own, logout_token(own, "bad.bad.bad", aud="other-app"))

        assert (await send(own, logout_token(own))).status == 200
        assert await own.live(browser) is None

    async def test_a_bad_signature_is_400(self, own: OwnPages) -> None:
        own.provider.logout_tokens["a.b.c"] = TokenRejected("signature", reason="bad_signature")

        page = await send(own, "a.b.c")

        assert (page.status, page.headers["Cache-Control"]) == (400, "no-store")

    @pytest.mark.parametrize(
        ("data", "content_type"),
        [
            ("", "application/x-www-form-urlencoded"),
            ("logout_token=", "application/x-www-form-urlencoded"),
            ("logout_token=a.b.c&logout_token=a.b.c", "application/x-www-form-urlencoded"),
            ("logout_token=" + "x" * 17_000, "application/x-www-form-urlencoded"),
            ("logout_token=" + "x" * 70_000, "application/x-www-form-urlencoded"),
            ("logout_token=%ff", "application/x-www-form-urlencoded"),
            ('{"logout_token": "a.b.c"}', "application/json"),
            ("logout_token=a.b.c", "text/plain"),
        ],
    )
    async def test_what_is_no_form_with_one_token_is_400(self, own: OwnPages, data: str, content_type: str) -> None:
        logout_token(own)

        page = await own.browser().send("POST", PATH, data=data, headers={"Content-Type": content_type})

        assert (page.status, json.loads(page.text)["error"]) == (400, "invalid_request")
        assert own.provider.verified == []

    async def test_get_is_405(self, own: OwnPages) -> None:
        page = await own.browser().get(PATH)

        assert (page.status, page.headers["Allow"]) == (405, "POST")

    async def test_switched_off_it_is_not_there(self, aiohttp_client: Any) -> None:
        own = await open_own_pages(aiohttp_client, backchannel=Feature.OFF)

        assert (await send(own, logout_token(own))).status == 404


class TestAway:
    @pytest.mark.parametrize("operation", ["jti_is_spent", "mark_ended", "delete_matching", "find", "spend_jti"])
    async def test_a_store_that_is_away_is_503_and_the_token_stays_good(self, own: OwnPages, operation: str) -> None:
        await own.signed_in()
        own.sessions.away = {operation}
        token = logout_token(own)

        page = await send(own, token)

        assert (page.status, page.headers["Cache-Control"], "Retry-After" in page.headers) == (503, "no-store", True)
        assert own.observer.audits[-1].event == "logout.rejected"
        own.sessions.come_back()
        assert (await send(own, token)).status == 200

    async def test_keys_that_cannot_be_had_are_503(self, own: OwnPages) -> None:
        browser = await own.signed_in()
        own.provider.logout_tokens["a.b.c"] = ProviderUnavailable("keys")

        page = await send(own, "a.b.c")

        assert page.status == 503
        assert await own.live(browser) is not None


async def test_a_logout_that_overtakes_the_login_wins(own: OwnPages) -> None:
    await send(own, logout_token(own))

    browser = own.browser()
    form = {"username": "alice", "password": "secret words"}
    shown = await browser.get(f"{OWN}/login")
    page = await browser.post(f"{OWN}/login", {**form, "csrf_token": shown.field("csrf_token")})

    assert page.status == 401
    assert "__Host-sidegate" not in page.set_cookies
    assert await own.sessions.inner.count() == 0


async def test_the_token_is_in_no_log(own: OwnPages) -> None:
    own.provider.logout_tokens["s3.cr3.t"] = TokenRejected("signature", reason="bad_signature")

    await send(own, "s3.cr3.t")

    assert "s3.cr3.t" not in repr((own.observer.audits, own.observer.warnings, own.observer.errors))
