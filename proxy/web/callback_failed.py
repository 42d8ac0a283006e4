"""A sign-in that cannot go on from here: a page that says so, with a link to begin again.

A callback of the provider that failed, or a login form that another site posted.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from proxy.respond import Manner, row_of
from proxy.web.answers import error_response
from proxy.web.caller import asker_of, caller_of
from proxy.web.destination import destination
from proxy.web.options import OPTIONS
from proxy.web.page import page

if TYPE_CHECKING:
    from aiohttp import web

    from proxy.errors import SidegateError
    from proxy.pages.contexts import ErrorPage


def callback_failed(request: web.Request, error: SidegateError, return_to: str | None) -> web.Response:
    """Answer what failed; nothing that the provider's answer, or the form, said is shown."""
    if asker_of(request).manner is not Manner.PAGE:
        return error_response(request, error)
    row = row_of(error)
    login_url = request.app[OPTIONS].path("login", return_to=destination(request, return_to))
    context: ErrorPage = {
        "status": row.status,
        "title": row.title_id,
        "sentence": row.sentence_id,
        "request_id": caller_of(request).request_id,
        "login_url": login_url,
    }
    # A code is spent, and a form is not posted twice: there is no coming back to this very page.
    response = page(request, "callback_failed", context, status=row.status, again=login_url)
    if row.retry_after_s is not None:
        response.headers["Retry-After"] = str(row.retry_after_s)
    return response
