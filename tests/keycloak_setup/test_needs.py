"""From the file to what it needs of its client."""

from __future__ import annotations

from typing import Any

import pytest

from proxy.errors import SidegateError
from proxy.keycloak_setup.needs import needs_of, realm_of
from proxy.keycloak_setup.wanted import ClientProof, LoginWay
from proxy.settings.model import Settings


def settings(**sections: Any) -> Settings:
    file: dict[str, Any] = {
        "server": {"public_url": "https://a.example/old"},
        "keycloak": {"issuer": "https://sso/realms/acme", "client_id": "app", "client_auth": {"method": "none"}},
        "upstreams": {"app": {"url": "http://127.0.0.1:1"}},
    }
    for name, keys in sections.items():
        file[name] = {**file[name], **keys} if isinstance(file.get(name), dict) else keys
    return Settings.model_validate(file)


@pytest.mark.parametrize(
    ("issuer", "realm"),
    [
        ("https://sso/realms/acme", "acme"),
        ("https://sso/auth/realms/acme/", "acme"),
        ("https://sso/realms/a%20b", "a b"),
    ],
)
def test_the_realm_stands_in_the_issuer(issuer: str, realm: str) -> None:
    assert realm_of(issuer) == realm


@pytest.mark.parametrize("issuer", ["https://accounts.example.com", "https://sso/realms/", "https://sso/realms/a/b"])
def test_an_issuer_that_is_no_keycloak_is_a_sentence_with_the_remedy(issuer: str) -> None:
    with pytest.raises(SidegateError, match="is no realm of a Keycloak") as refused:
        realm_of(issuer)

    assert "by hand" in str(refused.value)


def test_addresses_have_the_path_of_the_public_url_and_the_prefix() -> None:
    needs = needs_of(settings(server={"prefix": "/gate", "hosts": ["inner:8080"]}))

    assert (needs.site, needs.pages) == ("https://a.example/old", "https://a.example/old/gate")
    assert "http://inner:8080/old/gate" in needs.further_pages


def test_the_form_of_one_site_needs_the_password_grant_of_the_client_that_it_shares() -> None:
    form, redirect = settings(), settings(login={"mode": "redirect"})
    stranger = settings(keycloak={"client_id": "other"})

    assert needs_of(redirect, neighbours=(stranger,)).login is LoginWay.REDIRECT
    assert needs_of(redirect, neighbours=(stranger, form)).login is LoginWay.FORM


def test_login_proof_and_logout_follow_the_file() -> None:
    plain = needs_of(settings())
    other = needs_of(
        settings(
            login={"mode": "redirect"},
            backchannel={"enabled": False},
            keycloak={"client_auth": {"secret": {"value": "x"}}, "offline_access": True},
        )
    )

    assert (plain.login, plain.proof.way, plain.hears_logout) == (LoginWay.FORM, ClientProof.NONE, True)
    assert (other.login, other.proof.way, other.hears_logout) == (LoginWay.REDIRECT, ClientProof.SECRET, False)
    assert "offline_access" in other.scopes


@pytest.mark.parametrize(
    ("preset", "rule", "clients"),
    [
        ("x-auth", "authenticated", ("app",)),
        ("remote", "authenticated", None),
        ("none", {"any_role": ["admin", "realm:a:b"]}, ()),
        ("none", {"all_roles": ["billing:reader", "app:editor"]}, ("billing", "app")),
        ("x-auth", {"all_roles": ["billing:reader"]}, ("app", "billing")),
    ],
)
def test_roles_are_needed_by_headers_and_rules(preset: str, rule: object, clients: tuple[str, ...] | None) -> None:
    file = settings(identity_headers={"preset": preset}, routes=[{"path": "/**", "access": rule}])

    assert needs_of(file).role_clients == clients


@pytest.mark.parametrize(
    ("changes", "needed"),
    [
        ({"identity_headers": {"preset": "remote"}}, True),
        ({"identity_headers": {"preset": "none"}}, False),
        ({"identity_headers": {"preset": "none", "set": {"X-Groups": "{claims.groups}"}}}, True),
        ({"identity_headers": {"preset": "none"}, "routes": [{"path": "/**", "access": {"any_group": ["/a"]}}]}, True),
    ],
)
def test_groups_are_needed_by_headers_and_rules(changes: dict[str, Any], *, needed: bool) -> None:
    assert needs_of(settings(**changes)).needs_groups is needed


def test_a_route_that_exchanges_tokens_needs_a_client_that_may() -> None:
    exchange = {"path": "/billing/**", "token_exchange": {"audience": "billing"}}

    assert needs_of(settings(routes=[exchange])).exchanges
    assert not needs_of(settings()).exchanges
