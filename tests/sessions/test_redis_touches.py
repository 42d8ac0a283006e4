"""Last activity is written in the background, seldom, and nothing of it is lost while Redis is away."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from proxy.core.secret import Secret
from proxy.sessions.redis_commands import RedisCommands
from proxy.sessions.redis_indexes import Indexes
from proxy.sessions.redis_names import RedisNames
from proxy.sessions.redis_touches import LOOK_S, TOUCH, Touches, coalesced_for_s
from proxy.sessions.sealing import Sealer
from tests.support.clocks import START, FakeClock
from tests.support.eventually import eventually
from tests.support.observers import RecordingObserver
from tests.support.redis_scripts import ScriptedConnection
from tests.support.sessions import make_session

if TYPE_CHECKING:
    from proxy.core.session import Session
    from tests.redis.server import RedisServer

A = Secret("cookie-a")
SESSION = make_session(A, idle_timeout_s=7 * 86400)


class House:
    """Touches over a connection that remembers."""

    def __init__(self) -> None:
        self.clock = FakeClock()
        self.connection = ScriptedConnection()
        commands, names = RedisCommands(self.connection), RedisNames("test:", Sealer([b"k" * 32]))
        indexes = Indexes(commands, names)
        self.touches = Touches(commands, names, indexes=indexes, clock=self.clock, observer=RecordingObserver())

    @property
    def written(self) -> list[float]:
        """The instants that were written."""
        return [float(command[4]) for command in self.connection.commands if command[0] == "EVAL"]

    async def write(self) -> bool:
        """Write what is due now."""
        return await self.touches._write(self.clock.monotonic())


@pytest.fixture
def house() -> House:
    return House()


async def test_the_first_activity_is_written_at_once_and_further_ones_once_a_minute(house: House) -> None:
    for _ in range(125):
        house.touches.touched(SESSION)
        await house.write()
        house.clock.advance(1)

    assert house.written == [START, START + 60, START + 120]


async def test_the_last_activity_of_a_burst_is_written_when_its_minute_is_over(house: House) -> None:
    house.touches.touched(SESSION)
    await house.write()
    house.clock.advance(10)
    house.touches.touched(SESSION)
    assert not await house.write()
    house.clock.advance(50)
    await house.write()

    assert house.written == [START, START + 10]
    assert not await house.write()


def test_a_short_idle_time_is_written_more_often() -> None:
    assert coalesced_for_s(SESSION) == 60
    assert coalesced_for_s(make_session(A, idle_timeout_s=100)) == 5


async def test_activity_while_the_write_is_on_its_way_is_written_too(house: House) -> None:
    house.touches.touched(SESSION)

    def while_it_is_sent(_: Any) -> int:
        if len(house.connection.trips) == 1:
            house.clock.advance(5)
            house.touches.touched(SESSION)
        return 1

    house.connection.answers["EVAL"] = while_it_is_sent
    await house.write()
    house.clock.advance(60)
    await house.write()

    assert house.written == [START, START + 5]


async def test_a_write_that_redis_did_not_take_is_tried_again(house: House) -> None:
    house.connection.is_away = True
    house.touches.touched(SESSION)
    with pytest.raises(Exception, match="away"):
        await house.write()
    house.connection.is_away = False
    assert not await house.write()

    house.clock.advance(LOOK_S)
    await house.write()

    assert house.written == [START]


async def test_the_background_goes_on_after_an_outage_and_writes_what_waits_at_the_end(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("proxy.sessions.redis_touches.LOOK_S", 0.01)
    house.connection.is_away = True
    house.touches.start()
    house.touches.touched(SESSION)
    house.touches.touched(SESSION)

    async def refusals() -> int:
        return house.connection.refusals

    await eventually(refusals, 1)
    house.connection.is_away = False
    house.clock.advance(1)

    async def written() -> list[float]:
        return house.written

    await eventually(written, [START])
    house.clock.advance(1)
    house.touches.touched(SESSION)
    await house.touches.close()
    assert house.written == [START, START + 2]


async def test_the_background_goes_on_after_a_defect(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("proxy.sessions.redis_touches.LOOK_S", 0.01)
    defects, write = iter([ZeroDivisionError()]), house.touches._write

    async def breaks_once(now: float) -> bool:
        for defect in defects:
            raise defect
        return await write(now)

    monkeypatch.setattr(house.touches, "_write", breaks_once)
    house.touches.touched(SESSION)
    house.clock.advance(1)
    house.touches.start()

    async def written() -> list[float]:
        return house.written

    await eventually(written, [START])
    await house.touches.close()


async def test_closing_while_redis_is_away_waits_for_nothing(house: House) -> None:
    house.touches.touched(SESSION)
    house.connection.is_away = True

    await house.touches.close()

    assert house.written == []


def test_what_is_known_is_the_latest_and_never_goes_back(house: House) -> None:
    house.touches.learned(SESSION.key, START + 5)
    house.touches.learned(SESSION.key, START + 3)
    assert house.touches.seen_at(SESSION.key) == START + 5
    house.clock.set_wall_clock(START - 100)
    house.touches.touched(SESSION)
    assert house.touches.seen_at(SESSION.key) == START + 5
    assert house.touches.seen_at(make_session(Secret("other")).key) is None


async def test_an_idle_session_is_not_revived(house: House) -> None:
    session = make_session(A, idle_timeout_s=60)
    house.touches.learned(session.key, START)
    house.clock.advance(60)

    house.touches.touched(session)

    assert house.touches.seen_at(session.key) == START
    assert not await house.write()


async def test_a_session_that_has_ended_is_not_written(house: House) -> None:
    house.touches.touched(SESSION)
    house.touches.forget(SESSION.key)

    assert not await house.write()
    assert len(house.touches) == 0


def test_what_is_known_is_bounded_and_the_first_goes(house: House) -> None:
    house.touches.max_known = 3
    sessions: list[Session] = [make_session(Secret(str(n))) for n in range(5)]
    for session in sessions:
        house.touches.touched(session)

    assert len(house.touches) == 3
    assert len(house.touches._due) == 3
    assert [house.touches.seen_at(session.key) for session in sessions] == [None, None, START, START, START]
    house.touches.learned(sessions[0].key, START)
    assert len(house.touches) == 3


async def test_in_redis_activity_goes_forward_only(empty_redis: RedisServer) -> None:
    def write(instant: float) -> bytes:
        empty_redis.call("EVAL", TOUCH, 1, "t", repr(instant), 5000)
        return empty_redis.call("GET", "t")

    assert [write(instant) for instant in (5.5, 9.25, 7.0)] == [b"5.5", b"9.25", b"9.25"]
    assert 0 < empty_redis.call("PTTL", "t") <= 5000
