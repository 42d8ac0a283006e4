"""Discovery: whose document it is, and which address is for whom; OIDC Discovery 1.0 §3, §4."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from proxy.errors import ProviderUnavailable
from proxy.oidc.metadata import Addresses, Doors, Endpoints, metadata_by_hand, parse_metadata

if TYPE_CHECKING:
    from proxy.ports import ProviderMetadata

ISSUER = "https://sso.example.com/realms/acme"
INTERNAL = "http://keycloak.sso.svc:8080/realms/acme"
PROTOCOL = "/protocol/openid-connect"
DOCUMENT = {
    "issuer": ISSUER,
    "authorization_endpoint": f"{ISSUER}{PROTOCOL}/auth",
    "token_endpoint": f"{ISSUER}{PROTOCOL}/token",
    "jwks_uri": f"{ISSUER}{PROTOCOL}/certs",
    "userinfo_endpoint": f"{ISSUER}{PROTOCOL}/userinfo",
    "end_session_endpoint": f"{ISSUER}{PROTOCOL}/logout",
    "revocation_endpoint": f"{ISSUER}{PROTOCOL}/revoke",
    "introspection_endpoint": f"{ISSUER}{PROTOCOL}/token/introspect",
    "authorization_response_iss_parameter_supported": True,
    "grant_types_supported": ["password", 7, "authorization_code"],
    "prompt_values_supported": ["none", "login"],
}


def parse(addresses: Addresses | None = None, /, **members: Any) -> ProviderMetadata:
    document = {name: value for name, value in {**DOCUMENT, **members}.items() if value is not None}
    return parse_metadata(document, addresses or Addresses(issuer=ISSUER))


def sentence_of(addresses: Addresses | None = None, /, **members: Any) -> str:
    with pytest.raises(ProviderUnavailable) as refused:
        parse(addresses, **members)
    return str(refused.value)


def test_a_document_gives_its_endpoints() -> None:
    found = parse()

    assert (found.issuer, found.iss_parameter_supported) == (ISSUER, True)
    assert found.token_endpoint == f"{ISSUER}{PROTOCOL}/token"
    assert found.end_session_endpoint == found.end_session_endpoint_internal == f"{ISSUER}{PROTOCOL}/logout"
    assert found.grant_types_supported == ("password", "authorization_code")
    assert found.prompt_values_supported == ("none", "login")


@pytest.mark.parametrize(
    ("issuer", "url"),
    [
        (ISSUER, f"{ISSUER}/.well-known/openid-configuration"),
        (f"{ISSUER}/", f"{ISSUER}/.well-known/openid-configuration"),
        ("https://op.example", "https://op.example/.well-known/openid-configuration"),
        ("https://op.example/", "https://op.example/.well-known/openid-configuration"),
    ],
)
def test_a_final_slash_of_the_issuer_is_dropped_only_to_find_the_document(issuer: str, url: str) -> None:
    addresses = Addresses(issuer=issuer)

    assert addresses.discovery_url == url
    assert parse(addresses, issuer=issuer).issuer == issuer


def test_the_document_is_fetched_where_this_process_reaches_it() -> None:
    found = Addresses(issuer=ISSUER, internal_url=INTERNAL + "/").discovery_url

    assert found == f"{INTERNAL}/.well-known/openid-configuration"


@pytest.mark.parametrize("issuer", [f"{ISSUER}/", ISSUER.upper(), "https://evil.test", "", 7, [ISSUER]])
def test_a_document_of_another_issuer_is_refused_with_both_names(issuer: object) -> None:
    sentence = sentence_of(issuer=issuer)

    assert str(issuer) in sentence
    assert ISSUER in sentence


def test_a_document_without_an_issuer_is_refused() -> None:
    assert "no issuer" in sentence_of(issuer=None)


@pytest.mark.parametrize("member", ["authorization_endpoint", "token_endpoint", "jwks_uri"])
def test_a_missing_endpoint_is_named(member: str) -> None:
    assert member in sentence_of(**{member: None})


def test_what_a_provider_need_not_have_may_be_missing() -> None:
    found = parse(userinfo_endpoint=None, end_session_endpoint=None, revocation_endpoint=None)

    assert (found.userinfo_endpoint, found.end_session_endpoint, found.revocation_endpoint) == (None, None, None)
    assert found.end_session_endpoint_internal is None


@pytest.mark.parametrize("promise", ["true", 1, None, False])
def test_only_true_promises_the_iss_parameter(promise: object) -> None:
    assert not parse(authorization_response_iss_parameter_supported=promise).iss_parameter_supported
    assert not parse(claims_parameter_supported=promise).claims_parameter_supported


def test_which_acr_a_provider_knows_and_whether_it_may_be_demanded_is_read() -> None:
    found = parse(claims_parameter_supported=True, acr_values_supported=["silver", 2, "gold"])

    assert (found.claims_parameter_supported, found.acr_values_supported) == (True, ("silver", "gold"))


class TestInternalAddresses:
    """Contract §2, ``internal_url``."""

    addresses = Addresses(issuer=ISSUER, internal_url=INTERNAL)

    def test_this_process_calls_inside_and_browsers_stay_outside(self) -> None:
        found = parse(self.addresses)

        assert found.token_endpoint == f"{INTERNAL}{PROTOCOL}/token"
        assert found.jwks_uri == f"{INTERNAL}{PROTOCOL}/certs"
        assert found.userinfo_endpoint == f"{INTERNAL}{PROTOCOL}/userinfo"
        assert found.revocation_endpoint == f"{INTERNAL}{PROTOCOL}/revoke"
        assert found.introspection_endpoint == f"{INTERNAL}{PROTOCOL}/token/introspect"
        assert found.end_session_endpoint_internal == f"{INTERNAL}{PROTOCOL}/logout"
        assert found.authorization_endpoint == f"{ISSUER}{PROTOCOL}/auth"
        assert found.end_session_endpoint == f"{ISSUER}{PROTOCOL}/logout"

    @pytest.mark.parametrize(
        "url", [f"{ISSUER}2/token", "https://other.example/token", f"{INTERNAL}{PROTOCOL}/token", f"{ISSUER}.evil/t"]
    )
    def test_what_does_not_lie_under_the_issuer_stays(self, url: str) -> None:
        assert parse(self.addresses, token_endpoint=url).token_endpoint == url

    def test_slashes_at_the_ends_do_not_double(self) -> None:
        addresses = Addresses(issuer=f"{ISSUER}/", internal_url=f"{INTERNAL}/")

        assert addresses.internal(f"{ISSUER}/token") == f"{INTERNAL}/token"


ALIASES = {
    "token_endpoint": f"{ISSUER}{PROTOCOL}/mtls/token",
    "introspection_endpoint": "https://mtls.example.com/introspect",
    "authorization_endpoint": "https://mtls.example.com/auth",
    "end_session_endpoint": "https://mtls.example.com/logout",
}


class TestAliases:
    """RFC 8705 §5: where a client shows its certificate, and no other does."""

    def test_a_client_with_a_certificate_calls_them_and_browsers_do_not(self) -> None:
        addresses = Addresses(issuer=ISSUER, internal_url=INTERNAL, doors=Doors.FOR_CERTIFICATES)

        found = parse(addresses, mtls_endpoint_aliases=ALIASES)

        assert found.token_endpoint == f"{INTERNAL}{PROTOCOL}/mtls/token"
        assert found.introspection_endpoint == "https://mtls.example.com/introspect"
        assert found.revocation_endpoint == f"{INTERNAL}{PROTOCOL}/revoke"
        assert found.authorization_endpoint == f"{ISSUER}{PROTOCOL}/auth"
        assert found.end_session_endpoint == f"{ISSUER}{PROTOCOL}/logout"

    def test_a_client_without_one_calls_the_others(self) -> None:
        assert parse(mtls_endpoint_aliases=ALIASES) == parse()

    def test_an_alias_is_held_to_the_same_rules_and_nonsense_is_none(self) -> None:
        addresses = Addresses(issuer=ISSUER, doors=Doors.FOR_CERTIFICATES)

        assert "token_endpoint" in sentence_of(addresses, mtls_endpoint_aliases={"token_endpoint": "http://plain/t"})
        assert parse(addresses, mtls_endpoint_aliases=["token_endpoint"]) == parse()


class TestByHand:
    """Contract §2, ``endpoints``."""

    def test_an_endpoint_by_hand_wins_and_stays_as_it_is(self) -> None:
        by_hand = Endpoints(
            token=f"{ISSUER}/my/token",
            userinfo="https://me.example/userinfo",
            end_session=f"{ISSUER}/out",
            introspection="https://me.example/introspect",
        )

        found = parse(Addresses(issuer=ISSUER, internal_url=INTERNAL, endpoints=by_hand))

        assert found.token_endpoint == f"{ISSUER}/my/token"
        assert found.userinfo_endpoint == "https://me.example/userinfo"
        assert found.introspection_endpoint == "https://me.example/introspect"
        assert (found.end_session_endpoint, found.end_session_endpoint_internal) == (f"{ISSUER}/out", f"{INTERNAL}/out")
        assert found.jwks_uri == f"{INTERNAL}{PROTOCOL}/certs"

    def test_a_missing_endpoint_may_be_given(self) -> None:
        by_hand = Endpoints(jwks="https://keys.example/jwks")

        assert parse(Addresses(issuer=ISSUER, endpoints=by_hand), jwks_uri=None).jwks_uri == "https://keys.example/jwks"

    def test_three_by_hand_need_no_discovery(self) -> None:
        by_hand = Endpoints(authorization="https://op/a", token="https://op/t", jwks="https://op/k")

        found = metadata_by_hand(Addresses(issuer=ISSUER, endpoints=by_hand))

        assert found is not None
        assert (found.authorization_endpoint, found.token_endpoint, found.jwks_uri) == (
            "https://op/a",
            "https://op/t",
            "https://op/k",
        )

    def test_two_by_hand_do_need_it(self) -> None:
        assert metadata_by_hand(Addresses(issuer=ISSUER, endpoints=Endpoints(token="t", jwks="k"))) is None


@pytest.mark.parametrize(
    "url",
    [
        7,
        "",
        "/token",
        "token",
        "//sso.example.com/token",
        "javascript:alert(1)",
        "file:///etc/passwd",
        "http://sso.example.com/token",
        "https:///token",
        "https://user:secret@sso.example.com/token",
        "https://sso.example.com/token#fragment",
        "https://sso.example.com/to ken",
        "https://sso.example.com/to\nken",
        "https://sso.example.com:99999/token",
        "https://[::1/token",
        "https://sso.example.com/" + "x" * 2048,
    ],
    ids=lambda url: str(url)[:40],
)
def test_an_endpoint_that_is_no_address_is_refused(url: object) -> None:
    assert "token_endpoint" in sentence_of(token_endpoint=url)


def test_plain_http_is_for_those_who_configured_it() -> None:
    loopback = "http://127.0.0.1:8080/realms/acme"

    found = parse(Addresses(issuer=loopback), issuer=loopback, token_endpoint=f"{loopback}/token")

    assert found.token_endpoint == f"{loopback}/token"
