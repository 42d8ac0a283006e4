"""The observer says everything in the right place, and nothing that breaks while saying it reaches a request."""

from __future__ import annotations

import json
import statistics
import time
from typing import TYPE_CHECKING, Any

import pytest
from prometheus_client.parser import text_string_to_metric_families

from proxy.clock import SystemClock
from proxy.core.session import EndCause
from proxy.observe.observer import ProductionObserver
from proxy.ports import AuditEvent
from tests.support.clocks import FakeClock
from tests.support.events import make_event

if TYPE_CHECKING:
    from collections.abc import Iterator

    from proxy.ports import Observer


class Observed:
    """An observer, its lines and its figures."""

    def __init__(self) -> None:
        self.batches: list[bytes] = []
        self.observer = ProductionObserver(self.batches.append, clock=FakeClock())

    def lines(self) -> list[dict[str, Any]]:
        self.observer.close()
        return [json.loads(line) for line in b"".join(self.batches).splitlines()]

    def figures(self) -> dict[str, float]:
        families = text_string_to_metric_families(self.observer.exposition()[0].decode())
        samples = [sample for family in families for sample in family.samples]
        return {f"{sample.name}{sorted(sample.labels.values())}": sample.value for sample in samples}


@pytest.fixture
def observed() -> Iterator[Observed]:
    made = Observed()
    yield made
    made.observer.close()


def test_it_is_an_observer(observed: Observed) -> None:
    observer: Observer = observed.observer

    observer.store_error()
    assert observed.figures()["sidegate_store_errors_total[]"] == 1


def test_a_request_is_one_line_and_one_count(observed: Observed) -> None:
    observed.observer.request(make_event())

    assert [(line["kind"], line["path"]) for line in observed.lines()] == [("request", "/wiki/page")]
    assert observed.figures()["sidegate_requests_total['/**', '200', 'allow']"] == 1
    assert observed.figures()["sidegate_upstream_duration_seconds_count[]"] == 1


def test_everything_that_is_said_is_counted_under_its_name(observed: Observed) -> None:
    observer = observed.observer
    observer.login("form", "succeeded")
    observer.refresh("refreshed")
    observer.refresh_waited(0.5)
    observer.outage_served()
    observer.logout("backchannel")
    observer.session_ended(EndCause.BACKCHANNEL, 3)
    observer.logout_propagated(0.02)
    observer.logout_propagated(-3.0)
    observer.provider_call("refresh", "ok", 0.1)
    observer.store_call("load", 0.1)
    observer.streams(+1)
    observer.streams(+1)
    observer.streams(-1)

    figures = observed.figures()
    assert figures["sidegate_logins_total['form', 'succeeded']"] == 1
    assert figures["sidegate_refreshes_total['refreshed']"] == 1
    assert figures["sidegate_refresh_wait_seconds_count[]"] == 1
    assert figures["sidegate_outage_served_total[]"] == 1
    assert figures["sidegate_logouts_total['backchannel']"] == 1
    assert figures["sidegate_sessions_ended_total['backchannel']"] == 3
    assert figures["sidegate_logout_propagation_seconds_count[]"] == 2
    assert figures["sidegate_logout_propagation_seconds_sum[]"] == 0.02
    assert figures["sidegate_keycloak_duration_seconds_count['ok', 'refresh']"] == 1
    assert figures["sidegate_store_duration_seconds_count['load']"] == 1
    assert figures["sidegate_open_streams[]"] == 1
    assert observed.lines() == []


def test_messages_and_audit_events_are_lines(observed: Observed) -> None:
    observed.observer.warning("the provider is away", since=3.0)
    observed.observer.error("the file is wrong", path="/etc/x")
    observed.observer.audit(AuditEvent(event="login.succeeded", subject="alice-id"))

    assert [(line["level"], line["kind"], line["event"]) for line in observed.lines()] == [
        ("warning", "message", "the provider is away"),
        ("error", "message", "the file is wrong"),
        ("info", "audit", "login.succeeded"),
    ]


def test_what_cannot_be_said_is_counted_and_harms_nobody(observed: Observed) -> None:
    broken = make_event()
    broken.path = 5  # type: ignore[assignment]  # a defect elsewhere
    observed.observer.request(broken)
    observed.observer.audit(None)  # type: ignore[arg-type]  # a defect elsewhere
    observed.observer.session_ended(None)  # type: ignore[arg-type]  # a defect elsewhere

    figures = observed.figures()
    assert figures["sidegate_observer_faults_total[]"] == 3
    assert figures["sidegate_requests_total['/**', '200', 'allow']"] == 1


def test_a_failing_sink_is_counted_and_harms_nobody() -> None:
    def full(_: bytes) -> None:
        raise OSError("no space left")

    observer = ProductionObserver(full, clock=FakeClock())
    observer.request(make_event())
    observer.close()

    assert b"sidegate_log_lines_dropped 1.0" in observer.exposition()[0]


def test_a_request_costs_no_more_than_its_budget() -> None:
    """12 µs of CPU; four times that here, because the machines of a test run are busy and slow."""
    observer = ProductionObserver(lambda _: None, clock=SystemClock())
    event = make_event()
    costs = []
    for _ in range(20):
        began = time.thread_time()
        for _ in range(500):
            observer.request(event)
        costs.append((time.thread_time() - began) / 500)
    observer.close()

    assert min(costs) < 48e-6, f"best {min(costs) * 1e6:.1f} µs, median {statistics.median(costs) * 1e6:.1f} µs"


def test_a_notice_is_a_line_that_is_no_warning(observed: Observed) -> None:
    observed.observer.notice("sessions last 30d", replica="a")

    (line,) = observed.lines()
    assert (line["level"], line["event"], line["replica"]) == ("info", "sessions last 30d", "a")
