"""Refresh tokens: which session one belongs to, and what rotation makes of it. No HTTP.

The order of the checks and the arithmetic of reuse (whole seconds, compare with the token used last) are Keycloak's,
oddities included: reuse within the same second goes unnoticed, the first loser hears another sentence than the rest.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from msgspec import Struct

from proxy.demo.oauth_errors import OAuthError, invalid_grant
from proxy.demo.realm import Realm, Rotation
from proxy.demo.sessions import ClientSession, Family, Persistence, UserSession
from proxy.demo.users import User, UserState

if TYPE_CHECKING:
    from proxy.demo.clients import Client

PERSISTENCES = {"Refresh": Persistence.ONLINE, "Offline": Persistence.OFFLINE}


class RefreshedSession(Struct, frozen=True):
    """What a good refresh token leads to."""

    claims: dict[str, Any]
    user: User
    session: UserSession
    part: ClientSession


def refresh_token_claims(realm: Realm, client: Client, token: str) -> dict[str, Any]:
    """The claims of an unexpired refresh token of this client.

    Raises:
        OAuthError: 400 ``invalid_grant`` for anything else.
    """
    claims = readable_refresh_token(realm, client, token)
    if "exp" in claims and realm.now() > claims["exp"]:
        raise invalid_grant("Token is not active")
    if claims["iat"] < realm.not_before:
        raise invalid_grant("Stale token")
    return claims


def readable_refresh_token(realm: Realm, client: Client, token: str) -> dict[str, Any]:
    """The claims of a refresh token of this client, expired or not."""
    claims = realm.keys.verify_refresh(token)
    if claims is None or claims.get("typ") not in PERSISTENCES:
        raise invalid_grant("Invalid refresh token")
    if claims["iss"] != realm.issuer:
        raise invalid_grant(f"Invalid token issuer. Expected '{realm.issuer}'")
    if claims["azp"] != client.client_id:
        raise invalid_grant("Invalid refresh token. Token client and authorized client don't match")
    return claims


def session_of_refresh_token(realm: Realm, client: Client, token: str) -> RefreshedSession:
    """The session that the token renews.

    Raises:
        OAuthError: 400 ``invalid_grant``, its description by the table of Keycloak's answers.
    """
    claims = refresh_token_claims(realm, client, token)
    session = _live_session(realm, claims)
    user = realm.users.by_subject(session.subject)
    if user is None:
        raise invalid_grant("Session not active")
    if user.state is UserState.DISABLED:
        raise invalid_grant("User disabled")
    part = realm.live_part(session, client)
    if part is None:
        raise invalid_grant("Session doesn't have required client")
    if claims["iat"] < max(client.not_before, user.not_before):
        raise invalid_grant("Stale token")
    return RefreshedSession(claims, user, session, part)


def _live_session(realm: Realm, claims: dict[str, Any]) -> UserSession:
    persistence = PERSISTENCES[claims["typ"]]
    session = realm.live_session(claims["sid"], persistence)
    if session is None:
        is_online = persistence is Persistence.ONLINE
        raise invalid_grant("Session not active" if is_online else "Offline user session not found")
    return session


def spend_refresh_token(realm: Realm, found: RefreshedSession) -> None:
    """Count the use under rotation; misuse takes the client session away, the winner's tokens included.

    Raises:
        OAuthError: 400 ``invalid_grant`` "Stale token" or "Maximum allowed refresh token reuse exceeded".
    """
    if realm.rotation is Rotation.OFF:
        return
    try:
        _count_use(realm, found)
    except OAuthError:
        found.session.clients.pop(found.part.client_id, None)
        raise


def _count_use(realm: Realm, found: RefreshedSession) -> None:
    jti, now = found.claims["jti"], realm.now()
    families, name = found.part.families, found.claims.get("reuse_id", "")
    family = families.get(name)
    if family is None or family.used_jti != jti:
        if family is not None and found.claims["iat"] < family.used_at:
            raise invalid_grant("Stale token")
        family = families[name] = Family(used_jti=jti, used_at=now)
    if family.uses > realm.rotation.value:
        raise invalid_grant("Maximum allowed refresh token reuse exceeded")
    family.uses += 1
