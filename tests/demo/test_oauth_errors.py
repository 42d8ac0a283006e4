"""How refusals are worded."""

from __future__ import annotations

from proxy.demo.oauth_errors import BearerError, OAuthError, RedirectError, with_parameters


def test_a_description_that_is_not_there_is_not_named() -> None:
    assert OAuthError(403, "Invalid origin").body() == {"error": "Invalid origin"}


def test_an_error_that_travels_names_state_and_issuer_last() -> None:
    told = RedirectError("invalid_scope", "no").parameters("s", "https://sso.test")

    assert list(told.items()) == [
        ("error", "invalid_scope"),
        ("error_description", "no"),
        ("state", "s"),
        ("iss", "https://sso.test"),
    ]


def test_a_state_that_was_not_sent_is_not_sent_back() -> None:
    assert RedirectError("login_required").parameters(None, "i") == {"error": "login_required", "iss": "i"}


def test_a_challenge_without_an_error_names_the_realm_alone() -> None:
    assert BearerError(401).challenge("acme") == 'Bearer realm="acme"'


def test_a_query_that_is_there_is_kept() -> None:
    assert with_parameters("https://app.test/?a=1", {"b": "2 3"}) == "https://app.test/?a=1&b=2+3"
