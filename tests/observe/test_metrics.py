"""The figures have the names of the contract, are right, and are bounded."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from prometheus_client.openmetrics.parser import text_string_to_metric_families as openmetrics
from prometheus_client.parser import text_string_to_metric_families

from proxy import __version__
from proxy.observe import metrics as module
from proxy.observe.metrics import Metrics
from proxy.ports import Readiness
from tests.support.exposed import use_each

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
    "sidegate_throttled_total": {"limit"},
    "sidegate_logout_propagation_seconds_bucket": {"le"},
    "sidegate_denials_total": {"decision", "reason"},
    "sidegate_available": {"part"},
    "sidegate_ready": set(),
    "sidegate_sessions_limit": set(),
    "sidegate_certificate_expires_timestamp_seconds": {"key", "file"},
}


@pytest.fixture
def metrics() -> Metrics:
    return Metrics()


def families(metrics: Metrics) -> dict[str, Metric]:
    body, _ = metrics.exposition()
    return {family.name: family for family in text_string_to_metric_families(body.decode())}


def value(metrics: Metrics, name: str, **labels: str) -> float | None:
    samples = [sample for family in families(metrics).values() for sample in family.samples]
    return next((sample.value for sample in samples if sample.name == name and sample.labels == labels), None)


def test_names_and_labels_are_those_of_the_contract(metrics: Metrics) -> None:
    use_each(metrics)

    seen = {sample.name: set(sample.labels) for family in families(metrics).values() for sample in family.samples}
    assert {name: seen.get(name) for name in CONTRACT} == CONTRACT


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
    metrics.watch_lines(dropped=lambda: counts[1], left_out=lambda: 11)

    assert value(metrics, "sidegate_sessions_active") == 3
    counts[0] = 4
    assert value(metrics, "sidegate_sessions_active") == 4
    assert value(metrics, "sidegate_log_lines_dropped") == 7
    assert value(metrics, "sidegate_log_lines_left_out_total") == 11
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


def test_a_part_that_was_there_once_is_not_available_while_it_is_away(metrics: Metrics) -> None:
    states = {"keycloak": Readiness(is_ready=True, detail="away for 12 s: timeout"), "store": Readiness(is_ready=True)}
    metrics.watch_parts(is_ready=lambda: True, keycloak=lambda: states["keycloak"], store=lambda: states["store"])

    assert value(metrics, "sidegate_available", part="keycloak") == 0
    assert value(metrics, "sidegate_available", part="store") == 1
    assert value(metrics, "sidegate_ready") == 1


def test_nothing_is_ready_before_somebody_is_there_to_be_asked(metrics: Metrics) -> None:
    assert value(metrics, "sidegate_ready") == 0
    assert value(metrics, "sidegate_available", part="store") is None


def test_without_a_cap_no_number_of_sessions_is_near_it(metrics: Metrics) -> None:
    metrics.watch_sessions(lambda: 5)
    assert value(metrics, "sidegate_sessions_limit") == float("inf")

    metrics.watch_sessions(lambda: 5, limit=10)
    assert value(metrics, "sidegate_sessions_limit") == 10


def test_a_certificate_is_named_by_its_key_and_its_file(metrics: Metrics) -> None:
    metrics.watch_certificates(lambda: [("server.tls", "/etc/a.crt", 1.9e9), ("upstreams.app.tls", "/etc/b.crt", 2e9)])

    name = "sidegate_certificate_expires_timestamp_seconds"
    assert value(metrics, name, key="server.tls", file="/etc/a.crt") == 1.9e9
    assert value(metrics, name, key="upstreams.app.tls", file="/etc/b.crt") == 2e9


def test_the_start_can_be_told_from_the_beginning_of_the_process(metrics: Metrics) -> None:
    metrics.serving_since(1.8e9)

    assert value(metrics, "sidegate_serving_since_timestamp_seconds") == 1.8e9


@pytest.mark.parametrize(
    ("accept", "content_type"),
    [
        ("", "text/plain; version=0.0.4; charset=utf-8"),
        ("text/plain;version=0.0.4;q=0.5,*/*;q=0.1", "text/plain; version=0.0.4; charset=utf-8"),
        ("application/openmetrics-text;version=1.0.0;q=0.6,text/plain", "application/openmetrics-text; version=1.0.0"),
        ("application/openmetrics-text;version=evil\x01", "application/openmetrics-text; version=1.0.0"),
    ],
)
def test_openmetrics_is_for_whoever_accepts_it_in_our_own_words(
    metrics: Metrics, accept: str, content_type: str
) -> None:
    body, told = metrics.exposition(accept)

    assert told.startswith(content_type)
    assert body.endswith(b"# EOF\n") == ("openmetrics" in accept)
    assert {family.name for family in openmetrics(body.decode())} if "openmetrics" in accept else True


def test_two_applications_in_one_process_do_not_share_figures() -> None:
    first, second = Metrics(), Metrics()
    first.store_errors.inc()

    assert value(first, "sidegate_store_errors_total") == 1
    assert value(second, "sidegate_store_errors_total") == 0


def test_the_build_is_named(metrics: Metrics) -> None:
    (sample,) = families(metrics)["sidegate_build_info"].samples

    assert (sample.labels["version"], sample.value) == (__version__, 1)
