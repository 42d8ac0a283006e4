"""Claim rules of ID tokens: each rule broken in one way; OIDC Core 1.0 §3.1.3.7, §12.2."""

from __future__ import annotations

from enum import Enum
from typing import Any

import pytest
from msgspec.structs import replace

from proxy.core.id_token import (
    NO_NONCE,
    AskedProof,
    IdTokenExpectation,
    RefreshedFrom,
    access_token_hash,
    require_proof,
    validate_id_token,
    validate_refreshed_id_token,
)
from proxy.core.secret import Secret
from proxy.errors import TokenRejected

NOW = 1_800_000_000.0
ISSUER = "https://sso.example.com/realms/acme"
ACCESS_TOKEN = Secret("jHkWEdUXMU1BwAsC4vtUsZwnNvTIxEl0z9K3vx5KF0Y")
AT_HASH = "77QmUPtjPfzWtF2AnpK9RQ"
"""Of the access token above: the example of OIDC Core 1.0, appendix A.3."""

HEADER = {"alg": "RS256", "typ": "JWT", "kid": "1"}
CLAIMS = {
    "iss": ISSUER,
    "sub": "f:1:jörg",
    "aud": "legacy-app",
    "azp": "legacy-app",
    "exp": NOW + 300,
    "iat": NOW,
    "auth_time": NOW - 5,
    "nonce": "n-1",
    "sid": "uXDuqGhtb3LUJSoO-cOBCBLs",
    "acr": "1",
    "typ": "ID",
    "at_hash": AT_HASH,
}
EXPECTED = IdTokenExpectation(
    issuer=ISSUER, client_id="legacy-app", nonce="n-1", access_token=ACCESS_TOKEN, algorithm="RS256", now=NOW
)
BEFORE = RefreshedFrom(subject="f:1:jörg", nonce="n-1", auth_time=NOW - 5)
ABSENT = Enum("Claim", ["ABSENT"])["ABSENT"]  # named alike in every process, as the ids of tests must be


def changed(**claims: Any) -> dict[str, Any]:
    return {name: value for name, value in {**CLAIMS, **claims}.items() if value is not ABSENT}


def reason_of(header: dict[str, Any], claims: dict[str, Any], expected: IdTokenExpectation = EXPECTED) -> str:
    with pytest.raises(TokenRejected) as refused:
        validate_id_token(header, claims, expected=expected)
    return refused.value.reason


def test_a_right_token_gives_its_claims() -> None:
    found = validate_id_token(HEADER, CLAIMS, expected=EXPECTED)

    assert (found.issuer, found.subject, found.sid) == (ISSUER, "f:1:jörg", "uXDuqGhtb3LUJSoO-cOBCBLs")
    assert (found.issued_at, found.expires_at, found.auth_time) == (NOW, NOW + 300, NOW - 5)
    assert (found.nonce, found.acr, found.every) == ("n-1", "1", CLAIMS)


def test_little_beyond_sub_is_enough() -> None:
    bare = {"iss": ISSUER, "sub": "1", "aud": ["legacy-app"], "exp": NOW + 300, "iat": NOW}

    found = validate_id_token({"alg": "RS256"}, bare, expected=replace(EXPECTED, nonce=NO_NONCE))

    assert (found.subject, found.sid, found.acr, found.auth_time) == ("1", None, None, None)


WRONG: list[tuple[dict[str, Any], str]] = [
    ({"iss": ABSENT}, "missing_iss"),
    ({"iss": ISSUER + "/"}, "wrong_issuer"),
    ({"iss": ISSUER.upper()}, "wrong_issuer"),
    ({"iss": [ISSUER]}, "malformed_iss"),
    ({"sub": ABSENT}, "missing_sub"),
    ({"sub": ""}, "malformed_sub"),
    ({"sub": 7}, "malformed_sub"),
    ({"sub": "x" * 256}, "malformed_sub"),
    ({"aud": ABSENT}, "missing_aud"),
    ({"aud": "other-app"}, "wrong_audience"),
    ({"aud": "legacy-app2"}, "wrong_audience"),
    ({"aud": ["other-app"]}, "wrong_audience"),
    ({"aud": ["legacy-app", "stranger"]}, "untrusted_audience"),
    ({"aud": []}, "malformed_aud"),
    ({"azp": "other-app"}, "wrong_azp"),
    ({"azp": 7}, "malformed_azp"),
    ({"exp": ABSENT}, "missing_exp"),
    ({"exp": NOW - 60}, "expired"),
    ({"exp": str(NOW + 300)}, "malformed_exp"),
    ({"iat": ABSENT}, "missing_iat"),
    ({"iat": NOW + 61}, "issued_in_future"),
    ({"iat": NOW - 661}, "issued_too_long_ago"),
    ({"iat": True}, "malformed_iat"),
    ({"nbf": NOW + 61}, "not_yet_valid"),
    ({"nonce": ABSENT}, "missing_nonce"),
    ({"nonce": "n-2"}, "wrong_nonce"),
    ({"nonce": ""}, "malformed_nonce"),
    ({"nonce": ["n-1"]}, "malformed_nonce"),
    ({"at_hash": AT_HASH[:-1]}, "wrong_at_hash"),
    ({"at_hash": 7}, "malformed_at_hash"),
    ({"auth_time": "yesterday"}, "malformed_auth_time"),
    ({"sid": 7}, "malformed_sid"),
    ({"acr": 1}, "malformed_acr"),
    ({"typ": "Bearer"}, "wrong_type"),
    ({"typ": "Logout"}, "wrong_type"),
    ({"events": {"http://schemas.openid.net/event/backchannel-logout": {}}}, "wrong_type"),
]


@pytest.mark.parametrize(("claims", "reason"), WRONG, ids=lambda value: str(value)[:60])
def test_one_broken_rule_is_a_refusal_that_names_it(claims: dict[str, Any], reason: str) -> None:
    assert reason_of(HEADER, changed(**claims)) == reason


@pytest.mark.parametrize("typ", ["at+jwt", "logout+jwt", "JWE", "", 7, None])
def test_the_header_of_another_kind_of_token_is_refused(typ: object) -> None:
    assert reason_of({**HEADER, "typ": typ}, CLAIMS) == "wrong_type"


@pytest.mark.parametrize("header", [{"alg": "RS256"}, {"alg": "RS256", "typ": "jwt"}])
def test_the_type_in_the_header_may_be_absent_or_jwt_in_any_case(header: dict[str, Any]) -> None:
    assert validate_id_token(header, CLAIMS, expected=EXPECTED).subject == "f:1:jörg"


@pytest.mark.parametrize("claims", [{"exp": NOW - 59}, {"iat": NOW + 60}, {"nbf": NOW + 60}, {"iat": NOW - 660}])
def test_a_minute_of_difference_between_clocks_is_allowed(claims: dict[str, Any]) -> None:
    assert validate_id_token(HEADER, changed(**claims), expected=EXPECTED).subject == "f:1:jörg"


def test_the_message_says_by_how_much_a_token_is_early() -> None:
    with pytest.raises(TokenRejected, match="issued 90 s in the future by our clock"):
        validate_id_token(HEADER, changed(iat=NOW + 90), expected=EXPECTED)


def test_a_nonce_that_nobody_sent_is_refused() -> None:
    assert reason_of(HEADER, CLAIMS, replace(EXPECTED, nonce=NO_NONCE)) == "unexpected_nonce"


def test_without_a_nonce_sent_none_must_come() -> None:
    found = validate_id_token(HEADER, changed(nonce=ABSENT), expected=replace(EXPECTED, nonce=NO_NONCE))

    assert found.nonce is NO_NONCE


def test_an_audience_that_the_settings_trust_may_stand_beside_us() -> None:
    trusting = replace(EXPECTED, trusted_audiences=frozenset({"api"}))

    assert validate_id_token(HEADER, changed(aud=["legacy-app", "api"]), expected=trusting).subject == "f:1:jörg"
    assert reason_of(HEADER, changed(aud=["legacy-app", "api"], azp=ABSENT), trusting) == "missing_azp"
    assert reason_of(HEADER, changed(aud=["api"]), trusting) == "wrong_audience"


@pytest.mark.parametrize(("algorithm", "length"), [("RS256", 22), ("PS384", 32), ("ES512", 43), ("EdDSA", 43)], ids=str)
def test_the_hash_of_an_access_token_has_half_the_length_of_its_algorithm(algorithm: str, length: int) -> None:
    assert len(access_token_hash(ACCESS_TOKEN, algorithm)) == length


def test_the_hash_of_an_access_token_is_that_of_the_standards_example() -> None:
    assert access_token_hash(ACCESS_TOKEN, "RS256") == AT_HASH


class TestRefresh:
    """OIDC Core 1.0 §12.2."""

    def reason(self, before: RefreshedFrom = BEFORE, **claims: Any) -> str:
        with pytest.raises(TokenRejected) as refused:
            validate_refreshed_id_token(HEADER, changed(**claims), expected=EXPECTED, before=before)
        return refused.value.reason

    def test_the_nonce_may_be_absent_or_the_first_one(self) -> None:
        for nonce in (ABSENT, "n-1"):
            found = validate_refreshed_id_token(HEADER, changed(nonce=nonce), expected=EXPECTED, before=BEFORE)
            assert found.subject == "f:1:jörg"

    def test_another_nonce_is_refused(self) -> None:
        assert self.reason(nonce="n-2") == "wrong_nonce"

    def test_a_nonce_where_the_login_had_none_is_refused(self) -> None:
        assert self.reason(replace(BEFORE, nonce=NO_NONCE), nonce="n-1") == "unexpected_nonce"

    def test_another_person_is_refused(self) -> None:
        assert self.reason(sub="2") == "wrong_subject"

    @pytest.mark.parametrize(
        ("claims", "reason"),
        [
            ({"iss": "https://evil.test"}, "wrong_issuer"),
            ({"aud": "other-app"}, "wrong_audience"),
            ({"azp": "other-app"}, "wrong_azp"),
            ({"iat": NOW - 700}, "issued_too_long_ago"),
            ({"exp": NOW - 700}, "expired"),
            ({"at_hash": "x"}, "wrong_at_hash"),
        ],
    )
    def test_the_rules_of_the_login_hold_again(self, claims: dict[str, Any], reason: str) -> None:
        assert self.reason(**claims) == reason

    def test_no_refresh_counts_as_a_new_authentication(self) -> None:
        found = validate_refreshed_id_token(HEADER, changed(auth_time=NOW), expected=EXPECTED, before=BEFORE)

        assert found.auth_time == NOW - 5

    def test_an_authentication_before_the_login_is_refused(self) -> None:
        assert self.reason(auth_time=NOW - 6) == "wrong_auth_time"

    @pytest.mark.parametrize(("claimed", "known", "result"), [(NOW, None, NOW), (ABSENT, NOW - 5, NOW - 5)])
    def test_the_time_of_authentication_is_the_one_that_is_known(
        self, claimed: object, known: float | None, result: float
    ) -> None:
        before = replace(BEFORE, auth_time=known)

        found = validate_refreshed_id_token(HEADER, changed(auth_time=claimed), expected=EXPECTED, before=before)

        assert found.auth_time == result


class TestProof:
    def test_what_was_not_asked_is_not_missed(self) -> None:
        require_proof(AskedProof(), acr=None, auth_time=None, now=NOW)

    @pytest.mark.parametrize(
        ("asked", "acr", "age_s", "reason"),
        [
            (AskedProof(("gold",)), "silver", 0.0, "wrong_acr"),
            (AskedProof(("gold",)), None, 0.0, "wrong_acr"),
            (AskedProof(("gold",)), "gold silver", 0.0, "wrong_acr"),
            (AskedProof((), 300.0), "gold", None, "missing_auth_time"),
            (AskedProof((), 300.0), "gold", 300.5, "authentication_too_old"),
        ],
    )
    def test_less_than_was_asked_is_refused(
        self, asked: AskedProof, acr: str | None, age_s: float | None, reason: str
    ) -> None:
        with pytest.raises(TokenRejected) as caught:
            require_proof(asked, acr=acr, auth_time=None if age_s is None else NOW - age_s, now=NOW)

        assert caught.value.reason == reason

    def test_any_of_several_values_will_do(self) -> None:
        require_proof(AskedProof(("gold", "platinum"), 300.0), acr="platinum", auth_time=NOW - 300, now=NOW)
