"""What stands in the provider's tokens, in Keycloak's order of claims, and the answer of the token endpoint. No HTTP.

Sources: RFC 6749 §5.1, OIDC Core §2 and §3.1.3.3, and what Keycloak 26.7 was seen to send.
"""

from __future__ import annotations

import hashlib
import uuid
from typing import Any, Final

from msgspec import Struct

from proxy.demo.clients import Client, Feature
from proxy.demo.key_ring import base64url
from proxy.demo.misbehaviour import TokenKind
from proxy.demo.realm import Realm, Rotation
from proxy.demo.sessions import ClientSession, Persistence, UserSession
from proxy.demo.users import User, effective_roles

#: How an access token came to be, as the first letters of its ``jti`` tell.
JTI_DIRECT: Final = "onrtro"
JTI_CODE: Final = "onrtac"
JTI_REFRESH: Final = "onrtrt"

LOGOUT_EVENT: Final = "http://schemas.openid.net/event/backchannel-logout"
LOGOUT_TOKEN_LIFETIME_S: Final = 120


class Grant(Struct, frozen=True, kw_only=True):
    """All that a set of tokens is made from.

    Attributes:
        shown_scope: what ``scope`` will say, where it is not simply what was granted.
        family: the family that a refresh token goes on with under rotation.
    """

    client: Client
    user: User
    session: UserSession
    part: ClientSession
    jti_prefix: str
    nonce: str | None = None
    family: str | None = None
    shown_scope: tuple[str, ...] | None = None

    @property
    def scope_text(self) -> str:
        return " ".join(self.part.scope if self.shown_scope is None else self.shown_scope)


def token_answer(realm: Realm, grant: Grant) -> dict[str, Any]:
    """The body of a successful answer. ``expires_in`` shrinks towards the end of the session."""
    now = realm.now()
    lifetimes = realm.lifetimes_of(grant.client)
    ends_at = min(grant.session.ends_at(realm.lifetimes), grant.part.started_at + lifetimes.session_max_s)
    expires_at = int(min(now + lifetimes.access_token_s, ends_at))
    access_token = realm.sign(TokenKind.ACCESS, access_claims(realm, grant, expires_at))
    body: dict[str, Any] = {"access_token": access_token, "expires_in": expires_at - now}
    body |= _refresh_members(realm, grant, now, int(min(now + lifetimes.session_idle_s, ends_at)))
    body["token_type"] = "Bearer"  # noqa: S105 - the name of a scheme
    if "openid" in grant.part.scope:
        body["id_token"] = realm.sign(TokenKind.ID, id_claims(realm, grant, expires_at, access_token))
    body["not-before-policy"] = max(realm.not_before, grant.client.not_before, grant.user.not_before)
    body["session_state"] = grant.session.sid
    body["scope"] = grant.scope_text
    return body


def _refresh_members(realm: Realm, grant: Grant, now: int, ends_at: int) -> dict[str, Any]:
    if Feature.REFRESH_TOKENS not in grant.client.features:
        return {"refresh_expires_in": 0}
    is_offline = grant.session.persistence is Persistence.OFFLINE
    claims = refresh_claims(realm, grant, None if is_offline else ends_at)
    token = realm.sign(TokenKind.REFRESH, claims)
    return {"refresh_expires_in": 0 if is_offline else ends_at - now, "refresh_token": token}


def access_claims(realm: Realm, grant: Grant, expires_at: int) -> dict[str, Any]:
    audience = access_audience(grant)
    claims = _head(realm, grant, expires_at, f"{grant.jti_prefix}:{uuid.uuid4()}")
    if audience:
        claims["aud"] = audience[0] if len(audience) == 1 else audience
    claims |= {"sub": grant.user.subject, "typ": "Bearer", "azp": grant.client.client_id, "sid": grant.session.sid}
    claims["acr"] = grant.part.acr
    if origins := grant.client.allowed_origins():
        claims["allowed-origins"] = origins
    return claims | _role_claims(grant.user) | {"scope": grant.scope_text} | profile_claims(grant)


def id_claims(realm: Realm, grant: Grant, expires_at: int, access_token: str) -> dict[str, Any]:
    claims = _head(realm, grant, expires_at, str(uuid.uuid4()))
    claims |= {"aud": grant.client.client_id, "sub": grant.user.subject, "typ": "ID", "azp": grant.client.client_id}
    if grant.nonce is not None:
        claims["nonce"] = grant.nonce
    claims |= {"sid": grant.session.sid, "at_hash": at_hash(access_token), "acr": grant.part.acr}
    return claims | profile_claims(grant)


def refresh_claims(realm: Realm, grant: Grant, expires_at: int | None) -> dict[str, Any]:
    """A refresh token's claims; ``reuse_id`` names its family, only under rotation."""
    is_offline = grant.session.persistence is Persistence.OFFLINE
    claims: dict[str, Any] = {} if expires_at is None else {"exp": expires_at}
    claims |= {"iat": realm.now(), "jti": str(uuid.uuid4()), "iss": realm.issuer, "aud": realm.issuer}
    claims |= {"sub": grant.user.subject, "typ": "Offline" if is_offline else "Refresh", "azp": grant.client.client_id}
    claims |= {"sid": grant.session.sid, "scope": " ".join(grant.part.scope), "aud_x": access_audience(grant)}
    if realm.rotation is not Rotation.OFF:
        claims["reuse_id"] = grant.family or str(uuid.uuid4())
    return claims


def logout_claims(realm: Realm, client: Client, session: UserSession) -> dict[str, Any]:
    """A logout token's claims in Keycloak's order (OIDC Back-Channel Logout 1.0 §2.4)."""
    now = realm.now()
    claims: dict[str, Any] = {"exp": now + LOGOUT_TOKEN_LIFETIME_S, "iat": now, "jti": str(uuid.uuid4())}
    claims |= {"iss": realm.issuer, "aud": client.client_id, "sub": session.subject, "typ": "Logout"}
    if Feature.BACKCHANNEL_SESSION_REQUIRED in client.features:
        claims["sid"] = session.sid
    claims["events"] = {LOGOUT_EVENT: {}}
    if Feature.BACKCHANNEL_REVOKES_OFFLINE in client.features:
        claims["events"]["revoke_offline_access"] = True
    return claims


def profile_claims(grant: Grant) -> dict[str, Any]:
    """What the scopes ``profile`` and ``email`` and the group mapper tell; a user has only what is known of him."""
    user = grant.user
    told: dict[str, Any] = {"email_verified": user.email_verified, "name": user.name}
    if grant.client.groups_claim:
        told[grant.client.groups_claim] = list(user.groups)
    told |= {"preferred_username": user.username, "given_name": user.first_name, "family_name": user.last_name}
    told |= {"email": user.email, **user.attributes}
    return {name: value for name, value in told.items() if value is not None}


def access_audience(grant: Grant) -> list[str]:
    """Mapped audiences and every client in which the user has roles, but never the requesting client itself."""
    with_roles = effective_roles(grant.user).clients
    audience = dict.fromkeys((*grant.client.audiences, *with_roles))
    return [name for name in audience if name != grant.client.client_id]


def at_hash(access_token: str) -> str:
    """The left half of the SHA-256 of the access token (OIDC Core §3.1.3.6)."""
    return base64url(hashlib.sha256(access_token.encode()).digest()[:16])


def _head(realm: Realm, grant: Grant, expires_at: int, jti: str) -> dict[str, Any]:
    head: dict[str, Any] = {"exp": expires_at, "iat": realm.now()}
    if grant.part.auth_time is not None:
        head["auth_time"] = grant.part.auth_time
    return head | {"jti": jti, "iss": realm.issuer}


def _role_claims(user: User) -> dict[str, Any]:
    roles = effective_roles(user)
    claims: dict[str, Any] = {}
    if roles.realm:
        claims["realm_access"] = {"roles": list(roles.realm)}
    if roles.clients:
        claims["resource_access"] = {client: {"roles": list(names)} for client, names in roles.clients.items()}
    return claims
