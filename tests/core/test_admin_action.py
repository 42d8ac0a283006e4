"""Claim rules of Keycloak's admin actions: each rule broken in one way."""

from __future__ import annotations

from enum import Enum
from typing import Any

import pytest

from proxy.core.admin_action import MAX_LIFE_S, MAX_SESSIONS, AdminAction, AdminActionKind, validate_admin_action
from proxy.errors import TokenRejected

NOW = 1_800_000_000.0
HEADER = {"alg": "RS256", "typ": "JWT", "kid": "1"}
CLAIMS = {"id": "uuid-1", "expiration": NOW + 30, "resource": "legacy-app", "action": "LOGOUT", "notBefore": NOW}
ABSENT = Enum("Claim", ["ABSENT"])["ABSENT"]  # named alike in every process, as the ids of tests must be
KINDS = list(AdminActionKind)


def validate(
    header: dict[str, Any] = HEADER, /, *, kind: AdminActionKind = AdminActionKind.LOGOUT, **claims: Any
) -> AdminAction:
    members = {**CLAIMS, "action": kind.value, **claims}
    payload = {name: value for name, value in members.items() if value is not ABSENT}
    return validate_admin_action(header, payload, kind=kind, client_id="legacy-app", now=NOW)


def reason_of(header: dict[str, Any] = HEADER, /, **claims: Any) -> str:
    with pytest.raises(TokenRejected) as refused:
        validate(header, **claims)
    return refused.value.reason


def test_a_logout_of_the_realm_is_about_everything_issued_so_far() -> None:
    assert validate() == AdminAction(action_id="uuid-1", sids=None, not_before=NOW, expires_at=NOW + 90)


def test_a_logout_of_sessions_is_about_those_alone() -> None:
    action = validate(adapterSessionIds=["APPSESS1"], notBefore=0, keycloakSessionIds=["s-1", "s-2", "s-1"])

    assert (action.sids, action.not_before) == (("s-1", "s-2"), None)


@pytest.mark.parametrize("lists", [{}, {"keycloakSessionIds": None, "adapterSessionIds": None}])
def test_no_list_and_an_empty_member_mean_the_same(lists: dict[str, Any]) -> None:
    assert validate(**lists).sids is None


def test_an_empty_list_names_nobody_and_not_everybody() -> None:
    assert validate(keycloakSessionIds=[], notBefore=0).sids == ()


def test_ids_of_an_application_alone_do_not_mean_everybody() -> None:
    assert reason_of(adapterSessionIds=["APPSESS1"]) == "nobody_named"


@pytest.mark.parametrize("kind", [AdminActionKind.LOGOUT, AdminActionKind.PUSH_NOT_BEFORE])
def test_not_before_nought_ends_nothing(kind: AdminActionKind) -> None:
    assert validate(kind=kind, notBefore=0).not_before is None


@pytest.mark.parametrize("kind", [AdminActionKind.LOGOUT, AdminActionKind.PUSH_NOT_BEFORE])
def test_an_instant_in_the_future_counts_as_now(kind: AdminActionKind) -> None:
    assert validate(kind=kind, notBefore=NOW + 5).not_before == NOW + 5
    assert validate(kind=kind, notBefore=NOW + 86_400).not_before == NOW + 60


def test_a_push_names_no_sessions_and_must_name_an_instant() -> None:
    push = AdminActionKind.PUSH_NOT_BEFORE

    assert validate(kind=push, keycloakSessionIds=["s-1"]).sids is None
    assert reason_of(kind=push, notBefore=ABSENT) == "missing_notBefore"


@pytest.mark.parametrize("instant", [ABSENT, NOW])
def test_a_question_whether_we_are_there_ends_nothing(instant: object) -> None:
    action = validate(kind=AdminActionKind.TEST_AVAILABILITY, notBefore=instant, keycloakSessionIds=["s-1"])

    assert (action.sids, action.not_before) == (None, None)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("other", KINDS)
def test_each_path_takes_its_own_action_alone(kind: AdminActionKind, other: AdminActionKind) -> None:
    if kind is other:
        assert validate(kind=kind).action_id == "uuid-1"
    else:
        assert reason_of(kind=kind, action=other.value) == "wrong_action"


@pytest.mark.parametrize("typ", ["JWT", "jwt", ABSENT])
def test_the_header_says_jwt_or_nothing(typ: object) -> None:
    header = {name: value for name, value in {**HEADER, "typ": typ}.items() if value is not ABSENT}

    assert validate(header).action_id == "uuid-1"


@pytest.mark.parametrize("typ", ["logout+jwt", "at+jwt", "", 7, None])
def test_any_other_type_in_the_header_is_refused(typ: object) -> None:
    assert reason_of({**HEADER, "typ": typ}) == "wrong_type"


@pytest.mark.parametrize("mark", ["iss", "sub", "aud", "azp", "typ", "nonce", "events", "exp"])
def test_no_token_of_a_login_passes(mark: str) -> None:
    assert reason_of(**{mark: "x"}) == "wrong_type"


@pytest.mark.parametrize(
    ("claims", "reason"),
    [
        ({"action": ABSENT}, "missing_action"),
        ({"action": 7}, "malformed_action"),
        ({"action": "logout"}, "wrong_action"),
        ({"resource": ABSENT}, "missing_resource"),
        ({"resource": "other-app"}, "wrong_resource"),
        ({"resource": ["legacy-app"]}, "malformed_resource"),
        ({"id": ABSENT}, "missing_id"),
        ({"id": ""}, "malformed_id"),
        ({"id": "x" * 2049}, "malformed_id"),
        ({"expiration": ABSENT}, "missing_expiration"),
        ({"expiration": "soon"}, "malformed_expiration"),
        ({"expiration": True}, "malformed_expiration"),
        ({"expiration": NOW - 60}, "expired"),
        ({"expiration": NOW + MAX_LIFE_S + 61}, "expires_too_late"),
        ({"expiration": NOW * 1000}, "malformed_expiration"),
        ({"notBefore": "now"}, "malformed_notBefore"),
        ({"notBefore": -1}, "malformed_notBefore"),
        ({"keycloakSessionIds": "s-1"}, "malformed_sid"),
        ({"keycloakSessionIds": ["s-1", None]}, "missing_sid"),
        ({"keycloakSessionIds": ["s-1", 7]}, "malformed_sid"),
        ({"keycloakSessionIds": [""]}, "malformed_sid"),
        ({"keycloakSessionIds": ["s"] * (MAX_SESSIONS + 1)}, "malformed_sid"),
    ],
    ids=str,
)
def test_whatever_is_missing_or_wrong_is_refused_by_its_name(claims: dict[str, Any], reason: str) -> None:
    assert reason_of(**claims) == reason


def test_a_minute_of_doubt_about_clocks_is_granted() -> None:
    assert validate(expiration=NOW - 59).expires_at == NOW + 1
