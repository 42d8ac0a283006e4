"""What lies in a shared store is sealed: read by nobody, changed by nobody, moved to no other place.

Everything is derived from the server keys (``sessions.encryption_keys``) by HKDF-SHA256 (RFC 5869), one key for each
use, so that a seal says nothing of a digest and the forms' own use of the server key says nothing of either.

Each ``associated_data`` has a sealing key of its own. So a record of one session cannot stand in the place of
another's, and random nonces wear no key out: NIST SP 800-38D §8.3 allows 2^32 of them under one key.
"""

from __future__ import annotations

import hmac
import os
from hashlib import sha256
from typing import TYPE_CHECKING, Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF, HKDFExpand

if TYPE_CHECKING:
    from collections.abc import Sequence

    from proxy.core.secret import Secret

KEY_BYTES: Final = 32
"""AES-256 and SHA-256."""

NONCE_BYTES: Final = 12
"""The length for which GCM needs no further hashing (NIST SP 800-38D §5.2.1.1)."""

TAG_BYTES: Final = 16

OVERHEAD_BYTES: Final = NONCE_BYTES + TAG_BYTES
"""How much longer a sealed text is than the text."""


class Sealer:
    """Seal under the first of several keys, open under any: a new key is put first, an old one taken out later."""

    def __init__(self, keys: Sequence[bytes]) -> None:
        """``keys``: at least one, each of ``KEY_BYTES`` random bytes, the newest first.

        Raises:
            ValueError: there is none, or one has another length.
        """
        self.adopt(keys)

    def adopt(self, keys: Sequence[bytes]) -> None:
        """Seal and open with these from now on; what lies under a key that is none of them opens no more.

        Raises:
            ValueError: as when it was made; nothing has changed.
        """
        if not keys or any(len(key) != KEY_BYTES for key in keys):
            raise ValueError(f"a sealer needs keys of {KEY_BYTES} bytes")
        self._keys = tuple(keys)
        self._digest_keys = tuple(_expanded(key, b"sidegate digest") for key in keys)

    def seal(self, plaintext: bytes, *, associated_data: bytes) -> bytes:
        """Return nonce, ciphertext and tag: AES-256-GCM under the first key with a random nonce.

        Args:
            associated_data: where the text belongs (the store key); it opens nowhere else.
        """
        nonce = os.urandom(NONCE_BYTES)
        return nonce + _cipher(self._keys[0], associated_data).encrypt(nonce, plaintext, associated_data)

    def open(self, sealed: bytes, *, associated_data: bytes) -> bytes | None:
        """Return the text, or None when no key opens it here: truncated, changed, moved, or under a key gone."""
        if len(sealed) < OVERHEAD_BYTES:
            return None
        nonce, ciphertext = sealed[:NONCE_BYTES], sealed[NONCE_BYTES:]
        for key in self._keys:
            try:
                return _cipher(key, associated_data).decrypt(nonce, ciphertext, associated_data)
            except InvalidTag:
                continue
        return None

    def bound_to(self, secret: Secret) -> Sealer:
        """Return a sealer whose keys are made of the server keys *and* ``secret``: neither alone opens what it seals.

        Source: RFC 5869; the secret is the salt, for both are keys and the order is free (§3.1).
        """
        salt = secret.reveal().encode(errors="surrogatepass")
        return Sealer([_extracted(key, salt) for key in self._keys])

    def digest(self, text: str) -> str:
        """Return the name under which ``text`` is kept: HMAC-SHA256 under the first key, hex; lone surrogates too."""
        return _digest(self._digest_keys[0], text)

    def digests(self, text: str) -> tuple[str, ...]:
        """Return the names under which ``text`` may have been kept: one for each key, the first key's first."""
        return tuple(_digest(key, text) for key in self._digest_keys)


def _cipher(key: bytes, associated_data: bytes) -> AESGCM:
    return AESGCM(_expanded(key, b"sidegate seal\0" + associated_data))


def _expanded(key: bytes, info: bytes) -> bytes:
    # The server key is uniformly random, so nothing must be extracted from it first (RFC 5869 §3.3).
    return HKDFExpand(algorithm=SHA256(), length=KEY_BYTES, info=info).derive(key)


def _extracted(key: bytes, salt: bytes) -> bytes:
    return HKDF(algorithm=SHA256(), length=KEY_BYTES, salt=salt, info=b"sidegate bound").derive(key)


def _digest(key: bytes, text: str) -> str:
    return hmac.digest(key, text.encode(errors="surrogatepass"), sha256).hex()
