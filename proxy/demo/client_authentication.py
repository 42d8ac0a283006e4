"""How a client proves itself at the token endpoint and its neighbours (RFC 6749 §2.3.1). No sockets.

Keycloak answers 401 for whatever is wrong with the client, and says the same sentence each time.
"""

from __future__ import annotations

import base64
import binascii
import hmac
from typing import TYPE_CHECKING
from urllib.parse import unquote_plus

from proxy.demo.clients import Client, Feature
from proxy.demo.oauth_errors import OAuthError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from proxy.demo.realm import Realm

SENTENCE = "Invalid client or Invalid client credentials"


def authenticate_client(realm: Realm, authorization: str | None, form: Mapping[str, str]) -> Client:
    """The client that the request comes from, by Basic or by the form; public clients only name themselves.

    Raises:
        OAuthError: 401 ``invalid_client`` when unknown or disabled, 401 ``unauthorized_client`` for a wrong secret.
    """
    client_id, secret = _credentials(authorization, form)
    client = realm.clients.get(client_id)
    if client is None or Feature.ENABLED not in client.features:
        raise OAuthError(401, "invalid_client", SENTENCE)
    if client.is_public:
        return client
    if Feature.BEARER_ONLY in client.features or not hmac.compare_digest(client.secret.encode(), secret.encode()):
        raise OAuthError(401, "unauthorized_client", SENTENCE)
    return client


def _credentials(authorization: str | None, form: Mapping[str, str]) -> tuple[str, str]:
    if authorization is not None and authorization.lower().startswith("basic "):
        basic = _basic(authorization[6:])
        if basic is not None:
            return basic
    return form.get("client_id", ""), form.get("client_secret", "")


def _basic(encoded: str) -> tuple[str, str] | None:
    """Both parts are form-encoded before they are joined (RFC 6749 §2.3.1); a raw ``%`` breaks Keycloak's decoder."""
    try:
        client_id, colon, secret = base64.b64decode(encoded, validate=True).decode().partition(":")
    except (binascii.Error, UnicodeDecodeError):
        return None
    if not colon:
        return None
    if _has_bad_escape(secret) or _has_bad_escape(client_id):
        raise OAuthError(400, "unauthorized_client", "Unexpected error when authenticating client")
    return unquote_plus(client_id), unquote_plus(secret)


def _has_bad_escape(text: str) -> bool:
    tails = text.split("%")[1:]
    return any(len(tail) < 2 or not set(tail[:2]) <= set("0123456789abcdefABCDEF") for tail in tails)
