"""The basic profile: what a relying party takes and what it refuses at a login by code.

One test per module of the OpenID Foundation's plan ``oidcc-client-basic-certification-test-plan``, and of those beside
it that a confidential client of the code flow can be asked; the module's name is in the docstring.
"""

from __future__ import annotations

import base64
import time
from typing import TYPE_CHECKING

import pytest

from tests.conformance.forging_issuer import (
    CLIENT_ID,
    CLIENT_SECRET,
    SUBJECT,
    Plan,
    Reply,
    ec_key,
    in_turn,
    rsa_key,
    same,
    with_members,
    without,
)
from tests.conformance.relying_party import assert_refused

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.conformance.forging_issuer import ForgingIssuer, ForgingServer, Members
    from tests.conformance.relying_party import Person, RelyingParty
    from tests.contracts.web_browser import Answer


def test_an_honest_login_reaches_the_app_with_the_subject(party: RelyingParty, issuer: ForgingIssuer) -> None:
    """oidcc-client-test."""
    person = party.person()

    answer = person.sign_in("/private?x=1")

    assert answer.status == 200
    assert (answer.json["path"], answer.json["query"]) == ("/private", "x=1")
    assert person.told_to_app()["HTTP_X_AUTH_SUBJECT"] == SUBJECT
    assert person.is_signed_in()
    assert [call.endpoint for call in issuer.calls][:3] == ["go", "swap", "who"]


def assert_id_token_is_refused(party: RelyingParty, plan: Plan) -> None:
    """Log in with that plan: refused, and the provider hears nothing more, userinfo included."""
    party.issuer.plan = plan
    person = party.person()

    answer = person.sign_in()

    assert_refused(person, answer)
    assert party.issuer.called("swap")
    assert not party.issuer.called("who")


def test_a_token_of_another_issuer_is_refused(party: RelyingParty) -> None:
    """oidcc-client-test-invalid-iss."""
    assert_id_token_is_refused(party, Plan(id_claims=with_members(iss="https://elsewhere.example/")))


def test_an_issuer_without_its_slash_is_another_issuer(party: RelyingParty, issuer: ForgingIssuer) -> None:
    """oidcc-client-test-invalid-iss, the least difference there can be (OIDC Core 1.0 §3.1.3.7 item 2)."""
    assert_id_token_is_refused(party, Plan(id_claims=with_members(iss=issuer.url.rstrip("/"))))


def test_a_token_without_sub_is_refused(party: RelyingParty) -> None:
    """oidcc-client-test-missing-sub."""
    assert_id_token_is_refused(party, Plan(id_claims=without("sub")))


def test_a_token_for_another_client_is_refused(party: RelyingParty) -> None:
    """oidcc-client-test-invalid-aud."""
    assert_id_token_is_refused(party, Plan(id_claims=with_members(aud=CLIENT_ID + "1")))


def test_a_token_for_us_and_a_stranger_is_refused(party: RelyingParty) -> None:
    """oidcc-client-test-invalid-aud, with us among others (OIDC Core 1.0 §3.1.3.7 item 3)."""
    assert_id_token_is_refused(party, Plan(id_claims=with_members(aud=[CLIENT_ID, "stranger"], azp=CLIENT_ID)))


def test_a_token_without_aud_is_refused(party: RelyingParty) -> None:
    """oidcc-client-test-missing-aud."""
    assert_id_token_is_refused(party, Plan(id_claims=without("aud")))


def test_a_token_without_iat_is_refused(party: RelyingParty) -> None:
    """oidcc-client-test-missing-iat."""
    assert_id_token_is_refused(party, Plan(id_claims=without("iat")))


def test_a_token_signed_by_rs256_is_taken(party: RelyingParty, issuer: ForgingIssuer) -> None:
    """oidcc-client-test-idtoken-sig-rs256."""
    assert issuer.keys[0].algorithm == "RS256"

    assert party.person().sign_in().status == 200


def test_a_token_without_signature_is_refused(party: RelyingParty) -> None:
    """oidcc-client-test-idtoken-sig-none: the suite would let it pass, for a client that registered ``none``.

    There is no such setting here, and discovery that offers ``none`` changes nothing: the module is not for us.
    """
    assert_id_token_is_refused(party, Plan(signer=("none", None)))


def test_a_token_whose_signature_is_broken_is_refused(party: RelyingParty) -> None:
    """oidcc-client-test-invalid-sig-rs256: the signature's bytes are changed, everything else is right."""

    def broken(token: str) -> str:
        signed, _, signature = token.rpartition(".")
        raw = bytes(byte ^ 0x5A for byte in base64.urlsafe_b64decode(signature + "=="))
        return f"{signed}.{base64.urlsafe_b64encode(raw).rstrip(b'=').decode()}"

    assert_id_token_is_refused(party, Plan(finish=broken))


def test_a_token_signed_by_a_stranger_under_our_kid_is_refused(party: RelyingParty) -> None:
    """oidcc-client-test-invalid-sig-rs256, with a signature that is right for a key of nobody."""
    assert_id_token_is_refused(party, Plan(signer=("RS256", rsa_key("stranger").private)))


def test_a_token_signed_with_the_clients_secret_is_refused(party: RelyingParty) -> None:
    """oidcc-client-test-invalid-sig-hs256, and with the right secret too: only asymmetric algorithms are taken."""
    assert_id_token_is_refused(party, Plan(signer=("HS256", CLIENT_SECRET.encode())))


def test_a_token_by_an_algorithm_that_was_not_configured_is_refused(party: RelyingParty, issuer: ForgingIssuer) -> None:
    """oidcc-client-test-invalid-sig-es256: published by the provider, offered by discovery, not among ours."""
    issuer.keys = [ec_key("curve"), rsa_key("first")]

    assert_id_token_is_refused(party, Plan())


def test_a_subject_of_userinfo_that_is_another_is_refused(party: RelyingParty, issuer: ForgingIssuer) -> None:
    """oidcc-client-test-userinfo-invalid-sub."""
    issuer.plan = Plan(userinfo=with_members(sub=f"{SUBJECT}-invalid", preferred_username="admin"))
    person = party.person()

    answer = person.sign_in()

    assert_refused(person, answer)
    assert issuer.called("who")


def test_userinfo_without_a_subject_is_refused(party: RelyingParty, issuer: ForgingIssuer) -> None:
    """oidcc-client-test-userinfo-invalid-sub, with none at all (OIDC Core 1.0 §5.3.2)."""
    issuer.plan = Plan(userinfo=without("sub"))
    person = party.person()

    assert_refused(person, person.sign_in())


def test_signed_userinfo_is_verified(party: RelyingParty, issuer: ForgingIssuer) -> None:
    """oidcc-client-test-userinfo-signed (OIDC Core 1.0 §5.3.2)."""
    issuer.plan = Plan(
        userinfo=with_members(preferred_username="signed"), userinfo_signer=("RS256", rsa_key("first").private)
    )
    person = party.person()
    person.sign_in()
    assert person.told_to_app()["HTTP_X_AUTH_USERNAME"] == "signed"

    ours, stranger = (("RS256", rsa_key(name).private) for name in ("first", "stranger"))
    for signer, edit in ((stranger, same), (("none", None), same), (ours, with_members(aud="another"))):
        issuer.plan = Plan(userinfo=edit, userinfo_signer=signer)
        person = party.person()
        assert_refused(person, person.sign_in())


def test_claims_that_are_elsewhere_are_left_where_they_are(party: RelyingParty, issuer: ForgingIssuer) -> None:
    """oidcc-client-test-aggregated-claims, oidcc-client-test-distributed-claims: optional, not followed, no harm."""
    sources = {"one": {"JWT": "a.b.c"}, "two": {"endpoint": f"{issuer.url}claims", "access_token": "x"}}
    issuer.plan = Plan(userinfo=with_members(_claim_names={"name": "one", "email": "two"}, _claim_sources=sources))

    assert party.person().sign_in().status == 200
    assert not issuer.called("claims")


NONSENSE = {
    "500": Reply(500, b"out of order"),
    "html": Reply(200, b"<!doctype html><title>Welcome</title>", {"Content-Type": "text/html"}),
    "a list": Reply(200, b"[]", {"Content-Type": "application/json"}),
    "sub twice": Reply(200, b'{"sub": "a", "sub": "user-subject-1234531"}', {"Content-Type": "application/json"}),
    "nothing": Reply(200),
    "moved": Reply(302, headers={"Location": "http://127.0.0.1:1/"}),
}


@pytest.mark.parametrize("endpoint", ["swap", "who"])
def test_an_endpoint_that_answers_nonsense_is_an_outage_and_no_way_in(
    party: RelyingParty, issuer: ForgingIssuer, endpoint: str
) -> None:
    """What no module asks: a page instead of JSON, a redirect, a member twice."""
    for reply in NONSENSE.values():
        issuer.plan = Plan(broken={endpoint: reply})
        person = party.person()

        assert_refused(person, person.sign_in(), status=503)


ODD_ANSWERS = {
    "no id_token": without("id_token"),
    "no access_token": without("access_token"),
    "no token_type": without("token_type"),
    "another token_type": with_members(token_type="DPoP"),
    "an id_token that is no string": with_members(id_token=1),
}


def test_a_token_answer_without_what_it_must_have_is_refused(party: RelyingParty, issuer: ForgingIssuer) -> None:
    """RFC 6749 §5.1, OIDC Core 1.0 §3.1.3.3."""
    for edit in ODD_ANSWERS.values():
        issuer.plan = Plan(answer=edit)
        person = party.person()

        assert_refused(person, person.sign_in())


HARMLESS = {
    "aud in a list": Plan(id_claims=with_members(aud=[CLIENT_ID])),
    "azp is us": Plan(id_claims=with_members(aud=[CLIENT_ID], azp=CLIENT_ID)),
    "typ JWT": Plan(header=with_members(typ="JWT")),
    "hints of a key": Plan(header=with_members(x5t="AAAA", jku="http://127.0.0.1:1/k", jwk={"kty": "oct", "k": "AA"})),
    "claims of nobody's": Plan(id_claims=with_members(acr="gold", amr=["pwd"], auth_time=0, roles=None, groups="x")),
    "token_type in capitals": Plan(answer=with_members(token_type="BEARER")),
    "expires_in as text": Plan(answer=with_members(expires_in="3600", scope="openid", extra={"a": 1})),
    "further parameters": Plan(redirect=with_members(extra="1", scope="openid")),
}


@pytest.mark.parametrize("case", HARMLESS)
def test_what_others_say_in_their_own_way_is_understood(party: RelyingParty, issuer: ForgingIssuer, case: str) -> None:
    """oidcc-client-test at providers of other habits."""
    issuer.plan = HARMLESS[case]

    assert party.person().sign_in().status == 200


def test_times_are_judged_with_a_minute_of_patience(party: RelyingParty, issuer: ForgingIssuer) -> None:
    """OIDC Core 1.0 §3.1.3.7 items 9 and 10: a clock that is off by a little is no reason to keep somebody out."""
    now = int(time.time())
    claims: Members
    for claims in ({"iat": now + 45}, {"exp": now - 45}, {"iat": now - 300}, {"nbf": now + 45}, {"iat": now + 0.5}):
        issuer.plan = Plan(id_claims=with_members(**claims))
        assert party.person().sign_in().status == 200, claims

    for claims in ({"iat": now + 120}, {"exp": now - 120}, {"nbf": now + 120}, {"iat": now - 3600}, {"exp": "later"}):
        issuer.plan = Plan(id_claims=with_members(**claims))
        person = party.person()
        assert_refused(person, person.sign_in())


def test_another_nonce_is_refused(party: RelyingParty) -> None:
    """oidcc-client-test-nonce-invalid."""
    assert_id_token_is_refused(party, Plan(id_claims=with_members(nonce="another")))


def test_no_nonce_is_refused(party: RelyingParty) -> None:
    """oidcc-client-test-nonce-invalid, with none at all."""
    assert_id_token_is_refused(party, Plan(id_claims=without("nonce")))


def test_a_wrong_at_hash_is_refused(party: RelyingParty) -> None:
    """oidcc-client-test-invalid-athash."""
    assert_id_token_is_refused(party, Plan(id_claims=with_members(at_hash="1" * 22)))


def test_an_at_hash_may_be_missing(party: RelyingParty, issuer: ForgingIssuer) -> None:
    """oidcc-client-test-missing-athash: optional at the token endpoint (OIDC Core 1.0 §3.1.3.8)."""
    issuer.plan = Plan(id_claims=without("at_hash"))

    assert party.person().sign_in().status == 200


def test_claims_that_only_userinfo_has_reach_the_app(party: RelyingParty, issuer: ForgingIssuer) -> None:
    """oidcc-client-test-scope-userinfo-claims."""
    issuer.plan = Plan(
        userinfo=with_members(
            name="Demo T. User", preferred_username="demo", email="user@example.com", email_verified=True, groups=["/a"]
        )
    )
    person = party.person()

    person.sign_in()

    told = person.told_to_app()
    assert (told["HTTP_X_AUTH_USERNAME"], told["HTTP_X_AUTH_EMAIL"]) == ("demo", "user@example.com")
    assert (told["HTTP_X_AUTH_NAME"], told["HTTP_X_AUTH_GROUPS"]) == ("Demo T. User", "/a")
    assert issuer.called("go")[0].parameters["scope"].split() == ["openid", "profile", "email"]


def test_somebody_with_a_subject_alone_gets_in(party: RelyingParty, issuer: ForgingIssuer) -> None:
    """oidcc-client-test, as seen by the app: what nobody said is not sent, and a client's own words are not either."""
    person = party.person()
    person.sign_in()

    answer = person.browser.get(f"{party.url}/who", Accept="text/html", X_Auth_Username="admin", X_Auth_Email="a@b.c")

    told = answer.json["headers"]
    assert {name: value for name, value in told.items() if name.startswith("HTTP_X_AUTH_")} == {
        "HTTP_X_AUTH_SUBJECT": SUBJECT
    }
    status = person.get("/_sidegate/status").json
    assert (status["authenticated"], status["username"], status["email"]) == (True, None, None)


@pytest.mark.parametrize("sub", ["ü☃", "a,b", "x" * 255, "auth0|12 34", "%0a", "0", '"'])
def test_any_subject_gets_in_and_reaches_the_app_as_it_is(party: RelyingParty, issuer: ForgingIssuer, sub: str) -> None:
    """OIDC Core 1.0 §2: a case-sensitive string of at most 255 characters; the app gets its UTF-8 bytes."""
    issuer.plan = Plan(id_claims=with_members(sub=sub), userinfo=with_members(sub=sub))
    person = party.person()

    assert person.sign_in().status == 200

    assert person.told_to_app()["HTTP_X_AUTH_SUBJECT"].encode("latin-1").decode() == sub


@pytest.mark.parametrize("sub", ["", "x" * 256, "a\r\nX-Auth-Roles: admin", 7, None, ["a"]])
def test_what_is_no_subject_is_refused(party: RelyingParty, issuer: ForgingIssuer, sub: object) -> None:
    """oidcc-client-test-missing-sub, with something in its place."""
    issuer.plan = Plan(id_claims=with_members(sub=sub), userinfo=with_members(sub=sub))
    person = party.person()

    assert_refused(person, person.sign_in())


def test_the_client_proves_itself_in_the_header_alone(party: RelyingParty, issuer: ForgingIssuer) -> None:
    """oidcc-client-test-client-secret-basic: both parts form-encoded (RFC 6749 §2.3.1), no secret in the form."""
    party.person().sign_in()

    call = issuer.called("swap")[0]
    encoded = base64.b64decode(call.headers["authorization"].removeprefix("Basic ")).decode()
    assert encoded == "rp+client%3A1:s3cret%2B%25%2F%C3%A4"
    assert "client_secret" not in call.parameters
    assert call.parameters.get("client_id", CLIENT_ID) == CLIENT_ID


def test_userinfo_gets_the_token_in_the_header(party: RelyingParty, issuer: ForgingIssuer) -> None:
    """oidcc-client-test-userinfo-bearer-header."""
    party.person().sign_in()

    (call,) = issuer.called("who")
    assert (call.method, dict(call.parameters)) == ("GET", {})
    assert call.headers["authorization"].startswith("Bearer ")


def test_the_request_has_state_nonce_and_pkce_anew_each_time(party: RelyingParty, issuer: ForgingIssuer) -> None:
    """oidcc-client-test-nonce; state and PKCE besides."""
    for _ in range(2):
        party.person().sign_in()

    first, second = (call.parameters for call in issuer.called("go"))
    assert first["code_challenge_method"] == second["code_challenge_method"] == "S256"
    for name in ("state", "nonce", "code_challenge"):
        assert len(first[name]) >= 43
        assert first[name] != second[name]


def test_an_answer_with_our_issuer_as_iss_parameter_is_taken(party: RelyingParty, issuer: ForgingIssuer) -> None:
    """RFC 9207 §2.4, the other side."""
    issuer.plan = Plan(redirect=with_members(iss=issuer.url))

    assert party.person().sign_in().status == 200


def test_an_answer_with_a_foreign_iss_parameter_is_refused(party: RelyingParty, issuer: ForgingIssuer) -> None:
    """RFC 9207 §2.4, though the metadata promise none; the code is not even redeemed."""
    issuer.plan = Plan(redirect=with_members(iss="https://elsewhere.example/"))
    person = party.person()

    assert_refused(person, person.sign_in())
    assert not issuer.called("swap")


def test_a_foreign_or_missing_state_is_refused(party: RelyingParty, issuer: ForgingIssuer) -> None:
    """RFC 6749 §10.12; the code is not even redeemed."""
    for redirect in (with_members(state="forged"), without("state")):
        issuer.plan = Plan(redirect=redirect)
        person = party.person()

        assert_refused(person, person.sign_in())
    assert not issuer.called("swap")


def test_an_error_of_the_provider_is_a_page_that_does_not_repeat_it(party: RelyingParty, issuer: ForgingIssuer) -> None:
    """oidcc-client-test-form-post-error, by query: the error is told, its words are not."""
    refusal = with_members(error="login_required", error_description="<b>evil</b>")
    issuer.plan = Plan(redirect=in_turn(without("code"), refusal))
    person = party.person()

    answer = person.sign_in()

    assert_refused(person, answer)
    assert "evil" not in answer.text
    assert "/_sidegate/login" in answer.text


def test_a_code_is_redeemed_once(party: RelyingParty, issuer: ForgingIssuer) -> None:
    """Somebody who comes back by the button goes on to the place, a stranger with the same address finds nothing."""
    person, stranger = party.person(), party.person()
    callback = next(answer for answer in person.walk("/private") if "/_sidegate/callback" in answer.url)

    again = person.browser.get(callback.url, Accept="text/html")
    elsewhere = stranger.browser.get(callback.url, Accept="text/html")

    assert (again.status, again.location) == (302, "/private")
    assert_refused(stranger, elsewhere)
    assert len(issuer.called("swap")) == 1


# --- the form ---------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def form_party(forging_server: ForgingServer, start_lasting_party: Callable[..., RelyingParty]) -> RelyingParty:
    """A relying party with its own login page; the provider's issuer has no slash at its end."""
    claims_from = ["id_token", "access_token", "userinfo"]
    issuer = forging_server.alias("/plain")
    return start_lasting_party(issuer, login={"mode": "form"}, keycloak={"claims_from": claims_from})


def submitted(person: Person, password: str) -> Answer:
    """Open the login page and send it."""
    page = person.get("/_sidegate/login")
    form = {**page.hidden_inputs(), "username": "somebody", "password": password}
    return person.browser.post(page.form_action, form, Accept="text/html", Origin=person.party.url)


def test_the_password_grant_works_where_it_is_offered(form_party: RelyingParty) -> None:
    """The form, at a provider with opaque access tokens, without ``expires_in``, with ``sub`` alone."""
    form_party.issuer.plan = Plan()
    person = form_party.person()

    assert [submitted(person, password).status for password in ("wrong", "right")] == [401, 303]

    assert person.told_to_app()["HTTP_X_AUTH_SUBJECT"] == SUBJECT


@pytest.mark.parametrize(
    "plan",
    [
        Plan(id_claims=with_members(iss="https://elsewhere.example/")),
        Plan(id_claims=with_members(nonce="of another login")),
        Plan(signer=("none", None)),
        Plan(userinfo=with_members(sub="another")),
    ],
    ids=["invalid-iss", "nonce-invalid", "sig-none", "userinfo-invalid-sub"],
)
def test_a_forged_token_is_refused_behind_the_form_too(form_party: RelyingParty, plan: Plan) -> None:
    """The modules of the code flow, for the password grant: no session, no cookie, and not the password's fault."""
    form_party.issuer.plan = plan
    person = form_party.person()

    answer = submitted(person, "right")

    assert answer.status == 503
    assert not person.has_session_cookie
    assert not person.is_signed_in()
