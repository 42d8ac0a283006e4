"""The observer where traces are told: the same lines and figures, with the trace of whatever they speak of.

A class of its own, so that an observer without tracing is asked nothing.
"""

from __future__ import annotations

from contextvars import ContextVar
from typing import TYPE_CHECKING, Final, cast

from proxy.observe.metrics import Metrics
from proxy.observe.observer import NO_FIELDS, ProductionObserver
from proxy.observe.request_figures import TRACE_ID, TracedRequestFigures

if TYPE_CHECKING:
    from collections.abc import Mapping

    from proxy.observe.tracing import RequestTraces, Trace
    from proxy.ports import Clock, RequestEvent, Tracing


_call: Final[ContextVar[int | None]] = ContextVar("sidegate_call", default=None)
"""The id of the span of the call of the provider that this task makes."""


class TracedObserver(ProductionObserver):
    """See the module; tells nothing before :meth:`trace_with`."""

    tracing: Tracing
    _traces: RequestTraces
    _clock: Clock

    def _new_metrics(self) -> Metrics:
        return Metrics(TracedRequestFigures())

    def trace_with(self, traces: RequestTraces, *, clock: Clock) -> None:
        """Tell these traces, and name them in lines and exemplars from now on."""
        self.tracing = self._traces = traces
        self._clock = clock
        self.log.context = self._context

    def close(self) -> None:
        """Send the spans that wait, then write the lines that are still held."""
        self._traces.shut_down()
        super().close()

    def request(self, event: RequestEvent) -> None:
        """One request is over, and so is its span."""
        super().request(event)
        try:
            trace = self._traces.end(event)
            if trace is not None:
                figures = cast("TracedRequestFigures", self.metrics.requests)
                figures.remember(trace.trace_id, event, at=self._clock.now())
        except Exception:  # noqa: BLE001 - as in the observer without traces
            self.metrics.observer_faults.inc()

    def call_context(self) -> Mapping[str, str]:
        """Return ``traceparent`` for a call of the provider: its own spans are to stand below ours."""
        try:
            trace = self._traces.current()
            if trace is None:
                return NO_FIELDS
            span_id, traceparent = self._traces.begin_call(trace)
        except Exception:  # noqa: BLE001 - as in the observer without traces
            self.metrics.observer_faults.inc()
            return NO_FIELDS
        _call.set(span_id)
        return {"traceparent": traceparent}

    def provider_call(self, operation: str, outcome: str, seconds: float) -> None:
        """``keycloak_duration_seconds{op,outcome}``, and a span."""
        try:
            trace, span_id = self._traces.current(), _call.get()
            _call.set(None)
            self.metrics.provider.of(operation, outcome).observe(seconds, _exemplar(trace))
            if trace is not None:
                attributes = {"sidegate.keycloak.operation": operation, "sidegate.keycloak.outcome": outcome}
                if outcome != "ok":
                    attributes["error.type"] = outcome
                self._traces.tell_call(
                    trace, f"keycloak {operation}", seconds=seconds, attributes=attributes, span_id=span_id
                )
        except Exception:  # noqa: BLE001 - as in the observer without traces
            self.metrics.observer_faults.inc()

    def store_call(self, operation: str, seconds: float) -> None:
        """``store_duration_seconds{op}``, and a span."""
        try:
            trace = self._traces.current()
            self.metrics.store.of(operation).observe(seconds, _exemplar(trace))
            if trace is not None:
                attributes = {"db.system.name": "redis", "db.operation.name": operation}
                self._traces.tell_call(trace, f"store {operation}", seconds=seconds, attributes=attributes)
        except Exception:  # noqa: BLE001 - as in the observer without traces
            self.metrics.observer_faults.inc()

    def _context(self) -> Mapping[str, str]:
        trace = self._traces.current()
        return {} if trace is None else {TRACE_ID: trace.trace_id}


def _exemplar(trace: Trace | None) -> dict[str, str] | None:
    return None if trace is None else {TRACE_ID: trace.trace_id}
