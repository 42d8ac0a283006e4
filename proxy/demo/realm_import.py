"""A realm from Keycloak's export format, as far as the embedded provider knows its parts: one file feeds both.

Pure: takes the parsed JSON, gives a ``Realm``. What it does not know it ignores, as the file is Keycloak's.
"""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING, Any, Final

from proxy.demo.clients import Client, Feature, Lifetimes
from proxy.demo.realm import Realm, Registration, Rotation
from proxy.demo.shape import Shape
from proxy.demo.users import User, UserState

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

#: Switches of a client, with what an export means by leaving them out.
_SWITCHES: Final = {
    "enabled": (Feature.ENABLED, True),
    "standardFlowEnabled": (Feature.STANDARD_FLOW, True),
    "directAccessGrantsEnabled": (Feature.DIRECT_GRANTS, False),
    "bearerOnly": (Feature.BEARER_ONLY, False),
    "consentRequired": (Feature.CONSENT_REQUIRED, False),
    "frontchannelLogout": (Feature.FRONTCHANNEL_LOGOUT, False),
}
#: The same of its attributes, whose values are text.
_ATTRIBUTES: Final = {
    "backchannel.logout.session.required": (Feature.BACKCHANNEL_SESSION_REQUIRED, "true"),
    "backchannel.logout.revoke.offline.tokens": (Feature.BACKCHANNEL_REVOKES_OFFLINE, "false"),
    "frontchannel.logout.session.required": (Feature.FRONTCHANNEL_SESSION_REQUIRED, "false"),
    "use.refresh.tokens": (Feature.REFRESH_TOKENS, "true"),
}


def realm_of_export(export: Mapping[str, Any], clock: Callable[[], float] = time.time) -> Realm:
    """A realm with the users and clients of the export, at ``/realms/<its name>``."""
    lifetimes = Lifetimes(
        access_token_s=export.get("accessTokenLifespan", Lifetimes().access_token_s),
        session_idle_s=export.get("ssoSessionIdleTimeout", Lifetimes().session_idle_s),
        session_max_s=export.get("ssoSessionMaxLifespan", Lifetimes().session_max_s),
    )
    realm = Realm(shape=Shape(f"/realms/{export['realm']}"), clock=clock, lifetimes=lifetimes)
    if export.get("revokeRefreshToken"):
        realm.rotation = Rotation(export.get("refreshTokenMaxReuse", 0))
    if export.get("registrationAllowed"):
        realm.registration = Registration.OPEN
    for user in export.get("users", []):
        realm.users.add(_user(user))
    for client in export.get("clients", []):
        realm.clients[client["clientId"]] = _client(client, lifetimes)
    return realm


def _user(entry: Mapping[str, Any]) -> User:
    credentials = {credential["type"]: credential for credential in entry.get("credentials", [])}
    return User(
        username=entry["username"],
        password=credentials.get("password", {}).get("value", ""),
        email=entry.get("email"),
        email_verified=bool(entry.get("emailVerified")),
        first_name=entry.get("firstName"),
        last_name=entry.get("lastName"),
        realm_roles=tuple(entry.get("realmRoles", ())),
        client_roles={client: tuple(roles) for client, roles in entry.get("clientRoles", {}).items()},
        groups=tuple(entry.get("groups", ())),
        state=UserState.ENABLED if entry.get("enabled") else UserState.DISABLED,
        required_actions=tuple(entry.get("requiredActions", ())),
        otp_secret=_otp_secret(credentials.get("otp")),
    )


def _otp_secret(credential: Mapping[str, Any] | None) -> bytes | None:
    """The raw bytes of the text; only authenticator apps want them in base32."""
    if credential is None:
        return None
    secret: str = json.loads(credential["secretData"])["value"]
    return secret.encode()


def _client(entry: Mapping[str, Any], realm_lifetimes: Lifetimes) -> Client:
    attributes = entry.get("attributes", {})
    mappers = {mapper["protocolMapper"]: mapper["config"] for mapper in entry.get("protocolMappers", [])}
    audience = mappers.get("oidc-audience-mapper", {}).get("included.client.audience")
    return Client(
        client_id=entry["clientId"],
        secret="" if entry.get("publicClient") else entry.get("secret", ""),
        features=_features(entry, attributes),
        root_url=entry.get("rootUrl", ""),
        redirect_uris=tuple(entry.get("redirectUris", ())),
        post_logout_redirect_uris=tuple(attributes.get("post.logout.redirect.uris", "+").split("##")),
        web_origins=tuple(entry.get("webOrigins", ())),
        backchannel_logout_url=attributes.get("backchannel.logout.url", ""),
        frontchannel_logout_url=attributes.get("frontchannel.logout.url", ""),
        audiences=(audience,) if audience else (),
        groups_claim=mappers.get("oidc-group-membership-mapper", {}).get("claim.name", ""),
        lifetimes=_lifetimes(attributes, realm_lifetimes),
    )


def _features(entry: Mapping[str, Any], attributes: Mapping[str, str]) -> Feature:
    features = Feature(0)
    for name, (feature, usual) in _SWITCHES.items():
        features |= feature if entry.get(name, usual) else Feature(0)
    for name, (feature, usual_text) in _ATTRIBUTES.items():
        features |= feature if attributes.get(name, usual_text) == "true" else Feature(0)
    if attributes.get("pkce.code.challenge.method") == "S256":
        features |= Feature.PKCE_REQUIRED
    return features


def _lifetimes(attributes: Mapping[str, str], realm: Lifetimes) -> Lifetimes | None:
    names = {
        "access_token_s": "access.token.lifespan",
        "session_idle_s": "client.session.idle.timeout",
        "session_max_s": "client.session.max.lifespan",
    }
    if not any(attribute in attributes for attribute in names.values()):
        return None
    own = {name: int(attributes.get(attribute, getattr(realm, name))) for name, attribute in names.items()}
    return Lifetimes(**own, code_s=realm.code_s, login_s=realm.login_s)
