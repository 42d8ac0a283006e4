"""When Redis counts as away, and what is said of it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from proxy.sessions.redis_faults import Fault, FaultKind
from proxy.sessions.redis_outage import QUIET_S, Outages
from tests.support.clocks import FakeClock

if TYPE_CHECKING:
    from proxy.ports import Clock

AWAY = Fault(FaultKind.AWAY, "no connection; look")
LOADING = Fault(FaultKind.LOADING, "it loads; wait")
FULL = Fault(FaultKind.FULL, "it is full; give it more")
FORBIDDEN = Fault(FaultKind.FORBIDDEN, "not allowed; allow")


class Told:
    """Outages of a Redis called ``R``, with a clock in the hand."""

    def __init__(self) -> None:
        self.clock = FakeClock()
        self.outages = Outages("R", now=self.clock.monotonic(), unix_now=self.clock.now())

    def failed(self, fault: Fault) -> str | None:
        return self.outages.failed(fault, **_instants(self.clock))

    def probed(self) -> str | None:
        return self.outages.probed(**_instants(self.clock))


def _instants(clock: Clock) -> dict[str, float]:
    return {"now": clock.monotonic(), "unix_now": clock.now()}


@pytest.fixture
def told() -> Told:
    return Told()


@pytest.fixture
def reached(told: Told) -> Told:
    told.probed()
    return told


def test_it_is_not_ready_before_it_was_reached(told: Told) -> None:
    assert not told.outages.readiness().is_ready
    assert told.outages.readiness().detail == "R has not been reached yet"


def test_it_is_ready_once_it_was_reached_and_nothing_is_said(told: Told) -> None:
    assert told.probed() is None
    assert told.outages.readiness().is_ready


def test_an_outage_is_one_line_and_its_end_another(reached: Told) -> None:
    lines = [reached.failed(AWAY) for _ in range(100)]
    reached.clock.advance(2.5)

    assert [line for line in lines if line] == ["R is away: no connection; look"]
    assert reached.probed() == "R is back after 2.5 s"
    assert reached.probed() is None


def test_a_redis_that_was_away_from_the_start_is_back_too(told: Told) -> None:
    told.failed(AWAY)
    told.clock.advance(60)

    assert told.probed() == "R is back after 60.0 s"


def test_another_kind_within_an_outage_has_its_own_line_because_its_remedy_is_another(reached: Told) -> None:
    reached.failed(AWAY)

    assert reached.failed(LOADING) == "R is away: it loads; wait"
    assert reached.failed(AWAY) is None
    assert reached.outages.readiness().detail == "R is away: no connection; look"


def test_readiness_says_what_is_wrong_and_since_when(reached: Told) -> None:
    reached.clock.advance(10)
    at = reached.clock.now()
    reached.failed(AWAY)
    reached.clock.advance(10)
    reached.failed(LOADING)

    readiness = reached.outages.readiness()

    assert (readiness.is_ready, readiness.since) == (False, at)


def test_a_redis_that_takes_no_writes_is_not_ready_and_only_a_write_tells_its_return(reached: Told) -> None:
    assert not reached.outages.wants_write

    assert reached.failed(FULL) == "R takes no writes: it is full; give it more"

    assert reached.outages.wants_write
    assert not reached.outages.readiness().is_ready
    reached.probed()
    assert not reached.outages.wants_write


def test_a_forbidden_command_is_said_once_a_minute_and_takes_nobody_out_of_service(reached: Told) -> None:
    assert reached.failed(FORBIDDEN) == "R cannot do what is asked: not allowed; allow"
    reached.clock.advance(QUIET_S / 2)
    assert reached.failed(FORBIDDEN) is None
    assert reached.outages.readiness().is_ready
    assert not reached.outages.is_open

    reached.clock.advance(QUIET_S)

    assert reached.failed(FORBIDDEN) is not None


def test_a_forbidden_command_does_not_hide_the_end_of_an_outage(reached: Told) -> None:
    reached.failed(FORBIDDEN)
    reached.failed(AWAY)

    assert reached.probed() is not None
