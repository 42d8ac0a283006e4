"""Who may send the forms of a session."""

from __future__ import annotations

from typing import TYPE_CHECKING

from proxy.core.secret import Secret
from proxy.web.session_forms import csrf_token, fields_if_any, is_wanted

if TYPE_CHECKING:
    from tests.web.conftest import MakeRequest

MINE, YOURS = Secret("mine"), Secret("yours")


def test_the_token_of_the_session_is_enough_wherever_it_comes_from(make_request: MakeRequest) -> None:
    request = make_request("/", ("Sec-Fetch-Site", "cross-site"))

    assert is_wanted(request, csrf_token(request, MINE), MINE)


def test_a_token_that_does_not_fit_is_refused_even_from_our_origin(make_request: MakeRequest) -> None:
    request = make_request("/", ("Sec-Fetch-Site", "same-origin"))

    assert not is_wanted(request, csrf_token(request, YOURS), MINE)
    assert not is_wanted(request, "", MINE)


def test_without_a_token_only_our_origin_counts(make_request: MakeRequest) -> None:
    assert is_wanted(make_request("/", ("Sec-Fetch-Site", "same-origin")), None, MINE)
    assert not is_wanted(make_request("/", ("Sec-Fetch-Site", "same-site")), None, MINE)
    assert not is_wanted(make_request("/"), None, MINE)


async def test_no_body_is_no_fields(make_request: MakeRequest) -> None:
    assert (await fields_if_any(make_request())).text("csrf_token") is None
