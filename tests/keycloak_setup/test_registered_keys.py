"""Is our key among those that Keycloak has, wherever it keeps them; and if not, what is written."""

from __future__ import annotations

import json
from base64 import b64encode
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding

from proxy.keycloak_setup.registered_keys import held_keys, mended_keys, url_of_keys
from proxy.keycloak_setup.state import ClientState
from proxy.keycloak_setup.wanted import ClientKey
from tests.oidc.signing import jwk, private_key

OURS = jwk("P-256", kid="ours")
OTHER = jwk("RSA-2048", kid="other")
NAMED = ClientKey(OURS, "ours")
UNNAMED = ClientKey(OURS, None)


def state(**attributes: str) -> ClientState:
    return ClientState(uuid="u", members={"attributes": {name.replace("_", "."): v for name, v in attributes.items()}})


def with_jwks(*keys: dict[str, Any]) -> ClientState:
    return state(use_jwks_string="true", jwks_string=json.dumps({"keys": list(keys)}))


def certificate(name: str) -> str:
    key, now = private_key(name), datetime.now(UTC)
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "app")])
    builder = x509.CertificateBuilder(subject, subject, key.public_key(), 1, now, now + timedelta(hours=1))
    hashed = None if name.startswith("Ed") else hashes.SHA256()
    return b64encode(builder.sign(key, hashed).public_bytes(Encoding.DER)).decode()


def written(found: dict[str, str] | None) -> list[dict[str, Any]]:
    assert found is not None
    assert (found["use.jwks.url"], found["use.jwks.string"]) == ("false", "true")
    keys: list[dict[str, Any]] = json.loads(found["jwks.string"])["keys"]
    return keys


@pytest.mark.parametrize("key", [NAMED, UNNAMED])
def test_a_key_that_is_there_stays_as_it_is(key: ClientKey) -> None:
    assert mended_keys(with_jwks(OTHER, OURS), key) is None


@pytest.mark.parametrize(("key", "is_fine"), [(NAMED, False), (UNNAMED, True)])
def test_a_key_under_another_name_is_named_anew_when_it_is_named(key: ClientKey, *, is_fine: bool) -> None:
    found = mended_keys(with_jwks({**OURS, "kid": "old name"}, OTHER), key)

    assert found is None if is_fine else written(found) == [OURS, OTHER]


def test_a_key_takes_the_place_of_another_of_its_name_and_of_no_further_one() -> None:
    assert written(mended_keys(with_jwks({**OTHER, "kid": "ours"}, OTHER), NAMED)) == [OURS, OTHER]


@pytest.mark.parametrize("nonsense", ["", "not JSON", "[]", '{"keys": 5}', '{"keys": [5]}'])
def test_nonsense_holds_no_keys(nonsense: str) -> None:
    holding = state(use_jwks_string="true", jwks_string=nonsense)

    assert held_keys(holding) == []
    assert written(mended_keys(holding, NAMED)) == [OURS]


def test_a_jwks_that_is_switched_off_does_not_count() -> None:
    off = state(jwks_string=json.dumps({"keys": [OURS, OTHER]}))

    assert written(mended_keys(off, NAMED)) == [OURS]


@pytest.mark.parametrize(
    ("held", "key", "is_fine"),
    [
        ("P-256", UNNAMED, True),
        ("P-256", NAMED, False),
        ("RSA-2048", UNNAMED, False),
        ("Ed25519", UNNAMED, False),
        (None, UNNAMED, False),
    ],
)
def test_a_certificate_will_do_for_a_key_that_is_not_named(held: str | None, key: ClientKey, *, is_fine: bool) -> None:
    text = "bm9uZQ==" if held is None else certificate(held)

    assert (mended_keys(state(jwt_credential_certificate=text), key) is None) is is_fine


def test_keys_that_are_fetched_are_left_to_who_publishes_them() -> None:
    fetched = state(use_jwks_url="true", jwks_url="https://a.example/jwks")

    assert (url_of_keys(fetched), mended_keys(fetched, NAMED)) == ("https://a.example/jwks", None)
    assert url_of_keys(state(use_jwks_url="true")) == "nowhere yet"
    assert url_of_keys(state()) is None
