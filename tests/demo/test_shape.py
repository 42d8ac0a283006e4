"""Where the URLs lie."""

from __future__ import annotations

import pytest

from proxy.demo.shape import Shape


@pytest.mark.parametrize(
    ("path", "token", "name"),
    [
        ("/realms/acme", "/realms/acme/protocol/openid-connect/token", "acme"),
        ("/realms/acme/", "/realms/acme/protocol/openid-connect/token", "acme"),
        ("", "/protocol/openid-connect/token", "demo"),
        ("/", "/protocol/openid-connect/token", "demo"),
    ],
)
def test_a_trailing_slash_belongs_to_the_issuer_alone(path: str, token: str, name: str) -> None:
    shape = Shape(path)

    assert (shape.endpoint("token"), shape.realm_name) == (token, name)


def test_the_endpoints_may_lie_anywhere_below() -> None:
    assert Shape("/op", protocol="/x/y").endpoint("token") == "/op/x/y/token"
