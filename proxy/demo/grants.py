"""The grants of the token endpoint: password, authorization_code, refresh_token. Form in, body out. No HTTP.

The order of the checks is Keycloak's: it decides which of two faults is told.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
from typing import TYPE_CHECKING, Any, Final

from proxy.demo.clients import Client, Feature
from proxy.demo.oauth_errors import OAuthError, invalid_grant, invalid_request
from proxy.demo.refresh import RefreshedSession, session_of_refresh_token, spend_refresh_token
from proxy.demo.sessions import ClientSession, Persistence, UserSession, new_sid
from proxy.demo.tokens import JTI_CODE, JTI_DIRECT, JTI_REFRESH, Grant, token_answer
from proxy.demo.users import User, UserState, effective_roles

if TYPE_CHECKING:
    from collections.abc import Mapping

    from proxy.demo.authorization_request import AuthorizationRequest, Code
    from proxy.demo.realm import Realm

DEFAULT_SCOPES: Final = ("email", "profile")
OPTIONAL_SCOPES: Final = frozenset({"offline_access", "address", "phone", "microprofile-jwt", "organization"})
BUILT_IN_SCOPES: Final = frozenset({"openid", *DEFAULT_SCOPES, "acr", "basic", "roles", "web-origins"})

_VERIFIER: Final = re.compile(r"[A-Za-z0-9\-._~]{43,128}")


def granted_scope(asked: str) -> tuple[str, ...]:
    """The scopes that tokens will name; default scopes are always among them.

    Raises:
        OAuthError: 400 ``invalid_scope`` when one is unknown.
    """
    names = asked.split()
    if not set(names) <= BUILT_IN_SCOPES | OPTIONAL_SCOPES:
        raise OAuthError(400, "invalid_scope", f"Invalid scopes: {asked}")
    leading = ("openid",) if "openid" in names else ()
    return (*leading, *DEFAULT_SCOPES, *(name for name in dict.fromkeys(names) if name in OPTIONAL_SCOPES))


def password_grant(realm: Realm, client: Client, form: Mapping[str, str]) -> dict[str, Any]:
    """RFC 6749 §4.3, with a one-time code in ``otp`` or ``totp``."""
    if Feature.DIRECT_GRANTS not in client.features:
        raise OAuthError(400, "unauthorized_client", "Client not allowed for direct access grants")
    if Feature.CONSENT_REQUIRED in client.features:
        raise OAuthError(400, "invalid_client", "Client requires user consent")
    scope = granted_scope(form.get("scope", ""))
    user = _proven_user(realm, form)
    session = open_session(realm, user, scope)
    part = attach_client(realm, session, client, scope)
    if realm.levels:
        part.acr = realm.levels[0]
    grant = Grant(client=client, user=user, session=session, part=part, jti_prefix=JTI_DIRECT)
    return token_answer(realm, grant)


def _proven_user(realm: Realm, form: Mapping[str, str]) -> User:
    if "username" not in form:
        raise OAuthError(401, "invalid_request", "Missing parameter: username")
    user = realm.users.find(form["username"])
    refusal = credentials_refusal(user, form.get("password", ""))
    if user is None or refusal is not None:
        raise invalid_grant(refusal or WRONG_CREDENTIALS)
    code = form.get("otp", form.get("totp", ""))
    if user.otp_secret is not None and not user.spends_otp(code, realm.clock()):
        raise invalid_grant(WRONG_CREDENTIALS)
    if user.required_actions:
        raise invalid_grant("Account is not fully set up")
    return user


WRONG_CREDENTIALS: Final = "Invalid user credentials"


def credentials_refusal(user: User | None, password: str) -> str | None:
    """Why this password does not let this user in, or None. "Disabled" is told only after a right password."""
    if user is None or user.state is UserState.LOCKED or not user.has_password(password):
        return WRONG_CREDENTIALS
    return "Account disabled" if user.state is UserState.DISABLED else None


def open_session(realm: Realm, user: User, scope: tuple[str, ...]) -> UserSession:
    """A new session; an offline one when ``offline_access`` was asked for: Keycloak then keeps no online one.

    Raises:
        OAuthError: 400 ``not_allowed`` when the user may have no offline session.
    """
    now = realm.clock()
    persistence = Persistence.ONLINE
    if "offline_access" in scope:
        if "offline_access" not in effective_roles(user).realm:
            raise OAuthError(400, "not_allowed", "Offline tokens not allowed for the user or client")
        persistence = Persistence.OFFLINE
    session = UserSession(
        sid=new_sid(), subject=user.subject, started_at=now, refreshed_at=now, persistence=persistence
    )
    return realm.sessions.add(session)


def attach_client(realm: Realm, session: UserSession, client: Client, scope: tuple[str, ...]) -> ClientSession:
    """The client's part of the session; a second login of the same client takes up the part that is there."""
    part = session.clients.get(client.client_id)
    if part is None:
        now = realm.clock()
        part = ClientSession(client_id=client.client_id, scope=scope, started_at=now, refreshed_at=now)
        session.clients[client.client_id] = part
    part.scope, part.refreshed_at = scope, realm.clock()
    return part


def refresh_grant(realm: Realm, client: Client, form: Mapping[str, str]) -> dict[str, Any]:
    """RFC 6749 §6. The scope asked for changes little: all default scopes and an ID token come again.

    But without ``openid`` in it the access token does not name ``openid``, and userinfo will refuse it.
    """
    token = form.get("refresh_token")
    if token is None:
        raise invalid_request("No refresh token")
    found = session_of_refresh_token(realm, client, token)
    spend_refresh_token(realm, found)
    found.session.refreshed_at = found.part.refreshed_at = realm.clock()
    return token_answer(realm, _refreshed_grant(client, found, form.get("scope")))


def _refreshed_grant(client: Client, found: RefreshedSession, asked: str | None) -> Grant:
    shown = found.part.scope
    if asked is not None and "openid" not in asked.split():
        shown = tuple(name for name in shown if name != "openid")
    return Grant(
        client=client,
        user=found.user,
        session=found.session,
        part=found.part,
        jti_prefix=JTI_REFRESH,
        family=found.claims.get("reuse_id"),
        shown_scope=shown,
    )


def code_grant(realm: Realm, client: Client, form: Mapping[str, str]) -> dict[str, Any]:
    """RFC 6749 §4.1.3 with RFC 7636. A code is gone after the first try, also after a failed one."""
    if "code" not in form:
        raise invalid_request("Missing parameter: code")
    code = _taken_code(realm, form["code"])
    user, session = _session_of_code(realm, code)
    _check_exchange(code.asked, client, form)
    part = _part_of_code(session, client)
    if "offline_access" in code.asked.scope:
        session = _turned_offline(realm, session, part)
    grant = Grant(client=client, user=user, session=session, part=part, jti_prefix=JTI_CODE, nonce=code.asked.nonce)
    return token_answer(realm, grant)


def _taken_code(realm: Realm, value: str) -> Code:
    code = realm.codes.pop(value, None)
    if code is None:
        _detach_by_code(realm, value)
        raise invalid_grant("Code not valid")
    if realm.clock() >= code.issued_at + realm.lifetimes_of(code.asked.client).code_s:
        raise invalid_grant("Code not valid")
    return code


def _detach_by_code(realm: Realm, value: str) -> None:
    """A code used twice may have been stolen: the tokens of its first exchange die (RFC 6749 §4.1.2)."""
    _, _, place = value.partition(".")
    sid, _, client_uuid = place.rpartition(".")
    client = realm.client_by_uuid(client_uuid)
    session = realm.live_session(sid)
    if client is not None and session is not None:
        session.clients.pop(client.client_id, None)


def _session_of_code(realm: Realm, code: Code) -> tuple[User, UserSession]:
    session = realm.live_session(code.sid)
    user = realm.users.by_subject(session.subject) if session is not None else None
    if session is None or user is None:
        raise invalid_grant("Code not valid")
    if user.state is UserState.DISABLED:
        raise invalid_grant("User disabled")
    return user, session


def _check_exchange(asked: AuthorizationRequest, client: Client, form: Mapping[str, str]) -> None:
    if form.get("redirect_uri") != asked.redirect_uri:
        raise invalid_grant("Incorrect redirect_uri")
    if client is not asked.client:
        raise invalid_grant("Auth error: Found different client_id in clientSession")
    _check_verifier(asked, form.get("code_verifier"))


def _check_verifier(asked: AuthorizationRequest, verifier: str | None) -> None:
    if asked.code_challenge is None:
        if verifier is not None:
            raise invalid_grant("PKCE code verifier specified but challenge not present in authorization")
        return
    if not verifier:
        raise invalid_grant("PKCE code verifier not specified")
    if _VERIFIER.fullmatch(verifier) is None:
        raise invalid_grant("PKCE verification failed: Invalid code verifier")
    if not hmac.compare_digest(challenge_of(verifier, asked.code_challenge_method), asked.code_challenge):
        raise invalid_grant("PKCE verification failed: Code mismatch")


def challenge_of(verifier: str, method: str = "S256") -> str:
    """RFC 7636 §4.2."""
    if method == "plain":
        return verifier
    return base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).rstrip(b"=").decode()


def _part_of_code(session: UserSession, client: Client) -> ClientSession:
    part = session.clients.get(client.client_id)
    if part is None:
        raise invalid_grant("Code not valid")
    return part


def _turned_offline(realm: Realm, session: UserSession, part: ClientSession) -> UserSession:
    """An offline session with the same ``sid``; the online one goes when this was its only client."""
    offline = UserSession(
        sid=session.sid,
        subject=session.subject,
        started_at=session.started_at,
        refreshed_at=realm.clock(),
        persistence=Persistence.OFFLINE,
        clients={part.client_id: part},
    )
    realm.sessions.add(offline)
    if set(session.clients) == {part.client_id}:
        realm.sessions.remove(session)
    return offline
