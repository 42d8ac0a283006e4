"""What may be kept, by whose word, and what is sent on in its place."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from proxy.core.cross_site import AllowedOrigins
from proxy.core.kept import (
    NotKept,
    awaited_kept,
    head_of_sent,
    is_form_post,
    keeping_obstacle,
    kept_mark,
    kept_of,
    place_of,
)
from proxy.core.request import Accepted, RequestHead
from proxy.core.target import TargetRules, parse_target

URLENCODED = (b"Content-Type", b"application/x-www-form-urlencoded")
NAVIGATES = (b"Sec-Fetch-Mode", b"navigate")
SAME_ORIGIN = (b"Sec-Fetch-Site", b"same-origin")
OWN_ORIGIN = (b"Origin", b"https://app.example.com")
ALLOWED = AllowedOrigins(frozenset({b"https://app.example.com", b"https://partner.example.com"}))
KEPT_ID = "a" * 22


def head_of(*headers: tuple[bytes, bytes], method: bytes = b"POST", target: bytes = b"/orders?x=1") -> RequestHead:
    return RequestHead(method=method, target=target, headers=headers, peer="203.0.113.7", scheme="https")


def accepted_of(head: RequestHead, **changes: object) -> Accepted:
    target = parse_target(head.target, rules=TargetRules())
    made = Accepted(head, target, "id", "trace", head.peer, "https", "app.example.com", ())
    return replace(made, **changes)  # type: ignore[arg-type]


def obstacle(*headers: tuple[bytes, bytes], target: bytes = b"/orders?x=1", **changes: object) -> NotKept | None:
    accepted = accepted_of(head_of(*headers, target=target), **changes)
    return keeping_obstacle(accepted, allowed=ALLOWED, prefix=b"/_sidegate")


@pytest.mark.parametrize(
    "content_type", [b"application/x-www-form-urlencoded", b"Multipart/Form-Data; boundary=x", b"text/plain"]
)
def test_what_a_person_sends_by_navigating_is_a_form(content_type: bytes) -> None:
    assert is_form_post(head_of((b"Content-Type", content_type), NAVIGATES))
    assert is_form_post(head_of((b"Content-Type", content_type), (b"Accept", b"text/html,*/*")))


@pytest.mark.parametrize(
    "head",
    [
        head_of(URLENCODED, NAVIGATES, method=b"PUT"),
        head_of(URLENCODED, NAVIGATES, method=b"GET"),
        head_of((b"Content-Type", b"application/json"), NAVIGATES),
        head_of(NAVIGATES),
        head_of(URLENCODED, URLENCODED, NAVIGATES),
        head_of(URLENCODED, NAVIGATES, (b"Content-Encoding", b"gzip")),
        head_of(URLENCODED, (b"Sec-Fetch-Mode", b"cors"), (b"Accept", b"text/html")),
        head_of(URLENCODED, (b"Accept", b"*/*")),
        head_of(URLENCODED, (b"Accept", b"text/html"), (b"X-Requested-With", b"XMLHttpRequest")),
    ],
)
def test_what_a_script_sends_is_none(head: RequestHead) -> None:
    assert not is_form_post(head)


@pytest.mark.parametrize(
    "headers",
    [
        (SAME_ORIGIN,),
        (SAME_ORIGIN, OWN_ORIGIN),
        (SAME_ORIGIN, (b"Origin", b"null")),
        (OWN_ORIGIN,),
    ],
)
def test_a_form_of_our_own_origin_may_be_kept(headers: tuple[tuple[bytes, bytes], ...]) -> None:
    assert obstacle(*headers) is None


@pytest.mark.parametrize(
    "headers",
    [
        (),
        ((b"Sec-Fetch-Site", b"none"),),
        ((b"Sec-Fetch-Site", b"same-site"),),
        ((b"Sec-Fetch-Site", b"cross-site"), OWN_ORIGIN),
        (SAME_ORIGIN, (b"Sec-Fetch-Site", b"cross-site")),
        (SAME_ORIGIN, (b"Origin", b"https://evil.example.com")),
        ((b"Origin", b"null"),),
        ((b"Sec-Fetch-Site", b"cross-site"), (b"Origin", b"null")),
        (SAME_ORIGIN, (b"Origin", b"null"), (b"Origin", b"null")),
        ((b"Origin", b"http://app.example.com"),),
        ((b"Origin", b"https://partner.example.com"),),
        (OWN_ORIGIN, OWN_ORIGIN),
    ],
)
def test_a_form_without_our_own_page_s_word_is_never_kept(headers: tuple[tuple[bytes, bytes], ...]) -> None:
    assert obstacle(*headers) is NotKept.FOREIGN


def test_our_own_origin_counts_under_the_name_that_a_proxy_hid() -> None:
    assert obstacle(SAME_ORIGIN, OWN_ORIGIN, scheme="http") is None


@pytest.mark.parametrize("target", [b"//evil.example.com/x", b"/" + b"x" * 2100, b"/_sidegate/logout"])
def test_a_form_to_an_address_to_which_no_login_leads_is_not_kept(target: bytes) -> None:
    assert obstacle(SAME_ORIGIN, target=target) is NotKept.ADDRESS


# --- the way back


def kept_from(*headers: tuple[bytes, bytes]) -> tuple[str, Accepted]:
    accepted = accepted_of(head_of(URLENCODED, *headers))
    return kept_mark(KEPT_ID, place_of(accepted)), accepted


def came_back(*headers: tuple[bytes, bytes], **changes: object) -> Accepted:
    accepted = accepted_of(head_of(NAVIGATES, *headers, method=b"GET"))
    return replace(accepted, **changes)  # type: ignore[arg-type]


@pytest.mark.parametrize("site", [(), (SAME_ORIGIN,), ((b"Sec-Fetch-Site", b"none"),)])
def test_the_way_back_from_the_login_stands_in_the_place_of_the_form(site: tuple[tuple[bytes, bytes], ...]) -> None:
    mark, _ = kept_from()

    assert awaited_kept(mark.encode(), came_back(*site)) == KEPT_ID


@pytest.mark.parametrize(
    "accepted",
    [
        accepted_of(head_of(NAVIGATES, method=b"HEAD")),
        accepted_of(head_of(URLENCODED, NAVIGATES)),
        accepted_of(head_of(NAVIGATES, method=b"GET", target=b"/orders?x=2")),
        accepted_of(head_of(NAVIGATES, method=b"GET", target=b"/orders")),
        accepted_of(head_of(NAVIGATES, method=b"GET", target=b"/Orders?x=1")),
        came_back(host="other.example.com"),
        came_back(scheme="http"),
        came_back((b"Sec-Fetch-Site", b"cross-site")),
        came_back((b"Sec-Fetch-Site", b"same-site")),
        came_back((b"Sec-Fetch-Dest", b"iframe")),
        came_back((b"Sec-Purpose", b"prefetch")),
        came_back((b"Content-Length", b"3")),
        came_back((b"Transfer-Encoding", b"chunked")),
        accepted_of(head_of((b"Sec-Fetch-Mode", b"cors"), method=b"GET")),
    ],
)
def test_no_other_request_does(accepted: Accepted) -> None:
    mark, _ = kept_from()

    assert awaited_kept(mark.encode(), accepted) is None


@pytest.mark.parametrize("mark", [None, b"", b"x", KEPT_ID.encode(), KEPT_ID.encode() + b".short", b"." * 45])
def test_a_cookie_that_is_none_of_ours_names_nothing(mark: bytes | None) -> None:
    assert awaited_kept(mark, came_back()) is None


def test_the_content_is_of_the_post_and_who_asks_is_of_the_get() -> None:
    _, accepted = kept_from(
        OWN_ORIGIN,
        (b"Referer", b"https://app.example.com/form"),
        (b"Cookie", b"old=1"),
        (b"Authorization", b"Basic old"),
        (b"Content-Length", b"9"),
        (b"Connection", b"X-Old"),
        (b"X-Old", b"1"),
    )
    kept = kept_of(accepted, subject_hash="hash", now=5.0)
    get = head_of(
        (b"Cookie", b"new=1"),
        (b"Referer", b"https://app.example.com/_sidegate/login"),
        (b"If-None-Match", b'"etag"'),
        (b"Range", b"bytes=0-1"),
        (b"Accept", b"text/html"),
        method=b"GET",
    )

    sent = head_of_sent(get, kept)

    assert (sent.method, sent.target, sent.peer) == (b"POST", b"/orders?x=1", "203.0.113.7")
    assert sent.headers == (
        (b"Cookie", b"new=1"),
        (b"Accept", b"text/html"),
        URLENCODED,
        OWN_ORIGIN,
        (b"Referer", b"https://app.example.com/form"),
    )
