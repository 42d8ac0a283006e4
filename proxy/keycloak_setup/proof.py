"""How the client proves itself, as far as it can be seen from here: Keycloak's word for the method, and what stands
beside it there.

Whoever sets up the client often sits elsewhere than the pod: a key, a certificate or a token that cannot be read here
is a note with what to do by hand, never a guess. Of a key only its public half leaves this file.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Final

import jwt
from cryptography import x509

from proxy.errors import ClientMisconfigured, SettingsError
from proxy.keycloak_setup.wanted import ClientKey, ClientProof, Proof
from proxy.oidc.client_assertion import THUMBPRINT, algorithm_of, jwk_thumbprint, parse_private_key, public_jwk
from proxy.settings.secret_source import SecretSource

if TYPE_CHECKING:
    from collections.abc import Iterable

    from proxy.settings.model import ClientAuthSettings

_PROOFS: Final = {
    "client_secret_basic": ClientProof.SECRET,
    "client_secret_post": ClientProof.SECRET,
    "client_secret_jwt": ClientProof.SECRET_JWT,
    "private_key_jwt": ClientProof.PRIVATE_KEY,
    "tls_client_auth": ClientProof.CERTIFICATE,
    "kubernetes_service_account": ClientProof.SERVICE_ACCOUNT,
    "none": ClientProof.NONE,
}

_SERVICE_ACCOUNT: Final = "system:serviceaccount:"

DEFAULT_CLUSTER: Final = "kubernetes"
"""The alias that Keycloak's console proposes for an identity provider of this type."""


def proof_of(auth: ClientAuthSettings, *, service_account: str | None, cluster: str = DEFAULT_CLUSTER) -> Proof:
    """Return the proof that the file asks for, with what of it can be read here.

    Args:
        service_account: ``NAMESPACE/NAME`` as it was given; None: what the token says, if it can be read.
        cluster: alias of the identity provider for the tokens of the cluster.

    Raises:
        SettingsError: ``service_account`` is none, or goes with another method.
    """
    way = _PROOFS[auth.method]
    if service_account is not None and way is not ClientProof.SERVICE_ACCOUNT:
        raise SettingsError(f"--service-account: keycloak.client_auth.method is {auth.method}, which has none")
    match way:
        case ClientProof.PRIVATE_KEY:
            return Proof(way, key=_key_of(auth))
        case ClientProof.CERTIFICATE:
            return Proof(way, subject=_subject_of_certificate(auth))
        case ClientProof.SERVICE_ACCOUNT:
            named = None if service_account is None else _subject_named(service_account)
            return Proof(way, subject=named or _subject_of_token(auth), cluster=cluster)
    return Proof(way)


def notes_on_proof(proof: Proof, auth: ClientAuthSettings) -> Iterable[str]:
    """Give what this command cannot do for the method."""
    if proof.way is ClientProof.PRIVATE_KEY and proof.key is None:
        yield (
            f"{auth.private_key} (keycloak.client_auth.private_key) cannot be used here, so Keycloak's keys of this "
            "client stay as they are: run this where the key is, or import its public half under Credentials → Keys"
        )
    if proof.way is ClientProof.CERTIFICATE:
        if proof.subject is None:
            yield (
                f"the file {auth.cert_file} (keycloak.client_auth.cert_file) cannot be read here, so the Subject DN "
                "under Credentials stays as it is: run this where the certificate is, or write it there by hand"
            )
        yield (
            "Keycloak must ask for certificates and trust the authority of this one: --https-client-auth=request and "
            "--truststore-paths of the server itself, which this command cannot set"
        )
    if proof.way is ClientProof.SERVICE_ACCOUNT and proof.subject is None:
        yield (
            "no token of the service account can be read here, so Keycloak is not told which one it is: "
            "name it with --service-account NAMESPACE/NAME"
        )


def note_on_cluster(alias: str, found: dict[str, object] | None) -> str:
    """Return what to know of the identity provider that vouches for the pod's tokens; ``found``: as Keycloak has it."""
    if found is None:
        return (
            f"this account sees no identity provider {alias} in the realm; there must be one: Identity providers → "
            f"Kubernetes, with the alias {alias} and your cluster's issuer (or name yours with --identity-provider)"
        )
    if found.get("providerId") != "kubernetes":
        return f"the identity provider {alias} is not of the type Kubernetes; name another with --identity-provider"
    config = found.get("config")
    issuer = config.get("issuer") if isinstance(config, dict) else None
    return f"tokens of the cluster {issuer} are believed (identity provider {alias}); this command changes none of it"


def _key_of(auth: ClientAuthSettings) -> ClientKey | None:
    if auth.private_key is None:
        return None
    try:
        key = parse_private_key(auth.private_key.read())
    except (SettingsError, ClientMisconfigured):
        return None
    members = public_jwk(key)
    thumbprint = jwk_thumbprint(members)
    sent = thumbprint if auth.key_id == THUMBPRINT else auth.key_id
    return ClientKey({**members, "use": "sig", "alg": algorithm_of(key), "kid": sent or thumbprint}, sent)


def _subject_of_certificate(auth: ClientAuthSettings) -> str | None:
    """Return the subject as RFC 4514 writes it, which is how Keycloak compares it (measured: 26.7)."""
    try:
        certificate = x509.load_pem_x509_certificate(Path(auth.cert_file or "").read_bytes())
        return certificate.subject.rfc4514_string()
    except (OSError, ValueError):
        return None


def _subject_named(service_account: str) -> str:
    namespace, slash, name = service_account.partition("/")
    if not (slash and namespace and name) or not all(part.isprintable() for part in (namespace, name)) or "/" in name:
        raise SettingsError("--service-account takes NAMESPACE/NAME, such as default/legacy-app")
    return f"{_SERVICE_ACCOUNT}{namespace}:{name}"


def _subject_of_token(auth: ClientAuthSettings) -> str | None:
    """Return ``sub`` of the pod's token; Keycloak verifies it, here it only says what to write."""
    try:
        token = SecretSource(file=auth.token_file).read().reveal().strip()
        subject = jwt.decode(token, options={"verify_signature": False}).get("sub")
    except (SettingsError, jwt.PyJWTError):
        return None
    return subject if isinstance(subject, str) and subject.startswith(_SERVICE_ACCOUNT) else None
