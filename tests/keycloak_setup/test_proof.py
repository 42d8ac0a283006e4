"""What of the client's proof can be seen from here, and what a person must do where it cannot."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from proxy.errors import SettingsError
from proxy.keycloak_setup.proof import note_on_cluster, notes_on_proof, proof_of
from proxy.keycloak_setup.wanted import ClientProof, Proof
from proxy.oidc.client_assertion import jwk_thumbprint
from proxy.settings.model import ClientAuthSettings
from tests.oidc.signing import jwk, sign
from tests.oidc.test_client_assertion import pem
from tests.support.throw_away_ca import ThrowAwayAuthority

if TYPE_CHECKING:
    from pathlib import Path

SUBJECT = "system:serviceaccount:default:legacy-app"


def auth(**keys: Any) -> ClientAuthSettings:
    return ClientAuthSettings.model_validate(keys)


@pytest.mark.parametrize(
    ("method", "way"),
    [
        ("client_secret_basic", ClientProof.SECRET),
        ("client_secret_post", ClientProof.SECRET),
        ("client_secret_jwt", ClientProof.SECRET_JWT),
        ("none", ClientProof.NONE),
    ],
)
def test_methods_with_a_secret_and_without_any_proof_need_no_more(method: str, way: ClientProof) -> None:
    proof = proof_of(auth(method=method), service_account=None)

    assert proof == Proof(way)
    assert proof.has_secret is (way is not ClientProof.NONE)
    assert list(notes_on_proof(proof, auth(method=method))) == []


@pytest.mark.parametrize(("key_id", "sends"), [(None, False), ("thumbprint", True), ("mine", True)])
def test_of_a_key_the_public_half_is_registered(key_id: str | None, sends: bool) -> None:  # noqa: FBT001 - a column
    key = pem("P-256").reveal()
    proof = proof_of(auth(method="private_key_jwt", private_key={"value": key}, key_id=key_id), service_account=None)
    thumbprint = jwk_thumbprint(jwk("P-256"))
    name = "mine" if key_id == "mine" else thumbprint

    assert proof.key is not None
    assert proof.key.jwk == {**jwk("P-256", kid=name), "use": "sig", "alg": "ES256"}
    assert "d" not in proof.key.jwk
    assert proof.key.sent_kid == (name if sends else None)


def test_a_certificate_is_known_by_its_subject(tmp_path: Path) -> None:
    issued = ThrowAwayAuthority(tmp_path).issue("our client")
    method = auth(method="tls_client_auth", cert_file=str(issued.cert_file), key_file=str(issued.key_file))

    proof = proof_of(method, service_account=None)

    assert (proof.way, proof.subject) == (ClientProof.CERTIFICATE, "O=Acme,CN=our client")
    (note,) = notes_on_proof(proof, method)
    assert "--https-client-auth=request" in note


def test_a_service_account_is_named_or_read_from_its_token(tmp_path: Path) -> None:
    token = tmp_path / "token"
    token.write_text(sign({"sub": SUBJECT, "aud": "x"}))
    method = auth(method="kubernetes_service_account", token_file=str(token))

    read = proof_of(method, service_account=None)
    named = proof_of(method, service_account="shop/legacy-app", cluster="blue")

    assert read == Proof(ClientProof.SERVICE_ACCOUNT, subject=SUBJECT, cluster="kubernetes")
    assert (named.subject, named.cluster) == ("system:serviceaccount:shop:legacy-app", "blue")
    assert list(notes_on_proof(read, method)) == []


@pytest.mark.parametrize("content", [None, "nonsense", sign({"sub": "somebody"}), sign({"sub": 5})])
def test_a_service_account_that_nobody_knows_is_a_note(tmp_path: Path, content: str | None) -> None:
    token = tmp_path / "token"
    if content is not None:
        token.write_text(content)
    method = auth(method="kubernetes_service_account", token_file=str(token))

    (note,) = notes_on_proof(proof_of(method, service_account=None), method)

    assert "--service-account NAMESPACE/NAME" in note


@pytest.mark.parametrize(
    ("keys", "words"),
    [
        ({"method": "private_key_jwt", "private_key": {"file": "/nowhere/key"}}, "the file /nowhere/key"),
        ({"method": "private_key_jwt", "private_key": {"value": "nonsense"}}, "cannot be used here"),
        ({"method": "tls_client_auth", "cert_file": "/nowhere/crt", "key_file": "k"}, "the file /nowhere/crt"),
    ],
)
def test_what_cannot_be_read_here_is_a_note_with_what_to_do(keys: dict[str, Any], words: str) -> None:
    proof = proof_of(auth(**keys), service_account=None)

    note = next(iter(notes_on_proof(proof, auth(**keys))))

    assert (proof.key, proof.subject) == (None, None)
    assert words in note
    assert "under Credentials" in note


@pytest.mark.parametrize("name", ["legacy-app", "/x", "x/", "a/b/c", "a/b\n"])
def test_a_service_account_has_two_names(name: str) -> None:
    with pytest.raises(SettingsError, match="takes NAMESPACE/NAME"):
        proof_of(auth(method="kubernetes_service_account"), service_account=name)


def test_a_service_account_is_nothing_to_other_methods() -> None:
    with pytest.raises(SettingsError, match="method is none"):
        proof_of(auth(method="none"), service_account="a/b")


@pytest.mark.parametrize(
    ("found", "words"),
    [
        (None, "sees no identity provider blue"),
        ({"providerId": "oidc"}, "is not of the type Kubernetes"),
        ({"providerId": "kubernetes", "config": {"issuer": "https://k8s"}}, "tokens of the cluster https://k8s"),
        ({"providerId": "kubernetes"}, "tokens of the cluster None"),
    ],
)
def test_who_vouches_for_the_tokens_is_told(found: dict[str, object] | None, words: str) -> None:
    assert words in note_on_cluster("blue", found)
