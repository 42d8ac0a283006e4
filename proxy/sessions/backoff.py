"""When a refresh may be tried again after the provider failed: so that an outage is not hammered.

Two gates, both bounded and both of this process. A *session* whose refresh failed waits :data:`SESSION_RETRY_S`,
however many requests it has. When :data:`FAULTS_IN_A_ROW` refreshes failed with no success between, the provider
counts as away, and one try for *all* sessions is made at growing intervals. A single timeout therefore holds up one
session, an outage costs the provider a call every few seconds. Instants are of the monotonic clock.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from proxy.sessions.expiring import ExpiringMap

if TYPE_CHECKING:
    from proxy.core.session import SessionKey

SESSION_RETRY_S = 1.0
"""Seconds that a session waits after its refresh failed."""

FAULTS_IN_A_ROW = 5
"""Faults without a success between after which the provider counts as away."""

MAX_INTERVAL_S = 10.0
"""The longest time between two tries while the provider is away: so long a returned provider may go unnoticed."""

MAX_WAITING = 10_000
"""Sessions whose own wait is remembered; above it only the gate for all holds them."""


class RefreshBackoff:
    """The gates; synchronous."""

    def __init__(self) -> None:
        """Begin with both gates open."""
        self._waiting: ExpiringMap[SessionKey, str] = ExpiringMap(MAX_WAITING)
        self._faults = 0
        self._closed_until = float("-inf")
        self._closed_because = ""

    def holds(self, key: SessionKey, now: float) -> str | None:
        """Return why this session must not try now (the ``reason`` of the last fault), or None when it may."""
        waits_because = self._waiting.get(key, now)
        return self._closed_because if waits_because is None and now < self._closed_until else waits_because

    def begin(self, now: float) -> None:
        """Hear that a try begins: while the provider is away it is the only one for its interval."""
        if self._faults >= FAULTS_IN_A_ROW:
            self._closed_until = now + self._interval()

    def provider_answered(self) -> None:
        """Hear that the provider did its part."""
        self._faults = 0
        self._closed_until = float("-inf")

    def provider_failed(self, now: float, reason: str) -> None:
        """Hear that the provider did not answer, or refuses this client."""
        self._faults += 1
        self._closed_because = reason
        if self._faults >= FAULTS_IN_A_ROW:
            self._closed_until = now + self._interval()

    def session_failed(self, key: SessionKey, now: float, reason: str) -> None:
        """Hear that this session's refresh failed, for whatever reason that does not end it."""
        if not self._waiting.is_full(now):
            self._waiting.put(key, reason, now + SESSION_RETRY_S)

    def _interval(self) -> float:
        doublings = min(self._faults - FAULTS_IN_A_ROW, 10)
        return min(float(2**doublings), MAX_INTERVAL_S)
