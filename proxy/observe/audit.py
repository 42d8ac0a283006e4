"""The audit trail: one JSON line for each event of :class:`~proxy.observe.events.AuditName`, through the log.

A copy goes to the trail that is kept (``audit_memory``, ``audit_redis``) for ``sidegate audit`` and ``/api/audit``;
of what strangers can cause at will only so much (``audit_noise``).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from proxy.observe.audit_noise import StrangersNoise
from proxy.observe.events import AuditName
from proxy.observe.log import LogLevel

if TYPE_CHECKING:
    from proxy.observe.log import Log
    from proxy.ports import AuditEvent, AuditTrail, Clock

KNOWN = frozenset(AuditName)


class AuditLog:
    """Write events; ``at`` of a line is the log's."""

    def __init__(self, log: Log, *, clock: Clock) -> None:
        """Write through ``log``, and keep nothing until :meth:`keep_in`."""
        self._log = log
        self._clock = clock
        self._trail: AuditTrail | None = None
        self._noise = StrangersNoise(clock)

    @property
    def left_out(self) -> int:
        """Return how many events of strangers the trail was spared."""
        return self._noise.left_out

    def keep_in(self, trail: AuditTrail) -> None:
        """Hand every further event to ``trail`` too."""
        self._trail = trail

    def record(self, event: AuditEvent) -> None:
        """Write one event. A name that is not in the contract is written too, and an error says so: nothing is lost."""
        if event.event not in KNOWN:
            self._log.say(LogLevel.ERROR, "an audit event has no name of the contract", {"name": event.event})
        fields: dict[str, object] = {
            "request_id": event.request_id,
            "route": event.route,
            "subject": event.subject,
            "username": event.username,
            "address": event.address,
            "user_agent": event.user_agent,
            "sessions_affected": event.sessions_affected,
            "reason": event.reason,
        }
        if event.details:
            fields["details"] = dict(event.details)
        self._log.audit(event.event, fields)
        if self._trail is not None and self._noise.leaves_room_for(event):
            self._trail.add(event, self._clock.now())
