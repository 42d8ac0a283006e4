"""The embedded provider and a real Keycloak behind one face, fed with one realm, so that one suite can ask both.

All is synchronous: the embedded one runs in a thread of its own, Keycloak is far away anyway.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import json
import secrets
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Protocol
from urllib.parse import quote

import jwt

from proxy.demo.issuer import Issuer, running_issuer
from proxy.demo.realm_import import realm_of_export
from tests.contracts.web_browser import Answer, WebBrowser
from tests.keycloak.realms import ACME

if TYPE_CHECKING:
    from collections.abc import Coroutine, Iterator, Mapping

    from tests.keycloak.server import KeycloakServer

SPECIAL_SECRET = "p+c%t and 50% more: ü"


class Administrator(Protocol):
    """What an administrator does to a provider; each is done when it returns."""

    def end_session(self, sid: str) -> None: ...
    def logout_user(self, username: str) -> None: ...
    def enable(self, username: str) -> None: ...
    def disable(self, username: str) -> None: ...
    def delete(self, username: str) -> None: ...
    def add_user(self, username: str) -> None: ...
    def give_role(self, username: str, role: str) -> None: ...
    def take_role(self, username: str, role: str) -> None: ...
    def rotate_key(self) -> str: ...
    def delete_key(self, key: str) -> None: ...


class Provider:
    """One realm of one provider, and what a client and a browser ask of it."""

    def __init__(self, issuer: str, administrator: Administrator, client_base: str) -> None:
        self.issuer = issuer
        self.administrator = administrator
        self.client_base = client_base

    def endpoint(self, name: str) -> str:
        return f"{self.issuer}/protocol/openid-connect/{name}"

    # -- as a client

    def token(self, client: str = "legacy-app", /, **form: str | None) -> Answer:
        """POST to the token endpoint with the client's secret in the form; None leaves a field out."""
        fields = {"client_id": client, "client_secret": f"{client}-secret", **form}
        present = {name: value for name, value in fields.items() if value is not None}
        return WebBrowser().post(self.endpoint("token"), present)

    def direct(self, username: str = "alice", client: str = "legacy-app", /, **changes: str | None) -> Answer:
        """A password grant; the password is the user's own unless changed."""
        form: dict[str, str | None] = {"grant_type": "password", "username": username, "password": f"{username}-pw"}
        return self.token(client, **{**form, "scope": "openid", **changes})

    def refresh(self, refresh_token: str, client: str = "legacy-app", /, **changes: str | None) -> Answer:
        return self.token(client, **{"grant_type": "refresh_token", "refresh_token": refresh_token, **changes})

    def call(self, name: str, client: str = "legacy-app", /, **form: str | None) -> Answer:
        """POST to another endpoint of clients: revoke, token/introspect, logout."""
        fields = {"client_id": client, "client_secret": f"{client}-secret", **form}
        present = {name: value for name, value in fields.items() if value is not None}
        return WebBrowser().post(self.endpoint(name), present)

    def userinfo(self, access_token: str) -> Answer:
        return WebBrowser().get(self.endpoint("userinfo"), Authorization=f"Bearer {access_token}")

    def account(self, method: str, path: str, access_token: str) -> Answer:
        headers = {"Authorization": f"Bearer {access_token}", "Accept": "application/json"}
        return WebBrowser().request(method, f"{self.issuer}/account/{path}", headers=headers)

    # -- as a browser

    def redirect_uri(self, client: str = "legacy-app") -> str:
        return f"{self.client_base}/{client}/callback"

    def authorize(self, browser: WebBrowser, client: str = "legacy-app", /, **changes: str | None) -> Answer:
        """GET of the authorization endpoint, with PKCE of ``VERIFIER``; None leaves a parameter out."""
        parameters: dict[str, str | None] = {
            "response_type": "code",
            "client_id": client,
            "redirect_uri": self.redirect_uri(client),
            "scope": "openid",
            "state": "the state",
            "nonce": "the-nonce",
            "code_challenge": challenge(VERIFIER),
            "code_challenge_method": "S256",
            **changes,
        }
        return browser.get(
            self.endpoint("auth"), {name: value for name, value in parameters.items() if value is not None}
        )

    def sign_in(
        self, browser: WebBrowser, username: str = "alice", client: str = "legacy-app", /, **changes: str | None
    ) -> Answer:
        """The answer to the login form, which carries the code."""
        page = self.authorize(browser, client, **changes)
        assert page.status == 200, page.location
        return browser.post(page.form_action, {"username": username, "password": f"{username}-pw"})

    def exchange(self, code: str, client: str = "legacy-app", /, **changes: str | None) -> Answer:
        form: dict[str, str | None] = {
            "grant_type": "authorization_code",
            "code": code,
            "redirect_uri": self.redirect_uri(client),
            "code_verifier": VERIFIER,
        }
        return self.token(client, **{**form, **changes})

    def browser_tokens(
        self, browser: WebBrowser, username: str = "alice", client: str = "legacy-app", /, **changes: str | None
    ) -> dict[str, Any]:
        """Tokens of a whole code flow, through the form or single sign-on."""
        answer = self.authorize(browser, client, **changes)
        if answer.status == 200:
            answer = browser.post(answer.form_action, {"username": username, "password": f"{username}-pw"})
        tokens: dict[str, Any] = self.exchange(answer.parameters["code"], client).json
        return tokens

    def logout(self, browser: WebBrowser, **parameters: str) -> Answer:
        return browser.get(self.endpoint("logout"), parameters)


VERIFIER = "the-verifier-of-these-tests-0123456789-abcdefghij"


def challenge(verifier: str) -> str:
    return base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).rstrip(b"=").decode()


def claims(token: str) -> dict[str, Any]:
    """The claims of a token, unverified, in their order."""
    payload = token.split(".")[1]
    decoded: dict[str, Any] = json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
    return decoded


def header(token: str) -> dict[str, Any]:
    return jwt.get_unverified_header(token)


# -- the realm that both are fed with


def contract_realm(name: str, client_base: str, **extra: object) -> dict[str, Any]:
    """The realm of ``config/keycloak/acme-realm.json`` under another name, with clients and users for single laws."""
    text = ACME.read_text().replace("default-roles-acme", f"default-roles-{name}")
    realm: dict[str, Any] = json.loads(text.replace("http://127.0.0.1:18999", client_base))
    usual = next(client for client in realm["clients"] if client["clientId"] == "legacy-app")
    realm["clients"] += [_variant(usual, client_base, client_id, **changes) for client_id, changes in VARIANTS.items()]
    realm["users"].append(_user_without_default_roles())
    return {**realm, "realm": name, **extra}


FRONTCHANNEL = {
    "frontchannel.logout.url": "http://127.0.0.1:18999/front",
    "frontchannel.logout.session.required": "true",
}

VARIANTS: dict[str, dict[str, Any]] = {
    "public-app": {"publicClient": True},
    "disabled-app": {"enabled": False},
    "consent-app": {"consentRequired": True},
    "special-app": {"secret": SPECIAL_SECRET},
    "loose-app": {"attributes": {"pkce.code.challenge.method": ""}},
    "short-app": {"attributes": {"client.session.idle.timeout": "60", "access.token.lifespan": "30"}},
    "ending-app": {"attributes": {"client.session.max.lifespan": "120"}},
    "brief-app": {"attributes": {"client.session.idle.timeout": "2"}},
    "subject-app": {"attributes": {"backchannel.logout.session.required": "false"}},
    "front-app": {"frontchannelLogout": True, "attributes": FRONTCHANNEL},
    "no-refresh-app": {"attributes": {"use.refresh.tokens": "false"}},
}


def _variant(usual: Mapping[str, Any], client_base: str, client_id: str, **changes: Any) -> dict[str, Any]:
    attributes = {
        **usual["attributes"],
        "backchannel.logout.url": f"{client_base}/bc/{client_id}",
        **changes.pop("attributes", {}),
    }
    own = {
        "clientId": client_id,
        "name": client_id,
        "secret": f"{client_id}-secret",
        "redirectUris": [f"{client_base}/{client_id}/*"],
        "attributes": attributes,
    }
    return {**usual, **own, **changes}


def _user_without_default_roles() -> dict[str, Any]:
    return {
        "username": "frank",
        "enabled": True,
        "email": "frank@acme.test",
        "emailVerified": True,
        "firstName": "Frank",
        "lastName": "Test",
        "credentials": [{"type": "password", "value": "frank-pw", "temporary": False}],
        "realmRoles": ["viewer"],
        "clientRoles": {},
        "groups": [],
        "requiredActions": [],
    }


# -- the embedded provider


class _EmbeddedAdministrator:
    def __init__(self, issuer: Issuer, loop: asyncio.AbstractEventLoop) -> None:
        self._issuer = issuer
        self._loop = loop

    def end_session(self, sid: str) -> None:
        self._wait(self._issuer.end_session(sid))

    def logout_user(self, username: str) -> None:
        self._wait(self._issuer.logout_user(username))

    def enable(self, username: str) -> None:
        self._issuer.enable_user(username)

    def disable(self, username: str) -> None:
        self._issuer.disable_user(username)

    def delete(self, username: str) -> None:
        self._issuer.delete_user(username)

    def add_user(self, username: str) -> None:
        self._issuer.add_user(username, f"{username}-pw", email=f"{username}@acme.test")

    def give_role(self, username: str, role: str) -> None:
        user = self._issuer.users[username]
        user.realm_roles = (*user.realm_roles, role)

    def take_role(self, username: str, role: str) -> None:
        user = self._issuer.users[username]
        user.realm_roles = tuple(each for each in user.realm_roles if each != role)

    def rotate_key(self) -> str:
        return self._issuer.rotate_keys().kid

    def delete_key(self, key: str) -> None:
        self._issuer.remove_key(key)

    def _wait(self, work: Coroutine[Any, Any, None]) -> None:
        asyncio.run_coroutine_threadsafe(work, self._loop).result(timeout=30)


@contextmanager
def embedded_provider(export: dict[str, Any], client_base: str) -> Iterator[Provider]:
    """The realm in the embedded provider, on a loop in a thread."""
    loop, ready, done = asyncio.new_event_loop(), threading.Event(), asyncio.Event()
    running: list[Issuer] = []

    async def serve() -> None:
        async with running_issuer(realm_of_export(export)) as issuer:
            running.append(issuer)
            ready.set()
            await done.wait()

    thread = threading.Thread(target=loop.run_until_complete, args=(serve(),))
    thread.start()
    assert ready.wait(timeout=10)
    try:
        yield Provider(running[0].url, _EmbeddedAdministrator(running[0], loop), client_base)
    finally:
        loop.call_soon_threadsafe(done.set)
        thread.join(timeout=10)
        loop.close()


# -- the real one


class _KeycloakAdministrator:
    def __init__(self, server: KeycloakServer, realm: str) -> None:
        self._admin = server.admin
        self._realm = realm

    def end_session(self, sid: str) -> None:
        self.call("DELETE", f"/sessions/{quote(sid, safe='')}")

    def logout_user(self, username: str) -> None:
        self.call("POST", f"/users/{self._user(username)['id']}/logout")

    def enable(self, username: str) -> None:
        self._change(username, enabled=True)

    def disable(self, username: str) -> None:
        self._change(username, enabled=False)

    def delete(self, username: str) -> None:
        self.call("DELETE", f"/users/{self._user(username)['id']}")

    def add_user(self, username: str) -> None:
        password = {"type": "password", "value": f"{username}-pw", "temporary": False}
        names = {"firstName": username, "lastName": "Test", "email": f"{username}@acme.test"}
        self.call("POST", "/users", {"username": username, "enabled": True, "credentials": [password], **names})

    def give_role(self, username: str, role: str) -> None:
        self.call("POST", f"/users/{self._user(username)['id']}/role-mappings/realm", [self._role(role)])

    def take_role(self, username: str, role: str) -> None:
        self.call("DELETE", f"/users/{self._user(username)['id']}/role-mappings/realm", [self._role(role)])

    def rotate_key(self) -> str:
        return asyncio.run(self._admin.rotate_key(realm=self._realm))

    def delete_key(self, key: str) -> None:
        asyncio.run(self._admin.delete_key(key, realm=self._realm))

    def call(self, method: str, path: str, body: object = None) -> Any:
        return asyncio.run(self._admin.call(method, f"/{self._realm}{path}", json=body))

    def _user(self, username: str) -> dict[str, Any]:
        found: list[dict[str, Any]] = self.call("GET", f"/users?username={username}&exact=true")
        return found[0]

    def _role(self, name: str) -> Any:
        return self.call("GET", f"/roles/{name}")

    def _change(self, username: str, **changes: object) -> None:
        user = self._user(username)
        self.call("PUT", f"/users/{user['id']}", {**user, **changes})


@contextmanager
def keycloak_provider(server: KeycloakServer, export: dict[str, Any], client_base: str) -> Iterator[Provider]:
    """The realm in the real Keycloak, under a name of its own; it goes with the server, as deleting takes seconds."""
    name = f"{export['realm']}-{secrets.token_hex(3)}"
    text = json.dumps({**export, "realm": name}).replace(f"default-roles-{export['realm']}", f"default-roles-{name}")
    asyncio.run(server.admin.call("POST", "", json=json.loads(text)))
    yield Provider(f"{server.base_url}/realms/{name}", _KeycloakAdministrator(server, name), client_base)
