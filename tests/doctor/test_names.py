"""Whether names resolve: which are asked for, and how bad it is when one does not."""

from __future__ import annotations

import asyncio
import socket
from typing import Any

import pytest

from proxy.doctor import names
from proxy.doctor.names import look_at_names, names_of
from tests.doctor.conftest import settings_with

pytestmark = pytest.mark.usefixtures("no_proxy")

ISSUER = "https://sso.test/realms/acme"
SESSIONS = {"store": "redis", "encryption_keys": [{"value": "A" * 43}]}


@pytest.fixture
def resolver(monkeypatch: pytest.MonkeyPatch) -> dict[str, OSError | UnicodeError]:
    """A resolver that knows every name but these."""
    unknown: dict[str, OSError | UnicodeError] = {}

    async def resolve(host: str) -> None:
        if host in unknown:
            raise unknown[host]

    monkeypatch.setattr(names, "_resolve", resolve)
    return unknown


def hosts(**file: Any) -> set[str]:
    return set(names_of(settings_with(ISSUER, **file)))


def test_every_name_of_the_file_is_asked_for_but_no_address() -> None:
    assert hosts() == {"sso.test", "app.test"}
    assert hosts(upstreams={"app": {"url": "http://legacy:8000"}, "b": {"url": "unix:/run/b"}}) == {
        *("sso.test", "app.test", "legacy")
    }
    assert hosts(sessions={**SESSIONS, "redis": {"url": "redis://[::1]:6379"}}) == {"sso.test", "app.test"}
    assert hosts(sessions={**SESSIONS, "redis": {"url": "redis://store:6379"}}) == {"sso.test", "app.test", "store"}
    assert hosts(sessions={**SESSIONS, "redis": {"sentinel": {"master": "m", "nodes": ["s-0:1", "s-1:2"]}}}) == {
        *("sso.test", "app.test", "s-0", "s-1")
    }
    wildcard = {"public_url": "https://*.apps.test", "hosts": ["*.apps.test"]}
    assert hosts(server=wildcard) == {"sso.test"}
    assert hosts(keycloak={"internal_url": "http://kc.svc:8080/realms/acme"}) == {"sso.test", "app.test", "kc.svc"}


def test_what_a_proxy_resolves_is_not_asked_for_here(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("https_proxy", "http://proxy.test:3128")

    assert hosts() == {"app.test"}


@pytest.mark.usefixtures("resolver")
async def test_names_that_all_resolve_are_one_line() -> None:
    (only,) = await look_at_names(settings_with(ISSUER))

    assert (str(only.verdict), only.sentence) == ("ok", "sso.test, app.test: found")


async def test_a_name_that_this_process_needs_is_a_failure_and_one_that_browsers_need_a_warning(
    resolver: dict[str, Any],
) -> None:
    for host in ("sso.test", "app.test"):
        resolver[host] = socket.gaierror(-2, "Name or service not known")

    needed, public = await look_at_names(settings_with(ISSUER))

    assert (str(needed.verdict), str(public.verdict)) == ("fail", "warn")
    assert needed.sentence == "sso.test does not resolve from here (name or service not known)"
    assert "keycloak.issuer" in needed.remedy
    assert "server.public_url" in public.remedy


async def test_with_an_inner_address_only_browsers_need_the_issuers_name(resolver: dict[str, Any]) -> None:
    resolver["sso.test"] = socket.gaierror(-2, "Name or service not known")

    (only,) = await look_at_names(settings_with(ISSUER, keycloak={"internal_url": "http://kc.svc/realms/acme"}))

    assert str(only.verdict) == "warn"


async def test_what_is_no_name_is_a_failure_and_not_a_traceback(resolver: dict[str, Any]) -> None:
    resolver["sso.test"] = UnicodeError("label too long")

    found = await look_at_names(settings_with(ISSUER))

    assert [one.sentence for one in found] == ["sso.test does not resolve from here (it is no host name)"]


async def test_a_resolver_that_is_silent_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    async def silent(_host: str) -> None:
        await asyncio.Event().wait()

    monkeypatch.setattr(names, "RESOLVE_S", 0.01)
    monkeypatch.setattr(names, "_resolve", silent)

    found = await look_at_names(settings_with(ISSUER))

    assert {one.sentence.partition(" from ")[2] for one in found} == {"here (no answer within 0.01 s)"}


async def test_the_resolver_is_the_systems() -> None:
    (found,) = await look_at_names(
        settings_with("http://localhost/realms/acme", server={"public_url": "http://127.0.0.1"})
    )

    assert found.sentence == "localhost: found"
