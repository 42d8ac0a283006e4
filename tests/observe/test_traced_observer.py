"""Lines and figures name the trace of what they speak of, and what tracing cannot do costs no line and no figure."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.sdk.trace.sampling import ALWAYS_ON
from prometheus_client.openmetrics.parser import text_string_to_metric_families

from proxy.observe.traced_observer import TracedObserver
from proxy.observe.tracing import RequestTraces
from proxy.ports import AuditEvent, CallerTrace
from tests.support.clocks import FakeClock
from tests.support.events import make_event

if TYPE_CHECKING:
    from collections.abc import Iterator

OPENMETRICS = "application/openmetrics-text; version=1.0.0"


class Observed:
    """An observer that traces, its lines, its spans and its exemplars."""

    def __init__(self) -> None:
        self.batches: list[bytes] = []
        self.exporter = InMemorySpanExporter()
        clock = FakeClock()
        self.observer = TracedObserver(self.batches.append, clock=clock)
        self.traces = RequestTraces(ALWAYS_ON, Resource.get_empty(), SimpleSpanProcessor(self.exporter), clock=clock)
        self.observer.trace_with(self.traces, clock=clock)

    def lines(self) -> list[dict[str, Any]]:
        self.observer.close()
        return [json.loads(line) for line in b"".join(self.batches).splitlines()]

    def spans(self) -> dict[str, dict[str, Any]]:
        return {span.name: dict(span.attributes or {}) for span in self.exporter.get_finished_spans()}

    def exemplars(self) -> dict[str, str]:
        body, _ = self.observer.exposition(OPENMETRICS)
        samples = [sample for family in text_string_to_metric_families(body.decode()) for sample in family.samples]
        return {sample.name: sample.exemplar.labels["trace_id"] for sample in samples if sample.exemplar is not None}

    def count(self, name: str) -> float:
        body, _ = self.observer.exposition(OPENMETRICS)
        samples = [sample for family in text_string_to_metric_families(body.decode()) for sample in family.samples]
        return sum(sample.value for sample in samples if sample.name == name)


@pytest.fixture
def observed() -> Iterator[Observed]:
    made = Observed()
    yield made
    made.observer.close()


def test_lines_figures_and_spans_of_a_request_have_one_trace(observed: Observed) -> None:
    observer = observed.observer
    traceparent = observed.traces.begin(CallerTrace())
    trace_id = traceparent.split("-")[1]
    with observed.traces.inside(traceparent):
        observer.store_call("load", 0.01)
        observer.provider_call("refresh", "ok", 0.2)
        observer.warning("something")
        observer.audit(AuditEvent(event="access.denied"))
    observer.request(make_event(traceparent=traceparent))

    assert observed.spans()["store load"] == {"db.system.name": "redis", "db.operation.name": "load"}
    assert observed.spans()["keycloak refresh"] == {
        "sidegate.keycloak.operation": "refresh",
        "sidegate.keycloak.outcome": "ok",
    }
    assert observed.exemplars() == dict.fromkeys(
        (
            "sidegate_request_duration_seconds_bucket",
            "sidegate_upstream_duration_seconds_bucket",
            "sidegate_keycloak_duration_seconds_bucket",
            "sidegate_store_duration_seconds_bucket",
        ),
        trace_id,
    )
    assert [line["trace_id"] for line in observed.lines()] == [trace_id] * 3


def test_a_call_of_keycloak_that_failed_is_a_fault(observed: Observed) -> None:
    with observed.traces.inside(observed.traces.begin(CallerTrace())):
        observed.observer.provider_call("refresh", "unreachable", 0.2)

    assert observed.spans()["keycloak refresh"]["error.type"] == "unreachable"


def test_keycloak_is_told_of_the_span_of_its_own_call_and_of_no_other(observed: Observed) -> None:
    observer = observed.observer
    traceparent = observed.traces.begin(CallerTrace())
    with observed.traces.inside(traceparent):
        told = [dict(observer.call_context())]
        observer.store_call("load", 0.01)
        observer.provider_call("refresh", "ok", 0.2)
        told.append(dict(observer.call_context()))
        observer.provider_call("userinfo", "ok", 0.2)
        observer.provider_call("untold", "ok", 0.2)

    spans = {span.name: span.context for span in observed.exporter.get_finished_spans()}
    of_calls = [spans["keycloak refresh"], spans["keycloak userinfo"]]
    assert told == [{"traceparent": f"00-{one.trace_id:032x}-{one.span_id:016x}-01"} for one in of_calls]
    assert {f"{one.trace_id:032x}" for one in spans.values()} == {traceparent.split("-")[1]}
    assert len({one.span_id for one in spans.values()}) == 4


def test_a_call_that_belongs_to_no_request_names_no_trace(observed: Observed) -> None:
    assert observed.observer.call_context() == {}


def test_what_belongs_to_no_request_is_counted_without_a_span(observed: Observed) -> None:
    observed.observer.store_call("load", 0.01)
    observed.observer.provider_call("jwks", "ok", 0.2)
    observed.observer.warning("something")

    assert observed.spans() == {}
    assert observed.exemplars() == {}
    assert observed.count("sidegate_store_duration_seconds_count") == 1
    assert observed.count("sidegate_keycloak_duration_seconds_count") == 1
    assert [set(line) & {"trace_id"} for line in observed.lines()] == [set()]


def test_what_tracing_cannot_do_costs_no_line_and_no_figure(
    observed: Observed, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object, **__: object) -> None:
        raise RuntimeError("a defect")

    monkeypatch.setattr(observed.traces, "end", broken)
    monkeypatch.setattr(observed.traces, "current", broken)
    observed.observer.request(make_event())
    observed.observer.store_call("load", 0.01)
    observed.observer.provider_call("jwks", "ok", 0.2)

    assert observed.count("sidegate_requests_total") == 1
    assert observed.count("sidegate_observer_faults_total") == 3
    assert len(observed.lines()) == 1
