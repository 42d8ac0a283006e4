"""What is counted for every request is right, bounded, and leads to traces where there are any."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from proxy.observe import request_figures as module
from proxy.observe.request_figures import BUCKETS_S, Durations, RequestFigures, TracedRequestFigures
from tests.support.events import make_event

if TYPE_CHECKING:
    from prometheus_client.samples import Sample


def samples(figures: RequestFigures) -> list[Sample]:
    return [sample for family in figures.collect() for sample in family.samples]


def value(figures: RequestFigures, name: str, **labels: str) -> float | None:
    return next((sample.value for sample in samples(figures) if (sample.name, sample.labels) == (name, labels)), None)


def test_requests_are_counted_by_route_decision_and_status_whatever_the_reason() -> None:
    figures = RequestFigures()
    for status, reason in ((200, "authenticated"), (200, "role"), (502, "upstream_unreachable")):
        figures.count(make_event(status=status, reason=reason))

    labels = {"route": "/**", "decision": "allow"}
    assert value(figures, "sidegate_requests_total", **labels, status="200") == 2
    assert value(figures, "sidegate_requests_total", **labels, status="502") == 1


def test_whoever_was_kept_out_is_counted_by_the_reason_and_nobody_else_is() -> None:
    figures = RequestFigures()
    for route in ("/admin/**", "/api/**"):
        figures.count(make_event(route=route, decision="forbid", reason="missing_role", status=403))
    figures.count(make_event(decision="redirect", reason="https", status=308))
    figures.count(make_event())

    denials = [sample for sample in samples(figures) if sample.name == "sidegate_denials_total"]
    assert [(one.labels, one.value) for one in denials] == [({"decision": "forbid", "reason": "missing_role"}, 2)]


@pytest.mark.parametrize("seconds", [0.0, BUCKETS_S[0], 0.0011, 0.3, BUCKETS_S[-1], 61.0])
def test_a_duration_is_in_every_bucket_whose_end_it_does_not_exceed(seconds: float) -> None:
    by_hand, by_request = Durations(), RequestFigures()
    by_hand.observe(seconds)
    by_request.count(make_event(duration_s=seconds))

    for durations in (by_hand, by_request.durations):
        family = durations.family("x", "x")
        buckets = {sample.labels["le"]: sample.value for sample in family.samples if sample.name == "x_bucket"}
        assert buckets == {**{str(end): float(seconds <= end) for end in BUCKETS_S}, "+Inf": 1.0}
        assert {sample.name: sample.value for sample in family.samples if "le" not in sample.labels} == {
            "x_count": 1.0,
            "x_sum": seconds,
        }


def test_a_request_without_upstream_is_not_in_the_upstreams_histogram() -> None:
    figures = RequestFigures()
    figures.count(make_event(upstream_s=None))

    assert value(figures, "sidegate_request_duration_seconds_count") == 1
    assert value(figures, "sidegate_upstream_duration_seconds_count") == 0


def test_series_are_bounded_and_nothing_goes_uncounted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_SERIES", 10)
    figures = RequestFigures()
    for status in range(100, 200):
        figures.count(make_event(status=status))

    counted = [sample for sample in samples(figures) if sample.name == "sidegate_requests_total"]
    assert len(counted) == 11
    assert sum(sample.value for sample in counted) == 100
    assert value(figures, "sidegate_requests_total", route="other", decision="other", status="0") == 90


def test_a_bucket_leads_to_the_newest_trace_that_fell_into_it_and_no_other_bucket_does() -> None:
    figures = TracedRequestFigures()
    for trace_id in ("old", "new"):
        event = make_event(duration_s=0.3, upstream_s=0.2)
        figures.count(event)
        figures.remember(trace_id, event, at=7.0)

    def exemplars(name: str) -> dict[str, tuple[str, float, float | None]]:
        return {
            sample.labels["le"]: (sample.exemplar.labels["trace_id"], sample.exemplar.value, sample.exemplar.timestamp)
            for sample in samples(figures)
            if sample.name == name and sample.exemplar is not None
        }

    assert exemplars("sidegate_request_duration_seconds_bucket") == {"0.5": ("new", 0.3, 7.0)}
    assert exemplars("sidegate_upstream_duration_seconds_bucket") == {"0.25": ("new", 0.2, 7.0)}
    assert value(figures, "sidegate_request_duration_seconds_count") == 2


def test_a_request_that_never_asked_the_upstream_is_no_example_of_it() -> None:
    figures = TracedRequestFigures()
    event = make_event(upstream_s=None)
    figures.count(event)
    figures.remember("one", event, at=7.0)

    found = [sample.name for sample in samples(figures) if sample.exemplar is not None]
    assert found == ["sidegate_request_duration_seconds_bucket"]
