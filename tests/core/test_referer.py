"""The page that led here is a place of ours, or nobody's."""

from __future__ import annotations

import pytest

from proxy.core.referer import page_around, referring_page
from proxy.core.request import RequestHead

ORIGIN = "https://app.example.com"
CLICK = (b"Sec-Fetch-User", b"?1")


def head_of(*headers: tuple[bytes, bytes]) -> RequestHead:
    return RequestHead(method=b"GET", target=b"/inner", headers=headers, peer="", scheme="https")


def led_from(*values: bytes) -> str | None:
    head = head_of(*((b"Referer", value) for value in values))
    return referring_page(head, own_origin=ORIGIN, prefix=b"/_sidegate")


@pytest.mark.parametrize(
    ("value", "page"),
    [
        (b"https://app.example.com/", "/"),
        (b"https://app.example.com/a/b?c=d&e", "/a/b?c=d&e"),
        (b"https://app.example.com", None),
        (b"http://app.example.com/a", None),
        (b"https://app.example.com.evil.example/a", None),
        (b"https://app.example.com@evil.example/a", None),
        (b"https://app.example.com//evil.example/a", None),
        (b"https://app.example.com/\\evil.example", None),
        (b"https://app.example.com/_sidegate/login", None),
        (b"https://evil.example/", None),
        (b"about:blank", None),
        (b"/a", None),
    ],
)
def test_only_a_page_of_ours_is_a_place_to_go_back_to(value: bytes, page: str | None) -> None:
    assert led_from(value) == page


def test_none_and_two_say_nothing() -> None:
    assert led_from() is None
    assert led_from(b"https://app.example.com/a", b"https://app.example.com/b") is None


@pytest.mark.parametrize(
    ("headers", "page"),
    [
        (((b"Sec-Fetch-Dest", b"iframe"),), "/around"),
        (((b"Sec-Fetch-Dest", b"frame"),), "/around"),
        (((b"Sec-Fetch-Dest", b"iframe"), CLICK), "/around"),
        (((b"Sec-Fetch-Dest", b"frame"), CLICK), None),
    ],
)
def test_a_click_in_a_frameset_comes_from_another_frame(
    headers: tuple[tuple[bytes, bytes], ...], page: str | None
) -> None:
    head = head_of((b"Referer", b"https://app.example.com/around"), *headers)

    assert page_around(head, own_origin=ORIGIN, prefix=b"/_sidegate") == page
