"""How many roots one address may have begun: a record is made by a GET that anybody can send."""

from __future__ import annotations

from collections import OrderedDict
from ipaddress import IPv6Address, ip_address, ip_network
from typing import TYPE_CHECKING

from aiohttp import web

from proxy.core.authentication import ROOT_LIFETIME_S
from proxy.errors import TooManyLogins

if TYPE_CHECKING:
    from proxy.ports import Clock

ROOTS_PER_ADDRESS = 500
"""Roots of one address in 30 minutes: an office behind one address may all arrive at nine."""

MAX_ADDRESSES = 10_000
"""Addresses that are remembered; the one heard of longest ago is forgotten."""

IPV6_PREFIX = 64
"""Bits of an IPv6 address that count: what one customer is given at least."""


class RootQuota:
    """Roots begun by each address within the life of a root; memory is bounded by both figures."""

    def __init__(self, clock: Clock, *, per_address: int = ROOTS_PER_ADDRESS, addresses: int = MAX_ADDRESSES) -> None:
        """Begin with nobody."""
        self._clock = clock
        self._per_address = per_address
        self._max_addresses = addresses
        self._roots: OrderedDict[str, dict[str, float]] = OrderedDict()

    def admit(self, address: str, root_id: str) -> None:
        """Count a root; one that this address has begun before costs nothing more.

        Raises:
            TooManyLogins: the address has begun too many.
        """
        now = self._clock.now()
        key = counted_address(address)
        roots = {root: until for root, until in self._roots.pop(key, {}).items() if until > now}
        self._roots[key] = roots
        if root_id not in roots and len(roots) >= self._per_address:
            msg = f"{key} has begun {len(roots)} sign-ins that are still open"
            raise TooManyLogins(msg)
        roots[root_id] = now + ROOT_LIFETIME_S
        if len(self._roots) > self._max_addresses:
            self._roots.popitem(last=False)


def counted_address(address: str) -> str:
    """Return what is counted: an IPv4 address, the /64 of an IPv6 address, or the text that is neither."""
    try:
        parsed = ip_address(address)
    except ValueError:
        return address
    if not isinstance(parsed, IPv6Address):
        return str(parsed)
    if parsed.ipv4_mapped is not None:
        return str(parsed.ipv4_mapped)
    return str(ip_network((int(parsed), IPV6_PREFIX), strict=False))


ROOT_QUOTA: web.AppKey[RootQuota] = web.AppKey("root_quota", RootQuota)
