"""The keys that sign and those that still verify: read again when they change, as public keys (JWK) for ``/jwks``.

Rotation takes three steps of the file, each at least :data:`LOOK_EVERY_S` and a cache time of ``/jwks`` after the last:
the new key behind the old one (apps learn it), the new one before the old one (it signs), the new one alone.
"""

from __future__ import annotations

import json
from base64 import urlsafe_b64encode
from dataclasses import dataclass, field
from hashlib import sha256
from typing import TYPE_CHECKING, Any

from proxy.errors import SettingsError

if TYPE_CHECKING:
    from collections.abc import Callable

    from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey

    from proxy.ports import Clock, Observer

LOOK_EVERY_S = 5.0
"""Seconds after which the keys are read again, when somebody needs one: as often as certificates are looked at."""

_COORDINATE_BYTES = 32
"""Of a point on P-256 (RFC 7518 §6.2.1.2)."""


@dataclass(frozen=True, slots=True)
class SigningKey:
    """One key.

    Attributes:
        key_id: thumbprint of the public key (RFC 7638), so that every replica names it alike.
        public: the JWK as apps get it (RFC 7517 §4).
    """

    private: EllipticCurvePrivateKey = field(repr=False)
    key_id: str
    public: dict[str, str]


def signing_key(private: EllipticCurvePrivateKey) -> SigningKey:
    """Return a key with its name."""
    point = private.public_key().public_numbers()
    public = {"crv": "P-256", "kty": "EC", "x": _coordinate(point.x), "y": _coordinate(point.y)}
    # The members that RFC 7638 §3.2 requires of an EC key, in lexicographic order, without white space.
    thumbprint = _base64url(sha256(json.dumps(public, separators=(",", ":"), sort_keys=True).encode()).digest())
    return SigningKey(private, thumbprint, {**public, "use": "sig", "alg": "ES256", "kid": thumbprint})


class KeyRing:
    """The keys as they are now."""

    def __init__(
        self, read: Callable[[], tuple[EllipticCurvePrivateKey, ...]], *, clock: Clock, observer: Observer
    ) -> None:
        """Read the keys.

        Args:
            read: gives the keys, the one that signs first.

        Raises:
            SettingsError: they cannot be used.
        """
        self._read = read
        self._clock = clock
        self._observer = observer
        self._keys = tuple(map(signing_key, read()))
        self._looked_at = clock.monotonic()
        self._fault = ""

    def current(self) -> tuple[SigningKey, ...]:
        """Return the keys, the one that signs first. What cannot be used does not replace what could."""
        now = self._clock.monotonic()
        if now - self._looked_at >= LOOK_EVERY_S:
            self._looked_at = now
            self._look()
        return self._keys

    def key_set(self) -> dict[str, Any]:
        """Return the public keys (RFC 7517 §5)."""
        return {"keys": [key.public for key in self.current()]}

    def _look(self) -> None:
        try:
            keys = tuple(map(signing_key, self._read()))
        except SettingsError as error:
            if self._fault != str(error):
                self._observer.error("changed keys of the assertion are not taken; the old ones stay", fault=str(error))
            self._fault = str(error)
            return
        self._fault = ""
        if [key.key_id for key in keys] != [key.key_id for key in self._keys]:
            self._keys = keys
            self._observer.warning("the keys of the assertion were read again", signs=keys[0].key_id, keys=len(keys))


def _coordinate(number: int) -> str:
    return _base64url(number.to_bytes(_COORDINATE_BYTES, "big"))


def _base64url(content: bytes) -> str:
    return urlsafe_b64encode(content).rstrip(b"=").decode()
