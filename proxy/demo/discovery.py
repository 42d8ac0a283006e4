"""What the provider says of itself: metadata (OpenID Connect Discovery 1.0, RFC 8414), keys, the realm's summary."""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING, Any

from cryptography.hazmat.primitives import serialization

from proxy.demo.app_keys import REALM, json_answer
from proxy.demo.realm import Realm, Registration

if TYPE_CHECKING:
    from aiohttp import web

#: Neither header leaves a time to cache for, so a relying party has to choose one.
DISCOVERY_CACHING = {"Cache-Control": "no-cache, must-revalidate, no-transform, no-store"}
JWKS_CACHING = {"Cache-Control": "no-cache"}


async def metadata(request: web.Request) -> web.Response:
    return json_answer(provider_metadata(request.app[REALM]), headers=DISCOVERY_CACHING)


async def jwks(request: web.Request) -> web.Response:
    return json_answer(request.app[REALM].keys.jwks(), headers=JWKS_CACHING)


async def realm_summary(request: web.Request) -> web.Response:
    realm = request.app[REALM]
    der = realm.keys.current.private.public_key().public_bytes(
        serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    body = {
        "realm": realm.name,
        "public_key": base64.b64encode(der).decode(),
        "token-service": realm.url(f"{realm.shape.base}{realm.shape.protocol}"),
        "account-service": realm.url(realm.shape.page("account")),
        "tokens-not-before": realm.not_before,
    }
    return json_answer(body)


def provider_metadata(realm: Realm) -> dict[str, Any]:
    """Only what is true of this provider; Keycloak's own document is longer."""
    return {"issuer": realm.issuer} | _endpoints(realm) | _abilities(realm)


def _endpoints(realm: Realm) -> dict[str, str]:
    names = {
        "authorization_endpoint": "auth",
        "token_endpoint": "token",
        "introspection_endpoint": "token/introspect",
        "userinfo_endpoint": "userinfo",
        "end_session_endpoint": "logout",
        "jwks_uri": "certs",
        "revocation_endpoint": "revoke",
    }
    return {member: realm.url(realm.shape.endpoint(name)) for member, name in names.items()}


def _abilities(realm: Realm) -> dict[str, Any]:
    prompts = ["none", "login", *(["create"] if realm.registration is Registration.OPEN else [])]
    return {
        "grant_types_supported": ["authorization_code", "refresh_token", "password"],
        "response_types_supported": ["code"],
        "response_modes_supported": ["query", "fragment", "form_post"],
        "subject_types_supported": ["public"],
        "id_token_signing_alg_values_supported": ["RS256"],
        "token_endpoint_auth_methods_supported": ["client_secret_basic", "client_secret_post", "none"],
        "prompt_values_supported": prompts,
        "acr_values_supported": list(realm.levels) or ["0", "1"],
        "scopes_supported": ["openid", "email", "profile", "offline_access"],
        "claims_supported": ["iss", "sub", "aud", "exp", "iat", "auth_time", "name", "preferred_username", "email"],
        "code_challenge_methods_supported": ["plain", "S256"],
        "authorization_response_iss_parameter_supported": True,
        "backchannel_logout_supported": True,
        "backchannel_logout_session_supported": True,
        "frontchannel_logout_supported": True,
        "frontchannel_logout_session_supported": True,
    }
