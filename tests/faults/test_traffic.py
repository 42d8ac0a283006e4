"""The judge finds each broken law, and nothing where none is broken."""

from __future__ import annotations

from typing import Any

import pytest

from tests.faults.traffic import NOBODY, Heard, Incident, Seen, Visitor, judge

BROKEN = Incident(begun_at=100.0, settled_at=103.0, may_break_connections=False)


def visitor(*seen: Seen, heard: tuple[Heard, ...] = (), **ends: float) -> Visitor:
    """Alice, and what she saw."""
    return Visitor("alice", browser=None, cookie="", seen=list(seen), heard=list(heard), **ends)  # type: ignore[arg-type]


def seen(at: float, status: int, **more: Any) -> Seen:
    """An answer that took 10 ms."""
    return Seen(replica=0, asked_at=at, answered_at=at + 0.01, status=status, **more)


def served(at: float, **more: Any) -> Seen:
    return seen(at, 200, served_at=at, **more)


@pytest.mark.parametrize(
    "fine",
    [
        visitor(served(99.0), seen(101.0, 503), served(104.0)),
        visitor(Seen(0, asked_at=99.5, answered_at=102.0, status=503)),
        visitor(served(101.5), seen(101.6, 401), ending_at=101.0, ended_at=101.0),
        # The answer to the logout comes a moment after it is law.
        visitor(seen(101.2, 401), ending_at=101.1, ended_at=101.3),
        # Told that it could not be done: either way is right.
        visitor(served(105.0), seen(105.1, 401), ending_at=101.0),
        visitor(served(99.0), heard=(Heard(0, 102.0, "alice"),), ending_at=101.0, ended_at=101.5),
    ],
)
def test_what_is_right_is_not_complained_of(fine: Visitor) -> None:
    assert judge([fine], BROKEN) == []


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        (visitor(served(102.6), ending_at=101.0, ended_at=101.5), "served without a live session"),
        (visitor(seen(101.0, 401)), "a live session was not served"),
        (visitor(seen(101.0, 502)), "a live session was not served"),
        (visitor(seen(101.0, NOBODY)), "a live session was not served"),
        (visitor(seen(99.0, 503)), "a live session was not served"),
        (visitor(seen(103.1, 503)), "a live session was not served"),
        (visitor(seen(100.5, 401), ending_at=101.0, ended_at=101.0), "a live session was not served"),
        (visitor(served(99.0, foreign="bob")), "was told what is not theirs"),
        (visitor(heard=(Heard(0, 99.0, "bob"),)), "a stream spoke of bob"),
        (visitor(heard=(Heard(0, 105.0, "alice"),), ending_at=101.0, ended_at=101.5), "too long"),
    ],
)
def test_each_broken_law_is_found(wrong: Visitor, says: str) -> None:
    (sentence,) = judge([wrong], BROKEN)

    assert says in sentence


def test_nobody_need_answer_at_a_replica_that_is_killed() -> None:
    killed = Incident(begun_at=100.0, settled_at=103.0, may_break_connections=True)

    assert judge([visitor(seen(101.0, NOBODY))], killed) == []
    assert len(judge([visitor(seen(104.0, NOBODY))], killed)) == 1


def test_a_stream_of_a_replica_that_was_cut_off_ends_when_it_has_joined_again() -> None:
    cut_off = Incident(begun_at=100.0, settled_at=103.0, may_break_connections=False, joined_at=102.4)
    late = Heard(0, 105.0, "alice")
    too_late = Heard(0, 105.6, "alice")

    assert judge([visitor(heard=(late,), ending_at=101.0, ended_at=101.5)], cut_off) == []
    assert len(judge([visitor(heard=(too_late,), ending_at=101.0, ended_at=101.5)], cut_off)) == 1
