"""Answers to the provider's own word: short, kept by nobody, on a connection that is not used again."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from proxy import keys
from proxy.errors import TokenRejected
from proxy.web.provider_word import obeyed, refused, tell_rejected, unavailable
from tests.support.observers import RecordingObserver

if TYPE_CHECKING:
    from aiohttp import web

    from tests.web.conftest import MakeRequest

BAD = TokenRejected("iss is 'https://evil.example', expected another", reason="wrong_issuer")


@pytest.mark.parametrize("answer", [obeyed(), refused(BAD, "logout token"), unavailable("logout")])
def test_every_answer_ends_the_connection_and_is_kept_by_nobody(answer: web.Response) -> None:
    assert (answer.headers["Connection"], answer.headers["Cache-Control"]) == ("close", "no-store")
    assert answer.keep_alive is False


def test_a_refusal_names_the_rule_and_nothing_of_what_was_sent() -> None:
    answer: Any = refused(BAD, "logout token")

    assert answer.status == 400
    assert json.loads(answer.body) == {
        "error": "invalid_request",
        "error_description": "logout token refused: wrong_issuer",
    }


def test_what_cannot_be_done_now_may_be_asked_again() -> None:
    answer: Any = unavailable("admin action")

    assert (answer.status, answer.headers["Retry-After"]) == (503, "5")
    assert "admin action" in json.loads(answer.body)["error_description"]


def test_operator_and_trail_hear_what_was_not_obeyed(make_request: MakeRequest) -> None:
    request = make_request()
    observer = request.app[keys.OBSERVER] = RecordingObserver()

    tell_rejected(request, BAD, "a back-channel logout")

    assert observer.logouts == ["rejected"]
    assert observer.warnings[0][0].startswith("a back-channel logout was not obeyed: iss is")
    assert (observer.audits[0].event, observer.audits[0].reason) == ("logout.rejected", "wrong_issuer")
