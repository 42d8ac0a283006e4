"""Signing out of everything on three replicas: whichever hears of it, all obey; a realm-wide logout too.

In the realm ``guarded``, where no other test has people who stay: a realm-wide logout reaches everybody.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING
from urllib.parse import urlencode

import pytest

from tests.contracts.web_browser import WebBrowser
from tests.journeys.house import wait_for
from tests.journeys.replicas import REPLICAS, Browser, ReplicaHouse

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.keycloak.server import KeycloakServer
    from tests.redis.server import RedisServer

WITHIN_S = 10.0
LAW_WITHIN_S = 1.0
"""What has ended is refused everywhere after one second at worst."""


@pytest.fixture(scope="module")
def house(
    keycloak: KeycloakServer, redis_server: RedisServer, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[ReplicaHouse]:
    """Three replicas whose client has our Admin URL."""
    redis_server.reset()
    made = ReplicaHouse(keycloak, tmp_path_factory.mktemp("replicas"), store=redis_server, realm="guarded")
    try:
        made.wait_until_ready()
        # The public address leads to the first replica.
        wait_for(made.admin.update_client(made.client, adminUrl=f"{made.url}/_sidegate/keycloak"))
        yield made
    finally:
        made.end()
        wait_for(keycloak.admin.set_not_before(0, realm="guarded"))


def served_everywhere(*browsers: Browser) -> bool:
    return all(browser.is_signed_in(at=number) for browser in browsers for number in range(REPLICAS))


def eventually(holds: Callable[[], bool]) -> bool:
    until = time.monotonic() + WITHIN_S
    while time.monotonic() < until:
        if holds():
            return True
        time.sleep(0.02)
    return holds()


def next_second() -> None:
    """Wait until what is issued now is later than what was before: Keycloak's instants have whole seconds."""
    time.sleep(1.05 - time.time() % 1)


def test_signing_out_everywhere_at_one_replica_is_law_on_all(house: ReplicaHouse) -> None:
    browsers = [Browser(house) for _ in range(REPLICAS)]
    for number, browser in enumerate(browsers):
        browser.sign_in("alice", at=number)
    bob = Browser(house)
    bob.sign_in("bob")
    assert served_everywhere(*browsers, bob)

    answer = browsers[0].post("/_sidegate/logout/all", {}, at=2, Accept="application/json")

    assert answer.json == {"success": True, "sessions_ended": REPLICAS}
    assert all(browser.is_refused_everywhere(within_s=LAW_WITHIN_S) for browser in browsers[1:])
    assert browsers[0].as_thief().is_refused_everywhere(within_s=LAW_WITHIN_S)
    assert "signed out on another device" in browsers[1].get("/_sidegate/login", at=0).text
    assert served_everywhere(bob)


def test_the_front_channel_of_one_replica_is_law_on_all(house: ReplicaHouse) -> None:
    browser, other = Browser(house), Browser(house)
    next_second()
    browser.sign_in("bob")
    sessions = wait_for(
        house.admin.sessions(wait_for(house.admin.user_id("bob", realm=house.realm)), realm=house.realm)
    )
    sid = max(sessions, key=lambda one: one["start"])["id"]
    other.sign_in("bob", at=1)
    assert served_everywhere(browser, other)

    query = urlencode({"iss": house.issuer, "sid": sid})
    shown = WebBrowser().get(f"{house.address(2)}/_sidegate/frontchannel-logout?{query}", Host=house.authority)

    assert shown.status == 200
    assert browser.is_refused_everywhere(within_s=LAW_WITHIN_S)
    assert served_everywhere(other)


def test_a_realm_wide_logout_that_one_replica_hears_of_is_law_on_all(house: ReplicaHouse) -> None:
    browsers = [Browser(house) for _ in range(REPLICAS)]
    next_second()
    for number, browser in enumerate(browsers):
        browser.sign_in("alice", at=number)
    assert served_everywhere(*browsers)
    next_second()

    wait_for(house.admin.logout_all(realm=house.realm))

    assert eventually(lambda: not browsers[0].is_signed_in(at=1))
    assert all(browser.is_refused_everywhere(within_s=LAW_WITHIN_S) for browser in browsers)
    assert "by an administrator" in browsers[2].get("/_sidegate/login", at=0).text
    next_second()
    browsers[0].sign_in("alice", at=2)
    assert served_everywhere(browsers[0])


def test_the_other_replicas_measured_how_fast_it_was(house: ReplicaHouse) -> None:
    browser = Browser(house)
    next_second()
    browser.sign_in("bob")
    assert served_everywhere(browser)
    before = measured(house)

    browser.sign_out(at=0)

    assert browser.as_thief().is_refused_everywhere(within_s=LAW_WITHIN_S)
    assert eventually(lambda: measured(house) - before == REPLICAS - 1)


def measured(house: ReplicaHouse) -> int:
    """How many times replicas let go of what another had ended."""
    name = "sidegate_logout_propagation_seconds_count"
    texts = [WebBrowser().get(f"{one.management_url}/metrics").text for one in house.replicas]
    return sum(int(float(line.split()[1])) for text in texts for line in text.splitlines() if line.startswith(name))
