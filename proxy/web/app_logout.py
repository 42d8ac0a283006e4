"""The app's own logout link, ``logout: true``: the gate brings its POST here, and the app never hears of it.

The body is the app's and says nothing to us: a field of the same name as ours would be somebody else's token. So only
the browser's word that a page of our origin sent it counts; without it the question is asked.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from proxy.web.destination import destination
from proxy.web.logout import ask_again, nothing_to_end, sign_out
from proxy.web.origin import Provenance, provenance
from proxy.web.visitor import visitor_of

if TYPE_CHECKING:
    from aiohttp import web


async def submit_app_logout(request: web.Request) -> web.StreamResponse:
    """End the session as a POST to ``/logout`` does.

    Raises:
        CsrfRejected: nobody can say who wants it, and a program asked.
        ForeignForm: another site asked, and there is nothing to end.
        StoreUnavailable: nothing has ended.
    """
    home = destination(request, None)
    visitor = await visitor_of(request)
    if visitor.session is None or visitor.cookie_value is None:
        return nothing_to_end(request, home)
    if provenance(request) is not Provenance.SAME_ORIGIN:
        return ask_again(request, visitor.session, visitor.cookie_value, home)
    return await sign_out(request, visitor.session, home)
