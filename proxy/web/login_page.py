"""The login form as it is drawn: the page, and the document for pages that draw their own (contract §3).

It is drawn the same whether it was asked for or whether it comes again after a refusal; nothing is stored by it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from aiohttp import web
from msgspec.structs import replace

from proxy import keys
from proxy.core.session import Persistence
from proxy.web.caller import caller_of
from proxy.web.cookies import root_id_or_new, set_root_cookie
from proxy.web.flow_notes import along, asks_again, start_link
from proxy.web.form_tokens import FormTab, LoginFormTokens
from proxy.web.login_form import MAX_USERNAME_LENGTH, NO_FORM, LoginForm
from proxy.web.options import OPTIONS, Feature
from proxy.web.page import page
from proxy.web.tabs import new_tab_id
from proxy.web.throttle import waiting_time

if TYPE_CHECKING:
    from proxy.pages.contexts import LoginPage, ProviderLink
    from proxy.web.flow_notes import Wish
    from proxy.web.refusal import Refusal


def form_page(
    request: web.Request, wish: Wish, *, notice: str | None = None, refusal: Refusal | None = None
) -> web.Response:
    """Draw the form, fresh, with the user name of the refused one kept, or else the one that the link hints at."""
    form = replace(NO_FORM, username=wish.notes.get("login_hint", "")) if refusal is None else refusal.sent.form
    options, login = request.app[OPTIONS], request.app[OPTIONS].login
    root_id = root_id_or_new(request)
    context: LoginPage = {
        "action": options.path("login"),
        "csrf_token": form_token(request, root_id, wish, None if refusal is None else refusal.tab_id),
        "return_to": wish.return_to,
        "username": kept_name(form),
        "otp": login.otp.value,
        "offers_remember_me": login.remember_me is Feature.ON,
        "remember_me": form.persistence is Persistence.LASTING,
        "providers": _provider_links(request, wish),
        "registration_url": _code_flow_link(request, login.registration, wish, register="1"),
        "forgot_password_url": _code_flow_link(request, login.forgot_password, wish, prompt="login"),
        "problem": None if refusal is None else f"login.problem.{refusal.code}",
        "retry_after_s": _wait_of(refusal),
        "notice": notice,
        "request_id": caller_of(request).request_id,
        "status_url": None if asks_again(wish.notes) else options.path("status"),
    }
    status = 200 if refusal is None else refusal.status
    response = page(request, "login", context, status=status, again=again_link(request, wish))
    set_root_cookie(request, response, root_id)
    return response


def _wait_of(refusal: Refusal | None) -> int | None:
    return None if refusal is None or refusal.retry_after_s is None else waiting_time(refusal.retry_after_s)


def form_document(request: web.Request, wish: Wish) -> web.Response:
    """Return what a page needs to draw its own form (contract §3)."""
    root_id = root_id_or_new(request)
    buttons = zip(request.app[OPTIONS].login.providers, _provider_links(request, wish), strict=True)
    document = {
        "csrf_token": form_token(request, root_id, wish),
        "otp": request.app[OPTIONS].login.otp.value,
        "providers": [{"alias": button.alias, **link} for button, link in buttons],
    }
    response = web.json_response(document)
    set_root_cookie(request, response, root_id)
    return response


def again_link(request: web.Request, wish: Wish) -> str:
    """Return the address of a form for the same wish; no name goes into it that somebody typed."""
    return request.app[OPTIONS].path("login", return_to=wish.return_to, **wish.notes)


def form_token(request: web.Request, root_id: str, wish: Wish, tab_id: str | None = None) -> str:
    """Return the token of a form that is drawn now; ``tab_id``: of the tab that goes on, None for a fresh one."""
    options = request.app[OPTIONS]
    expires_at = request.app[keys.CLOCK].now() + options.login.csrf_lifetime_s
    tab = FormTab(root_id, tab_id or new_tab_id(request), wish.return_to, expires_at, wish.notes)
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


def setup_link(request: web.Request, refusal: Refusal) -> str:
    """Return the link to the provider for somebody whose account wants something that only it can ask."""
    wish = refusal.sent.wish(request)
    return start_link(request, along(wish.notes), login_hint=refusal.sent.form.username, return_to=wish.return_to)


def kept_name(form: LoginForm) -> str:
    """Return the user name as it can be shown and written: cut, and half a character (by way of JSON) replaced."""
    return form.username[:MAX_USERNAME_LENGTH].encode("utf-8", "replace").decode()
