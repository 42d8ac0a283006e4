"""WebSockets through the front door: they end with their session and with us, and disturb nobody."""

from __future__ import annotations

import asyncio
import signal
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import aiohttp
import pytest
from aiohttp import WSMsgType, web

from tests.streams.door import (
    PROTECTED,
    Dial,
    app_of,
    at_provider,
    cookie_line,
    get,
    provider,
    ready,
    request_head,
    settings,
    sign_in,
)
from tests.support.ports import free_port

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from aiohttp import ClientSession, ClientWebSocketResponse

    from proxy.demo.issuer import Issuer
    from tests.contracts.web_browser import WebBrowser
    from tests.support.fixtures import StartSidegate
    from tests.support.sidegate_process import SidegateProcess

CLOSED = web.AppKey("closed", dict)
"""Close codes that the app heard, by path."""

HANDSHAKE = (
    "Connection: Upgrade",
    "Upgrade: websocket",
    "Sec-WebSocket-Version: 13",
    "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==",
)
SWITCHED = b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n"


async def echo(request: web.Request) -> web.StreamResponse:
    if request.path.endswith("refused"):
        return web.Response(status=403, text="not you")
    if request.headers.get("Upgrade") != "websocket":
        return web.Response(text=request.headers.get("X-Auth-Username", "nobody"))
    socket = web.WebSocketResponse()
    await socket.prepare(request)
    closed: dict[str, list[int | None]] = request.app[CLOSED]
    async for message in socket:
        await socket.send_str(message.data)
    closed.setdefault(request.path, []).append(socket.close_code)
    return socket


class House:
    """A provider, Sidegate and an app that echoes."""

    def __init__(self, process: SidegateProcess, issuer: Issuer, closed: dict[str, list[int | None]]) -> None:
        self.process = process
        self.issuer = issuer
        self.closed = closed

    async def sign_in(self, username: str) -> WebBrowser:
        return await asyncio.to_thread(sign_in, self.process, username)

    async def socket(
        self, http: ClientSession, path: str, browser: WebBrowser | None = None
    ) -> ClientWebSocketResponse:
        headers = {"Origin": self.process.url}
        if browser is not None:
            headers["Cookie"] = cookie_line(browser).removeprefix("Cookie: ")
        opened = await http.ws_connect(self.process.url + path, headers=headers)
        await said(opened, "hello")
        return opened


async def said(socket: ClientWebSocketResponse, text: str) -> None:
    """Say something and hear it back."""
    await socket.send_str(text)
    assert await socket.receive_str(timeout=5) == text


async def close_of(socket: ClientWebSocketResponse) -> tuple[WSMsgType, int | None, str]:
    message = await socket.receive(timeout=5)
    return message.type, message.data, message.extra or ""


@asynccontextmanager
async def house(sidegate_process: StartSidegate) -> AsyncIterator[House]:
    port = free_port()
    app = web.Application()
    app[CLOSED] = {}
    app.router.add_get("/{path:.*}", echo)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    try:
        async with provider(app_port=port) as issuer:
            file = settings(
                f"http://127.0.0.1:{runner.addresses[0][1]}",
                server={"listen": f"127.0.0.1:{port}"},
                keycloak=at_provider(issuer),
                routes=PROTECTED,
            )
            process = await ready(sidegate_process(file, wait_for="listening"))
            yield House(process, issuer, app[CLOSED])
    finally:
        await runner.cleanup()


async def by_the_provider(house: House, _browser: WebBrowser) -> None:
    await house.issuer.logout_user("alice")


async def by_the_person(house: House, browser: WebBrowser) -> None:
    answer = await asyncio.to_thread(
        browser.post, f"{house.process.url}/_sidegate/logout", {}, Origin=house.process.url, Accept="text/html"
    )
    assert answer.status in {200, 303}, answer.text


@pytest.mark.parametrize("log_out", [by_the_provider, by_the_person])
async def test_the_end_of_a_session_closes_its_sockets_with_1008_and_no_others(
    sidegate_process: StartSidegate, log_out: Callable[..., object]
) -> None:
    async with house(sidegate_process) as home, aiohttp.ClientSession() as http:
        alice, bob = await home.sign_in("alice"), await home.sign_in("bob")
        hers = [await home.socket(http, f"/alice/{number}", alice) for number in range(3)]
        his, public = await home.socket(http, "/bob", bob), await home.socket(http, "/open/everybody")

        await log_out(home, alice)

        assert [await close_of(socket) for socket in hers] == [(WSMsgType.CLOSE, 1008, "session ended")] * 3
        await said(his, "still here")
        await said(public, "and I")
        assert [home.closed[f"/alice/{number}"] for number in range(3)] == [[1008]] * 3
        with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
            await home.socket(http, "/alice", alice)
        assert refused.value.status == 401
        await his.close()
        await public.close()


async def test_the_close_stands_between_two_frames(sidegate_process: StartSidegate, dial: Dial) -> None:
    may_go_on = asyncio.Event()
    message = b"\x82\x7e\x10\x00" + b"x" * 4096

    async def speak(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await request_head(reader)
        writer.write(SWITCHED + message[:1000])
        await may_go_on.wait()
        writer.write(message[1000:] + message)
        await reader.read()

    port = free_port()
    async with provider(app_port=port) as issuer, app_of(speak) as app:
        file = settings(app.url, server={"listen": f"127.0.0.1:{port}"}, keycloak=at_provider(issuer), routes=PROTECTED)
        process = await ready(sidegate_process(file, wait_for="listening"))
        alice = await asyncio.to_thread(sign_in, process, "alice")
        client = await dial(process)
        await client.send(get("/", process, *HANDSHAKE, cookie_line(alice), f"Origin: {process.url}"))
        assert (await client.head()).status == 101
        assert await client.reader.readexactly(1000) == message[:1000]

        await issuer.logout_user("alice")
        may_go_on.set()

        assert await client.ended() == message[1000:] + b"\x88\x0f\x03\xf0session ended"


async def test_draining_closes_sockets_with_1001_and_ends_with_0(sidegate_process: StartSidegate) -> None:
    async with house(sidegate_process) as home, aiohttp.ClientSession() as http:
        sockets = [await home.socket(http, f"/open/{number}") for number in range(5)]

        home.process.program.signal(signal.SIGTERM)

        assert [await close_of(socket) for socket in sockets] == [(WSMsgType.CLOSE, 1001, "going away")] * 5
        assert await asyncio.to_thread(home.process.program.wait, timeout_s=10) == 0
        assert [home.closed[f"/open/{number}"] for number in range(5)] == [[1001]] * 5


async def test_a_refused_upgrade_is_an_ordinary_answer_and_the_connection_stays(
    sidegate_process: StartSidegate, dial: Dial
) -> None:
    async with house(sidegate_process) as home:
        client = await dial(home.process)

        refused = await client.ask(get("/open/refused", home.process, *HANDSHAKE))
        ordinary = await client.ask(get("/open/x", home.process))
        protected = await client.ask(get("/alice", home.process, *HANDSHAKE))
        again = await client.ask(get("/open/x", home.process))

    assert (refused.status, refused.body) == (403, b"not you")
    assert (ordinary.status, ordinary.body) == (200, b"nobody")
    assert protected.status == 401
    assert again.status == 200


async def test_a_socket_of_a_foreign_page_is_refused_with_a_session_and_open_without(
    sidegate_process: StartSidegate, dial: Dial
) -> None:
    async with house(sidegate_process) as home:
        alice = await home.sign_in("alice")
        client = await dial(home.process)
        foreign = (*HANDSHAKE, "Origin: https://evil.example", cookie_line(alice))

        assert (await client.ask(get("/alice", home.process, *foreign))).status == 403
        assert (await client.ask(get("/open/x", home.process, *foreign))).status == 101


async def test_a_silent_socket_stays_open(sidegate_process: StartSidegate) -> None:
    async with house(sidegate_process) as home, aiohttp.ClientSession() as http:
        timeouts = {"head": "500ms", "idle": "500ms", "body_idle": "500ms"}
        upstream = {"url": home.process.config["upstreams"]["app"]["url"], "response_timeout": "500ms"}
        file = settings("", server={"timeouts": timeouts}, upstreams={"app": upstream})
        short = sidegate_process(file, wait_for="listening")
        socket = await House(short, home.issuer, {}).socket(http, "/x")

        await asyncio.sleep(1.5)

        await said(socket, "still here")
        await socket.close()
