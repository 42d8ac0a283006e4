"""The browser's session at the provider: whether it suffices, and the answer that carries a code back. No pages."""

from __future__ import annotations

import secrets
import uuid
from typing import TYPE_CHECKING, Final

from aiohttp import web

from proxy.demo.app_keys import REALM
from proxy.demo.authorization_request import AuthorizationRequest, Code, Tab
from proxy.demo.grants import attach_client
from proxy.demo.oauth_errors import RedirectError, with_parameters
from proxy.demo.pages import form_post_page
from proxy.demo.sessions import UserSession, new_sid

if TYPE_CHECKING:
    from proxy.demo.realm import Realm

IDENTITY_COOKIE: Final = "KEYCLOAK_IDENTITY"
ROOT_COOKIE: Final = "AUTH_SESSION_ID"

#: ``acr`` when the person proved something just now, and when the browser's session alone spoke for him.
FRESH: Final = "1"
REUSED: Final = "0"


def browser_session(request: web.Request) -> UserSession | None:
    """The live session that this browser's cookie stands for."""
    realm = request.app[REALM]
    sid = realm.browsers.get(request.cookies.get(IDENTITY_COOKIE, ""))
    return realm.live_session(sid) if sid is not None else None


def suffices(realm: Realm, session: UserSession, asked: AuthorizationRequest) -> bool:
    """Whether the session answers the request without a question (OIDC Core §3.1.2.1: prompt, max_age, acr_values)."""
    return realm.level_of(asked.acr_values) == 0 and session_is_fresh(realm, session, asked)


def session_is_fresh(realm: Realm, session: UserSession | None, asked: AuthorizationRequest) -> bool:
    """Whether the password of the session counts still: nobody wants it again, and it is not too old."""
    if session is None or asked.prompt & {"login", "create"}:
        return False
    if asked.max_age_s is None:
        return True
    return asked.max_age_s > 0 and (session.auth_time or 0) + asked.max_age_s >= realm.now()


def answer_by_session(realm: Realm, asked: AuthorizationRequest, session: UserSession) -> web.Response:
    """A code, because the browser's session suffices."""
    return _answer_with_code(realm, asked, session, realm.levels[0] if realm.levels else REUSED)


def finish(request: web.Request, tab: Tab) -> web.Response:
    """A code at the end of a tab, and the cookie of the session.

    The session that the browser has goes on when it is the same person's; else a new one begins.
    """
    realm = request.app[REALM]
    session = browser_session(request)
    if session is None or session.subject != tab.subject:
        session = _new_session(request, tab.subject or "")
    if tab.authenticated_at is not None:
        session.auth_time = tab.authenticated_at
    acr = REUSED if tab.authenticated_at is None else FRESH
    if realm.levels:
        acr = realm.levels[tab.level]
    answer = _answer_with_code(realm, tab.asked, session, acr, _action_parameters(tab))
    handle = secrets.token_urlsafe(32)
    realm.browsers[handle] = session.sid
    set_cookie(realm, answer, IDENTITY_COOKIE, handle)
    return answer


def set_cookie(realm: Realm, answer: web.Response, name: str, value: str) -> None:
    answer.set_cookie(name, value, path=f"{realm.shape.base}/", httponly=True, samesite="Lax")


def forget_browser(request: web.Request, answer: web.Response) -> web.Response:
    """Clear the cookies, as after a logout."""
    realm = request.app[REALM]
    realm.browsers.pop(request.cookies.get(IDENTITY_COOKIE, ""), None)
    for name in (IDENTITY_COOKIE, "KEYCLOAK_SESSION"):
        answer.del_cookie(name, path=f"{realm.shape.base}/")
    return answer


def error_answer(realm: Realm, asked: AuthorizationRequest, refused: RedirectError) -> web.Response:
    parameters = refused.parameters(asked.state, realm.issuer)
    return carried(asked.redirect_uri, asked.response_mode, parameters)


def carried(redirect_uri: str, response_mode: str, parameters: dict[str, str]) -> web.Response:
    """The answer on its way through the browser, by the mode that was asked for."""
    if response_mode == "form_post":
        return form_post_page(redirect_uri, parameters)
    separator = "#" if response_mode == "fragment" else "?"
    location = with_parameters(redirect_uri, parameters, separator)
    return web.Response(
        status=302, headers={"Location": location, "Cache-Control": "no-store, must-revalidate, max-age=0"}
    )


def _new_session(request: web.Request, subject: str) -> UserSession:
    realm = request.app[REALM]
    now = realm.clock()
    session = UserSession(sid=new_sid(), subject=subject, started_at=now, refreshed_at=now, auth_time=realm.now())
    session.address = request.remote or session.address
    session.user_agent = request.headers.get("User-Agent", "")
    return realm.sessions.add(session)


def _answer_with_code(
    realm: Realm, asked: AuthorizationRequest, session: UserSession, acr: str, further: dict[str, str] | None = None
) -> web.Response:
    """The parameters in Keycloak's order: state, session_state, iss, those of an action, code."""
    part = attach_client(realm, session, asked.client, asked.scope)
    part.acr, part.auth_time = acr, session.auth_time
    session.refreshed_at = realm.clock()
    code = f"{uuid.uuid4()}.{session.sid}.{asked.client.uuid}"
    realm.codes[code] = Code(asked=asked, sid=session.sid, issued_at=realm.clock())
    parameters = {} if asked.state is None else {"state": asked.state}
    parameters |= {"session_state": session.sid, "iss": realm.issuer, **(further or {}), "code": code}
    return carried(asked.redirect_uri, asked.response_mode, parameters)


def _action_parameters(tab: Tab) -> dict[str, str]:
    """Outcome of an action that the application asked for; one that is unknown is not named."""
    if tab.asked.action is None or tab.action_status is None:
        return {}
    named = {} if tab.action_status == "error" else {"kc_action": tab.asked.action}
    return {**named, "kc_action_status": tab.action_status}
