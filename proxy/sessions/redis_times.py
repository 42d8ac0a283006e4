"""When a session in Redis is over, and how long its record lies there after that; pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from proxy.core.session import EndCause

if TYPE_CHECKING:
    from proxy.core.session import Session
    from proxy.sessions.codec import RecordSummary

LINGER_S: Final = 3600.0
"""Seconds that a record outlives its session: long enough for a restart of all replicas."""


def ends_at(summary: RecordSummary | Session, last_seen_at: float) -> float:
    """Return when a session is over if nothing happens any more (Unix seconds)."""
    return min(summary.expires_at, last_seen_at + summary.idle_timeout_s)


def cause_of_end(summary: RecordSummary, last_seen_at: float, now: float) -> EndCause | None:
    """Return why a session is over at ``now``, or None while it is live. The absolute end comes first."""
    if now >= summary.expires_at:
        return EndCause.EXPIRED
    return EndCause.IDLE if now >= last_seen_at + summary.idle_timeout_s else None
