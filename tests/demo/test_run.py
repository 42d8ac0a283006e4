"""The demo put together, with a Sidegate that only remembers what it was told."""

from __future__ import annotations

import asyncio
import os
import signal
from typing import TYPE_CHECKING, Any

import aiohttp
import pytest

from proxy.demo.run import configuration, run_demo, running_demo, welcome

if TYPE_CHECKING:
    from collections.abc import Mapping


class FakeSidegate:
    """Starts and stops; nothing else."""

    def __init__(self) -> None:
        self.configuration: Mapping[str, Any] = {}
        self.started = asyncio.Event()
        self.was_closed = False
        self.issuer_status_at_close = 0

    async def __call__(self, configuration: Mapping[str, object], /) -> FakeSidegate:
        self.configuration = configuration
        self.started.set()
        return self

    async def close(self) -> None:
        issuer: str = self.configuration["keycloak"]["issuer"]
        self.issuer_status_at_close = (await fetch(f"{issuer}/.well-known/openid-configuration"))[0]
        self.was_closed = True


async def fetch(url: str, **form: str) -> tuple[int, Any]:
    async with aiohttp.ClientSession() as http:
        if form:
            async with http.post(url, data=form) as answer:
                return answer.status, await answer.json()
        async with http.get(url) as answer:
            return answer.status, await answer.text()


def test_everything_listens_on_loopback() -> None:
    told = configuration(4180, "http://127.0.0.1:1/realms/demo", "secret", "http://127.0.0.1:2")

    listeners = [told["server"]["listen"], *told["management"].values()]
    assert listeners[0] == "127.0.0.1:4180"
    assert len({*listeners}) == 3
    assert all(each.startswith("127.0.0.1:") for each in listeners)


def test_the_welcome_says_where_and_who() -> None:
    text = welcome("http://127.0.0.1:4180", "http://127.0.0.1:9")

    assert "http://127.0.0.1:4180/" in text
    assert "alice / alice" in text
    assert "bob   / bob" in text
    assert "http://127.0.0.1:9/" in text


@pytest.mark.parametrize(("username", "roles"), [("alice", {"viewer", "editor", "admin"}), ("bob", {"viewer"})])
async def test_the_users_sign_in_with_their_roles(username: str, roles: set[str]) -> None:
    sidegate = FakeSidegate()
    async with running_demo(4180, sidegate) as issuer:
        keycloak = sidegate.configuration["keycloak"]
        status, tokens = await fetch(
            issuer.endpoint("token"),
            grant_type="password",
            client_id=keycloak["client_id"],
            client_secret=keycloak["client_auth"]["secret"]["value"],
            username=username,
            password=username,
        )
        claims = issuer.realm.read(tokens["access_token"])
        app_status, app_page = await fetch(sidegate.configuration["upstreams"]["app"]["url"])

    assert (status, app_status) == (200, 200)
    assert claims is not None
    assert set(claims["realm_access"]["roles"]) == roles
    assert "manage-account" in claims["resource_access"]["account"]["roles"]
    assert claims["groups"] == (["/staff"] if username == "alice" else [])
    assert "Old Faithful" in app_page


async def test_sidegate_stops_before_what_it_needs() -> None:
    sidegate = FakeSidegate()
    async with running_demo(4180, sidegate):
        pass

    assert (sidegate.was_closed, sidegate.issuer_status_at_close) == (True, 200)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
async def test_a_signal_ends_it_cleanly(number: signal.Signals, capsys: pytest.CaptureFixture[str]) -> None:
    sidegate = FakeSidegate()

    async with asyncio.TaskGroup() as group:
        running = group.create_task(run_demo(4180, sidegate))
        await asyncio.wait_for(sidegate.started.wait(), 10)
        os.kill(os.getpid(), number)
        await asyncio.wait_for(asyncio.shield(running), 10)

    assert sidegate.was_closed
    assert "Ctrl-C ends it" in capsys.readouterr().out


async def test_a_sidegate_that_cannot_start_leaves_nothing_running() -> None:
    urls: list[str] = []

    async def fail(configuration: Mapping[str, Any], /) -> FakeSidegate:
        urls.extend((configuration["keycloak"]["issuer"], configuration["upstreams"]["app"]["url"]))
        raise OSError("port in use")

    with pytest.raises(OSError, match="port in use"):
        await run_demo(4180, fail)

    assert len(urls) == 2
    for url in urls:
        with pytest.raises(aiohttp.ClientConnectorError):
            await fetch(url)
