"""The page after a sign-in at the provider that did not come about."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from proxy import errors, keys
from proxy.respond import Responder
from proxy.web.answers import RESPONDER
from proxy.web.callback_failed import callback_failed
from tests.support.observers import RecordingObserver

if TYPE_CHECKING:
    from tests.web.conftest import MakeRequest

PERSON = ("Accept", "text/html")


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (errors.CallbackRejected("state=s3cret"), 400),
        (errors.TokenRejected("s3cret"), 400),
        (errors.SessionEnded("s3cret"), 401),
        (errors.ProviderUnavailable("s3cret"), 503),
    ],
)
def test_a_person_may_begin_again_and_learns_nothing_else(
    make_request: MakeRequest, error: errors.SidegateError, status: int
) -> None:
    response = callback_failed(make_request("/", PERSON), error, "/app")

    text = response.body.decode()  # type: ignore[union-attr]
    assert response.status == status
    assert 'href="/_sidegate/login?return_to=%2Fapp"' in text
    assert "req-1" in text
    assert "s3cret" not in text
    assert ("Retry-After" in response.headers) is (status == 503)


def test_a_way_that_is_none_is_left_out(make_request: MakeRequest) -> None:
    response = callback_failed(make_request("/", PERSON), errors.CallbackRejected("x"), "//evil.example")

    assert "evil" not in response.body.decode()  # type: ignore[union-attr]


def test_a_program_gets_a_problem(make_request: MakeRequest) -> None:
    request = make_request("/", ("Accept", "application/json"))
    request.app[keys.OBSERVER] = RecordingObserver()
    request.app[RESPONDER] = Responder(request.app[keys.PAGES])

    response = callback_failed(request, errors.CallbackRejected("x"), None)

    assert json.loads(response.body)["code"] == "callback_rejected"  # type: ignore[arg-type]
