"""One who asks the embedded provider things: a browser with cookies, or the client ``app``."""

from __future__ import annotations

import base64
import json
import re
from html import unescape
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, urlsplit

if TYPE_CHECKING:
    from collections.abc import Mapping

    import aiohttp

    from proxy.demo.issuer import Issuer

CALLBACK = "http://app.test/callback"


class Reply:
    """One answer, read to its end."""

    def __init__(self, answer: aiohttp.ClientResponse, body: bytes) -> None:
        self.status = answer.status
        self.headers = answer.headers
        self.url = str(answer.url)
        self.body = body

    @property
    def text(self) -> str:
        return self.body.decode()

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def parameters(self) -> dict[str, str]:
        return dict(parse_qsl(urlsplit(self.headers.get("Location", "")).query))

    @property
    def form_action(self) -> str:
        found = re.search(r'<form[^>]*\baction="([^"]+)"', self.text)
        assert found is not None, self.text
        return unescape(found[1])

    @property
    def hidden(self) -> dict[str, str]:
        found = re.findall(r'<input type="hidden" name="([^"]*)" value="([^"]*)">', self.text)
        return {unescape(name): unescape(value) for name, value in found}


class Visitor:
    """A browser with cookies, or the client ``app``; follows no redirects."""

    def __init__(self, issuer: Issuer, http: aiohttp.ClientSession) -> None:
        self.issuer = issuer
        self._http = http

    async def ask(self, method: str, url: str, **options: Any) -> Reply:
        async with self._http.request(method, url, allow_redirects=False, **options) as answer:
            return Reply(answer, await answer.read())

    async def get(self, url: str, query: Mapping[str, str] | None = None, **headers: str) -> Reply:
        return await self.ask("GET", url, params=query, headers=headers)

    async def post(self, url: str, form: Mapping[str, str]) -> Reply:
        return await self.ask("POST", url, data=form)

    async def call(self, name: str, **form: str) -> Reply:
        """An endpoint for clients, with the secret in the form."""
        return await self.post(self.issuer.endpoint(name), {"client_id": "app", "client_secret": "app-secret", **form})

    async def direct(self, username: str = "alice", **form: str) -> Reply:
        usual = {"grant_type": "password", "username": username, "password": f"{username}-pw", "scope": "openid"}
        return await self.call("token", **{**usual, **form})

    async def refresh(self, tokens: Mapping[str, Any]) -> Reply:
        return await self.call("token", grant_type="refresh_token", refresh_token=tokens["refresh_token"])

    async def authorize(self, **changes: str) -> Reply:
        usual = {"response_type": "code", "client_id": "app", "redirect_uri": CALLBACK, "scope": "openid", "state": "s"}
        return await self.get(self.issuer.endpoint("auth"), {**usual, **changes})

    async def sign_in(self, username: str = "alice", **changes: str) -> Reply:
        page = await self.authorize(**changes)
        return await self.post(page.form_action, {"username": username, "password": f"{username}-pw"})

    async def exchange(self, code: str) -> Reply:
        return await self.call("token", grant_type="authorization_code", code=code, redirect_uri=CALLBACK)

    async def browser_tokens(self) -> dict[str, Any]:
        tokens: dict[str, Any] = (await self.exchange((await self.sign_in()).parameters["code"])).json
        return tokens


def claims(token: str) -> dict[str, Any]:
    """The claims of a token, unverified."""
    payload = token.split(".")[1]
    decoded: dict[str, Any] = json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
    return decoded
