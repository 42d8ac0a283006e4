"""The client and the provider: what nobody says is what the file says."""

from __future__ import annotations

from proxy.oidc.client_auth import NoClientSecret
from proxy.oidc.options import ClaimsSource, ProviderOptions
from proxy.settings.model import KeycloakSettings

ISSUER = "https://sso.example.com/realms/acme"


def test_the_sources_of_claims_are_the_words_of_the_file() -> None:
    words = KeycloakSettings.model_json_schema()["properties"]["claims_from"]["items"]["enum"]

    assert [one.value for one in ClaimsSource] == words


def test_what_is_left_out_is_what_the_file_leaves_out() -> None:
    options = ProviderOptions(issuer=ISSUER, client_id="app", authentication=NoClientSecret("app"))
    left_out = {name: field.default for name, field in KeycloakSettings.model_fields.items()}

    assert options.claims_from == left_out["claims_from"]
    assert options.signing_algorithms == set(left_out["signing_algorithms"])
    assert options.scopes == left_out["scopes"]
    assert options.timeout_s == left_out["timeout"]
