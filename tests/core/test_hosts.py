"""Names and wildcards of hosts."""

from __future__ import annotations

import pytest

from proxy.core.hosts import HostNames, at_host, is_wildcard

APPS = HostNames(["*.apps.example.com", "portal.example.com", "*.dev.example.com:8443"])


@pytest.mark.parametrize(
    "host", ["a.apps.example.com", "x-1.apps.example.com", "portal.example.com", "w.dev.example.com:8443"]
)
def test_a_name_or_one_label_in_the_place_of_the_star_is_answered(host: str) -> None:
    assert host in APPS


@pytest.mark.parametrize(
    "host",
    [
        "apps.example.com",
        ".apps.example.com",
        "a.b.apps.example.com",
        "evil.com/.apps.example.com",
        "*.apps.example.com",
        "-a.apps.example.com",
        "a-.apps.example.com",
        "a_b.apps.example.com",
        "a.apps.example.com:8443",
        "w.dev.example.com",
        "a.apps.example.com.evil.com",
        "aapps.example.com",
        "x" * 64 + ".apps.example.com",
        None,
    ],
)
def test_everything_else_is_not(host: str | None) -> None:
    assert host not in APPS


def test_they_are_given_as_they_were_written() -> None:
    assert list(APPS) == ["portal.example.com", "*.apps.example.com", "*.dev.example.com:8443"]
    assert APPS.exact == {"portal.example.com"}
    assert all(map(is_wildcard, APPS.wildcards))


@pytest.mark.parametrize(
    ("url", "there"),
    [
        ("https://*.apps.example.com", "https://a.apps.example.com"),
        ("https://*.apps.example.com/base", "https://a.apps.example.com/base"),
        ("https://app.example.com/base", "https://app.example.com/base"),
    ],
)
def test_the_host_of_the_request_stands_for_the_wildcard_and_for_nothing_else(url: str, there: str) -> None:
    assert at_host(url, "a.apps.example.com") == there
