"""What ended and must stay so: whom an ending means, what is kept, what is repeated, and the caps."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest
from msgspec.structs import replace

from proxy.core.login import Login
from proxy.core.secret import Secret
from proxy.core.session import BySid, BySubject, ByUsername, EndCause, EndedMark, EverySessionOf, SessionKey
from proxy.sessions.ledger import REPEAT_FOR_S, Ending, Ledger
from tests.support.clocks import START
from tests.support.sessions import ISSUER, make_session

NOW = START + 100
SESSION = make_session(Secret("a"))
ALICE = BySubject(ISSUER, "alice-id")
SID = BySid(ISSUER, "sid-of-a")
CLIENT = EverySessionOf(ISSUER, "legacy-app")


def _ending(what: Any, *, at: float = NOW, ended_at: float | None = None) -> Ending:
    mark = None if ended_at is None else EndedMark(what, ended_at=ended_at, keep_until=NOW + 3600)
    return Ending(what=what, cause=EndCause.BACKCHANNEL, at=at, mark=mark)


@pytest.fixture
def ledger() -> Ledger:
    return Ledger(max_kept=3, max_repeated=3)


@pytest.mark.parametrize(
    "ending",
    [
        _ending(SESSION.key),
        _ending(SID),
        _ending(ALICE),
        _ending(ByUsername(ISSUER, "alice")),
        _ending(SID, ended_at=START - 1000),
        _ending(ALICE, ended_at=START),
        _ending(ALICE, ended_at=START + 0.5),
        _ending(CLIENT, ended_at=START),
    ],
)
def test_a_session_that_is_named_is_over_while_it_is_kept_and_when_it_was_told(ledger: Ledger, ending: Ending) -> None:
    assert not ledger.is_over(SESSION)

    assert ledger.keep(ending)
    assert ledger.is_over(SESSION)
    assert ledger.is_kept(SESSION)

    ledger.took(ending)
    assert ledger.is_over(SESSION)
    assert not ledger.is_kept(SESSION)


@pytest.mark.parametrize(
    "ending",
    [
        _ending(SessionKey("other")),
        _ending(BySid(ISSUER, "another")),
        _ending(BySid("https://elsewhere", "sid-of-a")),
        _ending(BySubject(ISSUER, "bob-id")),
        _ending(ByUsername(ISSUER, "bob")),
        _ending(ALICE, at=START - 1),
        _ending(SID, at=START - 1),
        _ending(ALICE, ended_at=START - 1),
        _ending(CLIENT, ended_at=START - 1),
        _ending(EverySessionOf(ISSUER, "another"), ended_at=NOW),
    ],
)
def test_a_session_of_somebody_else_or_of_a_later_login_lives(ledger: Ledger, ending: Ending) -> None:
    ledger.keep(ending)
    ledger.took(ending)

    assert not ledger.is_over(SESSION)


def test_a_login_is_over_by_marks_alone(ledger: Ledger) -> None:
    ledger.keep(_ending(ALICE))
    ledger.keep(_ending(SESSION.key))
    assert not ledger.has_ended(Login.of(SESSION))

    ledger.keep(_ending(SID, ended_at=START))

    assert ledger.has_ended(Login.of(SESSION))
    assert not ledger.has_ended(Login.of(dataclasses.replace(SESSION, sid=None)))


def test_a_session_without_sid_or_name_is_not_mistaken(ledger: Ledger) -> None:
    nameless = dataclasses.replace(SESSION, sid=None, identity=replace(SESSION.identity, username=None))
    ledger.keep(_ending(SID))
    ledger.keep(_ending(ByUsername(ISSUER, "alice")))

    assert not ledger.is_over(nameless)


def test_at_the_cap_nothing_more_is_kept_and_what_is_kept_stays(ledger: Ledger) -> None:
    kept = [_ending(SessionKey(str(number))) for number in range(3)]
    assert all(ledger.keep(ending) for ending in kept)

    assert not ledger.keep(_ending(SESSION.key))
    assert ledger.keep(kept[0])

    assert ledger.waiting() == tuple(kept)
    assert ledger.kept == 3


def test_at_the_cap_the_oldest_is_not_repeated(ledger: Ledger) -> None:
    for number in range(5):
        ledger.took(_ending(SessionKey(str(number))))

    assert [ending.what for ending in ledger.lately(NOW)] == ["2", "3", "4"]


def test_what_is_older_than_ten_minutes_is_forgotten(ledger: Ledger) -> None:
    ledger.took(_ending(SESSION.key))
    ledger.took(_ending(SID, at=NOW + 1))

    assert [ending.what for ending in ledger.lately(NOW + REPEAT_FOR_S + 0.5)] == [SID]
    assert not ledger.is_over(dataclasses.replace(SESSION, sid=None))


def test_of_two_endings_of_the_same_the_later_counts(ledger: Ledger) -> None:
    ledger.keep(_ending(ALICE, at=NOW, ended_at=START + 50))
    ledger.keep(_ending(ALICE, at=NOW - 10, ended_at=START + 20))

    [ending] = ledger.waiting()
    assert ending.at == NOW
    assert ending.mark is not None
    assert ending.mark.ended_at == START + 50


def test_a_mark_and_a_deletion_of_the_same_are_two(ledger: Ledger) -> None:
    ledger.keep(_ending(ALICE))
    ledger.keep(_ending(ALICE, ended_at=START))

    assert ledger.kept == 2


def test_what_grew_while_it_was_told_stays_kept(ledger: Ledger) -> None:
    told = _ending(ALICE)
    ledger.keep(told)
    ledger.keep(_ending(ALICE, at=NOW + 5))

    ledger.took(told)

    assert [ending.at for ending in ledger.waiting()] == [NOW + 5]


def test_of_what_the_store_finds_only_what_was_there_is_meant() -> None:
    assert _ending(ALICE).means(NOW)
    assert not _ending(ALICE).means(NOW + 1)
    assert not _ending(ALICE, ended_at=NOW).means(NOW + 1)
    assert _ending(SID, ended_at=NOW).means(NOW + 1)
