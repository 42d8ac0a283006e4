"""What is said of a reload: laws of ``reload.outcome``."""

from __future__ import annotations

from proxy.reload.outcome import MOST_SHOWN, Outcome, applied, refused


def test_a_file_that_runs_has_nothing_to_say() -> None:
    assert (applied().outcome, applied().detail) == (Outcome.APPLIED, None)


def test_a_file_of_which_a_part_waits_names_the_keys() -> None:
    ended = applied(["server.listen", "audit.keep"])

    assert ended.outcome is Outcome.RESTART_NEEDED
    assert ended.detail == ("the file on disk is not all of what runs: restart to apply server.listen, audit.keep")


def test_a_refused_file_says_why_once_and_how_much_more_there_is() -> None:
    ended = refused(["a.yaml:1:2  routes: one; two", "a.yaml:3:4  keycloak: three; four", "a.yaml:5:6  x: y; z"])

    assert ended.outcome is Outcome.REFUSED
    assert ended.detail == "the file on disk is not what runs: a.yaml:1:2  routes: one; two (and 2 more)"


def test_a_long_problem_is_cut() -> None:
    detail = refused(["x" * 10_000]).detail

    assert detail is not None
    assert len(detail) < MOST_SHOWN + 100
