"""Answers of ``/login`` to a form that was sent: the way on, and every refusal in one shape.

Unknown user, wrong password, wrong code, locked and disabled account are one refusal: equal in status, text and shape.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from aiohttp import web

from proxy import errors, keys
from proxy.ports import AuditEvent
from proxy.respond import CHALLENGE
from proxy.web.callback_failed import callback_failed
from proxy.web.caller import caller_of, user_agent_of, wants_json
from proxy.web.cookies import root_id_or_new, set_root_cookie, set_session_cookie
from proxy.web.login_page import again_link, form_page, form_token, kept_name, setup_link
from proxy.web.page import page, see_other
from proxy.web.person import person
from proxy.web.refusal import SETUP_REQUIRED, THROTTLED

if TYPE_CHECKING:
    from proxy.core.session import Session
    from proxy.pages.contexts import SetupRequiredPage
    from proxy.web.refusal import Refusal
    from proxy.web.sign_in import SignedIn


def accepted(request: web.Request, signed_in: SignedIn, wanted: str) -> web.Response:
    """Set the new cookies and lead on."""
    response = led_on(request, signed_in.established.session, wanted)
    set_session_cookie(request, response, signed_in.established)
    set_root_cookie(request, response, signed_in.root_id)
    return response


def led_on(request: web.Request, session: Session, wanted: str) -> web.Response:
    """Lead on somebody who is signed in already: there is nothing to set."""
    if not wants_json(request):
        return see_other(wanted)
    return web.json_response({"success": True, "redirect_url": wanted, "user": person(session.identity)})


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
        return form_page(request, refusal.sent.wish(request), refusal=refusal)
    username = refusal.sent.form.username
    context: SetupRequiredPage = {"continue_url": setup_link(request, refusal), "username": username}
    return page(request, "setup_required", context, again=again_link(request, refusal.sent.wish(request)))


def _refused_document(request: web.Request, refusal: Refusal) -> web.Response:
    document: dict[str, object] = {
        "success": False,
        "code": refusal.code,
        "request_id": caller_of(request).request_id,
    }
    if refusal.code == THROTTLED:
        document["retry_after"] = refusal.retry_after_s
    if _is_foreign(refusal):
        return web.json_response(document, status=refusal.status)
    root_id = root_id_or_new(request)
    document["csrf_token"] = form_token(request, root_id, refusal.sent.wish(request), refusal.tab_id)
    if refusal.code == SETUP_REQUIRED:
        document["redirect_url"] = setup_link(request, refusal)
    response = web.json_response(document, status=refusal.status)
    set_root_cookie(request, response, root_id)
    return response


def _is_foreign(refusal: Refusal) -> bool:
    """Say whether another site posted the form: then none is drawn again.

    A fresh form needs a root, and the browser withheld its own (SameSite): a new one would take its place, and every
    form that the person has open would be worth nothing.
    """
    return refusal.reason == errors.ForeignForm.reason


def _tell(request: web.Request, refusal: Refusal) -> None:
    observer, caller = request.app[keys.OBSERVER], caller_of(request)
    observer.login("form", refusal.code)
    observer.audit(
        AuditEvent(
            event="login.throttled" if refusal.code == THROTTLED else "login.failed",
            request_id=caller.request_id,
            username=kept_name(refusal.sent.form) or None,
            address=caller.address,
            user_agent=user_agent_of(request),
            reason=refusal.reason,
        )
    )
    if refusal.code == THROTTLED:
        observer.throttled(refusal.reason.removeprefix(f"{THROTTLED}_"))
    if refusal.detail is not None:
        observer.warning(refusal.detail, reason=refusal.reason, request_id=caller.request_id)
