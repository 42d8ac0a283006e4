"""Answers of ``/login`` that ``test_login.py`` does not see: every error has its sentence on the page."""

from __future__ import annotations

import pytest

from proxy import errors
from proxy.pages.catalog import load_catalogs
from proxy.web.refusal import Refusal
from proxy.web.submission import Submission


def subclasses(kind: type[errors.SidegateError]) -> set[type[errors.SidegateError]]:
    found = {kind}
    for child in kind.__subclasses__():
        if child.__module__ == errors.__name__:
            found |= subclasses(child)
    return found


AT_THE_FORM = (
    # The token of an app is fetched long after the login.
    (subclasses(errors.ProviderFault) - {errors.ExchangeFailed})
    | subclasses(errors.StoreFault)
    | {errors.LoginFault, errors.CsrfRejected, errors.FormRejected, errors.SessionEnded}
)


@pytest.mark.parametrize("kind", sorted(AT_THE_FORM, key=lambda kind: kind.__name__))
def test_every_error_of_a_login_has_its_sentence(kind: type[errors.SidegateError]) -> None:
    refusal = Refusal.of(kind("for the log"), Submission())

    assert f"login.problem.{refusal.code}" in load_catalogs()["en"]
    assert refusal.status >= 400
