"""``…/auth``: an answer when the browser's session suffices, else the first page of a login (OIDC Core §3.1.2)."""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING, Final

from proxy.demo.app_keys import REALM, first_values, read_form
from proxy.demo.authorization_checks import checked_request, client_of_request
from proxy.demo.authorization_request import AuthorizationRequest, Step, Tab
from proxy.demo.login_actions import show
from proxy.demo.oauth_errors import RedirectError
from proxy.demo.single_sign_on import (
    ROOT_COOKIE,
    answer_by_session,
    browser_session,
    carried,
    error_answer,
    finish,
    session_is_fresh,
    set_cookie,
    suffices,
)

if TYPE_CHECKING:
    from aiohttp import web

    from proxy.demo.realm import Realm
    from proxy.demo.sessions import UserSession

KNOWN_ACTIONS: Final = frozenset({"UPDATE_PASSWORD"})


async def authorize(request: web.Request) -> web.Response:
    """By GET or POST. Errors that may travel go back to the client, with ``state`` and ``iss``."""
    realm = request.app[REALM]
    parameters = first_values(request.query) if request.method == "GET" else dict(await read_form(request))
    client = client_of_request(realm, parameters)
    try:
        await _refuse_repetition(request)
        asked = checked_request(realm, client, parameters)
    except RedirectError as refused:
        answer = refused.parameters(parameters.get("state"), realm.issuer)
        return carried(parameters["redirect_uri"], parameters.get("response_mode", "query"), answer)
    return _answer(request, asked, browser_session(request))


async def _refuse_repetition(request: web.Request) -> None:
    """RFC 6749 §3.1: no parameter more than once."""
    form = await read_form(request)
    if form.repeated or len(set(request.query)) < len(request.query):
        raise RedirectError("invalid_request", "duplicated parameter")


def _answer(request: web.Request, asked: AuthorizationRequest, session: UserSession | None) -> web.Response:
    realm = request.app[REALM]
    is_enough = session is not None and suffices(realm, session, asked)
    if session is not None and is_enough and asked.action is None:
        return answer_by_session(realm, asked, session)
    if "none" in asked.prompt:
        error = "interaction_required" if is_enough else "login_required"
        return error_answer(realm, asked, RedirectError(error))
    if session is not None and is_enough:
        return _begin_action(request, asked, session)
    return _begin_login(request, asked, session)


def _begin_login(request: web.Request, asked: AuthorizationRequest, session: UserSession | None) -> web.Response:
    realm = request.app[REALM]
    user = realm.users.by_subject(session.subject) if session is not None else None
    step = Step.REGISTER if "create" in asked.prompt else Step.PASSWORD
    tab = _new_tab(request, asked, step)
    tab.known_user = user.username if user is not None and step is Step.PASSWORD else ""
    tab.level = realm.level_of(asked.acr_values)
    if user is not None and tab.level and user.otp_secret is not None and session_is_fresh(realm, session, asked):
        # The password counts still; only what is missing is asked for.
        tab.subject, tab.step = user.subject, Step.OTP
    return _first_page(realm, tab)


def _begin_action(request: web.Request, asked: AuthorizationRequest, session: UserSession) -> web.Response:
    """An application-initiated action on a living session; one that is unknown is skipped and said to have failed."""
    tab = _new_tab(request, asked, Step.UPDATE_PASSWORD)
    tab.subject = session.subject
    if asked.action in KNOWN_ACTIONS:
        return _first_page(request.app[REALM], tab)
    tab.step, tab.action_status = Step.DONE, "error"
    return finish(request, tab)


def _new_tab(request: web.Request, asked: AuthorizationRequest, step: Step) -> Tab:
    realm = request.app[REALM]
    root = request.cookies.get(ROOT_COOKIE) or secrets.token_urlsafe(32)
    tab = Tab(tab_id=secrets.token_urlsafe(8), root=root, asked=asked, created_at=realm.clock(), step=step)
    realm.tabs[tab.tab_id] = tab
    return tab


def _first_page(realm: Realm, tab: Tab) -> web.Response:
    answer = show(realm, tab)
    set_cookie(realm, answer, ROOT_COOKIE, tab.root)
    return answer
