"""What proves that we are the client, looked at before it is used: each wrong kind has its own sentence, for a PEM file
or a token shows nobody what is in it.

Nothing here is believed: the provider verifies. Sentences hold no part of a key or token but its public claims.
"""

from __future__ import annotations

import json
from base64 import urlsafe_b64decode
from typing import TYPE_CHECKING, Final

from proxy.errors import SettingsError

if TYPE_CHECKING:
    from proxy.core.secret import Secret

LEAST_SECRET_BYTES: Final = 32
"""RFC 7518 §3.2: a key of HS256 is as long as its hash, or longer."""

LEAST_RSA_BITS: Final = 2048
"""RFC 7518 §3.3."""

_MAKE_ONE: Final = "make one with `openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256`"

_SHOWN: Final = 200
"""Characters of a claim that go into a sentence."""


def require_hmac_secret(secret: Secret) -> None:
    """Refuse a secret that is too short to sign with.

    Raises:
        SettingsError
    """
    if len(secret.reveal().encode()) < LEAST_SECRET_BYTES:
        raise SettingsError(
            f"the secret is shorter than {LEAST_SECRET_BYTES} bytes, too short to sign with HS256; "
            "have Keycloak make one (Credentials → Regenerate)"
        )


def require_private_key(pem: Secret) -> None:
    """Refuse what signs neither RS256 nor ES256.

    Raises:
        SettingsError
    """
    from cryptography.hazmat.primitives.asymmetric import ec, rsa  # noqa: PLC0415 - slow to import, and seldom needed

    key = _private_key(pem.reveal())
    if isinstance(key, rsa.RSAPrivateKey):
        if key.key_size < LEAST_RSA_BITS:
            message = f"the RSA key has {key.key_size} bits, too few to sign with"
            raise SettingsError(f"{message}; give one of {LEAST_RSA_BITS} bits or more")
    elif not isinstance(key, ec.EllipticCurvePrivateKey):
        raise SettingsError(f"the key is neither RSA nor on the curve P-256; {_MAKE_ONE}")
    elif not isinstance(key.curve, ec.SECP256R1):
        raise SettingsError(f"the key is on the curve {key.curve.name}, and ES256 signs with P-256; {_MAKE_ONE}")


def _private_key(text: str) -> object:
    if "ENCRYPTED" in text:
        raise SettingsError("the private key is encrypted, and nobody is there to type its password; "
                            "write it without one: openssl pkcs8 -topk8 -nocrypt -in OLD -out NEW")  # fmt: skip
    if "-----BEGIN" in text and "PRIVATE KEY-----" not in text:
        kind = text.partition("-----BEGIN ")[2].partition("-----")[0].lower()[:_SHOWN]
        raise SettingsError(f"there is a {kind}, and a private key is needed; {_MAKE_ONE}")
    from cryptography.exceptions import UnsupportedAlgorithm  # noqa: PLC0415 - as above
    from cryptography.hazmat.primitives.serialization import load_pem_private_key  # noqa: PLC0415

    try:
        return load_pem_private_key(text.encode(), password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        raise SettingsError(f"there is no PEM private key that can be read; {_MAKE_ONE}") from error


def require_service_account_token(token: Secret, *, issuer: str) -> None:
    """Refuse what Keycloak would: no JWT, or one that is for somebody else than the issuer, or for somebody besides.

    Raises:
        SettingsError
    """
    audience = _claims(token.reveal().strip()).get("aud")
    if audience in (issuer, [issuer]):
        return
    said = json.dumps(audience)[:_SHOWN]
    raise SettingsError(
        f"the token's audience is {said}, and Keycloak takes its issuer only; "
        f"project a token with audience: {issuer} into the pod"
    )


def _claims(text: str) -> dict[str, object]:
    """Return the payload of a compact JWS (RFC 7515 §7.1), unverified."""
    parts = text.split(".")
    try:
        claims = json.loads(urlsafe_b64decode(parts[1] + "=" * (-len(parts[1]) % 4))) if len(parts) == 3 else None
    except (ValueError, RecursionError):
        claims = None
    if not isinstance(claims, dict):
        raise SettingsError("there is no token of a service account; project one into the pod (a serviceAccountToken)")
    return claims
