"""How many flows one address may have in progress: each is a record, made by a GET that anybody can send.

Only flows that nobody finished count: people who arrive at the provider and come back free their place, so that a whole
office behind one address, or a site behind a proxy that was not declared, can sign in at nine o'clock.
"""

from __future__ import annotations

from collections import OrderedDict
from ipaddress import IPv6Address, ip_address, ip_network
from typing import TYPE_CHECKING

from aiohttp import web

from proxy.core.authentication import ROOT_LIFETIME_S
from proxy.errors import TooManyLogins

if TYPE_CHECKING:
    from proxy.ports import Clock

FLOWS_PER_ADDRESS = 1000
"""Unfinished flows of one address within 30 minutes."""

MAX_FLOWS = 20_000
"""Flows that are counted in all (about 4 MiB); above, the address heard of longest ago is forgotten. The store of the
flows themselves has a cap of its own.
"""

IPV6_PREFIX = 64
"""Bits of an IPv6 address that count: what one customer is given at least."""


class FlowQuota:
    """Flows in progress by address, for as long as a root lives."""

    def __init__(self, clock: Clock, *, per_address: int = FLOWS_PER_ADDRESS, in_all: int = MAX_FLOWS) -> None:
        """Begin with nobody; both figures are numbers of flows."""
        self._clock = clock
        self._per_address = per_address
        self._in_all = in_all
        self._count = 0
        self._flows: OrderedDict[str, dict[str, float]] = OrderedDict()

    def admit(self, address: str, state: str) -> None:
        """Count a flow that begins.

        Raises:
            TooManyLogins: the address has too many in progress.
        """
        key, flows = self._live_flows(address)
        self._flows[key] = flows
        if len(flows) >= self._per_address:
            msg = f"{key} has {len(flows)} sign-ins in progress"
            raise TooManyLogins(msg)
        # A form whose record gave way to newer tabs is counted for anew, under the same name.
        self._count += state not in flows
        flows[state] = self._clock.now() + ROOT_LIFETIME_S
        while self._count > self._in_all:
            self._count -= len(self._flows.popitem(last=False)[1])

    def release(self, address: str, state: str) -> None:
        """Forget a flow that came to its end; one that began elsewhere (a telephone on the move) runs out by itself."""
        key = counted_address(address)
        flows = self._flows.get(key, {})
        if flows.pop(state, None) is None:
            return
        self._count -= 1
        if not flows:
            del self._flows[key]

    def _live_flows(self, address: str) -> tuple[str, dict[str, float]]:
        """Take the address out, to be put back as the one heard of last, and drop what ran out."""
        now, key = self._clock.now(), counted_address(address)
        known = self._flows.pop(key, {})
        flows = {state: until for state, until in known.items() if until > now}
        self._count -= len(known) - len(flows)
        return key, flows


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


FLOW_QUOTA: web.AppKey[FlowQuota] = web.AppKey("flow_quota", FlowQuota)
