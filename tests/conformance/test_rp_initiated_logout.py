"""RP-initiated logout: what the provider's end-session endpoint is sent, and what it may send back.

One test per module of the OpenID Foundation's plan ``oidcc-client-rp-initiated-logout-rp-basic``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from tests.conformance.forging_issuer import CLIENT_ID, Plan, with_members, without
from tests.contracts.web_browser import WebBrowser

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.conformance.forging_issuer import ForgingIssuer, ForgingServer
    from tests.conformance.relying_party import RelyingParty


def test_a_logout_ends_here_and_there_and_comes_back(party: RelyingParty, issuer: ForgingIssuer) -> None:
    """oidcc-client-test-rp-init-logout."""
    issuer.sid = "sid-of-a-logout"
    person = party.person()
    person.sign_in()

    answer = person.leave()

    assert (answer.status, urlsplit(answer.url).path) == (200, "/_sidegate/logged-out")
    (call,) = issuer.called("bye")
    assert call.method == "POST"
    assert dict(call.parameters) == {
        "id_token_hint": issuer.id_tokens[-1],
        "client_id": CLIENT_ID,
        "post_logout_redirect_uri": f"{party.url}/_sidegate/logged-out",
        "state": call.parameters["state"],
    }
    assert len(call.parameters["state"]) >= 16
    assert not person.is_signed_in()


def test_the_cookie_from_before_is_worth_nothing(party: RelyingParty) -> None:
    """oidcc-client-test-rp-init-logout: the session is gone, not only its cookie."""
    person = party.person()
    person.sign_in()
    thief = party.person()
    thief.browser = WebBrowser(dict(person.browser.cookies))
    assert thief.is_signed_in()

    person.leave()

    assert not thief.is_signed_in()


def test_the_way_out_is_allowed_by_our_own_policy(party: RelyingParty, issuer: ForgingIssuer) -> None:
    """The page's form may post to the provider's origin (CSP ``form-action``), and the token is in no address."""
    person = party.person()
    person.sign_in()
    question = person.get("/_sidegate/logout")

    page = person.browser.post(question.form_action, question.hidden_inputs(), Accept="text/html", Origin=party.url)

    origin = f"http://{urlsplit(issuer.url).netloc}"
    policy = dict(part.strip().partition(" ")[::2] for part in page.headers["content-security-policy"].split(";"))
    assert origin in policy["form-action"].split()
    assert page.form_action == f"{issuer.url}bye"
    assert page.headers["cache-control"] == "no-store"


def test_a_state_that_did_not_come_back_is_no_error(party: RelyingParty, issuer: ForgingIssuer) -> None:
    """oidcc-client-test-rp-init-logout-no-state."""
    issuer.plan = Plan(after_logout=without("state"))
    person = party.person()
    person.sign_in()

    answer = person.leave()

    assert (answer.status, urlsplit(answer.url).query) == (200, "")
    assert not person.is_signed_in()


def test_another_state_is_no_error_and_leads_nowhere(party: RelyingParty, issuer: ForgingIssuer) -> None:
    """oidcc-client-test-rp-init-logout-other-state."""
    issuer.plan = Plan(after_logout=with_members(state="https://evil.example/\"'><script>"))
    person = party.person()
    person.sign_in()

    answer = person.leave()

    assert answer.status == 200
    assert "evil.example" not in answer.text
    assert not person.is_signed_in()


def test_an_invalid_state_is_no_error(party: RelyingParty, issuer: ForgingIssuer) -> None:
    """oidcc-client-test-rp-init-logout-invalid-state: ours with one letter changed."""

    def changed(parameters: dict[str, str]) -> dict[str, str]:
        state = parameters["state"]
        return {"state": ("A" if state[0] != "A" else "B") + state[1:]}

    issuer.plan = Plan(after_logout=changed)
    person = party.person()
    person.sign_in()

    assert person.leave().status == 200
    assert not person.is_signed_in()


def test_signing_in_again_after_a_logout_works_at_once(party: RelyingParty, issuer: ForgingIssuer) -> None:
    """oidcc-client-test-rp-init-logout, twice in a row, as a tester runs it: a new provider session, a new login."""
    person = party.person()
    for sid in ("first-time", "second-time"):
        issuer.sid = sid
        assert person.sign_in().status == 200
        person.leave()
        assert not person.is_signed_in()


def test_a_provider_without_an_end_session_endpoint_is_left_out(
    start_party: Callable[..., RelyingParty], forging_server: ForgingServer
) -> None:
    """OIDC RP-Initiated Logout 1.0 §2.1 makes it optional: the session ends here, and the last page is shown."""
    issuer = forging_server.alias()
    issuer.plan = Plan(metadata=without("end_session_endpoint"))
    party = start_party(issuer)
    person = party.person()
    person.sign_in()
    question = person.get("/_sidegate/logout")

    answer = person.browser.post(question.form_action, question.hidden_inputs(), Accept="text/html", Origin=party.url)

    assert answer.status == 303
    assert "/_sidegate/logged-out" in answer.location
    assert not person.is_signed_in()
