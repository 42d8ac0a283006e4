"""``…/login-actions/authenticate``: the steps of a tab, each a page and what its form does, until there is a code.

A step takes the form and says in a sentence what was wrong with it; silence moves the tab on.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final, TypeAlias
from urllib.parse import urlencode

from aiohttp import web

from proxy.demo import pages
from proxy.demo.app_keys import REALM, read_form
from proxy.demo.authorization_request import Step, Tab
from proxy.demo.grants import WRONG_CREDENTIALS, credentials_refusal
from proxy.demo.oauth_errors import PageError, RedirectError
from proxy.demo.realm import Realm
from proxy.demo.single_sign_on import ROOT_COOKIE, answer_by_session, browser_session, error_answer, finish
from proxy.demo.users import User

Taker: TypeAlias = Callable[[Realm, Tab, Mapping[str, str]], str]


async def show_again(request: web.Request) -> web.Response:
    """GET, as by a reload: the page of the step that the tab is at."""
    tab = _tab_of(request)
    return _dead_end(request, tab) or show(request.app[REALM], tab)


async def take(request: web.Request) -> web.Response:
    """POST of a form: the next page, or the way back to the client."""
    realm, tab = request.app[REALM], _tab_of(request)
    if (answer := _dead_end(request, tab)) is not None:
        return answer
    form = await read_form(request)
    complaint = _TAKERS[tab.step](realm, tab, form)
    if complaint:
        return show(realm, tab, complaint, form)
    if tab.step is Step.DONE:
        return finish(request, tab)
    return show(realm, tab)


def show(realm: Realm, tab: Tab, complaint: str = "", values: Mapping[str, str] | None = None) -> web.Response:
    """The page of the tab's step."""
    query = {"session_code": tab.tab_id, "client_id": tab.asked.client.client_id, "tab_id": tab.tab_id}
    action = realm.url(f"{realm.shape.page('login-actions/authenticate')}?{urlencode(query)}")
    if tab.step is Step.OTP:
        return pages.otp_page(action, complaint)
    if tab.step is Step.UPDATE_PASSWORD:
        return pages.update_password_page(action, complaint, "Cancel" if tab.asked.action else "")
    if tab.step is Step.REGISTER:
        return pages.registration_page(action, values or {}, complaint)
    if tab.known_user:
        return pages.reauthentication_page(action, tab.known_user, complaint)
    return pages.login_page(action, (values or {}).get("username", tab.asked.login_hint), complaint)


def _tab_of(request: web.Request) -> Tab:
    """The tab that the address names, if it belongs to this browser."""
    tab = request.app[REALM].tabs.get(request.query.get("tab_id", ""))
    if tab is None or tab.root != request.cookies.get(ROOT_COOKIE):
        raise PageError(
            "Restart login cookie not found. It may have expired; it may have been deleted or cookies are disabled."
        )
    return tab


def _dead_end(request: web.Request, tab: Tab) -> web.Response | None:
    """What to answer when the tab can go no further: it is used, too old, or overtaken by another tab's login."""
    realm = request.app[REALM]
    if tab.step is Step.DONE:
        refused = RedirectError("temporarily_unavailable", "authentication_expired")
        return error_answer(realm, tab.asked, refused)
    if realm.clock() >= tab.created_at + realm.lifetimes.login_s:
        return web.Response(
            status=302, headers={"Location": realm.url(f"{realm.shape.endpoint('auth')}?{tab.asked.query}")}
        )
    session = browser_session(request)
    if tab.step is Step.PASSWORD and session is not None and not tab.known_user:
        tab.step = Step.DONE
        return answer_by_session(realm, tab.asked, session)
    return None


def _take_password(realm: Realm, tab: Tab, form: Mapping[str, str]) -> str:
    user = realm.users.find(tab.known_user or form.get("username", ""))
    refusal = credentials_refusal(user, form.get("password", ""))
    if user is None or refusal == WRONG_CREDENTIALS:
        return "Invalid username or password."
    if refusal is not None:
        return "Account is disabled, contact your administrator."
    tab.subject = user.subject
    _prove(realm, tab)
    wants_code = user.otp_secret is not None and (tab.level > 0 or not realm.levels)
    tab.step = Step.OTP if wants_code else _after_proof(user, tab)
    return ""


def _take_otp(realm: Realm, tab: Tab, form: Mapping[str, str]) -> str:
    user = _user_of(realm, tab)
    if not user.spends_otp(form.get("otp", ""), realm.clock()):
        return "Invalid authenticator code."
    _prove(realm, tab)
    tab.step = _after_proof(user, tab)
    return ""


def _take_new_password(realm: Realm, tab: Tab, form: Mapping[str, str]) -> str:
    if "cancel-aia" in form and tab.asked.action is not None:
        tab.step, tab.action_status = Step.DONE, "cancelled"
        return ""
    if not form.get("password-new") or form.get("password-new") != form.get("password-confirm"):
        return "Passwords don't match."
    user = _user_of(realm, tab)
    user.password, user.required_actions = form["password-new"], ()
    tab.step, tab.action_status = Step.DONE, "success"
    return ""


def _take_registration(realm: Realm, tab: Tab, form: Mapping[str, str]) -> str:
    if not form.get("username") or not form.get("password"):
        return "Please specify username and password."
    if form["password"] != form.get("password-confirm"):
        return "Password confirmation doesn't match."
    if realm.users.find(form["username"]) is not None:
        return "Username already exists."
    user = realm.users.add(_registered(realm, form))
    tab.subject, tab.step = user.subject, Step.DONE
    _prove(realm, tab)
    return ""


def _registered(realm: Realm, form: Mapping[str, str]) -> User:
    return User(
        username=form["username"],
        password=form["password"],
        email=form.get("email") or None,
        email_verified=False,
        first_name=form.get("firstName") or None,
        last_name=form.get("lastName") or None,
        realm_roles=(f"default-roles-{realm.name}",),
    )


def _prove(realm: Realm, tab: Tab) -> None:
    tab.authenticated_at = realm.now()


def _after_proof(user: User, tab: Tab) -> Step:
    return Step.UPDATE_PASSWORD if user.required_actions or tab.asked.action == "UPDATE_PASSWORD" else Step.DONE


def _user_of(realm: Realm, tab: Tab) -> User:
    user = realm.users.by_subject(tab.subject or "")
    if user is None:
        raise PageError("User not found.")
    return user


_TAKERS: Final[dict[Step, Taker]] = {
    Step.PASSWORD: _take_password,
    Step.OTP: _take_otp,
    Step.UPDATE_PASSWORD: _take_new_password,
    Step.REGISTER: _take_registration,
}
