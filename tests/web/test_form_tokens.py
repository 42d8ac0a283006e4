"""Tokens that need no memory: bound to what they stand for, and to nothing else."""

from __future__ import annotations

from base64 import urlsafe_b64encode

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from proxy.core.secret import Secret
from proxy.errors import CsrfRejected
from proxy.web.form_tokens import (
    MAX_TOKEN_LENGTH,
    FormTab,
    LoginFormTokens,
    LogoutStates,
    SessionFormTokens,
    SessionNotices,
    claimed,
    derived_key,
    refuse_expired,
)

KEY, OLDER = b"k" * 32, b"o" * 32
TAB = FormTab("root", "tab", "/app?x=1", 2000.0, {"kept": "k"})


def refused(token: str, root_id: str | None = "root", now: float = 1000.0, key: bytes = KEY) -> str:
    with pytest.raises(CsrfRejected) as caught:
        refuse_expired(LoginFormTokens(key).read(token, root_id), now)
    return caught.value.reason


def test_a_token_opens_to_what_it_stands_for() -> None:
    tokens = LoginFormTokens(KEY)

    assert tokens.read(tokens.issue(TAB), "root") == TAB
    refuse_expired(TAB, 1999.9)


def test_another_root_another_key_and_no_root_are_refused() -> None:
    token = LoginFormTokens(KEY).issue(TAB)

    assert refused(token, "other") == "csrf_rejected"
    assert refused(token, key=b"x" * 32) == "csrf_rejected"
    assert refused(token, None) == "csrf_no_cookie"


def test_a_page_may_be_older_than_the_key_and_no_page_is_made_with_an_older_one() -> None:
    """The keys may be exchanged while somebody types a password."""
    before, after = LoginFormTokens(OLDER), LoginFormTokens(KEY, OLDER)
    token = before.issue(TAB)

    assert after.read(token, TAB.root_id) == TAB
    assert after.issue(TAB) == LoginFormTokens(KEY).issue(TAB)
    with pytest.raises(CsrfRejected):
        LoginFormTokens(KEY).read(token, TAB.root_id)


def test_the_forms_of_a_session_may_be_older_than_the_key_too() -> None:
    cookie = Secret("cookie")
    after = SessionFormTokens(KEY, OLDER)

    assert after.fits(SessionFormTokens(OLDER).token(cookie), cookie)
    assert after.token(cookie) == SessionFormTokens(KEY).token(cookie)
    assert not SessionFormTokens(KEY).fits(SessionFormTokens(OLDER).token(cookie), cookie)


def test_it_is_over_at_the_instant_itself() -> None:
    assert refused(LoginFormTokens(KEY).issue(TAB), now=2000.0) == "csrf_expired"


@given(st.text(max_size=200))
def test_no_text_that_we_did_not_make_opens(text: str) -> None:
    assert refused(text) == "csrf_rejected"


@given(st.integers(min_value=0, max_value=150), st.characters(codec="ascii"))
def test_no_character_may_change(place: int, character: str) -> None:
    token = LoginFormTokens(KEY).issue(TAB)
    place %= len(token)
    altered = token[:place] + character + token[place + 1 :]
    if altered != token:
        assert refused(altered) == "csrf_rejected"


@given(st.text(), st.text(max_size=50), st.dictionaries(st.text(max_size=9), st.text(max_size=60), max_size=4))
def test_any_way_survives(return_to: str, tab_id: str, notes: dict[str, str]) -> None:
    tokens = LoginFormTokens(KEY)
    tab = FormTab("root", tab_id, return_to[:500], 2000.0, notes)

    assert tokens.read(tokens.issue(tab), "root") == tab


def test_the_longest_wishes_have_room() -> None:
    notes = {"login_hint": "\U0001f511" * 255, "acr_values": "x" * 255, "ui_locales": "x" * 255, "kept": "k" * 22}
    tab = FormTab("root", "t" * 16, "/" * 2048, 2000.0, notes)

    assert LoginFormTokens(KEY).read(LoginFormTokens(KEY).issue(tab), "root") == tab


def test_what_is_longer_than_any_of_ours_is_not_looked_at() -> None:
    long, cookie = "/" * MAX_TOKEN_LENGTH, Secret("cookie")
    token = LoginFormTokens(KEY).issue(FormTab("root", "tab", long, 2000.0))

    assert refused(token) == "csrf_rejected"
    assert claimed(token) == (None, {})
    assert LogoutStates(KEY).open(LogoutStates(KEY).issue(long)) is None
    assert SessionNotices(KEY).open(SessionNotices(KEY).issue(long, cookie), cookie) == ""


def test_what_nobody_vouches_for_is_told_as_it_stands() -> None:
    token = LoginFormTokens(b"another key" * 3).issue(TAB)

    assert claimed(token) == ("/app?x=1", {"kept": "k"})


@given(st.text(max_size=100) | st.binary(max_size=80).map(lambda raw: urlsafe_b64encode(raw).decode()))
@example(urlsafe_b64encode(b"[]").decode())
@example(urlsafe_b64encode(b'{"to":"/","notes":[1]}').decode())
@example(urlsafe_b64encode(b"[" * 6000).decode())
@example("é")
def test_no_token_is_too_broken_to_be_asked(token: str) -> None:
    assert claimed(token) == (None, {})


def test_a_token_of_one_kind_is_none_of_another() -> None:
    state = LogoutStates(KEY).issue("/app")

    assert refused(state, "") == "csrf_rejected"
    assert LogoutStates(KEY).open(LoginFormTokens(KEY).issue(TAB)) is None
    assert len({derived_key(KEY, purpose) for purpose in ("a", "b", "c")}) == 3


def test_a_session_has_one_token_and_no_other_session_has_it() -> None:
    tokens = SessionFormTokens(KEY)
    token = tokens.token(Secret("cookie"))

    assert tokens.fits(token, Secret("cookie"))
    assert not tokens.fits(token, Secret("other"))
    assert not tokens.fits("", Secret("cookie"))
    assert "cookie" not in token


def test_a_state_keeps_the_way_and_takes_no_other() -> None:
    states = LogoutStates(KEY)

    assert states.open(states.issue("/app")) == "/app"
    assert states.open(states.issue("/app") + "x") is None
    assert LogoutStates(b"x" * 32).open(states.issue("/app")) is None
    assert states.open("") is None
