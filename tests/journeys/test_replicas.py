"""A logout on one of three replicas is law on all: for requests, for open streams, and by Keycloak's word too."""

from __future__ import annotations

import asyncio
import contextlib
import time
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import aiohttp
import pytest

from tests.journeys.replicas import REPLICAS, Browser, ReplicaHouse

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    from tests.keycloak.server import KeycloakServer
    from tests.redis.server import RedisServer

LOGOUTS = 20
AT_WORST_S = 1.0
"""The promise: what has ended is refused everywhere after one second at worst."""

STREAM_PATIENCE_S = 10.0


@pytest.fixture(scope="module")
def house(
    keycloak: KeycloakServer, redis_server: RedisServer, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[ReplicaHouse]:
    """Three replicas for the tests of this file."""
    redis_server.reset()
    made = ReplicaHouse(keycloak, tmp_path_factory.mktemp("replicas"), store=redis_server)
    try:
        made.wait_until_ready()
        yield made
    finally:
        made.end()


@asynccontextmanager
async def http_of(browser: Browser) -> AsyncIterator[aiohttp.ClientSession]:
    """Streams of a browser: with its cookie and the public name, to whichever replica."""
    headers = {"Cookie": browser.cookie, "Host": browser.house.authority, "Origin": browser.house.url}
    async with aiohttp.ClientSession(headers=headers, cookie_jar=aiohttp.DummyCookieJar()) as http:
        yield http


async def close_code(socket: aiohttp.ClientWebSocketResponse) -> int | None:
    """The code with which the other side closes."""
    async with asyncio.timeout(STREAM_PATIENCE_S):
        message = await socket.receive()
    assert message.type is aiohttp.WSMsgType.CLOSE
    return int(message.data)


async def rest_of(events: aiohttp.ClientResponse) -> set[str]:
    """The users named until the body ends, or breaks off as one does that is not whole."""
    named: set[str] = set()
    async with asyncio.timeout(STREAM_PATIENCE_S):
        with contextlib.suppress(aiohttp.ClientPayloadError):
            async for line in events.content:
                named |= {line.split()[1].decode()} if line.startswith(b"data:") else set()
    return named


def test_a_session_made_at_one_replica_is_served_at_all(house: ReplicaHouse) -> None:
    browser = Browser(house)

    browser.sign_in("alice", at=1)

    answers = [browser.get("/who", at=number).json["username"] for number in range(REPLICAS)]
    assert answers == ["alice"] * REPLICAS


def test_each_step_of_a_login_may_be_made_at_another_replica(house: ReplicaHouse) -> None:
    browser = Browser(house)
    tabs = [browser.get(f"/_sidegate/start?return_to=/tab/{number}", at=number) for number in range(2)]
    answers = [browser.at_keycloak(tab, "alice") for tab in tabs]

    first, second = browser.get(answers[0], at=2), browser.get(answers[1], at=0)
    again = browser.get(answers[0], at=1)

    assert [answer.location for answer in (first, second, again)] == ["/tab/0", "/tab/1", "/tab/0"]
    assert [bool(answer.cookies) for answer in (first, second, again)] == [True, False, False]
    assert browser.is_signed_in(at=1)


def test_a_form_that_was_used_at_one_replica_is_worth_nothing_at_another(house: ReplicaHouse) -> None:
    browser, open_tab = Browser(house), Browser(house)
    page = browser.get("/_sidegate/login?return_to=/first", at=0)
    form = {**page.hidden_inputs(), "username": "alice", "password": "alice-pw"}
    refused = browser.post("/_sidegate/login", {**form, "password": "wrong"}, at=1)
    open_tab.take_cookies_of(browser)

    assert refused.status == 401
    assert browser.post("/_sidegate/login", form, at=2).location == "/first"
    assert open_tab.post("/_sidegate/login", form, at=0).status == 403
    assert browser.post("/_sidegate/login", form, at=1).location == "/first", "it leads on who is signed in"


def test_every_logout_is_refused_everywhere_within_a_second(house: ReplicaHouse) -> None:
    stays = Browser(house)
    stays.sign_in("bob")
    for number in range(LOGOUTS):
        browser = Browser(house)
        browser.sign_in("alice", at=number % REPLICAS)
        assert all(browser.is_signed_in(at=replica) for replica in range(REPLICAS))

        begun = time.monotonic()
        answer = browser.sign_out(at=(number + 1) % REPLICAS)

        assert answer.status == 303
        # The cookie is gone from the browser, which goes on being known; a thief would still have it.
        assert [pair.partition("=")[0] for pair in browser.cookie.split("; ")] == ["sidegate-known"]
        assert browser.as_thief().is_refused_everywhere(within_s=AT_WORST_S - (time.monotonic() - begun))
    assert all(stays.is_signed_in(at=replica) for replica in range(REPLICAS))


def test_a_form_is_kept_at_one_replica_and_sent_on_by_another(house: ReplicaHouse) -> None:
    browser = Browser(house)
    browser.sign_in("alice", at=0)
    other_tab = browser.as_thief()
    assert browser.sign_out(at=1).status == 303

    kept = other_tab.post("/save?x=1", {"a": "b"}, at=1)
    page = other_tab.get(kept.location, at=2)
    form = {**page.hidden_inputs(), "username": "alice", "password": "alice-pw"}
    signed_in = other_tab.post("/_sidegate/login", form, at=0)
    answers = [other_tab.get("/save?x=1", at=number).json for number in (2, 1)]

    assert (kept.status, signed_in.location) == (303, "/save?x=1")
    assert [(one["method"], one["body"]) for one in answers] == [("POST", "a=b"), ("GET", "")]


async def test_open_streams_end_on_the_other_replicas_and_nobody_elses_does(house: ReplicaHouse) -> None:
    alice, bob = Browser(house), Browser(house)
    await asyncio.to_thread(alice.sign_in, "alice", at=0)
    await asyncio.to_thread(bob.sign_in, "bob", at=0)
    async with http_of(alice) as of_alice, http_of(bob) as of_bob:
        # To answer the close by itself, it would forget the code when nobody is there any more to hear the answer.
        closing = await of_alice.ws_connect(house.address(1) + "/ws", autoclose=False)
        staying = await of_bob.ws_connect(house.address(1) + "/ws")
        assert (await closing.receive_str(), await staying.receive_str()) == ("alice", "bob")
        async with (
            of_alice.get(house.address(2) + "/events") as events,
            of_bob.get(house.address(2) + "/events") as bobs,
        ):
            assert (await events.content.readline()).startswith(b"data: alice ")

            assert (await asyncio.to_thread(alice.sign_out, at=0)).status == 303

            assert await close_code(closing) == aiohttp.WSCloseCode.POLICY_VIOLATION
            assert await rest_of(events) <= {"alice"}
            assert (await bobs.content.readline()).startswith(b"data: bob ")
        await staying.send_str("still there?")
        assert await staying.receive_str() == "still there?"
        await closing.close()
        await staying.close()


async def test_the_word_of_keycloak_to_one_replica_is_law_on_all(house: ReplicaHouse) -> None:
    browser, other = Browser(house), Browser(house)
    await asyncio.to_thread(browser.sign_in, "bob", at=2)
    await asyncio.to_thread(other.sign_in, "alice", at=1)
    admin = house.admin
    sessions = await admin.sessions(await admin.user_id("bob"))
    own = [one["id"] for one in sessions if house.client.client_id in one["clients"].values()]

    for sid in own:
        await admin.delete_session(sid)

    assert await asyncio.to_thread(browser.is_refused_everywhere, within_s=AT_WORST_S)
    assert await asyncio.to_thread(other.is_signed_in, at=0)
