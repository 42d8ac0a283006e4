"""``/login``: the page, its JSON twin for pages that draw their own form, and what happens when it is posted.

GET stores nothing. POST reads top to bottom in :func:`_attempt`; whatever refuses it is answered on the grid of
:mod:`proxy.web.pace`, by :mod:`proxy.web.login_answers`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from proxy import errors, keys
from proxy.core.session import EndCause, LoginOrigin, Persistence
from proxy.core.tokens import Grant, GrantRefusal
from proxy.web import login_answers
from proxy.web.caller import wants_json
from proxy.web.cookies import root_cookie
from proxy.web.destination import destination
from proxy.web.establish import LoginManner, establish
from proxy.web.flow_notes import session_notes, start_link, wish_of
from proxy.web.form_tokens import LoginFormTokens
from proxy.web.grant_slots import GRANT_SLOTS
from proxy.web.login_answers import Refusal
from proxy.web.login_form import NO_FORM, LoginForm, can_be_right, read_login_form
from proxy.web.options import OPTIONS, Feature, LoginMode, OtpField
from proxy.web.origin import Provenance, provenance
from proxy.web.pace import wait_for_grid
from proxy.web.page import found, see_other
from proxy.web.visitor import visitor_of

if TYPE_CHECKING:
    from aiohttp import web

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
    """Draw the form, or lead on: somebody signed in to where they wanted to go, everybody else to the provider when
    there is no form.
    """
    visitor = await visitor_of(request)
    wish = wish_of(request)
    if visitor.session is not None:
        return see_other(wish.return_to)
    if request.app[OPTIONS].login.mode is LoginMode.REDIRECT:
        return found(start_link(request, wish.notes, return_to=wish.return_to))
    if wants_json(request):
        return login_answers.form_document(request, wish)
    return login_answers.form_page(request, wish, notice=await _notice(request, visitor))


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
    form, notes = NO_FORM, dict[str, str]()
    try:
        _refuse_foreign(request)
        form = await read_login_form(request)
        tab = _open(request, form)
        notes.update(tab.notes)
        return await _attempt(request, form, tab)
    except (errors.LoginFault, errors.ProviderFault, errors.StoreFault, errors.SessionEnded) as error:
        return Refusal.of(error, form, notes)
    except errors.TokenRejected as error:
        # The password was right and the provider's tokens are not: its set-up, or our clock. Nobody can sign in.
        fault = errors.ClientMisconfigured(f"the tokens of a password grant are refused: {error}", reason=error.reason)
        return Refusal.of(fault, form, notes)


def _refuse_foreign(request: web.Request) -> None:
    """Refuse a form of another site before it is read: nothing in it is the person's word."""
    if provenance(request) is Provenance.FOREIGN:
        raise errors.ForeignForm("a login form was posted by another site")


def _open(request: web.Request, form: LoginForm) -> FormTab:
    now = request.app[keys.CLOCK].now()
    return LoginFormTokens(request.app[OPTIONS].server_key).open(form.csrf_token, root_cookie(request), now)


async def _attempt(request: web.Request, form: LoginForm, tab: FormTab) -> web.StreamResponse | Refusal:
    is_possible = can_be_right(form, request.app[OPTIONS].login)
    grant = await _grant(request, form) if is_possible else GrantRefusal.INVALID_CREDENTIALS
    if isinstance(grant, GrantRefusal):
        return Refusal.by_provider(grant, form, tab.notes)
    persistence = _persistence(request, form)
    manner = LoginManner(origin=LoginOrigin.FORM, persistence=persistence, notes=session_notes(tab.notes))
    established = await establish(request, grant, manner)
    wanted = tab.return_to if form.return_to is None else form.return_to
    return login_answers.accepted(request, established, destination(request, wanted))


async def _grant(request: web.Request, form: LoginForm) -> Grant | GrantRefusal:
    otp = None if request.app[OPTIONS].login.otp is OtpField.HIDDEN else form.otp
    async with request.app[GRANT_SLOTS].slot():
        return await request.app[keys.PROVIDER].password_grant(form.username, form.password, otp)


def _persistence(request: web.Request, form: LoginForm) -> Persistence:
    offered = request.app[OPTIONS].login.remember_me is Feature.ON
    return form.persistence if offered else Persistence.BROWSER


async def _notice(request: web.Request, visitor: Visitor) -> str | None:
    if visitor.cookie_value is None:
        return None
    tombstone = await request.app[keys.SESSIONS].tombstone(visitor.cookie_value)
    return None if tombstone is None else NOTICES.get(tombstone.cause)
