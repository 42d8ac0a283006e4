"""An admin API that can be told to fail, and remembers what it was sent: for faults that a real one does not make."""

from __future__ import annotations

import json
from typing import Any

from aiohttp import web

TOKEN_PATH = "/realms/master/protocol/openid-connect/token"
CLIENTS = "/admin/realms/acme/clients"


class FakeKeycloak:
    """One client ``app`` with every answer at hand.

    Attributes:
        answers: ``METHOD path`` -> status and body; what stands there comes first.
        asked: ``METHOD path`` of each request, in order.
        sent: bodies of the requests that had JSON.
        expires_in: seconds that a token lives, as it says.
    """

    def __init__(self) -> None:
        self.answers: dict[str, tuple[int, object]] = {}
        self.asked: list[str] = []
        self.sent: list[Any] = []
        self.expires_in = 60
        self.refuse_tokens_below = 0
        self._tokens = 0
        self.client: dict[str, Any] | None = {"id": "u", "clientId": "app", "protocol": "openid-connect"}

    @property
    def tokens(self) -> int:
        """How many it gave."""
        return self._tokens

    def application(self) -> web.Application:
        app = web.Application()
        app.router.add_route("*", "/{path:.*}", self._answer)
        return app

    async def _answer(self, request: web.Request) -> web.Response:
        name = f"{request.method} {request.path}"
        self.asked.append(name)
        if request.content_type == "application/json":
            self.sent.append(await request.json())
        status, body = self.answers.get(name) or self._usual(request)
        if isinstance(body, str):
            return web.Response(status=status, text=body, content_type="text/html")
        return web.Response(status=status, body=json.dumps(body).encode(), content_type="application/json")

    def _usual(self, request: web.Request) -> tuple[int, object]:
        if request.path == TOKEN_PATH:
            self._tokens += 1
            return 200, {"access_token": f"t{self._tokens}", "expires_in": self.expires_in}
        if int(request.headers["Authorization"].removeprefix("Bearer t")) < self.refuse_tokens_below:
            return 401, {"error": "HTTP 401 Unauthorized"}
        if request.method != "GET":
            return 204, {}
        if request.path == CLIENTS:
            return 200, [self.client] if self.client else []
        return 200, {"value": "the-secret"} if request.path.endswith("/client-secret") else []
