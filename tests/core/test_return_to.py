"""Where to go after a login (law 10); the browser's view is in properties/test_return_to_browser.py."""

from __future__ import annotations

import pytest

from proxy.core.return_to import MAX_RETURN_TO, safe_return_to

DEFAULT = "/start-page"


@pytest.mark.parametrize(
    "text",
    [
        "/",
        "/a",
        "/a/b?c=d&e=%2F%2Fx",
        "/a?next=//x\\y",
        "/a#part",
        "/a?#",
        "/a//b",
        "/a%20b",
        "/_sidegate/sessions",
        "/~x/(y)",
        "/loginx",
        "/login",
        "/_sidegate/loginx",
        "/a:b@c",
        "/" + "x" * (MAX_RETURN_TO - 1),
    ],
)
def test_a_path_of_our_own_is_kept_as_it_is(text: str) -> None:
    assert safe_return_to(text, DEFAULT) == text


@pytest.mark.parametrize(
    "text",
    [
        None,
        "",
        "a",
        "?a",
        "#a",
        "https://app.example.com/",
        "https:/x",
        "javascript:alert(1)",
        "//host",
        "///host",
        "/\\host",
        "\\\\host",
        "\\/host",
        "/\t/host",
        "/\n/host",
        "/\r\nSet-Cookie: x",
        " /a",
        "/a b",
        "/a\x00",
        "/a\x7f",
        "/a\x85",
        "/a\\b",
        "/%09/host",
        "/%2fhost",
        "/%5chost",
        "/%252fhost",
        "/%0d%0ax",
        "/./a",
        "/.//host",
        "/a/../b",
        "/a/%2e%2E/b",
        "/a%",
        "/\ud800",
        "/" + "x" * MAX_RETURN_TO,
        "/" + "é" * (MAX_RETURN_TO // 2),
    ],
)
def test_anything_else_is_the_default(text: str | None) -> None:
    assert safe_return_to(text, DEFAULT) == DEFAULT


def test_letters_beyond_ascii_are_escaped_as_a_browser_does() -> None:
    assert safe_return_to("/café?ü#ß", DEFAULT) == "/caf%C3%A9?%C3%BC#%C3%9F"


@pytest.mark.parametrize(
    "page", ["login", "start", "callback", "logout", "logout/all", "login?x", "login#x", "Login", "%6cogin"]
)
def test_a_page_that_would_begin_or_end_the_login_again_is_the_default(page: str) -> None:
    assert safe_return_to(f"/_sidegate/{page}", DEFAULT) == DEFAULT
    assert safe_return_to(f"/base/_gate/{page}", DEFAULT, prefix=b"/base/_gate") == DEFAULT
    assert safe_return_to(f"/_sidegate/{page}", DEFAULT, prefix=b"/_gate") != DEFAULT
