"""Sentinels name another primary, under traffic: what has ended stays ended, what lives goes on."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import pytest

from tests.faults.experiment import START_WITHIN_S, Residents, leave_at_last, sign_out
from tests.faults.traffic import NEVER, RECOVERY_S, Incident, Traffic, Visitor, judge
from tests.journeys.replicas import ReplicaHouse

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.keycloak.server import KeycloakServer
    from tests.redis.sentinel import SentinelHouse

STALE_S = 3.0
"""How long an old primary that is back is looked at; sentinels need about one second to tell it what it is."""


@pytest.fixture(scope="module")
def residents(
    keycloak: KeycloakServer, redis_sentinel: SentinelHouse, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Residents]:
    """People of three replicas that ask sentinels for their Redis."""
    redis_sentinel.reset()
    house = ReplicaHouse(keycloak, tmp_path_factory.mktemp("failover"), store=redis_sentinel)
    try:
        house.wait_until_ready()
        yield Residents(house)
    finally:
        house.end()


def test_a_logout_just_before_a_failover_is_not_lost_and_no_session_is(
    residents: Residents, redis_sentinel: SentinelHouse
) -> None:
    redis_sentinel.heal()
    visitors = residents.at_home()
    leaver = visitors[-1]

    with Traffic(residents.house, visitors) as traffic:
        complaints = traffic.until_served_everywhere(within_s=START_WITHIN_S)
        begun_at = time.time()
        sign_out(leaver)
        redis_sentinel.fail_over()
        failed_over_at = time.time()
        complaints += _back_to_normal(traffic)
        settled_at = time.time()

    assert leaver.ended_at is not NEVER
    assert (
        complaints
        + _judged(
            residents, visitors, Incident(begun_at, settled_at, may_break_connections=False, joined_at=failed_over_at)
        )
        == []
    )


def test_an_old_primary_that_comes_back_revives_nobody(residents: Residents, redis_sentinel: SentinelHouse) -> None:
    redis_sentinel.heal()
    visitors = residents.at_home()
    leaver = visitors[-1]

    with Traffic(residents.house, visitors) as traffic:
        complaints = traffic.until_served_everywhere(within_s=START_WITHIN_S)
        begun_at = time.time()
        old, _ = redis_sentinel.fail_over_from_a_paused_primary()
        complaints += _back_to_normal(traffic)
        # The old primary has not heard of it, and it still has connections to every replica.
        sign_out(leaver)
        old.resume()
        time.sleep(STALE_S)
        settled_at = time.time()

    assert leaver.ended_at is not NEVER
    assert (
        complaints
        + _judged(
            residents, visitors, Incident(begun_at, settled_at, may_break_connections=False, joined_at=settled_at)
        )
        == []
    )


def _back_to_normal(traffic: Traffic) -> list[str]:
    return traffic.until_served_everywhere(within_s=RECOVERY_S) + traffic.until_refused_everywhere(within_s=RECOVERY_S)


def _judged(residents: Residents, visitors: list[Visitor], incident: Incident) -> list[str]:
    residents.part_with(visitors)
    return judge(visitors, incident) + leave_at_last(visitors[-1])
