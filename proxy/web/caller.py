"""Who calls: what the gate says in its own fields, and how the caller wants to be answered."""

from __future__ import annotations

from typing import TYPE_CHECKING

from proxy import keys, ports
from proxy.errors import RequestRefused
from proxy.respond import Asker, Manner
from proxy.web.forms import JSON, media_type
from proxy.web.language import here, language_url, languages_of
from proxy.web.options import OPTIONS

if TYPE_CHECKING:
    from aiohttp import web

HTML = "text/html"


def read_caller(request: web.Request) -> ports.Caller:
    """Return what the gate says of the caller.

    Raises:
        RequestRefused: the fields are not there exactly once, so this did not come through the gate.
    """
    values = [request.headers.getall(name.decode(), []) for name in ports.OWN_HEADERS]
    if any(len(value) != 1 for value in values):
        raise RequestRefused("a request for an own page did not come through the gate")
    request_id, address, scheme = (value[0] for value in values)
    address_of = ports.AddressOf(request.headers.get(ports.OWN_ADDRESS_OF.decode(), ports.AddressOf.CLIENT.value))
    return ports.Caller(request_id=request_id, address=address, scheme=scheme, address_of=address_of)


def caller_of(request: web.Request) -> ports.Caller:
    """Return the caller that the outermost middleware noted."""
    return request[keys.CALLER]


def user_agent_of(request: web.Request) -> str:
    """Return what the browser calls itself, cut to what a list shows."""
    return request.headers.get("User-Agent", "")[:256]


def wants_json(request: web.Request) -> bool:
    """Say whether a program asks: it accepts JSON and no HTML, or sends JSON and names nothing."""
    accept = ",".join(request.headers.getall("Accept", [])).lower()
    if HTML in accept:
        return False
    return JSON in accept or media_type(request) == JSON


def asker_of(request: web.Request) -> Asker:
    """Return how ``respond`` is to answer a fault of this request."""
    caller = request.get(keys.CALLER)
    return Asker(
        request_id="-" if caller is None else caller.request_id,
        manner=Manner.PAGE if _is_person(request) else Manner.PROBLEM,
        login_url=request.app[OPTIONS].path("login"),
        languages=languages_of(request),
        here=here(request),
        language_url=language_url(here(request)),
    )


def _is_person(request: web.Request) -> bool:
    accept = ",".join(request.headers.getall("Accept", [])).lower()
    return request.headers.get("Sec-Fetch-Mode") == "navigate" or HTML in accept
