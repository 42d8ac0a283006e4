"""Back-channel logout at the front door: a grid of logout tokens against a living session.

Source: OpenID Connect Back-Channel Logout 1.0 §2.4 to §2.8. Every refusal is 400, spends nothing and ends nothing; what
could not be judged is 503.
"""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING, Any

import pytest

from tests.conformance.forging_issuer import (
    CLIENT_ID,
    CLIENT_SECRET,
    LOGOUT_EVENT,
    SUBJECT,
    Plan,
    Reply,
    ec_key,
    in_turn,
    rsa_key,
    with_members,
    without,
)
from tests.contracts.web_browser import WebBrowser

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.conformance.forging_issuer import Edit, ForgingIssuer, ForgingServer
    from tests.conformance.relying_party import LogoutAnswer, Person, RelyingParty

FORM = "application/x-www-form-urlencoded"
ODD_SIDS = ["\"quoted\" 'sid'", "a b&c=d;e/f?g#h%20+", "../../..", "ß-☃-\U0001f6aa", "{}:*", "<script>", "x" * 500]


def seconds_from_now(name: str, seconds: int) -> Edit:
    """Set a time claim, as late as the token is made."""
    return lambda claims: {**claims, name: int(time.time()) + seconds}


def signed_in(party: RelyingParty, sid: str | None) -> Person:
    """Somebody whose provider session has that id."""
    party.issuer.sid = sid
    person = party.person()
    assert person.sign_in().status == 200
    return person


def assert_obeyed(answer: LogoutAnswer) -> None:
    """200, kept by nobody, and the connection is not used again: a pool would lose the next logout in it."""
    assert answer.status == 200, answer.body
    assert answer.headers["cache-control"] == "no-store"
    assert answer.headers["connection"].lower() == "close"


def assert_refused(answer: LogoutAnswer) -> None:
    """As OpenID Connect Back-Channel Logout 1.0 §2.8 has it."""
    assert answer.status == 400, answer.body
    assert answer.headers["cache-control"] == "no-store"
    assert answer.headers["connection"].lower() == "close"
    assert answer.headers["content-type"].startswith("application/json")
    assert answer.json["error"] == "invalid_request"
    assert answer.json["error_description"]


@pytest.mark.parametrize("sid", ODD_SIDS)
def test_a_session_ends_by_its_sid_whatever_that_holds(party: RelyingParty, issuer: ForgingIssuer, sid: str) -> None:
    """Any string is a ``sid`` (§2.4); another session of the same person is not touched."""
    person, other = signed_in(party, sid), signed_in(party, f"{sid}.")
    issuer.sid = sid

    assert_obeyed(party.logout(("logout_token", issuer.logout_token())))

    assert not person.is_signed_in()
    assert other.is_signed_in()


def test_a_token_that_names_the_person_alone_ends_all_their_sessions(
    party: RelyingParty, issuer: ForgingIssuer
) -> None:
    """Sub only: every session of that person and nobody else's, also one that has no sid."""
    issuer.plan = Plan(id_claims=with_members(sub="leaver"), userinfo=with_members(sub="leaver"))
    leavers = [signed_in(party, sid) for sid in ("one", "two", None)]
    issuer.plan = Plan()
    stayer = signed_in(party, "three")

    token = issuer.logout_token(edit=in_turn(without("sid"), with_members(sub="leaver")))
    assert_obeyed(party.logout(("logout_token", token)))

    assert [leaver.is_signed_in() for leaver in leavers] == [False, False, False]
    assert stayer.is_signed_in()


def test_a_token_may_name_the_session_alone(party: RelyingParty, issuer: ForgingIssuer) -> None:
    """Sid without sub (§2.4)."""
    person = signed_in(party, "nameless")

    assert_obeyed(party.logout(("logout_token", issuer.logout_token(edit=without("sub")))))

    assert not person.is_signed_in()


def test_a_session_that_nobody_knows_is_obeyed_too(party: RelyingParty, issuer: ForgingIssuer) -> None:
    """200, §2.8; and a login that still carries that ``sid`` comes too late."""
    issuer.sid = "not-here-yet"
    assert_obeyed(party.logout(("logout_token", issuer.logout_token())))

    person = party.person()
    person.sign_in()

    assert not person.is_signed_in()


def test_a_token_that_comes_twice_is_refused(party: RelyingParty, issuer: ForgingIssuer) -> None:
    """§2.6 item 8; by another token with the same ``jti`` as well."""
    issuer.sid = "replayed"
    once, again = (issuer.logout_token(edit=with_members(jti="the-same")) for _ in range(2))

    assert_obeyed(party.logout(("logout_token", once)))

    assert_refused(party.logout(("logout_token", once)))
    assert_refused(party.logout(("logout_token", again)))


def test_a_refused_token_does_not_spend_its_jti(party: RelyingParty, issuer: ForgingIssuer) -> None:
    """Else a forger who guesses a ``jti`` could keep the real word away."""
    person = signed_in(party, "contested")
    jti = with_members(jti="contested")
    for bad in (with_members(aud="another"), without("events"), seconds_from_now("exp", -300)):
        assert_refused(party.logout(("logout_token", issuer.logout_token(edit=in_turn(jti, bad)))))
    assert person.is_signed_in()

    assert_obeyed(party.logout(("logout_token", issuer.logout_token(edit=jti))))

    assert not person.is_signed_in()


TAKEN: dict[str, dict[str, Any]] = {
    "typ JWT": {"header": with_members(typ="JWT")},
    "typ logout+jwt in other letters": {"header": with_members(typ="LOGOUT+jwt")},
    "typ with its tree": {"header": with_members(typ="application/logout+jwt")},
    "no typ": {"header": without("typ")},
    "several audiences": {"edit": with_members(aud=["another", CLIENT_ID])},
    "a clock ahead within the skew": {"edit": seconds_from_now("iat", 45)},
    "over within the skew": {"edit": seconds_from_now("exp", -45)},
    "no exp, four minutes old": {"edit": in_turn(without("exp"), seconds_from_now("iat", -240))},
    "old, but exp is to come": {"edit": seconds_from_now("iat", -3600)},
    "another event besides": {"edit": with_members(events={LOGOUT_EVENT: {}, "revoke_offline_access": True})},
    "Keycloak's own typ": {"edit": with_members(typ="Logout")},
}

REFUSED: dict[str, dict[str, Any]] = {
    "typ of an access token": {"header": with_members(typ="at+jwt")},
    "typ of another event": {"header": with_members(typ="secevent+jwt")},
    "typ that is no string": {"header": with_members(typ=1)},
    "a critical header": {"header": with_members(crit=["b64"], b64=False)},
    "unsigned": {"signer": ("none", None)},
    "signed by a stranger": {"signer": ("RS256", rsa_key("stranger").private)},
    "signed with our secret": {"signer": ("HS256", CLIENT_SECRET.encode())},
    "an algorithm that was not configured": {"signer": ("PS256", rsa_key("first").private)},
    "another issuer": {"edit": with_members(iss="https://elsewhere.example/")},
    "no issuer": {"edit": without("iss")},
    "another audience": {"edit": with_members(aud=["another"])},
    "no audience": {"edit": without("aud")},
    "an audience that only begins like us": {"edit": with_members(aud=f"{CLIENT_ID}x")},
    "a nonce": {"edit": with_members(nonce="n")},
    "an empty nonce": {"edit": with_members(nonce=None)},
    "no events": {"edit": without("events")},
    "another event": {"edit": with_members(events={"http://schemas.openid.net/event/other": {}})},
    "an event that is no object": {"edit": with_members(events={LOGOUT_EVENT: True})},
    "events in a list": {"edit": with_members(events=[LOGOUT_EVENT])},
    "neither sid nor sub": {"edit": without("sid", "sub")},
    "a sid that is no string": {"edit": with_members(sid=7)},
    "a sub that is no string": {"edit": in_turn(without("sid"), with_members(sub=[SUBJECT]))},
    "an empty sub": {"edit": in_turn(without("sid"), with_members(sub=""))},
    "no jti": {"edit": without("jti")},
    "a jti that is no string": {"edit": with_members(jti=1)},
    "no iat": {"edit": without("iat")},
    "an iat that is no number": {"edit": with_members(iat="now")},
    "from the future": {"edit": in_turn(seconds_from_now("iat", 180), seconds_from_now("exp", 300))},
    "over": {"edit": seconds_from_now("exp", -180)},
    "no exp, six minutes old": {"edit": in_turn(without("exp"), seconds_from_now("iat", -360))},
    "not valid yet": {"edit": seconds_from_now("nbf", 180)},
    "an ID token": {"header": without("typ"), "edit": without("events", "jti")},
    "Keycloak's typ of an ID token": {"edit": with_members(typ="ID")},
}


@pytest.mark.parametrize("case", TAKEN)
def test_a_good_token_ends_the_session(party: RelyingParty, issuer: ForgingIssuer, case: str) -> None:
    """§2.4, §2.6."""
    person = signed_in(party, f"taken: {case}")

    assert_obeyed(party.logout(("logout_token", issuer.logout_token(**TAKEN[case]))))

    assert not person.is_signed_in()


def test_a_bad_token_ends_nothing(party: RelyingParty, issuer: ForgingIssuer) -> None:
    """§2.6, every case against one session that must live through them all."""
    person = signed_in(party, "survivor")

    answers = {case: party.logout(("logout_token", issuer.logout_token(**token))) for case, token in REFUSED.items()}

    assert {case: answer.status for case, answer in answers.items()} == dict.fromkeys(REFUSED, 400)
    for answer in answers.values():
        assert_refused(answer)
    assert person.is_signed_in()


def test_a_body_that_is_no_form_with_one_token_is_refused(party: RelyingParty, issuer: ForgingIssuer) -> None:
    """§2.5: one ``logout_token``, urlencoded, in the body; other fields are ignored."""
    person = signed_in(party, "formal")
    token = issuer.logout_token()

    assert_refused(party.logout())
    assert_refused(party.logout(("logout_token", "")))
    assert_refused(party.logout(("logout_token", token), ("logout_token", token)))
    assert_refused(party.logout(("logout_token", token), ("logout_token", "")))
    assert_refused(party.logout(("logout_token", "no.token")))
    assert_refused(party.logout(("logout_token", "ä" * 40_000)))
    for content_type in ("application/json", "multipart/form-data; boundary=x", "text/plain", "application/jwt"):
        assert_refused(party.logout(("logout_token", token), content_type=content_type))
    parts = f'--x\r\nContent-Disposition: form-data; name="logout_token"\r\n\r\n{token}\r\n--x--\r\n'
    assert_refused(party.logout(body=parts, content_type="multipart/form-data; boundary=x"))
    assert_refused(party.logout(body=json.dumps({"logout_token": token}), content_type="application/json"))
    assert_refused(party.logout(query=f"logout_token={token}"))
    assert person.is_signed_in()

    assert_obeyed(party.logout(("other", "1"), ("logout_token", token), content_type=f"{FORM};charset=UTF-8"))
    assert not person.is_signed_in()


def test_only_post_is_a_logout(party: RelyingParty, issuer: ForgingIssuer) -> None:
    """§2.5."""
    person = signed_in(party, "got")

    answer = WebBrowser().get(f"{party.url}/_sidegate/backchannel-logout", {"logout_token": issuer.logout_token()})

    assert answer.status == 405
    assert person.is_signed_in()


# --- keys -------------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def fresh_party(forging_server: ForgingServer, start_lasting_party: Callable[..., RelyingParty]) -> RelyingParty:
    """A relying party for tests that change keys; each speaks from addresses of its own, so budgets are full."""
    return start_lasting_party(forging_server.alias())


def test_keys_that_change_before_a_logout_are_fetched(fresh_party: RelyingParty) -> None:
    """An unknown ``kid`` is the first word of a new key (OIDC Core 1.0 §10.1.1)."""
    issuer = fresh_party.issuer
    person = signed_in(fresh_party, "rotated")
    issuer.rotate("new at the logout")

    assert_obeyed(fresh_party.logout(("logout_token", issuer.logout_token()), source="127.0.1.1"))

    assert not person.is_signed_in()


def test_a_flood_of_unknown_keys_does_not_drown_the_real_one(fresh_party: RelyingParty) -> None:
    """Somebody invents ``kid``s; the provider, from another address, is heard all the same, and is not overrun."""
    issuer = fresh_party.issuer
    person = signed_in(fresh_party, "drowning")
    fetched = len(issuer.called("k3ys"))

    for number in range(30):
        token = issuer.logout_token(header=with_members(kid=f"invented {number}"))
        assert_refused(fresh_party.logout(("logout_token", token), source="127.0.2.1"))
    # A burst of five, and one more when this machine is so slow that ten seconds went by.
    assert len(issuer.called("k3ys")) - fetched in {5, 6}
    issuer.rotate("new after the flood")
    assert_obeyed(fresh_party.logout(("logout_token", issuer.logout_token()), source="127.0.2.2"))

    assert not person.is_signed_in()
    signed_in(fresh_party, "and logins are not drowned either")


def test_keys_that_cannot_be_had_are_503_and_spend_nothing(fresh_party: RelyingParty) -> None:
    """The provider may send it again; then it is obeyed."""
    issuer = fresh_party.issuer
    person = signed_in(fresh_party, "patient")
    issuer.rotate("out of reach")
    issuer.plan = Plan(broken={"k3ys": Reply(500)})
    token = issuer.logout_token()

    answer = fresh_party.logout(("logout_token", token), source="127.0.3.1")

    assert answer.status == 503
    assert (answer.headers["cache-control"], answer.headers["connection"].lower()) == ("no-store", "close")
    assert int(answer.headers["retry-after"]) > 0
    assert person.is_signed_in()

    issuer.plan = Plan()
    assert_obeyed(fresh_party.logout(("logout_token", token), source="127.0.3.1"))
    assert not person.is_signed_in()


def test_a_key_without_a_name_verifies_a_token_that_names_none(fresh_party: RelyingParty) -> None:
    """RFC 7515 §4.1.4: ``kid`` is a hint."""
    issuer = fresh_party.issuer
    issuer.keys = [rsa_key("nameless for the logout").nameless(), ec_key("curve")]
    person = signed_in(fresh_party, "named")

    assert_obeyed(fresh_party.logout(("logout_token", issuer.logout_token()), source="127.0.4.1"))

    assert not person.is_signed_in()
