"""Whether a request was made by a page of our own origin, as the browser says it.

Source: Fetch Metadata Request Headers §2; RFC 6454 §7; Fetch, "Origin header".
"""

from __future__ import annotations

from enum import Enum
from typing import TYPE_CHECKING

from proxy.web.caller import caller_of
from proxy.web.options import OPTIONS

if TYPE_CHECKING:
    from aiohttp import web


class Provenance(Enum):
    """Where a request comes from."""

    SAME_ORIGIN = "same_origin"
    FOREIGN = "foreign"
    UNKNOWN = "unknown"
    """The browser says nothing, or a person typed the address."""


def provenance(request: web.Request) -> Provenance:
    """Return where the request comes from; when its fields contradict one another it is foreign."""
    said = {_by_fetch_metadata(request), _by_origin(request)} - {Provenance.UNKNOWN}
    if Provenance.FOREIGN in said:
        return Provenance.FOREIGN
    return Provenance.SAME_ORIGIN if said else Provenance.UNKNOWN


def _by_fetch_metadata(request: web.Request) -> Provenance:
    sites = request.headers.getall("Sec-Fetch-Site", [])
    if sites in ([], ["none"]):
        return Provenance.UNKNOWN
    return Provenance.SAME_ORIGIN if sites == ["same-origin"] else Provenance.FOREIGN


def _by_origin(request: web.Request) -> Provenance:
    values = request.headers.getall("Origin", [])
    if not values:
        return Provenance.UNKNOWN
    if values == ["null"] and request.headers.getall("Sec-Fetch-Site", []) == ["same-origin"]:
        # A page with "Referrer-Policy: no-referrer" hides its origin even from itself; the other field knows better.
        return Provenance.UNKNOWN
    return (
        Provenance.SAME_ORIGIN
        if values[0].lower() in _own_origins(request) and len(values) == 1
        else Provenance.FOREIGN
    )


def _own_origins(request: web.Request) -> set[str]:
    # The Host is one that the gate answers for; behind a proxy that is not trusted the scheme may be wrong, hence both.
    here = f"{caller_of(request).scheme}://{request.host}".lower()
    return {here, request.app[OPTIONS].public_origin(request.host)}
