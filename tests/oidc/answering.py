"""A small real HTTP server that gives the answers a test lays out, and remembers what it was asked."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeAlias

from aiohttp import web

if TYPE_CHECKING:
    import ssl
    from collections.abc import AsyncIterator, Mapping

Answer: TypeAlias = Callable[["Asked"], Awaitable[web.StreamResponse]]


@dataclass(frozen=True, slots=True)
class Asked:
    """One request: its raw path with query, fields (names in lower case) and body."""

    method: str
    path: str
    headers: Mapping[str, str]
    form: Mapping[str, str]
    body: bytes


@dataclass(slots=True)
class AnsweringServer:
    """What it answers is in ``answers``, by path without query; 404 otherwise."""

    url: str = ""
    answers: dict[str, Answer] = field(default_factory=dict)
    asked: list[Asked] = field(default_factory=list)
    over: asyncio.Event = field(default_factory=asyncio.Event)

    def give(self, path: str, body: object = None, *, status: int = 200, **headers: str) -> None:
        """Answer so from now on; anything but bytes is sent as JSON."""
        raw = body if isinstance(body, bytes) else json.dumps(body).encode()
        fields = {
            "Content-Type": "application/json",
            **{name.replace("_", "-"): value for name, value in headers.items()},
        }

        async def answer(_asked: Asked) -> web.StreamResponse:
            return web.Response(status=status, body=raw, headers=fields)

        self.answers[path] = answer

    def hang(self, path: str) -> None:
        """Never answer."""

        async def answer(_asked: Asked) -> web.StreamResponse:
            await self.over.wait()
            return web.Response()

        self.answers[path] = answer

    def paths(self) -> list[str]:
        """What was asked for, in order."""
        return [asked.path for asked in self.asked]

    async def handle(self, request: web.BaseRequest) -> web.StreamResponse:
        """Answer one request."""
        body = await request.read()
        form: dict[str, Any] = dict(await request.post()) if request.method == "POST" else {}
        headers = {name.lower(): value for name, value in request.headers.items()}
        asked = Asked(method=request.method, path=request.raw_path, headers=headers, form=form, body=body)
        self.asked.append(asked)
        answer = self.answers.get(request.path)
        return await answer(asked) if answer is not None else web.Response(status=404, text="nothing here")


@asynccontextmanager
async def answering_server(tls: ssl.SSLContext | None = None) -> AsyncIterator[AnsweringServer]:
    """A server on loopback, stopped at the end; those it keeps waiting are let go."""
    server = AnsweringServer()
    runner = web.ServerRunner(web.Server(server.handle), shutdown_timeout=1.0)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0, ssl_context=tls).start()
    port = runner.addresses[0][1]
    server.url = f"http://127.0.0.1:{port}" if tls is None else f"https://localhost:{port}"
    try:
        yield server
    finally:
        server.over.set()
        await runner.cleanup()
