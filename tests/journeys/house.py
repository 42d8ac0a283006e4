"""A whole house: Keycloak, a Sidegate process and an app in gunicorn behind it, and people at its door."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
import json
import re
import struct
import time
import uuid
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from tests.contracts.web_browser import Answer, WebBrowser
from tests.support.legacy_app import LegacyApp
from tests.support.ports import free_port
from tests.support.sidegate_process import SidegateProcess

if TYPE_CHECKING:
    from collections.abc import Coroutine, Mapping
    from pathlib import Path

    from tests.keycloak.admin import Client
    from tests.keycloak.server import KeycloakServer

ROUTES = [
    {"path": "/static/**", "access": "public"},
    {"path": "/signout", "logout": True},
    {"path": "/admin/**", "access": {"any_role": ["editor"]}},
    {"path": "/group/**", "access": {"any_group": ["/staff"]}},
    {"path": "/**", "access": "authenticated"},
]


def wait_for(work: Coroutine[Any, Any, Any]) -> Any:
    """Run a call of the administrator from a test without a loop."""
    return asyncio.run(work)


class House:
    """Everything between a browser and an app; made with a client of its own in Keycloak."""

    def __init__(
        self,
        keycloak: KeycloakServer,
        folder: Path,
        /,
        *,
        realm: str = "acme",
        application: str = "tests.support.environ_wsgi:application",
        client: Mapping[str, Any] | None = None,
        access_token: bool = False,
        **file: Any,
    ) -> None:
        """Start the app and Sidegate.

        Args:
            client: changes to the client in Keycloak.
            access_token: whether the app is sent it.
            file: sections of the settings, merged into the ordinary ones.
        """
        self.keycloak = keycloak
        self.realm = realm
        port = free_port()
        self.url = f"http://127.0.0.1:{port}"
        name = f"house-{uuid.uuid4().hex[:12]}"
        self.client: Client = wait_for(keycloak.admin.create_client(name, self.url, realm=realm, **(client or {})))
        self.app = LegacyApp(application, folder)
        upstream = {"url": self.app.url, "access_token": access_token}
        self.sidegate = SidegateProcess(self._file(port, upstream, file), folder)

    def _file(self, port: int, upstream: Mapping[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
        file: dict[str, Any] = {
            "server": {"listen": f"127.0.0.1:{port}", "public_url": self.url},
            "keycloak": {
                "issuer": self.keycloak.issuer(self.realm),
                "client_id": self.client.client_id,
                "client_auth": {"secret": {"value": self.client.secret}},
            },
            "upstreams": {"app": dict(upstream)},
            "routes": ROUTES,
        }
        for section, keys in changes.items():
            file[section] = {**file[section], **keys} if isinstance(file.get(section), dict) else keys
        return file

    def wait_until_ready(self) -> None:
        self.app.wait_until_ready()
        self.sidegate.wait_until_ready()

    def end(self) -> None:
        try:
            self.sidegate.end()
        finally:
            self.app.end()
            wait_for(self.keycloak.admin.delete_client(self.client))


class Person:
    """Somebody with a browser without script, in front of a house."""

    def __init__(self, house: House, browser: WebBrowser | None = None) -> None:
        self.house = house
        self.browser = browser or WebBrowser()

    def get(self, path: str, **headers: str) -> Answer:
        return self.browser.get(self.house.url + path, **{"Accept": "text/html", **headers})

    def post(self, path: str, form: Mapping[str, str], **headers: str) -> Answer:
        return self.browser.post(self.house.url + path, form, **{"Accept": "text/html", **headers})

    def submit_form(self, username: str, password: str, *, at: str = "/_sidegate/login", **fields: str) -> Answer:
        """Open the login page and send it."""
        page = self.get(at)
        assert page.status == 200, page.text
        form = {**page.hidden_inputs(), "username": username, "password": password, **fields}
        return self.browser.post(page.form_action, form, Accept="text/html", Origin=self.house.url)

    def sign_in(self, username: str = "alice", **fields: str) -> Answer:
        """Sign in by the form; it must work."""
        answer = self.submit_form(username, f"{username}-pw", **fields)
        assert answer.status == 303, answer.text
        return answer

    def sign_in_at_keycloak(self, username: str = "alice", *, start: str = "/_sidegate/start") -> Answer:
        """Sign in by the code flow; returns the answer of our callback."""
        answer = self.get(start)
        assert answer.status == 302, answer.text
        answer = self.browser.get(answer.location, Accept="text/html")
        if answer.status == 200:
            form = {"username": username, "password": f"{username}-pw", "credentialId": ""}
            answer = self.browser.post(answer.form_action, form)
        assert answer.status == 302, answer.text
        assert answer.location.startswith(f"{self.house.url}/_sidegate/callback?")
        return self.browser.get(answer.location, Accept="text/html")

    def follow(self, answer: Answer) -> Answer:
        """Go where an answer points."""
        location = answer.location
        return self.browser.get(
            location if location.startswith("http") else self.house.url + location, Accept="text/html"
        )

    def told_to_app(self, path: str = "/who") -> dict[str, Any]:
        """What the app behind is told."""
        answer = self.get(path)
        assert answer.status == 200, (answer.status, answer.location, answer.text[:300])
        told = answer.json
        assert isinstance(told, dict)
        return told

    def is_signed_in(self) -> bool:
        passes = self.get("/who").status == 200
        assert self.get("/_sidegate/status").json["authenticated"] is passes
        return passes


def sid_of(house: House, username: str) -> list[str]:
    """Session ids that Keycloak has for this person at this client."""
    admin, realm = house.keycloak.admin, house.realm

    async def look() -> list[str]:
        sessions = await admin.sessions(await admin.user_id(username, realm=realm), realm=realm)
        return [one["id"] for one in sessions if house.client.client_id in one["clients"].values()]

    found: list[str] = wait_for(look())
    return found


def totp(secret: bytes, at: float | None = None) -> str:
    """RFC 6238 with SHA-1, 30 seconds, six digits."""
    counter = struct.pack(">Q", int((time.time() if at is None else at) // 30))
    digest = hmac.new(secret, counter, hashlib.sha1).digest()
    offset = digest[-1] & 15
    number = struct.unpack(">I", digest[offset : offset + 4])[0] & 0x7FFFFFFF
    return f"{number % 1_000_000:06d}"


def decoded(jws: str) -> dict[str, Any]:
    """The payload of a JWS, unverified."""
    payload = jws.split(".")[1]
    return dict(json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4))))


def path_of(location: str) -> str:
    parts = urlsplit(location)
    return parts.path + (f"?{parts.query}" if parts.query else "")


def forms_of(answer: Answer) -> list[str]:
    return re.findall(r"<form[^>]*>", answer.text)
