"""Marks of what has ended, at their cap (the rest is in the contract of the stores)."""

from __future__ import annotations

from proxy.core.session import BySid, BySubject, EndedMark
from proxy.sessions.ended import EndedMarks

NOW = 1000.0
ISSUER = "https://sso.example.com"


def mark(what: BySid | BySubject, ended_at: float, keep_until: float = 5000) -> EndedMark:
    return EndedMark(what=what, ended_at=ended_at, keep_until=keep_until)


def covers(marks: EndedMarks, *, sid: str | None = None, subject: str = "somebody", issued_at: float = 0) -> bool:
    return marks.cover(issuer=ISSUER, client_id="legacy-app", sid=sid, subject=subject, issued_at=issued_at, now=NOW)


def test_marks_are_bounded() -> None:
    marks = EndedMarks(3)
    for n in range(10):
        marks.put(mark(BySid(ISSUER, f"s{n}"), 100 + n, 5000 + n), NOW)

    assert len(marks) == 3
    assert covers(marks, sid="s9")


def test_what_a_forgotten_mark_covered_is_not_let_in_as_new() -> None:
    marks = EndedMarks(1)
    marks.put(mark(BySid(ISSUER, "s0"), 100, 5000), NOW)
    marks.put(mark(BySid(ISSUER, "s1"), 200, 6000), NOW)

    assert not covers(marks, sid="s0")
    assert marks.may_have_covered(100)
    assert marks.may_have_covered(100.9)
    assert not marks.may_have_covered(101)


def test_nothing_may_have_been_covered_while_nothing_was_forgotten() -> None:
    marks = EndedMarks(2)
    marks.put(mark(BySid(ISSUER, "s0"), 100), NOW)
    marks.put(mark(BySid(ISSUER, "s0"), 300), NOW)

    assert not marks.may_have_covered(0)


def test_expired_marks_make_room_without_being_counted_as_forgotten() -> None:
    marks = EndedMarks(1)
    marks.put(mark(BySid(ISSUER, "s0"), 100, keep_until=NOW), NOW - 1)
    marks.put(mark(BySid(ISSUER, "s1"), 200), NOW)

    assert not marks.may_have_covered(0)
    assert len(marks) == 1
