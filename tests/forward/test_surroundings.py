"""What connections share."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

from proxy.forward.options import ForwardOptions
from proxy.forward.served import OriginTable
from proxy.forward.surroundings import Surroundings
from tests.forward.dialogue import FewWords, Streams
from tests.support.clocks import START, FakeClock

if TYPE_CHECKING:
    from proxy.forward.surroundings import Client


def surroundings(clock: FakeClock) -> Surroundings:
    nothing: Any = None
    return Surroundings(FewWords(), Streams(), OriginTable(), OriginTable(), ForwardOptions(), clock, nothing)


def test_the_date_is_that_of_the_clock_and_changes_with_it() -> None:
    clock = FakeClock(START)
    around = surroundings(clock)

    first = around.date()
    clock.advance(0.5)
    same = around.date()
    clock.advance(1)

    assert first == same == b"Fri, 15 Jan 2027 08:00:00 GMT"
    assert around.date() == b"Fri, 15 Jan 2027 08:00:01 GMT"


async def test_draining_hears_when_the_last_client_has_gone() -> None:
    around = surroundings(FakeClock())
    first, last = cast("Client", object()), cast("Client", object())
    around.connections |= {first, last}
    around.is_draining = True

    around.forget(first)
    assert not around.is_empty.is_set()
    around.forget(last)

    assert around.is_empty.is_set()
