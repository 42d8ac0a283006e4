"""One refresh at a Keycloak that rotates, however many replicas, whoever is killed, slow, gone or signed out; all real.

What Keycloak itself counted is what counts: its events say how often a refresh token was spent, and what it refused.
"""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Any

import aiohttp
import pytest

from proxy.sessions.redis_lease import LEASE_TTL_S
from tests.journeys.house import wait_for
from tests.journeys.replicas import REPLICAS, Browser, ReplicaHouse
from tests.keycloak.admin import KeycloakAdmin

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.keycloak.server import KeycloakServer
    from tests.redis.server import RedisServer

pytestmark = [pytest.mark.slow]

REALM = "rotating"
LIFE_S = 4
SHORT = {"access.token.lifespan": str(LIFE_S)}
REQUESTS = 200


@pytest.fixture(scope="module")
def admin(keycloak: KeycloakServer) -> KeycloakAdmin:
    """The administrator, on a way to Keycloak that no test pauses; events are kept from here on."""
    made = KeycloakAdmin(keycloak.base_url)
    config = {"eventsEnabled": True, "enabledEventTypes": ["REFRESH_TOKEN", "REFRESH_TOKEN_ERROR"]}
    wait_for(made.call("PUT", f"/{REALM}/events/config", json=config))
    return made


@pytest.fixture(scope="module")
def house(
    keycloak: KeycloakServer, redis_server: RedisServer, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[ReplicaHouse]:
    """Three replicas whose access tokens live four seconds."""
    redis_server.reset()
    # Nothing is refreshed early, so that a slow machine does not begin the next refresh while the first is counted.
    changes: dict[str, Any] = {"client": {"attributes": SHORT}, "sessions": {"refresh_before_expiry": "0s"}}
    made = ReplicaHouse(keycloak, tmp_path_factory.mktemp("refresh"), store=redis_server, realm=REALM, **changes)
    try:
        made.wait_until_ready()
        yield made
    finally:
        made.end()


class Witness:
    """What Keycloak saw of one client since it was asked to look."""

    def __init__(self, admin: KeycloakAdmin, client_id: str) -> None:
        self._admin = admin
        self._client_id = client_id
        self._before = len(self._events())

    def seen(self) -> list[str]:
        """``REFRESH_TOKEN`` for each that it gave, ``REFRESH_TOKEN_ERROR`` for each that it refused, oldest first."""
        found = self._events()
        return [event["type"] for event in reversed(found[: len(found) - self._before])]

    def _events(self) -> list[dict[str, Any]]:
        params = {"client": self._client_id, "max": "500"}
        found: list[dict[str, Any]] = wait_for(self._admin.call("GET", f"/{REALM}/events", params=params))
        return found


@pytest.fixture
def witness(admin: KeycloakAdmin, house: ReplicaHouse) -> Witness:
    """Begins to look now."""
    return Witness(admin, house.client.client_id)


@pytest.fixture
def browser(house: ReplicaHouse) -> Browser:
    """Somebody whose access token has just ended, and who was not refreshed."""
    made = Browser(house)
    made.sign_in("alice")
    time.sleep(LIFE_S + 0.5)
    return made


async def statuses(browser: Browser, requests: int, *, at: tuple[int, ...] = tuple(range(REPLICAS))) -> list[int]:
    """Make so many requests at once, each on a connection of its own, spread over these replicas."""
    headers = {"Cookie": browser.cookie, "Host": browser.house.authority, "Accept": "application/json"}
    connector = aiohttp.TCPConnector(limit=0, force_close=True)
    timeout = aiohttp.ClientTimeout(total=60)
    async with aiohttp.ClientSession(headers=headers, connector=connector, timeout=timeout) as http:

        async def ask(number: int) -> int:
            async with http.get(f"{browser.house.address(at[number % len(at)])}/x") as answer:
                await answer.read()
                return answer.status

        return await asyncio.gather(*(ask(number) for number in range(requests)))


def lives_on(browser: Browser) -> bool:
    """Say whether every replica serves the session, beyond the second in which Keycloak overlooks a reuse."""
    time.sleep(1.2)
    return all(browser.is_signed_in(at=replica) for replica in range(REPLICAS))


def test_two_hundred_requests_on_three_replicas_make_one_refresh(
    house: ReplicaHouse, browser: Browser, witness: Witness
) -> None:
    answers = asyncio.run(statuses(browser, REQUESTS))

    assert answers == [200] * REQUESTS
    assert witness.seen() == ["REFRESH_TOKEN"]
    assert lives_on(browser)
    time.sleep(LIFE_S)
    assert asyncio.run(statuses(browser, 30)) == [200] * 30
    assert set(witness.seen()) == {"REFRESH_TOKEN"}


def test_a_keycloak_slower_than_a_lease_lives_makes_one_refresh_all_the_same(
    house: ReplicaHouse, browser: Browser, witness: Witness
) -> None:
    async def wait_long() -> list[int]:
        house.keycloak_network.pause_answers()
        waiting = asyncio.get_running_loop().create_task(statuses(browser, REQUESTS))
        await asyncio.sleep(LEASE_TTL_S + 2)
        house.keycloak_network.resume()
        return await waiting

    try:
        answers = asyncio.run(wait_long())
    finally:
        house.keycloak_network.resume()

    assert answers == [200] * REQUESTS
    assert witness.seen() == ["REFRESH_TOKEN"]
    assert lives_on(browser)


def test_a_replica_that_is_killed_with_the_lease_costs_nobody_anything(
    house: ReplicaHouse, browser: Browser, witness: Witness
) -> None:
    async def kill_the_holder() -> list[int]:
        house.keycloak_network.pause()
        holder = asyncio.get_running_loop().create_task(statuses(browser, 1, at=(0,)))
        await asyncio.sleep(1)
        others = asyncio.get_running_loop().create_task(statuses(browser, REQUESTS, at=(1, 2)))
        await asyncio.sleep(1)
        house.kill(0)
        # What it had already written is lost with it; else Keycloak would be asked by the dead.
        house.keycloak_network.cut()
        house.keycloak_network.resume()
        await asyncio.gather(holder, return_exceptions=True)
        return await others

    try:
        answers = asyncio.run(kill_the_holder())
    finally:
        house.keycloak_network.resume()
        house.start_again(0)

    assert answers == [200] * REQUESTS
    assert witness.seen() == ["REFRESH_TOKEN"]
    assert lives_on(browser)


def test_a_browser_that_hangs_up_loses_no_rotated_token(
    house: ReplicaHouse, browser: Browser, witness: Witness
) -> None:
    async def hang_up() -> None:
        house.keycloak_network.pause_answers()
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(1.5):
                await statuses(browser, 10)

    try:
        asyncio.run(hang_up())
    finally:
        house.keycloak_network.resume()

    assert witness.seen() == ["REFRESH_TOKEN"]
    assert asyncio.run(statuses(browser, 30)) == [200] * 30
    assert "REFRESH_TOKEN_ERROR" not in witness.seen()
    assert lives_on(browser)


def test_a_logout_by_keycloak_during_the_refresh_wins(
    house: ReplicaHouse, browser: Browser, witness: Witness, admin: KeycloakAdmin
) -> None:
    async def log_out_meanwhile() -> list[int]:
        sessions = await admin.sessions(await admin.user_id("alice", realm=REALM), realm=REALM)
        theirs = [one["id"] for one in sessions if house.client.client_id in one["clients"].values()]
        house.keycloak_network.pause_answers()
        waiting = asyncio.get_running_loop().create_task(statuses(browser, 30))
        await asyncio.sleep(1.5)
        for sid in theirs:
            await admin.delete_session(sid, realm=REALM)
        house.keycloak_network.resume()
        return await waiting

    try:
        answers = asyncio.run(log_out_meanwhile())
    finally:
        house.keycloak_network.resume()

    assert witness.seen()[0] == "REFRESH_TOKEN", "Keycloak gave new tokens before it ended the session"
    assert answers == [401] * 30
    assert not any(browser.is_signed_in(at=replica) for replica in range(REPLICAS))


def test_a_lost_answer_is_asked_for_once_more_and_keycloak_decides(
    house: ReplicaHouse, browser: Browser, witness: Witness
) -> None:
    async def lose_the_answer() -> list[int]:
        house.keycloak_network.pause_answers()
        waiting = asyncio.get_running_loop().create_task(statuses(browser, 30))
        await asyncio.sleep(1.5)
        house.keycloak_network.cut()
        house.keycloak_network.resume()
        return await waiting

    try:
        answers = asyncio.run(lose_the_answer())
    finally:
        house.keycloak_network.resume()

    # The old token was spent and the new one is nowhere: with rotation nobody can bring this session back.
    assert witness.seen() == ["REFRESH_TOKEN", "REFRESH_TOKEN_ERROR"]
    assert answers == [401] * 30
