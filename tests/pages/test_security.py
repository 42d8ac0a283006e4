"""The fields that protect a page."""

from __future__ import annotations

import pytest

from proxy.pages.security import content_security_policy, origin_of, security_headers, with_form_target

SSO = "https://sso.example.com"


def test_the_policy_allows_our_own_files_and_forms_to_the_issuer_only() -> None:
    assert content_security_policy([SSO, SSO], "'none'") == (
        "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; connect-src 'self'; base-uri 'none'; "
        "form-action 'self' https://sso.example.com; frame-ancestors 'none'"
    )


def test_old_browsers_are_told_about_frames_too() -> None:
    assert (b"X-Frame-Options", b"DENY") in security_headers([SSO])
    assert (b"X-Frame-Options", b"SAMEORIGIN") in security_headers([SSO], frame_ancestors="'self'")


def test_our_own_forms_keep_their_origin_and_others_learn_nothing() -> None:
    assert (b"Referrer-Policy", b"same-origin") in security_headers([SSO])


def test_a_form_target_is_added_once() -> None:
    once = with_form_target(security_headers([SSO]), "https://logout.example.net/end?x=1")

    assert (
        b"form-action 'self' https://sso.example.com https://logout.example.net; "
        in dict(once)[b"Content-Security-Policy"]
    )
    assert with_form_target(once, "https://logout.example.net/other") == once
    assert with_form_target(security_headers([SSO]), f"{SSO}/end") == security_headers([SSO])


@pytest.mark.parametrize(
    ("url", "origin"),
    [
        ("https://SSO.example.com/realms/acme", "https://sso.example.com"),
        ("http://127.0.0.1:8080/x", "http://127.0.0.1:8080"),
        ("https://user:pw@sso.example.com/", "https://sso.example.com"),
        ("http://[::1]:8080/", "http://[::1]:8080"),
    ],
)
def test_an_origin_is_scheme_and_authority(url: str, origin: str) -> None:
    assert origin_of(url) == origin


@pytest.mark.parametrize(
    "url",
    [
        "",
        "/path",
        "javascript:alert(1)",
        "data:text/html,x",
        "https:///x",
        "https://a;b/",
        "https://a b/",
        "https://é/",
    ],
)
def test_what_could_open_the_policy_is_no_origin(url: str) -> None:
    with pytest.raises(ValueError):
        origin_of(url)
