"""Every fault of the schedule, under traffic: nobody is served wrongly, no session is lost, all is well soon after."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.faults.experiment import Residents, complaints_about
from tests.faults.schedule import SCHEDULE, Fault
from tests.journeys.replicas import ReplicaHouse

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.keycloak.server import KeycloakServer
    from tests.redis.server import RedisServer


@pytest.fixture(scope="module")
def residents(
    keycloak: KeycloakServer, redis_server: RedisServer, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Residents]:
    """People of three replicas; their tokens live so shortly that some session is refreshed during every fault."""
    redis_server.reset()
    house = ReplicaHouse(
        keycloak,
        tmp_path_factory.mktemp("faults"),
        store=redis_server,
        client={"attributes": {"access.token.lifespan": "8"}},
        keycloak={"timeout": "2s"},
    )
    try:
        house.wait_until_ready()
        yield Residents(house)
    finally:
        redis_server.reset()
        house.end()


@pytest.mark.parametrize("fault", SCHEDULE, ids=lambda fault: fault.name.replace(" ", "-"))
def test_nobody_is_served_wrongly_and_nothing_is_lost(
    fault: Fault, residents: Residents, redis_server: RedisServer
) -> None:
    complaints = complaints_about(fault, residents, redis_server)
    if complaints:
        residents.begin_anew()

    assert not complaints, "\n".join(complaints[:20])
