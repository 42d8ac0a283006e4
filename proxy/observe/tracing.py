"""Traces of requests by OpenTelemetry: imported where ``tracing`` is in the file, and nowhere else.

A request's span begins with its head and ends with its event; what store and provider took, and the way of the request
to its upstream, are spans below it. The call to the upstream is told at its end, under the id that was sent along at
its beginning, so that the app's own span has the right parent. Names and attributes are those of OpenTelemetry's
semantic conventions for HTTP and databases; what a visitor chose (path, query, names, addresses, user agent) is in none
of them: the id of the request leads to its line in the log.

What is ended waits in a queue for a thread that sends it. Nothing here waits for the collector.

==============  ===============  ==================================================================
structure       cap              at the cap
==============  ===============  ==================================================================
open requests   ``MAX_OPEN``     the oldest is told as it is, and its end is no news any more
queue           ``MAX_QUEUE``    the oldest span that waits is lost
==============  ===============  ==================================================================
"""

from __future__ import annotations

from collections.abc import Iterator  # noqa: TC003 - contextlib looks at nothing, but readers of hints do
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING, Final

from msgspec import Struct
from opentelemetry.context import Context
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.id_generator import IdGenerator, RandomIdGenerator
from opentelemetry.trace import Link, SpanKind, Status, StatusCode, get_current_span, set_span_in_context
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

if TYPE_CHECKING:
    from collections.abc import Mapping

    from opentelemetry.sdk.resources import Resource
    from opentelemetry.sdk.trace import SpanProcessor
    from opentelemetry.sdk.trace.sampling import Sampler
    from opentelemetry.trace import Span, SpanContext
    from opentelemetry.util.types import AttributeValue

    from proxy.ports import CallerTrace, Clock, RequestEvent, UpstreamPlace

MAX_OPEN: Final = 20_000
"""Requests that are traced at once; each is about 3 KiB."""

MAX_QUEUE: Final = 4096
"""Spans that wait to be sent, about 2 KiB each: two seconds of 500 requests, or a collector's restart."""

LATE_S: Final = 60.0
"""Seconds after the end of a request for which calls that it caused are still told below it."""

KNOWN_METHODS: Final = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
"""Any other is ``_OTHER``, for anybody may invent one (semantic conventions for HTTP: ``http.request.method``)."""

_NANOSECONDS: Final = 1_000_000_000

_PROPAGATOR: Final = TraceContextTextMapPropagator()


class PreparedIds(RandomIdGenerator):
    """Random ids, but for a span whose id was given away before it began."""

    def __init__(self) -> None:
        """Begin with nothing prepared."""
        super().__init__()
        self.prepared: int | None = None

    def generate_span_id(self) -> int:
        """Return the prepared id once, else a random one."""
        prepared, self.prepared = self.prepared, None
        return super().generate_span_id() if prepared is None else prepared


class Trace(Struct, eq=False):
    """One request that is recorded."""

    span: Span
    context: Context
    began_at: float
    upstream_span_id: int
    scheme: str
    place: UpstreamPlace | None = None
    sent_on_at: float = 0.0
    ended_at: float | None = None

    @property
    def trace_id(self) -> str:
        """Return the id as it is written in logs and exemplars."""
        return f"{self.span.get_span_context().trace_id:032x}"


_current: ContextVar[Trace | None] = ContextVar("sidegate_trace", default=None)


class RequestTraces:
    """``ports.Tracing``."""

    def __init__(self, sampler: Sampler, resource: Resource, processor: SpanProcessor, *, clock: Clock) -> None:
        """Begin; ``processor`` takes spans that ended, and neither waits nor raises."""
        self._clock = clock
        self._ids = PreparedIds()
        ids: IdGenerator = self._ids
        # Ended by whoever owns it: an exit of the process must not wait for a collector.
        self._provider = TracerProvider(sampler=sampler, resource=resource, id_generator=ids, shutdown_on_exit=False)
        self._provider.add_span_processor(processor)
        self._tracer = self._provider.get_tracer("sidegate")
        self._open: dict[str, Trace] = {}

    # --- ports.Tracing ------------------------------------------------------------------------------------------------

    def begin(self, caller: CallerTrace) -> str:
        """Begin the span of a request; see the port."""
        now = self._clock.now()
        parent, links = _lineage(caller)
        span = self._tracer.start_span(
            "request", context=parent, kind=SpanKind.SERVER, links=links, start_time=_instant(now)
        )
        told = span.get_span_context()
        if not told.is_valid:
            # OTEL_SDK_DISABLED: nobody is told anything, and the app gets a context all the same.
            return f"00-{self._ids.generate_trace_id():032x}-{self._ids.generate_span_id():016x}-00"
        if not span.is_recording():
            return _traceparent(told, told.span_id)
        trace = Trace(
            span,
            set_span_in_context(span, Context()),
            began_at=now,
            upstream_span_id=self._ids.generate_span_id(),
            scheme=caller.scheme,
        )
        traceparent = _traceparent(told, trace.upstream_span_id)
        while len(self._open) >= MAX_OPEN:
            self._open.pop(next(iter(self._open))).span.end()
        self._open[traceparent] = trace
        return traceparent

    def asked_by(self, traceparent: str, scheme: str) -> None:
        """Hear of the scheme; see the port."""
        if (trace := self._open.get(traceparent)) is not None:
            trace.scheme = scheme

    def sent_on(self, traceparent: str, place: UpstreamPlace) -> None:
        """Hear that the request goes on; see the port."""
        if (trace := self._open.get(traceparent)) is not None:
            trace.place = place
            trace.sent_on_at = self._clock.now()

    @contextmanager
    def inside(self, traceparent: str) -> Iterator[None]:
        """Make the request that of whatever happens in here; see the port."""
        token = _current.set(self._open.get(traceparent))
        try:
            yield
        finally:
            _current.reset(token)

    # --- for the observer ---------------------------------------------------------------------------------------------

    def current(self) -> Trace | None:
        """Return the request in whose context this is called, while calls of it may be told."""
        trace = _current.get()
        if trace is None or trace.ended_at is None or self._clock.now() - trace.ended_at <= LATE_S:
            return trace
        return None

    def end(self, event: RequestEvent) -> Trace | None:
        """End the spans of a request that is over; returns its trace when it was recorded."""
        trace = self._open.pop(event.traceparent, None)
        if trace is None:
            return None
        trace.ended_at = trace.began_at + event.duration_s
        if trace.place is not None:
            self._end_upstream(trace, trace.place, event)
        trace.span.update_name(_name(event))
        trace.span.set_attributes(_server_attributes(trace, event))
        if event.status >= 500:
            trace.span.set_attribute("error.type", _error_type(event))
            trace.span.set_status(Status(StatusCode.ERROR))
        trace.span.end(_instant(trace.ended_at))
        return trace

    def begin_call(self, trace: Trace) -> tuple[int, str]:
        """Return the id of a span that begins now, and the trace context that names it to whoever is called."""
        span_id = self._ids.generate_span_id()
        return span_id, _traceparent(trace.span.get_span_context(), span_id)

    def tell_call(
        self, trace: Trace, name: str, *, seconds: float, attributes: Mapping[str, str], span_id: int | None = None
    ) -> None:
        """Tell of a call that is over: it took ``seconds`` until now, and failed where it has an ``error.type``.

        Args:
            span_id: of :meth:`begin_call`; None where nobody was told.
        """
        now = self._clock.now()
        self._ids.prepared = span_id
        span = self._tracer.start_span(
            name,
            context=trace.context,
            kind=SpanKind.CLIENT,
            attributes=attributes,
            start_time=_instant(now - seconds),
        )
        if "error.type" in attributes:
            span.set_status(Status(StatusCode.ERROR))
        span.end(_instant(now))

    def shut_down(self) -> None:
        """Send what waits, and take nothing more; waits as long as the processor does."""
        for trace in self._open.values():
            trace.span.end()
        self._open.clear()
        self._provider.shutdown()

    def _end_upstream(self, trace: Trace, place: UpstreamPlace, event: RequestEvent) -> None:
        method = _method(event)
        attributes: dict[str, AttributeValue] = {
            "http.request.method": method,
            "server.address": place.address,
            "sidegate.upstream": place.name,
        }
        if place.port is not None:
            attributes["server.port"] = place.port
        if event.upstream_s is not None:
            attributes["sidegate.head_after_s"] = event.upstream_s
            attributes["http.response.status_code"] = event.status
        self._ids.prepared = trace.upstream_span_id
        span = self._tracer.start_span(
            method,
            context=trace.context,
            kind=SpanKind.CLIENT,
            attributes=attributes,
            start_time=_instant(trace.sent_on_at),
        )
        if event.fault is not None or event.status >= 400:
            span.set_attribute("error.type", _error_type(event))
            span.set_status(Status(StatusCode.ERROR))
        span.end(_instant(max(trace.ended_at or 0.0, trace.sent_on_at)))


def _lineage(caller: CallerTrace) -> tuple[Context, list[Link]]:
    """Return what a span of this caller's continues, and what it only names."""
    if caller.traceparent is None:
        return Context(), []
    carrier = {"traceparent": caller.traceparent}
    if caller.tracestate is not None:
        carrier["tracestate"] = caller.tracestate
    given = _PROPAGATOR.extract(carrier, Context())
    if caller.is_trusted:
        return given, []
    return Context(), [Link(get_current_span(given).get_span_context())]


def _traceparent(told: SpanContext, span_id: int) -> str:
    """Return a trace context as it is sent (W3C Trace Context §3.2)."""
    return f"00-{told.trace_id:032x}-{span_id:016x}-{told.trace_flags & 1:02x}"


def _server_attributes(trace: Trace, event: RequestEvent) -> dict[str, AttributeValue]:
    attributes: dict[str, AttributeValue] = {
        "http.request.method": _method(event),
        "http.response.status_code": event.status,
        "url.scheme": trace.scheme,
        "sidegate.request_id": event.request_id,
        "sidegate.decision": event.decision,
        "sidegate.reason": event.reason,
    }
    if event.route != "none":
        attributes["http.route"] = event.route
    if event.host:
        attributes["server.address"] = _without_port(event.host)
    return attributes


def _without_port(host: str) -> str:
    name, _, port = host.rpartition(":")
    return name if name and port.isdigit() else host


def _name(event: RequestEvent) -> str:
    return _method(event) if event.route == "none" else f"{_method(event)} {event.route}"


def _method(event: RequestEvent) -> str:
    return event.method if event.method in KNOWN_METHODS else "_OTHER"


def _error_type(event: RequestEvent) -> str:
    """Return a word of ours, or the status that the app gave: a fault may be a sentence that names what was sent."""
    if event.fault is None:
        return str(event.status)
    return event.fault if event.fault.isidentifier() else event.reason


def _instant(seconds: float) -> int:
    return int(seconds * _NANOSECONDS)
