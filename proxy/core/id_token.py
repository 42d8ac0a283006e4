"""Claim rules of ID tokens: OIDC Core 1.0 §2, §3.1.3.7, §3.1.3.8 and, after a refresh, §12.2.

Pure: the signature was verified before (``oidc.jws``), time is an argument. Every expected value is a required
parameter; where a rule has nothing to expect, the caller says so with a value of its own (:data:`NO_NONCE`), never
with None by mistake.

Stable reason words: ``missing_<claim>``, ``malformed_<claim>``, ``wrong_type``, ``wrong_issuer``, ``wrong_audience``,
``untrusted_audience``, ``wrong_azp``, ``expired``, ``issued_in_future``, ``issued_too_long_ago``, ``not_yet_valid``,
``wrong_nonce``, ``unexpected_nonce``, ``wrong_at_hash``, ``wrong_subject``, ``wrong_auth_time``, ``wrong_acr``,
``authentication_too_old``.
"""

from __future__ import annotations

import hashlib
import hmac
from base64 import urlsafe_b64encode
from dataclasses import dataclass, field, replace
from enum import Enum
from typing import TYPE_CHECKING, Literal

from msgspec import Struct

from proxy.core import token_claims as read
from proxy.core.token_claims import CLOCK_SKEW_S, MAX_SUBJECT_LENGTH
from proxy.errors import TokenRejected

if TYPE_CHECKING:
    from collections.abc import Mapping

    from proxy.core.secret import Secret

MAX_ISSUE_AGE_S = 600.0
"""Seconds since ``iat`` of a token that was just fetched (OIDC Core 1.0 §3.1.3.7 item 10 leaves the figure to us).

Ten minutes, because one large provider dates its tokens five minutes back on purpose.
"""

_FOREIGN_KINDS = frozenset({"Bearer", "Refresh", "Offline", "Logout", "DPoP"})
"""Keycloak's payload ``typ`` of its other tokens; its ID tokens say ``ID``, other providers say nothing."""

_BACKCHANNEL_EVENT = "http://schemas.openid.net/event/backchannel-logout"

_HASHES = {"256": hashlib.sha256, "384": hashlib.sha384, "512": hashlib.sha512}


class NoNonce(Enum):
    """There was no authorization request, so no nonce can be expected: the password grant."""

    NO_NONCE = "no_nonce"


NO_NONCE: Literal[NoNonce.NO_NONCE] = NoNonce.NO_NONCE

Nonce = str | NoNonce


class IdTokenExpectation(Struct, frozen=True, kw_only=True):
    """What a fresh ID token must agree with.

    Attributes:
        nonce: of the authorization request, or NO_NONCE for the password grant.
        trusted_audiences: others who may be named in ``aud`` beside us.
        access_token: the one that came with it; ``at_hash`` is compared when present.
        algorithm: ``alg`` of the token's header, which names the hash of ``at_hash``.
        now: Unix seconds.
    """

    issuer: str
    client_id: str
    nonce: Nonce
    access_token: Secret
    algorithm: str
    now: float
    trusted_audiences: frozenset[str] = frozenset()


class RefreshedFrom(Struct, frozen=True, kw_only=True):
    """What of the first ID token a refreshed one must agree with (OIDC Core 1.0 §12.2).

    Attributes:
        nonce: of the ID token before, or NO_NONCE when it had none.
        auth_time: of the ID token before, or None when it had none.
    """

    subject: str
    nonce: Nonce
    auth_time: float | None


class AskedProof(Struct, frozen=True):
    """What an authorization request asked of the authentication itself (OIDC Core 1.0 §3.1.2.1).

    Attributes:
        acr_values: any of them will do; () when none was asked for.
        max_age_s: seconds since the person proved who they are, at most; None when that was not asked.
    """

    acr_values: tuple[str, ...] = ()
    max_age_s: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class IdTokenClaims:
    """An ID token whose every rule holds; instants are Unix seconds.

    Attributes:
        every: all claims, also those that no rule reads.
    """

    issuer: str
    subject: str
    issued_at: float
    expires_at: float
    auth_time: float | None
    sid: str | None
    acr: str | None
    nonce: Nonce
    every: Mapping[str, object] = field(repr=False)


def validate_id_token(
    header: Mapping[str, object], payload: Mapping[str, object], *, expected: IdTokenExpectation
) -> IdTokenClaims:
    """Return the claims of an ID token that came with a login.

    Raises:
        TokenRejected: a rule is broken; ``reason`` names it.

    Source: OIDC Core 1.0 §3.1.3.7.
    """
    found = _validate_common(header, payload, expected)
    _require_nonce(found.nonce, expected.nonce)
    return found


def validate_refreshed_id_token(
    header: Mapping[str, object],
    payload: Mapping[str, object],
    *,
    expected: IdTokenExpectation,
    before: RefreshedFrom,
) -> IdTokenClaims:
    """Return the claims of an ID token that came with a refresh; ``expected.nonce`` does not count, ``before`` does.

    A ``nonce`` may be absent; one that is present equals the first one. ``auth_time`` must be that of the first login,
    says the standard; Keycloak (and others) move it forward when the same person signs in again in the same browser
    for another client. That is no reason to end a session: a *later* ``auth_time`` is tolerated, and the one from
    before is returned, so that no refresh ever counts as a new authentication. An earlier one is refused.

    Raises:
        TokenRejected: a rule is broken; ``reason`` names it.

    Source: OIDC Core 1.0 §12.2.
    """
    found = _validate_common(header, payload, expected)
    if found.subject != before.subject:
        raise TokenRejected("the refreshed ID token is about another sub", reason="wrong_subject")
    if found.nonce is not NO_NONCE:
        _require_nonce(found.nonce, before.nonce)
    return _with_first_authentication(found, before)


def require_proof(asked: AskedProof, *, acr: str | None, auth_time: float | None, now: float) -> None:
    """Refuse an authentication that is weaker or older than was asked.

    ``acr_values`` is a wish to the provider, which may answer with less and say so; whether that will do is for the
    client to judge. Values are equal or not: none is taken for stronger than another.

    Args:
        acr, auth_time: of the ID token, as they came.
        now: Unix seconds. No skew is allowed: the gate asks the same of each request (``core.policy``).

    Raises:
        TokenRejected: ``wrong_acr``, ``missing_auth_time``, ``authentication_too_old``.

    Source: OIDC Core 1.0 §3.1.3.7 items 12 and 13; §2: after ``max_age``, ``auth_time`` must be there.
    """
    if asked.acr_values and acr not in asked.acr_values:
        raise TokenRejected(f"acr is {acr!r}, asked was {' or '.join(asked.acr_values)}", reason="wrong_acr")
    if asked.max_age_s is None:
        return
    if auth_time is None:
        raise TokenRejected("max_age was asked, and auth_time is missing", reason="missing_auth_time")
    if now - auth_time > asked.max_age_s:
        sentence = (
            f"the person was last asked {now - auth_time:.0f} s ago by our clock, max_age is {asked.max_age_s:g} s"
        )
        raise TokenRejected(sentence, reason="authentication_too_old")


def access_token_hash(access_token: Secret, algorithm: str) -> str:
    """Return the ``at_hash`` that belongs to an access token: left half of its hash, base64url.

    Args:
        algorithm: ``alg`` of the ID token; its figure names the hash (EdDSA has none and stands for SHA-512).

    Source: OIDC Core 1.0 §3.1.3.6, §3.2.2.9.
    """
    digest = _HASHES.get(algorithm[-3:], hashlib.sha512)(access_token.reveal().encode()).digest()
    return urlsafe_b64encode(digest[: len(digest) // 2]).rstrip(b"=").decode()


def _validate_common(
    header: Mapping[str, object], payload: Mapping[str, object], expected: IdTokenExpectation
) -> IdTokenClaims:
    _require_kind(header, payload)
    read.require_issuer(payload, expected.issuer)
    subject = read.required_text(payload, "sub", limit=MAX_SUBJECT_LENGTH)
    _require_audience(payload, expected)
    issued_at, expires_at = _require_times(payload, expected.now)
    _require_at_hash(payload, expected)
    return IdTokenClaims(
        issuer=expected.issuer,
        subject=subject,
        issued_at=issued_at,
        expires_at=expires_at,
        auth_time=read.optional_instant(payload, "auth_time"),
        sid=read.optional_text(payload, "sid"),
        acr=read.optional_text(payload, "acr"),
        nonce=read.optional_text(payload, "nonce") or NO_NONCE,
        every=payload,
    )


def _require_kind(header: Mapping[str, object], payload: Mapping[str, object]) -> None:
    """Refuse the issuer's other tokens, which its keys sign as well (RFC 8725 §3.11, §3.12)."""
    typ = header.get("typ", "JWT")
    if not isinstance(typ, str) or typ.lower() not in {"jwt", "application/jwt"}:
        raise TokenRejected(f"the header's typ is {typ!r}, not JWT", reason="wrong_type")
    events = payload.get("events")
    is_logout = isinstance(events, dict) and _BACKCHANNEL_EVENT in events
    kind = payload.get("typ")
    if is_logout or (isinstance(kind, str) and kind in _FOREIGN_KINDS):
        raise TokenRejected("this is another kind of token, no ID token", reason="wrong_type")


def _require_audience(payload: Mapping[str, object], expected: IdTokenExpectation) -> None:
    """OIDC Core 1.0 §3.1.3.7 items 3 to 5: we are in ``aud``, so is nobody we do not trust, and ``azp`` is us."""
    entries = read.audience(payload)
    if expected.client_id not in entries:
        raise TokenRejected(f"aud does not hold our client_id {expected.client_id!r}", reason="wrong_audience")
    strangers = set(entries) - {expected.client_id} - expected.trusted_audiences
    if strangers:
        named = ", ".join(repr(entry) for entry in sorted(strangers))
        raise TokenRejected(f"aud also holds {named}, whom we do not trust", reason="untrusted_audience")
    azp = read.optional_text(payload, "azp")
    if azp is None and len(set(entries)) > 1:
        raise TokenRejected("aud holds several parties but there is no azp", reason="missing_azp")
    if azp not in {None, expected.client_id}:
        raise TokenRejected(f"azp is {azp!r}, not our client_id", reason="wrong_azp")


def _require_times(payload: Mapping[str, object], now: float) -> tuple[float, float]:
    issued_at = read.required_instant(payload, "iat")
    expires_at = read.required_instant(payload, "exp")
    read.require_not_from_the_future(issued_at, now)
    read.require_valid_already(read.optional_instant(payload, "nbf"), now)
    read.require_not_over(expires_at, now)
    if issued_at + MAX_ISSUE_AGE_S + CLOCK_SKEW_S < now:
        raise TokenRejected(f"issued {now - issued_at:.0f} s ago by our clock", reason="issued_too_long_ago")
    return issued_at, expires_at


def _require_at_hash(payload: Mapping[str, object], expected: IdTokenExpectation) -> None:
    found = read.optional_text(payload, "at_hash")
    wanted = access_token_hash(expected.access_token, expected.algorithm)
    if found is not None and not hmac.compare_digest(found.encode(), wanted.encode()):
        raise TokenRejected("at_hash does not belong to the access token that came with it", reason="wrong_at_hash")


def _require_nonce(found: Nonce, expected: Nonce) -> None:
    if found is NO_NONCE and expected is NO_NONCE:
        return
    if expected is NO_NONCE:
        raise TokenRejected("there is a nonce although none was sent", reason="unexpected_nonce")
    if found is NO_NONCE:
        raise TokenRejected("nonce is missing", reason="missing_nonce")
    if not hmac.compare_digest(str(found).encode(), str(expected).encode()):
        raise TokenRejected("nonce is not the one of this login", reason="wrong_nonce")


def _with_first_authentication(found: IdTokenClaims, before: RefreshedFrom) -> IdTokenClaims:
    if before.auth_time is None or found.auth_time == before.auth_time:
        return found
    if found.auth_time is not None and found.auth_time < before.auth_time:
        raise TokenRejected("auth_time lies before that of the login", reason="wrong_auth_time")
    return replace(found, auth_time=before.auth_time)
