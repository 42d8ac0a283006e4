"""A request through a real process is one trace, from the proxy in front to the app: spans, lines, figures."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import pytest
from prometheus_client.openmetrics.parser import text_string_to_metric_families

from proxy.demo.clients import Client, Lifetimes
from proxy.demo.issuer import running_issuer
from proxy.demo.misbehaviour import Endpoint
from proxy.settings.secret_source import make_key
from tests.contracts.web_browser import WebBrowser
from tests.observe.test_certificate_ends import LATE, certificate
from tests.support.collector import Collector, ReceivedSpan
from tests.test_app import sign_in

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from prometheus_client.samples import Sample

    from proxy.demo.issuer import Issuer
    from tests.redis.server import RedisServer
    from tests.support.fixtures import StartSidegate
    from tests.support.raw_upstream import RawUpstream
    from tests.support.sidegate_process import SidegateProcess

TRACE, PARENT = "ab" * 16, "cd" * 8
CLIENT, SERVER = 3, 2
"""Kinds of spans, as OTLP numbers them."""

OPENMETRICS = "application/openmetrics-text; version=1.0.0"
SHORT = Lifetimes(access_token_s=1)


@asynccontextmanager
async def provider() -> AsyncIterator[Issuer]:
    async with running_issuer() as issuer:
        uris = ("http://127.0.0.1/*",)
        issuer.register_client(Client(client_id="app", secret="app-secret", redirect_uris=uris, lifetimes=SHORT))
        issuer.add_user("alice", "alice-pw")
        yield issuer


def file(issuer: Issuer, redis: RedisServer, app: RawUpstream, collector: Collector) -> dict[str, Any]:
    client = {"client_id": "app", "client_auth": {"secret": {"value": "app-secret"}}}
    return {
        "server": {"trusted_proxies": ["127.0.0.0/8"]},
        "keycloak": {"issuer": issuer.url, **client},
        "sessions": {"store": "redis", "redis": {"url": redis.url}, "encryption_keys": [{"value": make_key(bytes)}]},
        "upstreams": {"app": {"url": app.url}},
        "tracing": {"otlp_endpoint": collector.url, "headers": {"X-Key": {"value": "for-the-collector"}}},
    }


def ask_through_proxy(process: SidegateProcess, browser: WebBrowser) -> int:
    """Ask as a proxy does that traces too."""
    context = {"traceparent": f"00-{TRACE}-{PARENT}-01", "tracestate": "vendor=1"}
    return browser.get(f"{process.url}/page?secret=alice", **context).status


def figures(process: SidegateProcess) -> list[tuple[str, Sample]]:
    """Every figure, after the name of its metric."""
    text = WebBrowser().get(f"{process.management_url}/metrics", Accept=OPENMETRICS).text
    return [(family.name, sample) for family in text_string_to_metric_families(text) for sample in family.samples]


def named_by(seen: list[tuple[str, Sample]]) -> set[str]:
    """The metrics of which an exemplar names the trace."""
    return {name for name, sample in seen if sample.exemplar and sample.exemplar.labels["trace_id"] == TRACE}


def value(seen: list[tuple[str, Sample]], name: str, **labels: str) -> float:
    return next(sample.value for _, sample in seen if (sample.name, sample.labels) == (name, labels))


@pytest.mark.redis
async def test_one_trace_leads_from_the_proxy_in_front_to_the_app(
    sidegate_process: StartSidegate, empty_redis: RedisServer, echo_app: RawUpstream, tmp_path: Path
) -> None:
    browser, authority = WebBrowser(), tmp_path / "authority.pem"
    authority.write_bytes(certificate(LATE))
    with Collector() as collector:
        async with provider() as issuer:
            settings = file(issuer, empty_redis, echo_app, collector)
            settings["keycloak"]["ca_file"] = str(authority)
            process = await asyncio.to_thread(sidegate_process, settings)
            assert (await asyncio.to_thread(sign_in, process.url, browser))[0] == 303
            await asyncio.sleep(SHORT.access_token_s + 0.2)  # until its token is over, by the provider's own clock
            assert await asyncio.to_thread(ask_through_proxy, process, browser) == 200
            seen = await asyncio.to_thread(figures, process)
            told_keycloak = [asked.headers.get("traceparent") for asked in issuer.misbehaviour.requests(Endpoint.TOKEN)]
            # Ended long before the next batch would be due: what waits is sent at the end.
            await asyncio.to_thread(process.end)
            # Lines are written in batches too.
            lines = [line for line in process.log_events if line.get("path") == "/page"]

    spans = [span for span in collector.spans if span.trace_id == TRACE]
    by_id = {span.span_id: span for span in spans}
    (request,) = [span for span in spans if span.kind == SERVER]
    (upstream,) = [span for span in spans if span.attributes.get("sidegate.upstream") == "app"]
    others = [span for span in spans if span not in (request, upstream)]
    assert request.parent_id == PARENT
    assert (request.name, request.attributes["http.response.status_code"]) == ("GET /**", 200)
    assert {by_id[span.parent_id] is request for span in (upstream, *others)} == {True}
    assert {span.kind for span in (upstream, *others)} == {CLIENT}
    assert "keycloak refresh" in {span.name for span in others}
    assert {span.attributes.get("db.system.name") for span in others} == {"redis", None}
    assert all(0 <= span.seconds <= request.seconds + 0.01 for span in spans)

    (refresh,) = [span for span in others if span.name == "keycloak refresh"]
    assert f"00-{TRACE}-{refresh.span_id}-01" in told_keycloak

    (sent,) = [one for one in echo_app.requests if b"/page" in one.request_line]
    assert sent.values(b"traceparent") == [f"00-{TRACE}-{upstream.span_id}-01".encode()]
    assert sent.values(b"tracestate") == [b"vendor=1"]
    assert [line["trace_id"] for line in lines] == [TRACE]
    assert {
        "sidegate_request_duration_seconds",
        "sidegate_upstream_duration_seconds",
        "sidegate_keycloak_duration_seconds",
        "sidegate_store_duration_seconds",
    } <= named_by(seen)
    for part in ("keycloak", "store"):
        assert value(seen, "sidegate_available", part=part) == 1
    assert value(seen, "sidegate_ready") == 1
    assert value(seen, "sidegate_sessions_limit") == float("inf")
    assert value(seen, "sidegate_serving_since_timestamp_seconds") > value(seen, "process_start_time_seconds")
    ends_at = {"key": "keycloak.ca_file", "file": str(authority)}
    assert value(seen, "sidegate_certificate_expires_timestamp_seconds", **ends_at) == LATE
    assert {sent["x-key"] for sent in collector.headers} == {"for-the-collector"}

    (login,) = [span for span in collector.spans if span.name == "POST /_sidegate/**"]
    below = {span.name for span in collector.spans if span.parent_id == login.span_id}
    assert "keycloak password" in below
    assert any(name.startswith("store ") for name in below)
    assert not is_said("alice", collector.spans)
    assert not is_said("secret", collector.spans)


def is_said(word: str, spans: list[ReceivedSpan]) -> bool:
    return word in repr(spans)
