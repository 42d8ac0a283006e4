"""Claim rules of logout tokens: each rule broken in one way; OpenID Connect Back-Channel Logout 1.0 §2.4, §2.6."""

from __future__ import annotations

from enum import Enum
from typing import Any

import pytest

from proxy.core.logout_token import LogoutClaims, validate_logout_token
from proxy.errors import TokenRejected

NOW = 1_800_000_000.0
ISSUER = "https://sso.example.com/realms/acme"
EVENT = "http://schemas.openid.net/event/backchannel-logout"
HEADER = {"alg": "RS256", "typ": "logout+jwt", "kid": "1"}
CLAIMS = {
    "iss": ISSUER,
    "aud": "legacy-app",
    "iat": NOW,
    "exp": NOW + 120,
    "jti": "onrtro:1",
    "sub": "alice-id",
    "sid": "s-1",
    "typ": "Logout",
    "events": {EVENT: {}},
}
ABSENT = Enum("Claim", ["ABSENT"])["ABSENT"]  # named alike in every process, as the ids of tests must be


def validate(header: dict[str, Any] = HEADER, /, *, now: float = NOW, **claims: Any) -> LogoutClaims:
    payload = {name: value for name, value in {**CLAIMS, **claims}.items() if value is not ABSENT}
    return validate_logout_token(header, payload, issuer=ISSUER, client_id="legacy-app", now=now)


def reason_of(header: dict[str, Any] = HEADER, /, **claims: Any) -> str:
    with pytest.raises(TokenRejected) as refused:
        validate(header, **claims)
    return refused.value.reason


def test_a_right_token_says_whose_session_ends() -> None:
    assert validate() == LogoutClaims(
        sid="s-1", subject="alice-id", jti="onrtro:1", issued_at=NOW, expires_at=NOW + 180
    )


@pytest.mark.parametrize("typ", ["logout+jwt", "LOGOUT+JWT", "application/logout+jwt", "JWT", "jwt", ABSENT])
def test_the_header_says_logout_jwt_or_jwt_or_nothing(typ: object) -> None:
    header = {name: value for name, value in {**HEADER, "typ": typ}.items() if value is not ABSENT}

    assert validate(header).sid == "s-1"


@pytest.mark.parametrize("typ", ["at+jwt", "JWE", "", 7, None])
def test_any_other_type_in_the_header_is_refused(typ: object) -> None:
    assert reason_of({**HEADER, "typ": typ}) == "wrong_type"


WRONG: list[tuple[dict[str, Any], str]] = [
    ({"iss": ABSENT}, "missing_iss"),
    ({"iss": "https://sso.example.com/realms/other"}, "wrong_issuer"),
    ({"aud": ABSENT}, "missing_aud"),
    ({"aud": "other-app"}, "wrong_audience"),
    ({"aud": ["other-app"]}, "wrong_audience"),
    ({"aud": {"legacy-app": 1}}, "malformed_aud"),
    ({"iat": ABSENT}, "missing_iat"),
    ({"iat": "now"}, "malformed_iat"),
    ({"iat": NOW + 61}, "issued_in_future"),
    ({"exp": NOW - 60}, "expired"),
    ({"exp": "soon"}, "malformed_exp"),
    ({"exp": ABSENT, "iat": NOW - 301}, "issued_too_long_ago"),
    ({"nbf": NOW + 61}, "not_yet_valid"),
    ({"jti": ABSENT}, "missing_jti"),
    ({"jti": 7}, "malformed_jti"),
    ({"jti": ""}, "malformed_jti"),
    ({"sid": ABSENT, "sub": ABSENT}, "nobody_named"),
    ({"sid": 7}, "malformed_sid"),
    ({"sid": ""}, "malformed_sid"),
    ({"sub": ["alice-id"]}, "malformed_sub"),
    ({"events": ABSENT}, "missing_events"),
    ({"events": EVENT}, "malformed_events"),
    ({"events": [EVENT]}, "malformed_events"),
    ({"events": {}}, "malformed_events"),
    ({"events": {EVENT: True}}, "malformed_events"),
    ({"events": {EVENT: None}}, "malformed_events"),
    ({"events": {EVENT.upper(): {}}}, "malformed_events"),
    ({"nonce": "n"}, "unexpected_nonce"),
    ({"nonce": None}, "unexpected_nonce"),
    ({"typ": "ID"}, "wrong_type"),
    ({"typ": "Bearer"}, "wrong_type"),
    ({"typ": 7}, "wrong_type"),
]


@pytest.mark.parametrize(("claims", "reason"), WRONG, ids=lambda value: str(value)[:60])
def test_one_broken_rule_is_a_refusal_that_names_it(claims: dict[str, Any], reason: str) -> None:
    assert reason_of(**claims) == reason


@pytest.mark.parametrize("claims", [{"sid": ABSENT}, {"sub": ABSENT}, {"typ": ABSENT}, {"aud": ["x", "legacy-app"]}])
def test_what_the_standard_leaves_open_is_accepted(claims: dict[str, Any]) -> None:
    assert validate(**claims).jti == "onrtro:1"


def test_further_members_beside_the_event_are_accepted() -> None:
    assert validate(events={EVENT: {}, "revoke_offline_access": True}).sid == "s-1"


@pytest.mark.parametrize("claims", [{"iat": NOW + 60}, {"exp": NOW - 59}, {"exp": ABSENT, "iat": NOW - 300}])
def test_the_edge_of_time_is_still_inside(claims: dict[str, Any]) -> None:
    assert validate(**claims).sid == "s-1"


@pytest.mark.parametrize("claims", [{}, {"exp": ABSENT}])
def test_a_token_is_refused_from_the_instant_until_which_its_jti_is_kept(claims: dict[str, Any]) -> None:
    kept_until = validate(**claims).expires_at

    with pytest.raises(TokenRejected):
        validate(now=kept_until + 0.001, **claims)


def test_an_id_token_never_ends_a_session() -> None:
    id_token = {"iss": ISSUER, "sub": "alice-id", "aud": "legacy-app", "exp": NOW + 300, "iat": NOW, "jti": "1"}

    with pytest.raises(TokenRejected):
        validate_logout_token({"alg": "RS256"}, id_token, issuer=ISSUER, client_id="legacy-app", now=NOW)
