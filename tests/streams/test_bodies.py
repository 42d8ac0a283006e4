"""Bodies of any size and pace through the front door: little is held, nothing is late, silence ends."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import statistics
import time
import zlib
from typing import TYPE_CHECKING, Any

import pytest

from tests.streams.door import (
    IS_FULL,
    MIB,
    app_of,
    at_provider,
    cookie_line,
    forget_peak,
    get,
    hello,
    length_of,
    memory_of,
    peak_memory_of,
    post,
    provider,
    ready,
    request_head,
    settings,
    sign_in,
)
from tests.streams.door import PROTECTED as PROTECTED_ROUTES
from tests.support.ports import free_port

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from pathlib import Path

    from tests.forward.certificates import Certificates
    from tests.forward.dialogue import RawClient
    from tests.streams.door import Dial
    from tests.support.fixtures import StartSidegate
    from tests.support.sidegate_process import SidegateProcess

SIZE = 1024 * MIB if IS_FULL else 256 * MIB
PIECE = bytes(range(256)) * 1024
STALLED = 200
PER_CONNECTION = 256 * 1024
SHORT = {"head": "1s", "idle": "1s", "body_idle": "1s"}


async def bulk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """``GET /length/N`` and ``GET /chunked/N`` send N bytes; a POST is told the checksum of its body."""
    while True:
        head = await request_head(reader)
        _, kind, *rest = head.split(b" ")[1].split(b"/")
        if head.startswith(b"POST"):
            answer = b"%d" % await checksum(body_at_app(reader, head))
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(answer), answer))
        elif kind == b"length":
            await send_length(writer, int(rest[0]))
        else:
            await send_chunks(writer, int(rest[0]))


async def send_length(writer: asyncio.StreamWriter, size: int) -> None:
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % size)
    for _ in range(size // len(PIECE)):
        writer.write(PIECE)
        await writer.drain()


async def send_chunks(writer: asyncio.StreamWriter, size: int) -> None:
    writer.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
    for _ in range(size // len(PIECE)):
        writer.write(b"%x\r\n%s\r\n" % (len(PIECE), PIECE))
        await writer.drain()
    writer.write(b"0\r\n\r\n")


async def body_at_app(reader: asyncio.StreamReader, head: bytes) -> AsyncIterator[bytes]:
    if b"transfer-encoding: chunked" in head.lower():
        while size := int(await reader.readuntil(b"\r\n"), 16):
            yield (await reader.readexactly(size + 2))[:-2]
        await reader.readuntil(b"\r\n")
        return
    async for piece in pieces_of(reader, length_of(head)):
        yield piece


async def pieces_of(reader: asyncio.StreamReader, size: int) -> AsyncIterator[bytes]:
    while size:
        piece = await reader.read(min(size, 256 * 1024))
        assert piece, f"ended {size} bytes too soon"
        size -= len(piece)
        yield piece


async def checksum(pieces: AsyncIterator[bytes]) -> int:
    total = 0
    async for piece in pieces:
        total = zlib.crc32(piece, total)
    return total


def expected(size: int) -> int:
    total = 0
    for _ in range(size // len(PIECE)):
        total = zlib.crc32(PIECE, total)
    return total


async def download(client: RawClient, process: SidegateProcess, kind: str, size: int) -> int:
    client.writer.write(get(f"/{kind}/{size}", process))
    head = await client.head()
    if kind == "length":
        assert head.values(b"content-length") == [b"%d" % size]
        return await checksum(pieces_of(client.reader, size))
    assert head.values(b"transfer-encoding") == [b"chunked"]
    return await checksum(client.chunks())


async def upload(client: RawClient, process: SidegateProcess, kind: str, size: int) -> int:
    is_chunked = kind == "chunked"
    framing = "Transfer-Encoding: chunked" if is_chunked else f"Content-Length: {size}"
    client.writer.write(post("/up", process, framing))
    for _ in range(size // len(PIECE)):
        client.writer.write(b"%x\r\n%s\r\n" % (len(PIECE), PIECE) if is_chunked else PIECE)
        await client.writer.drain()
    if is_chunked:
        client.writer.write(b"0\r\n\r\n")
    return int((await client.answer()).body)


# --- size


@pytest.mark.slow
@pytest.mark.timeout(300)
@pytest.mark.parametrize("kind", ["length", "chunked"])
@pytest.mark.parametrize("way", [download, upload])
async def test_what_passes_is_not_held(
    sidegate_process: StartSidegate, dial: Dial, way: Callable[..., Any], kind: str
) -> None:
    async with app_of(bulk) as app:
        process = sidegate_process(settings(app.url), wait_for="listening")
        client = await dial(process)
        await way(client, process, kind, len(PIECE))
        before = memory_of(process)
        forget_peak(process)
        begun = time.monotonic()

        arrived = await way(client, process, kind, SIZE)

        seconds = time.monotonic() - begun
        growth = peak_memory_of(process) - before
    print(
        f"{way.__name__} {kind} {SIZE // MIB} MiB: {SIZE / MIB / seconds:.0f} MiB/s, +{growth / MIB:.1f} MiB resident"
    )
    assert arrived == expected(SIZE)
    assert growth <= 8 * MIB


@pytest.mark.slow
@pytest.mark.timeout(300)
@pytest.mark.parametrize("way", [download, upload])
async def test_what_passes_through_tls_on_both_sides_is_not_held(
    sidegate_process: StartSidegate, dial: Dial, certificates: Certificates, way: Callable[..., Any]
) -> None:
    size = SIZE // 4
    door = certificates.files("127.0.0.1")
    app_tls = certificates.server_context("localhost")
    async with app_of(bulk, tls=app_tls) as app:
        port = free_port()
        process = sidegate_process(
            settings(
                app.url.replace("127.0.0.1", "localhost"),
                server={
                    "listen": f"127.0.0.1:{port}",
                    "public_url": f"https://127.0.0.1:{port}",
                    "tls": {"cert_file": str(door.certificate), "key_file": str(door.key)},
                },
                upstreams={
                    "app": {
                        "url": app.url.replace("127.0.0.1", "localhost"),
                        "tls": {"ca_file": str(certificates.authority_file)},
                    }
                },
            ),
            wait_for="listening",
        )
        client = await dial(process, tls=certificates.client_context())
        await way(client, process, "length", len(PIECE))
        before = memory_of(process)
        forget_peak(process)

        arrived = await way(client, process, "length", size)

        growth = peak_memory_of(process) - before
    print(f"{way.__name__} over TLS {size // MIB} MiB: +{growth / MIB:.1f} MiB resident")
    assert arrived == expected(size)
    assert growth <= 8 * MIB


@pytest.mark.parametrize("way", [download, upload])
async def test_what_passes_over_unix_sockets_on_both_sides_is_whole(
    sidegate_process: StartSidegate, dial: Dial, tmp_path: Path, way: Callable[..., Any]
) -> None:
    server = {"listen": f"unix:{tmp_path / 'door.sock'}", "public_url": "http://app.example"}
    async with app_of(bulk, socket_path=tmp_path / "app.sock") as app:
        process = sidegate_process(settings(app.url, server=server), wait_for="listening")
        client = await dial(process)

        assert await way(client, process, "length", 16 * MIB) == expected(16 * MIB)
        assert await way(client, process, "chunked", 16 * MIB) == expected(16 * MIB)


# --- pace


def stalled_socket(process: SidegateProcess, data: bytes) -> socket.socket:
    """A client that has sent ``data`` and reads nothing."""
    sock = socket.socket()
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    sock.connect(("127.0.0.1", process.port))
    sock.sendall(data)
    return sock


async def until_still(process: SidegateProcess) -> int:
    """Resident bytes, once they have not grown for half a second."""
    held = -1
    while (now := memory_of(process)) > held:
        held = now
        await asyncio.sleep(0.5)
    return held


@pytest.mark.slow
async def test_clients_that_do_not_read_hold_little(sidegate_process: StartSidegate, dial: Dial) -> None:
    async with app_of(bulk) as app:
        process = sidegate_process(settings(app.url), wait_for="listening")
        await download(await dial(process), process, "length", len(PIECE))
        before = memory_of(process)

        with contextlib.ExitStack() as stack:
            for _ in range(STALLED):
                stack.enter_context(stalled_socket(process, get(f"/length/{64 * MIB}", process)))
                await asyncio.sleep(0)
            held = (await until_still(process) - before) // STALLED

    print(f"{STALLED} clients that do not read: {held / 1024:.0f} KiB each")
    assert held <= PER_CONNECTION


@pytest.mark.slow
async def test_an_app_that_does_not_read_holds_little(sidegate_process: StartSidegate, dial: Dial) -> None:
    async def deaf(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await request_head(reader)
        reader._transport.pause_reading()  # type: ignore[attr-defined]
        await asyncio.Event().wait()

    async with app_of(deaf) as app:
        process = sidegate_process(settings(app.url), wait_for="listening")
        before = memory_of(process)
        clients = [await dial(process) for _ in range(STALLED)]

        async def send_much(client: RawClient) -> None:
            client.writer.write(post("/up", process, f"Content-Length: {64 * MIB}"))
            with contextlib.suppress(ConnectionError):
                while True:
                    client.writer.write(PIECE[:65536])
                    await client.writer.drain()

        sending = [asyncio.create_task(send_much(client)) for client in clients]  # noqa: TID251 - cancelled below
        await asyncio.sleep(1)
        held = (await until_still(process) - before) // STALLED
        for task in sending:
            task.cancel()
        await asyncio.gather(*sending, return_exceptions=True)

    print(f"{STALLED} uploads that nobody reads: {held / 1024:.0f} KiB each")
    assert held <= PER_CONNECTION


@pytest.mark.parametrize("framing", ["Transfer-Encoding: chunked", "Connection: close"])
async def test_each_event_arrives_before_the_next_is_sent(
    sidegate_process: StartSidegate, dial: Dial, framing: str
) -> None:
    sent_at: list[float] = []
    may_send = asyncio.Semaphore(1)
    events = [b"data: %d\n\n" % number for number in range(100)]

    async def speak(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await request_head(reader)
        head = f"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n{framing}\r\n\r\n"
        writer.write(head.encode())
        for event in events:
            await may_send.acquire()
            sent_at.append(time.monotonic())
            writer.write(b"%x\r\n%s\r\n" % (len(event), event) if "chunked" in framing else event)

    async with app_of(speak) as app:
        process = sidegate_process(settings(app.url), wait_for="listening")
        client = await dial(process)
        await client.send(get("/events", process, "Accept: text/event-stream"))
        assert (await client.head()).status == 200

        late = []
        for number, event in enumerate(events):
            assert await client.chunk() == event
            late.append(time.monotonic() - sent_at[number])
            may_send.release()

    print(f"events: median {statistics.median(late) * 1000:.2f} ms, latest {max(late) * 1000:.2f} ms")
    assert len(sent_at) == len(events)


# --- leaving


@pytest.mark.parametrize("leave", ["close", "reset"])
@pytest.mark.parametrize("way", ["down", "up"])
async def test_when_the_client_is_gone_the_app_hears_it_at_once(
    sidegate_process: StartSidegate, dial: Dial, way: str, leave: str
) -> None:
    begun, heard = asyncio.Event(), asyncio.Event()

    async def listen(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await request_head(reader)
        try:
            if head.startswith(b"GET"):
                writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\nhalf")
            begun.set()
            while await reader.read(65536):
                pass
        finally:
            heard.set()

    async with app_of(listen) as app:
        process = sidegate_process(settings(app.url), wait_for="listening")
        client = await dial(process)
        await client.send(
            get("/x", process) if way == "down" else post("/x", process, "Content-Length: 1000") + b"half"
        )
        await asyncio.wait_for(begun.wait(), 5)
        if way == "down":
            await client.head()

        left_at = time.monotonic()
        getattr(client, leave)()
        await asyncio.wait_for(heard.wait(), 5)

    print(f"client gone ({way}, {leave}): the app heard it after {(time.monotonic() - left_at) * 1000:.1f} ms")


async def test_an_answer_that_is_still_sent_ends_with_its_session(sidegate_process: StartSidegate, dial: Dial) -> None:
    heard = asyncio.Event()

    async def speak(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            head = await request_head(reader)
            assert b"x-auth-username: " in head.lower()
            writer.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n")
            await reader.read()
        finally:
            heard.set()

    port = free_port()
    async with provider(app_port=port) as issuer, app_of(speak) as app:
        file = settings(
            app.url,
            server={"listen": f"127.0.0.1:{port}"},
            keycloak=at_provider(issuer),
            routes=PROTECTED_ROUTES,
        )
        process = await ready(sidegate_process(file, wait_for="listening"))
        alice = await asyncio.to_thread(sign_in, process, "alice")
        client = await dial(process)
        await client.send(get("/events", process, cookie_line(alice)))
        assert (await client.head()).status == 200
        assert await client.chunk() == b"hello"

        await issuer.logout_user("alice")

        assert b"0\r\n\r\n" not in await client.ended()
        await asyncio.wait_for(heard.wait(), 5)


# --- silence


async def test_a_head_that_does_not_come_ends_the_connection(sidegate_process: StartSidegate, dial: Dial) -> None:
    async with app_of(hello) as app:
        process = sidegate_process(settings(app.url, server={"timeouts": SHORT}), wait_for="listening")
        silent, half = await dial(process), await dial(process)
        await half.send(b"GET / HTTP/1.1\r\nHo")

        assert (await half.answer()).status == 408
        assert b" 408 " in (answer := await silent.ended()) or answer == b""


async def test_an_idle_connection_is_closed_in_silence(sidegate_process: StartSidegate, dial: Dial) -> None:
    async with app_of(hello) as app:
        process = sidegate_process(settings(app.url, server={"timeouts": SHORT}), wait_for="listening")
        client = await dial(process)

        assert (await client.ask(get("/", process))).body == b"hello"
        assert await client.ended() == b""


async def test_a_body_that_stops_is_408_and_the_app_hears_the_end(sidegate_process: StartSidegate, dial: Dial) -> None:
    ended = asyncio.Event()

    async def read(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await reader.read(-1)
        finally:
            ended.set()

    async with app_of(read) as app:
        process = sidegate_process(settings(app.url, server={"timeouts": SHORT}), wait_for="listening")
        client = await dial(process)
        await client.send(post("/", process, "Content-Length: 10") + b"half")

        assert (await client.answer()).status == 408
        await asyncio.wait_for(ended.wait(), 5)


async def test_a_client_that_stops_reading_is_cut_and_the_app_hears_the_end(
    sidegate_process: StartSidegate, dial: Dial
) -> None:
    ended = asyncio.Event()

    async def speak(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await request_head(reader)
            await send_length(writer, 64 * MIB)
        finally:
            ended.set()

    async with app_of(speak) as app:
        process = sidegate_process(settings(app.url, server={"timeouts": SHORT}), wait_for="listening")
        with stalled_socket(process, get("/", process)):
            await asyncio.wait_for(ended.wait(), 10)


async def test_an_app_that_says_nothing_is_504(sidegate_process: StartSidegate, dial: Dial) -> None:
    async def mute(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(-1)

    async with app_of(mute) as app:
        upstreams = {"app": {"url": app.url, "response_timeout": "500ms"}}
        process = sidegate_process(settings(app.url, upstreams=upstreams), wait_for="listening")
        client = await dial(process)

        assert (await client.ask(get("/", process))).status == 504


async def test_an_app_that_takes_no_connection_is_504_and_one_that_refuses_502(
    sidegate_process: StartSidegate, dial: Dial
) -> None:
    with socket.socket() as full, contextlib.ExitStack() as stack:
        full.bind(("127.0.0.1", 0))
        full.listen(0)
        # With a backlog of 0 the kernel queues one connection and lets every further SYN go unanswered.
        for _ in range(4):
            waiting = stack.enter_context(socket.socket())
            waiting.settimeout(0)
            waiting.connect_ex(full.getsockname())
        upstreams = {
            "app": {"url": f"http://127.0.0.1:{full.getsockname()[1]}", "connect_timeout": "500ms"},
            "none": {"url": f"http://127.0.0.1:{free_port()}"},
        }
        routes = [
            {"path": "/none", "access": "public", "upstream": "none"},
            {"path": "/**", "access": "public", "upstream": "app"},
        ]
        process = sidegate_process(settings("", upstreams=upstreams, routes=routes), wait_for="listening")
        client = await dial(process)

        assert (await client.ask(get("/", process))).status == 504
        assert (await client.ask(get("/none", process))).status == 502


@pytest.mark.slow
async def test_what_goes_on_may_take_as_long_as_it_likes(sidegate_process: StartSidegate, dial: Dial) -> None:
    async def drip(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await request_head(reader)
        await reader.readexactly(length_of(head))
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n")
        for number in range(10):
            writer.write(b"%d" % number)
            await asyncio.sleep(0.3)

    async with app_of(drip) as app:
        upstreams = {"app": {"url": app.url, "response_timeout": "1s", "connect_timeout": "1s"}}
        process = sidegate_process(
            settings(app.url, server={"timeouts": SHORT}, upstreams=upstreams), wait_for="listening"
        )
        client = await dial(process)
        await client.send(post("/", process, "Content-Length: 10"))
        for _ in range(10):
            await client.send(b"x")
            await asyncio.sleep(0.3)

        answer = await client.answer()

    assert (answer.status, answer.body) == (200, b"0123456789")


async def test_an_answer_may_be_silent_between_two_events(sidegate_process: StartSidegate, dial: Dial) -> None:
    async def speak(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await request_head(reader)
        writer.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\none\r\n")
        await asyncio.sleep(2.5)
        writer.write(b"3\r\ntwo\r\n0\r\n\r\n")

    async with app_of(speak) as app:
        upstreams = {"app": {"url": app.url, "response_timeout": "1s"}}
        process = sidegate_process(
            settings(app.url, server={"timeouts": SHORT}, upstreams=upstreams), wait_for="listening"
        )
        client = await dial(process)

        answer = await client.ask(get("/", process))

    assert answer.body == b"onetwo"
