"""Keys of the embedded provider: RS256 keys that sign, an RSA-OAEP key that clients must skip, an HMAC key.

Pure but for the generation of keys; knows nothing of realms or claims.
"""

from __future__ import annotations

import base64
import datetime as dt
import functools
import hashlib
import json
import secrets
import uuid
from typing import Any, Final

import jwt
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.x509.oid import NameOID
from msgspec import Struct, field

KEY_BITS: Final = 2048
CERTIFICATE_DAYS: Final = 3650

#: A key as PyJWT's algorithms take it: RSA private key, HMAC bytes, or None for ``none``.
Key = Any


def base64url(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def compact_jws(header: dict[str, Any], claims: dict[str, Any], key: Key) -> str:
    """Sign by the header's ``alg``, whatever it is; by hand, because forgers need what libraries refuse."""
    parts = [base64url(json.dumps(part, separators=(",", ":")).encode()) for part in (header, claims)]
    message = ".".join(parts).encode()
    algorithm = jwt.algorithms.get_default_algorithms()[header["alg"]]
    return ".".join([*parts, base64url(algorithm.sign(message, key))])


class RsaKey(Struct, frozen=True):
    """A key pair with its self-signed certificate, as Keycloak publishes it."""

    kid: str
    private: rsa.RSAPrivateKey
    certificate: bytes

    @classmethod
    def generate(cls) -> RsaKey:
        private = rsa.generate_private_key(public_exponent=65537, key_size=KEY_BITS)
        return cls(base64url(secrets.token_bytes(32)), private, _self_signed(private))

    def jwk(self, algorithm: str, use: str) -> dict[str, Any]:
        """The public part, in Keycloak's order of members (RFC 7517 §4)."""
        numbers = self.private.public_key().public_numbers()
        return {
            "kid": self.kid,
            "kty": "RSA",
            "alg": algorithm,
            "use": use,
            "x5c": [base64.b64encode(self.certificate).decode()],
            "x5t": base64url(hashlib.sha1(self.certificate, usedforsecurity=False).digest()),
            "x5t#S256": base64url(hashlib.sha256(self.certificate).digest()),
            "n": base64url(numbers.n.to_bytes(KEY_BITS // 8, "big")),
            "e": base64url(numbers.e.to_bytes(3, "big")),
        }

    def public_pem(self) -> bytes:
        form = serialization.PublicFormat.SubjectPublicKeyInfo
        return self.private.public_key().public_bytes(serialization.Encoding.PEM, form)


def _self_signed(private: rsa.RSAPrivateKey) -> bytes:
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "demo")])
    begins = dt.datetime.now(dt.UTC) - dt.timedelta(days=1)
    unsigned = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(private.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(begins)
        .not_valid_after(begins + dt.timedelta(days=CERTIFICATE_DAYS))
    )
    return unsigned.sign(private, hashes.SHA256()).public_bytes(serialization.Encoding.DER)


@functools.cache
def _encryption_key() -> RsaKey:
    """One for the whole process: nobody decrypts with it, it only has to be there, and making it takes time."""
    return RsaKey.generate()


class KeyRing(Struct):
    """The keys in force: the first signs, all verify."""

    signing: list[RsaKey] = field(default_factory=lambda: [RsaKey.generate()])
    hmac_key: bytes = field(default_factory=lambda: secrets.token_bytes(64))
    hmac_kid: str = field(default_factory=lambda: str(uuid.uuid4()))

    @property
    def current(self) -> RsaKey:
        return self.signing[0]

    def rotate(self) -> RsaKey:
        """Sign with a new key from now on; the old ones stay published and go on verifying."""
        self.signing.insert(0, RsaKey.generate())
        return self.current

    def remove(self, kid: str) -> None:
        """Take a key away: what it signed does not verify any more."""
        self.signing = [key for key in self.signing if key.kid != kid]

    def jwks(self) -> dict[str, Any]:
        keys = [key.jwk("RS256", "sig") for key in self.signing]
        return {"keys": [*keys, _encryption_key().jwk("RSA-OAEP", "enc")]}

    def verify(self, token: str) -> dict[str, Any] | None:
        """The claims of an RS256 token signed by a key of ours; None for anything else. Expiry is not looked at."""
        return self._verified(token, {key.kid: key.private.public_key() for key in self.signing}, "RS256")

    def verify_refresh(self, token: str) -> dict[str, Any] | None:
        """The claims of an HS512 token of ours; None for anything else. Expiry is not looked at."""
        return self._verified(token, {self.hmac_kid: self.hmac_key}, "HS512")

    @staticmethod
    def _verified(token: str, keys: dict[str, Key], algorithm: str) -> dict[str, Any] | None:
        try:
            key = keys[jwt.get_unverified_header(token)["kid"]]
            decoded = jwt.PyJWS().decode(token, key, algorithms=[algorithm])
            claims = json.loads(decoded)
        except (jwt.PyJWTError, KeyError, TypeError, ValueError):
            return None
        return claims if isinstance(claims, dict) else None
