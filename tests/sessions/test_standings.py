"""What is known of logins whose tokens are shown again and again."""

from __future__ import annotations

import gc

from proxy.sessions.standings import Standings


class Trust:
    """Whether changes are told."""

    def __init__(self) -> None:
        self.is_given = True

    def __call__(self) -> bool:
        return self.is_given


def test_a_standing_holds_until_one_of_its_marks_is_written() -> None:
    standings = Standings(Trust())
    standing, other = standings.begin([b"e:sid:1", b"e:sub:1"]), standings.begin([b"e:sid:2"])
    standings.changed(b"e:sid:3")
    assert standing.holds()

    standings.changed(b"e:sub:1")

    assert not standing.holds()
    assert other.holds()


def test_one_mark_ends_all_whom_it_names() -> None:
    standings = Standings(Trust())
    one, another = standings.begin([b"e:sid:1", b"e:sub:1"]), standings.begin([b"e:sid:2", b"e:sub:1"])

    standings.changed(b"e:sub:1")

    assert not one.holds()
    assert not another.holds()


def test_a_mark_written_before_does_not_end_whoever_comes_after() -> None:
    standings = Standings(Trust())
    first = standings.begin([b"e:sub:1"])
    standings.changed(b"e:sub:1")

    assert standings.begin([b"e:sub:1"]).holds()
    assert not first.holds()


def test_nothing_holds_when_anything_may_have_changed() -> None:
    standings = Standings(Trust())
    standing = standings.begin([b"e:sid:1"])

    standings.everything_changed()

    assert not standing.holds()
    assert standings.begin([b"e:sid:1"]).holds()


def test_nothing_holds_while_changes_would_not_be_told() -> None:
    trust = Trust()
    standings = Standings(trust)
    standing = standings.begin([b"e:sid:1"])

    trust.is_given = False
    assert not standing.holds()
    trust.is_given = True
    assert standing.holds()


def test_what_was_asked_while_changes_were_not_told_never_holds() -> None:
    trust = Trust()
    standings = Standings(trust)
    trust.is_given = False
    standing = standings.begin([b"e:sid:1"])

    trust.is_given = True

    assert not standing.holds()


def test_names_are_forgotten_with_the_last_who_waits_for_them() -> None:
    standings = Standings(Trust())
    held = [standings.begin([b"e:sid:%d" % number, b"w:1"]) for number in range(100)]
    assert len(standings) == 101

    held.clear()
    gc.collect()

    assert len(standings) == 0
