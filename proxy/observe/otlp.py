"""The way of ended spans to the collector: a bounded queue, a thread that sends it, and a count of what became of it.

Everything is OpenTelemetry's own (SDK, OTLP exporter over HTTP); here it is put together: nothing of the environment
decides where spans go, secrets are read anew for each batch, and the end of the process waits for nobody for long.
"""

from __future__ import annotations

import threading
import uuid
from typing import TYPE_CHECKING, Final

import requests
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult
from opentelemetry.sdk.trace.sampling import ParentBased, TraceIdRatioBased

from proxy import __version__
from proxy.observe.tracing import MAX_QUEUE, RequestTraces

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from opentelemetry.sdk.trace import ReadableSpan

    from proxy.observe.tracing_options import TracingOptions
    from proxy.ports import Clock

BATCH: Final = 512
"""Spans of one request to the collector: about 200 KiB."""

GATHER_MS: Final = 2000
"""How long spans wait for others; a trace is looked at seconds later at the earliest."""

SEND_S: Final = 5.0
"""How long one batch may take, tries again included; then it is lost."""

FLUSH_S: Final = 3.0
"""How long the end of the process waits for a collector: with ``shutdown_grace`` it must fit into a pod's grace."""

Count = "Callable[[str, int], object]"


class CountedExporter(SpanExporter):
    """An exporter that says what became of each batch; called in one thread."""

    def __init__(self, exporter: SpanExporter, count: Callable[[str, int], object]) -> None:
        """Begin; ``count`` is told ``sent`` or ``failed``, and how many spans."""
        self._exporter = exporter
        self._count = count
        self.taken = 0

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        """Send a batch."""
        self.taken += len(spans)
        result = self._exporter.export(spans)
        self._count("sent" if result is SpanExportResult.SUCCESS else "failed", len(spans))
        return result

    def shutdown(self) -> None:
        """Give up what is under way."""
        self._exporter.shutdown()


class CountedQueue(BatchSpanProcessor):
    """A queue that says how many spans it had no room for."""

    def __init__(
        self, exporter: CountedExporter, count: Callable[[str, int], object], *, max_waiting: int = MAX_QUEUE
    ) -> None:
        """Begin, with a thread."""
        batch = min(BATCH, max_waiting)
        super().__init__(
            exporter, max_queue_size=max_waiting, schedule_delay_millis=GATHER_MS, max_export_batch_size=batch
        )
        self._sender = exporter
        self._count = count
        self._max_waiting = max_waiting
        self._given = self._lost = 0

    def on_end(self, span: ReadableSpan) -> None:
        """Take a span; at the cap the oldest goes."""
        self._given += 1
        if self._given - self._lost - self._sender.taken > self._max_waiting:
            self._lost += 1
            self._count("lost", 1)
        super().on_end(span)

    def shutdown(self) -> None:
        """Send what waits, for :data:`FLUSH_S` at most: OpenTelemetry's own end waits for half a minute."""
        # A daemon, so that a collector that never answers does not keep the process from ending.
        sending = threading.Thread(target=super().shutdown, name="traces", daemon=True)
        sending.start()
        sending.join(FLUSH_S)


class _Shown(requests.auth.AuthBase):
    """Show the collector the headers of the file, as they are now."""

    def __init__(self, options: TracingOptions) -> None:
        self._options = options

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        request.headers.update(self._options.headers())
        return request


def traces_over_otlp(options: TracingOptions, *, clock: Clock, count: Callable[[str, int], object]) -> RequestTraces:
    """Return traces that go to a collector; see ``open_traces``."""
    session = requests.Session()
    session.auth = _Shown(options)
    exporter = OTLPSpanExporter(
        endpoint=options.endpoint, certificate_file=options.ca_file, timeout=SEND_S, session=session
    )
    counted = CountedExporter(exporter, count)
    return RequestTraces(
        ParentBased(TraceIdRatioBased(options.ratio)),
        Resource.create(
            {
                "service.name": options.service_name,
                "service.version": __version__,
                "service.instance.id": str(uuid.uuid4()),
            }
        ),
        CountedQueue(counted, count),
        clock=clock,
    )
