"""Claims by access token: about the same person, or none; OIDC Core 1.0 §5.3."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
import pytest_asyncio

from proxy.core.secret import Secret
from proxy.errors import ClientMisconfigured, ProviderUnavailable, TokenRejected
from proxy.oidc.http_client import HttpClient
from proxy.oidc.userinfo import Userinfo
from tests.oidc.key_stores import key_store
from tests.oidc.signing import sign

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping

    from tests.oidc.answering import AnsweringServer
    from tests.support.clocks import FakeClock
    from tests.support.observers import RecordingObserver

ISSUER = "https://sso.example.com"


class Bench:
    """Userinfo over a real socket."""

    def __init__(self, userinfo: Userinfo, server: AnsweringServer) -> None:
        self._userinfo = userinfo
        self.server = server

    async def fetch(self) -> Mapping[str, object]:
        return await self._userinfo.fetch(f"{self.server.url}/me", access_token=Secret("at"), subject="1")

    def answers(self, body: object, status: int = 200, **headers: str) -> None:
        self.server.give("/me", body, status=status, **headers)


@pytest_asyncio.fixture
async def bench(clock: FakeClock, observer: RecordingObserver, server: AnsweringServer) -> AsyncIterator[Bench]:
    http = HttpClient(clock=clock, observer=observer, timeout_s=5.0, ca_file=None)
    yield Bench(Userinfo(http, key_store(clock), issuer=ISSUER, client_id="app"), server)
    await http.close()


async def test_the_access_token_gives_the_claims(bench: Bench) -> None:
    bench.answers({"sub": "1", "name": "Alice"})

    assert await bench.fetch() == {"sub": "1", "name": "Alice"}
    assert bench.server.asked[0].headers["authorization"] == "Bearer at"


@pytest.mark.parametrize(
    ("claims", "reason"),
    [
        ({"sub": "2"}, "wrong_subject"),
        ({"sub": "1 "}, "wrong_subject"),
        ({"name": "Alice"}, "missing_sub"),
        ({"sub": 1}, "malformed_sub"),
    ],
)
async def test_claims_of_somebody_else_are_refused(bench: Bench, claims: dict[str, Any], reason: str) -> None:
    bench.answers(claims)

    with pytest.raises(TokenRejected) as refused:
        await bench.fetch()
    assert refused.value.reason == reason


@pytest.mark.parametrize("status", [401, 403])
async def test_a_fresh_token_that_is_refused_is_a_matter_of_set_up(bench: Bench, status: int) -> None:
    bench.answers(b"", status)

    with pytest.raises(ClientMisconfigured, match="scope openid"):
        await bench.fetch()


@pytest.mark.parametrize(("status", "body"), [(500, b""), (404, b""), (200, b"<html>"), (200, b"[]"), (204, b"")])
async def test_nonsense_is_a_fault_of_the_provider(bench: Bench, status: int, body: bytes) -> None:
    bench.answers(body, status)

    with pytest.raises(ProviderUnavailable):
        await bench.fetch()


class TestSigned:
    """``application/jwt``."""

    claims: Mapping[str, Any] = {"iss": ISSUER, "aud": "app", "sub": "1", "name": "Alice"}

    def answers(self, bench: Bench, compact: str) -> None:
        bench.answers(compact.encode(), Content_Type="application/jwt")

    async def test_a_signed_answer_gives_its_claims(self, bench: Bench) -> None:
        self.answers(bench, sign(dict(self.claims)))

        assert (await bench.fetch())["name"] == "Alice"

    @pytest.mark.parametrize(
        ("changes", "reason"),
        [
            ({"iss": "https://evil.test"}, "wrong_issuer"),
            ({"aud": "other"}, "wrong_audience"),
            ({"sub": "2"}, "wrong_subject"),
        ],
    )
    async def test_a_signed_answer_for_somebody_else_is_refused(
        self, bench: Bench, changes: dict[str, Any], reason: str
    ) -> None:
        self.answers(bench, sign({**self.claims, **changes}))

        with pytest.raises(TokenRejected) as refused:
            await bench.fetch()
        assert refused.value.reason == reason

    async def test_a_wrong_signature_is_refused(self, bench: Bench) -> None:
        self.answers(bench, sign(dict(self.claims), key="RSA-2048 second", kid="RSA-2048"))

        with pytest.raises(TokenRejected) as refused:
            await bench.fetch()
        assert refused.value.reason == "wrong_signature"
