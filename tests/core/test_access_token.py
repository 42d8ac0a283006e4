"""Claim rules of access tokens: each rule broken in one way; RFC 9068 §4, RFC 7519 §4.1, contract §5."""

from __future__ import annotations

from enum import Enum
from typing import Any

import pytest

from proxy.core.access_token import (
    MAX_LIFE_S,
    AccessTokenClaims,
    AccessTokenExpectation,
    completed_claims,
    is_lightweight,
    require_access_token,
    validate_access_token,
)
from proxy.core.session import REMEMBER_ENDED_S
from proxy.errors import TokenRejected

NOW = 1_800_000_000.0
ISSUER = "https://sso.example.com/realms/acme"
HEADER = {"alg": "RS256", "typ": "JWT", "kid": "1"}
CLAIMS = {
    "exp": NOW + 300,
    "iat": NOW,
    "jti": "onrtro:1",
    "iss": ISSUER,
    "aud": ["legacy-app", "account"],
    "sub": "alice-id",
    "typ": "Bearer",
    "azp": "mobile-app",
    "sid": "s-1",
    "acr": "1",
    "scope": "openid profile",
}
EXPECTED = AccessTokenExpectation(issuer=ISSUER, audiences=frozenset({"legacy-app", "api"}), now=NOW)
EVENT = "http://schemas.openid.net/event/backchannel-logout"
ABSENT = Enum("Claim", ["ABSENT"])["ABSENT"]  # named alike in every process, as the ids of tests must be


def payload_with(**claims: Any) -> dict[str, Any]:
    return {name: value for name, value in {**CLAIMS, **claims}.items() if value is not ABSENT}


def validate(header: dict[str, Any] = HEADER, /, **claims: Any) -> AccessTokenClaims:
    return validate_access_token(header, payload_with(**claims), expected=EXPECTED)


def reason_of(header: dict[str, Any] = HEADER, /, **claims: Any) -> str:
    with pytest.raises(TokenRejected) as refused:
        validate(header, **claims)
    return refused.value.reason


def test_a_right_token_says_who_shows_it() -> None:
    assert validate(auth_time=NOW - 60) == AccessTokenClaims(
        subject="alice-id",
        audience=("legacy-app", "account"),
        issued_at=NOW,
        expires_at=NOW + 300,
        auth_time=NOW - 60,
        sid="s-1",
        acr="1",
        every=payload_with(auth_time=NOW - 60),
    )


def test_a_token_of_client_credentials_has_no_sid_and_no_auth_time() -> None:
    found = validate(sid=ABSENT, acr=ABSENT)

    assert (found.sid, found.auth_time, found.acr) == (None, None, None)


@pytest.mark.parametrize("typ", ["at+jwt", "AT+JWT", "application/at+jwt", "JWT", "jwt", "application/jwt", ABSENT])
def test_the_header_says_at_jwt_or_jwt_or_nothing(typ: object) -> None:
    header = {name: value for name, value in {**HEADER, "typ": typ}.items() if value is not ABSENT}

    assert validate(header).subject == "alice-id"


@pytest.mark.parametrize("typ", ["logout+jwt", "dpop+jwt", "JWE", "secevent+jwt", "", 7, None, ["at+jwt"]])
def test_any_other_type_in_the_header_is_refused(typ: object) -> None:
    assert reason_of({**HEADER, "typ": typ}) == "wrong_type"


@pytest.mark.parametrize("audience", ["legacy-app", ["legacy-app"], "api", ["other", "api"]])
def test_our_client_or_one_of_keycloak_audience_in_aud_will_do(audience: object) -> None:
    assert validate(aud=audience).subject == "alice-id"


def test_the_payload_need_not_say_that_it_is_a_bearer() -> None:
    assert validate(typ=ABSENT).subject == "alice-id"


WRONG: list[tuple[dict[str, Any], str]] = [
    ({"iss": ABSENT}, "missing_iss"),
    ({"iss": "https://sso.example.com/realms/other"}, "wrong_issuer"),
    ({"iss": ISSUER + "/"}, "wrong_issuer"),
    ({"iss": [ISSUER]}, "malformed_iss"),
    ({"aud": ABSENT}, "missing_aud"),
    ({"aud": "other-app"}, "wrong_audience"),
    ({"aud": [], "azp": "legacy-app"}, "malformed_aud"),
    ({"aud": "account", "azp": "legacy-app"}, "wrong_audience"),
    ({"aud": "Legacy-App"}, "wrong_audience"),
    ({"aud": "legacy-app api"}, "wrong_audience"),
    ({"aud": {"legacy-app": 1}}, "malformed_aud"),
    ({"aud": ["legacy-app", 7]}, "malformed_aud"),
    ({"sub": ABSENT}, "missing_sub"),
    ({"sub": ""}, "malformed_sub"),
    ({"sub": ["alice-id"]}, "malformed_sub"),
    ({"sub": "alice\x00-id"}, "malformed_sub"),
    ({"sub": "a" * 256}, "malformed_sub"),
    ({"sid": 7}, "malformed_sid"),
    ({"sid": ""}, "malformed_sid"),
    ({"exp": ABSENT}, "missing_exp"),
    ({"exp": "soon"}, "malformed_exp"),
    ({"exp": True}, "malformed_exp"),
    ({"exp": NOW}, "expired"),
    ({"exp": NOW - 1}, "expired"),
    ({"exp": (NOW + 300) * 1000}, "malformed_exp"),
    ({"iat": ABSENT}, "missing_iat"),
    ({"iat": "now"}, "malformed_iat"),
    ({"iat": NOW + 61}, "issued_in_future"),
    ({"iat": NOW - MAX_LIFE_S}, "issued_too_long_ago"),
    ({"nbf": NOW + 61}, "not_yet_valid"),
    ({"nbf": "now"}, "malformed_nbf"),
    ({"auth_time": "now"}, "malformed_auth_time"),
    ({"acr": 1}, "malformed_acr"),
    ({"typ": "ID"}, "wrong_type"),
    ({"typ": "Refresh"}, "wrong_type"),
    ({"typ": "Offline"}, "wrong_type"),
    ({"typ": "Logout"}, "wrong_type"),
    ({"typ": "DPoP"}, "wrong_type"),
    ({"typ": "bearer"}, "wrong_type"),
    ({"typ": None}, "wrong_type"),
    ({"typ": ["Bearer"]}, "wrong_type"),
    ({"nonce": "n-1"}, "unexpected_nonce"),
    ({"nonce": None}, "unexpected_nonce"),
    ({"at_hash": "abc"}, "unexpected_at_hash"),
    ({"events": {EVENT: {}}}, "wrong_type"),
    ({"cnf": {"jkt": "0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I"}}, "bound_to_key"),
    ({"cnf": {"x5t#S256": "bwcK0esc3ACC3DB2Y5_lESsXE8o9ltc05O89jdN-dg2"}}, "bound_to_key"),
    ({"cnf": {}}, "bound_to_key"),
    ({"cnf": None}, "bound_to_key"),
]


@pytest.mark.parametrize(("claims", "reason"), WRONG, ids=[f"{reason}-{next(iter(c))}" for c, reason in WRONG])
def test_a_broken_rule_is_named(claims: dict[str, Any], reason: str) -> None:
    assert reason_of(**claims) == reason


def test_clocks_may_differ_by_a_minute_at_the_beginning_of_a_token() -> None:
    assert validate(iat=NOW + 60, nbf=NOW + 60).issued_at == NOW + 60


def test_a_token_counts_to_the_last_moment_before_exp() -> None:
    assert validate(exp=NOW + 0.001).expires_at == NOW + 0.001


def test_a_token_counts_no_longer_than_it_is_known_which_logins_have_ended() -> None:
    found = validate(iat=NOW - 60, exp=NOW + 30 * 86_400)

    assert found.expires_at == NOW - 60 + MAX_LIFE_S
    assert MAX_LIFE_S <= REMEMBER_ENDED_S


# --- lightweight tokens ----------------------------------------------------------------------------------------------

LIGHT = {name: CLAIMS[name] for name in ("exp", "iat", "jti", "iss", "typ", "azp", "sid", "scope")}
ANSWER = {**CLAIMS, "active": True, "client_id": "mobile-app", "username": "alice", "token_type": "Bearer"}


@pytest.mark.parametrize("missing", ["sub", "aud"])
def test_a_token_that_does_not_say_whom_it_is_about_or_for_is_lightweight(missing: str) -> None:
    assert is_lightweight(payload_with(**{missing: ABSENT}))
    assert not is_lightweight(payload_with())


def test_what_is_no_live_access_token_is_refused_before_anybody_is_asked_about_it() -> None:
    for claims in ({"typ": "Refresh"}, {"exp": NOW}, {"iss": "https://other"}, {"cnf": {}}):
        with pytest.raises(TokenRejected):
            require_access_token(HEADER, {**LIGHT, **claims}, expected=EXPECTED)

    assert require_access_token(HEADER, LIGHT, expected=EXPECTED) == (NOW, NOW + 300)


def test_a_lightweight_token_says_nothing_without_the_providers_answer() -> None:
    with pytest.raises(TokenRejected):
        validate_access_token(HEADER, LIGHT, expected=EXPECTED)


def test_the_answer_about_a_lightweight_token_says_the_rest_and_is_judged_like_a_token() -> None:
    claims = completed_claims(LIGHT, ANSWER)

    assert validate_access_token(HEADER, claims, expected=EXPECTED).subject == "alice-id"
    with pytest.raises(TokenRejected, match="aud"):
        validate_access_token(HEADER, completed_claims(LIGHT, {**ANSWER, "aud": "other"}), expected=EXPECTED)
    with pytest.raises(TokenRejected):
        validate_access_token(HEADER, completed_claims(LIGHT, {**ANSWER, "cnf": {"jkt": "x"}}), expected=EXPECTED)


@pytest.mark.parametrize("name", ["iss", "exp", "iat", "jti", "sid", "azp", "typ"])
def test_an_answer_about_another_token_is_refused(name: str) -> None:
    with pytest.raises(TokenRejected) as refused:
        completed_claims(LIGHT, {**ANSWER, name: "another"})

    assert refused.value.reason == "contradicted"
