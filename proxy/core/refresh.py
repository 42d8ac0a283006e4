"""When tokens are refreshed: pure rules, the time is an argument.

::

    obtained_at                            SOON      DUE  end
        |----------- FRESH ------------------|---------|---|------ DUE (or OVER without a refresh token)
                                             lead_s    skew_s      served until end + outage_grace_s while the
                                                                   provider is away

The end is that of the access token; when nobody said it, that of the refresh token, because the session ends with it;
when nobody said that either, a refresh token is tried every :data:`ASSUMED_LIFE_S`, and without one the tokens are
always FRESH.

SOON begins a little later for some sessions and replicas than for others (*lateness*), so that those who signed in
together do not all ask together, and replicas do not race for the same session.
"""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING

from msgspec import Struct

if TYPE_CHECKING:
    from proxy.core.tokens import TokenSet

ROUNDING_S = 1.5
"""Seconds by which two ends may differ and still be the same: ``expires_in`` has whole seconds, rounded up."""

ASSUMED_LIFE_S = 300.0
"""Seconds after which tokens are refreshed whose end nobody said: the life of access tokens in a fresh Keycloak realm,
and of ID tokens at most other providers. ``expires_in`` is only recommended (RFC 6749 §5.1); but who gives a refresh
token wants to be asked, and would else not be heard again before the session's own end.
"""

SKEW_SHARE = 0.1
"""Share of a token's life that ``skew_s`` may take at most, so that a token of a few seconds is of use at all."""


JITTER_SHARE = 0.25
"""Share of ``lead_s`` by which SOON may begin later: a quarter spreads the refreshes, and leaves them early."""


class RefreshVerdict(StrEnum):
    """What the tokens need before a request may use them."""

    FRESH = "fresh"
    """Nothing."""
    SOON = "soon"
    """They carry this request; a refresh should begin in the background."""
    DUE = "due"
    """A refresh must end first."""
    OVER = "over"
    """The access token is over and no refresh token is left to try."""


class RefreshPolicy(Struct, frozen=True):
    """How early tokens are refreshed.

    Attributes:
        lead_s: seconds before the end (``sessions.refresh_before_expiry``); half the token's life when that is less.
        skew_s: seconds before the end from which on the token is not sent any more, because it would be over on
            arrival; a tenth of its life when that is less.
        outage_grace_s: seconds after the end for which a session is served while the provider is away
            (``sessions.outage_grace``).
    """

    lead_s: float = 60.0
    skew_s: float = 2.0
    outage_grace_s: float = 0.0


def refresh_verdict(tokens: TokenSet, now: float, policy: RefreshPolicy, *, lateness: float = 0.0) -> RefreshVerdict:
    """Say whether the access token can carry a request, and what is to be done for the next.

    Args:
        tokens: of the session.
        now: Unix time in seconds.
        policy: how early.
        lateness: from 0 to 1: how much of the jitter this session has on this replica. SOON never begins later than
            DUE.

    Returns:
        OVER only when no refresh token is left to try; never raises.

    Source: RFC 6749 §1.5, §5.1 (``expires_in`` counts from the response, not from ``iat``).
    """
    end = _end(tokens)
    if end is None:
        return RefreshVerdict.FRESH
    if not _can_refresh(tokens, now):
        return RefreshVerdict.OVER if now >= end else RefreshVerdict.FRESH
    life = max(end - tokens.obtained_at, 0.0)
    if now >= end - min(policy.skew_s, life * SKEW_SHARE):
        return RefreshVerdict.DUE
    lead_s = min(policy.lead_s, life / 2) * (1 - JITTER_SHARE * lateness)
    if now >= end - lead_s and not tokens.is_final:
        return RefreshVerdict.SOON
    return RefreshVerdict.FRESH


def is_final(old: TokenSet, new: TokenSet) -> bool:
    """Say whether a refresh from ``old`` to ``new`` has met the end of the provider's session.

    Near that end Keycloak gives an access token that lives as long as the refresh token, and a refresh token that ends
    when the last one did: ``expires_in`` shrinks with each try. An early refresh would then be made again and again,
    for nothing. (A realm whose access token and idle time are equal looks alike, but there the end moves on.)
    """
    if new.access_expires_at is None or new.refresh_expires_at is None or old.refresh_expires_at is None:
        return False
    end_stands_still = new.refresh_expires_at <= old.refresh_expires_at + ROUNDING_S
    return end_stands_still and new.access_expires_at >= new.refresh_expires_at - ROUNDING_S


def access_is_live(tokens: TokenSet, now: float) -> bool:
    """Say whether the access token is not over yet, as far as anybody said."""
    return tokens.access_expires_at is None or now < tokens.access_expires_at


def bridges_outage(tokens: TokenSet, now: float, policy: RefreshPolicy) -> bool:
    """Say whether a session is served without a live access token because the provider is away."""
    return tokens.access_expires_at is not None and now < tokens.access_expires_at + policy.outage_grace_s


def _end(tokens: TokenSet) -> float | None:
    said = tokens.refresh_expires_at if tokens.access_expires_at is None else tokens.access_expires_at
    if said is None and tokens.refresh_token is not None:
        return tokens.obtained_at + ASSUMED_LIFE_S
    return said


def _can_refresh(tokens: TokenSet, now: float) -> bool:
    if tokens.refresh_token is None:
        return False
    return tokens.refresh_expires_at is None or now < tokens.refresh_expires_at
