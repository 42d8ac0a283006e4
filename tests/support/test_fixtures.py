"""What the tests stand on does what it says."""

from __future__ import annotations

import asyncio
import stat
from typing import TYPE_CHECKING

import aiohttp
import pytest

from tests.support.browser_fixtures import screenshot
from tests.support.processes import Program, ProgramError
from tests.support.raw_upstream import AnswerEarly, Close, Pause, RawUpstream, Reset, Send
from tests.support.sidegate_process import SidegateProcess

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from playwright.async_api import Page

    from tests.keycloak.server import KeycloakServer
    from tests.support.fixtures import StartSidegate
    from tests.support.legacy_app import LegacyApp

SAMPLE = "tests.support.sample_wsgi:application"


async def test_the_upstream_keeps_the_bytes_as_they_were_sent(echo_app: RawUpstream) -> None:
    sent = b"POST /a%2Fb?  HTTP/1.1\r\nhOsT: x\r\ncontent-length:3\r\n\r\nabc"

    received = await _exchange(echo_app, sent)

    assert echo_app.requests[0].raw == sent
    assert echo_app.requests[0].values(b"Host") == [b"x"]
    assert received.endswith(b"\r\n\r\nok")


async def test_the_upstream_keeps_the_framing_of_a_chunked_body(echo_app: RawUpstream) -> None:
    body = b"3;x=1\r\nabc\r\n0\r\nTrailer: t\r\n\r\n"

    await _exchange(echo_app, b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n" + body)

    assert echo_app.requests[0].body == body


async def test_two_requests_of_one_connection_are_told_apart(echo_app: RawUpstream) -> None:
    await _exchange(echo_app, b"GET /1 HTTP/1.1\r\n\r\nGET /2 HTTP/1.1\r\n\r\n")

    await asyncio.wait_for(echo_app.request(1), 5)
    assert [one.request_line for one in echo_app.requests] == [b"GET /1 HTTP/1.1", b"GET /2 HTTP/1.1"]
    assert {one.connection for one in echo_app.requests} == {0}


async def test_a_script_pauses_until_the_test_goes_on(echo_app: RawUpstream) -> None:
    go_on = asyncio.Event()
    echo_app.script(Send(b"first "), Pause(go_on), Send(b"second"), Close())
    reader, writer = await asyncio.open_connection("127.0.0.1", echo_app.port)
    writer.write(b"GET / HTTP/1.1\r\n\r\n")

    before = await reader.readexactly(6)
    go_on.set()
    after = await asyncio.wait_for(reader.read(), 5)

    assert (before, after) == (b"first ", b"second")
    writer.close()


async def test_an_early_answer_does_not_wait_for_the_body(echo_app: RawUpstream) -> None:
    echo_app.script(AnswerEarly(), Send(b"HTTP/1.1 413 Too Large\r\n\r\n"), Close())

    received = await _exchange(echo_app, b"POST / HTTP/1.1\r\nContent-Length: 1000\r\n\r\npart")

    assert received.startswith(b"HTTP/1.1 413")


async def test_a_reset_breaks_the_connection(echo_app: RawUpstream) -> None:
    echo_app.script(Send(b"half"), Reset())

    with pytest.raises(ConnectionResetError):
        await _exchange(echo_app, b"GET / HTTP/1.1\r\n\r\n")


async def test_after_a_101_the_upstream_echoes(echo_app: RawUpstream) -> None:
    echo_app.answer(b"HTTP/1.1 101 Switching Protocols\r\n\r\n")
    reader, writer = await asyncio.open_connection("127.0.0.1", echo_app.port)
    writer.write(b"GET /ws HTTP/1.1\r\n\r\n")
    await reader.readuntil(b"\r\n\r\n")

    writer.write(b"ping")

    assert await asyncio.wait_for(reader.readexactly(4), 5) == b"ping"
    assert bytes(echo_app.tunnelled) == b"ping"
    writer.close()


async def test_the_legacy_app_is_served_by_gunicorn(legacy_app: Callable[[str], LegacyApp]) -> None:
    app = legacy_app(SAMPLE)

    async with aiohttp.ClientSession() as http, http.get(app.url, headers={"X-Auth-Username": "alice"}) as answer:
        assert answer.headers["Server"] == "gunicorn"
        assert await answer.text() == "<h1>Hello alice</h1>"


async def test_a_browser_shows_the_legacy_app(browser_page: Page, legacy_app: Callable[[str], LegacyApp]) -> None:
    app = legacy_app(SAMPLE)

    await browser_page.goto(app.url)

    assert await browser_page.inner_text("h1") == "Hello stranger"
    assert (await screenshot(browser_page, "legacy app")).read_bytes().startswith(b"\x89PNG")


def test_a_program_that_ends_too_early_is_told_with_its_output(tmp_path: Path) -> None:
    program = Program(["sh", "-c", "echo no such thing; exit 3"], log=tmp_path / "log")

    with pytest.raises(ProgramError, match=r"sh ended with 3:\nno such thing"):
        program.wait_until(lambda: False, timeout_s=5)


def test_a_program_that_ignores_sigterm_is_killed(tmp_path: Path) -> None:
    program = Program(["sh", "-c", "trap '' TERM; echo up; while :; do sleep 0.1; done"], log=tmp_path / "log")
    program.wait_until(lambda: "up" in program.output, timeout_s=5)

    assert program.end(patience_s=0.2) == -9


def test_a_sidegate_that_ends_with_an_error_fails_the_test(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    command = tmp_path / "sidegate"
    command.write_text("#!/bin/sh\nexit 7\n", "utf-8")
    command.chmod(command.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setattr("tests.support.sidegate_process.COMMAND", command)
    process = SidegateProcess({"upstreams": {"app": {"url": "http://127.0.0.1:1"}}}, tmp_path)
    process.program.wait(timeout_s=5)

    with pytest.raises(AssertionError, match="sidegate ended with 7"):
        process.end()


async def test_sidegate_runs_as_a_process_in_front_of_an_app(
    keycloak: KeycloakServer, echo_app: RawUpstream, sidegate_process: StartSidegate
) -> None:
    secret = {"method": "client_secret_basic", "secret": {"value": "legacy-app-secret"}}
    sidegate = sidegate_process(
        {
            "keycloak": {"issuer": keycloak.issuer(), "client_id": "legacy-app", "client_auth": secret},
            "upstreams": {"app": {"url": echo_app.url}},
        }
    )

    async with aiohttp.ClientSession() as http, http.get(sidegate.url) as answer:
        assert answer.status == 401
    assert echo_app.requests == []
    assert any(sidegate.url in line for line in sidegate.log_lines)


async def _exchange(upstream: RawUpstream, sent: bytes) -> bytes:
    reader, writer = await asyncio.open_connection("127.0.0.1", upstream.port)
    try:
        writer.write(sent)
        return await asyncio.wait_for(reader.read(65536), 5) + await _rest_when_reset(reader)
    finally:
        writer.close()


async def _rest_when_reset(reader: asyncio.StreamReader) -> bytes:
    # A reset shows at the next read only; an open connection has nothing more to say.
    try:
        return await asyncio.wait_for(reader.read(65536), 0.05)
    except TimeoutError:
        return b""
