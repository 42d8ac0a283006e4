"""The login behind a session or a bearer."""

from __future__ import annotations

from proxy.core.login import Login
from proxy.core.secret import Secret
from tests.support.clocks import START
from tests.support.sessions import ISSUER, make_bearer, make_session


def test_the_login_of_a_session_is_what_a_logout_can_name() -> None:
    login = Login.of(make_session(Secret("a"), sid="s1"))

    assert login == Login(ISSUER, "legacy-app", "s1", "alice-id", START)


def test_the_login_of_a_bearer_counts_from_the_tokens_own_iat() -> None:
    login = Login.of(make_bearer(Secret("a.b.c"), sid=None, issued_at=START + 7))

    assert login == Login(ISSUER, "legacy-app", None, "alice-id", START + 7)
