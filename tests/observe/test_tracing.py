"""A request is one trace: its own span, what it asked, its way to the upstream, and nothing that a visitor chose."""

from __future__ import annotations

import asyncio
import re
from typing import TYPE_CHECKING, Any

import pytest
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF, ALWAYS_ON, ParentBased, Sampler
from opentelemetry.trace import SpanKind, StatusCode

from proxy.observe import tracing as module
from proxy.observe.tracing import LATE_S, RequestTraces
from proxy.ports import CallerTrace, UpstreamPlace
from tests.support.clocks import FakeClock
from tests.support.events import make_event

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import ReadableSpan

PARENT_TRACE, PARENT_SPAN = "ab" * 16, "cd" * 8
PLACE = UpstreamPlace("app", "127.0.0.1", 8000)


class Told:
    """Traces, and the spans that came out."""

    def __init__(self, sampler: Sampler = ALWAYS_ON) -> None:
        self.clock = FakeClock()
        self._exporter = InMemorySpanExporter()
        self.traces = RequestTraces(
            ParentBased(sampler), Resource.get_empty(), SimpleSpanProcessor(self._exporter), clock=self.clock
        )

    def request(self, caller: CallerTrace | None = None, **changes: Any) -> str:
        """Have a request that takes a second, with half a second until it is sent on."""
        traceparent = self.traces.begin(caller or CallerTrace())
        self.clock.advance(0.5)
        self.traces.sent_on(traceparent, PLACE)
        self.clock.advance(0.5)
        self.traces.end(make_event(traceparent=traceparent, duration_s=1.0, **changes))
        return traceparent

    @property
    def spans(self) -> dict[str, ReadableSpan]:
        return {span.name: span for span in self._exporter.get_finished_spans()}


@pytest.fixture
def told() -> Told:
    return Told()


def given(*, flags: str = "01", is_trusted: bool = True) -> CallerTrace:
    traceparent = f"00-{PARENT_TRACE}-{PARENT_SPAN}-{flags}"
    return CallerTrace(traceparent=traceparent, tracestate="vendor=1", is_trusted=is_trusted)


def test_the_apps_parent_is_the_span_of_the_call_to_it_and_that_ones_is_the_requests(told: Told) -> None:
    traceparent = told.request()

    request, upstream = told.spans["GET /**"], told.spans["GET"]
    assert traceparent == f"00-{request.context.trace_id:032x}-{upstream.context.span_id:016x}-01"
    assert upstream.parent is not None
    assert upstream.parent.span_id == request.context.span_id
    assert request.parent is None
    assert (request.kind, upstream.kind) == (SpanKind.SERVER, SpanKind.CLIENT)


def test_spans_last_as_long_as_what_they_tell_of(told: Told) -> None:
    began_at = told.clock.now()
    told.request()

    request, upstream = told.spans["GET /**"], told.spans["GET"]
    seconds = [(span.start_time / 1e9 - began_at, span.end_time / 1e9 - began_at) for span in (request, upstream)]  # type: ignore[operator]  # they have ended
    assert seconds == [pytest.approx((0.0, 1.0), abs=1e-6), pytest.approx((0.5, 1.0), abs=1e-6)]


def test_a_trusted_callers_trace_goes_on(told: Told) -> None:
    traceparent = told.request(given())

    parent = told.spans["GET /**"].parent
    assert traceparent.split("-")[1] == PARENT_TRACE
    assert parent is not None
    assert f"{parent.span_id:016x}" == PARENT_SPAN


def test_a_strangers_trace_is_only_named(told: Told) -> None:
    traceparent = told.request(given(is_trusted=False))

    request = told.spans["GET /**"]
    assert request.parent is None
    assert PARENT_TRACE not in traceparent
    assert [f"{link.context.trace_id:032x}" for link in request.links] == [PARENT_TRACE]


def test_a_trusted_caller_decides_whether_it_is_recorded_and_a_stranger_does_not() -> None:
    told = Told(ALWAYS_OFF)

    assert told.request(given(flags="01")).endswith("-01")
    assert told.request(given(flags="00")).endswith("-00")
    assert told.request(given(flags="01", is_trusted=False)).endswith("-00")
    assert len(told.spans) == 2  # those of the first


def test_what_is_not_recorded_costs_no_memory_and_names_a_trace_all_the_same() -> None:
    told = Told(ALWAYS_OFF)

    traceparent = told.traces.begin(CallerTrace())

    assert len(traceparent) == 55
    assert told.traces._open == {}
    assert told.traces.end(make_event(traceparent=traceparent)) is None


def test_an_environment_that_switches_opentelemetry_off_leaves_a_context_for_the_app(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("OTEL_SDK_DISABLED", "true")
    told = Told()

    traceparent = told.request()

    assert re.fullmatch(r"00-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-00", traceparent)
    assert told.spans == {}


def test_names_are_those_of_the_conventions_and_nothing_is_what_a_visitor_chose(told: Told) -> None:
    told.request(
        path="/users/alice?x=token",
        user_agent="Agent Smith",
        username="alice",
        subject="alice-id",
        address="192.0.2.1",
        host="app.example.com:8443",
        reason="authenticated",
    )

    request, upstream = told.spans["GET /**"], told.spans["GET"]
    assert dict(request.attributes or {}) == {
        "http.request.method": "GET",
        "http.response.status_code": 200,
        "http.route": "/**",
        "server.address": "app.example.com",
        "url.scheme": "http",
        "sidegate.request_id": "0123456789abcdef0123456789abcdef",
        "sidegate.decision": "allow",
        "sidegate.reason": "authenticated",
    }
    assert dict(upstream.attributes or {}) == {
        "http.request.method": "GET",
        "http.response.status_code": 200,
        "server.address": "127.0.0.1",
        "server.port": 8000,
        "sidegate.upstream": "app",
        "sidegate.head_after_s": 0.003,
    }


def test_a_method_that_somebody_invented_is_not_repeated(told: Told) -> None:
    told.request(method="ALICE", route="none")

    assert set(told.spans) == {"_OTHER"}  # both


def test_the_scheme_is_that_of_the_browser(told: Told) -> None:
    traceparent = told.traces.begin(CallerTrace(scheme="http"))
    told.traces.asked_by(traceparent, "https")
    told.traces.end(make_event(traceparent=traceparent))

    assert (told.spans["GET /**"].attributes or {})["url.scheme"] == "https"


@pytest.mark.parametrize(
    ("changes", "error_type"),
    [
        ({"status": 500}, "500"),
        ({"status": 502, "fault": "upstream_unreachable", "upstream_s": None}, "upstream_unreachable"),
        (
            {"status": 503, "fault": "redis://r:6379 is away", "reason": "store_unavailable", "upstream_s": None},
            "store_unavailable",
        ),
    ],
)
def test_a_fault_is_named_by_a_word_of_ours_or_by_the_status(
    told: Told, changes: dict[str, Any], error_type: str
) -> None:
    told.request(**changes)

    for span in told.spans.values():
        assert (span.attributes or {})["error.type"] == error_type
        assert span.status.status_code is StatusCode.ERROR
    answered = "http.response.status_code" in (told.spans["GET"].attributes or {})
    assert answered == (changes.get("upstream_s", 1) is not None)


def test_a_refusal_of_ours_is_no_fault_of_the_server(told: Told) -> None:
    traceparent = told.traces.begin(CallerTrace())
    told.traces.end(make_event(traceparent=traceparent, status=403, decision="forbid", reason="missing_role"))

    assert told.spans["GET /**"].status.status_code is StatusCode.UNSET
    assert set(told.spans) == {"GET /**"}  # no upstream was asked


async def test_what_is_asked_inside_of_a_request_is_told_below_it_and_so_is_what_it_began(told: Told) -> None:
    traceparent = told.traces.begin(CallerTrace())

    async def call(name: str) -> None:
        trace = told.traces.current()
        assert trace is not None
        told.traces.tell_call(trace, name, seconds=0.25, attributes={"db.system.name": "redis"})

    with told.traces.inside(traceparent):
        await call("store load")
        task = asyncio.get_running_loop().create_task(call("keycloak refresh"))
    assert told.traces.current() is None
    told.traces.end(make_event(traceparent=traceparent))
    await task

    spans = told.spans
    for name in ("store load", "keycloak refresh"):
        parent = spans[name].parent
        assert parent is not None
        assert parent.span_id == spans["GET /**"].context.span_id
    load = spans["store load"]
    assert (load.end_time or 0) - (load.start_time or 0) == pytest.approx(0.25e9, abs=1e3)


def test_a_task_that_outlives_its_request_is_not_told_below_it_for_ever(told: Told) -> None:
    traceparent = told.traces.begin(CallerTrace())
    with told.traces.inside(traceparent):
        told.traces.end(make_event(traceparent=traceparent))
        assert told.traces.current() is not None

        told.clock.advance(LATE_S + 1)
        assert told.traces.current() is None


def test_requests_at_once_do_not_mix(told: Told) -> None:
    first, second = told.traces.begin(CallerTrace()), told.traces.begin(CallerTrace())
    with told.traces.inside(first), told.traces.inside(second):
        assert told.traces.current() is told.traces._open[second]
    told.traces.end(make_event(traceparent=first, route="/first"))
    told.traces.end(make_event(traceparent=second, route="/second"))

    ids = {name: f"{span.context.trace_id:032x}" for name, span in told.spans.items()}
    assert ids == {"GET /first": first.split("-")[1], "GET /second": second.split("-")[1]}


def test_open_requests_are_bounded_and_the_oldest_is_told_as_it_is(told: Told, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_OPEN", 3)
    began = [told.traces.begin(CallerTrace()) for _ in range(5)]

    assert [*told.traces._open] == began[2:]
    assert set(told.spans) == {"request"}
    assert told.traces.end(make_event(traceparent=began[0])) is None


def test_the_end_of_the_process_tells_what_is_open(told: Told) -> None:
    told.traces.begin(CallerTrace())

    told.traces.shut_down()

    assert set(told.spans) == {"request"}


def test_a_prepared_id_is_given_once() -> None:
    ids = module.PreparedIds()
    ids.prepared = 7

    assert ids.generate_span_id() == 7
    assert ids.generate_span_id() != 7


def test_a_traceparent_that_cannot_be_read_is_nobodys(told: Told) -> None:
    traceparent = told.request(CallerTrace(traceparent="00-" + "0" * 32 + "-" + "0" * 16 + "-01", is_trusted=True))

    assert told.spans["GET /**"].parent is None
    assert "0" * 32 not in traceparent


async def test_contexts_do_not_reach_other_tasks(told: Told) -> None:
    traceparent = told.traces.begin(CallerTrace())
    seen: list[object] = []

    async def other() -> None:
        await asyncio.sleep(0)
        seen.append(told.traces.current())

    task = asyncio.get_running_loop().create_task(other())
    with told.traces.inside(traceparent):
        await task

    assert seen == [None]
