"""``sidegate demo``: the embedded provider, the legacy app, Sidegate in front of it; one process, loopback only.

How Sidegate is started is handed in: this room does not know it.
"""

from __future__ import annotations

import asyncio
import secrets
import signal
import socket
import sys
from contextlib import ExitStack, asynccontextmanager, contextmanager
from typing import TYPE_CHECKING, Any, Final, Protocol

from proxy.demo.clients import Client
from proxy.demo.issuer import LOOPBACK, Issuer, running_issuer
from proxy.demo.legacy_server import running_legacy_app
from proxy.demo.shape import Shape
from proxy.demo.users import DEFAULT_ACCOUNT_ROLES, User

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator, Mapping

CLIENT_ID: Final = "legacy-app"
REALM_NAME: Final = "demo"
END_SIGNALS: Final = (signal.SIGINT, signal.SIGTERM)


class Serving(Protocol):
    """A Sidegate that serves."""

    async def close(self) -> None:
        """Drain and stop; returns when the port is free."""


class Serve(Protocol):
    """Starts Sidegate from what the YAML file would say; returns once it serves, raises if it cannot."""

    async def __call__(self, configuration: Mapping[str, object], /) -> Serving: ...


async def run_demo(port: int, serve: Serve) -> None:
    """Run the demo until Ctrl-C or SIGTERM, then end every part of it.

    Args:
        port: where Sidegate listens on loopback.
        serve: starts Sidegate.
    """
    with _ended_by_signal() as ended:
        async with running_demo(port, serve) as issuer:
            sys.stdout.write(welcome(public_url(port), issuer.origin))
            sys.stdout.flush()
            await ended.wait()
    sys.stdout.write("\nThe demo has ended.\n")


@asynccontextmanager
async def running_demo(port: int, serve: Serve) -> AsyncIterator[Issuer]:
    """The provider of a running demo; Sidegate stops first, so that nothing it needs goes before it."""
    with ExitStack() as stack:
        app_url = stack.enter_context(running_legacy_app())
        async with running_issuer(shape=Shape(f"/realms/{REALM_NAME}")) as issuer:
            client = _populate(issuer, public_url(port))
            serving = await serve(configuration(port, issuer.url, client.secret, app_url))
            try:
                yield issuer
            finally:
                await serving.close()


def public_url(port: int) -> str:
    return f"http://{LOOPBACK}:{port}"


def configuration(port: int, issuer_url: str, client_secret: str, app_url: str) -> dict[str, Any]:
    """What the YAML file of the demo would say."""
    return {
        "server": {
            "listen": f"{LOOPBACK}:{port}",
            "public_url": public_url(port),
            "hosts": [f"localhost:{port}"],
        },
        "management": {"listen": f"{LOOPBACK}:{_free_port()}", "api_listen": f"{LOOPBACK}:{_free_port()}"},
        "keycloak": {
            "issuer": issuer_url,
            "client_id": CLIENT_ID,
            "client_auth": {"method": "client_secret_basic", "secret": {"value": client_secret}},
        },
        "login": {"title": "Old Faithful"},
        "sessions": {"store": "memory"},
        "upstreams": {"app": {"url": app_url}},
        "routes": [
            {"path": "/static/**", "access": "public"},
            {"path": "/admin/**", "access": {"any_role": ["admin"]}},
            {"path": "/**", "access": "authenticated"},
        ],
    }


def _populate(issuer: Issuer, url: str) -> Client:
    issuer.users.add(_person("alice", "Liddell", roles=("viewer", "editor", "admin"), groups=("/staff",)))
    issuer.users.add(_person("bob", "Loblaw", roles=("viewer",), groups=()))
    return issuer.register_client(
        Client(
            client_id=CLIENT_ID,
            secret=secrets.token_urlsafe(32),
            root_url=url,
            redirect_uris=(f"{url}/*",),
            backchannel_logout_url=f"{url}/_sidegate/backchannel-logout",
        )
    )


def _person(username: str, last_name: str, *, roles: tuple[str, ...], groups: tuple[str, ...]) -> User:
    """A user whose password is the name, with these realm roles and no others: the app's page is to be read by people.

    The roles at ``account`` are part of the default roles of Keycloak; without them nobody may end all his sessions.
    """
    return User(
        username=username,
        password=username,
        first_name=username.capitalize(),
        last_name=last_name,
        email=f"{username}@demo.test",
        realm_roles=roles,
        client_roles={"account": DEFAULT_ACCOUNT_ROLES},
        groups=groups,
    )


def welcome(url: str, provider: str) -> str:
    """What a newcomer reads: where, who, what to try."""
    rows = {
        f"{url}/": "sign in; the app shows the headers that it is given",
        f"{url}/admin": "alice may, bob may not",
        f"{url}/notes": "a form of the app",
        f"{url}/session": "a page with Sidegate's script: sign out in another tab, and look",
        f"curl -i {url}/": "what a script is told",
        f"{url}/_sidegate/status": "what a page may ask",
        f"{url}/_sidegate/sessions": "sign in with a second browser, and end it here",
        f"{provider}/": "the identity provider: end your session there, then reload the app",
    }
    width = max(len(address) for address in rows) + 3
    tries = "\n          ".join(f"{address:<{width}}{what}" for address, what in rows.items())
    return f"""
Sidegate guards an old app at  {url}/

  users   alice / alice   roles viewer, editor, admin; group /staff
          bob   / bob     role viewer

  try     {tries}

  Ctrl-C ends it. Everything is on loopback and in memory.
"""


def _free_port() -> int:
    """A port that was free a moment ago; whoever takes it before us makes the start fail with a sentence."""
    with socket.socket() as probe:
        probe.bind((LOOPBACK, 0))
        return int(probe.getsockname()[1])


@contextmanager
def _ended_by_signal() -> Iterator[asyncio.Event]:
    """An event that Ctrl-C or SIGTERM sets."""
    loop, ended = asyncio.get_running_loop(), asyncio.Event()
    for number in END_SIGNALS:
        loop.add_signal_handler(number, ended.set)
    try:
        yield ended
    finally:
        for number in END_SIGNALS:
            loop.remove_signal_handler(number)
