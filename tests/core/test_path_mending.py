"""An app at ``/`` lives below a prefix: what of its answers must say so, and what must not be touched."""

from __future__ import annotations

import re
from urllib.parse import urljoin

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.core.hosts import HostNames
from proxy.core.path_mending import PathMending

OLD = PathMending(
    b"/old",
    own_prefix=b"/_sidegate",
    own_hosts=HostNames({"app.example.com", "app.internal.example.com:8443", "*.apps.example.com"}),
    upstream_host=b"127.0.0.1:8000",
)
AT_80 = PathMending(b"/old", own_prefix=b"/_sidegate", own_hosts=HostNames({"app.example.com"}), upstream_host=b"wiki")


def mended(name: bytes, value: bytes) -> bytes:
    left = OLD.field((name, value))
    assert left[0] == name
    return left[1]


@pytest.mark.parametrize(
    ("sent", "expected"),
    [
        (b"/", b"/old/"),
        (b"/x", b"/old/x"),
        (b"/x?next=/y#z", b"/old/x?next=/y#z"),
        (b"/?q", b"/old/?q"),
        (b"/older/x", b"/old/older/x"),
        (b"https://app.example.com/x", b"https://app.example.com/old/x"),
        (b"HTTPS://App.Example.com/x", b"HTTPS://App.Example.com/old/x"),
        (b"http://app.example.com:80/x", b"http://app.example.com:80/old/x"),
        (b"https://app.example.com", b"https://app.example.com/old/"),
        (b"https://app.example.com?q=1", b"https://app.example.com/old/?q=1"),
        (b"//app.example.com/x", b"//app.example.com/old/x"),
        (b"https://app.internal.example.com:8443/x", b"https://app.internal.example.com:8443/old/x"),
        (b"https://a.apps.example.com/x", b"https://a.apps.example.com/old/x"),
        (b"http://127.0.0.1:8000/x", b"/old/x"),
        (b"http://127.0.0.1:8000", b"/old/"),
    ],
)
def test_paths_and_urls_of_ours_and_of_the_app_get_the_prefix(sent: bytes, expected: bytes) -> None:
    assert mended(b"Location", sent) == expected


@pytest.mark.parametrize(
    "sent",
    [
        b"",
        b"x",
        b"./x",
        b"../x",
        b"?page=2",
        b"#top",
        b"//evil.example/x",
        b"/\\evil.example",
        b"https://sso.example.com/realms/acme",
        b"https://app.example.com.evil.example/x",
        b"https://app.example.com@evil.example/x",
        b"https://app.example.com:444/x",
        b"https://a.b.apps.example.com/x",
        b"https://\xff.apps.example.com/x",
        b"http://127.0.0.1:8001/x",
        b"mailto:alice@example.com",
        b"javascript:/x",
    ],
)
def test_relative_references_and_other_hosts_are_left_alone(sent: bytes) -> None:
    assert mended(b"Location", sent) == sent


@pytest.mark.parametrize(
    "sent", [b"/old", b"/old/x", b"/old?x", b"https://app.example.com/old/x", b"/_sidegate/logout", b"/_sidegate"]
)
def test_what_lies_below_the_prefix_or_is_ours_is_right_already(sent: bytes) -> None:
    assert mended(b"Location", sent) == sent


def test_the_port_that_goes_without_saying_is_the_hosts_own() -> None:
    assert AT_80.url(b"http://wiki:80/x") == b"/old/x"
    assert AT_80.url(b"http://wiki:443/x") == b"http://wiki:443/x"


def test_content_location_is_mended_too_and_other_fields_are_not() -> None:
    assert mended(b"content-location", b"/x.json") == b"/old/x.json"
    assert mended(b"Link", b"</x.css>; rel=preload") == b"</x.css>; rel=preload"
    assert mended(b"X-Location", b"/x") == b"/x"


@pytest.mark.parametrize(
    ("sent", "expected"),
    [
        (b"0; url=/x", b"0; url=/old/x"),
        (b"5;URL='/x'", b"5;URL='/old/x'"),
        (b"2, /x", b"2, /old/x"),
        (b"0; url=http://127.0.0.1:8000/x", b"0; url=/old/x"),
        (b"5", b"5"),
        (b"0; url=next", b"0; url=next"),
        (b"0; url=https://else.example/x", b"0; url=https://else.example/x"),
    ],
)
def test_the_address_of_a_refresh_is_mended(sent: bytes, expected: bytes) -> None:
    assert mended(b"Refresh", sent) == expected


@pytest.mark.parametrize(
    ("sent", "expected"),
    [
        (b"a=1; Path=/", b"a=1; Path=/old"),
        (b"a=1; Path=/x; HttpOnly", b"a=1; Path=/old/x; HttpOnly"),
        (b"a=1;path = /x", b"a=1;path =/old/x"),
        (b"a=/x; Path=/x", b"a=/x; Path=/old/x"),
        (b"__Secure-a=1; Secure; Path=/", b"__Secure-a=1; Secure; Path=/old"),
        (b"a=1; Path=/older", b"a=1; Path=/old/older"),
        # Left alone.
        (b"a=1", b"a=1"),
        (b"a=1; Path=/old", b"a=1; Path=/old"),
        (b"a=1; Path=/old/x", b"a=1; Path=/old/x"),
        (b"a=1; Path", b"a=1; Path"),
        (b"a=1; Path=x", b"a=1; Path=x"),
        (b"__Host-a=1; Secure; Path=/", b"__Host-a=1; Secure; Path=/"),
        (b"__host-a=1; Secure; Path=/", b"__host-a=1; Secure; Path=/"),
    ],
)
def test_the_path_of_a_cookie_is_mended(sent: bytes, expected: bytes) -> None:
    assert mended(b"Set-Cookie", sent) == expected


PATHS = st.text("ax/.~%2", max_size=12).map(lambda text: f"/{text}")


@given(path=PATHS)
def test_a_browser_lands_below_the_prefix_wherever_in_the_app_it_is_sent(path: str) -> None:
    landed = OLD.url(path.encode()).decode()

    if not re.match("//|/old(/|$)", path):
        assert landed == f"/old{path}"
        assert urljoin("https://app.example.com/old/page", landed).startswith("https://app.example.com/")


@given(path=PATHS)
def test_what_is_mended_is_not_mended_again(path: str) -> None:
    once = OLD.url(path.encode())

    assert OLD.url(once) == once
