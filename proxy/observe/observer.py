"""``ports.Observer`` of production: log, metrics and audit trail together. Never raises, never waits."""

from __future__ import annotations

from functools import wraps
from typing import TYPE_CHECKING, Any, TypeVar, cast

from proxy.observe.audit import AuditLog
from proxy.observe.line_writer import LineWriter
from proxy.observe.log import Log, LogFormat, LogLevel
from proxy.observe.metrics import Metrics
from proxy.observe.request_sample import LineRate, SampledLog

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from proxy.core.session import EndCause
    from proxy.ports import AuditEvent, AuditTrail, Clock, RequestEvent, Tracing

NO_FIELDS: Mapping[str, str] = {}

F = TypeVar("F", bound="Callable[..., None]")


def _never_raises(say: F) -> F:
    """Wrap a method: what cannot be said is counted, and who said it goes on."""

    @wraps(say)
    def guarded(self: ProductionObserver, *args: Any, **named: Any) -> None:
        try:
            say(self, *args, **named)
        except Exception:  # noqa: BLE001 - the outermost frame of everything that is said
            self.metrics.observer_faults.inc()

    return cast("F", guarded)


class ProductionObserver:
    """The observer that ``app`` makes; its methods are those of ``ports.Observer``.

    Attributes:
        log: for a ``StandardHandler``.
        metrics: for ``watch_sessions`` and ``watch_streams``.
    """

    tracing: Tracing | None = None
    """Who tells the collector of traces; nobody here."""

    def __init__(
        self,
        sink: Callable[[bytes], object],
        *,
        clock: Clock,
        level: LogLevel = LogLevel.INFO,
        line_format: LogFormat = LogFormat.JSON,
        sample: LineRate | None = None,
    ) -> None:
        """Begin; ``sink`` takes whole lines of bytes, in a thread, and may block or raise.

        Args:
            sample: how many lines of requests that went well are written; all of them where it is None.
        """
        self._writer = LineWriter(sink)
        self.log = _log(self._writer.write, sample, clock=clock, level=level, line_format=line_format)
        self.metrics = self._new_metrics()
        self.metrics.watch_lines(dropped=lambda: self._writer.dropped, left_out=lambda: self.log.left_out)
        self._audit = AuditLog(self.log, clock=clock)

    def _new_metrics(self) -> Metrics:
        return Metrics()

    def keep_audit(self, trail: AuditTrail) -> None:
        """Hand every further audit event to ``trail`` too, besides the log."""
        self._audit.keep_in(trail)

    def adopt(self, *, level: LogLevel) -> None:
        """Write lines of this level and above from now on."""
        self.log.adopt(level=level)

    @property
    def audit_left_out(self) -> int:
        """Return how many events of strangers the trail was spared."""
        return self._audit.left_out

    def close(self) -> None:
        """Write the lines that are still held."""
        self.log.close()
        self._writer.close()

    def exposition(self, accept: str = "") -> tuple[bytes, str]:
        """Return the body of ``/metrics`` and its content type (``Metrics.exposition``)."""
        return self.metrics.exposition(accept)

    def request(self, event: RequestEvent) -> None:
        """One request is over. Counted before it is written: a line that cannot be made still counts."""
        # Guarded here and not by the decorator, which costs two calls more of each request.
        try:
            self.metrics.requests.count(event)
            self.log.request(event)
        except Exception:  # noqa: BLE001 - as in _never_raises
            self.metrics.observer_faults.inc()

    @_never_raises
    def audit(self, event: AuditEvent) -> None:
        """Something happened to a person's session."""
        self._audit.record(event)

    @_never_raises
    def login(self, method: str, outcome: str) -> None:
        """``logins_total{method,outcome}``."""
        self.metrics.logins.of(method, outcome).inc()

    @_never_raises
    def identity_truncated(self, header: str) -> None:
        """``identity_truncated_total{header}``."""
        self.metrics.identity_truncated.of(header).inc()

    @_never_raises
    def throttled(self, limit: str) -> None:
        """``throttled_total{limit}``."""
        self.metrics.throttled.of(limit).inc()

    @_never_raises
    def refresh(self, outcome: str) -> None:
        """``refreshes_total{outcome}``."""
        self.metrics.refreshes.of(outcome).inc()

    @_never_raises
    def refresh_waited(self, seconds: float) -> None:
        """``refresh_wait_seconds``."""
        self.metrics.refresh_wait.observe(seconds)

    @_never_raises
    def outage_served(self) -> None:
        """``outage_served_total``."""
        self.metrics.outage_served.inc()

    @_never_raises
    def logout(self, kind: str) -> None:
        """``logouts_total{kind}``."""
        self.metrics.logouts.of(kind).inc()

    @_never_raises
    def session_ended(self, cause: EndCause, count: int = 1) -> None:
        """``sessions_ended_total{cause}``."""
        self.metrics.sessions_ended.of(cause.value).inc(count)

    @_never_raises
    def logout_propagated(self, seconds: float) -> None:
        """``logout_propagation_seconds``."""
        self.metrics.logout_propagation.observe(max(seconds, 0.0))

    def call_context(self) -> Mapping[str, str]:
        """Return nothing: no call belongs to a trace here."""
        return NO_FIELDS

    @_never_raises
    def provider_call(self, operation: str, outcome: str, seconds: float) -> None:
        """``keycloak_duration_seconds{op,outcome}``."""
        self.metrics.provider.of(operation, outcome).observe(seconds)

    @_never_raises
    def store_call(self, operation: str, seconds: float) -> None:
        """``store_duration_seconds{op}``."""
        self.metrics.store.of(operation).observe(seconds)

    @_never_raises
    def store_error(self) -> None:
        """``store_errors_total``."""
        self.metrics.store_errors.inc()

    @_never_raises
    def streams(self, change: int) -> None:
        """``open_streams``."""
        self.metrics.open_streams.inc(change)

    @_never_raises
    def config_reload(self, outcome: str, *, succeeded: bool) -> None:
        """``config_reloads_total{outcome}``, and whether the file on disk is what runs."""
        self.metrics.config_reloads.of(outcome).inc()
        self.metrics.config_successful.set(succeeded)
        if succeeded:
            self.metrics.config_applied_at.set_to_current_time()

    @_never_raises
    def notice(self, message: str, **fields: str | float) -> None:
        """Say something that the operator may want to know."""
        self.log.say(LogLevel.INFO, message, fields)

    @_never_raises
    def warning(self, message: str, **fields: str | float) -> None:
        """Say something that the operator should know."""
        self.log.say(LogLevel.WARNING, message, fields)

    @_never_raises
    def error(self, message: str, **fields: str | float) -> None:
        """Say something that the operator must mend."""
        self.log.say(LogLevel.ERROR, message, fields)


def _log(
    write: Callable[[bytes], None], sample: LineRate | None, *, clock: Clock, level: LogLevel, line_format: LogFormat
) -> Log:
    if sample is None:
        return Log(write, clock=clock, level=level, line_format=line_format)
    return SampledLog(write, clock=clock, level=level, line_format=line_format, rate=sample)
