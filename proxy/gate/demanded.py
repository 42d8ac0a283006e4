"""What the rules that count now demand of a request that was admitted by others: a reload meets open streams.

Only what a session can lose is asked anew: that the place is served, that a route leads there, and what the route
demands. How the request came in (cross-site, preflight, service worker) is over.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from proxy.core.routing import Matched, Purpose, UnderPrefix, lies_under
from proxy.core.target import parse_target
from proxy.errors import TargetRefused

if TYPE_CHECKING:
    from proxy.core.routing import Access
    from proxy.gate.accept import Acceptor
    from proxy.gate.rules import GateRules
    from proxy.ports import RequestEvent


def demanded_of(event: RequestEvent, rules: GateRules, acceptor: Acceptor) -> Access | None:
    """Return what is demanded of whoever made this request, or None when it would not reach an app any more."""
    if not acceptor.answers(event.host):
        return None
    try:
        target = parse_target(event.path.encode("ascii", "replace"), rules=rules.target)
    except TargetRefused:
        return None
    if lies_under(rules.own_prefix, target) is not UnderPrefix.NONE:
        return None
    found = rules.routes.match(target, event.method.encode())
    if not isinstance(found, Matched) or found.route.purpose is not Purpose.APP:
        return None
    return found.route.access
