"""Upstreams of every kind behind the front door, and those that come, go and change."""

from __future__ import annotations

import asyncio
import json
import socket
import ssl
import time
from typing import TYPE_CHECKING, Any

import pytest

from tests.streams.door import app_of, get, hello, length_of, post, request_head, settings
from tests.support.ports import free_port
from tests.support.raw_upstream import OK, Close, Pause, RawUpstream, Reset, Send

if TYPE_CHECKING:
    from pathlib import Path

    from tests.forward.certificates import Certificates
    from tests.streams.door import Dial
    from tests.support.fixtures import StartSidegate
    from tests.support.sidegate_process import SidegateProcess

LOOKED_WITHIN_S = 15.0
"""TLS files are looked at every 5 s; three times that, for a busy machine."""


async def echo_head(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Answer with what was asked and by whom; one request for each connection."""
    head = await request_head(reader)
    peer = writer.get_extra_info("peercert") or {}
    said = {"head": head.decode("latin-1"), "by": [value for part in peer.get("subject", ()) for _, value in part]}
    body = json.dumps(said).encode()
    writer.write(b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body))
    await writer.drain()


def mutual(certificates: Certificates, name: str) -> ssl.SSLContext:
    """A server called ``name`` that wants a certificate of the same authority."""
    context = certificates.server_context(name)
    context.verify_mode = ssl.CERT_REQUIRED
    context.load_verify_locations(certificates.authority_file)
    return context


async def ask(dial: Dial, process: SidegateProcess, path: str = "/") -> tuple[int, Any]:
    answer = await (await dial(process)).ask(get(path, process))
    return answer.status, json.loads(answer.body) if answer.status == 200 else None


async def asked_until(dial: Dial, process: SidegateProcess, status: int, by: list[str]) -> None:
    deadline = time.monotonic() + LOOKED_WITHIN_S
    seen = await ask(dial, process)
    while seen[0] != status or (seen[1] and seen[1]["by"] != by):
        assert time.monotonic() < deadline, f"still {seen}"
        await asyncio.sleep(0.2)
        seen = await ask(dial, process)


# --- TLS


@pytest.mark.slow
async def test_an_app_that_wants_a_certificate_gets_ours_and_a_new_one_when_it_changes(
    sidegate_process: StartSidegate, dial: Dial, certificates: Certificates
) -> None:
    first = certificates.files("first.client", stem="client")
    async with app_of(echo_head, tls=mutual(certificates, "127.0.0.1")) as app:
        tls = {
            "ca_file": str(certificates.authority_file),
            "cert_file": str(first.certificate),
            "key_file": str(first.key),
        }
        upstreams = {"app": {"url": app.url, "tls": tls}}
        process = sidegate_process(settings("", upstreams=upstreams), wait_for="listening")
        status, said = await ask(dial, process)
        assert (status, said["by"]) == (200, ["first.client"])

        certificates.files("second.client", stem="client")

        await asked_until(dial, process, 200, ["second.client"])


async def test_an_app_of_another_authority_or_name_is_502(
    sidegate_process: StartSidegate, dial: Dial, certificates: Certificates
) -> None:
    async with app_of(echo_head, tls=certificates.server_context("other.test")) as app:
        trusted = {"url": app.url, "tls": {"ca_file": str(certificates.authority_file)}}
        routes = [
            {"path": "/foreign", "access": "public", "upstream": "foreign"},
            {"path": "/**", "access": "public", "upstream": "misnamed"},
        ]
        file = settings("", routes=routes)
        file["upstreams"] = {"foreign": {"url": app.url}, "misnamed": trusted}
        process = sidegate_process(file, wait_for="listening")

        assert (await ask(dial, process, "/foreign"))[0] == 502
        assert (await ask(dial, process, "/misnamed"))[0] == 502


async def test_an_app_that_wants_a_certificate_and_gets_none_is_502(
    sidegate_process: StartSidegate, dial: Dial, certificates: Certificates
) -> None:
    async with app_of(echo_head, tls=mutual(certificates, "127.0.0.1")) as app:
        upstreams = {"app": {"url": app.url, "tls": {"ca_file": str(certificates.authority_file)}}}
        process = sidegate_process(settings("", upstreams=upstreams), wait_for="listening")

        assert (await ask(dial, process))[0] == 502


@pytest.mark.slow
async def test_a_renewed_certificate_of_the_door_is_shown_without_a_restart(
    sidegate_process: StartSidegate, dial: Dial, certificates: Certificates
) -> None:
    def serial() -> str:
        context = certificates.client_context()
        with (
            socket.create_connection(("127.0.0.1", port), timeout=5) as plain,
            context.wrap_socket(plain, server_hostname="127.0.0.1") as wrapped,
        ):
            return str(wrapped.getpeercert()["serialNumber"])  # type: ignore[index]

    port = free_port()
    door = certificates.files("127.0.0.1", stem="door")
    server = {
        "listen": f"127.0.0.1:{port}",
        "public_url": f"https://127.0.0.1:{port}",
        "tls": {"cert_file": str(door.certificate), "key_file": str(door.key)},
    }
    async with app_of(hello) as app:
        process = sidegate_process(settings(app.url, server=server), wait_for="listening")
        kept = await dial(process, tls=certificates.client_context())
        before = await asyncio.to_thread(serial)

        certificates.files("127.0.0.1", stem="door")
        deadline = time.monotonic() + LOOKED_WITHIN_S
        while await asyncio.to_thread(serial) == before:
            assert time.monotonic() < deadline
            await asyncio.sleep(0.2)

        assert (await kept.ask(get("/", process))).body == b"hello"


# --- where upstreams are


async def test_routes_lead_to_their_upstreams_without_their_prefix_and_by_their_name(
    sidegate_process: StartSidegate, dial: Dial, tmp_path: Path
) -> None:
    async with (
        app_of(echo_head) as plain,
        app_of(echo_head, socket_path=tmp_path / "app.sock") as by_socket,
        app_of(echo_head, host="::1") as by_v6,
    ):
        file = settings(
            "",
            routes=[
                {"path": "/socket/**", "access": "public", "upstream": "socket", "strip_prefix": "/socket"},
                {"path": "/v6/**", "access": "public", "upstream": "v6"},
                {"path": "/**", "access": "public", "upstream": "plain"},
            ],
        )
        file["upstreams"] = {
            "plain": {"url": plain.url},
            "socket": {"url": by_socket.url},
            "v6": {"url": by_v6.url, "preserve_host": False},
        }
        process = sidegate_process(file, wait_for="listening")

        at_plain = (await ask(dial, process, "/a%20b?c"))[1]["head"]
        at_socket = (await ask(dial, process, "/socket/a%20b?c"))[1]["head"]
        at_v6 = (await ask(dial, process, "/v6/x"))[1]["head"]

    door = process.url.partition("://")[2]
    assert at_plain.startswith(f"GET /a%20b?c HTTP/1.1\r\nHost: {door}\r\n")
    assert at_socket.startswith(f"GET /a%20b?c HTTP/1.1\r\nHost: {door}\r\n")
    assert at_v6.startswith(f"GET /v6/x HTTP/1.1\r\nHost: {by_v6.url.partition('://')[2]}\r\n")


# --- coming and going


async def test_an_app_that_restarts_between_requests_is_not_noticed(
    sidegate_process: StartSidegate, dial: Dial, echo_app: RawUpstream
) -> None:
    process = sidegate_process(settings(echo_app.url), wait_for="listening")
    clients = [await dial(process) for _ in range(8)]
    told = [(await client.ask(get("/", process))).status for client in clients]

    for number in range(5):
        await echo_app.stop()
        await echo_app.start()
        for index, client in enumerate(clients):
            is_post = (index + number) % 2
            request = post("/", process, "Content-Length: 4") + b"body" if is_post else get("/", process)
            told.append((await client.ask(request)).status)

    assert told == [200] * 48
    assert len(echo_app.requests) == 48


@pytest.mark.parametrize("last", [Close(), Reset()])
async def test_a_post_is_never_sent_twice_and_a_get_once_more(
    sidegate_process: StartSidegate, dial: Dial, echo_app: RawUpstream, last: Close | Reset
) -> None:
    process = sidegate_process(settings(echo_app.url), wait_for="listening")
    client = await dial(process)
    for _ in range(2):
        await client.ask(get("/warm", process))

    # The connection is kept from the request before, and ends when the next request has come: was it done?
    echo_app.script(last)
    posted = await client.ask(post("/post", process, "Content-Length: 4") + b"body")
    await client.ask(get("/warm", process))
    echo_app.script(last)
    bodiless = await client.ask(post("/bodiless", process, "Content-Length: 0"))
    await client.ask(get("/warm", process))
    echo_app.script(last)
    got = await client.ask(get("/get", process))

    asked = [request.request_line.split(b" ")[1] for request in echo_app.requests]
    assert (posted.status, bodiless.status, got.status) == (502, 502, 200)
    assert asked.count(b"/post") == asked.count(b"/bodiless") == 1
    assert asked.count(b"/get") == 2


async def test_a_connection_with_a_login_of_its_own_belongs_to_one_client_and_ends_with_it(
    sidegate_process: StartSidegate, dial: Dial, echo_app: RawUpstream
) -> None:
    process = sidegate_process(settings(echo_app.url), wait_for="listening")
    first, second = await dial(process), await dial(process)

    await first.ask(get("/first", process, "Authorization: NTLM TlRMTVNTUAAB"))
    await second.ask(get("/second", process))
    await first.ask(get("/first", process))
    await second.ask(get("/second", process))
    first.close()
    await second.ask(get("/second", process))

    served = {
        path: {one.connection for one in echo_app.requests if path in one.head} for path in (b"/first", b"/second")
    }
    assert len(served[b"/first"]) == len(served[b"/second"]) == 1
    assert not served[b"/first"] & served[b"/second"]


async def test_an_early_refusal_of_an_upload_arrives_and_nothing_of_the_upload_becomes_a_request(
    sidegate_process: StartSidegate, dial: Dial
) -> None:
    heads = []

    async def refuse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        heads.append(await request_head(reader))
        writer.write(b"HTTP/1.1 413 Content Too Large\r\nContent-Length: 3\r\n\r\nno!")
        await writer.drain()

    async with app_of(refuse) as app:
        process = sidegate_process(settings(app.url), wait_for="listening")
        client = await dial(process)
        smuggled = get("/smuggled", process)
        await client.send(post("/", process, f"Content-Length: {1000 * len(smuggled)}") + smuggled * 500)

        answer = await client.answer()
        await client.send(smuggled)
        await client.ended()

    assert (answer.status, answer.body) == (413, b"no!")
    assert [head.split(b" ")[0] for head in heads] == [b"POST"]
    assert length_of(heads[0]) == 1000 * len(smuggled)


async def test_a_slow_app_does_not_hold_up_others(
    sidegate_process: StartSidegate, dial: Dial, echo_app: RawUpstream
) -> None:
    may_answer = asyncio.Event()
    echo_app.script(Pause(may_answer), Send(OK))
    process = sidegate_process(settings(echo_app.url), wait_for="listening")
    slow, other = await dial(process), await dial(process)
    await slow.send(get("/slow", process))
    await asyncio.wait_for(echo_app.request(0), 5)

    assert (await other.ask(get("/", process))).status == 200
    may_answer.set()
    assert (await slow.answer()).status == 200
