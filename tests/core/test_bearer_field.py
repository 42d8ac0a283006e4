"""What of an Authorization field is a bearer token: RFC 6750 §2.1, RFC 9110 §11.4."""

from __future__ import annotations

import pytest

from proxy.core.bearer_field import bearer_token
from proxy.core.request import RequestHead
from proxy.core.secret import Secret
from proxy.errors import BearerMalformed

JWT = "eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiJhIn0.c2ln-_A"


def token_of(value: bytes | None) -> Secret | None:
    fields = ((b"Host", b"app"),) if value is None else ((b"Host", b"app"), (b"Authorization", value))
    return bearer_token(RequestHead(method=b"GET", target=b"/", headers=fields, peer="203.0.113.7", scheme="https"))


@pytest.mark.parametrize("scheme", ["Bearer ", "bearer ", "BEARER ", "Bearer   ", " Bearer "])
def test_the_token_after_the_scheme_is_found(scheme: str) -> None:
    assert token_of((scheme + JWT).encode()) == Secret(JWT)


def test_padding_at_the_end_belongs_to_the_token() -> None:
    assert token_of(b"Bearer YWJj==") == Secret("YWJj==")


@pytest.mark.parametrize(
    "value",
    [
        None,
        b"",
        b"Basic YTpi",
        b"Negotiate YII=",
        b"NTLM TlRM",
        b"DPoP token",
        b"BearerX token",
        b"Bearer-Token abc",
        b"Digest username=bearer",
        b"Basic YTpi, Bearer abc",
        b"X Bearer abc",
    ],
)
def test_other_schemes_are_nobodys_business_here(value: bytes | None) -> None:
    assert token_of(value) is None


@pytest.mark.parametrize(
    "value",
    [
        b"Bearer",
        b"bearer ",
        b"Bearer a b",
        b"Bearer a, b",
        b"Bearer a,Bearer b",
        b"Bearer\tabc",
        b"Bearer=abc",
        b"Bearer,abc",
        b'Bearer "abc"',
        b"Bearer token=abc; x",
        b"Bearer a=b",
        b"Bearer =",
        b"Bearer abc\x00",
        b"Bearer ab\xc3\xa9c",
        b"Bearer\xc2\xa0abc",
        b"Bearer a%2Eb",
        b"\xa0Bearer " + JWT.encode(),
        b"\xc2\xa0Bearer " + JWT.encode(),
        b"\x85bearer " + JWT.encode(),
        b'"Bearer abc"',
        b",Bearer abc",
    ],
)
def test_what_begins_like_a_bearer_and_is_none_is_refused(value: bytes) -> None:
    with pytest.raises(BearerMalformed):
        token_of(value)


def test_a_token_is_never_looked_for_in_the_query() -> None:
    head = RequestHead(
        method=b"GET",
        target=b"/x?access_token=" + JWT.encode(),
        headers=((b"Host", b"app"),),
        peer="203.0.113.7",
        scheme="https",
    )

    assert bearer_token(head) is None
