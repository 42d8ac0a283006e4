"""What is counted for every request, without a lock: one loop counts, and whoever scrapes sums up.

Labels hold words of ours and patterns of routes, never a visitor's data. What is off costs nothing: exemplars, which
lead from a bucket to a trace, are another class, and not a question that each request is asked.

===========  ====================  ==========================================
structure    cap                   at the cap
===========  ====================  ==========================================
series       ``MAX_SERIES``        a further one counts under ``other``
exemplars    one for each bucket   the newest stays
===========  ====================  ==========================================
"""

from __future__ import annotations

from bisect import bisect_left
from typing import TYPE_CHECKING, Final

from prometheus_client.core import CounterMetricFamily, Exemplar, HistogramMetricFamily

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from prometheus_client.metrics_core import Metric

    from proxy.ports import RequestEvent

BUCKETS_S: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)
"""Upper ends in seconds: from a decision alone to the default ``response_timeout``."""

MAX_SERIES = 2000
"""Series of one metric; what would be one more is counted under ``other``."""

OTHER: Final = "other"

TRACE_ID: Final = "trace_id"
"""Label of an exemplar: the name that Grafana looks for."""

NOT_DENIED: Final = frozenset({"allow", "redirect", ""})
"""Decisions that keep nobody out."""


class Durations:
    """A histogram: how often each bucket was met, and the sum in seconds."""

    def __init__(self) -> None:
        """Begin with nothing."""
        self.counts = [0] * (len(BUCKETS_S) + 1)
        self.sum_s = 0.0

    def observe(self, seconds: float) -> None:
        """Count one duration."""
        self.counts[bisect_left(BUCKETS_S, seconds)] += 1
        self.sum_s += seconds

    def exemplar(self, bucket: int) -> Exemplar | None:  # noqa: ARG002 - who remembers some looks at it
        """Return a duration of this very bucket that a trace tells of, or None."""
        return None

    def family(self, name: str, documentation: str) -> HistogramMetricFamily:
        """Return Prometheus' form, whose buckets hold everything below them."""
        total = 0
        buckets: list[tuple[str, float] | tuple[str, float, Exemplar]] = []
        for at, end in enumerate((*map(str, BUCKETS_S), "+Inf")):
            total += self.counts[at]
            exemplar = self.exemplar(at)
            buckets.append((end, total) if exemplar is None else (end, total, exemplar))
        family = HistogramMetricFamily(name, documentation)
        family.add_metric([], buckets=buckets, sum_value=self.sum_s)
        return family


class TracedDurations(Durations):
    """A histogram that remembers a trace for each bucket."""

    def __init__(self) -> None:
        """Begin with none."""
        super().__init__()
        self._exemplars: dict[int, Exemplar] = {}

    def remember(self, trace_id: str, seconds: float, *, at: float) -> None:
        """Let ``trace_id`` stand for the bucket of ``seconds``; ``at`` is Unix time. Counts nothing."""
        self._exemplars[bisect_left(BUCKETS_S, seconds)] = Exemplar({TRACE_ID: trace_id}, seconds, at)

    def exemplar(self, bucket: int) -> Exemplar | None:
        """Return the newest of the bucket."""
        return self._exemplars.get(bucket)


class RequestFigures:
    """What is counted for every request; a collector of prometheus-client."""

    def __init__(self, durations: Callable[[], Durations] = Durations) -> None:
        """Begin with nothing; ``durations`` makes the histograms."""
        self._requests: dict[tuple[str, str, int, str], int] = {}
        self.durations = durations()
        self.upstream = durations()

    def count(self, event: RequestEvent) -> None:
        """Count a request that is over, and how long it took."""
        key = (event.route, event.decision, event.status, event.reason)
        requests = self._requests
        if key in requests:
            requests[key] += 1
        else:
            self._count_first(key)
        # The two histograms by hand: a call for each would be a tenth of what a request costs here.
        seconds = event.duration_s
        durations = self.durations
        durations.counts[bisect_left(BUCKETS_S, seconds)] += 1
        durations.sum_s += seconds
        if event.upstream_s is not None:
            self.upstream.observe(event.upstream_s)

    def _count_first(self, key: tuple[str, str, int, str]) -> None:
        if len(self._requests) >= MAX_SERIES:
            key = (OTHER, OTHER, 0, OTHER)
        self._requests[key] = self._requests.get(key, 0) + 1

    def collect(self) -> Iterator[Metric]:
        """Yield the families."""
        yield self._summed("sidegate_requests", "Requests answered.", ("route", "decision", "status"))
        yield self._summed("sidegate_denials", "Requests that were kept out, and why.", ("decision", "reason"))
        yield self.durations.family("sidegate_request_duration_seconds", "From the request's head to its end.")
        yield self.upstream.family("sidegate_upstream_duration_seconds", "Until the head of the upstream's answer.")

    def _summed(self, name: str, documentation: str, labels: Sequence[str]) -> CounterMetricFamily:
        sums: dict[tuple[str, ...], int] = {}
        for (route, decision, status, reason), count in self._requests.items():
            words = {"route": route, "decision": decision, "status": str(status), "reason": reason}
            if "reason" in labels and decision in NOT_DENIED:
                continue
            key = tuple(words[label] for label in labels)
            sums[key] = sums.get(key, 0) + count
        family = CounterMetricFamily(name, documentation, labels=labels)
        for key, count in sums.items():
            family.add_metric(key, count)
        return family


class TracedRequestFigures(RequestFigures):
    """The same, with a trace for each bucket."""

    durations: TracedDurations
    upstream: TracedDurations

    def __init__(self) -> None:
        """Begin with nothing."""
        super().__init__(TracedDurations)

    def remember(self, trace_id: str, event: RequestEvent, *, at: float) -> None:
        """Let the trace of a request stand for its buckets; ``at`` is Unix time."""
        self.durations.remember(trace_id, event.duration_s, at=at)
        if event.upstream_s is not None:
            self.upstream.remember(trace_id, event.upstream_s, at=at)
