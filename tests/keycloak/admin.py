"""What an administrator does to the test server, by the admin REST API; each call is done when it returns.

Every method takes ``realm`` (default ``acme``) as keyword. A call that Keycloak refuses is an AdminError.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import aiohttp

if TYPE_CHECKING:
    from collections.abc import Mapping

TIMEOUT = aiohttp.ClientTimeout(total=100)  # a new realm makes keys, and the machine may be busy
TOKEN_LIFE_S = 45
"""The token of admin-cli lives 60 s."""


class AdminError(Exception):
    """Keycloak refused an administrator's call."""


@dataclass(frozen=True, slots=True)
class Client:
    """A client made for one test."""

    uuid: str
    client_id: str
    secret: str
    realm: str


class KeycloakAdmin:
    """The administrator of one server."""

    def __init__(self, base_url: str) -> None:
        """Nothing is asked before the first call."""
        self._base_url = base_url
        self._token = ""
        self._token_until = 0.0

    async def call(
        self, method: str, path: str, *, json: object = None, params: Mapping[str, str] | None = None
    ) -> Any:
        """The decoded body (None when empty) of a call below ``/admin/realms``; for what has no method of its own.

        The id of what a POST made is the last segment of Location, and is returned when the body is empty.
        """
        async with aiohttp.ClientSession(timeout=TIMEOUT) as http:
            headers = {"Authorization": f"Bearer {await self._fresh_token(http)}"}
            url = f"{self._base_url}/admin/realms{path}"
            async with http.request(method, url, json=json, params=params, headers=headers) as answer:
                if answer.status >= 400:
                    raise AdminError(f"{method} {path}: {answer.status} {await answer.text()}")
                if await answer.read():
                    return await answer.json()
                return answer.headers.get("Location", "").rpartition("/")[2] or None

    # -- clients

    async def create_client(
        self, client_id: str, public_url: str, *, realm: str = "acme", prefix: str = "/_sidegate", **overrides: Any
    ) -> Client:
        """A confidential client for one Sidegate at ``public_url``, as the setup would make it; secret ``<id>-secret``.

        Args:
            overrides: fields of Keycloak's client; ``attributes`` and ``protocolMappers`` are merged, not replaced.
        """
        body = _sidegate_client(client_id, public_url.rstrip("/"), prefix=prefix)
        body["attributes"].update(overrides.pop("attributes", {}))
        body["protocolMappers"].extend(overrides.pop("protocolMappers", []))
        body.update(overrides)
        uuid = await self.call("POST", f"/{realm}/clients", json=body)
        return Client(uuid=uuid, client_id=client_id, secret=body["secret"], realm=realm)

    async def update_client(self, client: Client, **changes: Any) -> None:
        """Change some fields; absent fields and absent attributes stay."""
        await self.call("PUT", f"/{client.realm}/clients/{client.uuid}", json={"clientId": client.client_id, **changes})

    async def delete_client(self, client: Client) -> None:
        """Remove it with its sessions."""
        await self.call("DELETE", f"/{client.realm}/clients/{client.uuid}")

    async def find_client(self, client_id: str, *, realm: str = "acme") -> Client:
        """One that the realm has already; its secret is ``<id>-secret``."""
        found = await self.call("GET", f"/{realm}/clients", params={"clientId": client_id})
        return Client(uuid=found[0]["id"], client_id=client_id, secret=f"{client_id}-secret", realm=realm)

    # -- users

    async def create_user(
        self, username: str, *, realm: str = "acme", realm_roles: tuple[str, ...] = (), **overrides: Any
    ) -> str:
        """The id of a new, enabled user with password ``<username>-pw``; ``overrides`` are fields of Keycloak's user.

        The default roles come by themselves; ``realm_roles`` are added.
        """
        body = {
            "username": username,
            "enabled": True,
            "email": f"{username}@acme.test",
            "emailVerified": True,
            "firstName": username.capitalize(),
            "lastName": "Test",
            "credentials": [{"type": "password", "value": f"{username}-pw", "temporary": False}],
            **overrides,
        }
        user_id: str = await self.call("POST", f"/{realm}/users", json=body)
        await self.add_realm_roles(user_id, realm_roles, realm=realm)
        return user_id

    async def add_realm_roles(self, user_id: str, names: tuple[str, ...], *, realm: str = "acme") -> None:
        """Give roles that the realm has; seen in tokens from the next refresh on."""
        roles = [await self.call("GET", f"/{realm}/roles/{quote(name, safe='')}") for name in names]
        await self.call("POST", f"/{realm}/users/{user_id}/role-mappings/realm", json=roles)

    async def remove_realm_roles(self, user_id: str, names: tuple[str, ...], *, realm: str = "acme") -> None:
        """Take roles away; seen in tokens from the next refresh on."""
        roles = [await self.call("GET", f"/{realm}/roles/{quote(name, safe='')}") for name in names]
        await self.call("DELETE", f"/{realm}/users/{user_id}/role-mappings/realm", json=roles)

    async def user_id(self, username: str, *, realm: str = "acme") -> str:
        """The id of a user, which is the ``sub`` of tokens."""
        found = await self.call("GET", f"/{realm}/users", params={"username": username, "exact": "true"})
        user_id: str = found[0]["id"]
        return user_id

    async def update_user(self, user_id: str, *, realm: str = "acme", **changes: Any) -> None:
        """Change some fields of a user; absent ones stay."""
        user = await self.call("GET", f"/{realm}/users/{user_id}")
        await self.call("PUT", f"/{realm}/users/{user_id}", json={**user, **changes})

    async def enable_user(self, user_id: str, *, realm: str = "acme") -> None:
        """Let the user in; old refresh tokens work again."""
        await self.update_user(user_id, realm=realm, enabled=True)

    async def disable_user(self, user_id: str, *, realm: str = "acme") -> None:
        """Refuse logins and refreshes; no back-channel logout is sent."""
        await self.update_user(user_id, realm=realm, enabled=False)

    async def set_required_actions(self, user_id: str, *actions: str, realm: str = "acme") -> None:
        """What the user must do at the next login (``UPDATE_PASSWORD`` ...); none clears them."""
        await self.update_user(user_id, realm=realm, requiredActions=list(actions))

    async def reset_password(self, user_id: str, password: str, *, realm: str = "acme") -> None:
        """Set a password that needs no change; sessions go on."""
        body = {"type": "password", "value": password, "temporary": False}
        await self.call("PUT", f"/{realm}/users/{user_id}/reset-password", json=body)

    async def delete_user(self, user_id: str, *, realm: str = "acme") -> None:
        """Remove a user; no back-channel logout is sent."""
        await self.call("DELETE", f"/{realm}/users/{user_id}")

    # -- sessions

    async def sessions(self, user_id: str, *, realm: str = "acme") -> list[dict[str, Any]]:
        """The user's online sessions; ``id`` is the ``sid`` of tokens."""
        found: list[dict[str, Any]] = await self.call("GET", f"/{realm}/users/{user_id}/sessions")
        return found

    async def delete_session(self, sid: str, *, realm: str = "acme") -> None:
        """End one session; a back-channel logout is sent."""
        await self.call("DELETE", f"/{realm}/sessions/{quote(sid, safe='')}")

    async def logout_user(self, user_id: str, *, realm: str = "acme") -> None:
        """End all online sessions of a user; a back-channel logout is sent for each."""
        await self.call("POST", f"/{realm}/users/{user_id}/logout")

    async def logout_all(self, *, realm: str = "acme") -> None:
        """End every session of the realm; only admin URLs hear of it, and older tokens are stale from then on."""
        await self.call("POST", f"/{realm}/logout-all")

    async def set_not_before(self, at: int, *, realm: str = "acme") -> None:
        """Tokens from before ``at`` (Unix seconds) are stale; 0 takes it back."""
        await self.update_realm(realm=realm, notBefore=at)

    async def push_not_before(self, *, realm: str = "acme") -> dict[str, Any]:
        """Tell the admin URLs; which were reached and which not."""
        result: dict[str, Any] = await self.call("POST", f"/{realm}/push-revocation")
        return result

    # -- the realm

    async def update_realm(self, *, realm: str = "acme", **changes: Any) -> None:
        """Change some fields of the realm; take it back at the end of the test, because the server is shared."""
        await self.call("PUT", f"/{realm}", json={"realm": realm, **changes})

    async def brute_force_status(self, user_id: str, *, realm: str = "guarded") -> dict[str, Any]:
        """``numFailures``, ``disabled`` ...; it lags behind the failures, so poll."""
        status: dict[str, Any] = await self.call("GET", f"/{realm}/attack-detection/brute-force/users/{user_id}")
        return status

    async def unlock_user(self, user_id: str, *, realm: str = "guarded") -> None:
        """Forget the failures of a user."""
        await self.call("DELETE", f"/{realm}/attack-detection/brute-force/users/{user_id}")

    async def rotate_key(self, *, realm: str = "acme", priority: int = 200) -> str:
        """A new RS256 key that signs from now on; the id of its component, for ``delete_key``."""
        parent = (await self.call("GET", f"/{realm}"))["id"]
        config = {"priority": [str(priority)], "enabled": ["true"], "active": ["true"]}
        body = {
            "name": f"rsa-{time.time_ns()}",
            "providerId": "rsa-generated",
            "providerType": "org.keycloak.keys.KeyProvider",
            "parentId": parent,
            "config": {**config, "keySize": ["2048"], "algorithm": ["RS256"]},
        }
        component: str = await self.call("POST", f"/{realm}/components", json=body)
        return component

    async def delete_key(self, component: str, *, realm: str = "acme") -> None:
        """Remove a key; what it signed verifies no more."""
        await self.call("DELETE", f"/{realm}/components/{component}")

    async def _fresh_token(self, http: aiohttp.ClientSession) -> str:
        if time.monotonic() > self._token_until:
            form = {"grant_type": "password", "client_id": "admin-cli", "username": "admin", "password": "admin"}
            url = f"{self._base_url}/realms/master/protocol/openid-connect/token"
            async with http.post(url, data=form) as answer:
                if answer.status != 200:
                    raise AdminError(f"admin login: {answer.status} {await answer.text()}")
                self._token = (await answer.json())["access_token"]
                self._token_until = time.monotonic() + TOKEN_LIFE_S
        return self._token


def _sidegate_client(client_id: str, public_url: str, *, prefix: str) -> dict[str, Any]:
    return {
        "clientId": client_id,
        "name": client_id,
        "enabled": True,
        "protocol": "openid-connect",
        "publicClient": False,
        "clientAuthenticatorType": "client-secret",
        "secret": f"{client_id}-secret",
        "standardFlowEnabled": True,
        "implicitFlowEnabled": False,
        "directAccessGrantsEnabled": True,
        "serviceAccountsEnabled": False,
        # True would switch back-channel logout off altogether.
        "frontchannelLogout": False,
        "rootUrl": public_url,
        "baseUrl": "/",
        # Absent, it would be set to rootUrl.
        "adminUrl": "",
        "redirectUris": [f"{public_url}{prefix}/callback"],
        "webOrigins": [],
        "attributes": {
            "pkce.code.challenge.method": "S256",
            "post.logout.redirect.uris": f"{public_url}{prefix}/logged-out",
            "backchannel.logout.url": f"{public_url}{prefix}/backchannel-logout",
            "backchannel.logout.session.required": "true",
            "backchannel.logout.revoke.offline.tokens": "false",
        },
        "protocolMappers": [_GROUPS],
    }


_GROUPS: Mapping[str, object] = {
    "name": "groups",
    "protocol": "openid-connect",
    "protocolMapper": "oidc-group-membership-mapper",
    "config": {
        "claim.name": "groups",
        "full.path": "true",
        "access.token.claim": "true",
        "id.token.claim": "true",
        "userinfo.token.claim": "true",
        "introspection.token.claim": "true",
    },
}
