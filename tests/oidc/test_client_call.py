"""Who we are goes along with each request, and a rotated secret is found by asking once more, and once only."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
import pytest_asyncio
from aiohttp import web

from proxy.core.secret import Secret
from proxy.errors import ClientMisconfigured
from proxy.oidc.client_auth import ClientSecretPost
from proxy.oidc.client_call import ClientCalls
from proxy.oidc.http_client import HttpClient

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from proxy.oidc.http_client import ProviderAnswer
    from tests.oidc.answering import AnsweringServer, Asked
    from tests.support.clocks import FakeClock
    from tests.support.observers import RecordingObserver

ISSUER = "https://sso.example.com/realms/acme"
REFUSED = {"error": "unauthorized_client"}


class Bench:
    """A client whose secret stands in ``file``, and a provider that takes ``known``."""

    def __init__(self, http: HttpClient, server: AnsweringServer, observer: RecordingObserver) -> None:
        self.server = server
        self.observer = observer
        self.file: list[str] = ["first"]
        self.known = "first"
        self.error: object = REFUSED
        self.status = 401
        server.answers["/token"] = self._answer
        authentication = ClientSecretPost("app", self._read)
        self.calls = ClientCalls(http, authentication=authentication, audience=ISSUER, observer=observer)

    def _read(self) -> Secret:
        """Give the file's text; of several, each read takes one, until the last is left."""
        if not self.file:
            raise ClientMisconfigured("keycloak.client_auth.secret: the file is gone")
        return Secret(self.file.pop(0) if len(self.file) > 1 else self.file[0])

    async def _answer(self, asked: Asked) -> web.StreamResponse:
        if asked.form["client_secret"] == self.known:
            return web.json_response({})
        described = {"error_description": f"not {asked.form['client_secret']}"}
        body = {**self.error, **described} if isinstance(self.error, dict) else self.error
        return web.json_response(body, status=self.status)

    async def post(self) -> ProviderAnswer:
        return await self.calls.post("refresh", f"{self.server.url}/token", {"a": "b"}, headers={"X-One": "1"})

    def shown(self) -> list[str]:
        """The secrets of the requests so far."""
        return [asked.form["client_secret"] for asked in self.server.asked]


@pytest_asyncio.fixture
async def bench(clock: FakeClock, observer: RecordingObserver, server: AnsweringServer) -> AsyncIterator[Bench]:
    http = HttpClient(clock=clock, observer=observer, timeout_s=5.0, ca_file=None)
    yield Bench(http, server, observer)
    await http.close()


async def test_the_form_the_fields_and_the_proof_go_together(bench: Bench) -> None:
    answer = await bench.post()

    assert answer.status == 200
    asked = bench.server.asked[0]
    assert asked.form == {"a": "b", "client_id": "app", "client_secret": "first"}
    assert (asked.headers["x-one"], asked.headers["accept"]) == ("1", "application/json")


@pytest.mark.parametrize(("error", "status"), [("unauthorized_client", 401), ("invalid_client", 400)])
async def test_a_file_that_changed_meanwhile_is_read_again_once(bench: Bench, error: str, status: int) -> None:
    bench.file, bench.known = ["first", "second"], "second"
    bench.error, bench.status = {"error": error}, status

    answer = await bench.post()

    assert (answer.status, bench.shown()) == (200, ["first", "second"])
    assert bench.observer.warnings == []


async def test_the_secret_before_is_used_until_the_provider_has_the_new_one(bench: Bench) -> None:
    await bench.post()
    bench.file = ["second"]

    assert [(await bench.post()).status for _ in range(2)] == [200, 200]
    bench.known = "second"
    assert (await bench.post()).status == 200

    assert bench.shown() == ["first", "second", "first", "second", "first", "second"]
    assert ["new secret" in message for message, _ in bench.observer.warnings] == [True]


async def test_once_the_provider_took_the_new_one_the_one_before_is_forgotten(bench: Bench) -> None:
    await bench.post()
    bench.file, bench.known = ["second"], "second"
    await bench.post()
    bench.known = "third"

    answer = await bench.post()

    assert (answer.status, bench.shown()) == (401, ["first", "second", "second"])


async def test_a_secret_that_is_wrong_is_tried_once(bench: Bench) -> None:
    bench.known = "another"

    answer = await bench.post()

    assert (answer.status, bench.shown()) == (401, ["first"])


async def test_two_wrong_secrets_are_two_requests_and_the_answer_to_the_first_counts(bench: Bench) -> None:
    await bench.post()
    bench.file, bench.known = ["second"], "another"

    answer = await bench.post()

    assert (answer.status, bench.shown()) == (401, ["first", "second", "first"])
    assert answer.json_object()["error_description"] == "not second"
    assert bench.observer.warnings == []


async def test_a_secret_that_was_refused_is_never_the_one_before(bench: Bench) -> None:
    bench.known = "another"
    await bench.post()
    bench.file = ["second"]

    await bench.post()

    assert bench.shown() == ["first", "second"]


@pytest.mark.parametrize(
    ("error", "status"),
    [
        ({"error": "invalid_grant"}, 400),
        ({"error": "invalid_client"}, 403),
        ({"error": "invalid_client"}, 500),
        ({"error": ["invalid_client"]}, 400),
        ([], 401),
    ],
)
async def test_what_does_not_refuse_the_client_is_asked_once(bench: Bench, error: Any, status: int) -> None:
    bench.file, bench.known = ["first", "second"], "second"
    bench.error, bench.status = error, status

    answer = await bench.post()

    assert (answer.status, bench.shown()) == (status, ["first"])


async def test_a_file_that_is_gone_when_it_is_read_again_leaves_the_refusal(bench: Bench) -> None:
    bench.known = "another"

    async def refuse(_asked: Asked) -> web.StreamResponse:
        bench.file = []
        return web.json_response(REFUSED, status=401)

    bench.server.answers["/token"] = refuse

    assert (await bench.post()).status == 401
    with pytest.raises(ClientMisconfigured, match="gone"):
        await bench.post()
    assert len(bench.server.asked) == 1
