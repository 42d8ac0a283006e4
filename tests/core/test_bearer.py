"""The value of a verified access token."""

from __future__ import annotations

from proxy.core.secret import Secret
from tests.support.sessions import make_bearer

TOKEN = Secret("header.payload.signature")


def test_a_bearer_shows_its_token_to_nobody() -> None:
    assert TOKEN.reveal() not in repr(make_bearer(TOKEN))


def test_the_streams_of_a_bearer_are_known_by_the_hash_of_its_token_and_by_which_client_took_it() -> None:
    assert make_bearer(TOKEN).key == f"{TOKEN.sha256()} legacy-app"
    assert make_bearer(TOKEN, client_id="wiki").key != make_bearer(TOKEN).key


def test_two_tokens_are_two_bearers_to_the_streams_although_they_are_one_persons() -> None:
    assert make_bearer(TOKEN).key != make_bearer(Secret("another")).key
