"""What the provider says of a token, and what of that is believed; RFC 7662."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
import pytest_asyncio

from proxy.core.secret import Secret
from proxy.errors import ClientMisconfigured, ProviderUnavailable
from proxy.oidc.client_auth import ClientSecretPost
from proxy.oidc.client_call import ClientCalls
from proxy.oidc.http_client import HttpClient
from proxy.oidc.introspection import MAX_TOKEN_CHARACTERS, Introspection
from tests.support.clocks import START, FakeClock

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping

    from tests.oidc.answering import AnsweringServer
    from tests.support.observers import RecordingObserver

ISSUER = "https://sso.example.com/realms/acme"
CLAIMS = {"iss": ISSUER, "sub": "u-1", "exp": START + 300, "aud": ["app"], "typ": "Bearer"}


class Bench:
    """An endpoint over a real socket."""

    def __init__(self, http: HttpClient, server: AnsweringServer, observer: RecordingObserver) -> None:
        self.server = server
        authentication = ClientSecretPost("app", lambda: Secret("client-secret"))
        calls = ClientCalls(http, authentication=authentication, audience=ISSUER, observer=observer)
        self._introspection = Introspection(calls, issuer=ISSUER)

    def answers(self, body: object, status: int = 200) -> None:
        self.server.give("/introspect", body, status=status)

    async def ask(self, token: str = "opaque") -> Mapping[str, object] | None:
        return await self._introspection.fetch(f"{self.server.url}/introspect", token=Secret(token))


@pytest_asyncio.fixture
async def bench(clock: FakeClock, observer: RecordingObserver, server: AnsweringServer) -> AsyncIterator[Bench]:
    http = HttpClient(clock=clock, observer=observer, timeout_s=5.0, ca_file=None)
    yield Bench(http, server, observer)
    await http.close()


async def test_an_active_token_has_claims_and_the_client_says_who_it_is(bench: Bench) -> None:
    bench.answers({**CLAIMS, "active": True})

    assert await bench.ask("t.o.k") == CLAIMS
    client = {"client_id": "app", "client_secret": "client-secret"}
    assert bench.server.asked[0].form == {"token": "t.o.k", "token_type_hint": "access_token", **client}


@pytest.mark.parametrize(
    "answer",
    [
        {"active": False},
        {"active": False, **CLAIMS},
        {**CLAIMS, "active": True, "iss": "https://sso.example.com/realms/other"},
        {**CLAIMS, "active": True, "iss": None},
        {**CLAIMS, "active": True, "exp": START},
        {**CLAIMS, "active": True, "exp": "never"},
        {**CLAIMS, "active": True, "exp": True},
    ],
)
async def test_what_is_not_active_or_contradicts_it_is_none(bench: Bench, answer: dict[str, Any]) -> None:
    bench.answers(answer)

    assert await bench.ask() is None


async def test_issuer_and_end_may_be_left_out(bench: Bench) -> None:
    bench.answers({"active": True, "sub": "u-1"})

    assert await bench.ask() == {"sub": "u-1"}


@pytest.mark.parametrize("token", ["", "a\nb", "é", "t" * (MAX_TOKEN_CHARACTERS + 1)], ids=len)
async def test_what_can_be_no_token_is_not_asked_about(bench: Bench, token: str) -> None:
    assert await bench.ask(token) is None
    assert bench.server.asked == []


@pytest.mark.parametrize(
    ("status", "error"), [(401, "invalid_client"), (400, "invalid_client"), (403, "access_denied")]
)
async def test_a_client_that_is_refused_is_our_fault(bench: Bench, status: int, error: str) -> None:
    bench.answers({"error": error, "error_description": "Client authentication failed."}, status)

    with pytest.raises(ClientMisconfigured, match=f"{error}: Client authentication failed"):
        await bench.ask()


@pytest.mark.parametrize(
    ("status", "body"),
    [(200, {}), (200, {"active": "true"}), (200, []), (200, b"<html>"), (404, {}), (503, {}), (401, b"<html>")],
)
async def test_nonsense_is_an_outage_and_no_verdict(bench: Bench, status: int, body: object) -> None:
    bench.answers(body, status)

    with pytest.raises(ProviderUnavailable):
        await bench.ask()
