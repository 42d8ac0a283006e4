"""Where a client's browser may be sent."""

from __future__ import annotations

import pytest

from proxy.demo.clients import Client, Feature


def client(**fields: object) -> Client:
    return Client(**{"client_id": "app", "root_url": "https://app.test", **fields})  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "uri",
    [
        "https://app.test/other",
        "https://app.test/callback/",
        "https://app.test/callback?x=1",
        "https://app.test.evil.test/callback",
        "",
    ],
)
def test_an_exact_uri_admits_nothing_else(uri: str) -> None:
    exact = client(redirect_uris=("https://app.test/callback",))

    assert exact.accepts_redirect("https://app.test/callback")
    assert not exact.accepts_redirect(uri)


@pytest.mark.parametrize(
    "uri",
    [
        "https://app.test/app/../admin",
        "https://app.test/app/%2e%2e/admin",
        "https://app.test/app/%252e%252e/admin",
        "https://app.test/app/x#fragment",
        "https://user@app.test/app/x",
        "https://evil.test/app/x",
    ],
)
def test_a_wildcard_admits_what_lies_below_it_and_no_trick(uri: str) -> None:
    wild = client(redirect_uris=("https://app.test/app/*",))

    assert wild.accepts_redirect("https://app.test/app/x?y=../z")
    assert not wild.accepts_redirect(uri)


def test_relative_uris_lie_under_the_root_url() -> None:
    relative = client(redirect_uris=("/callback",), backchannel_logout_url="/bc")

    assert relative.accepts_redirect("https://app.test/callback")
    assert relative.backchannel_url == "https://app.test/bc"
    assert relative.allowed_origins() == ["https://app.test"]


@pytest.mark.parametrize(
    ("registered", "uri", "is_accepted"),
    [
        (("+",), "https://app.test/callback", True),
        ((), "https://app.test/callback", True),
        (("-",), "https://app.test/callback", False),
        (("https://app.test/bye", "https://app.test/ciao"), "https://app.test/ciao", True),
        (("https://app.test/bye",), "https://app.test/callback", False),
    ],
)
def test_after_a_logout_the_browser_goes_where_it_was_registered(
    registered: tuple[str, ...],
    uri: str,
    is_accepted: bool,  # noqa: FBT001
) -> None:
    leaving = client(redirect_uris=("/callback",), post_logout_redirect_uris=registered)

    assert leaving.accepts_post_logout_redirect(uri) is is_accepted


def test_a_front_channel_switches_the_back_channel_off() -> None:
    both = client(backchannel_logout_url="/bc", features=Feature.USUAL | Feature.FRONTCHANNEL_LOGOUT)

    assert both.backchannel_url is None
