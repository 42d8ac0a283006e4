"""Ended spans reach the collector, and one that is slow, away or unwilling costs spans, never time."""

from __future__ import annotations

import threading
import time
from collections import Counter
from typing import TYPE_CHECKING

import pytest
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult

from proxy.errors import SettingsError
from proxy.observe import otlp
from proxy.observe.otlp import CountedExporter, CountedQueue, traces_over_otlp
from proxy.observe.tracing_options import TracingOptions
from proxy.ports import CallerTrace
from tests.support.clocks import FakeClock
from tests.support.collector import Collector
from tests.support.events import make_event

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from opentelemetry.sdk.trace import ReadableSpan

    from proxy.observe.tracing import RequestTraces


class Counts(Counter[str]):
    """What became of spans."""

    def __call__(self, outcome: str, spans: int) -> None:
        self[outcome] += spans


class Secrets:
    """Headers as files have them now."""

    def __init__(self) -> None:
        self.token = "first"

    def __call__(self) -> dict[str, str]:
        if not self.token:
            raise SettingsError("the file is empty")
        return {"Authorization": self.token}


@pytest.fixture
def collector() -> Iterator[Collector]:
    with Collector() as listening:
        yield listening


def open_traces(collector: Collector, counts: Counts, headers: Secrets, *, ratio: float = 1.0) -> RequestTraces:
    options = TracingOptions(f"{collector.url}/v1/traces", "gate-1", ratio, headers)
    return traces_over_otlp(options, clock=FakeClock(), count=counts)


def request(traces: RequestTraces) -> None:
    traces.end(make_event(traceparent=traces.begin(CallerTrace())))


def test_spans_are_sent_at_the_end_with_the_name_of_the_service_and_the_headers_of_the_file(
    collector: Collector,
) -> None:
    counts = Counts()
    traces = open_traces(collector, counts, Secrets())
    request(traces)

    traces.shut_down()

    (span,) = collector.spans
    assert (span.name, span.resource["service.name"]) == ("GET /**", "gate-1")
    assert {"service.version", "service.instance.id"} <= set(span.resource)
    assert collector.paths == ["/v1/traces"]
    assert collector.headers[0]["authorization"] == "first"
    assert collector.headers[0]["content-type"] == "application/x-protobuf"
    assert counts == {"sent": 1}


def test_a_header_is_read_anew_for_each_batch(collector: Collector, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(otlp, "GATHER_MS", 10)
    headers = Secrets()
    traces = open_traces(collector, Counts(), headers)
    request(traces)
    collector.wait_for(1)
    headers.token = "second"
    request(traces)
    collector.wait_for(2)
    traces.shut_down()

    assert [sent["authorization"] for sent in collector.headers] == ["first", "second"]


def test_a_secret_that_cannot_be_read_costs_the_batch_and_nothing_else(collector: Collector) -> None:
    counts, headers = Counts(), Secrets()
    headers.token = ""
    traces = open_traces(collector, counts, headers)
    request(traces)

    traces.shut_down()

    assert collector.spans == []
    assert counts == {"failed": 1}


def test_of_requests_that_nobody_decided_about_the_part_is_recorded_that_the_file_says(collector: Collector) -> None:
    traces = open_traces(collector, Counts(), Secrets(), ratio=0.0)
    request(traces)
    traces.end(make_event(traceparent=traces.begin(trusted(flags="01"))))
    traces.shut_down()

    assert [span.trace_id for span in collector.spans] == ["ab" * 16]


def trusted(*, flags: str) -> CallerTrace:
    return CallerTrace(traceparent=f"00-{'ab' * 16}-{'cd' * 8}-{flags}", is_trusted=True)


def test_a_collector_that_refuses_is_counted(collector: Collector) -> None:
    counts = Counts()
    collector.status = 400
    traces = open_traces(collector, counts, Secrets())
    request(traces)

    traces.shut_down()

    assert counts == {"failed": 1}


def test_a_collector_that_never_answers_holds_up_nobody(collector: Collector, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(otlp, "FLUSH_S", 0.2)
    collector.holds.set()
    traces = open_traces(collector, Counts(), Secrets())
    began = time.monotonic()
    for _ in range(2 * otlp.BATCH):
        request(traces)
    requests_took = time.monotonic() - began
    traces.shut_down()
    ended = time.monotonic() - began - requests_took

    collector.holds.clear()
    for thread in [thread for thread in threading.enumerate() if thread.name == "traces"]:
        thread.join(10)

    assert requests_took < 5, "a request waits for the collector"
    assert ended < 3, "the end waits for the collector"


def test_what_waits_is_bounded_and_what_is_lost_is_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(otlp, "FLUSH_S", 5.0)
    counts, stuck = Counts(), Stuck()
    sender = CountedExporter(stuck, counts)
    queue = CountedQueue(sender, counts, max_waiting=10)
    provider = TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(queue)
    tracer = provider.get_tracer("test")
    for _ in range(45):
        tracer.start_span("x").end()

    waiting, taken = len(queue._batch_processor._queue), sender.taken
    assert waiting <= 10
    assert taken <= 10, "the sender is stuck with its first batch"
    assert counts["lost"] == 45 - taken - waiting
    stuck.holds.set()
    provider.shutdown()
    assert counts["lost"] + counts["sent"] == 45


class Stuck(SpanExporter):
    """Sends nothing while nobody lets it."""

    def __init__(self) -> None:
        self.holds = threading.Event()

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        self.holds.wait(10)
        return SpanExportResult.SUCCESS
