"""What is known of a form that was sent: by its field, by its token, by what nobody vouches for."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from msgspec.structs import replace

from proxy.core.identity import Identity
from proxy.web.flow_notes import Wish
from proxy.web.form_tokens import FormTab, LoginFormTokens
from proxy.web.login_form import NO_FORM
from proxy.web.submission import Submission
from tests.support.sessions import ISSUER

if TYPE_CHECKING:
    from tests.web.conftest import MakeRequest

TAB = FormTab("root", "tab", "/by-token", 0.0, {"kept": "k" * 22})
TOKEN = LoginFormTokens(b"of nobody" * 4).issue(TAB)
ALICE = Identity(issuer=ISSUER, subject="a", username="Alice", email="alice@example.com")


def test_the_field_of_the_form_wins_over_its_token(make_request: MakeRequest) -> None:
    form = replace(NO_FORM, return_to="/by-field")

    assert Submission(form, TAB).wish(make_request()) == Wish("/by-field", TAB.notes)
    assert Submission(replace(NO_FORM, csrf_token=TOKEN), TAB).wish(make_request()) == Wish("/by-token", TAB.notes)
    assert Submission().wish(make_request()) == Wish("/", {})


def test_a_token_that_nobody_vouches_for_says_what_a_link_may_say(make_request: MakeRequest) -> None:
    assert Submission(replace(NO_FORM, csrf_token=TOKEN)).wish(make_request()) == Wish("/by-token", TAB.notes)


@pytest.mark.parametrize("way", ["https://evil.example", "//evil.example", "/_sidegate/logout"])
def test_it_is_judged_like_one(make_request: MakeRequest, way: str) -> None:
    notes = {"kept": "short", "silent": "x", "prompt": "create", "scope": "all"}
    token = LoginFormTokens(b"of nobody" * 4).issue(FormTab("root", "tab", way, 0.0, notes))

    assert Submission(replace(NO_FORM, csrf_token=token)).wish(make_request()) == Wish("/", {})


@pytest.mark.parametrize(
    ("typed", "is_hers"),
    [("alice", True), (" ALICE ", True), ("Alice@Example.com", True), ("", True), ("bob", False), ("alic", False)],
)
def test_a_form_is_somebodys_by_the_name_that_was_typed(typed: str, is_hers: bool) -> None:  # noqa: FBT001
    assert Submission(replace(NO_FORM, username=typed)).is_of(ALICE) is is_hers


def test_somebody_without_a_name_has_sent_only_a_form_that_names_nobody() -> None:
    nameless = Identity(issuer=ISSUER, subject="a")

    assert Submission().is_of(nameless)
    assert not Submission(replace(NO_FORM, username="alice")).is_of(nameless)
