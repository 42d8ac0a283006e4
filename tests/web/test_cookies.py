"""Our cookies on requests and responses."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from aiohttp import web

from proxy.core.secret import Secret
from proxy.core.session import Persistence
from proxy.web.cookies import (
    Established,
    clear_cookies,
    root_cookie,
    root_id_or_new,
    session_cookie,
    set_root_cookie,
    set_session_cookie,
)
from tests.support.clocks import START
from tests.support.sessions import make_session

if TYPE_CHECKING:
    from tests.web.conftest import MakeRequest

VALUE = "v" * 43
OTHER = "w" * 43


def test_each_cookie_is_found_by_its_own_name(make_request: MakeRequest) -> None:
    request = make_request("/", ("Cookie", f"app=1; __Host-sidegate={VALUE}; __Host-sidegate-login={OTHER}"))

    assert session_cookie(request) == Secret(VALUE)
    assert root_cookie(request) == OTHER


@pytest.mark.parametrize(
    "cookies",
    [
        (f"__Host-sidegate={VALUE}; __Host-sidegate={VALUE}",),
        (f"__Host-sidegate={VALUE}", f"__Host-sidegate={OTHER}"),
        (f"sidegate={VALUE}",),
        ("__Host-sidegate=short",),
        ("__Host-sidegate=",),
    ],
)
def test_two_of_a_name_or_a_value_that_is_not_ours_is_none(make_request: MakeRequest, cookies: tuple[str, ...]) -> None:
    assert session_cookie(make_request("/", *(("Cookie", cookie) for cookie in cookies))) is None


def test_a_known_root_is_kept_and_an_unknown_one_is_fresh(make_request: MakeRequest) -> None:
    known = make_request("/", ("Cookie", f"__Host-sidegate-login={OTHER}"))
    fresh = make_request()

    assert root_id_or_new(known) == OTHER
    assert len(root_id_or_new(fresh)) == 43
    assert root_id_or_new(fresh) != root_id_or_new(fresh)


@pytest.mark.parametrize(
    ("persistence", "max_age"), [(Persistence.LASTING, "Max-Age=2592000"), (Persistence.BROWSER, "")]
)
def test_the_session_cookie_lasts_as_the_session_does(
    make_request: MakeRequest, persistence: Persistence, max_age: str
) -> None:
    response = web.Response()
    session = make_session(Secret(VALUE), persistence=persistence, created_at=START)

    set_session_cookie(make_request(), response, Established(Secret(VALUE), session))

    line = response.headers["Set-Cookie"]
    assert line.startswith(f"__Host-sidegate={VALUE}; ")
    assert {"Path=/", "HttpOnly", "Secure", "SameSite=Lax"} <= set(line.split("; "))
    assert ("Max-Age" in line, max_age in line) == (bool(max_age), True)


def test_the_root_cookie_lives_half_an_hour(make_request: MakeRequest) -> None:
    response = web.Response()

    set_root_cookie(make_request(), response, OTHER)

    assert f"__Host-sidegate-login={OTHER}; " in response.headers["Set-Cookie"]
    assert "Max-Age=1800" in response.headers["Set-Cookie"]


def test_both_are_taken_away_together(make_request: MakeRequest) -> None:
    response = web.Response()

    clear_cookies(make_request(), response)

    lines = response.headers.getall("Set-Cookie")
    assert [line.split(";")[0] for line in lines] == ["__Host-sidegate=", "__Host-sidegate-login="]
    assert all("Max-Age=0" in line for line in lines)
