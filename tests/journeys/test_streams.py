"""Sessions of which only a stream is open: their tokens live on, their roles follow; all real.

One evening is walked through for all of it, since it must be longer than tokens live.
"""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import aiohttp
import pytest

from tests.contracts.web_browser import WebBrowser
from tests.journeys.house import House, Person, decoded, wait_for
from tests.support.stream_app import StreamApp

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.keycloak.admin import Client
    from tests.keycloak.server import KeycloakServer

ACCESS_S, IDLE_S = 4, 10
EVENING_S = 16.0
"""Longer than Keycloak lets a session of this client be idle, and long enough for a stream to have it refreshed."""
PATIENCE_S = 20.0
ROUTES = [
    {"path": "/admin/**", "access": {"any_role": ["editor"]}, "strip_prefix": "/admin"},
    {"path": "/**", "access": "authenticated"},
]
NO_LONGER_ALLOWED = (1008, "no longer allowed")
SESSION_ENDED = (1008, "session ended")
TOKEN_S = 10
"""Seconds that the token of a program lives: it must be shown within them on a busy machine, and be over in time."""
AUDIENCE = "streams-api"
WITHIN_S = 2.0
"""The second within which an end is law (contract §4), and another for a machine that is busy."""


@dataclass
class Socket:
    """A WebSocket that somebody holds open and says nothing in; ``closed`` is how it ended."""

    path: str
    person: Person
    greeting: str = ""
    closed: tuple[int, str] | None = None
    closed_at: float = 0.0
    token: str = ""

    async def listen(self, http: aiohttp.ClientSession, opened: asyncio.Barrier) -> None:
        house = self.person.house
        cookie = "; ".join(f"{name}={value}" for name, value in self.person.browser.cookies.items())
        headers = {"Origin": house.url, "Cookie": cookie}
        if self.token:
            headers = {"Authorization": f"Bearer {self.token}"}
        async with http.ws_connect(house.url + self.path, headers=headers) as socket:
            self.greeting = await socket.receive_str(timeout=PATIENCE_S)
            await opened.wait()
            message = await socket.receive()
            if message.type is aiohttp.WSMsgType.CLOSE:
                self.closed, self.closed_at = (message.data, message.extra or ""), time.time()


@dataclass
class Evening:
    """What became of the people of one evening.

    Attributes:
        watcher: has a WebSocket open and asks for nothing.
        sleeper: the same without a WebSocket.
        clerk: loses the role of an editor while two WebSockets are open.
        leaver: signs out everywhere while a program has a WebSocket open in their name.
        tokens: of programs, by the name of their socket.
    """

    watcher: Person
    sleeper: Person
    clerk: Person
    leaver: Person
    tokens: dict[str, str] = field(default_factory=dict)
    left_at: float = 0.0
    sockets: dict[str, Socket] = field(default_factory=dict)

    async def pass_by(self, editor_id: str) -> None:
        self.sockets = {
            "watcher": Socket("/ws", self.watcher),
            "editor": Socket("/admin/ws", self.clerk),
            "clerk": Socket("/ws", self.clerk),
            **{name: Socket("/ws", self.leaver, token=token) for name, token in self.tokens.items()},
        }
        opened = asyncio.Barrier(len(self.sockets) + 1)
        async with aiohttp.ClientSession() as http, asyncio.TaskGroup() as group:
            tasks = [group.create_task(socket.listen(http, opened)) for socket in self.sockets.values()]
            async with asyncio.timeout(PATIENCE_S):
                await opened.wait()
            began = time.monotonic()
            await asyncio.to_thread(self.leave)
            await self.clerk.house.keycloak.admin.remove_realm_roles(editor_id, ("editor",))
            async with asyncio.timeout(PATIENCE_S):
                while self.sockets["editor"].closed is None:  # noqa: ASYNC110  another process has no event
                    await asyncio.sleep(0.1)
            await asyncio.sleep(max(0.0, began + EVENING_S - time.monotonic()))
            for task in tasks:
                task.cancel()

    def leave(self) -> None:
        """Sign out everywhere."""
        csrf_token = self.leaver.get("/_sidegate/sessions", Accept="application/json").json["csrf_token"]
        self.left_at = time.time()
        assert self.leaver.post("/_sidegate/logout/all", {"csrf_token": csrf_token}).status in {200, 303}


def program_of(keycloak: KeycloakServer, name: str) -> Client:
    """A client whose access tokens are for the house."""
    config = {"included.custom.audience": AUDIENCE, "access.token.claim": "true"}
    mapper = {"protocol": "openid-connect", "protocolMapper": "oidc-audience-mapper", "config": config}
    made: Client = wait_for(
        keycloak.admin.create_client(
            name,
            "http://127.0.0.1:9",
            attributes={"access.token.lifespan": str(TOKEN_S)},
            protocolMappers=[{"name": "for-the-house", **mapper}],
        )
    )
    return made


def token_of(keycloak: KeycloakServer, program: Client, username: str) -> str:
    form = {"grant_type": "password", "username": username, "password": f"{username}-pw"}
    who = {"client_id": program.client_id, "client_secret": program.secret}
    answer = WebBrowser().post(f"{keycloak.issuer('acme')}/protocol/openid-connect/token", {**form, **who})
    assert answer.status == 200, answer.text
    token: str = answer.json["access_token"]
    return token


@pytest.fixture(scope="module")
def evening(keycloak: KeycloakServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Evening]:
    folder = tmp_path_factory.mktemp("evening")
    app = StreamApp(folder)
    attributes = {"access.token.lifespan": str(ACCESS_S), "client.session.idle.timeout": str(IDLE_S)}
    upstreams = {"app": {"url": app.url}}
    audience = {"audience": [AUDIENCE]}
    house = House(
        keycloak, folder, client={"attributes": attributes}, upstreams=upstreams, routes=ROUTES, keycloak=audience
    )
    program = program_of(keycloak, f"program-{house.client.client_id}")
    try:
        app.wait_until_ready()
        house.wait_until_ready()
        name = f"clerk-{house.client.client_id}"
        clerk_id = wait_for(keycloak.admin.create_user(name, realm_roles=("editor",)))
        leaver = f"leaver-{house.client.client_id}"
        wait_for(keycloak.admin.create_user(leaver))
        people = Evening(Person(house), Person(house), Person(house), Person(house))
        people.leaver.sign_in(leaver)
        people.watcher.sign_in("alice")
        people.sleeper.sign_in("bob")
        people.clerk.sign_in(name)
        people.tokens = {
            "program": token_of(keycloak, program, "bob"),
            "programs_person_left": token_of(keycloak, program, leaver),
        }
        wait_for(people.pass_by(clerk_id))
        yield people
    finally:
        house.end()
        app.end()
        wait_for(keycloak.admin.delete_client(program))


def test_a_socket_where_the_role_is_needed_closes_at_the_refresh_after_it_was_taken_away(evening: Evening) -> None:
    assert evening.sockets["editor"].closed == NO_LONGER_ALLOWED
    assert evening.clerk.get("/admin/x").status == 403


def test_the_other_streams_of_who_lost_a_role_stay_open(evening: Evening) -> None:
    assert evening.sockets["clerk"].closed is None
    assert evening.clerk.get("/x").status == 200


def test_a_session_with_only_a_socket_open_outlives_the_idle_time_of_the_provider(evening: Evening) -> None:
    assert evening.sockets["watcher"].greeting == "alice"
    assert evening.sockets["watcher"].closed is None
    assert evening.watcher.is_signed_in()


def test_a_session_without_a_stream_does_not(evening: Evening) -> None:
    assert not evening.sleeper.is_signed_in()


def test_a_socket_of_a_program_closes_when_its_token_is_over(evening: Evening) -> None:
    socket, expires_at = evening.sockets["program"], decoded(evening.tokens["program"])["exp"]

    assert (socket.greeting, socket.closed) == ("bob", SESSION_ENDED)
    assert expires_at <= socket.closed_at < expires_at + WITHIN_S


def test_a_socket_of_a_program_closes_when_its_person_signs_out_everywhere(evening: Evening) -> None:
    socket = evening.sockets["programs_person_left"]

    assert (socket.greeting[:7], socket.closed) == ("leaver-", SESSION_ENDED)
    assert socket.closed_at < evening.left_at + WITHIN_S
