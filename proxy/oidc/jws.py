"""Compact JWS: parse strictly, verify with a key of the provider; RFC 7515, 7518, 8037, 8725.

The cryptography is PyJWT's and ``cryptography``'s; what is ours is what may be asked of them: a table of asymmetric
algorithms, each with the one type of key and curve that it takes. ``none`` and the HMAC family are not in the table,
so no setting can allow them. Keys come from the provider's key set alone: ``jku``, ``x5u``, ``jwk`` and ``x5c`` of a
header are never looked at, and ``crit`` is refused, for we understand no extension (RFC 7515 §4.1.11).

What a key is for is read off its JWK; the key itself is made when the first token names it. Both libraries come then,
with 9 MiB: a gate at which nobody signed in yet has no use for them. A key that turns out to be none is as if it were
not there, and verifies nothing.

Stable reason words: ``too_large``, ``malformed``, ``critical_header``, ``algorithm_not_allowed``, ``no_fitting_key``,
``unknown_key``, ``wrong_signature``.
"""

from __future__ import annotations

import asyncio
from base64 import urlsafe_b64decode, urlsafe_b64encode
from binascii import Error as Base64Error
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cache, lru_cache
from typing import TYPE_CHECKING, Any

from msgspec import Struct

from proxy.errors import TokenRejected
from proxy.oidc.json_object import NotAnObject, parse_json_object
from proxy.ports import VerifiedJws

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping

MAX_TOKEN_LENGTH = 64 * 1024
"""Characters of a compact JWS; Keycloak's tokens have 1.5 KiB, with hundreds of groups 20."""

MAX_HEADER_LENGTH = 4 * 1024
"""Characters of the encoded header: alg, typ, kid, seldom a certificate chain."""

MAX_SHOWN = 40
"""Characters of a header member that an error repeats; the longest real one has five."""

MIN_RSA_BITS = 2048
"""RFC 7518 §3.3."""

MAX_RSA_BITS = 8192
"""A longer key costs more than 1 ms a signature; nobody uses one."""

KEY_OF_ALGORITHM: Mapping[str, str] = {
    "RS256": "RSA",
    "RS384": "RSA",
    "RS512": "RSA",
    "PS256": "RSA",
    "PS384": "RSA",
    "PS512": "RSA",
    "ES256": "P-256",
    "ES384": "P-384",
    "ES512": "P-521",
    "EdDSA": "Edwards",
}
"""Every algorithm that can be allowed, and the key it takes (RFC 7518 §3.1, RFC 8037 §3.1): asymmetric only."""

_CURVES: Mapping[str, tuple[str, int]] = {
    "EC P-256": ("P-256", 32),
    "EC P-384": ("P-384", 48),
    "EC P-521": ("P-521", 66),
    "OKP Ed25519": ("Edwards", 32),
    "OKP Ed448": ("Edwards", 57),
}
"""``kty`` and ``crv``: the key's name in that table, octets of a coordinate (RFC 7518 §6.2.1, RFC 8032 §5)."""

_PUBLIC_MEMBERS = {"RSA": ("RS256", ("n", "e")), "EC": ("ES256", ("crv", "x", "y")), "OKP": ("EdDSA", ("crv", "x"))}
"""Per ``kty``: an algorithm whose reader understands it, and the public members; a private one is not even read."""

_KEYS_KEPT = 128
"""Keys that are kept made; a set has 100 at most (``jwks.MAX_KEYS``), Keycloak's has 2."""


class SigningKey(Struct, frozen=True):
    """A public key of the provider, as its key set has it.

    Attributes:
        algorithms: the algorithms that it may verify: those its type allows, or the one that its ``alg`` names.
        members: what of its JWK makes the key; of private ones nothing.
    """

    kid: str | None
    algorithms: frozenset[str]
    members: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class ParsedJws:
    """A compact JWS whose form is right and whose signature nobody has looked at yet."""

    header: Mapping[str, object]
    payload: Mapping[str, object] = field(repr=False)
    signing_input: bytes = field(repr=False)
    signature: bytes = field(repr=False)

    @property
    def algorithm(self) -> str:
        """Return ``alg``, or the empty text, which no table holds."""
        algorithm = self.header.get("alg")
        return algorithm if isinstance(algorithm, str) else ""

    @property
    def kid(self) -> str | None:
        """Return ``kid``; a string or absent, :func:`parse_jws` saw to it."""
        kid = self.header.get("kid")
        return kid if isinstance(kid, str) else None


def parse_jws(compact: str, *, allowed: Collection[str]) -> ParsedJws:
    """Take a compact JWS apart (RFC 7515 §5.2 steps 1 to 7).

    Args:
        allowed: ``signing_algorithms`` of the settings; what is not in :data:`KEY_OF_ALGORITHM` stays refused.

    Raises:
        TokenRejected: ``too_large``, ``malformed``, ``critical_header`` or ``algorithm_not_allowed``.
    """
    header, payload, signature = _segments(compact)
    parsed = ParsedJws(
        header=_json_segment(header),
        payload=_json_segment(payload),
        signing_input=compact[: compact.rindex(".")].encode(),
        signature=_decoded(signature),
    )
    _require_plain_header(parsed.header)
    if parsed.algorithm not in KEY_OF_ALGORITHM or parsed.algorithm not in allowed:
        # What strangers write is cut: it goes into the log.
        named = repr(parsed.header.get("alg"))[:MAX_SHOWN]
        raise TokenRejected(f"alg {named} is not allowed here", reason="algorithm_not_allowed")
    return parsed


def verify_jws(parsed: ParsedJws, keys: Iterable[SigningKey]) -> VerifiedJws:
    """Return header and payload when one of the keys made the signature (RFC 7515 §5.2 step 8).

    Raises:
        TokenRejected: ``no_fitting_key`` when none of the keys is for this algorithm, else ``wrong_signature``.
    """
    fitting = [key for key in keys if parsed.algorithm in key.algorithms]
    if not fitting:
        raise TokenRejected(f"no key of the provider is for {parsed.algorithm}", reason="no_fitting_key")
    if not any(_made_by(key, parsed) for key in fitting):
        raise TokenRejected("the signature is not the provider's", reason="wrong_signature")
    return VerifiedJws(header=parsed.header, payload=parsed.payload)


def own_payload(compact: str) -> Mapping[str, object]:
    """Return the payload of a token that *we* verified and stored ourselves; looks at no signature.

    Only for ID tokens out of our own sealed session, never for what comes from outside. Empty when unreadable.
    """
    try:
        return _json_segment(_segments(compact)[1])
    except TokenRejected:
        return {}


def key_from_jwk(jwk: Mapping[str, object], *, allowed: Collection[str]) -> SigningKey | None:
    """Return a key of a key set, or None when it is not for us (RFC 7517 §4, §5: what is not understood is skipped).

    Not for us: ``use`` other than ``sig``, ``key_ops`` without ``verify``, an ``alg``, type or curve not allowed, a
    member that is missing or of a wrong length, an RSA key that is too short or too long. Whether a point lies on its
    curve is the library's to say, when a token names the key (:func:`makes_a_key`).
    """
    if jwk.get("use", "sig") != "sig" or not _may_verify(jwk.get("key_ops", ["verify"])):
        return None
    kind = _kind_of(jwk)
    algorithms = frozenset(name for name, taken in KEY_OF_ALGORITHM.items() if name in allowed and taken == kind)
    if "alg" in jwk:
        algorithms &= {jwk["alg"]} if isinstance(jwk["alg"], str) else set()
    kid = jwk.get("kid")
    if not algorithms or not isinstance(kid, str | None):
        return None
    return SigningKey(kid=kid, algorithms=algorithms, members=_public_members(jwk))


def makes_a_key(key: SigningKey) -> bool:
    """Say whether the members make a key, and no point off its curve; see :func:`import_algorithms`."""
    return _public_key(key.members) is not None


def _may_verify(operations: object) -> bool:
    return isinstance(operations, list) and "verify" in operations


def _kind_of(jwk: Mapping[str, object]) -> str | None:
    """Return the key's name in :data:`KEY_OF_ALGORITHM`, or None: another type or curve, or a length not taken."""
    if jwk.get("kty") == "RSA":
        modulus, exponent = (int.from_bytes(_octets(jwk.get(name))) for name in ("n", "e"))
        is_key = exponent % 2 == 1 and 1 < exponent < modulus
        return "RSA" if is_key and MIN_RSA_BITS <= modulus.bit_length() <= MAX_RSA_BITS else None
    kind, length = _CURVES.get(f"{jwk.get('kty')} {jwk.get('crv')}", (None, 0))
    coordinates = ("x", "y") if jwk.get("kty") == "EC" else ("x",)
    return kind if all(len(_octets(jwk.get(name))) == length for name in coordinates) else None


def _octets(member: object) -> bytes:
    """Return what a member holds, read as PyJWT will read it; nothing when it is no text, too long or no base64url."""
    if not isinstance(member, str) or len(member) > MAX_RSA_BITS:
        return b""
    try:
        raw = member.encode()
        return urlsafe_b64decode(raw + b"=" * (-len(raw) % 4))
    except ValueError:
        return b""


def _public_members(jwk: Mapping[str, object]) -> tuple[tuple[str, str], ...]:
    _, names = _PUBLIC_MEMBERS[str(jwk["kty"])]
    return tuple((name, str(jwk[name])) for name in ("kty", *names))


async def import_algorithms() -> None:
    """Have what verifies imported, in a thread: the first token waits for it a tenth of a second, and nobody else.

    Where no thread can be had, it is imported by whoever verifies: a logout token comes once, and is not lost for that.
    """
    if not _algorithms.cache_info().currsize:
        with suppress(RuntimeError):
            await asyncio.to_thread(_algorithms)


@cache
def _algorithms() -> Mapping[str, Any]:
    """Return PyJWT's algorithms. Imported with the first token: see the top; most of it is for certificates."""
    from jwt.algorithms import get_default_algorithms  # noqa: PLC0415

    return get_default_algorithms()


@lru_cache(maxsize=_KEYS_KEPT)
def _public_key(members: tuple[tuple[str, str], ...]) -> object:
    """Return the key as PyJWT has it, or None when it takes the members for none."""
    from jwt.exceptions import PyJWTError  # noqa: PLC0415 - see _algorithms

    jwk = dict(members)
    reader, _ = _PUBLIC_MEMBERS[jwk["kty"]]
    try:
        return _algorithms()[reader].from_jwk(jwk)
    except (PyJWTError, ValueError, TypeError, KeyError):
        return None


def _made_by(key: SigningKey, parsed: ParsedJws) -> bool:
    public_key = _public_key(key.members)
    if public_key is None:
        return False
    return bool(_algorithms()[parsed.algorithm].verify(parsed.signing_input, public_key, parsed.signature))


def _segments(compact: str) -> tuple[str, str, str]:
    if len(compact) > MAX_TOKEN_LENGTH:
        raise TokenRejected(f"longer than {MAX_TOKEN_LENGTH} characters", reason="too_large")
    parts = compact.split(".")
    if len(parts) != len(("header", "payload", "signature")) or not all(parts):
        raise TokenRejected("not three segments with dots between", reason="malformed")
    if len(parts[0]) > MAX_HEADER_LENGTH:
        raise TokenRejected(f"its header is longer than {MAX_HEADER_LENGTH} characters", reason="too_large")
    return parts[0], parts[1], parts[2]


def _decoded(segment: str) -> bytes:
    """Decode base64url without padding, and only its one canonical spelling (RFC 7515 §2, RFC 4648 §3.5)."""
    try:
        decoded = urlsafe_b64decode(segment.encode("ascii") + b"=" * (-len(segment) % 4))
    except (Base64Error, ValueError) as fault:
        raise TokenRejected("a segment is not base64url", reason="malformed") from fault
    if urlsafe_b64encode(decoded).rstrip(b"=").decode() != segment:
        raise TokenRejected("a segment is not canonical base64url", reason="malformed")
    return decoded


def _json_segment(segment: str) -> dict[str, object]:
    try:
        return parse_json_object(_decoded(segment))
    except NotAnObject as fault:
        raise TokenRejected(f"a segment is {fault}", reason="malformed") from fault


def _require_plain_header(header: Mapping[str, object]) -> None:
    if "crit" in header:
        raise TokenRejected("crit names extensions that must be understood; we know none", reason="critical_header")
    if "b64" in header or not isinstance(header.get("kid"), str | None):
        raise TokenRejected("its header is not that of a plain JWS", reason="malformed")
