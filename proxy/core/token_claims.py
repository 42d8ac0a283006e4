"""Claims of a verified token, read by type: what is absent, what is malformed, what is a number.

Shared by the claim rules of ID and logout tokens, so that both mean the same by "a string" and "an instant". A claim
of a wrong type is never taken for an absent one: whoever signs ``"sid": 7`` means something that we do not understand.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from proxy.errors import TokenRejected

if TYPE_CHECKING:
    from collections.abc import Mapping

CLOCK_SKEW_S = 60.0
"""Seconds by which two clocks may differ (contract §3; also Keycloak's and Spring's usual allowance)."""

MAX_SUBJECT_LENGTH = 255
"""Characters of ``sub`` (OIDC Core 1.0 §2)."""

MAX_TEXT_LENGTH = 2048
"""Characters of any other string that rules read: ``sid`` and ``jti`` have no limit in their standards."""

MAX_AUDIENCES = 100
"""Entries of ``aud``; a token for more parties than that is for nobody."""

_LATEST_INSTANT = 253_402_300_799
"""The last second of the year 9999: an instant beyond is a mistake of unit (milliseconds)."""


def optional_text(claims: Mapping[str, object], name: str, *, limit: int = MAX_TEXT_LENGTH) -> str | None:
    """Return a claim that is a string of 1 to ``limit`` characters without control characters; None when absent.

    Raises:
        TokenRejected: ``malformed_<name>``.
    """
    value = claims.get(name)
    if value is None:
        return None
    if not isinstance(value, str) or not 0 < len(value) <= limit or not _has_no_control_character(value):
        raise TokenRejected(f"{name} is not a string of 1 to {limit} characters", reason=f"malformed_{name}")
    return value


def required_text(claims: Mapping[str, object], name: str, *, limit: int = MAX_TEXT_LENGTH) -> str:
    """Return as :func:`optional_text`; absent is a refusal too (``missing_<name>``)."""
    value = optional_text(claims, name, limit=limit)
    if value is None:
        raise TokenRejected(f"{name} is missing", reason=f"missing_{name}")
    return value


def optional_instant(claims: Mapping[str, object], name: str) -> float | None:
    """Return a NumericDate (RFC 7519 §2) in Unix seconds; None when absent.

    Raises:
        TokenRejected: ``malformed_<name>``.
    """
    value = claims.get(name)
    if value is None:
        return None
    # bool is an int for Python.
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= _LATEST_INSTANT:
        raise TokenRejected(f"{name} is not a number of seconds since 1970", reason=f"malformed_{name}")
    return float(value)


def required_instant(claims: Mapping[str, object], name: str) -> float:
    """Return as :func:`optional_instant`; absent is a refusal too (``missing_<name>``)."""
    value = optional_instant(claims, name)
    if value is None:
        raise TokenRejected(f"{name} is missing", reason=f"missing_{name}")
    return value


def audience(claims: Mapping[str, object]) -> tuple[str, ...]:
    """Return ``aud``, one string or a list of them (RFC 7519 §4.1.3), as a tuple.

    Raises:
        TokenRejected: ``missing_aud`` or ``malformed_aud``.
    """
    value = claims.get("aud")
    if value is None:
        raise TokenRejected("aud is missing", reason="missing_aud")
    entries = [value] if isinstance(value, str) else value
    if not isinstance(entries, list) or not 0 < len(entries) <= MAX_AUDIENCES:
        raise TokenRejected("aud is neither a string nor a list of strings", reason="malformed_aud")
    if not all(isinstance(entry, str) and entry for entry in entries):
        raise TokenRejected("aud holds something that is no string", reason="malformed_aud")
    return tuple(entries)


def require_issuer(claims: Mapping[str, object], expected: str) -> None:
    """Refuse any ``iss`` but the expected one, compared code point by code point (OIDC Core 1.0 §3.1.3.7 item 2)."""
    issuer = required_text(claims, "iss")
    if issuer != expected:
        raise TokenRejected(f"iss is {issuer!r}, expected {expected!r}", reason="wrong_issuer")


def require_not_from_the_future(issued_at: float, now: float) -> None:
    """Refuse an ``iat`` later than now and the skew; the message says by how many seconds."""
    if issued_at > now + CLOCK_SKEW_S:
        raise TokenRejected(f"issued {issued_at - now:.0f} s in the future by our clock", reason="issued_in_future")


def require_valid_already(not_before: float | None, now: float) -> None:
    """Refuse an ``nbf`` later than now and the skew (RFC 7519 §4.1.5); None when the token has none."""
    if not_before is not None and not_before > now + CLOCK_SKEW_S:
        raise TokenRejected(f"not valid for another {not_before - now:.0f} s by our clock", reason="not_yet_valid")


def require_not_over(expires_at: float, now: float) -> None:
    """Refuse an ``exp`` that is past, skew allowed (RFC 7519 §4.1.4: at the instant itself it is over)."""
    if expires_at + CLOCK_SKEW_S <= now:
        raise TokenRejected(f"expired {now - expires_at:.0f} s ago by our clock", reason="expired")


def _has_no_control_character(text: str) -> bool:
    return all(character >= " " and character != "\x7f" for character in text)
