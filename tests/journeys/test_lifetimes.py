"""How long sessions last at a real Keycloak whose SSO sessions are brief: offline or not, and in an outage."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any
from urllib.request import urlopen

import pytest

from tests.journeys.house import House, Person, wait_for
from tests.journeys.replicas import Browser, ReplicaHouse
from tests.keycloak.realms import BRIEF_IDLE_S, BRIEF_MAX_S, BRIEF_TOKEN_S

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.keycloak.server import KeycloakServer

pytestmark = [pytest.mark.slow]

REALM = "brief"
OFFLINE = {"offline_access": True}


def offline_sessions(house: House) -> int:
    """How many offline sessions Keycloak keeps for this house's client."""
    path = f"/{REALM}/clients/{house.client.uuid}/offline-session-count"
    return int(wait_for(house.keycloak.admin.call("GET", path))["count"])


def refreshes(house: House) -> int:
    """How often Keycloak was asked for a refresh by this house."""
    params = {"client": house.client.client_id, "max": "500"}
    return len(wait_for(house.keycloak.admin.call("GET", f"/{REALM}/events", params=params)))


def metric(management_url: str, name: str) -> float:
    with urlopen(f"{management_url}/metrics", timeout=5) as answer:
        lines = answer.read().decode().splitlines()
    return sum(float(line.rpartition(" ")[2]) for line in lines if line.startswith(name))


def said(house: House, *words: str) -> bool:
    """Whether a line of the log has all these words; lines are written in batches, a moment late."""
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        if any(all(word in line for word in words) for line in house.sidegate.log_lines):
            return True
        time.sleep(0.1)
    return False


def test_only_offline_access_outlives_keycloaks_sso_session(build_house: Callable[..., House]) -> None:
    plain, offline = build_house(realm=REALM), build_house(realm=REALM, keycloak=OFFLINE)
    ends, form, code = Person(plain), Person(offline), Person(offline)
    form.sign_in()
    code.sign_in_at_keycloak()
    began = time.monotonic()
    ends.sign_in()

    # One stays busy, so that only the maximum ends it; the others do nothing for longer than the idle time.
    while ends.is_signed_in():
        assert time.monotonic() - began < BRIEF_MAX_S + 10
        time.sleep(0.25)
    lasted_s = time.monotonic() - began
    offline_lives_on = form.is_signed_in() and code.is_signed_in()

    assert BRIEF_TOKEN_S < lasted_s < BRIEF_MAX_S + 6
    assert offline_lives_on
    # A token that shrinks towards the end would be refreshed again and again, were it not noticed.
    assert refreshes(plain) < 2 * BRIEF_MAX_S / BRIEF_TOKEN_S + 4
    # Keycloak counts its answer down when a second ends while it is made.
    assert any(
        said(plain, f"refresh tokens last {idle}s", f"sessions end after {idle}s without activity", "offline_access")
        for idle in (BRIEF_IDLE_S, BRIEF_IDLE_S - 1)
    )
    assert said(offline, "name no end of their own")
    assert offline_sessions(offline) == 2

    for person in (form, code):
        page = person.get("/_sidegate/logout")
        person.browser.post(page.form_action, page.hidden_inputs(), Accept="text/html", Origin=offline.url)
        assert not person.is_signed_in()
    assert offline_sessions(offline) == 0, "a logout ends the offline session at Keycloak too"


def test_an_outage_of_keycloak_is_bridged_for_as_long_as_the_file_says(
    keycloak: KeycloakServer, tmp_path_factory: pytest.TempPathFactory
) -> None:
    changes: dict[str, Any] = {
        "sessions": {"outage_grace": "6s"},
        "client": {"attributes": {"access.token.lifespan": "2"}},
    }
    house = ReplicaHouse(keycloak, tmp_path_factory.mktemp("outage"), store=None, **changes)
    try:
        house.wait_until_ready()
        browser = Browser(house)
        browser.sign_in("alice")
        house.keycloak_network.refuse()
        refused_after_s = _served_until_refused(browser)
        served = metric(house.replicas[0].management_url, "sidegate_outage_served_total")
        house.keycloak_network.resume()
        returned = _returns(browser)
    finally:
        house.end()

    assert 5 < refused_after_s < 15, "two seconds of the access token and six of grace"
    assert served > 5
    assert returned, "the session was kept all the time"


def _served_until_refused(browser: Browser) -> float:
    began = time.monotonic()
    while (status := browser.get("/x", Accept="application/json").status) == 200:
        assert time.monotonic() - began < 30
        time.sleep(0.2)
    assert status == 503
    return time.monotonic() - began


def _returns(browser: Browser) -> bool:
    deadline = time.monotonic() + 25
    while time.monotonic() < deadline:
        if browser.get("/x", Accept="application/json").status == 200:
            return True
        time.sleep(0.25)
    return False
