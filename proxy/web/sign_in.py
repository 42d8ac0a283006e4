"""One form that was sent: is it still good, what does the provider say, and what becomes of its tab and its browser.

Shared by all that send the same at once (:mod:`proxy.web.login_flights`), so nothing here answers anybody.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from aiohttp import web
from msgspec import Struct

from proxy import keys
from proxy.core.authentication import OneTimeCode, Outcome, attempted
from proxy.core.session import LoginOrigin, Persistence
from proxy.core.tokens import Grant, GrantRefusal
from proxy.web.establish import LoginManner, establish
from proxy.web.flow_notes import session_notes
from proxy.web.login_flights import LoginFlights
from proxy.web.login_form import can_be_right
from proxy.web.options import OPTIONS, Feature, OtpField
from proxy.web.root_turns import ROOT_TURNS
from proxy.web.tabs import form_tab, keep_refused, sign_in_root
from proxy.web.throttle import ask_within_limits, client_address

if TYPE_CHECKING:
    from proxy.core.authentication import Tab
    from proxy.web.cookies import Established
    from proxy.web.form_tokens import FormTab
    from proxy.web.login_form import LoginForm


class SignedIn(Struct, frozen=True):
    """Somebody is; ``root_id`` is the browser's new root."""

    established: Established
    root_id: str


class Refused(Struct, frozen=True):
    """Nobody is; ``tab`` says how often this form was refused by now."""

    why: GrantRefusal
    tab: Tab


LOGIN_FLIGHTS: web.AppKey[LoginFlights[SignedIn | Refused]] = web.AppKey("login_flights", LoginFlights)


async def sign_in_once(request: web.Request, form: LoginForm, tab: FormTab) -> SignedIn | Refused:
    """Return what comes of a form whose token is good; the same form sent twice is one login.

    Raises:
        CsrfRejected: the form was used already, or refused too often.
        Throttled, ProviderFault, StoreFault, SessionEnded, TokenRejected
    """
    flights = request.app[LOGIN_FLIGHTS]
    otp = "" if form.otp is None else form.otp
    kept = tab.notes.get("kept", "")
    name = flights.name(tab.root_id, form.username, form.password, otp, form.persistence.value, kept)
    return await flights.share(name, lambda: _sign_in_by_turns(request, form, tab))


async def _sign_in_by_turns(request: web.Request, form: LoginForm, tab: FormTab) -> SignedIn | Refused:
    """Let those who send one form with different words wait for one another.

    Each would find it open else: two could sign in by it, and who is refused last would open it again.
    """
    async with request.app[ROOT_TURNS].turn(f"{tab.root_id}.{tab.tab_id}"):
        return await _sign_in(request, form, tab)


async def _sign_in(request: web.Request, form: LoginForm, tab: FormTab) -> SignedIn | Refused:
    record = await form_tab(request, tab)
    is_possible = can_be_right(form, request.app[OPTIONS].login)
    grant = await _grant(request, form) if is_possible else GrantRefusal.INVALID_CREDENTIALS
    if isinstance(grant, GrantRefusal):
        return await _refused(request, form, record, grant)
    persistence = _persistence(request, form)
    manner = LoginManner(origin=LoginOrigin.FORM, persistence=persistence, notes=session_notes(tab.notes))
    established = await establish(request, grant, manner)
    return SignedIn(established, await sign_in_root(request, attempted(record, Outcome.SIGNED_IN, _code_of(form))))


async def _refused(request: web.Request, form: LoginForm, record: Tab, why: GrantRefusal) -> Refused:
    is_setup = why is GrantRefusal.ACCOUNT_SETUP_REQUIRED
    outcome = Outcome.SETUP_REQUIRED if is_setup else Outcome.REFUSED
    stepped = attempted(record, outcome, _code_of(form))
    if outcome is Outcome.REFUSED:
        await keep_refused(request, stepped)
    return Refused(why, stepped)


def _code_of(form: LoginForm) -> OneTimeCode:
    return OneTimeCode.ABSENT if form.otp is None else OneTimeCode.SENT


async def _grant(request: web.Request, form: LoginForm) -> Grant | GrantRefusal:
    otp = None if request.app[OPTIONS].login.otp is OtpField.HIDDEN else form.otp
    ask, address = request.app[keys.PROVIDER].password_grant, client_address(request)
    return await ask_within_limits(
        request, form.username, lambda: ask(form.username, form.password, otp, address=address)
    )


def _persistence(request: web.Request, form: LoginForm) -> Persistence:
    offered = request.app[OPTIONS].login.remember_me is Feature.ON
    return form.persistence if offered else Persistence.BROWSER
