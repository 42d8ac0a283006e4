"""What a file needs of its client, in Keycloak's words."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from proxy.keycloak_setup.wanted import (
    ClientKey,
    ClientNeeds,
    ClientProof,
    LoginWay,
    Proof,
    WantedClient,
    wanted_client,
)

NEEDS = ClientNeeds(client_id="app", site="https://a.example", pages="https://a.example/_sidegate")


def value_of(client: WantedClient, member: str) -> object:
    return next((setting.value for setting in client.settings if setting.member == member), None)


def test_every_address_lies_below_the_own_pages() -> None:
    client = wanted_client(replace(NEEDS, pages="https://a.example/old/_gate"))

    assert client.redirect_uri == "https://a.example/old/_gate/callback"
    assert client.post_logout_uri == "https://a.example/old/_gate/logged-out"
    assert value_of(client, "adminUrl") == "https://a.example/old/_gate/keycloak"
    assert value_of(client, "backchannel.logout.url") == "https://a.example/old/_gate/backchannel-logout"


@pytest.mark.parametrize(("way", "granted"), [(LoginWay.FORM, True), (LoginWay.REDIRECT, False)])
def test_the_password_grant_is_for_the_form_alone(way: LoginWay, *, granted: bool) -> None:
    assert value_of(wanted_client(replace(NEEDS, login=way)), "directAccessGrantsEnabled") is granted


def test_a_client_without_a_secret_is_public_and_has_no_authenticator() -> None:
    client = wanted_client(replace(NEEDS, proof=Proof(ClientProof.NONE)))

    assert value_of(client, "publicClient") is True
    assert value_of(client, "clientAuthenticatorType") is None


@pytest.mark.parametrize(
    ("proof", "expected"),
    [
        (Proof(), {"clientAuthenticatorType": "client-secret"}),
        (
            Proof(ClientProof.SECRET_JWT),
            {"clientAuthenticatorType": "client-secret-jwt", "token.endpoint.auth.signing.alg": "HS256"},
        ),
        (
            Proof(ClientProof.PRIVATE_KEY, key=ClientKey({"kty": "EC", "alg": "ES256", "kid": "k"}, None)),
            {"clientAuthenticatorType": "client-jwt", "token.endpoint.auth.signing.alg": "ES256"},
        ),
        (Proof(ClientProof.PRIVATE_KEY), {"clientAuthenticatorType": "client-jwt"}),
        (
            Proof(ClientProof.CERTIFICATE, subject="CN=app"),
            {
                "clientAuthenticatorType": "client-x509",
                "x509.subjectdn": "CN=app",
                "x509.allow.regex.pattern.comparison": "false",
            },
        ),
        (
            Proof(ClientProof.SERVICE_ACCOUNT, subject="system:serviceaccount:a:b", cluster="kubernetes"),
            {
                "clientAuthenticatorType": "federated-jwt",
                "jwt.credential.issuer": "kubernetes",
                "jwt.credential.sub": "system:serviceaccount:a:b",
            },
        ),
    ],
)
def test_each_proof_has_its_authenticator_and_what_it_goes_by(proof: Proof, expected: dict[str, str]) -> None:
    client = wanted_client(replace(NEEDS, proof=proof))
    members = (
        *("clientAuthenticatorType", "token.endpoint.auth.signing.alg", "x509.subjectdn"),
        *("x509.allow.regex.pattern.comparison", "jwt.credential.issuer", "jwt.credential.sub"),
    )

    assert {member: value for member in members if (value := value_of(client, member)) is not None} == expected
    assert value_of(client, "publicClient") is False


def test_tokens_may_be_bound_to_a_certificate_only_where_one_is_shown() -> None:
    member = "tls.client.certificate.bound.access.tokens"

    assert value_of(wanted_client(NEEDS), member) == "false"
    assert value_of(wanted_client(replace(NEEDS, proof=Proof(ClientProof.CERTIFICATE))), member) is None


def test_token_exchange_is_switched_on_where_it_is_used_and_never_off() -> None:
    member = "standard.token.exchange.enabled"

    assert value_of(wanted_client(replace(NEEDS, exchanges=True)), member) == "true"
    assert value_of(wanted_client(NEEDS), member) is None


def test_what_nobody_listens_to_is_not_registered() -> None:
    client = wanted_client(replace(NEEDS, hears_logout=False))

    assert value_of(client, "backchannel.logout.url") is None
    assert value_of(client, "frontchannelLogout") is False


def test_claims_go_where_they_are_looked_for_and_nowhere_else() -> None:
    client = wanted_client(replace(NEEDS, sources=("id_token",)))

    groups = next(mapper for mapper in client.mappers if mapper.name == "groups")
    assert groups.config == {
        "claim.name": "groups",
        "full.path": "true",
        "id.token.claim": "true",
        "access.token.claim": "false",
        "userinfo.token.claim": "false",
    }


def test_without_need_there_is_no_mapper() -> None:
    assert wanted_client(replace(NEEDS, role_clients=None, needs_groups=False)).mappers == ()


def test_an_audience_stands_in_access_tokens_alone() -> None:
    (mapper,) = wanted_client(replace(NEEDS, role_clients=None, needs_groups=False, audiences=("api",))).mappers

    assert mapper.config == {
        "included.client.audience": "api",
        "access.token.claim": "true",
        "id.token.claim": "false",
        "userinfo.token.claim": "false",
    }


def test_openid_is_no_client_scope() -> None:
    assert wanted_client(NEEDS).scopes == ("profile", "email")
