"""The houses that journeys walk through; one of the ordinary kind for each file."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tests.journeys.house import House, Person

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.keycloak.server import KeycloakServer


@pytest.fixture(scope="module")
def house(keycloak: KeycloakServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    """A house in the realm ``acme``, shared by the tests of a file."""
    made = House(keycloak, tmp_path_factory.mktemp("house"))
    try:
        made.wait_until_ready()
        yield made
    finally:
        made.end()


@pytest.fixture
def build_house(keycloak: KeycloakServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[..., House]]:
    """Build a house of another kind for one test."""
    built: list[House] = []

    def build(**kind: Any) -> House:
        made = House(keycloak, tmp_path_factory.mktemp("house"), **kind)
        built.append(made)
        made.wait_until_ready()
        return made

    yield build
    for made in built:
        made.end()


@pytest.fixture
def person(house: House) -> Person:
    """Somebody with a fresh browser."""
    return Person(house)
