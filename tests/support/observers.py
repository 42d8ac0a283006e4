"""An observer that remembers what it was told."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from proxy.core.session import EndCause
    from proxy.ports import AuditEvent, RequestEvent


class RecordingObserver:
    """A ``proxy.ports.Observer`` whose lists and counters a test reads.

    ``warnings`` and ``errors`` hold pairs of the message and its fields; ``ended`` counts sessions by cause.
    """

    def __init__(self) -> None:
        """Begin with nothing heard."""
        self.requests: list[RequestEvent] = []
        self.audits: list[AuditEvent] = []
        self.logins: list[tuple[str, str]] = []
        self.throttles: list[str] = []
        self.truncated: list[str] = []
        self.refreshes: list[str] = []
        self.refresh_waits: list[float] = []
        self.outages_served = 0
        self.logouts: list[str] = []
        self.ended: Counter[EndCause] = Counter()
        self.propagations: list[float] = []
        self.context: Mapping[str, str] = {}
        self.provider_calls: list[tuple[str, str, float]] = []
        self.store_calls: list[tuple[str, float]] = []
        self.store_errors = 0
        self.open_streams = 0
        self.notices: list[tuple[str, dict[str, str | float]]] = []
        self.warnings: list[tuple[str, dict[str, str | float]]] = []
        self.errors: list[tuple[str, dict[str, str | float]]] = []

    @property
    def audit_names(self) -> list[str]:
        """The names of the audit events, in order."""
        return [event.event for event in self.audits]

    def request(self, event: RequestEvent) -> None:
        self.requests.append(event)

    def audit(self, event: AuditEvent) -> None:
        self.audits.append(event)

    def login(self, method: str, outcome: str) -> None:
        self.logins.append((method, outcome))

    def identity_truncated(self, header: str) -> None:
        self.truncated.append(header)

    def throttled(self, limit: str) -> None:
        self.throttles.append(limit)

    def refresh(self, outcome: str) -> None:
        self.refreshes.append(outcome)

    def refresh_waited(self, seconds: float) -> None:
        self.refresh_waits.append(seconds)

    def outage_served(self) -> None:
        self.outages_served += 1

    def logout(self, kind: str) -> None:
        self.logouts.append(kind)

    def session_ended(self, cause: EndCause, count: int = 1) -> None:
        self.ended[cause] += count

    def logout_propagated(self, seconds: float) -> None:
        self.propagations.append(seconds)

    def call_context(self) -> Mapping[str, str]:
        return self.context

    def provider_call(self, operation: str, outcome: str, seconds: float) -> None:
        self.provider_calls.append((operation, outcome, seconds))

    def store_call(self, operation: str, seconds: float) -> None:
        self.store_calls.append((operation, seconds))

    def store_error(self) -> None:
        self.store_errors += 1

    def streams(self, change: int) -> None:
        self.open_streams += change

    def notice(self, message: str, **fields: str | float) -> None:
        self.notices.append((message, fields))

    def warning(self, message: str, **fields: str | float) -> None:
        self.warnings.append((message, fields))

    def error(self, message: str, **fields: str | float) -> None:
        self.errors.append((message, fields))
