"""Answers of ``/login`` that ``test_login.py`` does not see: every error has a sentence, and one shape."""

from __future__ import annotations

import pytest

from proxy import errors
from proxy.core.tokens import GrantRefusal
from proxy.pages.catalog import load_catalogs
from proxy.web.login_answers import Refusal
from proxy.web.sign_in import Refused
from proxy.web.submission import Submission
from tests.support.sessions import make_tab


def subclasses(kind: type[errors.SidegateError]) -> set[type[errors.SidegateError]]:
    found = {kind}
    for child in kind.__subclasses__():
        if child.__module__ == errors.__name__:
            found |= subclasses(child)
    return found


AT_THE_FORM = (
    subclasses(errors.ProviderFault)
    | subclasses(errors.StoreFault)
    | {errors.LoginFault, errors.CsrfRejected, errors.FormRejected, errors.SessionEnded}
)


@pytest.mark.parametrize("kind", sorted(AT_THE_FORM, key=lambda kind: kind.__name__))
def test_every_error_of_a_login_has_its_sentence(kind: type[errors.SidegateError]) -> None:
    refusal = Refusal.of(kind("for the log"), Submission())

    assert f"login.problem.{refusal.code}" in load_catalogs()["en"]
    assert refusal.status >= 400


@pytest.mark.parametrize("refusal", list(GrantRefusal))
def test_only_setting_up_is_told_from_a_wrong_password(refusal: GrantRefusal) -> None:
    told = Refusal.by_provider(Refused(refusal, make_tab("root", "state")), Submission())

    is_setup = refusal is GrantRefusal.ACCOUNT_SETUP_REQUIRED
    assert told.code == ("account_setup_required" if is_setup else "invalid_credentials")
    assert told.status == 401
