"""Keys and signatures of the tests: real ones, made once a run, and any nonsense that can be signed."""

from __future__ import annotations

import json
from base64 import urlsafe_b64encode
from functools import cache
from typing import Any

from cryptography.hazmat.primitives.asymmetric import ec, ed448, ed25519, rsa
from jwt.algorithms import ECAlgorithm, OKPAlgorithm, RSAAlgorithm, get_default_algorithms

CURVES: dict[str, type[Any]] = {
    "P-256": ec.SECP256R1,
    "P-384": ec.SECP384R1,
    "P-521": ec.SECP521R1,
    "secp256k1": ec.SECP256K1,
}


@cache
def private_key(name: str) -> Any:
    """A key by a name such as ``RSA-2048``, ``RSA-2048 second``, ``P-256``, ``Ed25519``."""
    kind = name.split(" ", maxsplit=1)[0]
    if kind.startswith("RSA-"):
        return rsa.generate_private_key(public_exponent=65537, key_size=int(kind[4:]))
    if kind in CURVES:
        return ec.generate_private_key(CURVES[kind]())
    edwards: dict[str, Any] = {"Ed25519": ed25519.Ed25519PrivateKey, "Ed448": ed448.Ed448PrivateKey}
    return edwards[kind].generate()


def jwk(name: str, **members: Any) -> dict[str, Any]:
    """The public JWK of a key; ``kid`` is its name unless the members say otherwise, None leaves a member out."""
    public = private_key(name).public_key()
    reader = RSAAlgorithm if name.startswith("RSA") else OKPAlgorithm if name.startswith("Ed") else ECAlgorithm
    whole = {**json.loads(reader.to_jwk(public)), "kid": name, **members}
    whole.pop("key_ops", None) if "key_ops" not in members else None
    return {member: value for member, value in whole.items() if value is not None}


def encoded(segment: bytes | dict[str, Any]) -> str:
    """One segment of a compact JWS."""
    raw = segment if isinstance(segment, bytes) else json.dumps(segment).encode()
    return urlsafe_b64encode(raw).rstrip(b"=").decode()


def signature(name: str, algorithm: str, signing_input: str) -> bytes:
    """Sign with the key of that name, by PyJWT."""
    made: bytes = get_default_algorithms()[algorithm].sign(signing_input.encode(), private_key(name))
    return made


def sign(payload: dict[str, Any] | bytes, *, key: str = "RSA-2048", algorithm: str = "RS256", **header: Any) -> str:
    """A compact JWS; header members of the value None are left out, ``kid`` is the key's name."""
    members = {"alg": algorithm, "typ": "JWT", "kid": key, **header}
    first = encoded({member: value for member, value in members.items() if value is not None})
    signing_input = f"{first}.{encoded(payload)}"
    return f"{signing_input}.{encoded(signature(key, algorithm, signing_input))}"
