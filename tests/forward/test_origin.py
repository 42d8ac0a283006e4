"""Origins: new connections by every way, and idle ones."""

from __future__ import annotations

import asyncio
import ssl
from typing import TYPE_CHECKING

import pytest

from proxy.errors import SettingsError, UpstreamTimeout, UpstreamUnreachable
from proxy.forward.options import TcpAddress, UnixAddress, UpstreamOptions
from proxy.forward.origin import Origin
from tests.forward.dialogue import serving, until
from tests.support.ports import free_port

if TYPE_CHECKING:
    from pathlib import Path as FilePath

    from tests.forward.certificates import Certificates
    from tests.support.raw_upstream import RawUpstream

GET = b"GET / HTTP/1.1\r\nHost: app\r\n\r\n"


def at(port: int, **changes: object) -> Origin:
    return Origin(UpstreamOptions(address=TcpAddress("127.0.0.1", port), **changes))  # type: ignore[arg-type]


async def test_a_connection_is_new_idle_and_taken_again(echo_app: RawUpstream) -> None:
    origin = at(echo_app.port)
    assert origin.take() is None

    connection = await origin.open()
    origin.give_back(connection)

    assert origin.take() is connection
    assert origin.take() is None
    connection.close()


async def test_an_idle_connection_that_the_upstream_closes_is_forgotten(echo_app: RawUpstream) -> None:
    origin = at(echo_app.port)
    origin.give_back(await origin.open())

    await echo_app.stop()

    await until(lambda: origin.take() is None)


async def test_idle_connections_are_swept_when_their_time_has_come(echo_app: RawUpstream) -> None:
    origin = at(echo_app.port, idle_s=0.05)
    connection = await origin.open()
    origin.give_back(connection)

    origin.sweep()
    assert connection.is_usable
    await asyncio.sleep(0.1)
    origin.sweep()

    assert not connection.is_usable


async def test_closing_closes_every_idle_connection(echo_app: RawUpstream) -> None:
    origin = at(echo_app.port)
    connection = await origin.open()
    origin.give_back(connection)

    origin.close()

    assert not connection.is_usable


async def test_nobody_there_is_unreachable() -> None:
    with pytest.raises(UpstreamUnreachable):
        await at(free_port()).open()


@pytest.mark.parametrize("host", ["no-such-host.invalid", "a" * 64 + ".invalid", "a..b"])
async def test_a_name_that_does_not_resolve_is_unreachable(host: str) -> None:
    with pytest.raises((UpstreamUnreachable, UpstreamTimeout)):
        await Origin(UpstreamOptions(address=TcpAddress(host, 80), connect_timeout_s=3)).open()


async def test_a_handshake_that_does_not_come_is_a_timeout() -> None:
    server = await asyncio.start_server(_say_nothing, "127.0.0.1", 0)
    origin = at(server.sockets[0].getsockname()[1], tls=ssl.create_default_context, connect_timeout_s=0.1)

    with pytest.raises(UpstreamTimeout):
        await origin.open()
    server.close()
    await asyncio.sleep(0.02)


async def _say_nothing(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.read()
    writer.close()


async def test_a_unix_socket_is_an_upstream(tmp_path: FilePath) -> None:
    place = str(tmp_path / "app.sock")
    server = await asyncio.start_unix_server(_answer, place)
    async with serving(0, upstream=UpstreamOptions(address=UnixAddress(place))) as path:
        client = await path.client()

        assert (await client.ask(GET)).body == b"ok"
    server.close()


async def _answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.readuntil(b"\r\n\r\n")
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
    await writer.drain()
    writer.close()


async def test_tls_to_the_upstream_is_verified_by_name_and_authority(certificates: Certificates) -> None:
    server = await asyncio.start_server(_answer, "127.0.0.1", 0, ssl=certificates.server_context("app.test"))
    address = TcpAddress("127.0.0.1", server.sockets[0].getsockname()[1])
    trusting, strange = certificates.client_context(), ssl.create_default_context()

    for tls, name, status in (
        (trusting, "app.test", 200),
        (trusting, "other.test", 502),
        (trusting, None, 502),
        (strange, "app.test", 502),
    ):
        async with serving(
            0, upstream=UpstreamOptions(address=address, tls=lambda tls=tls: tls, server_name=name)
        ) as path:
            client = await path.client()
            assert (await client.ask(GET)).status == status, (name, status)
    server.close()


async def test_renewed_files_count_at_the_next_connection(certificates: Certificates) -> None:
    server = await asyncio.start_server(_answer, "127.0.0.1", 0, ssl=certificates.server_context("app.test"))
    address = TcpAddress("127.0.0.1", server.sockets[0].getsockname()[1])
    contexts = [certificates.client_context(), ssl.create_default_context()]
    options = UpstreamOptions(address=address, tls=contexts.pop, server_name="app.test")
    async with serving(0, upstream=options) as path:
        client = await path.client()

        assert (await client.ask(GET)).status == 502
        assert (await client.ask(GET)).status == 200
    server.close()


async def test_files_that_cannot_be_read_are_a_fault_and_nobody_waits(echo_app: RawUpstream) -> None:
    def unreadable() -> ssl.SSLContext:
        raise SettingsError("the CA file is gone")

    address = TcpAddress("127.0.0.1", echo_app.port)
    async with serving(0, upstream=UpstreamOptions(address=address, tls=unreadable)) as path:
        client = await path.client()

        assert (await client.ask(GET)).status == 400
        assert isinstance(path.gate.faults[0], SettingsError)
    assert echo_app.connections == 0


async def test_a_defect_at_connecting_is_reported_and_nobody_waits(echo_app: RawUpstream) -> None:
    def defective() -> ssl.SSLContext:
        raise RuntimeError("defect")

    reported: list[object] = []
    asyncio.get_running_loop().set_exception_handler(lambda _loop, context: reported.append(context["exception"]))
    address = TcpAddress("127.0.0.1", echo_app.port)
    async with serving(0, upstream=UpstreamOptions(address=address, tls=defective)) as path:
        client = await path.client()

        assert (await client.ask(GET)).status == 502
        await until(lambda: reported)
    assert isinstance(reported[0], RuntimeError)
