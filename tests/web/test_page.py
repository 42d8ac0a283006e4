"""Pages and redirects as responses."""

from __future__ import annotations

from typing import TYPE_CHECKING

from proxy.web.page import fields, found, page, see_other

if TYPE_CHECKING:
    from tests.web.conftest import MakeRequest


def test_a_page_has_its_status_and_the_fields_of_its_name(make_request: MakeRequest) -> None:
    context = {"status": 401, "title": "x", "sentence": "y", "request_id": "r", "login_url": "/l"}

    response = page(make_request(), "frame", context, status=401)

    assert response.status == 401
    assert response.headers.getall("Content-Type") == ["text/html; charset=utf-8"]
    assert "frame-ancestors 'self'" in response.headers["Content-Security-Policy"]


def test_redirects_have_their_status_and_place() -> None:
    assert (see_other("/a").status, see_other("/a").headers["Location"]) == (303, "/a")
    assert (found("/b").status, found("/b").headers["Location"]) == (302, "/b")


def test_fields_may_repeat() -> None:
    assert fields(((b"A", b"1"), (b"a", b"2"))).getall("A") == ["1", "2"]
