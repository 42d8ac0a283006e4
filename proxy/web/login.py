"""``/login``: the page, its JSON twin for pages that draw their own form, and what happens when it is posted.

GET stores nothing. POST reads top to bottom in :func:`_led` and in :mod:`proxy.web.sign_in`; whatever refuses it is
answered on the grid of :mod:`proxy.web.pace`, by :mod:`proxy.web.login_answers`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from proxy import errors, keys
from proxy.core.session import EndCause
from proxy.web import login_answers
from proxy.web.caller import wants_json
from proxy.web.code_flow import begin_flow
from proxy.web.cookies import root_cookie
from proxy.web.flow_notes import asks_again, start_link, wish_of
from proxy.web.form_tokens import LoginFormTokens, refuse_expired
from proxy.web.kept import lead_on, marked, waiting_notice, way_on
from proxy.web.login_form import read_login_form
from proxy.web.login_page import form_document, form_page
from proxy.web.options import OPTIONS, LoginMode
from proxy.web.origin import Provenance, provenance
from proxy.web.pace import wait_for_grid
from proxy.web.page import found
from proxy.web.refusal import Refusal
from proxy.web.sign_in import Refused, sign_in_once
from proxy.web.silent_return import silent_wish
from proxy.web.submission import Submission
from proxy.web.throttle import remember_browser
from proxy.web.visitor import visitor_of

if TYPE_CHECKING:
    from aiohttp import web

    from proxy.web.flow_notes import Wish
    from proxy.web.form_tokens import FormTab
    from proxy.web.visitor import Visitor

NOTICES = {
    EndCause.BACKCHANNEL: "login.notice.ended_elsewhere",
    EndCause.FRONTCHANNEL: "login.notice.ended_elsewhere",
    EndCause.LOGOUT_ALL: "login.notice.ended_on_device",
    EndCause.DEVICE: "login.notice.ended_on_device",
    EndCause.ADMIN: "login.notice.ended_by_admin",
    EndCause.EXPIRED: "login.notice.ended_by_time",
    EndCause.IDLE: "login.notice.ended_by_time",
    EndCause.REFRESH_REFUSED: "login.notice.ended_at_provider",
    EndCause.OVER_LIMIT: "login.notice.ended_over_limit",
}
"""What the page says of a session that ended; one's own logout needs no words."""


async def show_login(request: web.Request) -> web.StreamResponse:
    """Draw the form, or lead on: somebody signed in to where they wanted to go, unless they ask to sign in again;
    everybody else to the provider when there is no form.
    """
    visitor = await visitor_of(request)
    wish = wish_of(request)
    if visitor.session is not None and not asks_again(wish.notes):
        return lead_on(request, await way_on(request, wish.notes, visitor.session, wish.return_to))
    if request.app[OPTIONS].login.mode is LoginMode.REDIRECT:
        return found(start_link(request, wish.notes, return_to=wish.return_to))
    if wants_json(request):
        return form_document(request, wish)
    if (silent := await silent_wish(request, visitor, wish)) is not None:
        return await begin_flow(request, silent)
    return form_page(request, wish, notice=await _notice(request, visitor, wish))


async def submit_login(request: web.Request) -> web.StreamResponse:
    """Sign somebody in, or refuse on the grid."""
    started_at = request.app[keys.CLOCK].monotonic()
    outcome = await _outcome(request)
    if not isinstance(outcome, Refusal):
        return outcome
    response = login_answers.refused(request, outcome)
    await wait_for_grid(started_at, request.app[keys.CLOCK], request.app[keys.SLEEP])
    return response


async def _outcome(request: web.Request) -> web.StreamResponse | Refusal:
    sent = Submission()
    try:
        return await _led(request, sent)
    except (errors.LoginFault, errors.ProviderFault, errors.StoreFault, errors.SessionEnded) as error:
        return Refusal.of(error, sent)
    except errors.TokenRejected as error:
        # The password was right and the provider's tokens are not: its set-up, or our clock. Nobody can sign in.
        fault = errors.ClientMisconfigured(f"the tokens of a password grant are refused: {error}", reason=error.reason)
        return Refusal.of(fault, sent)


async def _led(request: web.Request, sent: Submission) -> web.StreamResponse | Refusal:
    """Sign in by the form; one that is over leads on whoever signed in meanwhile, in another tab or by the first of two
    clicks.
    """
    _refuse_foreign(request)
    sent.form = await read_login_form(request)
    try:
        return await _attempt(request, sent, _open(request, sent))
    except errors.CsrfRejected:
        led_on = await _led_on(request, sent)
        if led_on is None:
            raise
        return led_on


async def _led_on(request: web.Request, sent: Submission) -> web.StreamResponse | None:
    session = (await visitor_of(request)).session
    if session is None or not sent.is_of(session.identity):
        return None
    wish = sent.wish(request)
    way = await way_on(request, wish.notes, session, wish.return_to)
    return marked(request, login_answers.led_on(request, session, way.location), way)


def _refuse_foreign(request: web.Request) -> None:
    """Refuse a form of another site before it is read: nothing in it is the person's word."""
    if provenance(request) is Provenance.FOREIGN:
        raise errors.ForeignForm("a login form was posted by another site")


def _open(request: web.Request, sent: Submission) -> FormTab:
    options = request.app[OPTIONS]
    tokens = LoginFormTokens(options.server_key, *options.older_keys)
    tab = sent.tab = tokens.read(sent.form.csrf_token, root_cookie(request))
    refuse_expired(tab, request.app[keys.CLOCK].now())
    return tab


async def _attempt(request: web.Request, sent: Submission, tab: FormTab) -> web.StreamResponse | Refusal:
    answer = await sign_in_once(request, sent.form, tab)
    if isinstance(answer, Refused):
        return Refusal.by_provider(answer, sent)
    session = answer.established.session
    way = await way_on(request, tab.notes, session, sent.wish(request).return_to)
    response = marked(request, login_answers.accepted(request, answer, way.location), way)
    remember_browser(request, response, sent.form.username, session.identity.username)
    return response


async def _notice(request: web.Request, visitor: Visitor, wish: Wish) -> str | None:
    if (waits := await waiting_notice(request, wish.notes)) is not None:
        return waits
    if visitor.cookie_value is None:
        return None
    tombstone = await request.app[keys.SESSIONS].tombstone(visitor.cookie_value)
    return None if tombstone is None else NOTICES.get(tombstone.cause)
