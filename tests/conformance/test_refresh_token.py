"""The refresh token profile: what is taken and what is refused when tokens are renewed (OIDC Core 1.0 §12.2).

One test per module of the OpenID Foundation's plan ``oidcc-client-refreshtoken-test-plan``. A first access token that
is over at once makes the next request refresh it.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

from tests.conformance.forging_issuer import CLIENT_ID, SUBJECT, Plan, with_members, without

if TYPE_CHECKING:
    from tests.conformance.forging_issuer import ForgingIssuer
    from tests.conformance.relying_party import Person, RelyingParty


def signed_in_with_a_token_that_is_over(party: RelyingParty) -> Person:
    """Sign in; the first request that follows finds the access token over, and the provider honest."""
    party.issuer.plan = Plan(answer=with_members(expires_in=0))
    person = party.person()
    person.sign_in_only()
    party.issuer.plan = Plan()
    party.issuer.calls.clear()
    return person


def assert_refresh_is_refused(party: RelyingParty, plan: Plan) -> None:
    """Refresh with that plan: 503, the app is not reached, userinfo is not asked, the session is kept.

    A broken answer is no word of the provider that the session is over (only ``invalid_grant`` is), and no licence to
    go on with a token that is over either.
    """
    issuer = party.issuer
    person = signed_in_with_a_token_that_is_over(party)
    issuer.plan = plan

    answer = person.get("/who")

    assert answer.status == 503
    assert int(answer.headers["retry-after"]) > 0
    assert [call.endpoint for call in issuer.calls] == ["swap"]
    assert person.has_session_cookie
    assert not any(cookie.startswith("sidegate=") for cookie in answer.cookies)


def test_a_refresh_renews_tokens_and_asks_userinfo_with_the_new_one(party: RelyingParty, issuer: ForgingIssuer) -> None:
    """oidcc-client-test-refresh-token."""
    person = signed_in_with_a_token_that_is_over(party)

    told = person.told_to_app()

    assert told["HTTP_X_AUTH_SUBJECT"] == SUBJECT
    swap, who = issuer.calls
    assert (swap.endpoint, swap.parameters["grant_type"], who.endpoint) == ("swap", "refresh_token", "who")
    assert set(swap.parameters) <= {"grant_type", "refresh_token", "client_id"}
    assert person.is_signed_in()
    assert len(issuer.called("swap")) == 1


def test_many_requests_refresh_once(party: RelyingParty, issuer: ForgingIssuer) -> None:
    """oidcc-client-test-refresh-token, as a page with many pictures does it: a refresh token is spent once."""
    person = signed_in_with_a_token_that_is_over(party)
    tabs = [party.person() for _ in range(8)]
    for tab in tabs:
        tab.browser.cookies.update(person.browser.cookies)

    with ThreadPoolExecutor(len(tabs)) as pool:
        answers = list(pool.map(lambda tab: tab.get("/who").status, tabs))

    assert answers == [200] * len(tabs)
    assert [call.endpoint for call in issuer.calls] == ["swap", "who"]


def test_a_refresh_brings_what_userinfo_says_now(party: RelyingParty, issuer: ForgingIssuer) -> None:
    """oidcc-client-test-refresh-token, as seen by the app."""
    person = signed_in_with_a_token_that_is_over(party)
    issuer.plan = Plan(userinfo=with_members(preferred_username="renamed", groups=["/new"]))

    told = person.told_to_app()

    assert (told["HTTP_X_AUTH_USERNAME"], told["HTTP_X_AUTH_GROUPS"]) == ("renamed", "/new")


def test_a_refresh_may_bring_neither_id_token_nor_refresh_token(party: RelyingParty, issuer: ForgingIssuer) -> None:
    """oidcc-client-test-refresh-token with the least answer (RFC 6749 §6, OIDC Core 1.0 §12.2)."""
    person = signed_in_with_a_token_that_is_over(party)
    issuer.plan = Plan(answer=without("id_token", "refresh_token"))

    assert person.told_to_app()["HTTP_X_AUTH_SUBJECT"] == SUBJECT
    assert person.is_signed_in()


def test_a_refreshed_token_of_another_issuer_is_refused(party: RelyingParty) -> None:
    """oidcc-client-test-refresh-token-invalid-issuer."""
    assert_refresh_is_refused(party, Plan(refreshed_claims=with_members(iss="https://elsewhere.example/")))


def test_a_refreshed_token_about_somebody_else_is_refused(party: RelyingParty) -> None:
    """oidcc-client-test-refresh-token-invalid-sub."""
    assert_refresh_is_refused(party, Plan(refreshed_claims=with_members(sub="somebody-else")))


def test_a_refreshed_token_without_a_subject_is_refused(party: RelyingParty) -> None:
    """oidcc-client-test-refresh-token-missing-sub."""
    assert_refresh_is_refused(party, Plan(refreshed_claims=without("sub")))


def test_a_refreshed_token_for_another_client_is_refused(party: RelyingParty) -> None:
    """oidcc-client-test-refresh-token-invalid-aud."""
    assert_refresh_is_refused(party, Plan(refreshed_claims=with_members(aud=f"{CLIENT_ID}-invalid")))


def test_a_refreshed_token_of_another_party_is_refused(party: RelyingParty) -> None:
    """oidcc-client-test-refresh-token-invalid-azp."""
    assert_refresh_is_refused(party, Plan(refreshed_claims=with_members(azp=f"{CLIENT_ID}-invalid")))


def test_a_refreshed_token_with_another_nonce_is_refused(party: RelyingParty) -> None:
    """OIDC Core 1.0 §12.2: it should have none, and another never."""
    assert_refresh_is_refused(party, Plan(refreshed_claims=with_members(nonce="another")))


def test_a_refreshed_token_without_signature_is_refused(party: RelyingParty) -> None:
    """oidcc-client-test-idtoken-sig-none, at the refresh."""
    assert_refresh_is_refused(party, Plan(signer=("none", None)))


def test_userinfo_about_somebody_else_is_refused_at_the_refresh(party: RelyingParty, issuer: ForgingIssuer) -> None:
    """oidcc-client-test-userinfo-invalid-sub, at the refresh."""
    person = signed_in_with_a_token_that_is_over(party)
    issuer.plan = Plan(userinfo=with_members(sub="somebody-else", preferred_username="admin"))

    assert person.get("/who").status == 503


def test_a_refresh_that_the_provider_refuses_ends_the_session(party: RelyingParty, issuer: ForgingIssuer) -> None:
    """RFC 6749 §5.2, ``invalid_grant``: somebody who navigates begins again."""
    person = signed_in_with_a_token_that_is_over(party)
    issuer.forget_refresh_tokens()

    answer = person.get("/who")

    assert answer.status == 302
    assert "/_sidegate/" in answer.location
    assert not person.is_signed_in()


def test_a_refresh_that_brings_another_sid_is_followed_by_the_logout(
    party: RelyingParty, issuer: ForgingIssuer
) -> None:
    """OIDC Core 1.0 §12.2 does not forbid it: the session ends by the ``sid`` that it has now."""
    issuer.sid = "sid before the refresh"
    person = signed_in_with_a_token_that_is_over(party)
    issuer.plan = Plan(refreshed_claims=with_members(sid="sid after the refresh"))
    assert person.is_signed_in()

    issuer.sid = "sid after the refresh"
    assert party.logout(("logout_token", issuer.logout_token())).status == 200

    assert not person.is_signed_in()


def test_a_refresh_into_a_session_that_has_ended_ends_ours(party: RelyingParty, issuer: ForgingIssuer) -> None:
    """What has ended stays ended, whichever way it comes back."""
    issuer.sid = "sid of the dead"
    assert party.logout(("logout_token", issuer.logout_token())).status == 200
    issuer.sid = "sid of the living"
    person = signed_in_with_a_token_that_is_over(party)
    issuer.plan = Plan(refreshed_claims=with_members(sid="sid of the dead"))

    assert not person.is_signed_in()


def test_without_a_refresh_token_a_session_ends_with_its_access_token(
    party: RelyingParty, issuer: ForgingIssuer
) -> None:
    """Nobody vouches for that login any longer."""
    issuer.plan = Plan(answer=lambda answer: {**without("refresh_token")(answer), "expires_in": 0})
    person = party.person()
    person.sign_in_only()

    assert not person.is_signed_in()


def test_without_expires_in_and_refresh_token_a_session_lives(party: RelyingParty, issuer: ForgingIssuer) -> None:
    """oidcc-client-test: the suite says neither; RFC 6749 §5.1 only recommends the one."""
    issuer.plan = Plan(answer=without("refresh_token"))
    person = party.person()

    assert person.sign_in().status == 200
    assert person.is_signed_in()
