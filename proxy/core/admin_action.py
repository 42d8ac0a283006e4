"""Claim rules of Keycloak's admin actions: what a realm tells a client at its Admin URL (contract §3, ``/keycloak/…``).

No standard has them. What is known was measured against Keycloak 26.7: a compact JWS as ``text/plain``, signed by the
realm's key, with ``action``, ``id``, ``expiration`` (30 s after it was made), ``resource`` (the client) and by action
``notBefore``, ``keycloakSessionIds``; no ``iss``, ``aud``, ``iat`` or ``exp``. Without ``iss`` it is the key alone that
says who speaks, so the key set must be this realm's.

Pure: the signature was verified before (``oidc.jws``), time is an argument; whether the ``id`` was seen before is the
store's to say. No other token of the realm passes: one that names an issuer, a subject or a party is none of these.

Stable reason words: ``missing_<claim>``, ``malformed_<claim>``, ``wrong_type``, ``wrong_action``, ``wrong_resource``,
``expired``, ``expires_too_late``, ``nobody_named``.
"""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING

from msgspec import Struct

from proxy.core import token_claims as read
from proxy.core.token_claims import CLOCK_SKEW_S
from proxy.errors import TokenRejected

if TYPE_CHECKING:
    from collections.abc import Mapping

MAX_LIFE_S = 3600.0
"""Seconds that ``expiration`` may lie ahead: Keycloak says 30, and the ``id`` is remembered for as long."""

MAX_SESSIONS = 1000
"""Session ids of one action; Keycloak sends one action for each session."""

_MARKS_OF_TOKENS = ("iss", "sub", "aud", "azp", "typ", "nonce", "events", "exp")
"""Claims that tokens of a login have, and admin actions never."""

_HEADER_TYPES = frozenset({"jwt", "application/jwt"})


class AdminActionKind(StrEnum):
    """What is asked for; the words of ``action``."""

    LOGOUT = "LOGOUT"
    PUSH_NOT_BEFORE = "PUSH_NOT_BEFORE"
    TEST_AVAILABILITY = "TEST_AVAILABILITY"


class AdminAction(Struct, frozen=True, kw_only=True):
    """What the realm wants.

    Attributes:
        sids: provider sessions that are over; None when none is named.
        not_before: whatever was issued up to this Unix time is over; None when nothing is.
        expires_at: Unix time from which this token is refused anyway, skew included: keep ``action_id`` until then.
    """

    action_id: str
    sids: tuple[str, ...] | None
    not_before: float | None
    expires_at: float


def validate_admin_action(
    header: Mapping[str, object], payload: Mapping[str, object], *, kind: AdminActionKind, client_id: str, now: float
) -> AdminAction:
    """Return what is to be done.

    A LOGOUT that names sessions is about those alone; one that names none is about all, up to ``notBefore``. An instant
    in the future counts as now, skew included: what has not been issued yet cannot be over.

    Args:
        kind: what the path says; the token must say the same.
        now: Unix seconds.

    Raises:
        TokenRejected: a rule is broken; ``reason`` names it.
    """
    _require_kind(header, payload, kind)
    resource = read.required_text(payload, "resource")
    if resource != client_id:
        raise TokenRejected(f"resource is {resource!r}, expected {client_id!r}", reason="wrong_resource")
    expires_at = _require_time(payload, now)
    return AdminAction(
        action_id=read.required_text(payload, "id"),
        sids=_sids(payload) if kind is AdminActionKind.LOGOUT else None,
        not_before=_not_before(payload, kind, now),
        expires_at=expires_at,
    )


def _require_kind(header: Mapping[str, object], payload: Mapping[str, object], kind: AdminActionKind) -> None:
    typ = header.get("typ", "JWT")
    if not isinstance(typ, str) or typ.lower() not in _HEADER_TYPES:
        raise TokenRejected(f"the header's typ is {typ!r}, not JWT", reason="wrong_type")
    others = [name for name in _MARKS_OF_TOKENS if name in payload]
    if others:
        raise TokenRejected(f"this is another kind of token: it has {', '.join(others)}", reason="wrong_type")
    action = read.required_text(payload, "action")
    if action != kind:
        raise TokenRejected(f"action is {action!r}, expected {kind.value!r} here", reason="wrong_action")


def _require_time(payload: Mapping[str, object], now: float) -> float:
    expiration = read.required_instant(payload, "expiration")
    read.require_not_over(expiration, now)
    if expiration > now + MAX_LIFE_S + CLOCK_SKEW_S:
        raise TokenRejected(f"valid for another {expiration - now:.0f} s", reason="expires_too_late")
    return expiration + CLOCK_SKEW_S


def _sids(payload: Mapping[str, object]) -> tuple[str, ...] | None:
    """Return ``keycloakSessionIds``, each once.

    With ``adapterSessionIds`` alone the realm names sessions by ids that we never gave it: then it means somebody, and
    certainly not everybody.
    """
    named = payload.get("keycloakSessionIds")
    if named is None:
        if payload.get("adapterSessionIds") is not None:
            raise TokenRejected("it names sessions by ids that are not the realm's", reason="nobody_named")
        return None
    if not isinstance(named, list) or len(named) > MAX_SESSIONS:
        raise TokenRejected(f"keycloakSessionIds is no list of up to {MAX_SESSIONS}", reason="malformed_sid")
    return tuple(dict.fromkeys(read.required_text({"sid": sid}, "sid") for sid in named))


def _not_before(payload: Mapping[str, object], kind: AdminActionKind, now: float) -> float | None:
    if kind is AdminActionKind.TEST_AVAILABILITY:
        return None
    is_push = kind is AdminActionKind.PUSH_NOT_BEFORE
    instant = (read.required_instant if is_push else read.optional_instant)(payload, "notBefore")
    return min(instant, now + CLOCK_SKEW_S) if instant else None
