"""Paths and URLs of our own pages."""

from __future__ import annotations

import pytest

from tests.support.own_pages import make_options


@pytest.mark.parametrize(
    ("public_url", "own_path", "home", "origin"),
    [
        ("https://app.example.com", "/_sidegate", "/", "https://app.example.com"),
        ("https://app.example.com/", "/_sidegate", "/", "https://app.example.com"),
        ("https://App.example.com/portal", "/portal/_sidegate", "/portal", "https://app.example.com"),
        ("http://127.0.0.1:4180", "/_sidegate", "/", "http://127.0.0.1:4180"),
    ],
)
def test_the_path_of_the_public_url_precedes_the_prefix(public_url: str, own_path: str, home: str, origin: str) -> None:
    options = make_options(public_url=public_url)

    assert (options.own_path, options.home, options.public_origin("app.example.com")) == (own_path, home, origin)


def test_a_page_at_the_provider_is_the_public_url_and_the_prefix() -> None:
    options = make_options(public_url="https://app.example.com/portal/", prefix="/auth")

    assert options.url("callback", host="app.example.com") == "https://app.example.com/portal/auth/callback"


def test_of_a_wildcard_the_host_of_the_request_makes_the_url() -> None:
    options = make_options(public_url="https://*.apps.example.com/base")

    assert options.url("callback", host="a.apps.example.com") == "https://a.apps.example.com/base/_sidegate/callback"
    assert options.public_origin("a.apps.example.com:8443") == "https://a.apps.example.com:8443"
    assert options.own_path == "/base/_sidegate"


def test_a_session_belongs_to_portal_issuer_and_client() -> None:
    options = make_options(portal="admin")

    assert options.home_of_sessions == ("admin", options.issuer, options.client_id)


def test_a_query_holds_what_has_a_value_escaped() -> None:
    assert make_options().path("login", return_to="/a?b=c&d", provider=None, prompt="") == (
        "/_sidegate/login?return_to=%2Fa%3Fb%3Dc%26d"
    )


def test_the_server_key_is_never_printed() -> None:
    assert "kkkk" not in repr(make_options())
