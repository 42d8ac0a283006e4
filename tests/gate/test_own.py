"""The head that our own pages get: laws of ``gate.own``."""

from __future__ import annotations

from typing import Any

import pytest

from proxy.core.cookies import OwnCookies
from proxy.core.request import Accepted, Headers, PeerTrust, RequestHead
from proxy.core.target import TargetRules, parse_target
from proxy.errors import MethodRefused, RequestRefused, TargetTooLong
from proxy.gate.own import MAX_OWN_FIELD, MAX_OWN_TARGET, own_headers


def made(
    *headers: tuple[bytes, bytes], method: bytes = b"GET", target: bytes = b"/_sidegate/login", **outside: Any
) -> dict[bytes, bytes]:
    fields: Headers = ((b"Host", b"forged.example"), *headers)
    head = RequestHead(method=method, target=target, headers=fields, peer="203.0.113.7", scheme="https")
    members: dict[str, Any] = {
        "head": head,
        "target": parse_target(target, rules=TargetRules()),
        "request_id": "r1",
        "traceparent": "",
        "client_address": "203.0.113.7",
        "scheme": "https",
        "host": "app.example.com",
        "forwarded_for": (),
    }
    result = own_headers(Accepted(**{**members, **outside}), OwnCookies())
    assert len({name.lower() for name, _ in result}) == len(result)
    return dict(result)


def test_only_what_is_listed_comes_along() -> None:
    fields = made((b"Accept", b"text/html"), (b"X-Forwarded-For", b"1.2.3.4"), (b"Content-Encoding", b"gzip"))

    assert fields == {
        b"Host": b"app.example.com",
        b"Accept": b"text/html",
        b"sidegate-request-id": b"r1",
        b"sidegate-address": b"203.0.113.7",
        b"sidegate-scheme": b"https",
    }


def test_what_a_browser_has_already_comes_along() -> None:
    assert made((b"If-None-Match", b'"session.1.js"'))[b"If-None-Match"] == b'"session.1.js"'


def test_the_caller_cannot_be_forged() -> None:
    fields = made((b"sidegate-address", b"10.0.0.1"), (b"Sidegate-Scheme", b"http"))

    assert fields[b"sidegate-address"] == b"203.0.113.7"
    assert fields[b"sidegate-scheme"] == b"https"


def test_only_our_cookies_come_along_and_two_of_a_name_stay_two() -> None:
    fields = made((b"Cookie", b"app=1; __Host-sidegate=a"), (b"Cookie", b"__Host-sidegate=b; __Host-sidegate-login=c"))

    assert fields[b"Cookie"] == b"__Host-sidegate=a; __Host-sidegate=b; __Host-sidegate-login=c"


def test_the_language_that_somebody_chose_comes_along() -> None:
    assert made((b"Cookie", b"app=1; __Host-sidegate-language=de"))[b"Cookie"] == b"__Host-sidegate-language=de"


def test_padding_cannot_hide_the_second_of_two_cookies() -> None:
    padded = b"__Host-sidegate=a; __Host-sidegate-known=" + b"k" * MAX_OWN_FIELD + b"; __Host-sidegate=b"

    assert b"Cookie" not in made((b"Cookie", padded))


def test_a_big_cookie_of_the_app_does_not_break_the_login() -> None:
    assert b"Cookie" not in made((b"Cookie", b"app=" + b"x" * 20_000))


def test_an_oversized_field_is_left_out_whole() -> None:
    assert b"User-Agent" not in made((b"User-Agent", b"x" * (MAX_OWN_FIELD + 1)))


def test_an_address_that_the_pages_cannot_read_is_too_long() -> None:
    made(target=b"/_sidegate/login?".ljust(MAX_OWN_TARGET, b"x"))

    with pytest.raises(TargetTooLong):
        made(target=b"/_sidegate/login?".ljust(MAX_OWN_TARGET + 1, b"x"))


@pytest.mark.parametrize("name", [b"Content-Type", b"User-Agent"])
def test_a_field_of_one_value_that_is_there_twice_is_refused(name: bytes) -> None:
    with pytest.raises(RequestRefused):
        made((name, b"text/plain"), (name.lower(), b"application/json"))


@pytest.mark.parametrize("method", [b"FOO", b"get", b"PROPFIND", b"M-SEARCH"])
def test_a_method_that_no_page_knows_does_not_reach_them(method: bytes) -> None:
    with pytest.raises(MethodRefused):
        made(method=method)


FORWARDED = (b"X-Forwarded-For", b"198.51.100.1")


@pytest.mark.parametrize(
    ("headers", "outside"),
    [
        ([FORWARDED], {"client_address": "10.0.0.1"}),
        ([FORWARDED], {"client_address": "127.0.0.1"}),
        ([FORWARDED], {"client_address": "fd00::1"}),
        ([(b"Forwarded", b"for=198.51.100.1")], {"client_address": "10.0.0.1"}),
        ([(b"X-Real-IP", b"198.51.100.1")], {"client_address": "10.0.0.1"}),
        ([], {"client_address": ""}),
        (
            [(b"X-Forwarded-For", b"198.51.100.1, 10.0.0.1")],
            {"client_address": "10.0.0.1", "forwarded_for": ("10.0.0.1",), "peer_trust": PeerTrust.TRUSTED},
        ),
    ],
)
def test_a_proxy_of_ones_own_that_nobody_named_is_told_from_a_client(
    headers: list[tuple[bytes, bytes]], outside: dict[str, Any]
) -> None:
    assert made(*headers, **outside)[b"sidegate-address-of"] == b"proxy"


@pytest.mark.parametrize(
    ("headers", "outside"),
    [
        # From the Internet nobody switches off that they are counted, whatever they send.
        ([FORWARDED], {}),
        ([(b"Forwarded", b"for=10.0.0.1"), (b"X-Real-IP", b"10.0.0.1")], {}),
        ([FORWARDED], {"client_address": "2001:db8::1"}),
        ([(b"sidegate-address-of", b"proxy")], {}),
        ([], {"client_address": "10.0.0.1"}),
        (
            [(b"X-Forwarded-For", b"10.0.0.1")],
            {"client_address": "10.0.0.1", "forwarded_for": ("10.0.0.1",), "peer_trust": PeerTrust.TRUSTED},
        ),
        (
            [(b"X-Forwarded-For", b"9.9.9.9, 198.51.100.1")],
            {"client_address": "198.51.100.1", "forwarded_for": ("198.51.100.1",), "peer_trust": PeerTrust.TRUSTED},
        ),
    ],
)
def test_everybody_else_is_taken_for_the_client(headers: list[tuple[bytes, bytes]], outside: dict[str, Any]) -> None:
    assert b"sidegate-address-of" not in made(*headers, **outside)
