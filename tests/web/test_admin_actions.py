"""``/keycloak/k_…`` at the level of HTTP: what is obeyed, what is refused, and in which order."""

from __future__ import annotations

import json
from typing import Any

import pytest

from proxy.core.session import EndCause
from proxy.errors import ProviderUnavailable, TokenRejected
from proxy.ports import VerifiedJws
from tests.support.clocks import START
from tests.support.own_pages import OWN, OwnPages, Page, make_login_grant
from tests.support.sessions import ISSUER

LOGOUT = f"{OWN}/keycloak/k_logout"
PUSH = f"{OWN}/keycloak/k_push_not_before"
TEST = f"{OWN}/keycloak/k_test_available"
ACTIONS = {LOGOUT: "LOGOUT", PUSH: "PUSH_NOT_BEFORE", TEST: "TEST_AVAILABILITY"}
TEXT = "text/plain; charset=ISO-8859-1"


def action(own: OwnPages, path: str, compact: str = "a.b.c", **changes: Any) -> str:
    """Let the realm sign an action as Keycloak words it; None leaves a claim out."""
    claims = {
        "id": "uuid-1",
        "expiration": START + 30,
        "resource": "legacy-app",
        "action": ACTIONS[path],
        "notBefore": START,
        **changes,
    }
    payload = {name: value for name, value in claims.items() if value is not None}
    own.provider.logout_tokens[compact] = VerifiedJws({"alg": "RS256", "typ": "JWT"}, payload)
    return compact


async def send(own: OwnPages, path: str, body: str | bytes, content_type: str = TEXT) -> Page:
    """Post a body as Keycloak does."""
    return await own.browser(address="198.51.100.5").send(
        "POST", path, data=body, headers={"Accept": "*/*", "Content-Type": content_type}
    )


async def has_ended(own: OwnPages, *, issued_at: float, sid: str | None = None) -> bool:
    return await own.sessions.inner.has_ended(
        issuer=ISSUER, client_id="legacy-app", sid=sid, subject="anybody", issued_at=issued_at
    )


class TestLogout:
    async def test_the_sessions_that_are_named_end(self, own: OwnPages) -> None:
        first, second, third = await own.signed_in(), await own.signed_in(username="bob"), await own.signed_in()
        named = {"keycloakSessionIds": ["sid-1", "sid-2", "unknown"], "adapterSessionIds": ["X"], "notBefore": 0}

        page = await send(own, LOGOUT, action(own, LOGOUT, **named))

        assert (page.status, page.text) == (200, "")
        assert [await own.live(each) is None for each in (first, second, third)] == [True, True, False]
        assert own.observer.ended == {EndCause.ADMIN: 2}
        assert await has_ended(own, issued_at=0, sid="unknown")
        assert not await has_ended(own, issued_at=0)

    async def test_without_names_everything_of_before_ends(self, own: OwnPages) -> None:
        browsers = [await own.signed_in(), await own.signed_in(username="bob")]

        page = await send(own, LOGOUT, action(own, LOGOUT))

        assert page.status == 200
        assert [await own.live(each) for each in browsers] == [None, None]
        assert await has_ended(own, issued_at=START)
        assert not await has_ended(own, issued_at=START + 1)

    async def test_what_was_issued_later_lives_on(self, own: OwnPages) -> None:
        own.provider.answer = make_login_grant(issued_at=START + 1)
        browser = await own.signed_in()

        await send(own, LOGOUT, action(own, LOGOUT))

        assert await own.live(browser) is not None

    async def test_another_client_of_the_realm_is_not_touched(self, own: OwnPages) -> None:
        await send(own, LOGOUT, action(own, LOGOUT))

        assert not await own.sessions.inner.has_ended(
            issuer=ISSUER, client_id="other-app", sid=None, subject="anybody", issued_at=START
        )

    async def test_a_realm_wide_logout_is_remembered_as_long_as_a_session_may_lie_unused(self, own: OwnPages) -> None:
        await send(own, LOGOUT, action(own, LOGOUT))

        own.clock.advance(own.options.sessions.lifetime_s - 1)
        assert await has_ended(own, issued_at=START)
        own.clock.advance(2)
        assert not await has_ended(own, issued_at=START)

    @pytest.mark.parametrize("changes", [{"notBefore": 0}, {"notBefore": None}, {"keycloakSessionIds": []}])
    async def test_what_names_nothing_ends_nothing(self, own: OwnPages, changes: dict[str, Any]) -> None:
        browser = await own.signed_in()

        page = await send(own, LOGOUT, action(own, LOGOUT, **changes))

        assert page.status == 200
        assert await own.live(browser) is not None
        assert not await has_ended(own, issued_at=0)

    async def test_the_trail_and_the_figures_know(self, own: OwnPages) -> None:
        await own.signed_in()

        await send(own, LOGOUT, action(own, LOGOUT, keycloakSessionIds=["sid-1"]))

        event = own.observer.audits[-1]
        assert (event.event, event.username, event.sessions_affected) == ("logout.admin", "alice", 1)
        assert (event.reason, own.observer.logouts) == ("sid", ["admin"])


class TestPush:
    async def test_older_tokens_and_sessions_are_refused_from_now_on(self, own: OwnPages) -> None:
        browser = await own.signed_in()

        page = await send(own, PUSH, action(own, PUSH))

        assert page.status == 200
        assert await own.live(browser) is None
        assert await has_ended(own, issued_at=START - 100)
        assert (own.observer.audits[-1].event, own.observer.audits[-1].reason) == ("logout.admin", "not_before")

    async def test_an_older_instant_takes_nothing_back(self, own: OwnPages) -> None:
        await send(own, PUSH, action(own, PUSH, "new.new.new", id="1"))
        await send(own, PUSH, action(own, PUSH, "old.old.old", id="2", notBefore=START - 500))
        await send(own, PUSH, action(own, PUSH, "nil.nil.nil", id="3", notBefore=0))

        assert await has_ended(own, issued_at=START)

    async def test_signing_in_afterwards_works(self, own: OwnPages) -> None:
        await send(own, PUSH, action(own, PUSH))
        own.clock.advance(1)
        own.provider.answer = make_login_grant(issued_at=START + 1)

        browser = await own.signed_in()

        assert await own.live(browser) is not None


async def test_we_are_there(own: OwnPages) -> None:
    browser = await own.signed_in()
    own.sessions.go_away()
    own.sessions.calls.clear()
    token = action(own, TEST, notBefore=None)

    pages = [await send(own, TEST, token) for _ in range(2)]

    assert [page.status for page in pages] == [200, 200]
    assert own.sessions.calls == []
    assert await own.live(browser) is not None


class TestTheOrder:
    async def test_it_is_mark_delete_remember(self, own: OwnPages) -> None:
        await send(own, LOGOUT, action(own, LOGOUT, keycloakSessionIds=["sid-1"]))

        assert own.sessions.calls == ["mark_ended", "jti_is_spent", "delete_matching", "spend_jti"]

    @pytest.mark.parametrize("path", [LOGOUT, PUSH])
    async def test_a_store_that_is_away_hears_what_ended_before_anything_is_asked_of_it(
        self, own: OwnPages, path: str
    ) -> None:
        own.sessions.go_away()

        await send(own, path, action(own, path))

        assert own.sessions.calls == ["mark_ended"]

    @pytest.mark.parametrize("path", [LOGOUT, PUSH])
    async def test_an_action_is_obeyed_once(self, own: OwnPages, path: str) -> None:
        token = action(own, path)
        await send(own, path, token)

        page = await send(own, path, token)

        assert (page.status, own.observer.audits[-1].reason) == (400, "replayed")

    async def test_its_id_is_remembered_for_as_long_as_it_could_be_sent_again(self, own: OwnPages) -> None:
        token = action(own, LOGOUT, keycloakSessionIds=["sid-1"])
        await send(own, LOGOUT, token)
        own.clock.advance(89)

        assert json.loads((await send(own, LOGOUT, token)).text)["error_description"].endswith("replayed")
        own.clock.advance(1)
        assert json.loads((await send(own, LOGOUT, token)).text)["error_description"].endswith("expired")

    async def test_the_id_of_a_logout_token_is_not_that_of_an_action(self, own: OwnPages) -> None:
        await own.sessions.inner.spend_jti("legacy-app uuid-1", START + 100)

        assert (await send(own, LOGOUT, action(own, LOGOUT))).status == 200

    @pytest.mark.parametrize("operation", ["jti_is_spent", "mark_ended", "delete_matching", "spend_jti"])
    async def test_a_store_that_is_away_is_503_and_the_action_stays_good(self, own: OwnPages, operation: str) -> None:
        own.sessions.away = {operation}
        token = action(own, LOGOUT, keycloakSessionIds=["sid-1"])

        page = await send(own, LOGOUT, token)

        assert (page.status, page.headers["Cache-Control"], "Retry-After" in page.headers) == (503, "no-store", True)
        own.sessions.come_back()
        assert (await send(own, LOGOUT, token)).status == 200


class TestRefused:
    @pytest.mark.parametrize("path", [LOGOUT, PUSH, TEST])
    @pytest.mark.parametrize(
        ("changes", "reason"),
        [
            ({"resource": "other-app"}, "wrong_resource"),
            ({"expiration": START - 61}, "expired"),
            ({"action": "SOMETHING"}, "wrong_action"),
            ({"id": None}, "missing_id"),
            ({"iss": ISSUER, "sub": "alice-id"}, "wrong_type"),
        ],
    )
    async def test_an_action_that_breaks_a_rule_ends_nothing_and_spends_nothing(
        self, own: OwnPages, path: str, changes: dict[str, Any], reason: str
    ) -> None:
        browser = await own.signed_in()
        own.sessions.calls.clear()

        page = await send(own, path, action(own, path, **changes))

        assert (page.status, page.headers["Connection"].lower()) == (400, "close")
        assert reason in json.loads(page.text)["error_description"]
        assert (own.observer.audits[-1].event, own.observer.audits[-1].reason) == ("logout.rejected", reason)
        assert own.sessions.calls == []
        assert await own.live(browser) is not None

    @pytest.mark.parametrize("path", [LOGOUT, PUSH, TEST])
    async def test_a_bad_signature_is_400(self, own: OwnPages, path: str) -> None:
        own.provider.logout_tokens["a.b.c"] = TokenRejected("signature", reason="wrong_signature")

        assert (await send(own, path, "a.b.c")).status == 400

    @pytest.mark.parametrize("path", [LOGOUT, PUSH])
    async def test_keys_that_cannot_be_had_are_503(self, own: OwnPages, path: str) -> None:
        own.provider.logout_tokens["a.b.c"] = ProviderUnavailable("keys")

        assert (await send(own, path, "a.b.c")).status == 503

    @pytest.mark.parametrize(
        ("body", "content_type"),
        [
            (b"", TEXT),
            (b"a.b.c\xff", TEXT),
            (b"x" * 50_000, TEXT),
            (b"x" * 70_000, TEXT),
            (b"a.b.c", "application/x-www-form-urlencoded"),
            (b"a.b.c", "application/jwt"),
        ],
    )
    async def test_what_is_no_text_of_a_tokens_size_is_400(self, own: OwnPages, body: bytes, content_type: str) -> None:
        action(own, LOGOUT)

        assert (await send(own, LOGOUT, body, content_type)).status == 400
        assert own.provider.verified == []

    @pytest.mark.parametrize("path", [LOGOUT, PUSH, TEST])
    async def test_get_is_405(self, own: OwnPages, path: str) -> None:
        page = await own.browser().get(path)

        assert (page.status, page.headers["Allow"]) == (405, "POST")

    async def test_the_signature_is_verified_within_the_callers_own_budget(self, own: OwnPages) -> None:
        await send(own, LOGOUT, action(own, LOGOUT))

        assert own.provider.verified == [("a.b.c", "admin", "198.51.100.5")]

    async def test_the_token_is_in_no_log(self, own: OwnPages) -> None:
        own.provider.logout_tokens["s3.cr3.t"] = TokenRejected("signature", reason="wrong_signature")

        await send(own, LOGOUT, "s3.cr3.t")

        assert "s3.cr3.t" not in repr((own.observer.audits, own.observer.warnings, own.observer.errors))


async def test_the_answer_ends_the_connection(own: OwnPages) -> None:
    page = await send(own, LOGOUT, action(own, LOGOUT))

    assert (page.headers["Connection"].lower(), page.headers["Cache-Control"]) == ("close", "no-store")
