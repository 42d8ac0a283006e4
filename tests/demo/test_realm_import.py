"""One file feeds a Keycloak and the embedded provider."""

from __future__ import annotations

import json
from typing import Any

import pytest

from proxy.demo.clients import Feature, Lifetimes
from proxy.demo.realm import Registration, Rotation
from proxy.demo.realm_import import realm_of_export
from proxy.demo.users import UserState
from tests.keycloak.realms import ACME


@pytest.fixture
def export() -> dict[str, Any]:
    loaded: dict[str, Any] = json.loads(ACME.read_text())
    return loaded


def test_the_users_of_the_file_are_there(export: dict[str, Any]) -> None:
    users = realm_of_export(export).users

    assert {user.username for user in users} == {"alice", "bob", "carol", "dave", "erin"}
    assert users["alice"].client_roles == {"legacy-app": ("editor",)}
    assert users["alice"].groups == ("/staff",)
    assert users["carol"].otp_secret == b"carolotpsecret-0001"
    assert users["dave"].required_actions == ("UPDATE_PASSWORD",)
    assert users["erin"].state is UserState.DISABLED


def test_the_clients_of_the_file_are_there(export: dict[str, Any]) -> None:
    clients = realm_of_export(export).clients

    assert set(clients) == {"legacy-app", "other-app", "api-client", "no-direct"}
    assert clients["legacy-app"].audiences == ("api-client",)
    assert clients["legacy-app"].backchannel_url == "http://127.0.0.1:18999/bc/legacy-app"
    assert Feature.PKCE_REQUIRED in clients["legacy-app"].features
    assert Feature.DIRECT_GRANTS not in clients["no-direct"].features
    assert Feature.BEARER_ONLY in clients["api-client"].features
    assert not clients["api-client"].is_public


@pytest.mark.parametrize(
    ("further", "rotation"),
    [
        ({}, Rotation.OFF),
        ({"revokeRefreshToken": True}, Rotation.STRICT),
        ({"revokeRefreshToken": True, "refreshTokenMaxReuse": 1}, Rotation.ONE_REUSE),
        ({"refreshTokenMaxReuse": 1}, Rotation.OFF),
    ],
)
def test_rotation_is_what_the_file_says(export: dict[str, Any], further: dict[str, object], rotation: Rotation) -> None:
    assert realm_of_export({**export, **further}).rotation is rotation


def test_lifetimes_of_the_realm_and_of_a_client_are_what_the_file_says(export: dict[str, Any]) -> None:
    export["clients"][0]["attributes"]["access.token.lifespan"] = "30"

    realm = realm_of_export({**export, "ssoSessionIdleTimeout": 60, "registrationAllowed": True})

    assert realm.lifetimes == Lifetimes(session_idle_s=60)
    assert realm.clients["legacy-app"].lifetimes == Lifetimes(access_token_s=30, session_idle_s=60)
    assert realm.clients["other-app"].lifetimes is None
    assert realm.registration is Registration.OPEN
