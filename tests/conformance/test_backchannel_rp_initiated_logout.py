"""Back-channel logout as the suite plays it: the provider speaks while the browser is at its end-session endpoint.

One test per module of the OpenID Foundation's plan ``oidcc-client-back-channel-logout-rp-basic``. By then the session
has ended here already; a good logout token is 200 all the same, a bad one 400, and the browser finds its way back in
either case. What a logout token does to a *living* session is in ``test_backchannel_logout.py``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tests.conformance.forging_issuer import (
    CLIENT_ID,
    CLIENT_SECRET,
    LOGOUT_EVENT,
    Plan,
    ec_key,
    with_members,
    without,
)

if TYPE_CHECKING:
    from tests.conformance.forging_issuer import ForgingIssuer
    from tests.conformance.relying_party import LogoutAnswer, RelyingParty

BAD_TOKENS: dict[str, dict[str, Any]] = {
    "alg-none": {"signer": ("none", None)},
    "no-event": {"edit": without("events")},
    "wrong-event": {"edit": with_members(events={f"{LOGOUT_EVENT}-invalid": {}})},
    "with-nonce": {"edit": with_members(nonce="n")},
    "wrong-alg": {"signer": ("ES256", ec_key("curve").private), "header": with_members(kid="curve")},
    "wrong-alg-hs256": {"signer": ("HS256", CLIENT_SECRET.encode())},
    "wrong-aud": {"edit": with_members(aud=f"{CLIENT_ID}-invalid")},
    "wrong-iss": {"edit": with_members(iss="https://elsewhere.example/")},
    "missing-sub-and-sid": {"edit": without("sub", "sid")},
}


def logged_out(party: RelyingParty, **token: Any) -> LogoutAnswer:
    """Sign in, log out; what the provider heard when it sent that logout token meanwhile."""
    issuer, heard = party.issuer, []
    person = party.person()
    assert person.sign_in().status == 200
    made = issuer.logout_token(**token)
    issuer.plan = Plan(at_logout=lambda: heard.append(party.logout(("logout_token", made))))

    back = person.leave()

    assert (back.status, person.is_signed_in()) == (200, False)
    (answer,) = heard
    return answer


def test_a_logout_token_for_a_session_that_has_ended_is_obeyed(party: RelyingParty, issuer: ForgingIssuer) -> None:
    """oidcc-client-test-rp-backchannel-rpinitlogout."""
    issuer.sid = "sid-of-the-valid-module"

    answer = logged_out(party)

    assert answer.status == 200
    assert "no-store" in answer.headers["cache-control"].split(", ")


@pytest.mark.parametrize("module", BAD_TOKENS)
def test_a_bad_logout_token_is_refused_and_the_browser_comes_back(
    party: RelyingParty, issuer: ForgingIssuer, module: str
) -> None:
    """oidcc-client-test-rp-backchannel-rpinitlogout-*."""
    issuer.sid = f"sid-of-{module}"
    issuer.keys = [*issuer.keys, ec_key("curve")]

    answer = logged_out(party, **BAD_TOKENS[module])

    assert answer.status == 400
    assert answer.json["error"] == "invalid_request"
    assert "no-store" in answer.headers["cache-control"].split(", ")
