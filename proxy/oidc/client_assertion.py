"""Client authentication by a JWT: RFC 7523 §2.2 and §3, OIDC Core 1.0 §9.

``client_secret_jwt`` and ``private_key_jwt`` sign one for each request; ``kubernetes_service_account`` passes on what
the kubelet keeps in a file. The audience is the issuer, exactly: RFC 7523 §3 leaves it open, and Keycloak takes the
issuer or the token endpoint and refuses two (measured: 26.7). No assertion goes into a log: ``Credentials`` shows
nothing of itself.
"""

from __future__ import annotations

import json
import uuid
from base64 import urlsafe_b64encode
from hashlib import sha256
from typing import TYPE_CHECKING, Final

import jwt
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from jwt.algorithms import ECAlgorithm, RSAAlgorithm
from msgspec import Struct

from proxy.errors import ClientMisconfigured
from proxy.oidc.client_auth import Credentials, read

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from proxy.core.secret import Secret
    from proxy.ports import Clock

ASSERTION_TYPE: Final = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
"""RFC 7523 §2.2."""

ASSERTION_LIFETIME_S: Final = 60
"""Seconds: one request needs less, and two clocks may differ by some."""

LEAST_SECRET_BYTES: Final = 32
"""RFC 7518 §3.2: a key of HS256 is as long as its hash, or longer."""

LEAST_RSA_BITS: Final = 2048
"""RFC 7518 §3.3."""

THUMBPRINT: Final = "thumbprint"
"""The word of ``key_id`` that stands for the thumbprint of whatever key the file holds (RFC 7638)."""

PrivateKey = rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey


class ClientSecretJwt(Struct, frozen=True):
    """``client_secret_jwt`` with HS256: the secret itself stays here."""

    client_id: str
    secret: Callable[[], Secret]
    clock: Clock

    def credentials(self, *, audience: str, made_of: Secret | None = None) -> Credentials:
        """Sign an assertion with the secret."""
        secret = made_of or read(self.secret, "secret")
        key = secret.reveal().encode()
        if len(key) < LEAST_SECRET_BYTES:
            raise ClientMisconfigured(f"the client's secret is shorter than the {LEAST_SECRET_BYTES} bytes of HS256")
        claims = _claims(self.client_id, audience, self.clock)
        return _asserted(self.client_id, jwt.encode(claims, key, algorithm="HS256"), secret)


class PrivateKeyJwt(Struct, frozen=True):
    """``private_key_jwt``; what kind of key it is says how it signs.

    Attributes:
        private_key: gives the key in PEM, called each time.
        key_id: ``kid`` by which the provider knows the key, or :data:`THUMBPRINT`; None: it is not named, because a
            provider that knows the key by a certificate, or under another name, refuses a ``kid`` (measured: Keycloak).
    """

    client_id: str
    private_key: Callable[[], Secret]
    clock: Clock
    key_id: str | None = None

    def credentials(self, *, audience: str, made_of: Secret | None = None) -> Credentials:
        """Sign an assertion with the key."""
        text = made_of or read(self.private_key, "private key")
        key = parse_private_key(text)
        kid = jwk_thumbprint(public_jwk(key)) if self.key_id == THUMBPRINT else self.key_id
        claims = _claims(self.client_id, audience, self.clock)
        headers = None if kid is None else {"kid": kid}
        return _asserted(self.client_id, jwt.encode(claims, key, algorithm=algorithm_of(key), headers=headers), text)


class ServiceAccountToken(Struct, frozen=True):
    """``kubernetes_service_account``: the token of the pod's service account is the assertion, and there is no secret.

    The provider knows the client by issuer and subject of that token. ``client_id`` goes along all the same, so that a
    token of another client's account is a refusal, not a login as that client.
    """

    client_id: str
    token: Callable[[], Secret]

    def credentials(self, *, audience: str, made_of: Secret | None = None) -> Credentials:  # noqa: ARG002 - the Protocol's
        """Pass on the token that is there now; nothing older could be of use."""
        token = read(self.token, "service account token").reveal().strip()
        return _asserted(self.client_id, token, None)


def parse_private_key(pem: Secret) -> PrivateKey:
    """Return a key that can sign RS256 or ES256.

    Raises:
        ClientMisconfigured: it is none; the sentence holds nothing of it.
    """
    try:
        key = serialization.load_pem_private_key(pem.reveal().encode(), password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm) as fault:
        raise ClientMisconfigured("the client's private key is no unencrypted private key in PEM") from fault
    if isinstance(key, rsa.RSAPrivateKey) and key.key_size >= LEAST_RSA_BITS:
        return key
    if isinstance(key, ec.EllipticCurvePrivateKey) and isinstance(key.curve, ec.SECP256R1):
        return key
    raise ClientMisconfigured(f"the client's private key is neither RSA of {LEAST_RSA_BITS} bits or more nor P-256")


def algorithm_of(key: PrivateKey) -> str:
    """Return ``alg`` of what this key signs (RFC 7518 §3.1)."""
    return "RS256" if isinstance(key, rsa.RSAPrivateKey) else "ES256"


def public_jwk(key: PrivateKey) -> dict[str, str]:
    """Return the public half as a JWK, with no more members than its thumbprint is made of (RFC 7638 §3.2)."""
    return public_jwk_of(key.public_key())


def public_jwk_of(public: rsa.RSAPublicKey | ec.EllipticCurvePublicKey) -> dict[str, str]:
    """Return the same of a key that is public already."""
    if isinstance(public, rsa.RSAPublicKey):
        return _required_members(RSAAlgorithm.to_jwk(public, as_dict=True))
    return _required_members(ECAlgorithm.to_jwk(public, as_dict=True))


def jwk_thumbprint(jwk: Mapping[str, object]) -> str:
    """Return the SHA-256 thumbprint of an RSA or EC key (RFC 7638 §3), base64url."""
    members = json.dumps(_required_members(jwk), sort_keys=True, separators=(",", ":"))
    return urlsafe_b64encode(sha256(members.encode()).digest()).decode().rstrip("=")


def _required_members(jwk: Mapping[str, object]) -> dict[str, str]:
    return {name: str(jwk[name]) for name in ("crv", "e", "kty", "n", "x", "y") if name in jwk}


def _claims(client_id: str, audience: str, clock: Clock) -> dict[str, object]:
    """RFC 7523 §3; ``jti`` is compulsory in OIDC Core 1.0 §9, and Keycloak takes each once."""
    now = int(clock.now())
    return {
        "iss": client_id,
        "sub": client_id,
        "aud": audience,
        "jti": str(uuid.uuid4()),
        "iat": now,
        "exp": now + ASSERTION_LIFETIME_S,
    }


def _asserted(client_id: str, assertion: str, made_of: Secret | None) -> Credentials:
    form = {"client_id": client_id, "client_assertion_type": ASSERTION_TYPE, "client_assertion": assertion}
    return Credentials(form=form, made_of=made_of)
