"""Our own commands ask a running process: what they get, and one sentence with the remedy when they do not."""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING, Any

import pytest
from aiohttp import web

from proxy.core.secret import Secret
from proxy.errors import SidegateError
from proxy.management_client import ApiAddress, ManagementClient
from proxy.ports import AuditEvent
from proxy.web.admin_access import AdminAccess
from proxy.web.administration import StoreAdministration
from proxy.web.management_api import ApiServices, management_api
from tests.support.administration import Office, make_office
from tests.support.clocks import START

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

TOKEN = Secret("correct-horse")


def api_of(office: Office, token: Secret | None = TOKEN) -> web.Application:
    return management_api(
        ApiServices(
            access=AdminAccess(lambda: token, clock=office.clock),
            administration=lambda operator: StoreAdministration(office.parts, operator),
            observer=office.observer,
        )
    )


def address_of(server: Any) -> ApiAddress:
    return ApiAddress(f"http://127.0.0.1:{server.port}")


async def refusal(address: ApiAddress, token: Secret = TOKEN) -> str:
    async with ManagementClient(address, token) as client:
        with pytest.raises(SidegateError) as refused:
            await client.list_sessions(user=None, sid=None, limit=1)
    assert "correct-horse" not in str(refused.value)
    assert "\n" not in str(refused.value)
    return str(refused.value)


async def test_it_is_an_administration_like_that_of_the_store(aiohttp_server: Any) -> None:
    office = make_office()
    await office.signed_in("a", sid="s&1=?#%")
    await office.signed_in("b", subject="b+b b-id")
    office.trail.add(AuditEvent(event="login.succeeded", username="alice"), START)
    server = await aiohttp_server(api_of(office))

    async with ManagementClient(address_of(server), TOKEN) as client:
        here = office.administration
        assert await client.list_sessions(user=None, sid=None, limit=9) == await here.list_sessions(
            user=None, sid=None, limit=9
        )
        assert await client.read_audit(user="alice", since=START, limit=9) == await here.read_audit(
            user="alice", since=START, limit=9
        )
        assert (await client.read_audit(user="alice", since=START + 0.5, limit=9))["events"] == []
        following = client.follow_audit(user=None, since=0, limit=9)
        assert (await anext(following))["event"] == "login.succeeded"
        await following.aclose()
        assert (await client.end_sessions(user=None, sid="s&1=?#%"))["sessions_ended"] == 1
        assert (await client.end_sessions(user="b+b b", sid=None))["sessions_ended"] == 1
        assert (await client.end_every_session())["sessions_ended"] == 0


async def test_it_speaks_over_a_unix_socket(tmp_path: Path) -> None:
    office = make_office()
    runner = web.AppRunner(api_of(office))
    await runner.setup()
    path = str(tmp_path / "api.sock")
    await web.UnixSite(runner, path).start()
    try:
        async with ManagementClient(ApiAddress("http://localhost", unix_path=path), TOKEN) as client:
            assert await client.list_sessions(user=None, sid=None, limit=1) == {"sessions": [], "total": 0}
    finally:
        await runner.cleanup()

    assert await refusal(ApiAddress("http://localhost", unix_path=path)) == (
        f"no management API answers at unix:{path}; start `sidegate run` with this file, or mend management.api_listen"
    )


async def test_nobody_there_is_a_sentence() -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]

    assert await refusal(ApiAddress(f"http://127.0.0.1:{port}")) == (
        f"no management API answers at 127.0.0.1:{port}; "
        "start `sidegate run` with this file, or mend management.api_listen"
    )


async def test_a_token_of_another_file_is_a_sentence(aiohttp_server: Any) -> None:
    address = address_of(await aiohttp_server(api_of(make_office())))

    assert await refusal(address, Secret("wrong")) == (
        f"the management API at {address} refuses: "
        "its management.admin_token is another one; use the file that it runs with"
    )


async def test_a_process_without_a_token_is_a_sentence(aiohttp_server: Any) -> None:
    address = address_of(await aiohttp_server(api_of(make_office(), token=None)))

    assert "was started without management.admin_token" in await refusal(address)


async def test_what_the_api_says_of_a_fault_is_passed_on(aiohttp_server: Any) -> None:
    office = make_office(trail=None)
    office.sessions.go_away()
    address = address_of(await aiohttp_server(api_of(office)))

    assert "the store is away" in await refusal(address)
    async with ManagementClient(address, TOKEN) as client:
        with pytest.raises(SidegateError, match=r"audit\.keep is 0s"):
            await client.read_audit(user=None, since=0, limit=1)
        with pytest.raises(SidegateError, match=r"audit\.keep is 0s"):
            await anext(client.follow_audit(user=None, since=0, limit=1))


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (lambda: web.Response(text="hello"), "no Sidegate"),
        (lambda: web.Response(text="[1]"), "no Sidegate"),
        (lambda: web.Response(status=404, text="nothing here"), "answers 404; is this a Sidegate?"),
        (lambda: web.Response(status=302, headers={"Location": "http://127.0.0.1:1/"}), "answers 302"),
    ],
)
async def test_something_else_that_answers_is_a_sentence(
    aiohttp_server: Any, answer: Callable[[], web.Response], said: str
) -> None:
    async def handler(_request: web.Request) -> web.Response:
        return answer()

    app = web.Application()
    app.router.add_get("/api/sessions", handler)

    assert said in await refusal(address_of(await aiohttp_server(app)))


async def test_the_end_of_the_process_ends_a_stream_with_a_sentence(aiohttp_server: Any) -> None:
    office = make_office()
    office.trail.add(AuditEvent(event="login.succeeded"), START)
    server = await aiohttp_server(api_of(office))

    async with ManagementClient(address_of(server), TOKEN) as client:
        following = client.follow_audit(user=None, since=0, limit=9)
        await anext(following)
        await server.close()

        with pytest.raises(SidegateError):
            await anext(following)
