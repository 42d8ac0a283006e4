"""Tunnels: frame boundaries, and a close frame between two of them."""

from __future__ import annotations

import asyncio
import struct
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.core.session import EndCause
from proxy.errors import ProviderUnavailable, RightsLost, StreamsFull
from proxy.forward.websocket import (
    FRAME_PATIENCE_S,
    GOING_AWAY,
    RIGHTS_LOST,
    SESSION_ENDED,
    TRY_AGAIN_LATER,
    CloseCode,
    FrameWatcher,
    Tunnel,
    close_frame,
    masked_close_frame,
)
from proxy.sessions.live import LiveStreamRegistry
from tests.forward.dialogue import ALICE, ALICES_COOKIE, Streams, until
from tests.support.observers import RecordingObserver
from tests.support.raw_upstream import Close, Pause, RawUpstream, Reset, Send

if TYPE_CHECKING:
    from proxy.core.session import SessionKey
    from proxy.ports import OpenStream
    from tests.forward.dialogue import Path, RawClient, Received

HANDSHAKE = (
    b"GET /ws HTTP/1.1\r\nHost: app\r\nConnection: keep-alive, Upgrade\r\nUpgrade: websocket\r\n"
    b"Sec-WebSocket-Key: x\r\nSec-WebSocket-Version: 13\r\n\r\n"
)
SWITCHED = (
    b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: WebSocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: y\r\n\r\n"
)
GET = b"GET / HTTP/1.1\r\nHost: app\r\n\r\n"


def frame(payload: bytes, *, mask: bytes = b"", opcode: int = 0x82) -> bytes:
    size, bit = len(payload), 0x80 if mask else 0
    if size < 126:
        head = bytes((opcode, bit | size))
    elif size < 65536:
        head = bytes((opcode, bit | 126)) + struct.pack("!H", size)
    else:
        head = bytes((opcode, bit | 127)) + struct.pack("!Q", size)
    return head + mask + bytes(byte ^ mask[i % 4] for i, byte in enumerate(payload)) if mask else head + payload


# --- pure


@given(
    st.lists(st.tuples(st.sampled_from([0, 1, 125, 126, 127, 70_000]), st.booleans()), min_size=1, max_size=4),
    st.integers(1, 4000),
)
def test_boundaries_are_found_however_frames_are_cut(frames: list[tuple[int, bool]], step: int) -> None:
    whole = [frame(b"\x82" * size, mask=b"abcd" if masked else b"") for size, masked in frames]
    ends = {sum(map(len, whole[: index + 1])) for index in range(len(whole))} | {0}
    data, watcher = b"".join(whole), FrameWatcher()

    for position in range(0, len(data), step):
        assert watcher.is_at_boundary == (position in ends)
        watcher.feed(data[position : position + step])

    assert watcher.is_at_boundary


@given(st.integers(1, 20), st.integers(0, 200))
def test_a_frame_under_way_is_taken_to_its_end_and_no_further(cut: int, size: int) -> None:
    whole = frame(b"x" * size)
    watcher = FrameWatcher()
    watcher.feed(whole[: min(cut, len(whole) - 1)])
    rest = whole[min(cut, len(whole) - 1) :]

    assert watcher.feed_to_boundary(rest + frame(b"next")) == len(rest)
    assert watcher.is_at_boundary
    assert watcher.feed_to_boundary(frame(b"next")) == 0


def test_a_close_frame_says_code_and_reason() -> None:
    assert close_frame(CloseCode(1008, b"x")) == b"\x88\x03\x03\xf0x"


def test_a_close_frame_to_the_upstream_is_masked() -> None:
    raw = masked_close_frame(SESSION_ENDED, b"\x01\x02\x03\x04")

    unmasked = bytes(byte ^ b"\x01\x02\x03\x04"[i % 4] for i, byte in enumerate(raw[6:]))
    assert raw[:2] == bytes((0x88, 0x80 | len(unmasked)))
    assert unmasked == b"\x03\xf0session ended"


# --- over sockets


async def opened(path: Path, echo_app: RawUpstream) -> RawClient:
    echo_app.script(Send(SWITCHED))
    client = await path.client()
    assert (await client.ask(HANDSHAKE)).status == 101
    return client


async def read(client: RawClient, size: int) -> bytes:
    async with asyncio.timeout(5):
        return await client.reader.readexactly(size)


async def test_after_101_bytes_pass_both_ways(path: Path, echo_app: RawUpstream) -> None:
    echo_app.script(Send(SWITCHED + frame(b"welcome")))
    client = await path.client()
    early = frame(b"early", mask=b"abcd")
    answer: Received = await client.ask(HANDSHAKE + early)

    welcome = await read(client, len(frame(b"welcome")))
    echoed = await read(client, len(early))
    large = frame(b"x" * 300_000, mask=b"abcd")
    client.writer.write(large)

    assert answer.values(b"connection") == [b"Upgrade"]
    assert answer.values(b"upgrade") == [b"websocket"]
    assert answer.values(b"sec-websocket-accept") == [b"y"]
    assert (welcome, echoed) == (frame(b"welcome"), early)
    assert await read(client, len(large)) == large
    (request,) = echo_app.requests
    assert request.values(b"connection") == [b"Upgrade"]
    assert request.values(b"upgrade") == [b"websocket"]
    assert request.values(b"sec-websocket-key") == [b"x"]


async def test_a_tunnel_ends_with_the_client_and_is_told_once(path: Path, echo_app: RawUpstream) -> None:
    client = await opened(path, echo_app)
    message = frame(b"hello", mask=b"abcd")
    await client.send(message)
    await read(client, len(message))

    client.close()

    (event,) = await path.gate.ends(1)
    assert (event.status, event.bytes_in, event.bytes_out) == (101, len(message), len(message))
    await until(lambda: path.data_path.open_connections == 0)
    assert len(path.gate.ended) == 1


@pytest.mark.parametrize("last", [Close(), Reset()], ids=["closed", "reset"])
async def test_a_tunnel_ends_with_the_upstream(path: Path, echo_app: RawUpstream, last: Close | Reset) -> None:
    client = await path.client()
    echo_app.script(Send(SWITCHED), Pause(later := asyncio.Event()), last)
    await client.ask(HANDSHAKE)
    later.set()

    assert await client.ended() == b""
    assert [event.status for event in await path.gate.ends(1)] == [101]


async def test_a_refused_upgrade_is_an_ordinary_answer_and_what_follows_goes_to_the_gate(
    path: Path, echo_app: RawUpstream
) -> None:
    echo_app.script(Send(b"HTTP/1.1 426 Upgrade Required\r\nUpgrade: h2\r\nContent-Length: 2\r\n\r\nno"))
    client = await path.client()

    answer = await client.ask(HANDSHAKE + b"GET /reply HTTP/1.1\r\nHost: app\r\n\r\n")

    assert (answer.status, answer.body) == (426, b"no")
    assert (await client.answer()).status == 401
    assert [head.target for head in path.gate.heads] == [b"/ws", b"/reply"]
    assert (await client.ask(GET)).body == b"ok"


async def test_frames_behind_a_refused_upgrade_are_no_request(path: Path, echo_app: RawUpstream) -> None:
    echo_app.script(Send(b"HTTP/1.1 404 No\r\nContent-Length: 0\r\n\r\n"))
    client = await path.client()

    assert (await client.ask(HANDSHAKE + frame(b"GET / HTTP/1.1", mask=b"abcd"))).status == 404

    assert (await client.answer()).status == 400
    assert len(echo_app.requests) == 1


async def test_another_protocol_than_asked_for_is_502(path: Path, echo_app: RawUpstream) -> None:
    echo_app.script(Send(b"HTTP/1.1 101 Sure\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n"))
    client = await path.client()

    assert (await client.ask(HANDSHAKE)).status == 502


async def test_an_upgrade_with_a_body_or_in_the_old_version_is_an_ordinary_request(
    path: Path, echo_app: RawUpstream
) -> None:
    client, old = await path.client(), await path.client()

    await client.ask(HANDSHAKE.replace(b"Host: app\r\n", b"Host: app\r\nContent-Length: 2\r\n") + b"hi")
    await old.ask(HANDSHAKE.replace(b"HTTP/1.1", b"HTTP/1.0"))

    assert [request.values(b"upgrade") for request in echo_app.requests] == [[], []]


async def test_when_the_session_ends_both_sides_hear_1008(path: Path, echo_app: RawUpstream) -> None:
    path.gate.knows_alice()
    client = await opened(path, echo_app)

    assert path.streams.session_ended(ALICE, EndCause.BACKCHANNEL) == 1

    assert await client.ended() == close_frame(SESSION_ENDED)
    await until(lambda: len(echo_app.tunnelled) == len(close_frame(SESSION_ENDED)) + 4)
    assert echo_app.tunnelled[:1] == b"\x88"
    assert [event.status for event in path.gate.ended] == [101]


async def test_when_the_login_of_a_bearer_ends_both_sides_hear_1008(path: Path, echo_app: RawUpstream) -> None:
    key = path.gate.knows_a_token()
    client = await opened(path, echo_app)

    assert [bearer.key for bearer in path.streams.bearers] == [key, key]  # the request, then the tunnel in its place
    assert path.streams.session_ended(key, EndCause.EXPIRED) == 1

    assert await client.ended() == close_frame(SESSION_ENDED)


async def test_when_the_session_loses_its_right_both_sides_hear_1008_and_why(path: Path, echo_app: RawUpstream) -> None:
    path.gate.knows_alice()
    client = await opened(path, echo_app)

    path.streams.end(ALICE, RightsLost("no admin any more"))

    assert await client.ended() == close_frame(RIGHTS_LOST)
    assert close_frame(RIGHTS_LOST)[2:4] == (1008).to_bytes(2, "big")
    await until(lambda: len(echo_app.tunnelled) == len(close_frame(RIGHTS_LOST)) + 4)


async def test_when_nobody_can_confirm_the_right_both_sides_are_told_to_try_again(
    path: Path, echo_app: RawUpstream
) -> None:
    path.gate.knows_alice()
    client = await opened(path, echo_app)

    path.streams.end(ALICE, ProviderUnavailable("away"))

    assert await client.ended() == close_frame(TRY_AGAIN_LATER)


async def test_rights_lost_within_a_frame_are_said_between_two_frames(path: Path, echo_app: RawUpstream) -> None:
    path.gate.knows_alice()
    whole = frame(b"x" * 100)
    echo_app.script(Send(SWITCHED), Send(whole[:50]), Pause(later := asyncio.Event()), Send(whole[50:]))
    client = await path.client()
    await client.ask(HANDSHAKE)
    assert await read(client, 50) == whole[:50]

    path.streams.end(ALICE, RightsLost("no admin any more"))
    later.set()

    assert await client.ended() == whole[50:] + close_frame(RIGHTS_LOST)


async def test_a_tunnel_says_what_was_admitted_and_since_when(path: Path, echo_app: RawUpstream) -> None:
    path.gate.knows_alice()
    await opened(path, echo_app)

    (tunnel,) = path.streams.open[ALICE]

    assert isinstance(tunnel, Tunnel)
    assert tunnel.admitted.allow is path.gate.allow
    assert tunnel.admitted.cookie_value == ALICES_COOKIE
    assert tunnel.began_at == tunnel.event.started_at


async def test_a_tunnel_takes_the_place_of_its_request_among_the_live_streams(
    path: Path, echo_app: RawUpstream
) -> None:
    live = path.data_path._around.live = LiveStreamRegistry(RecordingObserver(), max_streams=1)
    path.gate.knows_alice()

    await opened(path, echo_app)

    assert len(live) == 1


async def test_a_tunnel_that_nobody_could_close_is_503_and_not_opened(path: Path, echo_app: RawUpstream) -> None:
    class FullForTunnels(Streams):
        def opened(self, stream: OpenStream, key: SessionKey) -> None:
            if isinstance(stream, Tunnel):
                raise StreamsFull("no further stream")
            super().opened(stream, key)

    live = path.data_path._around.live = FullForTunnels()
    path.gate.knows_alice()
    echo_app.script(Send(SWITCHED))
    client = await path.client()

    answer = await client.ask(HANDSHAKE)

    assert answer.status == 503
    assert live.count() == 0
    (event,) = await path.gate.ends(1)
    assert (event.status, event.fault) == (503, StreamsFull.reason)
    assert (await client.ask(b"GET /reply HTTP/1.1\r\nHost: app\r\n\r\n")).status == 401


async def test_the_close_comes_between_two_frames_and_nothing_after_it(path: Path, echo_app: RawUpstream) -> None:
    path.gate.knows_alice()
    whole = frame(b"x" * 100)
    echo_app.script(
        Send(SWITCHED), Send(whole[:50]), Pause(later := asyncio.Event()), Send(whole[50:] + frame(b"after"))
    )
    client = await path.client()
    await client.ask(HANDSHAKE)
    assert await read(client, 50) == whole[:50]

    path.streams.session_ended(ALICE, EndCause.LOGOUT)
    later.set()

    assert await client.ended() == whole[50:] + close_frame(SESSION_ENDED)


async def test_a_frame_that_does_not_end_is_cut_within_a_second(path: Path, echo_app: RawUpstream) -> None:
    path.gate.knows_alice()
    echo_app.script(Send(SWITCHED), Send(frame(b"x" * 100)[:50]), Pause(asyncio.Event()))
    client = await path.client()
    await client.ask(HANDSHAKE)
    await read(client, 50)

    path.streams.session_ended(ALICE, EndCause.LOGOUT)
    await client.send(frame(b"transfer money", mask=b"\x00\x00\x00\x00"))

    async with asyncio.timeout(FRAME_PATIENCE_S + 0.5):
        assert await client.ended() == b""
    assert len(path.gate.ended) == 1
    assert path.gate.ended[0].bytes_in == 0


async def test_what_the_client_sends_after_its_session_ended_reaches_nobody(path: Path, echo_app: RawUpstream) -> None:
    path.gate.knows_alice()
    client = await opened(path, echo_app)
    path.streams.session_ended(ALICE, EndCause.LOGOUT)

    await client.send(frame(b"transfer money", mask=b"\x00\x00\x00\x00"))
    await client.ended()

    assert b"money" not in echo_app.tunnelled


async def test_an_upstream_mid_message_is_cut_and_not_told_a_close_within_it(path: Path, echo_app: RawUpstream) -> None:
    path.gate.knows_alice()
    client = await opened(path, echo_app)
    part = frame(b"y" * 100, mask=b"abcd")[:30]
    await client.send(part)
    assert await read(client, 2) == part[:2]

    path.streams.session_ended(ALICE, EndCause.LOGOUT)
    await client.ended()

    assert bytes(echo_app.tunnelled) == part


async def test_draining_says_1001(path: Path, echo_app: RawUpstream) -> None:
    client = await opened(path, echo_app)

    draining = asyncio.get_running_loop().create_task(path.data_path.drain(3.0))

    assert await client.ended() == close_frame(GOING_AWAY)
    client.close()
    async with asyncio.timeout(2):
        await draining


async def test_a_tunnel_holds_little_for_a_client_that_does_not_read(path: Path, echo_app: RawUpstream) -> None:
    message = frame(b"z" * 60_000) * 500
    echo_app.script(Send(SWITCHED), Send(message))
    client = await path.client()
    await client.ask(HANDSHAKE)
    (connection,) = path.data_path._around.connections
    most = read_so_far = 0
    async with asyncio.timeout(30):
        while read_so_far < len(message):
            read_so_far += len(await client.reader.read(200_000))
            most = max(most, connection._transport.get_write_buffer_size())

    assert most <= 256 * 1024
