"""Strangers have a share of the trail, and no more."""

from __future__ import annotations

import pytest

from proxy.observe.audit_memory import MAX_BYTES
from proxy.observe.audit_noise import BURST, BY_STRANGERS, REFILL_S, StrangersNoise
from proxy.observe.audit_record import packed
from proxy.observe.events import AuditName
from proxy.ports import AuditEvent
from tests.support.clocks import FakeClock

WEEK_S = 7 * 24 * 3600


def kept(noise: StrangersNoise, event: AuditEvent, *, tries: int) -> int:
    return sum(noise.leaves_room_for(event) for _ in range(tries))


def test_so_many_refused_logouts_in_a_row_are_kept_and_then_one_for_each_step() -> None:
    clock = FakeClock()
    noise, event = StrangersNoise(clock), AuditEvent(event="logout.rejected", user_agent="curl/8")

    assert kept(noise, event, tries=BURST + 7) == BURST
    assert noise.left_out == 7

    clock.advance(2 * REFILL_S)
    assert kept(noise, event, tries=9) == 2


def test_failed_logins_have_a_share_of_their_own() -> None:
    noise = StrangersNoise(FakeClock())
    kept(noise, AuditEvent(event="logout.rejected"), tries=2 * BURST)

    assert noise.leaves_room_for(AuditEvent(event="login.failed"))


@pytest.mark.parametrize("name", sorted(set(AuditName) - set(BY_STRANGERS)))
def test_what_needs_an_account_is_always_kept(name: str) -> None:
    assert kept(StrangersNoise(FakeClock()), AuditEvent(event=name), tries=2 * BURST) == 2 * BURST


def test_long_names_do_not_fill_the_trail_either() -> None:
    clock = FakeClock()
    noise = StrangersNoise(clock)
    largest = "\U0001f600" * 256
    events = [AuditEvent(event=name, user_agent=largest, username=largest) for name in BY_STRANGERS]

    in_a_row = [kept(noise, event, tries=BURST) for event in events]
    clock.advance(WEEK_S)
    in_a_week = [kept(noise, event, tries=BURST) for event in events]

    size = len(packed(events[0], 1.0))
    assert 0 < size * (sum(in_a_row) + sum(in_a_week)) < MAX_BYTES
