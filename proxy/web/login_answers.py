"""Answers of ``/login``: the page and its JSON twin, the way on, and every refusal in one shape.

Unknown user, wrong password, wrong code, locked and disabled account are one refusal: equal in status, text and shape.
"""

from __future__ import annotations

from base64 import urlsafe_b64encode
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from aiohttp import web

from proxy import errors, keys
from proxy.core.session import Persistence
from proxy.core.tokens import GrantRefusal
from proxy.ports import AuditEvent
from proxy.respond import CHALLENGE, row_of
from proxy.web.callback_failed import callback_failed
from proxy.web.caller import caller_of, user_agent_of, wants_json
from proxy.web.cookies import root_id_or_new, set_root_cookie, set_session_cookie
from proxy.web.destination import destination
from proxy.web.flow_notes import Wish, along, start_link
from proxy.web.form_tokens import FormTab, LoginFormTokens
from proxy.web.login_form import MAX_USERNAME_LENGTH, NO_FORM, LoginForm
from proxy.web.options import OPTIONS, Feature
from proxy.web.page import page, see_other
from proxy.web.person import person

if TYPE_CHECKING:
    from collections.abc import Mapping

    from proxy.pages.contexts import LoginPage, ProviderLink, SetupRequiredPage
    from proxy.web.cookies import Established

TAB_BYTES = 12
"""Random bytes of a tab's id: enough to be unlike the other tabs of one root; the MAC does the rest."""

INVALID_CREDENTIALS = "invalid_credentials"
SETUP_REQUIRED = "account_setup_required"
"""Codes that no error has, because they are expected outcomes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Refusal:
    """Why a login did not come about, and the form to draw again.

    Attributes:
        code: of contract §3, for JSON and for the choice of the sentence.
        reason: finer word for the audit trail, never shown.
        detail: a sentence for the operator's log; None when nothing is to be mended.
        notes: of the flow; they go on in the form that is drawn again.
    """

    status: int
    code: str
    reason: str
    form: LoginForm
    retry_after_s: int | None = None
    detail: str | None = None
    notes: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def of(cls, error: errors.SidegateError, form: LoginForm, notes: Mapping[str, str]) -> Refusal:
        """Return the refusal that an error is, by the table of ``respond``."""
        row = row_of(error)
        detail = str(error) if isinstance(error, (errors.ProviderFault, errors.StoreFault)) else None
        return cls(
            status=row.status,
            code=row.code,
            reason=error.reason,
            form=form,
            retry_after_s=row.retry_after_s,
            detail=detail,
            notes=notes,
        )

    @classmethod
    def by_provider(cls, refusal: GrantRefusal, form: LoginForm, notes: Mapping[str, str]) -> Refusal:
        """Return the refusal of a password; only an account that needs setting up is told from the rest."""
        if refusal is GrantRefusal.ACCOUNT_SETUP_REQUIRED:
            return cls(status=401, code=SETUP_REQUIRED, reason=refusal.value, form=form, notes=notes)
        return cls(status=401, code=INVALID_CREDENTIALS, reason=refusal.value, form=form, notes=notes)


def form_page(
    request: web.Request, wish: Wish, *, notice: str | None = None, refusal: Refusal | None = None
) -> web.Response:
    """Draw the form, fresh, with the user name of the refused one kept, or else the one that the link hints at."""
    form = replace(NO_FORM, username=wish.notes.get("login_hint", "")) if refusal is None else refusal.form
    options, login = request.app[OPTIONS], request.app[OPTIONS].login
    root_id = root_id_or_new(request)
    context: LoginPage = {
        "action": options.path("login"),
        "csrf_token": _form_token(request, root_id, wish),
        "return_to": wish.return_to,
        "username": _kept_name(form),
        "otp": login.otp.value,
        "offers_remember_me": login.remember_me is Feature.ON,
        "remember_me": form.persistence is Persistence.LASTING,
        "providers": _provider_links(request, wish),
        "registration_url": _code_flow_link(request, login.registration, wish, register="1"),
        "forgot_password_url": _code_flow_link(request, login.forgot_password, wish, prompt="login"),
        "problem": None if refusal is None else f"login.problem.{refusal.code}",
        "notice": notice,
        "request_id": caller_of(request).request_id,
    }
    response = page(request, "login", context, status=200 if refusal is None else refusal.status)
    set_root_cookie(request, response, root_id)
    return response


def form_document(request: web.Request, wish: Wish) -> web.Response:
    """Return what a page needs to draw its own form (contract §3)."""
    root_id = root_id_or_new(request)
    buttons = zip(request.app[OPTIONS].login.providers, _provider_links(request, wish), strict=True)
    document = {
        "csrf_token": _form_token(request, root_id, wish),
        "otp": request.app[OPTIONS].login.otp.value,
        "providers": [{"alias": button.alias, **link} for button, link in buttons],
    }
    response = web.json_response(document)
    set_root_cookie(request, response, root_id)
    return response


def accepted(request: web.Request, established: Established, wanted: str) -> web.Response:
    """Set the new cookie and lead on."""
    response = see_other(wanted)
    if wants_json(request):
        user = person(established.session.identity)
        response = web.json_response({"success": True, "redirect_url": wanted, "user": user})
    set_session_cookie(request, response, established)
    return response


def refused(request: web.Request, refusal: Refusal) -> web.Response:
    """Answer a refusal, and tell the trail of it."""
    _tell(request, refusal)
    response = _refused_document(request, refusal) if wants_json(request) else _refused_page(request, refusal)
    if response.status == web.HTTPUnauthorized.status_code:
        response.headers["WWW-Authenticate"] = CHALLENGE.decode()
    if refusal.retry_after_s is not None:
        response.headers["Retry-After"] = str(refusal.retry_after_s)
    return response


def _refused_page(request: web.Request, refusal: Refusal) -> web.Response:
    if _is_foreign(refusal):
        return callback_failed(request, errors.ForeignForm("a login form was posted by another site"), None)
    if refusal.code != SETUP_REQUIRED:
        return form_page(request, _wish_again(request, refusal), refusal=refusal)
    username = refusal.form.username
    context: SetupRequiredPage = {"continue_url": _setup_link(request, refusal), "username": username}
    return page(request, "setup_required", context)


def _refused_document(request: web.Request, refusal: Refusal) -> web.Response:
    document = {"success": False, "code": refusal.code, "request_id": caller_of(request).request_id}
    if _is_foreign(refusal):
        return web.json_response(document, status=refusal.status)
    root_id = root_id_or_new(request)
    document["csrf_token"] = _form_token(request, root_id, _wish_again(request, refusal))
    if refusal.code == SETUP_REQUIRED:
        document["redirect_url"] = _setup_link(request, refusal)
    response = web.json_response(document, status=refusal.status)
    set_root_cookie(request, response, root_id)
    return response


def _is_foreign(refusal: Refusal) -> bool:
    """Say whether another site posted the form: then none is drawn again.

    A fresh form needs a root, and the browser withheld its own (SameSite): a new one would take its place, and every
    form that the person has open would be worth nothing.
    """
    return refusal.reason == errors.ForeignForm.reason


def _wish_again(request: web.Request, refusal: Refusal) -> Wish:
    """Return what the refused form wanted."""
    return Wish(destination(request, refusal.form.return_to), refusal.notes)


def _form_token(request: web.Request, root_id: str, wish: Wish) -> str:
    options = request.app[OPTIONS]
    tab_id = urlsafe_b64encode(request.app[keys.RANDOM_BYTES](TAB_BYTES)).decode()
    expires_at = request.app[keys.CLOCK].now() + options.login.csrf_lifetime_s
    tab = FormTab(root_id, tab_id, wish.return_to, expires_at, wish.notes)
    return LoginFormTokens(options.server_key).issue(tab)


def _provider_links(request: web.Request, wish: Wish) -> list[ProviderLink]:
    notes = along(wish.notes)
    return [
        {
            "label": button.label,
            "url": start_link(request, notes, provider=button.alias, return_to=wish.return_to),
        }
        for button in request.app[OPTIONS].login.providers
    ]


def _code_flow_link(request: web.Request, feature: Feature, wish: Wish, **own: str) -> str | None:
    if feature is Feature.OFF:
        return None
    return start_link(request, along(wish.notes), return_to=wish.return_to, **own)


def _setup_link(request: web.Request, refusal: Refusal) -> str:
    wish = _wish_again(request, refusal)
    return start_link(request, along(wish.notes), login_hint=refusal.form.username, return_to=wish.return_to)


def _kept_name(form: LoginForm) -> str:
    """Return the user name as it can be shown and written: cut, and half a character (by way of JSON) replaced."""
    return form.username[:MAX_USERNAME_LENGTH].encode("utf-8", "replace").decode()


def _tell(request: web.Request, refusal: Refusal) -> None:
    observer, caller = request.app[keys.OBSERVER], caller_of(request)
    observer.login("form", refusal.code)
    observer.audit(
        AuditEvent(
            event="login.failed",
            request_id=caller.request_id,
            username=_kept_name(refusal.form) or None,
            address=caller.address,
            user_agent=user_agent_of(request),
            reason=refusal.reason,
        )
    )
    if refusal.detail is not None:
        observer.warning(refusal.detail, reason=refusal.reason, request_id=caller.request_id)
