"""The two gates that keep an outage from being hammered, with the clock in hand."""

from __future__ import annotations

from proxy.core.session import SessionKey
from proxy.sessions import backoff as backoff_module
from proxy.sessions.backoff import FAULTS_IN_A_ROW, MAX_INTERVAL_S, SESSION_RETRY_S, RefreshBackoff

A, B = SessionKey("a"), SessionKey("b")


def closed_for_all(now: float, faults: int = FAULTS_IN_A_ROW) -> RefreshBackoff:
    backoff = RefreshBackoff()
    for _ in range(faults):
        backoff.provider_failed(now, "provider_unavailable")
    return backoff


def test_at_the_beginning_nobody_waits() -> None:
    assert not RefreshBackoff().holds(A, 0)


def test_a_session_that_failed_waits_alone() -> None:
    backoff = RefreshBackoff()
    backoff.session_failed(A, 10, "misconfigured")

    assert backoff.holds(A, 10 + SESSION_RETRY_S - 0.01)
    assert not backoff.holds(A, 10 + SESSION_RETRY_S)
    assert not backoff.holds(B, 10)


def test_some_faults_are_no_outage() -> None:
    backoff = closed_for_all(10, FAULTS_IN_A_ROW - 1)

    assert not backoff.holds(B, 10)


def test_faults_in_a_row_hold_everybody() -> None:
    assert closed_for_all(10).holds(B, 10.9)
    assert not closed_for_all(10).holds(B, 11)


def test_in_an_outage_one_try_closes_the_gate_behind_it() -> None:
    backoff = closed_for_all(10)
    backoff.begin(11)

    assert backoff.holds(B, 11.5)


def test_the_interval_grows_and_is_bounded() -> None:
    backoff = closed_for_all(10, FAULTS_IN_A_ROW + 1)
    assert backoff.holds(B, 11.9)
    backoff = closed_for_all(10, FAULTS_IN_A_ROW + 1000)

    assert backoff.holds(B, 10 + MAX_INTERVAL_S - 0.01)
    assert not backoff.holds(B, 10 + MAX_INTERVAL_S)


def test_an_answer_opens_the_gate_and_the_count_begins_anew() -> None:
    backoff = closed_for_all(10)
    backoff.provider_answered()
    backoff.provider_failed(10, "provider_unavailable")

    assert not backoff.holds(B, 10)


def test_what_is_remembered_of_waiting_sessions_is_bounded() -> None:
    backoff = RefreshBackoff()
    for n in range(backoff_module.MAX_WAITING + 10):
        backoff.session_failed(SessionKey(str(n)), 10, "misconfigured")

    assert len(backoff._waiting) == backoff_module.MAX_WAITING


def test_who_waits_is_told_whether_the_provider_was_away_or_refused() -> None:
    backoff = closed_for_all(10)
    backoff.session_failed(A, 10, "misconfigured")

    assert (backoff.holds(A, 10.1), backoff.holds(B, 10.1)) == ("misconfigured", "provider_unavailable")
    assert backoff.holds(B, 12) is None
