"""Addresses as the file writes them."""

from __future__ import annotations

import pytest

from proxy.forward.options import TcpAddress, UnixAddress, parse_listen, parse_upstream_url


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("http://app", TcpAddress("app", 80)),
        ("https://app", TcpAddress("app", 443)),
        ("http://127.0.0.1:8000", TcpAddress("127.0.0.1", 8000)),
        ("http://[::1]:8000/", TcpAddress("::1", 8000)),
        ("unix:/run/app.sock", UnixAddress("/run/app.sock")),
    ],
)
def test_an_upstream_is_where_its_url_says(text: str, address: TcpAddress | UnixAddress) -> None:
    assert parse_upstream_url(text) == address


@pytest.mark.parametrize("text", ["ftp://app", "app:80", "http://", "http://app:port", ""])
def test_another_url_is_an_error(text: str) -> None:
    with pytest.raises(ValueError, match=r".+"):
        parse_upstream_url(text)


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("0.0.0.0:4180", TcpAddress("0.0.0.0", 4180)),
        ("[::]:4180", TcpAddress("::", 4180)),
        (":0", TcpAddress("", 0)),
        ("unix:/run/s", UnixAddress("/run/s")),
    ],
)
def test_a_listener_is_where_the_file_says(text: str, address: TcpAddress | UnixAddress) -> None:
    assert parse_listen(text) == address


@pytest.mark.parametrize("text", ["4180", "host:", "host:http", "[::]"])
def test_another_listener_is_an_error(text: str) -> None:
    with pytest.raises(ValueError, match="host:port"):
        parse_listen(text)
