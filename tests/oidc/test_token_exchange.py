"""A token for another one: what is asked, and every way in which the provider says no; RFC 8693."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
import pytest_asyncio

from proxy.core.secret import Secret
from proxy.core.tokens import ExchangedToken, ExchangeRefusal
from proxy.errors import ClientMisconfigured, ProviderUnavailable
from proxy.oidc.client_auth import ClientSecretPost
from proxy.oidc.client_call import ClientCalls
from proxy.oidc.http_client import HttpClient
from proxy.oidc.token_exchange import ACCESS_TOKEN_TYPE, GRANT_TYPE, TokenExchange
from tests.support.clocks import START, FakeClock

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from tests.oidc.answering import AnsweringServer
    from tests.support.observers import RecordingObserver

ANSWER = {"access_token": "new", "token_type": "Bearer", "expires_in": 300, "issued_token_type": ACCESS_TOKEN_TYPE}


class Bench:
    """An endpoint over a real socket."""

    def __init__(self, http: HttpClient, server: AnsweringServer, observer: RecordingObserver) -> None:
        self.server = server
        authentication = ClientSecretPost("app", lambda: Secret("client-secret"))
        self._exchange = TokenExchange(
            ClientCalls(http, authentication=authentication, audience="https://i", observer=observer)
        )

    def answers(self, body: object, status: int = 200) -> None:
        self.server.give("/token", body, status=status)

    async def ask(self, scope: str | None = None) -> ExchangedToken | ExchangeRefusal:
        url = f"{self.server.url}/token"
        return await self._exchange.fetch(url, subject_token=Secret("old"), audience="billing", scope=scope)


@pytest_asyncio.fixture
async def bench(clock: FakeClock, observer: RecordingObserver, server: AnsweringServer) -> AsyncIterator[Bench]:
    http = HttpClient(clock=clock, observer=observer, timeout_s=5.0, ca_file=None)
    yield Bench(http, server, observer)
    await http.close()


@pytest.mark.parametrize(("scope", "asked"), [(None, {}), ("read write", {"scope": "read write"})])
async def test_an_access_token_is_asked_for_and_comes(bench: Bench, scope: str | None, asked: dict[str, str]) -> None:
    bench.answers(ANSWER)

    assert await bench.ask(scope) == ExchangedToken(access_token=Secret("new"), expires_at=START + 300)
    assert bench.server.asked[0].form == {
        "grant_type": GRANT_TYPE,
        "subject_token": "old",
        "subject_token_type": ACCESS_TOKEN_TYPE,
        "requested_token_type": ACCESS_TOKEN_TYPE,
        "audience": "billing",
        "client_id": "app",
        "client_secret": "client-secret",
        **asked,
    }


async def test_a_token_without_a_lifetime_is_good_for_now_only(bench: Bench) -> None:
    bench.answers({name: value for name, value in ANSWER.items() if name != "expires_in"})

    assert await bench.ask() == ExchangedToken(access_token=Secret("new"), expires_at=START)


@pytest.mark.parametrize(
    ("status", "error", "description", "refusal"),
    [
        (403, "access_denied", "Client is not within the token audience", ExchangeRefusal.ACCESS_DENIED),
        (400, "invalid_target", "", ExchangeRefusal.INVALID_TARGET),
        (400, "invalid_request", "Requested audience not available: billing", ExchangeRefusal.INVALID_TARGET),
        (400, "invalid_request", "Invalid token", ExchangeRefusal.INVALID_TOKEN),
        (400, "invalid_grant", "", ExchangeRefusal.INVALID_TOKEN),
        (400, "invalid_token", "", ExchangeRefusal.INVALID_TOKEN),
        (400, "invalid_scope", "Missing consents for Token Exchange in client app", ExchangeRefusal.INVALID_SCOPE),
    ],
)
async def test_what_this_person_does_not_get_is_an_outcome(
    bench: Bench, status: int, error: str, description: str, refusal: ExchangeRefusal
) -> None:
    bench.answers({"error": error, "error_description": description}, status)

    assert await bench.ask() is refusal


@pytest.mark.parametrize(
    ("status", "error", "description"),
    [
        (400, "invalid_request", "Standard token exchange is not enabled for the requested client"),
        (400, "invalid_client", "Audience not found"),
        (400, "invalid_client", "Client disabled"),
        (400, "invalid_scope", "Invalid scopes: nonsense"),
        (400, "unsupported_grant_type", "Unsupported grant_type"),
        (401, "unauthorized_client", "Invalid client or Invalid client credentials"),
        (401, "access_denied", ""),
    ],
)
async def test_what_nobody_would_get_is_our_fault(bench: Bench, status: int, error: str, description: str) -> None:
    bench.answers({"error": error, "error_description": description}, status)

    with pytest.raises(ClientMisconfigured, match=f"refuses the exchange: {error}: {description}"):
        await bench.ask()


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (503, {}),
        (404, {"error": "Realm does not exist"}),
        (400, {}),
        (200, b"<html>"),
        (200, {**ANSWER, "issued_token_type": "urn:ietf:params:oauth:token-type:id_token"}),
        (200, {**ANSWER, "issued_token_type": None}),
        (200, {**ANSWER, "token_type": "N_A"}),
        (200, {**ANSWER, "access_token": ""}),
    ],
)
async def test_nonsense_is_an_outage_and_no_token(bench: Bench, status: int, body: Any) -> None:
    bench.answers(body, status)

    with pytest.raises(ProviderUnavailable):
        await bench.ask()


async def test_no_token_shows(bench: Bench) -> None:
    bench.answers({**ANSWER, "access_token": "t0ken"})

    assert "t0ken" not in repr(await bench.ask())
