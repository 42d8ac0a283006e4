"""The session's Keycloak, for every test that asks for it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.keycloak.distribution import missing_programs, seeded
from tests.keycloak.server import KeycloakServer

if TYPE_CHECKING:
    from collections.abc import Iterator


def pytest_collection_finish(session: pytest.Session) -> None:
    """Fetch and build before the first test: it takes minutes once, and the time of a test is limited."""
    wanted = any("keycloak" in getattr(item, "fixturenames", ()) for item in session.items)
    if not wanted or session.config.option.collectonly or missing_programs():
        return
    capture = session.config.pluginmanager.get_plugin("capturemanager")
    assert capture is not None
    with capture.global_and_fixture_disabled():
        seeded()


@pytest.fixture(scope="session")
def keycloak(tmp_path_factory: pytest.TempPathFactory) -> Iterator[KeycloakServer]:
    """One real Keycloak for the run: a test makes its own client and users, and undoes what it does to a realm."""
    if missing := missing_programs():
        pytest.skip(f"Keycloak needs: apt-get install {missing}")
    server = KeycloakServer(tmp_path_factory.mktemp("keycloak"))
    server.start()
    yield server
    server.stop()
