"""An app that knows nothing of login, with everything that stays open: ``python -m tests.support.stream_app PORT``.

============ ===================================================================================================
``/ws``      a WebSocket: says first who is there, then sends everything back.
``/events``  server-sent events ``<who is there> <Unix seconds>``, at once and then every ``?every=`` seconds (0.2).
any other    JSON: who is there, when that was, and the value of ``?token=``, by which a client knows its own answer.
============ ===================================================================================================
"""

from __future__ import annotations

import asyncio
import sys
import time
from typing import TYPE_CHECKING

from aiohttp import WSMsgType, web

from tests.support.ports import free_port
from tests.support.processes import Program

if TYPE_CHECKING:
    from pathlib import Path

START_TIMEOUT_S = 20.0
TICK_S = 0.2


class StreamApp:
    """The app as a process; ``url`` is where it listens."""

    def __init__(self, folder: Path) -> None:
        """Start it."""
        self.port = free_port()
        command = [sys.executable, "-m", "tests.support.stream_app", str(self.port)]
        self.program = Program(command, log=folder / f"stream-app-{self.port}.log")

    @property
    def url(self) -> str:
        """``http://127.0.0.1:<port>``."""
        return f"http://127.0.0.1:{self.port}"

    def wait_until_ready(self) -> None:
        """Return when it listens."""
        self.program.wait_until(lambda: "serving" in self.program.output, timeout_s=START_TIMEOUT_S)

    def end(self) -> None:
        """End it."""
        self.program.end()


def who(request: web.Request) -> str:
    """The user whom the gate names."""
    return request.headers.get("X-Auth-Username", "nobody")


async def plain(request: web.Request) -> web.Response:
    """Answer at once."""
    token = request.query.get("token", "")
    asked = {"method": request.method, "body": await request.text()}
    return web.json_response({"username": who(request), "at": time.time(), "token": token, **asked})


async def events(request: web.Request) -> web.StreamResponse:
    """Tell who is there until the client goes."""
    every_s = float(request.query.get("every", TICK_S))
    answer = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
    await answer.prepare(request)
    while True:
        await answer.write(f"data: {who(request)} {time.time():.3f}\n\n".encode())
        await asyncio.sleep(every_s)


async def websocket(request: web.Request) -> web.WebSocketResponse:
    """Say who is there, then echo."""
    socket = web.WebSocketResponse()
    await socket.prepare(request)
    await socket.send_str(who(request))
    async for message in socket:
        if message.type is WSMsgType.TEXT:
            await socket.send_str(message.data)
    return socket


async def serve(port: int) -> None:
    """Serve until the process is ended."""
    app = web.Application()
    app.router.add_get("/ws", websocket)
    app.router.add_get("/events", events)
    app.router.add_route("*", "/{path:.*}", plain)
    runner = web.AppRunner(app, access_log=None, handler_cancellation=True)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", port, backlog=2048).start()
    print("serving", flush=True)
    await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(serve(int(sys.argv[1])))
