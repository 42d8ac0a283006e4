"""A provider that lies, Sidegate before it, an app behind it; most tests share one of each and forge one thing."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tests.conformance.forging_issuer import CLIENT_SECRET, Plan, rsa_key, running_forging_server
from tests.conformance.relying_party import RelyingParty, start_relying_party
from tests.support.legacy_app import LegacyApp

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.conformance.forging_issuer import ForgingIssuer, ForgingServer


@pytest.fixture(scope="session")
def forging_server() -> Iterator[ForgingServer]:
    """Where every issuer of these tests lies."""
    with running_forging_server() as server:
        yield server


@pytest.fixture(scope="session")
def app_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """An app in gunicorn that says as JSON what it was told."""
    app = LegacyApp("tests.support.environ_wsgi:application", tmp_path_factory.mktemp("app"))
    try:
        app.wait_until_ready()
        yield app.url
    finally:
        app.end()


@pytest.fixture(scope="session")
def shared_party(
    forging_server: ForgingServer, app_url: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[RelyingParty]:
    """A relying party that has seen an honest provider start."""
    party = start_relying_party(forging_server.alias(), app_url, tmp_path_factory.mktemp("shared"))
    try:
        party.sidegate.wait_until_ready()
        yield party
    finally:
        party.sidegate.end()
    assert_log_is_clean(party)


def assert_log_is_clean(party: RelyingParty) -> None:
    """After all those lies: nothing that nobody foresaw happened, and no token was written down (law 11)."""
    log = party.sidegate.program.output
    payloads = [token.split(".")[1] for token in party.issuer.id_tokens]
    assert "Traceback" not in log
    assert [each for each in (*payloads, *party.issuer.opaque_tokens, CLIENT_SECRET) if each in log] == []


@pytest.fixture
def party(shared_party: RelyingParty) -> RelyingParty:
    """The shared relying party, at a provider that is honest again."""
    issuer = shared_party.issuer
    issuer.plan, issuer.keys, issuer.sid = Plan(), [rsa_key("first")], None
    issuer.calls.clear()
    return shared_party


@pytest.fixture
def issuer(party: RelyingParty) -> ForgingIssuer:
    """The issuer of the shared relying party."""
    return party.issuer


@pytest.fixture(scope="module")
def start_lasting_party(
    app_url: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Callable[..., RelyingParty]]:
    """Start a relying party for the tests of one file."""
    started: list[RelyingParty] = []

    def start(issuer: ForgingIssuer, **sections: Any) -> RelyingParty:
        made = start_relying_party(issuer, app_url, tmp_path_factory.mktemp("lasting"), **sections)
        started.append(made)
        made.sidegate.wait_until_ready()
        return made

    yield start
    for made in started:
        made.sidegate.end()


@pytest.fixture
def start_party(
    forging_server: ForgingServer, app_url: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Callable[..., RelyingParty]]:
    """Start a relying party of its own: ``start_party(issuer, wait_for="listening", keycloak={...})``."""
    started: list[RelyingParty] = []

    def start(issuer: ForgingIssuer, *, wait_for: str = "ready", **sections: Any) -> RelyingParty:
        made = start_relying_party(issuer, app_url, tmp_path_factory.mktemp("party"), **sections)
        started.append(made)
        sidegate = made.sidegate
        {"ready": sidegate.wait_until_ready, "listening": sidegate.wait_until_listening}[wait_for]()
        return made

    yield start
    for made in started:
        made.sidegate.end()
