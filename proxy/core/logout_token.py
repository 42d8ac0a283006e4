"""Claim rules of logout tokens: OpenID Connect Back-Channel Logout 1.0 §2.4, §2.6, and contract §3.

Pure: the signature was verified before (``oidc.jws``), time is an argument; whether the ``jti`` was seen before is the
store's to say. An ID token or access token of the same issuer never passes: ``events`` is required, ``nonce`` is
forbidden.

``aud`` must hold us; other parties beside us are no refusal here (unlike for ID tokens), because the issuer addressed
its word to us too, and to end a session is the safe side.

Stable reason words: ``missing_<claim>``, ``malformed_<claim>``, ``wrong_type``, ``wrong_issuer``, ``wrong_audience``,
``expired``, ``issued_in_future``, ``issued_too_long_ago``, ``not_yet_valid``, ``unexpected_nonce``, ``nobody_named``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec import Struct

from proxy.core import token_claims as read
from proxy.core.token_claims import CLOCK_SKEW_S, MAX_SUBJECT_LENGTH
from proxy.errors import TokenRejected

if TYPE_CHECKING:
    from collections.abc import Mapping

MAX_AGE_WITHOUT_EXPIRY_S = 300.0
"""Seconds since ``iat`` of a token without ``exp`` (contract §3): early drafts of the standard had no ``exp``.

The skew is in the figure, none is added.
"""

BACKCHANNEL_EVENT = "http://schemas.openid.net/event/backchannel-logout"
"""The member of ``events`` that makes it a logout token."""

_HEADER_TYPES = frozenset({"logout+jwt", "application/logout+jwt", "jwt", "application/jwt"})


class LogoutClaims(Struct, frozen=True, kw_only=True):
    """A logout that the issuer wants; at least one of ``sid`` and ``subject`` is there.

    Attributes:
        expires_at: Unix time from which this token is refused anyway, skew included: keep ``jti`` until then.
    """

    sid: str | None
    subject: str | None
    jti: str
    issued_at: float
    expires_at: float


def validate_logout_token(
    header: Mapping[str, object], payload: Mapping[str, object], *, issuer: str, client_id: str, now: float
) -> LogoutClaims:
    """Return what is to end.

    Args:
        now: Unix seconds.

    Raises:
        TokenRejected: a rule is broken; ``reason`` names it.

    Source: OpenID Connect Back-Channel Logout 1.0 §2.6.
    """
    _require_kind(header, payload)
    read.require_issuer(payload, issuer)
    if client_id not in read.audience(payload):
        raise TokenRejected(f"aud does not hold our client_id {client_id!r}", reason="wrong_audience")
    issued_at, expires_at = _require_times(payload, now)
    sid = read.optional_text(payload, "sid")
    subject = read.optional_text(payload, "sub", limit=MAX_SUBJECT_LENGTH)
    if sid is None and subject is None:
        raise TokenRejected("neither sid nor sub says whose session ends", reason="nobody_named")
    jti = read.required_text(payload, "jti")
    return LogoutClaims(sid=sid, subject=subject, jti=jti, issued_at=issued_at, expires_at=expires_at)


def _require_kind(header: Mapping[str, object], payload: Mapping[str, object]) -> None:
    typ = header.get("typ", "JWT")
    if not isinstance(typ, str) or typ.lower() not in _HEADER_TYPES:
        raise TokenRejected(f"the header's typ is {typ!r}, not logout+jwt", reason="wrong_type")
    # Keycloak says in the payload what a token is: Logout here, ID or Bearer elsewhere. Others say nothing.
    if payload.get("typ", "Logout") != "Logout":
        raise TokenRejected("this is another kind of token, no logout token", reason="wrong_type")
    if "nonce" in payload:
        raise TokenRejected("a logout token has no nonce", reason="unexpected_nonce")
    _require_event(payload)


def _require_event(payload: Mapping[str, object]) -> None:
    """Further members beside the event are allowed: Keycloak puts ``revoke_offline_access`` there."""
    events = payload.get("events")
    if events is None:
        raise TokenRejected("events is missing", reason="missing_events")
    if not isinstance(events, dict) or not isinstance(events.get(BACKCHANNEL_EVENT), dict):
        raise TokenRejected("events does not hold the logout event as an object", reason="malformed_events")


def _require_times(payload: Mapping[str, object], now: float) -> tuple[float, float]:
    issued_at = read.required_instant(payload, "iat")
    expires_at = read.optional_instant(payload, "exp")
    read.require_not_from_the_future(issued_at, now)
    read.require_valid_already(read.optional_instant(payload, "nbf"), now)
    if expires_at is not None:
        read.require_not_over(expires_at, now)
        return issued_at, expires_at + CLOCK_SKEW_S
    refused_from = issued_at + MAX_AGE_WITHOUT_EXPIRY_S
    if refused_from < now:
        raise TokenRejected(f"issued {now - issued_at:.0f} s ago and without exp", reason="issued_too_long_ago")
    return issued_at, refused_from
