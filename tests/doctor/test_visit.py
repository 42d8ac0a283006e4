"""What every look has in its hands, and that each ends in time."""

from __future__ import annotations

import asyncio
import ssl
from typing import TYPE_CHECKING

import pytest

from proxy.doctor.finding import fail, ok
from proxy.doctor.visit import Visit, in_time, visiting
from proxy.errors import ProviderUnavailable, SettingsError
from tests.doctor.conftest import settings_with

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from pathlib import Path

    from proxy.doctor.finding import Finding

    Begin = Callable[..., Awaitable[Visit]]

ISSUER = "https://sso.test/auth/realms/acme"


async def test_the_command_is_whole_with_the_url_that_stands_before_the_realm(visit_to: Begin) -> None:
    visit = await visit_to(ISSUER)

    assert visit.setup_command == "sidegate keycloak-setup -c sidegate.yaml --admin-url https://sso.test/auth"


async def test_an_admin_url_that_was_given_is_kept() -> None:
    async with visiting(settings_with(ISSUER), file="a.yaml", admin_url="http://kc:8080") as visit:
        assert visit.setup_command == "sidegate keycloak-setup -c a.yaml --admin-url http://kc:8080"


async def test_own_pages_lie_below_the_path_of_the_public_url(visit_to: Begin) -> None:
    visit = await visit_to(ISSUER, server={"public_url": "https://app.test/tools", "prefix": "/_gate"})

    assert visit.own_pages == "https://app.test/tools/_gate"


async def test_both_sides_of_the_provider_are_told_apart(visit_to: Begin) -> None:
    visit = await visit_to(ISSUER, keycloak={"internal_url": "http://kc:8080/realms/acme"})

    assert visit.outside.discovery_url.startswith(ISSUER)
    assert visit.inside.discovery_url.startswith("http://kc:8080/realms/acme")


async def test_an_authority_that_cannot_be_read_is_a_fault_of_the_settings(tmp_path: Path) -> None:
    settings = settings_with(ISSUER, keycloak={"ca_file": str(tmp_path / "gone")})

    with pytest.raises(SettingsError, match=r"keycloak\.ca_file"):
        async with visiting(settings, file="a.yaml"):
            pass


async def test_a_look_without_an_end_is_a_finding() -> None:
    async def look() -> list[Finding]:
        await asyncio.Event().wait()
        return []

    (only,) = await in_time("keys", look(), seconds=0.01)

    assert (only.check, str(only.verdict), only.sentence) == ("keys", "fail", "no end after 0.01 s")


async def test_a_fault_of_a_look_is_a_finding() -> None:
    async def look() -> list[Finding]:
        raise ProviderUnavailable("it is away; start it")

    assert await in_time("keys", look()) == (fail("keys", "it is away", "start it"),)


async def test_what_a_look_finds_is_passed_on() -> None:
    async def look() -> list[Finding]:
        return [ok("a", "b")]

    assert await in_time("keys", look()) == (ok("a", "b"),)


def test_our_own_certificate_is_verified_as_a_browser_does() -> None:
    tls = Visit.public_tls()

    assert (tls.verify_mode, tls.check_hostname) == (ssl.CERT_REQUIRED, True)
