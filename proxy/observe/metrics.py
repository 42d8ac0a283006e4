"""The figures of ``/metrics`` (contract §7), in a registry of their own for each application.

What is counted for every request is counted by hand (a dict and a bisection, no lock: one loop) and turned into
Prometheus' families when somebody asks; the rest are prometheus-client's own metrics with their children kept.
Labels hold words of ours and patterns of routes, never a visitor's data, and each metric has a cap of series.
"""

from __future__ import annotations

import platform
from bisect import bisect_left
from typing import TYPE_CHECKING, Generic, TypeVar

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily
from prometheus_client.exposition import generate_latest

from proxy import __version__

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from prometheus_client.metrics_core import Metric

EXPOSITION_CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
"""What :meth:`Metrics.exposition` is (Prometheus' text format)."""

BUCKETS_S = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)
"""Upper ends in seconds: from a decision alone to the default ``response_timeout``."""

MAX_SERIES = 2000
"""Series of one metric; what would be one more is counted under ``other``."""

OTHER = "other"

M = TypeVar("M", Counter, Histogram)


class Durations:
    """A histogram without a lock: how often each bucket was met, and the sum in seconds."""

    def __init__(self) -> None:
        """Begin with nothing."""
        self._counts = [0] * (len(BUCKETS_S) + 1)
        self._sum_s = 0.0

    def observe(self, seconds: float) -> None:
        """Count one duration."""
        self._counts[bisect_left(BUCKETS_S, seconds)] += 1
        self._sum_s += seconds

    def family(self, name: str, documentation: str) -> HistogramMetricFamily:
        """Return Prometheus' form, whose buckets hold everything below them."""
        total = 0
        buckets: list[tuple[str, float]] = []
        for end, count in zip((*map(str, BUCKETS_S), "+Inf"), self._counts, strict=True):
            total += count
            buckets.append((end, total))
        family = HistogramMetricFamily(name, documentation)
        family.add_metric([], buckets=buckets, sum_value=self._sum_s)
        return family


class RequestFigures:
    """What is counted for every request; a collector of prometheus-client."""

    def __init__(self) -> None:
        """Begin with nothing."""
        self._requests: dict[tuple[str, str, int], int] = {}
        self._durations = Durations()
        self._upstream = Durations()

    def count(self, route: str, decision: str, status: int) -> None:
        """Count a request."""
        key = (route, decision, status)
        requests = self._requests
        if key in requests:
            requests[key] += 1
            return
        if len(requests) >= MAX_SERIES:
            key = (OTHER, OTHER, 0)
        requests[key] = requests.get(key, 0) + 1

    def took(self, duration_s: float, upstream_s: float | None) -> None:
        """Count how long it took; ``upstream_s`` is None when the upstream was not asked."""
        self._durations.observe(duration_s)
        if upstream_s is not None:
            self._upstream.observe(upstream_s)

    def collect(self) -> Iterator[Metric]:
        """Yield the families."""
        requests = CounterMetricFamily(
            "sidegate_requests", "Requests answered.", labels=["route", "decision", "status"]
        )
        for (route, decision, status), count in self._requests.items():
            requests.add_metric([route, decision, str(status)], count)
        yield requests
        yield self._durations.family("sidegate_request_duration_seconds", "From the request's head to its end.")
        yield self._upstream.family("sidegate_upstream_duration_seconds", "Until the head of the upstream's answer.")


class ConnectionFigures:
    """Clients at the front door, asked for at each scrape; a collector of prometheus-client."""

    def __init__(self) -> None:
        """Begin with nobody to ask."""
        self.open: Callable[[], float] = lambda: 0.0
        self.refused: Callable[[], float] = lambda: 0.0

    def collect(self) -> Iterator[Metric]:
        """Yield the families."""
        yield GaugeMetricFamily("sidegate_client_connections", "Clients that are connected.", value=self.open())
        yield CounterMetricFamily(
            "sidegate_client_connections_refused", "Clients turned away at the cap.", value=self.refused()
        )


class AuditFigures:
    """What the kept audit trail lost, asked for at each scrape; a collector of prometheus-client."""

    def __init__(self) -> None:
        """Begin with nobody to ask."""
        self.dropped: Callable[[], float] = lambda: 0.0

    def collect(self) -> Iterator[Metric]:
        """Yield the family."""
        yield CounterMetricFamily(
            "sidegate_audit_dropped", "Audit events that are in the log but not kept.", value=self.dropped()
        )


class Children(Generic[M]):
    """The children of a labelled metric, kept, and bounded by :data:`MAX_SERIES`."""

    def __init__(self, metric: M, labels: int) -> None:
        """Begin with none; ``labels`` is how many labels the metric has."""
        self._child: Callable[..., M] = metric.labels
        self._other = (OTHER,) * labels
        self._children: dict[tuple[str, ...], M] = {}

    def of(self, *values: str) -> M:
        """Return the child with these label values."""
        child = self._children.get(values)
        if child is not None:
            return child
        if len(self._children) >= MAX_SERIES:
            values = self._other
        child = self._children[values] = self._child(*values)
        return child


class Metrics:
    """All of them."""

    def __init__(self) -> None:
        """Make every metric, so that each is there with its first scrape."""
        registry = self._registry = CollectorRegistry()
        self.requests = RequestFigures()
        registry.register(self.requests)
        self._connections = ConnectionFigures()
        registry.register(self._connections)
        self._audit = AuditFigures()
        registry.register(self._audit)
        ProcessCollector(registry=registry)
        self.logins = self._counter("logins", "Logins tried.", ("method", "outcome"))
        self.throttled = self._counter("throttled", "Sign-ins refused because too many failed before.", ("limit",))
        self.refreshes = self._counter("refreshes", "Refreshes of tokens.", ("outcome",))
        self.logouts = self._counter("logouts", "Logouts.", ("kind",))
        self.sessions_ended = self._counter("sessions_ended", "Sessions that ended.", ("cause",))
        self.provider = self._histogram("keycloak_duration_seconds", "Calls at the provider.", ("op", "outcome"))
        self.store = self._histogram("store_duration_seconds", "Operations of the session store.", ("op",))
        self.refresh_wait = Histogram(
            "sidegate_refresh_wait_seconds", "Waiting of requests for a refresh.", registry=registry, buckets=BUCKETS_S
        )
        self.logout_propagation = Histogram(
            "sidegate_logout_propagation_seconds",
            "From the end of a session on another replica to its end here.",
            registry=registry,
            buckets=BUCKETS_S,
        )
        self.outage_served = Counter(
            "sidegate_outage_served", "Requests served beyond an access token's end (outage_grace).", registry=registry
        )
        self.store_errors = Counter("sidegate_store_errors", "Errors of the session store.", registry=registry)
        self.observer_faults = Counter("sidegate_observer_faults", "Events that were not said.", registry=registry)
        self.open_streams = Gauge("sidegate_open_streams", "Streams that are open.", registry=registry)
        self._sessions = Gauge("sidegate_sessions_active", "Sessions that are live.", registry=registry)
        self._lines_dropped = Gauge("sidegate_log_lines_dropped", "Lines of the log that are lost.", registry=registry)
        build = Gauge("sidegate_build_info", "Which build this is.", ["version", "python"], registry=registry)
        build.labels(__version__, platform.python_version()).set(1)

    def watch_sessions(self, count: Callable[[], float]) -> None:
        """Ask ``count`` for ``sessions_active`` at each scrape; it must answer at once."""
        self._sessions.set_function(count)

    def watch_streams(self, count: Callable[[], float]) -> None:
        """Ask ``count`` for ``open_streams`` at each scrape, instead of being told of each; it must answer at once."""
        self.open_streams.set_function(count)

    def watch_connections(self, *, open_now: Callable[[], float], refused: Callable[[], float]) -> None:
        """Ask these for ``client_connections`` and ``client_connections_refused_total`` at each scrape."""
        self._connections.open = open_now
        self._connections.refused = refused

    def watch_dropped_lines(self, count: Callable[[], float]) -> None:
        """Ask ``count`` for ``log_lines_dropped`` at each scrape."""
        self._lines_dropped.set_function(count)

    def watch_dropped_audit(self, count: Callable[[], float]) -> None:
        """Ask ``count`` for ``audit_dropped_total`` at each scrape."""
        self._audit.dropped = count

    def exposition(self) -> bytes:
        """Return everything as :data:`EXPOSITION_CONTENT_TYPE`."""
        return generate_latest(self._registry)

    def _counter(self, name: str, documentation: str, labels: tuple[str, ...]) -> Children[Counter]:
        counter = Counter(f"sidegate_{name}", documentation, labels, registry=self._registry)
        return Children(counter, len(labels))

    def _histogram(self, name: str, documentation: str, labels: tuple[str, ...]) -> Children[Histogram]:
        histogram = Histogram(f"sidegate_{name}", documentation, labels, registry=self._registry, buckets=BUCKETS_S)
        return Children(histogram, len(labels))
