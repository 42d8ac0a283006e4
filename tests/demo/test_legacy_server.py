"""The legacy app behind Python's own server."""

from __future__ import annotations

import http.client
import socket
from urllib.parse import urlsplit

import pytest

from proxy.demo.legacy_server import running_legacy_app


def test_it_serves_on_loopback_and_stops() -> None:
    with running_legacy_app() as url:
        place = urlsplit(url)
        connection = http.client.HTTPConnection(place.netloc, timeout=5)
        connection.request("GET", "/", headers={"X-Auth-Username": "alice"})
        text = connection.getresponse().read().decode()
        connection.close()

    assert place.hostname == "127.0.0.1"
    assert "<strong>alice</strong>" in text
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", place.port or 0), timeout=5)


def test_a_slow_visitor_does_not_stop_another() -> None:
    with running_legacy_app() as url:
        place = urlsplit(url)
        with socket.create_connection(("127.0.0.1", place.port or 0), timeout=5) as slow:
            slow.sendall(b"GET / HTTP/1.1\r\n")
            connection = http.client.HTTPConnection(place.netloc, timeout=5)
            connection.request("GET", "/static/style.css")
            status = connection.getresponse().status
            connection.close()

    assert status == 200
