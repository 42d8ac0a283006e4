"""Tokens are values that nobody reads by accident."""

from __future__ import annotations

import pytest

from proxy.core.secret import Secret
from proxy.core.tokens import GrantRefusal
from tests.support.sessions import make_grant, make_session, make_tokens


def test_printed_tokens_show_nothing() -> None:
    printed = repr(make_tokens()) + str(make_grant(make_session(Secret("c"))))

    assert "***" in printed
    assert not any(text in printed for text in ("access-1", "refresh-1", "id-1", "access-2", "refresh-2", "id-2"))


def test_tokens_do_not_change_in_place() -> None:
    with pytest.raises(AttributeError):
        make_tokens().access_token = Secret("x")  # type: ignore[misc]  # that is the law


def test_tokens_are_not_final_unless_somebody_says_so() -> None:
    assert make_tokens().is_final is False


def test_every_refusal_has_a_word_of_its_own() -> None:
    assert sorted(refusal.value for refusal in GrantRefusal) == [
        "account_disabled",
        "account_setup_required",
        "invalid_credentials",
        "invalid_grant",
    ]
