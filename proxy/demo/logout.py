"""``…/logout``: by the browser (OIDC RP-Initiated Logout 1.0), by a client with its refresh token (Keycloak's own)."""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING, Final
from urllib.parse import urlencode

from aiohttp import web
from msgspec import Struct

from proxy.demo import pages
from proxy.demo.app_keys import BACKCHANNEL, REALM, first_values, read_form
from proxy.demo.authorization_request import PendingLogout
from proxy.demo.client_authentication import authenticate_client
from proxy.demo.clients import Client, Feature
from proxy.demo.oauth_errors import PageError, with_parameters
from proxy.demo.refresh import PERSISTENCES, readable_refresh_token
from proxy.demo.single_sign_on import browser_session, forget_browser

if TYPE_CHECKING:
    from collections.abc import Mapping

    from proxy.demo.realm import Realm
    from proxy.demo.sessions import UserSession

_NO_CACHE: Final = {"Cache-Control": "no-cache"}


class _LogoutRequest(Struct, frozen=True):
    """The browser's wish, checked: where to go afterwards, and the session that the hint names."""

    client: Client | None
    redirect_uri: str | None
    state: str | None
    hinted_sid: str | None


async def by_get(request: web.Request) -> web.Response:
    return await _by_browser(request, first_values(request.query))


async def by_post(request: web.Request) -> web.Response:
    """With a refresh token it is the client itself, else the browser."""
    form = await read_form(request)
    if "refresh_token" in form:
        return await _by_client(request, form)
    return await _by_browser(request, {**first_values(request.query), **form})


async def confirmed(request: web.Request) -> web.Response:
    """The answer to the question page: the browser's session ends."""
    form = await read_form(request)
    pending = request.app[REALM].pending_logouts.pop(request.query.get("tab_id", ""), None)
    if pending is None or not secrets.compare_digest(
        pending.session_code.encode(), form.get("session_code", "").encode()
    ):
        raise PageError("Action expired. Please continue with login now.")
    return await _end_and_leave(request, browser_session(request), pending.redirect_uri, pending.state)


async def _by_client(request: web.Request, form: Mapping[str, str]) -> web.Response:
    """204, as often as it is asked, also with an older refresh token of the session."""
    realm = request.app[REALM]
    client = authenticate_client(realm, request.headers.get("Authorization"), form)
    claims = readable_refresh_token(realm, client, form["refresh_token"])
    session = realm.live_session(claims["sid"], PERSISTENCES[claims["typ"]])
    if session is not None:
        await request.app[BACKCHANNEL].end(session)
    return web.Response(status=204, headers=_NO_CACHE)


async def _by_browser(request: web.Request, parameters: Mapping[str, str]) -> web.Response:
    realm = request.app[REALM]
    wanted = _checked(realm, parameters)
    current = browser_session(request)
    if _needs_question(wanted, current):
        return _question(realm, wanted)
    session = realm.live_session(wanted.hinted_sid) if wanted.hinted_sid is not None else current
    return await _end_and_leave(request, session, wanted.redirect_uri, wanted.state)


def _checked(realm: Realm, parameters: Mapping[str, str]) -> _LogoutRequest:
    """Raises PageError as Keycloak does: a redirect needs a hint or a client that registered it."""
    redirect_uri, hint = parameters.get("post_logout_redirect_uri"), parameters.get("id_token_hint")
    client_id = parameters.get("client_id")
    if redirect_uri is not None and hint is None and client_id is None:
        raise PageError("Missing parameters: id_token_hint")
    hinted_sid: str | None = None
    if hint is not None:
        claims = realm.read(hint)
        if claims is None or claims.get("typ") != "ID" or client_id not in {None, claims["azp"]}:
            raise PageError("Invalid parameter: id_token_hint")
        client_id, hinted_sid = claims["azp"], claims.get("sid")
    client = realm.clients.get(client_id or "")
    if redirect_uri is not None and (client is None or not client.accepts_post_logout_redirect(redirect_uri)):
        raise PageError("Invalid redirect uri")
    return _LogoutRequest(client, redirect_uri, parameters.get("state"), hinted_sid)


def _needs_question(wanted: _LogoutRequest, current: UserSession | None) -> bool:
    """Without a hint whoever is signed in is asked; with one only when the browser's session is another one."""
    if wanted.hinted_sid is not None:
        return current is not None and current.sid != wanted.hinted_sid
    return current is not None or wanted.redirect_uri is None


def _question(realm: Realm, wanted: _LogoutRequest) -> web.Response:
    tab_id, session_code = secrets.token_urlsafe(8), secrets.token_urlsafe(32)
    pending = PendingLogout(session_code=session_code, redirect_uri=wanted.redirect_uri, state=wanted.state)
    realm.pending_logouts[tab_id] = pending
    query = {"client_id": wanted.client.client_id if wanted.client else "account", "tab_id": tab_id}
    action = realm.url(f"{realm.shape.endpoint('logout/logout-confirm')}?{urlencode(query)}")
    return pages.logout_question_page(action, session_code)


async def _end_and_leave(
    request: web.Request, session: UserSession | None, redirect_uri: str | None, state: str | None
) -> web.Response:
    """End the session, tell the clients, clear the cookies, go where the client wanted."""
    frames: list[str] = []
    if session is not None:
        frames = _frontchannel_urls(request.app[REALM], session) if browser_session(request) is session else []
        await request.app[BACKCHANNEL].end(session)
    onward = "" if redirect_uri is None else _onward(redirect_uri, state)
    return forget_browser(request, _leave(frames, onward))


def _onward(redirect_uri: str, state: str | None) -> str:
    return redirect_uri if state is None else with_parameters(redirect_uri, {"state": state})


def _leave(frames: list[str], onward: str) -> web.Response:
    if frames:
        return pages.frontchannel_page(frames, onward)
    if onward:
        return web.Response(status=302, headers={"Location": onward, **_NO_CACHE})
    return pages.logged_out_page()


def _frontchannel_urls(realm: Realm, session: UserSession) -> list[str]:
    urls = []
    for client in (realm.clients[client_id] for client_id in session.clients):
        if Feature.FRONTCHANNEL_LOGOUT not in client.features or not client.frontchannel_logout_url:
            continue
        parameters = {"sid": session.sid, "iss": realm.issuer}
        is_named = Feature.FRONTCHANNEL_SESSION_REQUIRED in client.features
        url = client.frontchannel_logout_url
        urls.append(with_parameters(url, parameters) if is_named else url)
    return urls
