"""A session is a value; its key tells nothing of the cookie; a filter is never empty."""

from __future__ import annotations

from dataclasses import FrozenInstanceError
from hashlib import sha256

import pytest

from proxy.core.secret import Secret
from proxy.core.session import BySid, BySubject, EndCause, SessionSummary, session_key, subject_hash
from tests.support.sessions import make_session

COOKIE = Secret("q7Zb0aVvJ0m3xX2rWQG1c9l8kq0J6bN5tY4uE3sD2fA")


def test_the_key_is_the_sha_256_of_the_cookie_value() -> None:
    assert session_key(COOKIE) == sha256(COOKIE.reveal().encode()).hexdigest()


def test_two_cookies_have_two_keys() -> None:
    assert session_key(Secret("a")) != session_key(Secret("b"))


def test_a_session_that_is_printed_shows_neither_cookie_nor_token() -> None:
    session = make_session(COOKIE, sid="s")

    printed = repr(session)

    assert COOKIE.reveal() not in printed
    assert "access-1" not in printed
    assert "refresh-1" not in printed
    assert "id-1" not in printed


def test_a_session_does_not_change_in_place() -> None:
    session = make_session(COOKIE)

    with pytest.raises(FrozenInstanceError):
        session.version = 2  # type: ignore[misc]  # that is the law


def test_a_list_of_sessions_holds_no_token() -> None:
    assert not {*SessionSummary.__struct_fields__} & {"tokens", "cookie_value", "notes", "identity"}


@pytest.mark.parametrize("kind", [BySid, BySubject])
def test_there_is_no_filter_without_a_condition(kind: type[BySid | BySubject]) -> None:
    with pytest.raises(TypeError):
        kind()  # type: ignore[call-arg]  # that is the law


def test_a_sid_and_a_subject_of_the_same_text_are_different_filters() -> None:
    assert len({BySid("i", "x"), BySubject("i", "x")}) == 2
    assert BySid("i", "x") != BySubject("i", "x")


def test_the_hash_of_a_subject_knows_the_person_again_and_nobody_else() -> None:
    alice = subject_hash("https://a", "alice")

    assert alice == subject_hash("https://a", "alice")
    assert len({alice, subject_hash("https://a", "bob"), subject_hash("https://b", "alice")}) == 3
    assert subject_hash("https://a", "b") != subject_hash("https://ab", "")
    assert "alice" not in alice


def test_causes_are_stable_words_for_metrics() -> None:
    assert {cause.value for cause in EndCause} == {
        "logout",
        "logout_all",
        "backchannel",
        "frontchannel",
        "admin",
        "device",
        "replaced",
        "refresh_refused",
        "expired",
        "idle",
        "over_limit",
    }
