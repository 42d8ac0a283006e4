"""The wire to the admin API: every refusal is a sentence with its remedy, and tokens are renewed in time."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from aiohttp.test_utils import TestServer

from proxy.core.secret import Secret
from proxy.errors import SidegateError
from proxy.keycloak_setup.admin_api import AdminApi, Administrator
from proxy.keycloak_setup.difference import AddMapper, AssignScope, MendMapper
from proxy.keycloak_setup.state import Mapper, Scope
from proxy.oidc.http_client import HttpClient
from tests.forward.certificates import Certificates
from tests.keycloak_setup.fake_keycloak import CLIENTS, TOKEN_PATH, FakeKeycloak
from tests.support.clocks import FakeClock
from tests.support.observers import RecordingObserver
from tests.support.ports import free_port

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path


@pytest.fixture
def fake() -> FakeKeycloak:
    return FakeKeycloak()


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
async def api(fake: FakeKeycloak, clock: FakeClock) -> AsyncIterator[AdminApi]:
    server = TestServer(fake.application())
    await server.start_server()
    made = make_api(str(server.make_url("")).rstrip("/"), clock)
    yield made
    await made._http.close()
    await server.close()


def make_api(base_url: str, clock: FakeClock) -> AdminApi:
    who = Administrator(base_url=base_url, realm="master", username="root", password=Secret("pw-of-root"))
    http = HttpClient(clock=clock, observer=RecordingObserver(), timeout_s=5, ca_file=None)
    return AdminApi(http, who, realm="acme", clock=clock)


async def refusal(api: AdminApi) -> str:
    with pytest.raises(SidegateError) as refused:
        await api.look("app", ("profile",))
    await api._http.close()
    assert "pw-of-root" not in str(refused.value)
    return str(refused.value)


FAULTS: list[tuple[str, str, tuple[int, object], str]] = [
    (
        "wrong password",
        f"POST {TOKEN_PATH}",
        (400, {"error": "invalid_grant", "error_description": "Invalid user credentials"}),
        "Keycloak refuses root in realm master: Invalid user credentials; check --admin-user",
    ),
    (
        "admin-cli is off",
        f"POST {TOKEN_PATH}",
        (401, {"error": "invalid_client"}),
        "admin-cli of realm master takes no password; switch on its Direct access grants",
    ),
    (
        "unknown realm of the administrator",
        f"POST {TOKEN_PATH}",
        (404, {"error": "Realm does not exist"}),
        "has no realm master; name with --admin-realm",
    ),
    ("something else", f"POST {TOKEN_PATH}", (404, "<h1>nginx</h1>"), "(but 404); --admin-url is what stands before"),
    ("something that says yes", f"POST {TOKEN_PATH}", (200, "<h1>hi</h1>"), "--admin-url is what stands before"),
    ("no rights", f"GET {CLIENTS}", (403, {"error": "HTTP 403 Forbidden"}), "manage-clients of acme-realm (in realm"),
    (
        "a token that is not taken back",
        f"GET {CLIENTS}",
        (401, {"error": "HTTP 401 Unauthorized"}),
        "write as --admin-url the address that Keycloak knows itself by",
    ),
    ("unknown realm", f"GET {CLIENTS}", (404, {"error": "Realm not found."}), "has no realm acme; check keycloak.iss"),
    ("no admin API", f"GET {CLIENTS}", (404, "<h1>nginx</h1>"), "an ingress must let /admin/ through"),
    ("HTML for JSON", f"GET {CLIENTS}", (200, "<h1>sign in</h1>"), "an ingress must let /admin/ through"),
    ("a fault of its own", f"GET {CLIENTS}", (500, {"error": "unknown_error"}), "answers 500: unknown_error; try"),
    ("a redirect", f"GET {CLIENTS}", (302, {}), "a redirect (302), which is not followed; check --admin-url"),
    ("a policy", f"GET {CLIENTS}", (400, {"errorMessage": "no\x1b[2J"}), "not take the change (400): no [2J; a p"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("request_", "answer", "sentence"), [one[1:] for one in FAULTS], ids=[one[0] for one in FAULTS]
)
async def test_a_refusal_is_a_sentence_with_its_remedy(
    api: AdminApi, fake: FakeKeycloak, request_: str, answer: tuple[int, Any], sentence: str
) -> None:
    fake.answers[request_] = answer

    assert sentence in await refusal(api)


async def test_nobody_there_is_a_sentence() -> None:
    said = await refusal(make_api(f"http://127.0.0.1:{free_port()}", FakeClock()))

    assert said.endswith("cannot be reached: connection refused; check --admin-url and the network between")


async def test_a_certificate_that_is_not_trusted_names_the_key_of_the_file(fake: FakeKeycloak, tmp_path: Path) -> None:
    server = TestServer(fake.application(), scheme="https")
    await server.start_server(ssl=Certificates(tmp_path).server_context("127.0.0.1"))
    try:
        said = await refusal(make_api(str(server.make_url("")).rstrip("/"), FakeClock()))
    finally:
        await server.close()

    assert "its certificate is not trusted" in said
    assert "name its authority in keycloak.ca_file" in said


async def test_a_token_that_is_nearly_over_is_not_used(api: AdminApi, fake: FakeKeycloak, clock: FakeClock) -> None:
    await api.secret("u")
    clock.advance(44)
    await api.secret("u")
    assert fake.tokens == 1

    clock.advance(2)
    await api.secret("u")

    assert fake.tokens == 2


async def test_a_token_that_is_refused_is_renewed_once(api: AdminApi, fake: FakeKeycloak) -> None:
    await api.secret("u")
    fake.refuse_tokens_below = 2

    assert await api.secret("u") == Secret("the-secret")

    assert fake.tokens == 2


async def test_a_client_of_another_protocol_is_not_touched(api: AdminApi, fake: FakeKeycloak) -> None:
    fake.client = {"id": "u", "clientId": "app", "protocol": "saml"}

    assert await refusal(api) == "the client app speaks saml; name another one in keycloak.client_id"


async def test_a_client_whose_id_only_begins_alike_is_another(api: AdminApi, fake: FakeKeycloak) -> None:
    fake.client = {"id": "u", "clientId": "app2"}

    assert (await api.look("app", ())).uuid is None


async def test_the_secret_is_kept_out_of_the_members(api: AdminApi, fake: FakeKeycloak) -> None:
    assert fake.client is not None
    fake.client["secret"] = "in-clear"

    state = await api.look("app", ())

    assert "in-clear" not in repr(state)
    assert state.secret == Secret("the-secret")


async def test_a_public_client_is_not_asked_for_a_secret(api: AdminApi, fake: FakeKeycloak) -> None:
    assert fake.client is not None
    fake.client["publicClient"] = True

    assert (await api.look("app", ())).secret is None
    assert not any("client-secret" in one for one in fake.asked)


async def test_each_edit_has_its_request(api: AdminApi, fake: FakeKeycloak) -> None:
    mapper = Mapper("m/1", "groups", "kind", {"a": "b"})

    await api.update("u", {"clientId": "app", "secret": Secret("new")})
    await api.edit("u", AddMapper("groups", "kind", {"a": "b"}))
    await api.edit("u", MendMapper(mapper, {"a": "c"}))
    await api.edit("u", AssignScope(Scope("s", "offline_access"), "optional"))

    assert fake.asked[1:] == [
        f"PUT {CLIENTS}/u",
        f"POST {CLIENTS}/u/protocol-mappers/models",
        f"PUT {CLIENTS}/u/protocol-mappers/models/m/1",
        f"PUT {CLIENTS}/u/optional-client-scopes/s",
    ]
    document = {"name": "groups", "protocol": "openid-connect", "protocolMapper": "kind", "config": {"a": "b"}}
    assert fake.sent == [
        {"clientId": "app", "secret": "new"},
        document,
        {"id": "m/1", **document, "config": {"a": "c"}},
        {},
    ]
