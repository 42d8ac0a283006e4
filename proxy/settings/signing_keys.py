"""The keys that sign the identity assertion: PEM text of P-256 keys, the newest first.

Several in one text are for rotation: the first signs, all are published. Each kind of wrong key has its own sentence,
for a PEM file shows nobody what is in it.
"""

from __future__ import annotations

import re
from typing import Final

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)

from proxy.errors import SettingsError

MAX_SIGNING_KEYS: Final = 4
"""Keys of one file: two while they are exchanged; four leave room for a careful hand."""

MAKE_ONE: Final = "make one with `sidegate keygen --signing`"

_BLOCK: Final = re.compile(r"-----BEGIN ([A-Z0-9 ]+)-----.*?-----END \1-----", re.DOTALL)
_PARAMETERS: Final = "EC PARAMETERS"
"""What ``openssl ecparam -genkey`` writes before the key; the key says the same."""


def parse_signing_keys(text: str) -> tuple[ec.EllipticCurvePrivateKey, ...]:
    """Return the keys of a PEM text, at least one.

    Raises:
        SettingsError: it holds none, too many, the same twice, or something else than unencrypted P-256 keys.
    """
    blocks = [block for block in _BLOCK.finditer(text) if block[1] != _PARAMETERS]
    if not blocks:
        raise SettingsError(f"there is no PEM private key; {MAKE_ONE}")
    if len(blocks) > MAX_SIGNING_KEYS:
        raise SettingsError(
            f"there are {len(blocks)} keys; keep {MAX_SIGNING_KEYS} at most: the one that signs and those before it"
        )
    keys = tuple(_parsed(block[0], block[1]) for block in blocks)
    if len({key.public_key().public_numbers() for key in keys}) != len(keys):
        raise SettingsError("the same key stands there twice; keep it once")
    return keys


def make_signing_key() -> str:
    """Return a fresh key as PEM text (PKCS#8, RFC 5208), with a line break at its end."""
    key = ec.generate_private_key(ec.SECP256R1())
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()


def _parsed(block: str, kind: str) -> ec.EllipticCurvePrivateKey:
    if "PRIVATE KEY" not in kind:
        raise SettingsError(f"there is a {kind.lower()}, and a private key is needed; {MAKE_ONE}")
    if "ENCRYPTED" in kind or "ENCRYPTED" in block:  # the second: RFC 1421 §4.6.1.1, "Proc-Type: 4,ENCRYPTED"
        raise SettingsError("the private key is encrypted, and nobody is there to type its password; "
                            "write it without one: openssl pkcs8 -topk8 -nocrypt -in OLD -out NEW")  # fmt: skip
    try:
        key = load_pem_private_key(block.encode(), password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        raise SettingsError(f"the private key cannot be read; {MAKE_ONE}") from error
    if isinstance(key, rsa.RSAPrivateKey):
        raise SettingsError(f"the key is an RSA key, and ES256 signs with a P-256 key; {MAKE_ONE}")
    if not isinstance(key, ec.EllipticCurvePrivateKey):
        raise SettingsError(f"the key is of another kind, and ES256 signs with a P-256 key; {MAKE_ONE}")
    if not isinstance(key.curve, ec.SECP256R1):
        raise SettingsError(f"the key is on the curve {key.curve.name}, and ES256 signs with P-256; {MAKE_ONE}")
    return key
