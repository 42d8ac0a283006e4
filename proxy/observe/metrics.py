"""The figures of ``/metrics`` (contract §7), in a registry of their own for each application.

What is counted for every request is counted by hand (``request_figures``), what can be asked for is asked at each
scrape (``asked_figures``); the rest are prometheus-client's own metrics with their children kept. Labels hold words of
ours and patterns of routes, never a visitor's data, and each metric has a cap of series. Every metric is there from the
first scrape on, and docs/metrics.md has them all (a test compares).
"""

from __future__ import annotations

import platform
from math import inf
from typing import TYPE_CHECKING, Generic, TypeVar

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector
from prometheus_client.exposition import choose_encoder

from proxy import __version__
from proxy.observe.asked_figures import AskedFigures, Sort
from proxy.observe.request_figures import BUCKETS_S, MAX_SERIES, OTHER, RequestFigures

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from proxy.ports import Readiness

BUCKETS_OF_LOGOUT_S = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 30.0)
"""Upper ends in seconds: 50 ms is usual, one second is promised at worst (contract §4)."""

REFRESHED = ("refreshed", "unavailable", "misconfigured", "rejected", "not_stored")
"""Outcomes of refreshes that an alert compares."""

OPENMETRICS = "application/openmetrics-text; version=1.0.0"

READY_DETAIL = "ok"
"""What ``ports.Readiness`` says when nothing is away."""

M = TypeVar("M", Counter, Histogram)


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

    def __init__(self, requests: RequestFigures | None = None) -> None:
        """Make every metric, so that each is there with its first scrape; ``requests``: another way to count."""
        registry = self._registry = CollectorRegistry()
        self.requests = requests or RequestFigures()
        registry.register(self.requests)
        ProcessCollector(registry=registry)
        self.logins = self._counter("logins", "Logins tried.", ("method", "outcome"))
        self.identity_truncated = self._counter(
            "identity_truncated", "Lists of roles or groups too long to be sent whole.", ("header",)
        )
        self.throttled = self._counter("throttled", "Sign-ins refused because too many failed before.", ("limit",))
        self.refreshes = self._counter("refreshes", "Refreshes of tokens.", ("outcome",), from_zero=REFRESHED)
        self.config_reloads = self._counter("config_reloads", "Reloads of the file.", ("outcome",))
        self.config_successful = Gauge(
            "sidegate_config_last_reload_successful", "Whether the file on disk is what runs.", registry=registry
        )
        self.config_applied_at = Gauge(
            "sidegate_config_last_reload_success_timestamp_seconds", "Since when it runs.", registry=registry
        )
        self.config_successful.set(1)
        self.config_applied_at.set_to_current_time()
        self.logouts = self._counter(
            "logouts", "Logouts; rejected: a logout token that was refused.", ("kind",), from_zero=("rejected",)
        )
        self.sessions_ended = self._counter("sessions_ended", "Sessions that ended.", ("cause",))
        self.spans = self._counter("spans", "Spans handed to the collector of traces.", ("outcome",))
        self.provider = self._histogram("keycloak_duration_seconds", "Calls at the provider.", ("op", "outcome"))
        self.store = self._histogram("store_duration_seconds", "Operations of the session store.", ("op",))
        self.refresh_wait = Histogram(
            "sidegate_refresh_wait_seconds", "Waiting of requests for a refresh.", registry=registry, buckets=BUCKETS_S
        )
        self.logout_propagation = Histogram(
            "sidegate_logout_propagation_seconds",
            "From the end of a session on another replica to its end here.",
            registry=registry,
            buckets=BUCKETS_OF_LOGOUT_S,
        )
        self.outage_served = Counter(
            "sidegate_outage_served", "Requests served beyond an access token's end (outage_grace).", registry=registry
        )
        self.store_errors = Counter("sidegate_store_errors", "Errors of the session store.", registry=registry)
        self.observer_faults = Counter("sidegate_observer_faults", "Events that were not said.", registry=registry)
        self.open_streams = Gauge("sidegate_open_streams", "Streams that are open.", registry=registry)
        self._asked = _asked_figures(self.observer_faults.inc)
        registry.register(self._asked)
        build = Gauge("sidegate_build_info", "Which build this is.", ["version", "python"], registry=registry)
        build.labels(__version__, platform.python_version()).set(1)

    def watch_sessions(self, count: Callable[[], float], *, limit: float = inf) -> None:
        """Ask ``count`` for ``sessions_active`` at each scrape; ``limit`` is the most there can be."""
        self._asked.ask("sidegate_sessions_active", count)
        self._asked.ask("sidegate_sessions_limit", lambda: limit)

    def watch_streams(self, count: Callable[[], float]) -> None:
        """Ask ``count`` for ``open_streams`` at each scrape, instead of being told of each; it must answer at once."""
        self.open_streams.set_function(count)

    def watch_connections(self, *, open_now: Callable[[], float], refused: Callable[[], float]) -> None:
        """Ask these for ``client_connections`` and ``client_connections_refused_total`` at each scrape."""
        self._asked.ask("sidegate_client_connections", open_now)
        self._asked.ask("sidegate_client_connections_refused", refused)

    def watch_lines(self, *, dropped: Callable[[], float], left_out: Callable[[], float]) -> None:
        """Ask these for ``log_lines_dropped`` and ``log_lines_left_out_total`` at each scrape."""
        self._asked.ask("sidegate_log_lines_dropped", dropped)
        self._asked.ask("sidegate_log_lines_left_out", left_out)

    def watch_dropped_audit(self, count: Callable[[], float]) -> None:
        """Ask ``count`` for ``audit_dropped_total`` at each scrape."""
        self._asked.ask("sidegate_audit_dropped", count)

    def watch_parts(
        self, *, is_ready: Callable[[], bool], keycloak: Callable[[], Readiness], store: Callable[[], Readiness]
    ) -> None:
        """Ask these for ``ready`` and ``available`` at each scrape: what ``/readyz`` says, as figures."""
        self._asked.ask("sidegate_ready", is_ready)
        parts = {"keycloak": keycloak, "store": store}
        self._asked.ask_each(
            "sidegate_available", lambda: {(part,): _is_available(asked()) for part, asked in parts.items()}
        )

    def watch_certificates(self, ends: Callable[[], Iterable[tuple[str, str, float]]]) -> None:
        """Ask ``ends`` for key, file and end (Unix seconds) of each certificate at each scrape."""
        self._asked.ask_each(
            "sidegate_certificate_expires_timestamp_seconds",
            lambda: {(key, file): end for key, file, end in ends()},
        )

    def serving_since(self, at: float) -> None:
        """Say since when requests are answered, in Unix seconds."""
        self._asked.ask("sidegate_serving_since_timestamp_seconds", lambda: at)

    def exposition(self, accept: str = "") -> tuple[bytes, str]:
        """Return everything and its content type: OpenMetrics for whoever accepts it, else Prometheus' text format.

        Only the former has room for exemplars.
        """
        # What is answered is chosen from our words: the library repeats the version that a client asks for.
        encode, content_type = choose_encoder(OPENMETRICS if OPENMETRICS.partition(";")[0] in accept.lower() else "")
        return encode(self._registry), content_type

    def _counter(
        self, name: str, documentation: str, labels: tuple[str, ...], *, from_zero: Iterable[str] = ()
    ) -> Children[Counter]:
        """Return a counter; ``from_zero``: labels of series that an alert waits for.

        A series that begins with its first event has no increase that Prometheus could see.
        """
        counter = Counter(f"sidegate_{name}", documentation, labels, registry=self._registry)
        children = Children(counter, len(labels))
        for label in from_zero:
            children.of(label)
        return children

    def _histogram(self, name: str, documentation: str, labels: tuple[str, ...]) -> Children[Histogram]:
        histogram = Histogram(f"sidegate_{name}", documentation, labels, registry=self._registry, buckets=BUCKETS_S)
        return Children(histogram, len(labels))


def _asked_figures(on_fault: Callable[[], object]) -> AskedFigures:
    """Return what others know, each 0 until they are there to be asked."""
    asked = AskedFigures(on_fault)
    asked.add("sidegate_sessions_active", "Sessions that are live.")
    asked.add("sidegate_sessions_limit", "Sessions that there can be at most.")
    asked.add("sidegate_client_connections", "Clients that are connected.")
    asked.add("sidegate_client_connections_refused", "Clients turned away at the cap.", sort=Sort.COUNTER)
    asked.add("sidegate_audit_dropped", "Audit events that are in the log but not kept.", sort=Sort.COUNTER)
    asked.add("sidegate_log_lines_dropped", "Lines of the log that are lost.")
    asked.add("sidegate_log_lines_left_out", "Lines that log.sample_2xx left out.", sort=Sort.COUNTER)
    asked.add("sidegate_ready", "Whether /readyz is 200.")
    asked.add("sidegate_available", "Whether what we lean on is there.", labels=("part",))
    asked.add("sidegate_serving_since_timestamp_seconds", "Since when requests are answered.")
    asked.add(
        "sidegate_certificate_expires_timestamp_seconds", "When a certificate that we use ends.", labels=("key", "file")
    )
    return asked


def _is_available(readiness: Readiness) -> bool:
    """Say whether a part is there now; one that was there once stays ready, and its detail says what is away."""
    return readiness.is_ready and readiness.detail == READY_DETAIL
