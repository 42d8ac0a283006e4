"""How long sessions can really last, in a sentence: of the file, and of what the provider's first tokens show.

A session ends at its own end, when it is idle, and when its refresh token does, whichever is first. The last of these
belongs to the provider, and most files promise more than a fresh realm allows; so it is said, at start, by ``check``
and once more when the first tokens have come.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec import Struct

if TYPE_CHECKING:
    from proxy.core.tokens import TokenSet

TYPICAL_SSO_IDLE_S = 1800.0
"""Seconds without a refresh after which a fresh Keycloak realm ends a session (SSO Session Idle)."""

TYPICAL_SSO_MAX_S = 36_000.0
"""Seconds after which it ends one in any case (SSO Session Max)."""

UNITS = (("d", 86_400), ("h", 3600), ("m", 60), ("s", 1))

REMEDY = "set keycloak.offline_access: true, or raise SSO Session Idle and Max in the realm"


OFFLINE_ACCESS = "offline_access"
"""The scope of OIDC Core 1.0 §11."""


class SessionPlan(Struct, frozen=True):
    """What the file wants: seconds, and the scopes that are asked at login."""

    lifetime_s: float
    idle_timeout_s: float
    scopes: tuple[str, ...]

    def __str__(self) -> str:
        """Return it in words."""
        if self.idle_timeout_s >= self.lifetime_s:
            return in_words(self.lifetime_s)
        return f"{in_words(self.lifetime_s)}, or {in_words(self.idle_timeout_s)} without activity"


def promised_lifetime(plan: SessionPlan) -> str:
    """Say what can be known from the file alone."""
    if OFFLINE_ACCESS in plan.scopes:
        return f"sessions last {plan}, as long as the provider keeps offline sessions (Keycloak: used every 30d)"
    if plan.lifetime_s <= TYPICAL_SSO_MAX_S and min(plan.idle_timeout_s, plan.lifetime_s) <= TYPICAL_SSO_IDLE_S:
        return f"sessions last {plan}"
    return (
        f"sessions last {plan}, but not longer than the provider's: in a fresh Keycloak realm "
        f"{in_words(TYPICAL_SSO_MAX_S)}, or {in_words(TYPICAL_SSO_IDLE_S)} without activity; "
        f"if that is too short, {REMEDY}"
    )


def observed_lifetime(plan: SessionPlan, tokens: TokenSet) -> str:
    """Say what the tokens of a first login show.

    Keycloak's ``refresh_expires_in`` is the shorter of SSO Session Idle and what is left of SSO Session Max, so the
    second shows only when it is the shorter one.
    """
    if tokens.refresh_token is None:
        return _without_refresh(plan, tokens)
    if tokens.refresh_expires_at is None:
        return f"sessions last {plan}: the provider's refresh tokens name no end of their own"
    life_s = tokens.refresh_expires_at - tokens.obtained_at
    life = in_words(life_s)
    if life_s < min(plan.idle_timeout_s, plan.lifetime_s):
        return (
            f"sessions.lifetime is {in_words(plan.lifetime_s)}, but the provider's refresh tokens last {life}: "
            f"sessions end after {life} without activity, and with the provider's SSO session in any case; {REMEDY}"
        )
    if life_s < plan.lifetime_s:
        return f"sessions last {plan}, but not longer than the provider's SSO session; its refresh tokens last {life}"
    return f"sessions last {plan}: the provider's refresh tokens last {life}"


def in_words(seconds: float) -> str:
    """Return a duration in the largest unit that holds it whole, such as ``30d``; rounded to seconds."""
    whole = max(round(seconds), 0)
    unit, size = next((unit, size) for unit, size in UNITS if size == 1 or (whole and whole % size == 0))
    return f"{whole // size}{unit}"


def _without_refresh(plan: SessionPlan, tokens: TokenSet) -> str:
    if tokens.access_expires_at is None:
        return f"sessions last {plan}: the provider gives no refresh tokens, and its tokens name no end"
    life = in_words(tokens.access_expires_at - tokens.obtained_at)
    return (
        f"sessions.lifetime is {in_words(plan.lifetime_s)}, but the provider gives no refresh tokens: "
        f"sessions end with their access token, after {life}; let the client use refresh tokens"
    )
