"""Who the client is."""

from __future__ import annotations

import base64

import pytest

from proxy.demo.client_authentication import authenticate_client
from proxy.demo.clients import Client, Feature
from proxy.demo.key_ring import KeyRing, RsaKey
from proxy.demo.oauth_errors import OAuthError
from proxy.demo.realm import Realm


@pytest.fixture
def realm(signing_key: RsaKey) -> Realm:
    clients = [
        Client(client_id="app", secret="s:%+ ü"),
        Client(client_id="public"),
        Client(client_id="off", secret="x", features=Feature.STANDARD_FLOW),
        Client(client_id="api", features=Feature.ENABLED | Feature.BEARER_ONLY),
    ]
    return Realm(keys=KeyRing(signing=[signing_key]), clients={client.client_id: client for client in clients})


def basic(text: str) -> str:
    return f"Basic {base64.b64encode(text.encode()).decode()}"


def test_basic_is_form_encoded_and_wins_over_the_form(realm: Realm) -> None:
    header = basic("app:s%3A%25%2B+%C3%BC")

    assert authenticate_client(realm, header, {"client_id": "public"}).client_id == "app"


def test_the_form_takes_the_secret_as_it_is(realm: Realm) -> None:
    assert authenticate_client(realm, None, {"client_id": "app", "client_secret": "s:%+ ü"}).client_id == "app"


def test_a_public_client_only_names_itself(realm: Realm) -> None:
    assert authenticate_client(realm, None, {"client_id": "public"}).client_id == "public"


@pytest.mark.parametrize(
    ("header", "form", "error"),
    [
        (None, {}, "invalid_client"),
        (None, {"client_id": "nobody"}, "invalid_client"),
        (None, {"client_id": "off", "client_secret": "x"}, "invalid_client"),
        (None, {"client_id": "app"}, "unauthorized_client"),
        (None, {"client_id": "app", "client_secret": "ü"}, "unauthorized_client"),
        (None, {"client_id": "api"}, "unauthorized_client"),
        ("Basic !!!", {"client_id": "app"}, "unauthorized_client"),
        (basic("no colon"), {}, "invalid_client"),
        (basic("app:wrong"), {}, "unauthorized_client"),
    ],
)
def test_anything_else_is_401(realm: Realm, header: str | None, form: dict[str, str], error: str) -> None:
    with pytest.raises(OAuthError) as refused:
        authenticate_client(realm, header, form)

    assert (refused.value.status, refused.value.error) == (401, error)


@pytest.mark.parametrize("secret", ["50%", "%zz", "%4"])
def test_a_bad_escape_in_basic_is_400(realm: Realm, secret: str) -> None:
    with pytest.raises(OAuthError) as refused:
        authenticate_client(realm, basic(f"app:{secret}"), {})

    assert refused.value.status == 400
