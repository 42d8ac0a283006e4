"""Where a login leads when a form waits for it: to the form's own URL, with a cookie that tells the gate which one.

The gate decides about the form anew and sends it on (``gate.keeping``); here it is only seen whether it is still there
and whose it is, because only here can a person be told of it before they go on.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec import Struct

from proxy import errors, keys
from proxy.core.kept import NotKept, Place, kept_mark
from proxy.core.session import subject_hash
from proxy.web.caller import caller_of
from proxy.web.cookies import set_kept_cookie
from proxy.web.destination import destination, only
from proxy.web.options import OPTIONS
from proxy.web.page import found, page, see_other

if TYPE_CHECKING:
    from collections.abc import Mapping

    from aiohttp import web

    from proxy.core.kept import Kept
    from proxy.core.session import Session
    from proxy.pages.contexts import KeptPage, NotKeptPage

NOTE = "kept"
"""The note of a flow that holds the id (``web.flow_notes``)."""

WAITS = "login.notice.kept"
"""What the login page says while a form waits."""

TOLD_AFTER_LOGIN = frozenset({NotKept.GONE, NotKept.OTHER_PERSON})
"""What a person can be told here; everything else was said when the form was sent."""


class WayOn(Struct, frozen=True):
    """Where a login leads: a path of ours, and what the cookie ``…-kept`` is to say; None when nothing waits there."""

    location: str
    mark: str | None = None


async def way_on(request: web.Request, notes: Mapping[str, str], session: Session, wanted: str) -> WayOn:
    """Return where somebody goes who has signed in: to their form, to a page that says why not, or where they wanted.

    Never raises: they are signed in whatever became of a form.
    """
    kept_id = notes.get(NOTE)
    if kept_id is None:
        return WayOn(wanted)
    kept = await _found(request, kept_id)
    if kept is None:
        return WayOn(_told(request, NotKept.GONE, wanted))
    if subject_hash(session.identity.issuer, session.identity.subject) != kept.subject_hash:
        return WayOn(_told(request, NotKept.OTHER_PERSON, wanted))
    return WayOn(kept.place.target.decode("ascii"), kept_mark(kept_id, kept.place))


async def waiting_notice(request: web.Request, notes: Mapping[str, str]) -> str | None:
    """Return what the login page says when a form waits for it, an id of the catalog; None when none does."""
    kept_id = notes.get(NOTE)
    return None if kept_id is None or await _found(request, kept_id) is None else WAITS


def lead_on(request: web.Request, way: WayOn) -> web.Response:
    """Lead to where :func:`way_on` says, by a redirect that stays within our origin."""
    return marked(request, see_other(way.location), way)


def lead_on_from_provider(request: web.Request, way: WayOn) -> web.Response:
    """Do the same for a browser that was at the provider.

    A redirect would belong to the provider's site still, and what another site began sends nothing (Fetch Metadata
    §2.4: one foreign origin in the chain is enough). So a page of ours leads on by itself.
    """
    if way.mark is None:
        return found(way.location)
    context: KeptPage = {"continue_url": way.location}
    response = page(request, "kept", context)
    # The path of a form holds neither of the two that would end the address; browsers take it as it stands.
    response.headers["Refresh"] = f"0; url={way.location}"
    return marked(request, response, way)


def marked(request: web.Request, response: web.Response, way: WayOn) -> web.Response:
    """Set the cookie that the next request shall bring along, when something waits."""
    if way.mark is not None:
        set_kept_cookie(request, response, way.mark)
    return response


async def show_not_sent(request: web.Request) -> web.StreamResponse:
    """Say why a form was not sent on, with a way on."""
    said = only(request, "why")
    why = next((why for why in TOLD_AFTER_LOGIN if why.value == said), NotKept.GONE)
    context: NotKeptPage = {
        "why": why.value,
        "continue_url": destination(request, only(request, "return_to")),
        "request_id": caller_of(request).request_id,
    }
    return page(request, "not_kept", context)


def _told(request: web.Request, why: NotKept, wanted: str) -> str:
    return request.app[OPTIONS].path("not-sent", why=why.value, return_to=wanted)


async def _found(request: web.Request, kept_id: str) -> Kept | None:
    """Return what waits under this id and was sent to this host; None also while nobody can say."""
    try:
        kept = await request.app[keys.KEPT].peek(kept_id)
    except errors.StoreFault as fault:
        request.app[keys.OBSERVER].warning(f"a form that waits cannot be found: {fault}", reason=fault.reason)
        return None
    return kept if kept is not None and _is_here(request, kept) else None


def _is_here(request: web.Request, kept: Kept) -> bool:
    """Say whether it was sent to this host: a redirect stays here, and the form is for no other."""
    here = Place(scheme=caller_of(request).scheme, host=request.host, target=kept.place.target)
    return kept.place == here
