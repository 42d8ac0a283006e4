"""The pages of the management port."""

from __future__ import annotations

import json
from typing import Any

import pytest

from proxy.ports import Readiness
from proxy.web.health import HealthServices, health_application

OK = Readiness(is_ready=True)
AWAY = Readiness(is_ready=False, detail="no metadata yet: connection refused")
AWAY_AGAIN = Readiness(is_ready=True, detail="away for 12 s: timeout")


async def open_health(aiohttp_client: Any, **changes: Any) -> Any:
    services = {
        "keycloak": lambda: OK,
        "store": lambda: OK,
        "is_draining": lambda: False,
        "exposition": lambda accept: (b"for " + accept.encode(), "text/plain; version=0.0.4; charset=utf-8"),
        **changes,
    }
    return await aiohttp_client(health_application(HealthServices(**services)))


async def test_healthz_is_200_while_the_loop_turns(aiohttp_client: Any) -> None:
    client = await open_health(aiohttp_client, keycloak=lambda: AWAY, is_draining=lambda: True)

    assert (await client.get("/healthz")).status == 200


@pytest.mark.parametrize(
    ("changes", "status"),
    [
        ({}, 200),
        ({"keycloak": lambda: AWAY}, 503),
        ({"keycloak": lambda: AWAY_AGAIN}, 200),
        ({"store": lambda: AWAY}, 200),
        ({"is_draining": lambda: True}, 503),
    ],
)
async def test_readyz_is_503_before_the_first_keys_and_while_draining_only(
    aiohttp_client: Any, changes: dict[str, Any], status: int
) -> None:
    client = await open_health(aiohttp_client, **changes)

    assert (await client.get("/readyz")).status == status


async def test_readyz_names_what_is_away(aiohttp_client: Any) -> None:
    client = await open_health(aiohttp_client, keycloak=lambda: AWAY_AGAIN)

    document = json.loads(await (await client.get("/readyz")).text())

    assert document == {"keycloak": "away for 12 s: timeout", "store": "ok"}


async def test_metrics_come_as_they_are_exposed_to_whoever_accepts_that(aiohttp_client: Any) -> None:
    client = await open_health(aiohttp_client)

    response = await client.get("/metrics", headers={"Accept": "application/openmetrics-text"})

    assert await response.text() == "for application/openmetrics-text"
    assert response.headers["Vary"] == "Accept"
    assert response.headers["Content-Type"].startswith("text/plain; version=0.0.4")


async def test_no_answer_names_the_server(aiohttp_client: Any) -> None:
    client = await open_health(aiohttp_client)

    assert "Server" not in (await client.get("/healthz")).headers
