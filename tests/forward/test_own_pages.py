"""Own pages: an aiohttp application that nobody reaches but through the gate."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest
import pytest_asyncio
from aiohttp import web

from proxy.errors import UpstreamTimeout
from proxy.forward.buffers import READ_SIZE
from proxy.forward.client import OWN_PAGE_MAX_BODY
from proxy.forward.options import ForwardOptions, UnixAddress, UpstreamOptions
from proxy.forward.own_pages import OWN_PAGES_OPTIONS, OwnPages
from tests.forward.dialogue import Path, serving, until

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable

    from tests.support.raw_upstream import RawUpstream

HOST = b" HTTP/1.1\r\nHost: app\r\n"


async def _echo(request: web.Request) -> web.Response:
    body = await request.read()
    return web.Response(body=request.path_qs.encode() + b"|" + body, headers={"X-Peer": str(request.remote)})


async def _close(_request: web.Request) -> web.Response:
    response = web.Response(text="done")
    response.force_close()
    return response


async def _stream(request: web.Request) -> web.StreamResponse:
    response = web.StreamResponse()
    await response.prepare(request)
    for _ in range(40):
        await response.write(b"s" * READ_SIZE)
    return response


async def _sink(request: web.Request) -> web.Response:
    """Read whatever comes, without a bound."""
    size = 0
    async for chunk in request.content.iter_any():
        size += len(chunk)
    return web.Response(text=str(size))


@pytest_asyncio.fixture
async def own_pages() -> AsyncGenerator[OwnPages, None]:
    application = web.Application()
    application.router.add_post("/own/sink", _sink)
    application.router.add_route("*", "/own/echo", _echo)
    application.router.add_get("/own/close", _close)
    application.router.add_get("/own/stream", _stream)
    runner = web.AppRunner(application)
    await runner.setup()
    server = runner.server
    assert server is not None

    async def protocol() -> asyncio.Protocol:
        return server()

    yield OwnPages(protocol)
    await runner.cleanup()


@pytest_asyncio.fixture
async def path(echo_app: RawUpstream, own_pages: OwnPages) -> AsyncGenerator[Path, None]:
    async with serving(echo_app.port, own_pages=own_pages) as path:
        yield path


async def test_an_own_page_is_an_ordinary_answer(path: Path, echo_app: RawUpstream) -> None:
    client = await path.client()

    first = await client.ask(b"GET /own/echo?a=b" + HOST + b"\r\n")
    second = await client.ask(b"POST /own/echo" + HOST + b"Content-Length: 3\r\n\r\nabc")
    chunked = await client.ask(
        b"POST /own/echo" + HOST + b"Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n"
    )

    assert first.body == b"/own/echo?a=b|"
    assert second.body == b"/own/echo|abc"
    assert chunked.body == b"/own/echo|abcde"
    assert echo_app.connections == 0
    assert [event.status for event in path.gate.ended] == [200, 200, 200]


async def test_no_server_version_is_told(path: Path) -> None:
    client = await path.client()

    answer = await client.ask(b"GET /own/echo" + HOST + b"\r\n")

    assert answer.values(b"server") == []


async def test_head_and_unknown_pages_are_answered_and_the_connection_goes_on(path: Path) -> None:
    client = await path.client()

    head = await client.ask(b"HEAD /own/echo" + HOST + b"\r\n", method=b"HEAD")
    missing = await client.ask(b"GET /own/nothing" + HOST + b"\r\n")

    assert int(head.values(b"content-length")[0]) > 0
    assert missing.status == 404
    assert (await client.ask(b"GET / HTTP/1.1\r\nHost: app\r\n\r\n")).body == b"ok"


async def test_a_page_that_closes_closes_the_clients_connection(path: Path) -> None:
    client = await path.client()

    answer = await client.ask(b"GET /own/close" + HOST + b"\r\n")

    assert answer.values(b"connection") == [b"close"]
    assert await client.ended() == b""


async def test_pages_share_connections_and_many_may_be_asked_at_once(path: Path) -> None:
    async def visit(number: int) -> bytes:
        client = await path.client()
        return (await client.ask(b"GET /own/echo?%d" % number + HOST + b"\r\n")).body

    bodies = await asyncio.gather(*(visit(number) for number in range(40)))

    assert bodies == [b"/own/echo?%d|" % number for number in range(40)]
    pool = path.data_path._around.own_pages[""]._pool
    await until(lambda: 0 < len(pool) <= 40)


async def test_a_long_page_is_streamed(path: Path) -> None:
    client = await path.client()

    answer = await client.ask(b"GET /own/stream" + HOST + b"\r\n")

    assert len(answer.body) == 40 * READ_SIZE
    assert answer.values(b"transfer-encoding") == [b"chunked"]


def _announced(size: int, path: bytes = b"/own/sink") -> bytes:
    return b"POST " + path + HOST + b"Content-Length: %d\r\n\r\n" % size + b"x" * size


def _chunked(size: int) -> bytes:
    chunk = b"%x\r\n%s\r\n" % (size, b"x" * size)
    return b"POST /own/sink" + HOST + b"Transfer-Encoding: chunked\r\n\r\n" + chunk + b"0\r\n\r\n"


@pytest.mark.parametrize("request_of", [_announced, _chunked])
async def test_a_body_for_an_own_page_is_bounded_where_the_apps_is_not(
    path: Path, echo_app: RawUpstream, request_of: Callable[[int], bytes]
) -> None:
    largest = await (await path.client()).ask(request_of(OWN_PAGE_MAX_BODY))
    too_large = await (await path.client()).ask(request_of(OWN_PAGE_MAX_BODY + 1))
    for_the_app = await (await path.client()).ask(_announced(OWN_PAGE_MAX_BODY + 1, path=b"/upload"))

    assert (largest.status, largest.body) == (200, b"%d" % OWN_PAGE_MAX_BODY)
    assert too_large.status == 413
    assert for_the_app.status == 200
    assert len(echo_app.requests) == 1


async def test_an_upload_for_an_own_page_that_never_ends_is_ended(path: Path) -> None:
    client = await path.client()
    await client.send(b"POST /own/sink" + HOST + b"Transfer-Encoding: chunked\r\n\r\n")
    chunk = b"10000\r\n" + b"x" * 0x10000 + b"\r\n"

    for _ in range(OWN_PAGE_MAX_BODY // 0x10000 + 1):
        await client.send(chunk)

    assert (await client.answer()).status == 413


@pytest.mark.parametrize("request_of", [_announced, _chunked])
async def test_the_operators_limit_holds_for_own_pages_when_it_is_the_smaller(
    echo_app: RawUpstream, own_pages: OwnPages, request_of: Callable[[int], bytes]
) -> None:
    async with serving(echo_app.port, own_pages=own_pages, options=ForwardOptions(max_body_size=10)) as path:
        assert (await (await path.client()).ask(request_of(10))).body == b"10"
        assert (await (await path.client()).ask(request_of(11))).status == 413


async def test_a_client_that_waits_for_100_is_told_at_once(path: Path) -> None:
    admission = path.gate.admission
    path.gate.admission = lambda head: _without_expect(admission(head))  # type: ignore[method-assign]
    client = await path.client()

    async with asyncio.timeout(0.8):
        interim = await client.ask(b"POST /own/echo" + HOST + b"Expect: 100-continue\r\nContent-Length: 3\r\n\r\n")
        answer = await client.ask(b"abc")

    assert interim.status == 100
    assert answer.body == b"/own/echo|abc"


def _without_expect(page):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN202
    from msgspec.structs import replace

    return replace(page, headers=tuple(field for field in page.headers if field[0] != b"Expect"))


async def test_pages_that_are_still_being_made_are_waited_for_with_more_patience_than_an_app_and_not_for_ever() -> None:
    async def never() -> asyncio.Protocol:
        return await asyncio.get_running_loop().create_future()

    address = UnixAddress("")

    assert OWN_PAGES_OPTIONS.connect_timeout_s >= 5 * UpstreamOptions(address=address).connect_timeout_s
    with pytest.raises(UpstreamTimeout):
        await OwnPages(never, options=UpstreamOptions(address=address, connect_timeout_s=0.02)).open()
