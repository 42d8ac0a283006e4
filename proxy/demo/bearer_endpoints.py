"""Userinfo, introspection, revocation: three endpoints that look at tokens which exist already."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from aiohttp import web

from proxy.demo.app_keys import REALM, json_answer, read_form
from proxy.demo.bearer import bearer_token, session_of, verified_access_token
from proxy.demo.client_authentication import authenticate_client
from proxy.demo.oauth_errors import BearerError, OAuthError, invalid_request
from proxy.demo.tokens import JTI_DIRECT, Grant, profile_claims

if TYPE_CHECKING:
    from proxy.demo.clients import Client
    from proxy.demo.realm import Realm

_NO_CACHE: Final = {"Cache-Control": "no-cache", "Pragma": "no-cache"}


async def userinfo(request: web.Request) -> web.Response:
    """OIDC Core §5.3; the token in the header or in a form (RFC 6750 §2). Refused without the scope ``openid``."""
    realm = request.app[REALM]
    form = await read_form(request)
    token = form.get("access_token") or bearer_token(request.headers.get("Authorization"))
    verified = verified_access_token(realm, token)
    if "openid" not in verified.claims["scope"].split():
        raise BearerError(403, "insufficient_scope", "Missing openid scope")
    client_id = verified.claims["azp"]
    grant = Grant(
        client=realm.clients[client_id],
        user=verified.user,
        session=verified.session,
        part=verified.session.clients[client_id],
        jti_prefix=JTI_DIRECT,
    )
    return json_answer({"sub": verified.user.subject, **profile_claims(grant)}, headers=_NO_CACHE)


async def introspect(request: web.Request) -> web.Response:
    """RFC 7662. ``active: false`` unless the caller is in the token's audience, even for the caller's own token."""
    realm = request.app[REALM]
    form = await read_form(request)
    try:
        client = _authenticated(request, form)
    except OAuthError as refused:
        if refused.error == "unauthorized_client":
            raise OAuthError(401, "invalid_client", "Client authentication failed.") from refused
        raise
    if "token" not in form:
        raise invalid_request("Token not provided.")
    return json_answer(_introspected(realm, client, form["token"]))


def _introspected(realm: Realm, client: Client, token: str) -> dict[str, Any]:
    claims = realm.read(token)
    if claims is None or realm.now() > claims["exp"] or claims.get("jti") in realm.revoked_jti:
        return {"active": False}
    audience = claims.get("aud", [])
    is_meant = client.client_id in ([audience] if isinstance(audience, str) else audience)
    if not is_meant or session_of(realm, claims) is None:
        return {"active": False}
    told = {"client_id": claims["azp"], "username": claims.get("preferred_username"), "token_type": claims["typ"]}
    return {**claims, **told, "active": True}


async def revoke(request: web.Request) -> web.Response:
    """RFC 7009. Nobody is told of it: a revoked session sends no back-channel logout."""
    realm = request.app[REALM]
    form = await read_form(request)
    client = _authenticated(request, form)
    if "token" not in form:
        raise invalid_request("Token not provided")
    claims = realm.keys.verify_refresh(form["token"]) or realm.read(form["token"])
    if claims is None or claims.get("jti") in realm.revoked_jti:
        return json_answer({"error": "invalid_token", "error_description": "Invalid token"})
    if claims["azp"] != client.client_id:
        raise invalid_request("Unmatching clients")
    _revoke(realm, claims)
    return web.Response()


def _revoke(realm: Realm, claims: dict[str, Any]) -> None:
    if claims["typ"] == "ID":
        raise OAuthError(400, "unsupported_token_type", "Unsupported token type")
    realm.revoked_jti[claims["jti"]] = True
    session = session_of(realm, claims)
    if claims["typ"] == "Bearer" or session is None:
        return
    session.clients.pop(claims["azp"], None)
    if not session.clients:
        realm.sessions.remove(session)


def _authenticated(request: web.Request, form: dict[str, str]) -> Client:
    return authenticate_client(request.app[REALM], request.headers.get("Authorization"), form)
