"""Who calls, by which scheme and host: laws of ``gate.accept``."""

from __future__ import annotations

from ipaddress import ip_network

import pytest

from proxy.core.request import Headers, RequestHead
from proxy.core.target import TargetRules
from proxy.errors import AuthorizationRefused, HostRefused, MethodRefused, TargetRefused
from proxy.gate.accept import Acceptor, AcceptRules, normal_host

ZEROS = bytes(64)


def acceptor(*networks: str, hosts: frozenset[str] = frozenset({"app.example.com"})) -> Acceptor:
    rules = AcceptRules(hosts=hosts, trusted_proxies=tuple(ip_network(n) for n in networks), target=TargetRules())
    return Acceptor(rules, random_bytes=lambda count: ZEROS[:count])


def head(
    *headers: tuple[bytes, bytes], peer: str = "203.0.113.7", method: bytes = b"GET", target: bytes = b"/"
) -> RequestHead:
    fields: Headers = (
        headers if any(name == b"Host" for name, _ in headers) else ((b"Host", b"app.example.com"), *headers)
    )
    return RequestHead(method=method, target=target, headers=fields, peer=peer, scheme="http")


def test_a_stranger_cannot_say_who_he_is() -> None:
    lies = (
        (b"X-Forwarded-For", b"10.0.0.1"),
        (b"X-Forwarded-Proto", b"https"),
        (b"X-Forwarded-Host", b"evil.example"),
        (b"Forwarded", b"for=10.0.0.1;proto=https;host=evil.example"),
        (b"X-Request-ID", b"chosen"),
    )

    accepted = acceptor("10.0.0.0/8").accept(head(*lies), acceptor("10.0.0.0/8").request_id(head(*lies)))

    assert accepted.client_address == "203.0.113.7"
    assert accepted.scheme == "http"
    assert accepted.host == "app.example.com"
    assert accepted.forwarded_for == ()
    assert accepted.request_id == "00" * 16


def test_a_trusted_proxy_is_believed() -> None:
    gate = acceptor("10.0.0.0/8")
    said = head(
        (b"X-Forwarded-For", b"198.51.100.4"),
        (b"X-Forwarded-Proto", b"https"),
        (b"X-Request-ID", b"from-the-edge"),
        peer="10.1.2.3",
    )

    accepted = gate.accept(said, gate.request_id(said))

    assert accepted.client_address == "198.51.100.4"
    assert accepted.scheme == "https"
    assert accepted.request_id == "from-the-edge"
    assert accepted.forwarded_for == ("198.51.100.4",)


def test_the_chain_is_believed_only_back_to_the_first_stranger() -> None:
    said = head((b"X-Forwarded-For", b"1.1.1.1, 198.51.100.4"), (b"X-Forwarded-For", b"10.9.9.9"), peer="10.1.2.3")

    accepted = acceptor("10.0.0.0/8").accept(said, "r")

    assert accepted.client_address == "198.51.100.4"
    assert accepted.forwarded_for == ("198.51.100.4", "10.9.9.9")


def test_an_address_that_is_none_ends_the_chain() -> None:
    said = head((b"X-Forwarded-For", b"198.51.100.4, <script>"), peer="10.1.2.3")

    assert acceptor("10.0.0.0/8").accept(said, "r").client_address == "10.1.2.3"


def test_forwarded_of_rfc_7239_is_read_when_no_x_forwarded_is_sent() -> None:
    said = head((b"Forwarded", b'for="[2001:db8::7]:4711";proto=https;host=app.example.com'), peer="10.1.2.3")

    accepted = acceptor("10.0.0.0/8").accept(said, "r")

    assert accepted.client_address == "2001:db8::7"
    assert accepted.scheme == "https"


def test_a_mapped_ipv4_peer_is_the_ipv4_peer() -> None:
    assert acceptor("10.0.0.0/8").peer_is_trusted("::ffff:10.1.2.3")
    assert not acceptor("10.0.0.0/8").peer_is_trusted("::ffff:11.1.2.3")


def test_a_unix_socket_is_not_trusted_by_itself() -> None:
    assert not acceptor("0.0.0.0/0").peer_is_trusted("")


@pytest.mark.parametrize(
    "host",
    [b"evil.example", b"app.example.com.evil.example", b"app.example.com:8080", b"app.example.com@evil", b"", b"a b"],
)
def test_a_foreign_host_is_refused(host: bytes) -> None:
    with pytest.raises(HostRefused):
        acceptor().accept(head((b"Host", host)), "r")


@pytest.mark.parametrize("host", [b"APP.example.com", b"app.example.com:80", b"app.example.com."])
def test_our_host_in_another_spelling_is_ours(host: bytes) -> None:
    assert acceptor().accept(head((b"Host", host)), "r").host == "app.example.com"


def test_two_hosts_or_none_are_refused() -> None:
    with pytest.raises(HostRefused):
        acceptor().accept(head((b"Host", b"app.example.com"), (b"Host", b"app.example.com")), "r")
    with pytest.raises(HostRefused):
        acceptor().accept(RequestHead(method=b"GET", target=b"/", headers=(), peer="", scheme="http"), "r")


def test_a_host_that_a_trusted_proxy_reports_must_be_ours_too() -> None:
    with pytest.raises(HostRefused):
        acceptor("10.0.0.0/8").accept(head((b"X-Forwarded-Host", b"evil.example"), peer="10.1.2.3"), "r")


def test_an_absolute_target_must_agree_with_host() -> None:
    assert acceptor().accept(head(target=b"http://app.example.com/x"), "r").target.forward == b"/x"
    with pytest.raises(TargetRefused):
        acceptor().accept(head(target=b"http://evil.example/x"), "r")


def test_two_authorizations_are_refused() -> None:
    with pytest.raises(AuthorizationRefused):
        acceptor().accept(head((b"Authorization", b"Bearer a"), (b"authorization", b"Basic b")), "r")


@pytest.mark.parametrize("method", [b"CONNECT", b"TRACE"])
def test_methods_that_are_never_passed_on(method: bytes) -> None:
    with pytest.raises(MethodRefused):
        acceptor().accept(head(method=method), "r")


def test_a_valid_traceparent_is_passed_on_and_another_is_made_anew() -> None:
    good = b"00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"

    assert acceptor().accept(head((b"traceparent", good)), "r").traceparent == good.decode()
    assert acceptor().accept(head((b"traceparent", b"00-xyz")), "r").traceparent.startswith("00-")


@pytest.mark.parametrize(
    ("value", "scheme", "expected"),
    [
        (b"a.example:443", "https", "a.example"),
        (b"a.example:443", "http", "a.example:443"),
        (b"[::1]:4180", "http", "[::1]:4180"),
        (b"a\x00b", "http", None),
    ],
)
def test_normal_host(value: bytes, scheme: str, expected: str | None) -> None:
    assert normal_host(value, scheme) == expected
