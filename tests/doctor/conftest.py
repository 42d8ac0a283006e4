"""A provider of the demo, and visits to it with files of every kind."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from typing import TYPE_CHECKING, Any

import pytest
import pytest_asyncio

from proxy.demo.clients import Client, Feature
from proxy.demo.issuer import Issuer, running_issuer
from proxy.demo.shape import Shape
from proxy.doctor.visit import visiting
from proxy.settings.model import Settings
from tests.oidc.answering import AnsweringServer, answering_server

if TYPE_CHECKING:
    import ssl
    from collections.abc import AsyncIterator, Awaitable, Callable, Iterable

    from proxy.doctor.finding import Finding
    from proxy.doctor.visit import Visit

SITE = "http://app.test"
SECRET = "the-secret-of-the-client"


def settings_with(issuer: str, **changes: Any) -> Settings:
    """The settings of a small file; each change is merged into its section."""
    file: dict[str, Any] = {
        "server": {"public_url": SITE},
        "keycloak": {"issuer": issuer, "client_id": "app", "client_auth": {"secret": {"value": SECRET}}},
        "upstreams": {"app": {"url": "http://127.0.0.1:9"}},
    }
    for section, keys in changes.items():
        file[section] = {**file.get(section, {}), **keys} if isinstance(keys, dict) else keys
    return Settings.model_validate(file)


@pytest_asyncio.fixture
async def issuer() -> AsyncIterator[Issuer]:
    """A provider that is set up well, with alice, who is a viewer among the staff."""
    async with running_issuer(shape=Shape("/realms/demo")) as made:
        register(made)
        made.add_user("alice", "alice-pw", realm_roles=("viewer",), groups=("/staff",))
        yield made


def register(issuer: Issuer, **changes: Any) -> Client:
    """Have the client of the file, with changes; ``without`` and ``also`` are features."""
    features = (Feature.USUAL | Feature.PKCE_REQUIRED | changes.pop("also", Feature(0))) & ~changes.pop(
        "without", Feature(0)
    )
    known = {
        "client_id": "app",
        "secret": SECRET,
        "features": features,
        "redirect_uris": (f"{SITE}/_sidegate/callback",),
        "post_logout_redirect_uris": (f"{SITE}/_sidegate/logged-out",),
    }
    return issuer.register_client(Client(**{**known, **changes}))


@pytest_asyncio.fixture
async def server() -> AsyncIterator[AnsweringServer]:
    """A server that answers what a test lays out."""
    async with answering_server() as made:
        yield made


@pytest_asyncio.fixture
async def visit_to() -> AsyncIterator[Callable[..., Awaitable[Visit]]]:
    """Begin a visit with a file about an issuer."""
    async with AsyncExitStack() as stack:

        async def begin(issuer: str, **changes: Any) -> Visit:
            return await stack.enter_async_context(visiting(settings_with(issuer, **changes), file="sidegate.yaml"))

        yield begin


def told(findings: Iterable[Finding]) -> dict[str, tuple[str, str, str]]:
    """Verdict, sentence and remedy by check; each once."""
    listed = list(findings)
    found = {one.check: (str(one.verdict), one.sentence, one.remedy) for one in listed}
    assert len(found) == len(listed), listed
    return found


def verdicts(findings: Iterable[Finding]) -> dict[str, str]:
    """Verdict by check."""
    return {check: verdict for check, (verdict, _, _) in told(findings).items()}


@pytest.fixture
def no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    """No proxy of this machine stands between."""
    for name in ("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY", "no_proxy", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)


@asynccontextmanager
async def serving(
    talk: Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]], tls: ssl.SSLContext | None = None
) -> AsyncIterator[int]:
    """A server on loopback; gives its port, and ends when every conversation has."""
    over: list[asyncio.Event] = []

    async def converse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        over.append(asyncio.Event())
        mine = over[-1]
        try:
            with suppress(OSError, EOFError, asyncio.LimitOverrunError):
                await talk(reader, writer)
        finally:
            writer.close()
            with suppress(OSError):
                await writer.wait_closed()
            mine.set()

    server = await asyncio.start_server(converse, "127.0.0.1", 0, ssl=tls)
    try:
        yield int(server.sockets[0].getsockname()[1])
    finally:
        server.close()
        for each in over:
            await each.wait()
