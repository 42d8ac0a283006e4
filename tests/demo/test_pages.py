"""Pages escape what they are given."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from proxy.demo import pages

if TYPE_CHECKING:
    from aiohttp import web

EVIL = "\"><script>alert('x')</script>"


@pytest.mark.parametrize(
    "page",
    [
        pages.login_page(EVIL, EVIL, EVIL),
        pages.reauthentication_page(EVIL, EVIL, EVIL),
        pages.otp_page(EVIL, EVIL),
        pages.update_password_page(EVIL, EVIL, EVIL),
        pages.registration_page(EVIL, {"username": EVIL}, EVIL),
        pages.form_post_page(EVIL, {EVIL: EVIL}),
        pages.logout_question_page(EVIL, EVIL),
        pages.frontchannel_page([EVIL], EVIL),
        pages.error_page(EVIL),
    ],
)
def test_a_page_escapes_everything(page: web.Response) -> None:
    assert "<script>alert" not in (page.text or "")
    assert "alert(&#x27;x&#x27;)" in (page.text or "")


def test_an_error_is_a_400_that_is_not_stored() -> None:
    page = pages.error_page("no")

    assert page.status == 400
    assert "no-store" in page.headers["Cache-Control"]


def test_a_posted_answer_names_its_values_in_keycloaks_order() -> None:
    text = pages.form_post_page("/", {"state": "s", "session_state": "t", "iss": "i", "code": "c", "x": "y"}).text or ""

    positions = [text.index(f'name="{name}"') for name in ("code", "iss", "state", "session_state", "x")]
    assert positions == sorted(positions)
