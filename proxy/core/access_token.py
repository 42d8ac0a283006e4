"""Claim rules of the access tokens of API clients: RFC 9068 §4, RFC 6750, and contract §5.

Pure: the signature was verified before (``oidc.jws``), time is an argument; whether the login behind a token has ended
is the store's to say. One key of the provider signs all its tokens, so most rules are there to tell an access token
from an ID, refresh or logout token of the same issuer.

``aud`` decides whom a token is for, and ``azp`` does not: a token that another app got for itself is no key to this
one. There is no allowance at ``exp``: what is over is over on every replica and in every cache at the same instant.
A token that is bound to a key of its client (DPoP, mutual TLS) is refused, because nobody here sees the proof of
possession, and without it a stolen one would count.

*Lightweight* tokens of Keycloak say neither whom they are about nor whom they are for; what they do say is judged
first, and then what the provider answers when it is asked about them (RFC 7662).

Stable reason words: ``missing_<claim>``, ``malformed_<claim>``, ``wrong_type``, ``wrong_issuer``, ``wrong_audience``,
``expired``, ``issued_in_future``, ``issued_too_long_ago``, ``not_yet_valid``, ``unexpected_nonce``,
``unexpected_at_hash``, ``bound_to_key``, ``contradicted``.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from msgspec import Struct

from proxy.core import token_claims as read
from proxy.core.session import REMEMBER_ENDED_S
from proxy.core.token_claims import MAX_SUBJECT_LENGTH
from proxy.errors import TokenRejected

if TYPE_CHECKING:
    from collections.abc import Mapping

MAX_LIFE_S = REMEMBER_ENDED_S
"""Seconds since ``iat`` for which a token counts at most: for so long it is known which logins have ended."""

_HEADER_TYPES = frozenset({"at+jwt", "application/at+jwt", "jwt", "application/jwt"})

_OF_OTHERS = {"nonce": "unexpected_nonce", "at_hash": "unexpected_at_hash", "events": "wrong_type"}
"""Claims that no access token has, and what a token with one is refused for: ID tokens, logout tokens."""

_COMPARED = ("iss", "sub", "exp", "iat", "nbf", "jti", "sid", "azp", "client_id", "typ", "auth_time", "acr")
"""Claims in which a token and what the provider says of it must agree."""


class AccessTokenExpectation(Struct, frozen=True, kw_only=True):
    """What a token must agree with.

    Attributes:
        audiences: any of these in ``aud`` will do: our client_id and ``keycloak.audience``.
        now: Unix seconds.
    """

    issuer: str
    audiences: frozenset[str]
    now: float


@dataclass(frozen=True, slots=True, kw_only=True)
class AccessTokenClaims:
    """An access token whose every rule holds; instants are Unix seconds.

    Attributes:
        expires_at: ``exp``, or :data:`MAX_LIFE_S` after ``iat`` when that comes first.
        sid: None when no login of a person stands behind it (client credentials).
        every: all claims, also those that no rule reads.
    """

    subject: str
    audience: tuple[str, ...]
    issued_at: float
    expires_at: float
    auth_time: float | None
    sid: str | None
    acr: str | None
    every: Mapping[str, object] = field(repr=False)


def validate_access_token(
    header: Mapping[str, object], payload: Mapping[str, object], *, expected: AccessTokenExpectation
) -> AccessTokenClaims:
    """Return the claims of a token that is for us.

    Raises:
        TokenRejected: a rule is broken; ``reason`` names it.

    Source: RFC 9068 §4; RFC 7519 §4.1; contract §5.
    """
    issued_at, expires_at = require_access_token(header, payload, expected=expected)
    subject = read.required_text(payload, "sub", limit=MAX_SUBJECT_LENGTH)
    audience = read.audience(payload)
    if expected.audiences.isdisjoint(audience):
        named = " or ".join(repr(audience) for audience in sorted(expected.audiences))
        raise TokenRejected(f"aud does not hold {named} (keycloak.audience)", reason="wrong_audience")
    return AccessTokenClaims(
        subject=subject,
        audience=audience,
        issued_at=issued_at,
        expires_at=expires_at,
        auth_time=read.optional_instant(payload, "auth_time"),
        sid=read.optional_text(payload, "sid"),
        acr=read.optional_text(payload, "acr"),
        every=payload,
    )


def require_access_token(
    header: Mapping[str, object], payload: Mapping[str, object], *, expected: AccessTokenExpectation
) -> tuple[float, float]:
    """Refuse what is no live access token of this issuer, whoever it is about and for.

    Returns:
        From when to when it counts; Unix seconds.

    Raises:
        TokenRejected: a rule is broken; ``reason`` names it.
    """
    _require_kind(header, payload)
    read.require_issuer(payload, expected.issuer)
    return _require_times(payload, expected.now)


def is_lightweight(payload: Mapping[str, object]) -> bool:
    """Say whether the provider must be asked whom a token is about, or for: it says nothing of one of the two."""
    return payload.get("sub") is None or payload.get("aud") is None


def completed_claims(payload: Mapping[str, object], answer: Mapping[str, object]) -> Mapping[str, object]:
    """Return what a lightweight token and the answer about it say together.

    Args:
        answer: of the introspection endpoint, about this very token.

    Raises:
        TokenRejected: they contradict each other (``contradicted``): the answer is about another token.
    """
    for name in _COMPARED:
        if name in payload and name in answer and payload[name] != answer[name]:
            raise TokenRejected(f"the provider says another {name} of this token", reason="contradicted")
    return {**answer, **payload}


def _require_kind(header: Mapping[str, object], payload: Mapping[str, object]) -> None:
    typ = header.get("typ", "JWT")
    if not isinstance(typ, str) or typ.lower() not in _HEADER_TYPES:
        raise TokenRejected(f"the header's typ is {typ!r}, not at+jwt or JWT", reason="wrong_type")
    # Keycloak says in the payload what a token is: Bearer here, ID, Refresh, Offline, Logout or DPoP elsewhere.
    if payload.get("typ", "Bearer") != "Bearer":
        raise TokenRejected("this is another kind of token, no access token", reason="wrong_type")
    for name, reason in _OF_OTHERS.items():
        if name in payload:
            raise TokenRejected(f"an access token has no {name}", reason=reason)
    if "cnf" in payload:
        sentence = "the token is bound to a key of its client (cnf), whose possession cannot be checked here"
        raise TokenRejected(sentence, reason="bound_to_key")


def _require_times(payload: Mapping[str, object], now: float) -> tuple[float, float]:
    issued_at = read.required_instant(payload, "iat")
    expires_at = read.required_instant(payload, "exp")
    read.require_not_from_the_future(issued_at, now)
    read.require_valid_already(read.optional_instant(payload, "nbf"), now)
    if expires_at <= now:
        raise TokenRejected(f"expired {now - expires_at:.0f} s ago by our clock", reason="expired")
    if issued_at + MAX_LIFE_S <= now:
        raise TokenRejected(f"issued {now - issued_at:.0f} s ago, and a day is the limit", reason="issued_too_long_ago")
    return issued_at, min(expires_at, issued_at + MAX_LIFE_S)
