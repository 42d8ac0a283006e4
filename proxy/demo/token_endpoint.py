"""``POST …/token``: who asks, what grant, once each parameter; the grants themselves are in ``grants``."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Final, TypeAlias

from proxy.demo.app_keys import NO_STORE, REALM, json_answer, read_form
from proxy.demo.client_authentication import authenticate_client
from proxy.demo.clients import Client
from proxy.demo.grants import code_grant, password_grant, refresh_grant
from proxy.demo.oauth_errors import OAuthError, invalid_request
from proxy.demo.realm import Realm

if TYPE_CHECKING:
    from aiohttp import web

GrantHandler: TypeAlias = Callable[[Realm, Client, Mapping[str, str]], dict[str, Any]]


def _client_credentials(_realm: Realm, _client: Client, _form: Mapping[str, str]) -> dict[str, Any]:
    raise OAuthError(401, "unauthorized_client", "Client not enabled to retrieve service account")


def _token_exchange(_realm: Realm, _client: Client, _form: Mapping[str, str]) -> dict[str, Any]:
    raise invalid_request("Standard token exchange is not enabled for the requested client")


GRANTS: Final[dict[str, GrantHandler]] = {
    "password": password_grant,
    "authorization_code": code_grant,
    "refresh_token": refresh_grant,
    "client_credentials": _client_credentials,
    "urn:ietf:params:oauth:grant-type:token-exchange": _token_exchange,
}


async def token(request: web.Request) -> web.Response:
    """RFC 6749 §3.2. Every answer is ``no-store``; errors get theirs in ``application``."""
    realm = request.app[REALM]
    form = await read_form(request)
    grant_type = form.get("grant_type")
    if grant_type is None:
        raise invalid_request("Missing form parameter: grant_type")
    if grant_type not in GRANTS:
        raise OAuthError(400, "unsupported_grant_type", "Unsupported grant_type")
    client = authenticate_client(realm, request.headers.get("Authorization"), form)
    if form.repeated:
        raise invalid_request("duplicated parameter")
    _check_origin(request, client)
    return json_answer(GRANTS[grant_type](realm, client, form), headers=NO_STORE)


def _check_origin(request: web.Request, client: Client) -> None:
    """A browser's ``Origin`` passed on by a proxy is refused; this is why Sidegate must not forward it."""
    origin = request.headers.get("Origin")
    if origin is not None and origin not in client.allowed_origins():
        raise OAuthError(403, "Invalid origin")
