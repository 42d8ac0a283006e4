"""How many failed sign-ins within how long, and which names and addresses count as one.

Rules only: who counts is ``sessions.throttle``, who asks is ``web.throttle``. Nothing here knows a clock or a store.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network
from typing import Final
from unicodedata import category, name, normalize

from msgspec import Struct

IPV6_PREFIX: Final = 64
"""Bits of an IPv6 address that count: what one customer is given at least."""

_IGNORED: Final = frozenset("MCZ")
"""Unicode's categories of marks, of what is invisible, and of spaces."""

_LATIN: Final = re.compile(r"LATIN SMALL (?:LETTER|LIGATURE) ([A-Z]|AE|OE)(?: WITH .*)?")
"""Names of letters that are one of the plain ones, or two joined, with something added that is no mark of its own."""

_INSIDE: Final = tuple(
    ip_network(text)
    for text in (
        "127.0.0.0/8", "::1/128",  # loopback: RFC 1122 §3.2.1.3, RFC 4291 §2.5.3
        "10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16",  # RFC 1918
        "100.64.0.0/10",  # shared address space, which clouds use for their own: RFC 6598
        "169.254.0.0/16", "fe80::/10",  # link-local: RFC 3927, RFC 4291 §2.5.6
        "fc00::/7",  # unique local: RFC 4193
    )
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Rate:
    """At most ``failures`` (1 or more) within any ``window_s`` seconds (whole ones)."""

    failures: int
    window_s: int


class ThrottleRules(Struct, frozen=True, kw_only=True):
    """``login.throttle`` of the settings; None is off.

    Attributes:
        issuer: whose users they are.
        per_user: failures of one person, in browsers that are not known; of each known browser too.
        per_address: failures of one address.
    """

    issuer: str
    per_user: Rate | None
    per_address: Rate | None


def folded_username(username: str) -> str:
    """Return what every spelling has in common that a provider may take for one user.

    Keycloak compares in small letters; the database behind it may go further and see no difference in accents, width or
    final spaces (MySQL's collations). Whoever is folded too far shares a counter with a namesake; whoever is folded too
    little has a new one for each spelling. So it is rather too far: compatible forms, case, marks and spaces fall away,
    and so do strokes and hooks and what joins two letters to one.

    Source: Unicode Technical Standard #10, whose first level is all that many collations compare.
    """
    # In capitals first: the dotless i has no other way to the i (Unicode Standard §5.18).
    plain = normalize("NFKD", normalize("NFKD", username).upper().casefold())
    bare = "".join(map(_bare, plain))
    return "".join(character for character in bare if category(character)[0] not in _IGNORED) or username


def _bare(letter: str) -> str:
    """Return what a Latin letter with a stroke, a hook or a bar is made of, by its name; others as they are."""
    if letter.isascii() or category(letter) != "Ll":
        return letter
    found = _LATIN.fullmatch(name(letter, ""))
    return letter if found is None else found[1].lower()


def parsed_address(text: str) -> IPv4Address | IPv6Address | None:
    """Return an address, an IPv4 one where it is written as IPv6 (RFC 4291 §2.5.5.2), without a zone; None for no
    address.
    """
    try:
        address = ip_address(text.partition("%")[0])
    except ValueError:
        return None
    return (isinstance(address, IPv6Address) and address.ipv4_mapped) or address


def counted_address(text: str) -> str:
    """Return what is counted: an IPv4 address, the /64 of an IPv6 address, or the text that is neither."""
    address = parsed_address(text)
    if isinstance(address, IPv6Address):
        return str(ip_network((int(address), IPV6_PREFIX), strict=False))
    return text if address is None else str(address)


def is_inside(text: str) -> bool:
    """Say whether an address is one that nobody has on the Internet: of this host, or of a network of one's own."""
    address = parsed_address(text)
    return address is not None and any(address in network for network in _INSIDE)
