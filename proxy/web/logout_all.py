"""``/logout/all``: every session of the person ends here, on every replica; then the provider is told, and what it did
not end is said.

The answer is the page itself and no redirect: what has to be said is said once, and a cookie to carry it is gone.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from aiohttp import web

from proxy import errors, keys
from proxy.core.session import BySubject, EndCause
from proxy.ports import AccountAnswer
from proxy.respond import Manner
from proxy.web.answers import RESPONDER, response_of
from proxy.web.caller import asker_of, wants_json
from proxy.web.cookies import clear_cookies, root_cookie
from proxy.web.destination import destination
from proxy.web.ending import end_for_good, tell_ended
from proxy.web.logout import ask_again
from proxy.web.logout_at_provider import Silence, end_everywhere_at_provider
from proxy.web.options import OPTIONS
from proxy.web.origin import Provenance, provenance
from proxy.web.page import page, see_other
from proxy.web.session_forms import fields_if_any, is_wanted
from proxy.web.visitor import visitor_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from proxy.core.session import Session
    from proxy.pages.contexts import LoggedOutAllPage
    from proxy.web.logout_at_provider import AtProvider

NOTICES: Mapping[AtProvider, str] = {AccountAnswer.ENDED: "logout.notice.ended_everywhere"}
PROBLEMS: Mapping[AtProvider, str] = {
    AccountAnswer.REFUSED: "logout.problem.refused",
    AccountAnswer.NO_ENDPOINT: "logout.problem.no_endpoint",
    Silence.UNAVAILABLE: "logout.problem.unavailable",
}
"""What the page says of the provider's part."""


async def submit_logout_all(request: web.Request) -> web.StreamResponse:
    """End every session of whoever is signed in, or ask again when nobody can say who wants that.

    Raises:
        CsrfRejected: the same, to a program; ForeignForm where nobody is signed in.
        StoreUnavailable: perhaps nothing has ended.
    """
    form = await fields_if_any(request)
    return_to = destination(request, form.text("return_to"))
    visitor = await visitor_of(request)
    if visitor.session is None or visitor.cookie_value is None:
        return _nobody(request, return_to)
    if not is_wanted(request, form.text("csrf_token"), visitor.cookie_value):
        return ask_again(request, visitor.session, visitor.cookie_value, return_to)
    sessions_ended = await _end_here(request, visitor.session)
    at_provider = await end_everywhere_at_provider(request, visitor.session)
    return _done(request, sessions_ended, at_provider, return_to)


def _nobody(request: web.Request, return_to: str) -> web.Response:
    """Say that one must be signed in: sessions elsewhere may live on, and nobody can tell whose they are."""
    if provenance(request) is Provenance.FOREIGN:
        raise errors.ForeignForm("a logout was posted by another site")
    asker = asker_of(request)
    if asker.manner is Manner.PAGE:
        return see_other(request.app[OPTIONS].path("login", return_to=return_to))
    return response_of(request.app[RESPONDER].unauthorized(asker))


async def _end_here(request: web.Request, session: Session) -> int:
    """Return how many sessions ended; the one before us for certain, whatever lists say."""
    person = BySubject(session.identity.issuer, session.identity.subject)
    now = request.app[keys.CLOCK].now()
    ended = await end_for_good(request, person, EndCause.LOGOUT_ALL, ended_at=now)
    was_unlisted = await request.app[keys.SESSIONS].delete(session.key, EndCause.LOGOUT_ALL)
    root_id = root_cookie(request)
    if root_id is not None:
        await request.app[keys.AUTHENTICATIONS].drop_root(root_id)
    tell_ended(request, "all", ended, reason=EndCause.LOGOUT_ALL.value, subject=session.identity.subject)
    return len(ended) + was_unlisted


def _done(request: web.Request, sessions_ended: int, at_provider: AtProvider, return_to: str) -> web.Response:
    if wants_json(request):
        document: dict[str, object] = {"success": True, "sessions_ended": sessions_ended}
        if at_provider is not AccountAnswer.ENDED:
            document["not_ended_at_provider"] = at_provider.value
        response = web.json_response(document)
    else:
        context: LoggedOutAllPage = {
            "sessions_ended": sessions_ended,
            "notice": NOTICES.get(at_provider),
            "problem": PROBLEMS.get(at_provider),
            "login_url": request.app[OPTIONS].path("login", return_to=return_to),
        }
        response = page(request, "logged_out_all", context)
    clear_cookies(request, response)
    return response
