"""What is asked of the authorization endpoint, before anybody is asked anything."""

from __future__ import annotations

import pytest

from proxy.demo.authorization_checks import checked_request, client_of_request
from proxy.demo.clients import Client, Feature
from proxy.demo.key_ring import KeyRing, RsaKey
from proxy.demo.oauth_errors import PageError, RedirectError
from proxy.demo.realm import Realm, Registration

CALLBACK = "https://app.test/callback"
ASKED = {"client_id": "app", "redirect_uri": CALLBACK, "response_type": "code", "scope": "openid"}


@pytest.fixture
def realm(signing_key: RsaKey) -> Realm:
    realm = Realm(keys=KeyRing(signing=[signing_key]))
    for name, features in {
        "app": Feature.USUAL,
        "strict": Feature.USUAL | Feature.PKCE_REQUIRED,
        "off": Feature.STANDARD_FLOW,
        "direct": Feature.ENABLED | Feature.DIRECT_GRANTS,
        "api": Feature.ENABLED | Feature.BEARER_ONLY,
    }.items():
        realm.clients[name] = Client(client_id=name, redirect_uris=(CALLBACK,), features=features)
    return realm


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"client_id": "nobody"}, "Client not found."),
        ({"client_id": "api"}, "Client not found."),
        ({"client_id": "off"}, "Client disabled."),
        ({"redirect_uri": "https://evil.test/"}, "Invalid parameter: redirect_uri"),
        ({"redirect_uri": ""}, "Invalid parameter: redirect_uri"),
    ],
)
def test_the_browser_is_not_sent_where_it_is_not_safe(realm: Realm, changes: dict[str, str], sentence: str) -> None:
    with pytest.raises(PageError, match=sentence):
        client_of_request(realm, {**ASKED, **changes})


@pytest.mark.parametrize(
    ("client", "changes", "error"),
    [
        ("app", {"response_type": "token"}, "unsupported_response_type"),
        ("app", {"response_mode": "x"}, "invalid_request"),
        ("app", {"scope": "openid x"}, "invalid_scope"),
        ("app", {"code_challenge_method": "S256"}, "invalid_request"),
        ("app", {"code_challenge_method": "md5", "code_challenge": "x"}, "invalid_request"),
        ("strict", {}, "invalid_request"),
        ("strict", {"code_challenge_method": "plain", "code_challenge": "x"}, "invalid_request"),
        ("direct", {}, "unauthorized_client"),
    ],
)
def test_other_faults_go_back_to_the_client(realm: Realm, client: str, changes: dict[str, str], error: str) -> None:
    with pytest.raises(RedirectError) as refused:
        checked_request(realm, realm.clients[client], {**ASKED, **changes})

    assert refused.value.error == error


def test_a_request_becomes_a_value(realm: Realm) -> None:
    asked = checked_request(
        realm, realm.clients["app"], {**ASKED, "prompt": "login x", "max_age": "5", "nonce": "n", "state": "s"}
    )

    assert (asked.prompt, asked.max_age_s, asked.nonce, asked.state) == (frozenset({"login", "x"}), 5, "n", "s")
    assert asked.scope == ("openid", "email", "profile")
    assert "prompt=login+x" in asked.query


def test_registration_is_a_page_when_closed_and_a_prompt_when_open(realm: Realm) -> None:
    with pytest.raises(PageError, match="Registration not allowed"):
        checked_request(realm, realm.clients["app"], {**ASKED, "prompt": "create"})
    realm.registration = Registration.OPEN

    assert "create" in checked_request(realm, realm.clients["app"], {**ASKED, "prompt": "create"}).prompt
