"""Telling the clients that a session has ended."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import pytest
from aiohttp import web

from proxy.demo import backchannel
from proxy.demo.backchannel import BackchannelSender
from proxy.demo.clients import Client
from proxy.demo.sessions import ClientSession, UserSession
from tests.demo.visitor import claims

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

    from proxy.demo.issuer import Issuer


@asynccontextmanager
async def receiver(take: Callable[[web.Request], Awaitable[web.Response]]) -> AsyncIterator[str]:
    app = web.Application()
    app.router.add_post("/{name}", take)
    runner = web.AppRunner(app)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()


def session_of(issuer: Issuer, *client_ids: str) -> UserSession:
    now = issuer.realm.clock()
    parts = {name: ClientSession(client_id=name, scope=(), started_at=now, refreshed_at=now) for name in client_ids}
    return issuer.sessions.add(
        UserSession(sid="the-sid", subject="the-subject", started_at=now, refreshed_at=now, clients=parts)
    )


async def test_the_clients_are_told_one_after_the_other(issuer: Issuer) -> None:
    log: list[str] = []

    async def take(request: web.Request) -> web.Response:
        log.append(f"{request.match_info['name']} begins")
        await asyncio.sleep(0.01)
        log.append(f"{request.match_info['name']} ends")
        return web.Response()

    async with receiver(take) as url:
        for name in ("one", "two"):
            issuer.register_client(Client(client_id=name, backchannel_logout_url=f"{url}/{name}"))
        session_of(issuer, "one", "two", "app")
        await issuer.end_session("the-sid")

    assert log == ["one begins", "one ends", "two begins", "two ends"]


async def test_the_token_names_the_session_and_the_client(issuer: Issuer) -> None:
    tokens: list[str] = []

    async def take(request: web.Request) -> web.Response:
        tokens.append(str((await request.post())["logout_token"]))
        return web.Response(status=500)

    async with receiver(take) as url:
        issuer.register_client(Client(client_id="one", backchannel_logout_url=f"{url}/one"))
        session_of(issuer, "one")
        await issuer.end_session("the-sid")

    (token,) = tokens
    assert (claims(token)["sid"], claims(token)["aud"], claims(token)["sub"]) == ("the-sid", "one", "the-subject")


async def test_a_slow_receiver_is_given_up_and_the_session_ends_all_the_same(
    issuer: Issuer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(backchannel, "PATIENCE_S", 0.05)
    released = asyncio.Event()

    async def take(_request: web.Request) -> web.Response:
        await released.wait()
        return web.Response()

    async with receiver(take) as url:
        sender = BackchannelSender(issuer.realm)
        await sender.open()
        issuer.register_client(Client(client_id="one", backchannel_logout_url=f"{url}/one"))
        await asyncio.wait_for(sender.end(session_of(issuer, "one")), 5)
        released.set()
        await sender.close()

    assert issuer.sessions.get("the-sid") is None


async def test_a_receiver_that_is_away_does_not_matter(issuer: Issuer, unused_tcp_port: int) -> None:
    url = f"http://127.0.0.1:{unused_tcp_port}/bc"
    issuer.register_client(Client(client_id="one", backchannel_logout_url=url))
    session_of(issuer, "one")

    await issuer.end_session("the-sid")

    assert issuer.sessions.get("the-sid") is None


async def test_a_sender_that_was_not_opened_says_so(issuer: Issuer) -> None:
    issuer.register_client(Client(client_id="one", backchannel_logout_url="http://127.0.0.1:1/"))

    with pytest.raises(RuntimeError, match="opened"):
        await BackchannelSender(issuer.realm).end(session_of(issuer, "one"))
