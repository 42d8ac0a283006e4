"""The fresh head that Sidegate's own pages get: an allowlist, so that nothing of the app or of a forger comes along.

Own pages run on another HTTP server with smaller limits than ours; an app's big cookies must not break the login.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from proxy.core.request import PeerTrust
from proxy.core.throttle import is_inside
from proxy.errors import MethodRefused, RequestRefused, TargetTooLong
from proxy.ports import OWN_ADDRESS, OWN_ADDRESS_OF, OWN_REQUEST_ID, OWN_SCHEME, AddressOf

if TYPE_CHECKING:
    from proxy.core.cookies import OwnCookies
    from proxy.core.request import Accepted, Headers

_PASSED = frozenset(
    {
        b"accept",
        b"accept-language",
        b"content-type",
        b"if-none-match",
        b"origin",
        b"referer",
        b"user-agent",
        b"sec-fetch-dest",
        b"sec-fetch-mode",
        b"sec-fetch-site",
        b"sec-fetch-user",
        b"sec-purpose",
    }
)
MAX_OWN_FIELD = 4096
"""Bytes of a field that own pages get; longer ones (no browser sends them) are left out, never cut."""

MAX_OWN_TARGET = 8000
"""Bytes of a target; the server of the own pages reads a line of 8190, and would answer a longer one by itself."""

_METHODS = frozenset({b"GET", b"HEAD", b"POST", b"PUT", b"PATCH", b"DELETE", b"OPTIONS"})
"""Methods that the own pages answer, most of them with 405; of others their server would repeat the whole line."""

_ONCE = (b"content-type", b"user-agent")
"""Fields of the list above that have one value (RFC 9110 §5.3); that server would answer two by itself too."""


_NAMES_OTHERS = (b"x-forwarded-for", b"forwarded", b"x-real-ip")
"""Fields by which a proxy says whom it speaks for."""


def own_headers(accepted: Accepted, cookies: OwnCookies) -> Headers:
    """Return the whole end-to-end head for the own pages.

    Raises:
        MethodRefused: none that any page knows.
        TargetTooLong: longer than any address of ours.
        RequestRefused: a field twice that has one value.
    """
    _refuse_unreadable(accepted)
    fields: list[tuple[bytes, bytes]] = [(b"Host", accepted.host.encode())]
    fields += [(n, v) for n, v in accepted.head.headers if n.lower() in _PASSED and len(v) <= MAX_OWN_FIELD]
    if own := _own_cookies(accepted, cookies):
        fields.append((b"Cookie", own))
    fields += [
        (OWN_REQUEST_ID, accepted.request_id.encode()),
        (OWN_ADDRESS, accepted.client_address.encode()),
        (OWN_SCHEME, accepted.scheme.encode()),
    ]
    if _is_undeclared_proxy(accepted):
        fields.append((OWN_ADDRESS_OF, AddressOf.PROXY.value.encode()))
    return tuple(fields)


def _is_undeclared_proxy(accepted: Accepted) -> bool:
    """Say whether the client's address, as far as anybody is believed, is that of a proxy with others behind it.

    It is when it is one of a network of one's own, and it names somebody behind it. An address of the Internet is taken
    for the client's whatever it sends: else anybody could choose not to be counted.
    """
    if not accepted.client_address:
        return True  # a unix socket: whoever connects to it does so for others
    if not is_inside(accepted.client_address):
        return False
    if accepted.peer_trust is PeerTrust.UNTRUSTED:
        return any(accepted.head.values(name) for name in _NAMES_OTHERS)
    named = b",".join(accepted.head.values(b"x-forwarded-for")).split(b",")
    return len([hop for hop in named if hop.strip()]) > len(accepted.forwarded_for)


def _refuse_unreadable(accepted: Accepted) -> None:
    if accepted.head.method not in _METHODS:
        raise MethodRefused("no own page knows this method")
    if len(accepted.target.forward) > MAX_OWN_TARGET:
        raise TargetTooLong(f"the address of an own page is longer than {MAX_OWN_TARGET} bytes")
    if any(len(accepted.head.values(name)) > 1 for name in _ONCE):
        raise RequestRefused("Content-Type or User-Agent is there twice", reason="repeated_field")


def _own_cookies(accepted: Accepted, cookies: OwnCookies) -> bytes:
    """Return our own cookies, repeated ones too: two of one name count for none, and the pages must see that."""
    names = {cookies.session, cookies.login, cookies.known, cookies.language}
    pairs = (pair.strip(b" \t") for value in accepted.head.values(b"cookie") for pair in value.split(b";"))
    own = b"; ".join(pair for pair in pairs if pair.partition(b"=")[0].strip(b" \t") in names)
    # Cut, a second cookie of one name could be lost behind padding, and the first would count.
    return own if len(own) <= MAX_OWN_FIELD else b""
