"""The client as an administrator sees it: what the setup would change, each with its verdict and its place."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
import pytest_asyncio
from aiohttp.test_utils import TestServer

from proxy.core.secret import Secret
from proxy.doctor.finding import SETUP
from proxy.doctor.registration import CHECK, how_to_see, look_at_registration
from proxy.keycloak_setup.admin_api import Administrator
from proxy.keycloak_setup.difference import difference, new_client
from proxy.keycloak_setup.needs import needs_of
from proxy.keycloak_setup.state import ClientState
from proxy.keycloak_setup.wanted import wanted_client
from tests.doctor.conftest import settings_with
from tests.keycloak_setup.fake_keycloak import CLIENTS, FakeKeycloak

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

    from proxy.doctor.finding import Finding
    from proxy.doctor.visit import Visit

    Begin = Callable[..., Awaitable[Visit]]

pytestmark = pytest.mark.usefixtures("no_proxy")


@pytest.fixture
def fake() -> FakeKeycloak:
    return FakeKeycloak()


@pytest_asyncio.fixture
async def base_url(fake: FakeKeycloak) -> AsyncIterator[str]:
    server = TestServer(fake.application())
    await server.start_server()
    yield str(server.make_url("")).rstrip("/")
    await server.close()


def well(issuer: str, **file: Any) -> dict[str, Any]:
    """The client as the setup would make it, but for the mappers that stand in client scopes."""
    wanted = wanted_client(needs_of(settings_with(issuer, **file)))
    plan = difference(wanted, ClientState(uuid=None), secret=None)
    mappers = [
        {"id": one.name, "name": one.name, "protocolMapper": one.kind, "config": one.config} for one in wanted.mappers
    ]
    return {"id": "u", **new_client(wanted, plan), "protocolMappers": mappers}


async def findings(visit_to: Begin, base_url: str, password: str = "pw", **file: Any) -> list[Finding]:
    visit = await visit_to(f"{base_url}/realms/acme", **file)
    who = Administrator(base_url=base_url, realm="master", username="root", password=Secret(password))
    found = list(await look_at_registration(visit, who))
    assert "pw-of-root" not in repr(found)
    return found


def by_name(found: list[Finding], check: str) -> list[Finding]:
    return [one for one in found if one.check == check]


@pytest.fixture
def client(fake: FakeKeycloak, base_url: str) -> dict[str, Any]:
    """A client that is well, for a test to bend."""
    made = well(f"{base_url}/realms/acme")
    fake.client = made
    scopes = [{"id": name, "name": name} for name in ("basic", "profile", "email")]
    fake.answers[f"GET {CLIENTS}/u/default-client-scopes"] = (200, scopes)
    for scope in scopes:
        fake.answers[f"GET /admin/realms/acme/client-scopes/{scope['id']}"] = (200, scope)
    fake.answers[f"GET {CLIENTS}/u/client-secret"] = (200, {"value": "the-secret-of-the-client"})
    return made


async def test_a_client_that_is_well_is_ok_and_says_what_else_cannot_be_seen(
    client: dict[str, Any], base_url: str, visit_to: Begin
) -> None:
    found = await findings(visit_to, base_url)

    assert [(one.check, str(one.verdict), one.sentence) for one in found] == [
        ("admin URL", "ok", "http://app.test/_sidegate/keycloak"),
        ("front-channel", "ok", "off"),
        ("back-channel", "ok", "http://app.test/_sidegate/backchannel-logout"),
        ("back-channel sid", "ok", "on"),
        (CHECK, "ok", "app is as the file needs it"),
    ]


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"frontchannelLogout": True}, ("front-channel", "fail", "Logout settings → Front channel logout")),
        ({"adminUrl": ""}, ("admin URL", "warn", "Access settings → Admin URL")),
        ({"redirectUris": []}, (CHECK, "fail", "Access settings → Valid redirect URIs")),
        ({"directAccessGrantsEnabled": False}, (CHECK, "fail", "Capability config → Direct access grants")),
        ({"webOrigins": ["+"]}, (CHECK, "warn", "Access settings → Web origins")),
        ({"protocolMappers": []}, (CHECK, "fail", "Client scopes → dedicated → Add mapper")),
    ],
)
async def test_what_differs_has_its_verdict_and_its_place(
    client: dict[str, Any], base_url: str, visit_to: Begin, change: dict[str, Any], told: tuple[str, str, str]
) -> None:
    check, verdict, place = told
    client.update(change)

    found = await findings(visit_to, base_url)

    bad = [one for one in found if one.remedy]
    assert {(one.check, str(one.verdict)) for one in bad} == {(check, verdict)}
    assert bad[0].remedy == f"Clients → app → {place}, or run: {SETUP}"
    assert not [one for one in by_name(found, CHECK) if not one.remedy]


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"backchannel.logout.url": ""}, ("back-channel", "fail")),
        ({"backchannel.logout.url": "https://elsewhere.test/"}, ("back-channel", "fail")),
        ({"backchannel.logout.session.required": "false"}, ("back-channel sid", "warn")),
        ({"pkce.code.challenge.method": ""}, (CHECK, "warn")),
        ({"use.refresh.tokens": "false"}, (CHECK, "fail")),
        ({"client.use.lightweight.access.token.enabled": "true"}, (CHECK, "fail")),
    ],
)
async def test_an_attribute_that_differs_has_its_verdict(
    client: dict[str, Any], base_url: str, visit_to: Begin, change: dict[str, str], told: tuple[str, str]
) -> None:
    client["attributes"].update(change)

    bad = [one for one in await findings(visit_to, base_url) if one.remedy]

    assert {(one.check, str(one.verdict)) for one in bad} == {told}


async def test_a_grant_that_is_only_superfluous_is_a_warning(
    fake: FakeKeycloak, client: dict[str, Any], base_url: str, visit_to: Begin
) -> None:
    bad = [one for one in await findings(visit_to, base_url, login={"mode": "redirect"}) if one.remedy]

    assert [(str(one.verdict), "Direct access grants is on; needed: off" in one.sentence) for one in bad] == [
        ("warn", True)
    ]


async def test_another_secret_is_a_failure_that_shows_none(
    fake: FakeKeycloak, client: dict[str, Any], base_url: str, visit_to: Begin
) -> None:
    fake.answers[f"GET {CLIENTS}/u/client-secret"] = (200, {"value": "quite-another-one"})

    bad = [one for one in await findings(visit_to, base_url) if one.remedy]

    assert [str(one.verdict) for one in bad] == ["fail"]
    assert "quite-another-one" not in repr(bad)
    assert "the-secret-of-the-client" not in repr(bad)


async def test_a_client_that_is_not_there_is_to_be_made(fake: FakeKeycloak, base_url: str, visit_to: Begin) -> None:
    fake.client = None

    (only,) = await findings(visit_to, base_url)

    assert (str(only.verdict), only.sentence, only.remedy) == (
        "fail",
        "the realm has no client app",
        f"make it: {SETUP}",
    )


async def test_an_administrator_who_may_not_is_one_line_with_the_role(
    fake: FakeKeycloak, base_url: str, visit_to: Begin
) -> None:
    fake.answers[f"GET {CLIENTS}"] = (403, {"error": "HTTP 403 Forbidden"})

    (only,) = await findings(visit_to, base_url, password="pw-of-root")

    assert (str(only.verdict), "manage-clients" in only.remedy) == ("fail", True)


async def test_how_to_see_it_without_an_account_names_the_url_and_the_place(visit_to: Begin) -> None:
    said = how_to_see(await visit_to("http://sso.test/realms/acme"))

    assert "http://app.test/_sidegate/backchannel-logout" in said
    assert "Clients → app → Logout settings" in said
    assert "--admin-url" in said
