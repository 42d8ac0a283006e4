"""The listener: every way in, and the way out."""

from __future__ import annotations

import asyncio
import ssl
from typing import TYPE_CHECKING

import pytest

from proxy.forward.options import ForwardOptions
from proxy.forward.served import Served
from tests.forward.certificates import Certificates
from tests.forward.dialogue import RawClient, serving, until
from tests.support.raw_upstream import Pause, RawUpstream, Send

if TYPE_CHECKING:
    from pathlib import Path as FilePath

    from tests.forward.dialogue import Path

GET = b"GET / HTTP/1.1\r\nHost: app\r\n\r\n"
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


async def test_the_gate_hears_peer_scheme_and_version(path: Path) -> None:
    client = await path.client()

    await client.ask(b"GET /x HTTP/1.0\r\nHost: app\r\n\r\n")

    (head,) = path.gate.heads
    assert (head.peer, head.scheme, head.version) == ("127.0.0.1", "http", b"1.0")


async def test_a_listener_may_be_a_unix_socket(echo_app: RawUpstream, tmp_path: FilePath) -> None:
    place = str(tmp_path / "sidegate.sock")
    async with serving(echo_app.port) as path:
        await path.data_path.start(f"unix:{place}")
        client = RawClient(*await asyncio.open_unix_connection(place))

        assert (await client.ask(GET)).body == b"ok"
        assert path.gate.heads[0].peer == ""
        client.close()


async def test_a_listener_may_speak_tls(echo_app: RawUpstream, certificates: Certificates) -> None:
    options = ForwardOptions(tls=certificates.server_context("app.test"))
    async with serving(echo_app.port, options=options) as path:
        for _ in range(2):
            client = await tls_client(path, certificates)
            assert (await client.ask(GET)).body == b"ok"
            upload = b"x" * 3_000_000
            await client.send(b"POST / HTTP/1.1\r\nHost: app\r\nContent-Length: %d\r\n\r\n" % len(upload) + upload)
            assert (await client.answer()).body == b"ok"
            assert echo_app.requests[-1].body == upload

        assert path.gate.heads[0].scheme == "https"


async def test_over_tls_a_refusal_is_answered_and_the_connection_ends(
    echo_app: RawUpstream, certificates: Certificates
) -> None:
    options = ForwardOptions(tls=certificates.server_context("app.test"), linger_timeout_s=0.1)
    async with serving(echo_app.port, options=options) as path:
        client = await tls_client(path, certificates)

        assert (await client.ask(b"GET / HTTP/1.1\nHost: app\n\n")).status == 400
        assert await client.ended() == b""


async def test_another_certificate_is_shown_to_who_comes_next_and_nobody_is_refused_meanwhile(
    echo_app: RawUpstream, certificates: Certificates, tmp_path: FilePath
) -> None:
    (tmp_path / "other").mkdir()
    others = Certificates(tmp_path / "other")
    async with serving(echo_app.port, options=ForwardOptions(tls=certificates.server_context("app.test"))) as path:
        early, port = await tls_client(path, certificates), path.data_path.port
        options = ForwardOptions(tls=others.server_context("app.test"), max_body_size=3)
        await exchange(path, options)

        assert path.data_path.port == port
        late = await tls_client(path, others)
        with pytest.raises(ssl.SSLError):
            await tls_client(path, certificates)
        for client in (early, late):
            # Who was there before heeds the other options too.
            assert (await client.ask(b"POST / HTTP/1.1\r\nHost: app\r\nContent-Length: 4\r\n\r\n")).status == 413


async def test_an_authority_that_is_taken_away_is_believed_no_more(
    echo_app: RawUpstream, certificates: Certificates, tmp_path: FilePath
) -> None:
    """What is loaded into a context stays there, so there must be another."""
    (tmp_path / "other").mkdir()
    others = Certificates(tmp_path / "other")

    def believing(*authorities: Certificates) -> ForwardOptions:
        context = certificates.server_context("app.test")
        context.verify_mode = ssl.CERT_REQUIRED
        for one in authorities:
            context.load_verify_locations(one.authority_file)
        return ForwardOptions(tls=context)

    async with serving(echo_app.port, options=believing(certificates, others)) as path:
        assert await _is_let_in(path, certificates, others)

        await exchange(path, believing(certificates))

        assert not await _is_let_in(path, certificates, others)
        assert await _is_let_in(path, certificates, certificates)


async def _is_let_in(path: Path, certificates: Certificates, issuer: Certificates) -> bool:
    """Whether a client with a certificate of this issuer is answered."""
    context, own = certificates.client_context(), issuer.files("visitor")
    context.load_cert_chain(own.certificate, own.key)
    try:
        streams = await asyncio.open_connection(
            "127.0.0.1", path.data_path.port, ssl=context, server_hostname="app.test"
        )
        client = RawClient(*streams)
        path.clients.append(client)
        return (await client.ask(GET)).status == 200
    except (OSError, asyncio.IncompleteReadError):
        return False


async def test_a_unix_socket_stays_where_it_is_when_its_certificate_changes(
    echo_app: RawUpstream, certificates: Certificates, tmp_path: FilePath
) -> None:
    place = str(tmp_path / "sidegate.sock")
    async with serving(echo_app.port, options=ForwardOptions(tls=certificates.server_context("app.test"))) as path:
        await path.data_path.start(f"unix:{place}")
        await exchange(path, ForwardOptions(tls=certificates.server_context("app.test")))
        streams = await asyncio.open_unix_connection(
            place, ssl=certificates.client_context(), server_hostname="app.test"
        )
        client = RawClient(*streams)

        assert (await client.ask(GET)).body == b"ok"
        client.close()


async def exchange(path: Path, options: ForwardOptions) -> None:
    """As the process does: what can fail first."""
    upstreams = {"app": path.data_path._origins["app"].options}
    await path.data_path.listen_by(options)
    path.data_path.serve(Served(gatekeeper=path.gate, upstreams=upstreams), options)


async def tls_client(path: Path, certificates: Certificates) -> RawClient:
    context: ssl.SSLContext = certificates.client_context()
    streams = await asyncio.open_connection(
        "127.0.0.1", path.data_path.port, ssl=context, server_hostname="app.test", limit=2**20
    )
    client = RawClient(*streams)
    path.clients.append(client)
    return client


async def test_a_port_that_is_taken_is_an_error(path: Path) -> None:
    with pytest.raises(OSError, match=r".+"):
        await path.data_path.start(f"127.0.0.1:{path.data_path.port}")


async def test_draining_lets_a_running_request_finish_and_closes_its_connection(
    path: Path, echo_app: RawUpstream
) -> None:
    echo_app.script(Pause(later := asyncio.Event()), Send(OK))
    client = await path.client()
    await client.send(GET)
    await until(lambda: echo_app.requests)

    draining = asyncio.get_running_loop().create_task(path.data_path.drain(5.0))
    await asyncio.sleep(0.05)
    assert not draining.done()
    later.set()

    answer = await client.answer()
    assert answer.body == b"ok"
    assert answer.values(b"connection") == [b"close"]
    assert await client.ended() == b""
    async with asyncio.timeout(2):
        await draining


async def test_draining_answers_a_request_that_was_on_its_way(path: Path) -> None:
    client = await path.client()
    await client.ask(GET)

    draining = asyncio.get_running_loop().create_task(path.data_path.drain(5.0))
    await asyncio.sleep(0.05)
    answer = await client.ask(GET)

    assert answer.status == 200
    assert answer.values(b"connection") == [b"close"]
    async with asyncio.timeout(2):
        await draining


async def test_draining_ends_an_idle_connection_soon(path: Path) -> None:
    client = await path.client()
    await client.ask(GET)

    async with asyncio.timeout(3):
        await path.data_path.drain(20.0)

    assert await client.ended() == b""


async def test_draining_takes_no_new_connection(path: Path) -> None:
    port = path.data_path.port
    await path.data_path.drain(0.1)

    with pytest.raises(OSError, match=r".+"):
        await asyncio.open_connection("127.0.0.1", port)


async def test_what_does_not_finish_within_the_grace_is_ended(path: Path, echo_app: RawUpstream) -> None:
    echo_app.script(Pause(asyncio.Event()))
    client = await path.client()
    await client.send(GET)
    await until(lambda: echo_app.requests)

    async with asyncio.timeout(3):
        await path.data_path.drain(0.1)

    assert await client.ended() == b""
    assert [event.fault for event in path.gate.ended] == ["client_gone"]
    assert path.data_path.open_connections == 0


async def test_an_idle_upstream_connection_is_swept_while_serving(path: Path, echo_app: RawUpstream) -> None:
    client = await path.client()
    await client.ask(GET)
    pool = path.data_path._origins["app"]._pool
    assert len(pool) == 1

    pool._idle = dict.fromkeys(pool._idle, 0.0)

    await until(lambda: len(pool) == 0)
