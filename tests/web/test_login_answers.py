"""Answers of ``/login`` that ``test_login.py`` does not see: every error has a sentence, and one shape."""

from __future__ import annotations

from typing import Any

import pytest

from proxy import errors
from proxy.core.tokens import GrantRefusal
from proxy.pages.catalog import load_catalogs
from proxy.web.login_answers import Refusal
from proxy.web.options import Feature, LoginOptions, ProviderButton
from proxy.web.sign_in import Refused
from proxy.web.submission import Submission
from tests.support.own_pages import OWN, open_own_pages
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


async def test_the_page_shows_what_is_switched_on_and_nothing_else(aiohttp_client: Any) -> None:
    login = LoginOptions(
        registration=Feature.ON, forgot_password=Feature.ON, providers=(ProviderButton("g", "<b>Google</b>"),)
    )
    rich, plain = await open_own_pages(aiohttp_client, login), await open_own_pages(aiohttp_client)

    full = (await rich.browser().get(f"{OWN}/login?return_to=/app")).text
    bare = (await plain.browser().get(f"{OWN}/login")).text

    for link in ("provider=g", "register=1", "prompt=login"):
        assert link in full
        assert link not in bare
    assert "&lt;b&gt;Google&lt;/b&gt;" in full
    assert "<b>Google" not in full
