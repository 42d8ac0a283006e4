"""``…/account/sessions``: a user looks at and ends his own sessions, with his access token. Keycloak's account REST."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from aiohttp import web

from proxy.demo.app_keys import BACKCHANNEL, REALM, json_answer
from proxy.demo.bearer import VerifiedToken, bearer_token, verified_access_token
from proxy.demo.oauth_errors import BearerError, OAuthError

if TYPE_CHECKING:
    from proxy.demo.realm import Realm
    from proxy.demo.sessions import UserSession


async def list_sessions(request: web.Request) -> web.Response:
    realm = request.app[REALM]
    caller = _caller(request, "view-profile")
    return json_answer([_item(realm, each, caller) for each in _own_sessions(realm, caller)])


async def end_sessions(request: web.Request) -> web.Response:
    """All but the current one, or with ``?current=true`` all."""
    caller = _caller(request, "manage-account")
    for session in _own_sessions(request.app[REALM], caller):
        if request.query.get("current") == "true" or session is not caller.session:
            await request.app[BACKCHANNEL].end(session)
    return web.Response(status=204, headers={"Cache-Control": "no-cache"})


async def end_one_session(request: web.Request) -> web.Response:
    """204 as well for an id that is unknown or another user's; then nothing happens."""
    caller = _caller(request, "manage-account")
    for session in _own_sessions(request.app[REALM], caller):
        if session.sid == request.match_info["sid"]:
            await request.app[BACKCHANNEL].end(session)
    return web.Response(status=204, headers={"Cache-Control": "no-cache"})


def _caller(request: web.Request, role: str) -> VerifiedToken:
    """Who asks: ``aud`` holds ``account``, else 401; the role is there, else 403."""
    try:
        token = bearer_token(request.headers.get("Authorization"))
        verified = verified_access_token(request.app[REALM], token)
    except BearerError as refused:
        raise OAuthError(401, "HTTP 401 Unauthorized") from refused
    audience = verified.claims.get("aud", [])
    if "account" not in ([audience] if isinstance(audience, str) else audience):
        raise OAuthError(401, "HTTP 401 Unauthorized")
    if role not in verified.claims.get("resource_access", {}).get("account", {}).get("roles", []):
        raise OAuthError(403, "HTTP 403 Forbidden")
    return verified


def _own_sessions(realm: Realm, caller: VerifiedToken) -> list[UserSession]:
    own = realm.sessions.of_subject(caller.user.subject)
    return [each for each in own if realm.live_session(each.sid) is not None]


def _item(realm: Realm, session: UserSession, caller: VerifiedToken) -> dict[str, Any]:
    item: dict[str, Any] = {
        "id": session.sid,
        "ipAddress": session.address,
        "started": int(session.started_at),
        "lastAccess": int(session.refreshed_at),
        "expires": int(session.ends_at(realm.lifetimes)),
        "clients": [_client_item(client_id) for client_id in session.clients],
    }
    if session.user_agent:
        item["browser"] = session.user_agent
    return {**item, "current": True} if session is caller.session else item


def _client_item(client_id: str) -> dict[str, Any]:
    return {
        "clientId": client_id,
        "clientName": client_id,
        "userConsentRequired": False,
        "inUse": False,
        "offlineAccess": False,
    }
