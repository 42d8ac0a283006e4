"""A real Prometheus scrapes a real Sidegate, takes the alerts, and answers every query of the dashboard."""

from __future__ import annotations

import asyncio
import json
import shutil
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

import aiohttp
import pytest
import yaml

from proxy.demo.clients import Client
from proxy.demo.issuer import running_issuer
from tests.deploy.test_alerts import FOLDER, RULES
from tests.deploy.test_grafana import queries
from tests.support.collector import Collector
from tests.support.ports import free_port
from tests.support.processes import Program
from tests.test_app import sign_in

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.fixtures import StartSidegate
    from tests.support.raw_upstream import RawUpstream

DEADLINE_S = 30.0
VARIABLES = {"$job": ".*", "$instance": ".*", "$__rate_interval": "1m"}
COUNTED = 'sidegate_requests_total{route="/**", status="200"}'


class Prometheus:
    """A Prometheus with one thing to scrape."""

    def __init__(self, target: str, folder: Path) -> None:
        self.address = f"127.0.0.1:{free_port()}"
        config = folder / "prometheus.yml"
        config.write_text(
            yaml.safe_dump(
                {
                    "global": {"scrape_interval": "1s", "evaluation_interval": "1s"},
                    "rule_files": [str(FOLDER / "alerts.yaml")],
                    "scrape_configs": [{"job_name": "sidegate", "static_configs": [{"targets": [target]}]}],
                }
            )
        )
        command = ["prometheus", f"--config.file={config}", f"--storage.tsdb.path={folder / 'tsdb'}"]
        command += [f"--web.listen-address={self.address}", "--enable-feature=exemplar-storage"]
        self.program = Program(command, log=folder / "prometheus.log")

    async def asked(self, path: str, **parameters: str) -> dict[str, Any]:
        url = f"http://{self.address}/api/v1/{path}?{urlencode(parameters)}"
        async with aiohttp.ClientSession() as http, http.get(url) as answer:
            return dict(json.loads(await answer.text()))

    async def result(self, query: str) -> list[Any]:
        answer = await self.asked("query", query=query)
        assert answer["status"] == "success", f"{query}: {answer}"
        return list(answer["data"]["result"])

    async def until_counted(self) -> None:
        """Return when it has scraped the requests of the test twice, so that rates can be told."""
        async with asyncio.timeout(DEADLINE_S):
            while True:
                try:
                    if await self.result(f"count_over_time({COUNTED}[1m]) >= 2"):
                        return
                except aiohttp.ClientConnectionError:
                    pass
                await asyncio.sleep(0.2)


@pytest.mark.full
@pytest.mark.skipif(shutil.which("prometheus") is None, reason="apt-get install prometheus")
async def test_prometheus_answers_every_query_of_the_dashboard(
    sidegate_process: StartSidegate, echo_app: RawUpstream, tmp_path: Path
) -> None:
    with Collector() as collector:
        async with running_issuer() as issuer:
            issuer.register_client(Client(client_id="app", secret="s", redirect_uris=("http://127.0.0.1/*",)))
            issuer.add_user("alice", "alice-pw")
            file = {
                "server": {},
                "keycloak": {"issuer": issuer.url, "client_id": "app", "client_auth": {"secret": {"value": "s"}}},
                "upstreams": {"app": {"url": echo_app.url}},
                "routes": [{"path": "/**", "access": "public"}],
                "tracing": {"otlp_endpoint": collector.url},
            }
            process = await asyncio.to_thread(sidegate_process, file)
            prometheus = Prometheus(process.management_url.removeprefix("http://"), tmp_path)
            try:
                assert (await asyncio.to_thread(sign_in, process.url))[0] == 303
                async with aiohttp.ClientSession() as http, http.get(f"{process.url}/x") as answer:
                    assert answer.status == 200
                await prometheus.until_counted()

                for title, query, _ in queries():
                    for variable, value in VARIABLES.items():
                        query = query.replace(variable, value)  # noqa: PLW2901 - as Grafana does
                    found = await prometheus.result(query)
                    assert found or title not in ALWAYS_SHOWN, f"{title} shows nothing"
                rules = (await prometheus.asked("rules"))["data"]["groups"][0]["rules"]
                assert [rule["name"] for rule in rules] == [rule["alert"] for rule in RULES]
                assert {rule["health"] for rule in rules} <= {"ok", "unknown"}
                bucket = "sidegate_request_duration_seconds_bucket"
                exemplars = await prometheus.asked("query_exemplars", query=bucket, start="0", end="9999999999")
                assert exemplars["data"][0]["exemplars"][0]["labels"]["trace_id"]
            finally:
                assert prometheus.program.end() == 0
                await asyncio.to_thread(process.end)


ALWAYS_SHOWN = {"Ready", "Keycloak", "Store", "File runs", "Requests", "Sessions", "Requests by decision", "Memory"}
"""Panels that must show something of a Sidegate that has answered a request."""
