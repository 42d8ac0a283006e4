"""The application as a whole: its paths, its marks on every answer, its way out of errors."""

from __future__ import annotations

import json
from typing import Any

import pytest
from msgspec.structs import replace

from tests.support.own_pages import OWN, OwnPages, make_login_grant, open_own_pages, submit_login

PAGES = ["login", "logged-out", "status", "nothing-here"]


@pytest.mark.parametrize("name", PAGES)
async def test_every_answer_is_ours_private_and_numbered(own: OwnPages, name: str) -> None:
    page = await own.browser().get(f"{OWN}/{name}")

    assert page.headers["Cache-Control"] == "no-store"
    assert page.headers["X-Content-Type-Options"] == "nosniff"
    assert page.headers.getall("X-Request-ID") == ["req-1"]
    assert "Server" not in page.headers


@pytest.mark.parametrize("name", ["login", "logged-out", "nothing-here"])
async def test_every_page_has_the_strict_policy(own: OwnPages, name: str) -> None:
    page = await own.browser().get(f"{OWN}/{name}")

    policy = page.headers["Content-Security-Policy"]
    assert "default-src 'none'" in policy
    assert "form-action 'self' https://sso.example.com;" in policy
    assert "frame-ancestors 'none'" in policy
    assert "unsafe" not in policy
    assert "<style" not in page.text
    assert "style=" not in page.text
    assert "onclick" not in page.text


async def test_an_unknown_path_is_404_as_a_page_or_a_problem(own: OwnPages) -> None:
    as_page = await own.browser().get(f"{OWN}/nothing")
    as_problem = await own.browser().get(f"{OWN}/nothing", Accept="*/*")

    assert (as_page.status, as_page.headers["Content-Type"]) == (404, "text/html; charset=utf-8")
    assert (as_problem.status, json.loads(as_problem.text)["code"]) == (404, "not_found")


async def test_a_wrong_method_is_405_with_allow(own: OwnPages) -> None:
    page = await own.browser().send("DELETE", f"{OWN}/login")

    assert (page.status, page.headers["Allow"]) == (405, "GET, HEAD, POST")


@pytest.mark.parametrize("name", ["start", "callback"])
async def test_a_head_request_makes_no_tab_and_takes_none(own: OwnPages, name: str) -> None:
    assert (await own.browser().send("HEAD", f"{OWN}/{name}")).status == 405
    assert len(own.authentications) == 0


async def test_a_public_url_with_a_path_has_it_before_the_prefix(aiohttp_client: Any) -> None:
    own = await open_own_pages(aiohttp_client, public_url="https://app.example.com/portal", prefix="/auth")
    browser = own.browser()

    shown = await browser.get("/portal/auth/login")

    assert shown.status == 200
    assert 'action="/portal/auth/login"' in shown.text
    assert (await browser.get("/auth/login")).status == 404


async def test_a_request_that_did_not_come_through_the_gate_is_refused(own: OwnPages) -> None:
    response = await own.client.get(f"{OWN}/login")

    assert response.status == 400
    assert "Set-Cookie" not in response.headers


async def test_a_caller_named_twice_is_refused(own: OwnPages) -> None:
    headers = [("sidegate-request-id", "1"), ("sidegate-address", "a"), ("sidegate-address", "b")]
    response = await own.client.get(f"{OWN}/login", headers=[*headers, ("sidegate-scheme", "https")])

    assert response.status == 400


async def test_a_fault_of_ours_is_500_and_tells_nothing(own: OwnPages) -> None:
    def broken() -> Any:
        raise RuntimeError("password=hunter2")

    own.provider.metadata = broken  # type: ignore[method-assign]

    page = await own.browser().get(f"{OWN}/start")

    assert page.status == 500
    assert "hunter2" not in page.text
    assert "hunter2" not in repr(own.observer.errors)
    assert own.observer.errors[0][1]["fault"] == "RuntimeError"


async def test_a_body_above_the_cap_is_413(own: OwnPages) -> None:
    page = await submit_login(own.browser(), password="x" * 70_000)

    assert page.status == 413
    assert own.provider.passwords == []


async def test_a_name_in_the_session_cannot_make_a_header(own: OwnPages) -> None:
    grant = make_login_grant()
    own.provider.answer = replace(
        grant, identity=replace(grant.identity, username="a\r\nSet-Cookie: evil=1", name="\n")
    )
    browser = await own.signed_in()

    page = await browser.get(f"{OWN}/logout")

    assert page.status == 200
    assert "evil" not in repr(page.set_cookies)
