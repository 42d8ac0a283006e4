"""The figures have the names of the contract, are right, and are bounded."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from prometheus_client.parser import text_string_to_metric_families

from proxy import __version__
from proxy.observe import metrics as module
from proxy.observe.metrics import BUCKETS_S, Durations, Metrics

if TYPE_CHECKING:
    from prometheus_client.metrics_core import Metric

CONTRACT = {
    "sidegate_requests_total": {"route", "decision", "status"},
    "sidegate_request_duration_seconds_bucket": {"le"},
    "sidegate_upstream_duration_seconds_bucket": {"le"},
    "sidegate_sessions_active": set(),
    "sidegate_logins_total": {"method", "outcome"},
    "sidegate_refreshes_total": {"outcome"},
    "sidegate_refresh_wait_seconds_bucket": {"le"},
    "sidegate_outage_served_total": set(),
    "sidegate_logouts_total": {"kind"},
    "sidegate_sessions_ended_total": {"cause"},
    "sidegate_store_duration_seconds_bucket": {"op", "le"},
    "sidegate_store_errors_total": set(),
    "sidegate_keycloak_duration_seconds_bucket": {"op", "outcome", "le"},
    "sidegate_open_streams": set(),
    "sidegate_client_connections": set(),
    "sidegate_client_connections_refused_total": set(),
    "sidegate_build_info": {"version", "python"},
}


@pytest.fixture
def metrics() -> Metrics:
    return Metrics()


def families(metrics: Metrics) -> dict[str, Metric]:
    return {family.name: family for family in text_string_to_metric_families(metrics.exposition().decode())}


def value(metrics: Metrics, name: str, **labels: str) -> float | None:
    samples = [sample for family in families(metrics).values() for sample in family.samples]
    return next((sample.value for sample in samples if sample.name == name and sample.labels == labels), None)


def use_each(metrics: Metrics) -> None:
    metrics.requests.count("/**", "allow", 200)
    metrics.requests.took(0.1, 0.1)
    metrics.logins.of("form", "succeeded").inc()
    metrics.refreshes.of("refreshed").inc()
    metrics.refresh_wait.observe(0.1)
    metrics.logouts.of("local").inc()
    metrics.sessions_ended.of("logout").inc()
    metrics.provider.of("refresh", "ok").observe(0.1)
    metrics.store.of("load").observe(0.1)


def test_names_and_labels_are_those_of_the_contract(metrics: Metrics) -> None:
    use_each(metrics)

    seen = {sample.name: set(sample.labels) for family in families(metrics).values() for sample in family.samples}
    assert {name: seen.get(name) for name in CONTRACT} == CONTRACT


def test_requests_are_counted_by_route_decision_and_status(metrics: Metrics) -> None:
    for status in (200, 200, 502):
        metrics.requests.count("/**", "allow", status)

    labels = {"route": "/**", "decision": "allow"}
    assert value(metrics, "sidegate_requests_total", **labels, status="200") == 2
    assert value(metrics, "sidegate_requests_total", **labels, status="502") == 1


def test_a_route_with_quotes_does_not_break_the_exposition(metrics: Metrics) -> None:
    metrics.requests.count('/a"b\\', "allow", 200)

    assert value(metrics, "sidegate_requests_total", route='/a"b\\', decision="allow", status="200") == 1


@pytest.mark.parametrize("seconds", [0.0, BUCKETS_S[0], 0.0011, 0.3, BUCKETS_S[-1], 61.0])
def test_a_duration_is_in_every_bucket_whose_end_it_does_not_exceed(seconds: float) -> None:
    durations = Durations()
    durations.observe(seconds)

    family = durations.family("x", "x")

    buckets = {sample.labels["le"]: sample.value for sample in family.samples if sample.name == "x_bucket"}
    assert buckets == {**{str(end): float(seconds <= end) for end in BUCKETS_S}, "+Inf": 1.0}
    assert {sample.name: sample.value for sample in family.samples if "le" not in sample.labels} == {
        "x_count": 1.0,
        "x_sum": seconds,
    }


def test_a_request_without_upstream_is_not_in_the_upstreams_histogram(metrics: Metrics) -> None:
    metrics.requests.took(0.1, None)

    assert value(metrics, "sidegate_request_duration_seconds_count") == 1
    assert value(metrics, "sidegate_upstream_duration_seconds_count") == 0


def test_series_of_requests_are_bounded_and_nothing_goes_uncounted(
    metrics: Metrics, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "MAX_SERIES", 10)
    for status in range(100, 200):
        metrics.requests.count("/**", "allow", status)

    samples = families(metrics)["sidegate_requests"].samples
    assert len(samples) == 11
    assert sum(sample.value for sample in samples) == 100
    assert value(metrics, "sidegate_requests_total", route="other", decision="other", status="0") == 90


def test_series_of_every_other_metric_are_bounded_too(metrics: Metrics, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_SERIES", 10)
    for n in range(100):
        metrics.logins.of("form", f"outcome-{n}").inc()

    samples = [sample for sample in families(metrics)["sidegate_logins"].samples if sample.name.endswith("_total")]
    assert len(samples) == 11
    assert value(metrics, "sidegate_logins_total", method="other", outcome="other") == 90


def test_live_sessions_open_streams_and_dropped_lines_are_asked_for_at_each_scrape(metrics: Metrics) -> None:
    counts = [3, 7, 5]
    metrics.watch_streams(lambda: counts[2])
    metrics.watch_sessions(lambda: counts[0])
    metrics.watch_dropped_lines(lambda: counts[1])

    assert value(metrics, "sidegate_sessions_active") == 3
    counts[0] = 4
    assert value(metrics, "sidegate_sessions_active") == 4
    assert value(metrics, "sidegate_log_lines_dropped") == 7
    assert value(metrics, "sidegate_open_streams") == 5


def test_clients_are_asked_for_at_each_scrape_and_those_turned_away_are_a_counter(metrics: Metrics) -> None:
    assert value(metrics, "sidegate_client_connections") == 0
    counts = [9, 2]

    metrics.watch_connections(open_now=lambda: counts[0], refused=lambda: counts[1])
    counts[0] = 8

    assert value(metrics, "sidegate_client_connections") == 8
    assert value(metrics, "sidegate_client_connections_refused_total") == 2
    assert families(metrics)["sidegate_client_connections_refused"].type == "counter"


def test_audit_events_that_are_not_kept_are_a_counter_from_the_first_scrape(metrics: Metrics) -> None:
    assert value(metrics, "sidegate_audit_dropped_total") == 0

    metrics.watch_dropped_audit(lambda: 4)

    assert value(metrics, "sidegate_audit_dropped_total") == 4
    assert families(metrics)["sidegate_audit_dropped"].type == "counter"


def test_two_applications_in_one_process_do_not_share_figures() -> None:
    first, second = Metrics(), Metrics()
    first.store_errors.inc()

    assert value(first, "sidegate_store_errors_total") == 1
    assert value(second, "sidegate_store_errors_total") == 0


def test_the_build_is_named(metrics: Metrics) -> None:
    (sample,) = families(metrics)["sidegate_build_info"].samples

    assert (sample.labels["version"], sample.value) == (__version__, 1)
