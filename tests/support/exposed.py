"""What ``/metrics`` can say at all: every sample with its labels, after everything has happened once."""

from __future__ import annotations

from typing import TYPE_CHECKING

from prometheus_client.parser import text_string_to_metric_families

from proxy.observe.metrics import Metrics
from proxy.ports import Readiness
from tests.support.events import make_event

if TYPE_CHECKING:
    from collections.abc import Mapping

READY = Readiness(is_ready=True)


def use_each(metrics: Metrics) -> None:
    """Let everything happen once that has labels."""
    metrics.requests.count(make_event())
    metrics.requests.count(make_event(decision="forbid", reason="role_missing", status=403))
    metrics.watch_parts(is_ready=lambda: True, keycloak=lambda: READY, store=lambda: READY)
    metrics.watch_certificates(lambda: [("server.tls.cert_file", "/etc/tls.crt", 1.0)])
    for counter, labels in (
        (metrics.logins, ("form", "success")),
        (metrics.throttled, ("user",)),
        (metrics.refreshes, ("refreshed",)),
        (metrics.logouts, ("local",)),
        (metrics.sessions_ended, ("logout",)),
        (metrics.identity_truncated, ("X-Auth-Roles",)),
        (metrics.config_reloads, ("applied",)),
        (metrics.spans, ("sent",)),
    ):
        counter.of(*labels).inc()
    metrics.refresh_wait.observe(0.1)
    metrics.provider.of("refresh", "ok").observe(0.1)
    metrics.store.of("load").observe(0.1)


def exposed_samples() -> Mapping[str, frozenset[str]]:
    """Return the labels of each sample by its name, such as ``sidegate_logins_total``."""
    metrics = Metrics()
    use_each(metrics)
    body, _ = metrics.exposition()
    return {
        sample.name: frozenset(sample.labels)
        for family in text_string_to_metric_families(body.decode())
        for sample in family.samples
    }


def families() -> Mapping[str, str]:
    """Return the type of each metric of ours by its name, counters with ``_total``."""
    body, _ = Metrics().exposition()
    types = (line.split()[2:] for line in body.decode().splitlines() if line.startswith("# TYPE sidegate_"))
    # The library tells of the birth of each series too, as gauges.
    return {name: kind for name, kind in types if not name.endswith("_created")}
