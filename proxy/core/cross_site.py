"""What kind of request a browser makes, and from which site: navigation, prefetch, WebSocket, foreign origin.

A session cookie travels with requests that other sites caused. Where one could change something, the browser's own word
about its origin decides (contract §4); a client without such a word is no browser and was not tricked by a page.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from msgspec import Struct

from proxy.core.policy import Forbid, Reason
from proxy.core.routing import Csrf, Matched, Preflight, ServiceWorker

if TYPE_CHECKING:
    from proxy.core.request import Accepted, RequestHead
    from proxy.core.routing import Route, RouteMatch, RouteTable

_SAFE_METHODS = frozenset({b"GET", b"HEAD", b"OPTIONS", b"TRACE"})
"""RFC 9110 §9.2.1."""

_OWN_SITES = frozenset({b"same-origin", b"none"})
"""Sec-Fetch-Site of our own pages, and of what the person typed (Fetch Metadata §2.4)."""

_CROSS_SITE = Forbid(Reason.CROSS_SITE)
_SERVICE_WORKER = Forbid(Reason.SERVICE_WORKER)


class AllowedOrigins(Struct, frozen=True):
    """Origins that may send unsafe methods and open WebSockets: the public URL's own, and ``allowed_origins``.

    Each as a browser sends it: scheme, host in lower case, the port when it is not the scheme's own.

    Attributes:
        scheme_here: of a public URL whose host is that of each request (a wildcard); None when it has a host.
    """

    origins: frozenset[bytes]
    scheme_here: str | None = None

    def have(self, origin: bytes, accepted: Accepted) -> bool:
        """Say whether a request may name this origin besides that by which it came."""
        if origin in self.origins:
            return True
        return self.scheme_here is not None and origin == f"{self.scheme_here}://{accepted.host}".encode()


def cross_site_verdict(accepted: Accepted, route: Route, *, allowed: AllowedOrigins) -> Forbid | None:
    """Refuse what another site sends with our session cookie; ask only when there is one.

    Returns:
        None when the request may go on: a safe method that is no WebSocket handshake, ``csrf: off``, no word of the
        browser at all, or our own or an allowed origin.
    """
    head = accepted.head
    if head.method in _SAFE_METHODS and not _asks_for_websocket(head):
        return None
    if route.csrf is Csrf.OFF:
        return None
    own = f"{accepted.scheme}://{accepted.host}".encode()
    origins = named_origins(head)
    if any(origin != own and not allowed.have(origin, accepted) for origin in origins):
        return _CROSS_SITE
    if origins and own not in origins:
        # An allowed origin: to the browser it is another site, and the operator wants it.
        return None
    return None if all(site in _OWN_SITES for site in head.values(b"sec-fetch-site")) else _CROSS_SITE


def named_origins(head: RequestHead) -> tuple[bytes, ...]:
    """Return the origins that a request names; one that is hidden and yet said to be ours is none.

    On the forms of a page with ``Referrer-Policy: no-referrer`` browsers write ``null`` (Fetch, "append a request
    Origin header"). The other field tells it from the ``null`` of a sandbox or of a redirect over another site: to
    those it says ``cross-site``.
    """
    origins = head.values(b"origin")
    is_hidden = origins == (b"null",) and head.values(b"sec-fetch-site") == (b"same-origin",)
    return () if is_hidden else origins


def service_worker_verdict(head: RequestHead, route: Route) -> Forbid | None:
    """Refuse the script of a service worker: it would sit between the person and our login page for good.

    Source: Service Workers §4 (every fetch of such a script has ``Service-Worker: script``).
    """
    if route.service_worker is ServiceWorker.ALLOWED or not head.values(b"service-worker"):
        return None
    return _SERVICE_WORKER


def is_navigation(head: RequestHead) -> bool:
    """Say whether a person waits for a page: only then is a redirect to the login of use (contract §4)."""
    if head.method not in {b"GET", b"HEAD"} or is_prefetch(head) or _asks_for_websocket(head):
        return False
    modes = head.values(b"sec-fetch-mode")
    return modes == (b"navigate",) if modes else wants_html(head)


def is_framed(head: RequestHead) -> bool:
    """Say whether the page will be shown inside a frame (Fetch Metadata §2.1)."""
    return any(value in {b"iframe", b"frame", b"embed", b"object"} for value in head.values(b"sec-fetch-dest"))


def is_prefetch(head: RequestHead) -> bool:
    """Say whether the browser asks ahead of the person (Fetch §3.8 Sec-Purpose; ``Purpose`` is its older name)."""
    return any(b"prefetch" in value.lower() for name in (b"sec-purpose", b"purpose") for value in head.values(name))


_HTML = re.compile(rb"\s*(?:text/html|application/xhtml\+xml)\s*(?:;(.*))?", re.IGNORECASE | re.DOTALL)
_REFUSED = re.compile(rb"\s*q\s*=\s*0(?:\.0*)?\s*", re.IGNORECASE)


def wants_html(head: RequestHead) -> bool:
    """Say whether Accept names HTML, by name: ``*/*`` is every script's (RFC 9110 §12.5.1)."""
    for value in head.values(b"accept"):
        for media_range in value.split(b","):
            found = _HTML.fullmatch(media_range)
            if found and not any(_REFUSED.fullmatch(parameter) for parameter in (found[1] or b"").split(b";")):
                return True
    return False


def is_websocket(head: RequestHead) -> bool:
    """Say whether this is a WebSocket handshake that may be passed on (RFC 6455 §4.1)."""
    if not _asks_for_websocket(head) or head.method != b"GET" or head.version != b"1.1":
        return False
    return b"upgrade" in _tokens(head.values(b"connection"))


def _asks_for_websocket(head: RequestHead) -> bool:
    """Say whether Upgrade names WebSocket, whatever else is wrong with the handshake."""
    upgrades = head.values(b"upgrade")
    return bool(upgrades) and b"websocket" in _tokens(upgrades)


def preflight_method(head: RequestHead) -> bytes | None:
    """Return the method that a CORS preflight asks for, or None when this is no preflight (Fetch §3.3.2)."""
    if head.method != b"OPTIONS" or len(head.values(b"origin")) != 1:
        return None
    methods = head.values(b"access-control-request-method")
    return methods[0] if len(methods) == 1 else None


def route_match(routes: RouteTable, accepted: Accepted) -> RouteMatch:
    """Return the route of a request: a preflight's is that of the method it asks for, where preflights pass."""
    method = preflight_method(accepted.head)
    if method is not None:
        found = routes.match(accepted.target, method)
        if isinstance(found, Matched) and found.route.preflight is Preflight.PASS:
            return found
    return routes.match(accepted.target, accepted.head.method)


def _tokens(values: tuple[bytes, ...]) -> set[bytes]:
    return {token.strip().lower() for value in values for token in value.split(b",")}
