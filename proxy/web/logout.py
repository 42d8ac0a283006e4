"""``/logout`` and ``/logged-out``: the question, the end here, then the provider's part.

Here first: the call to the provider is the afterthought, never the condition. Only a store that is away stops a logout,
because then nothing has ended (law 6).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from proxy import errors, keys
from proxy.core.session import BySid, EndCause, EndedMark, LoginOrigin
from proxy.ports import AuditEvent
from proxy.respond import Manner
from proxy.web.caller import asker_of, caller_of, user_agent_of
from proxy.web.cookies import clear_cookies, root_cookie
from proxy.web.destination import destination, only
from proxy.web.form_tokens import LogoutStates
from proxy.web.logout_at_provider import end_at_provider, ends_with_the_browsers, leave_provider
from proxy.web.options import OPTIONS
from proxy.web.origin import Provenance, provenance
from proxy.web.page import found, page, see_other
from proxy.web.session_forms import csrf_token, fields_if_any, is_wanted
from proxy.web.visitor import visitor_of

if TYPE_CHECKING:
    from aiohttp import web

    from proxy.core.secret import Secret
    from proxy.core.session import Session
    from proxy.pages.contexts import LoggedOutPage, LogoutPage
    from proxy.web.visitor import Visitor


async def show_logout(request: web.Request) -> web.StreamResponse:
    """Ask, when there is something to end.

    Where a session ended by itself before, its cookie is taken away: whoever is told that they are signed out must not
    come back without a question (:mod:`proxy.web.silent_return`), nor the next person at this browser in their place.

    Raises:
        StoreUnavailable: nobody can say whether there is something to end.
    """
    visitor = await visitor_of(request)
    if visitor.session is None or visitor.cookie_value is None:
        response = found(_logged_out_path(request, destination(request, only(request, "return_to"))))
        return _gone(request, response) if await _has_ended(request, visitor) else response
    return _question(request, visitor.session, visitor.cookie_value, only(request, "return_to"))


async def submit_logout(request: web.Request) -> web.StreamResponse:
    """End the session here and at the provider, or ask again when nobody can say who wants that.

    Raises:
        CsrfRejected: the same, to a program; ForeignForm where there is nothing to ask about.
        StoreUnavailable: nothing has ended.
    """
    form = await fields_if_any(request)
    return_to = destination(request, form.text("return_to"))
    visitor = await visitor_of(request)
    if visitor.session is None or visitor.cookie_value is None:
        return nothing_to_end(request, return_to)
    if not is_wanted(request, form.text("csrf_token"), visitor.cookie_value):
        return ask_again(request, visitor.session, visitor.cookie_value, return_to)
    return await sign_out(request, visitor.session, return_to)


async def sign_out(request: web.Request, session: Session, return_to: str) -> web.Response:
    """End the visitor's own session here, then at the provider, and return the answer that says so.

    Raises:
        StoreUnavailable: nothing has ended.
    """
    await _end_here(request, session)
    return _gone(request, await _end_there(request, session, return_to))


async def show_logged_out(request: web.Request) -> web.StreamResponse:
    """Say that it is done; the provider sends people here with the ``state`` that we gave it."""
    options = request.app[OPTIONS]
    state = only(request, "state") or ""
    return_to = LogoutStates(options.server_key).open(state)
    context: LoggedOutPage = {"login_url": options.path("login", return_to=return_to)}
    # What is no state of ours goes no further, not in a link to the same page in another language either.
    again = options.path("logged-out", state=state if return_to is not None else None)
    return page(request, "logged_out", context, again=again)


def nothing_to_end(request: web.Request, return_to: str) -> web.Response:
    """Say that it is over, and take stale cookies away when a page of ours asked.

    No cookie does not mean no session: on a form of another site the browser withholds ours (SameSite), and yet it
    would obey when we clear it, and leave the session alive that nobody can end any more.
    """
    response, said = see_other(_logged_out_path(request, return_to)), provenance(request)
    if said is Provenance.FOREIGN:
        raise errors.ForeignForm("a logout was posted by another site")
    return _gone(request, response) if said is Provenance.SAME_ORIGIN else response


def ask_again(request: web.Request, session: Session, cookie_value: Secret, return_to: str) -> web.StreamResponse:
    """Show the question anew, with a token that fits.

    Raises:
        CsrfRejected: to a program, which cannot answer a page.
    """
    error = errors.CsrfRejected("a logout came from elsewhere, or its token is not this session's")
    if asker_of(request).manner is not Manner.PAGE:
        raise error
    response = _question(request, session, cookie_value, return_to, problem="logout.problem.csrf_rejected")
    response.set_status(403)
    return response


async def _has_ended(request: web.Request, visitor: Visitor) -> bool:
    """Say whether the browser's cookie names a session that is over; it may be alive, and of another client."""
    return visitor.cookie_value is not None and (
        await request.app[keys.SESSIONS].tombstone(visitor.cookie_value) is not None
    )


async def _end_here(request: web.Request, session: Session) -> None:
    sessions_affected = await _end_session(request, session)
    root_id = root_cookie(request)
    if root_id is not None:
        await request.app[keys.AUTHENTICATIONS].drop_root(root_id)
    _tell(request, session, sessions_affected=sessions_affected)


async def _end_session(request: web.Request, session: Session) -> int:
    """Remember first that it ended, so that nothing in flight brings it back, then delete; return how many ended.

    Another session of the same ``sid`` (this browser lost its cookie once) is over with it: the provider's is.
    """
    sessions, now = request.app[keys.SESSIONS], request.app[keys.CLOCK].now()
    if session.sid is None:
        return int(await sessions.delete(session.key, EndCause.LOGOUT))
    which = BySid(session.identity.issuer, session.sid)
    keep_until = now + request.app[OPTIONS].sessions.remember_ended_s
    await sessions.mark_ended(EndedMark(which, ended_at=now, keep_until=keep_until))
    await sessions.delete(session.key, EndCause.LOGOUT)
    return 1 + len(await sessions.delete_matching(which, EndCause.LOGOUT))


async def _end_there(request: web.Request, session: Session, return_to: str) -> web.Response:
    if not ends_with_the_browsers(session, request.app[OPTIONS].scopes):
        await end_at_provider(request, session)
    if session.origin is LoginOrigin.CODE:
        leaving = leave_provider(request, session.tokens, return_to)
        if leaving is not None:
            return leaving
    return see_other(_logged_out_path(request, return_to))


def _question(
    request: web.Request, session: Session, cookie_value: Secret, return_to: str | None, *, problem: str | None = None
) -> web.Response:
    options = request.app[OPTIONS]
    wanted = destination(request, return_to)
    context: LogoutPage = {
        "action": options.path("logout"),
        "action_all": options.path("logout/all"),
        "csrf_token": csrf_token(request, cookie_value),
        "return_to": wanted,
        "username": session.identity.username or session.identity.name,
        "stay_url": wanted,
        "problem": problem,
    }
    return page(request, "logout", context, again=options.path("logout", return_to=wanted))


def _logged_out_path(request: web.Request, return_to: str) -> str:
    options = request.app[OPTIONS]
    return options.path("logged-out", state=LogoutStates(options.server_key).issue(return_to))


def _gone(request: web.Request, response: web.Response) -> web.Response:
    clear_cookies(request, response)
    return response


def _tell(request: web.Request, session: Session, *, sessions_affected: int) -> None:
    caller, observer = caller_of(request), request.app[keys.OBSERVER]
    observer.logout("local")
    observer.audit(
        AuditEvent(
            event="logout.local",
            request_id=caller.request_id,
            subject=session.identity.subject,
            username=session.identity.username,
            address=caller.address,
            user_agent=user_agent_of(request),
            sessions_affected=sessions_affected,
            reason=EndCause.LOGOUT.value,
        )
    )
