"""The outside of a request: who calls, by which scheme and host, for which target.

Nothing that a client says decides anything here, unless the peer is in ``server.trusted_proxies``: X-Forwarded-*,
Forwarded and X-Request-ID of anybody else are as if they had not been sent (and ``core.headers`` drops them).
"""

from __future__ import annotations

import re
from functools import lru_cache
from ipaddress import ip_address
from typing import TYPE_CHECKING, Literal, cast

from msgspec import Struct

from proxy.core.remembered import Remembered
from proxy.core.request import Accepted, PeerTrust, RequestHead
from proxy.core.target import RequestTarget, TargetRules, parse_target
from proxy.errors import AuthorizationRefused, HostRefused, MethodRefused, TargetRefused
from proxy.gate.identifiers import Identifiers

if TYPE_CHECKING:
    from collections.abc import Callable, Container
    from ipaddress import IPv4Network, IPv6Network

_REQUEST_ID = re.compile(rb"[A-Za-z0-9._:=/+-]{1,128}")
_TRACEPARENT = re.compile(rb"00-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}")
_HOST = re.compile(rb"(\[[0-9a-f:.]+\]|[a-z0-9._~-]+)(?::([0-9]{1,5}))?")
_REFUSED_METHODS = frozenset({b"CONNECT", b"TRACE", b"TRACK"})
_DEFAULT_PORT = {"http": "80", "https": "443"}
_ELEMENT = re.compile(rb'(?:^|;)\s*(for|proto|host)\s*=\s*("(?:[^"\\]|\\.)*"|[^;,\s]+)\s*', re.IGNORECASE)
MAX_FORWARDED_HOPS = 32
"""Addresses of X-Forwarded-For that are looked at; no real chain of proxies is longer."""


class AcceptRules(Struct, frozen=True, kw_only=True):
    """What the operator says about the outside.

    Attributes:
        hosts: normalised host values that are answered (lower case, without the scheme's own port), wildcards among
            them or not.
        trusted_proxies: networks whose word about the client counts.
    """

    hosts: Container[str]
    trusted_proxies: tuple[IPv4Network | IPv6Network, ...]
    target: TargetRules


class Acceptor:
    """Turn the wire into an :class:`Accepted`, or refuse."""

    def __init__(self, rules: AcceptRules, *, random_bytes: Callable[[int], bytes]) -> None:
        """Keep the rules; ``random_bytes`` makes request ids and trace ids."""
        self._rules = rules
        self._trusts_somebody = bool(rules.trusted_proxies)
        self._identifiers = Identifiers(random_bytes)
        # A few peers make nearly all requests; parsing their address each time would cost more than the rest here.
        self._is_trusted = lru_cache(maxsize=4096)(self._look_up_trust)
        # The same for hosts; what is longer than a name is seldom one of ours.
        self._normal_http, self._normal_https = Remembered(_normal_http), Remembered(_normal_https)

    def answers(self, host: str) -> bool:
        """Say whether requests to this host, as :class:`Accepted` has it, are answered."""
        return host in self._rules.hosts

    def peer_is_trusted(self, peer: str) -> bool:
        """Say whether this peer's X-Forwarded-* counts. A unix socket has no address and is not trusted by itself."""
        return self._trusts_somebody and self._is_trusted(peer)

    def _look_up_trust(self, peer: str) -> bool:
        try:
            address = ip_address(peer.partition("%")[0])
        except ValueError:
            return False
        mapped = getattr(address, "ipv4_mapped", None)
        return any((mapped or address) in network for network in self._rules.trusted_proxies)

    def request_id(self, head: RequestHead) -> str:
        """Return the trusted peer's X-Request-ID, or a fresh one of 128 random bits."""
        return self.given_request_id(head) or self.fresh_id()

    def given_request_id(self, head: RequestHead) -> str | None:
        """Return the trusted peer's X-Request-ID, or None."""
        if not self.peer_is_trusted(head.peer):
            return None
        given = head.value(b"x-request-id")
        return given.decode("ascii") if given is not None and _REQUEST_ID.fullmatch(given) else None

    def given(self, head: RequestHead) -> tuple[str | None, str | None]:
        """Return the request id and the trace context that the head brings along."""
        return self.given_request_id(head), given_traceparent(head)

    def ids(self, given: tuple[str | None, str | None]) -> tuple[str, str]:
        """Return a request id and a trace context: those ``given``, else fresh ones."""
        request_id, traceparent = self._identifiers.pair()
        return given[0] or request_id, given[1] or traceparent

    def fresh_id(self) -> str:
        """Return a request id of 128 random bits."""
        return self._identifiers.take(32)

    def accept(self, head: RequestHead, request_id: str) -> Accepted:
        """Settle who calls and what for.

        Raises:
            MethodRefused: CONNECT, TRACE.
            AuthorizationRefused: more than one Authorization field.
            TargetRefused: the target breaks the law of the target, or disagrees with Host.
            HostRefused: a Host that is not ours (RFC 9110 §7.4).
        """
        if head.method in _REFUSED_METHODS:
            raise MethodRefused(f"method {head.method.decode('ascii', 'replace')} is never passed on")
        if len(head.values(b"authorization")) > 1:
            raise AuthorizationRefused("two Authorization fields")
        target = parse_target(head.target, rules=self._rules.target)
        outside = self._outside(head)
        host = self._host(head, target, outside)
        traceparent = given_traceparent(head) or self.fresh_traceparent()
        # By position, which is half the price: head, target, request_id, traceparent, client_address, scheme, …
        return Accepted(
            head, target, request_id, traceparent, outside.address, outside.scheme, host, outside.chain, outside.trust
        )

    def host_of(self, head: RequestHead) -> str | None:
        """Return the host as :meth:`accept` would settle it, whether or not it is answered; None when it is none."""
        fields = head.values(b"host")
        if len(fields) != 1:
            return None
        outside = self._outside(head)
        return self._normal(outside)[outside.host or fields[0]]

    def _normal(self, outside: _Outside) -> Remembered[str | None]:
        return self._normal_https if outside.scheme == "https" else self._normal_http

    def _host(self, head: RequestHead, target: RequestTarget, outside: _Outside) -> str:
        fields = head.values(b"host")
        if len(fields) != 1:
            raise HostRefused("a request needs exactly one Host field")
        if target.authority is not None and target.authority.lower() != fields[0].lower():
            raise TargetRefused("the authority of the absolute target differs from Host")
        host = self._normal(outside)[outside.host or fields[0]]
        if host is None or host not in self._rules.hosts:
            shown = (outside.host or fields[0])[:100].decode("ascii", "replace")
            raise HostRefused(f"Host {shown!r} is neither that of server.public_url nor in server.hosts")
        return host

    def _outside(self, head: RequestHead) -> _Outside:
        if not self.peer_is_trusted(head.peer):
            return _Outside(head.peer, head.scheme, None, (), PeerTrust.UNTRUSTED)
        said = _forwarded(head)
        chain = said.chain[-MAX_FORWARDED_HOPS:]
        address, trusted = head.peer, 0
        for hop in reversed(chain):
            if not _is_address(hop):
                break
            address, trusted = hop, trusted + 1
            if not self._is_trusted(hop):
                break
        believed = chain[len(chain) - trusted :]
        return _Outside(address, said.scheme or head.scheme, said.host, believed, PeerTrust.TRUSTED)

    def fresh_traceparent(self) -> str:
        """Return the context of a new trace (W3C Trace Context §3.2.2), not sampled."""
        digits = self._identifiers.take(48)
        return f"00-{digits[:32]}-{digits[32:]}-00"


def given_traceparent(head: RequestHead) -> str | None:
    """Return the trace context that the client sent, when it is one of version 00."""
    given = head.value(b"traceparent")
    return given.decode("ascii") if given is not None and _TRACEPARENT.fullmatch(given) else None


class _Outside(Struct):
    """What is believed: the client's address, scheme, the host a proxy saw, and the believed part of the chain."""

    address: str
    scheme: Literal["http", "https"]
    host: bytes | None
    chain: tuple[str, ...]
    trust: PeerTrust


class _Said(Struct, frozen=True):
    chain: tuple[str, ...]
    scheme: Literal["http", "https"] | None
    host: bytes | None


def _forwarded(head: RequestHead) -> _Said:
    """Read what a trusted peer says: X-Forwarded-* if it sends any, else Forwarded (RFC 7239 §4)."""
    chain = _split(head.values(b"x-forwarded-for"))
    proto = _split(head.values(b"x-forwarded-proto"))
    hosts = _split(head.values(b"x-forwarded-host"))
    if not (chain or proto or hosts):
        return _rfc7239(head.values(b"forwarded"))
    return _Said(
        tuple(_bare_address(item) for item in chain),
        _scheme(proto[-1]) if proto else None,
        hosts[-1] if hosts else None,
    )


def _rfc7239(values: tuple[bytes, ...]) -> _Said:
    chain: list[str] = []
    last: dict[bytes, bytes] = {}
    for element in _split(values):
        last = {name.lower(): value.strip(b'"') for name, value in _ELEMENT.findall(element)}
        if b"for" in last:
            chain.append(_bare_address(last[b"for"]))
    return _Said(tuple(chain), _scheme(last[b"proto"]) if b"proto" in last else None, last.get(b"host"))


def _split(values: tuple[bytes, ...]) -> list[bytes]:
    return [item.strip() for value in values for item in value.split(b",") if item.strip()]


def _scheme(value: bytes) -> Literal["http", "https"] | None:
    word = value.lower().decode("ascii", "replace")
    return cast("Literal['http', 'https']", word) if word in _DEFAULT_PORT else None


def _bare_address(item: bytes) -> str:
    """Take brackets and port away from ``1.2.3.4:5``, ``[::1]:5``, ``::1``."""
    text = item.decode("ascii", "replace").strip('"')
    if text.startswith("["):
        return text[1:].partition("]")[0]
    return text.partition(":")[0] if text.count(":") == 1 else text


def _is_address(text: str) -> bool:
    try:
        ip_address(text)
    except ValueError:
        return False
    return True


def _normal_http(value: bytes) -> str | None:
    return normal_host(value, "http")


def _normal_https(value: bytes) -> str | None:
    return normal_host(value, "https")


def normal_host(value: bytes | str, scheme: str) -> str | None:
    """Return a Host value in lower case without the scheme's own port or a root dot, or None when it is no host."""
    raw = value.encode("ascii", "replace") if isinstance(value, str) else value
    found = _HOST.fullmatch(raw.lower())
    if found is None:
        return None
    name = found[1].decode("ascii").removesuffix(".")
    port = found[2].decode("ascii") if found[2] else _DEFAULT_PORT[scheme]
    return name if port == _DEFAULT_PORT[scheme] else f"{name}:{port}"
