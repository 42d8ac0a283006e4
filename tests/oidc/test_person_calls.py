"""The parts that are made for the first person: one client to all endpoints, and the end of a session by the first."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import pytest_asyncio

from proxy.core.secret import Secret
from proxy.core.tokens import GrantRefusal
from proxy.oidc.client_auth import ClientSecretPost
from proxy.oidc.http_client import HttpClient
from proxy.oidc.metadata import Addresses
from proxy.oidc.options import ProviderOptions
from proxy.oidc.person_calls import PersonCalls
from proxy.ports import AccountAnswer, ProviderMetadata
from tests.oidc.key_stores import key_store

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from tests.oidc.answering import AnsweringServer
    from tests.support.clocks import FakeClock
    from tests.support.observers import RecordingObserver

TOKEN = Secret("the-refresh-token")


@pytest_asyncio.fixture
async def calls(clock: FakeClock, observer: RecordingObserver, server: AnsweringServer) -> AsyncIterator[PersonCalls]:
    issuer = f"{server.url}/realms/acme"
    authentication = ClientSecretPost("app", lambda: Secret("client-secret"))
    options = ProviderOptions(issuer=issuer, client_id="app", authentication=authentication)
    http = HttpClient(clock=clock, observer=observer, timeout_s=5.0, ca_file=None)
    addresses = Addresses(issuer=issuer)
    yield PersonCalls(options, http, keys=key_store(clock), addresses=addresses, observer=observer)
    await http.close()


def metadata(server: AnsweringServer, *, end_session: str | None, revocation: str | None) -> ProviderMetadata:
    return ProviderMetadata(
        issuer=f"{server.url}/realms/acme",
        authorization_endpoint=f"{server.url}/auth",
        token_endpoint=f"{server.url}/token",
        jwks_uri=f"{server.url}/certs",
        end_session_endpoint_internal=None if end_session is None else server.url + end_session,
        revocation_endpoint=None if revocation is None else server.url + revocation,
    )


async def test_every_endpoint_is_asked_as_the_same_client(calls: PersonCalls, server: AnsweringServer) -> None:
    server.give("/token", {"error": "invalid_grant"}, status=400)
    server.give("/introspect", {"active": False})

    refused = await calls.endpoint.refresh(f"{server.url}/token", refresh_token=TOKEN)
    assert refused is GrantRefusal.INVALID_GRANT
    assert await calls.introspection.fetch(f"{server.url}/introspect", token=TOKEN) is None
    await calls.exchange.fetch(f"{server.url}/token", subject_token=TOKEN, audience="orders", scope=None)

    assert [asked.form["client_secret"] for asked in server.asked] == ["client-secret"] * 3


async def test_the_account_api_is_that_of_the_issuer(calls: PersonCalls, server: AnsweringServer) -> None:
    server.give("/realms/acme/account/sessions", b"", status=204)

    assert await calls.account.end_all(Secret("the-access-token")) is AccountAnswer.ENDED


async def test_a_session_that_has_ended_is_not_revoked_too(calls: PersonCalls, server: AnsweringServer) -> None:
    server.give("/logout", b"", status=204)

    await calls.end_session(metadata(server, end_session="/logout", revocation="/revoke"), refresh_token=TOKEN)

    assert server.paths() == ["/logout"]


@pytest.mark.parametrize(
    ("end_session", "revocation", "asked"),
    [("/logout", "/revoke", ["/logout", "/revoke"]), (None, "/revoke", ["/revoke"]), (None, None, [])],
)
async def test_it_is_revoked_where_it_cannot_be_ended(
    calls: PersonCalls, server: AnsweringServer, end_session: str | None, revocation: str | None, asked: list[str]
) -> None:
    server.give("/revoke", b"")

    await calls.end_session(metadata(server, end_session=end_session, revocation=revocation), refresh_token=TOKEN)

    assert server.paths() == asked
