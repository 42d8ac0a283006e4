"""Access tokens as the provider itself takes them: at userinfo, introspection and the account pages. No HTTP."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from msgspec import Struct

from proxy.demo.oauth_errors import BearerError
from proxy.demo.sessions import Persistence, UserSession
from proxy.demo.users import User, UserState

if TYPE_CHECKING:
    from proxy.demo.realm import Realm


class VerifiedToken(Struct, frozen=True):
    """An access token that is good now, and whose it is."""

    claims: dict[str, Any]
    user: User
    session: UserSession


def bearer_token(authorization: str | None) -> str:
    """The token of the header.

    Raises:
        BearerError: 401 without an error code when there is none (RFC 6750 §3.1).
    """
    scheme, _, token = (authorization or "").partition(" ")
    if scheme.lower() != "bearer" or not token.strip():
        raise BearerError(401)
    return token.strip()


def verified_access_token(realm: Realm, token: str) -> VerifiedToken:
    """The token, when it is ours, in time, not revoked, and its client session lives.

    Raises:
        BearerError: 401 ``invalid_token`` with Keycloak's description.
    """
    claims = _unexpired(realm, token)
    session = session_of(realm, claims)
    if session is None:
        raise BearerError(401, "invalid_token", "user_session_not_found")
    user = realm.users.by_subject(session.subject)
    if user is None or user.state is UserState.DISABLED:
        raise BearerError(401, "invalid_token", "User disabled")
    return VerifiedToken(claims, user, session)


def _unexpired(realm: Realm, token: str) -> dict[str, Any]:
    claims = realm.read(token)
    failed = BearerError(401, "invalid_token", "Token verification failed")
    if claims is None or claims.get("typ") != "Bearer" or realm.now() > claims["exp"]:
        raise failed
    if claims["jti"] in realm.revoked_jti or claims["iat"] < realm.not_before:
        raise failed
    return claims


def session_of(realm: Realm, claims: dict[str, Any]) -> UserSession | None:
    """The live session that the claims name, when the token's client still takes part in it."""
    client = realm.clients.get(claims.get("azp", ""))
    for persistence in Persistence:
        session = realm.live_session(claims.get("sid", ""), persistence)
        if session is not None and client is not None and realm.live_part(session, client) is not None:
            return session
    return None
