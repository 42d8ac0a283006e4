"""The audit trail: one JSON line for each event of :class:`~proxy.observe.events.AuditName`, through the log."""

from __future__ import annotations

from typing import TYPE_CHECKING

from proxy.observe.events import AuditName
from proxy.observe.log import LogLevel

if TYPE_CHECKING:
    from proxy.observe.log import Log
    from proxy.ports import AuditEvent

KNOWN = frozenset(AuditName)


class AuditTrail:
    """Write events; ``at`` is the log's."""

    def __init__(self, log: Log) -> None:
        """Write through ``log``."""
        self._log = log

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
