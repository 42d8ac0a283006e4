"""One request, one bounded answer, nothing kept; over real sockets."""

from __future__ import annotations

import asyncio
import json
import re
import socket
import ssl
import struct
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest
import pytest_asyncio
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

from proxy.errors import AnswerLost, ProviderUnavailable, SettingsError
from proxy.oidc.http_client import MAX_ANSWER_BYTES, HttpClient, ProviderAnswer, shown
from tests.oidc.answering import AnsweringServer, answering_server
from tests.oidc.signing import private_key
from tests.support.clocks import START, FakeClock

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from tests.support.observers import RecordingObserver


@pytest_asyncio.fixture
async def http(clock: FakeClock, observer: RecordingObserver) -> AsyncIterator[HttpClient]:
    client = HttpClient(clock=clock, observer=observer, timeout_s=5.0, ca_file=None)
    yield client
    await client.close()


async def test_an_answer_comes_whole(http: HttpClient, server: AnsweringServer) -> None:
    server.give("/x", {"a": 1}, Content_Type="Application/JSON; charset=utf-8", Date="Fri, 15 Jan 2027 08:01:00 GMT")

    answer = await http.get("discovery", f"{server.url}/x")

    assert (answer.status, answer.media_type, answer.json_object()) == (200, "application/json", {"a": 1})
    assert (answer.received_at, answer.clock_difference_s) == (START, 60.0)


async def test_without_a_readable_date_the_clocks_agree(http: HttpClient, server: AnsweringServer) -> None:
    server.give("/x", {}, Date="yesterday")

    assert (await http.get("discovery", f"{server.url}/x")).clock_difference_s == 0.0


async def test_a_call_names_its_trace(http: HttpClient, server: AnsweringServer, observer: RecordingObserver) -> None:
    server.give("/x", {})
    observer.context = {"traceparent": "00-of-this-call"}

    await http.get("discovery", f"{server.url}/x", headers={"X-A": "b"})

    (asked,) = server.asked
    assert (asked.headers["traceparent"], asked.headers["x-a"]) == ("00-of-this-call", "b")


async def test_a_form_is_sent_as_such_in_utf_8(http: HttpClient, server: AnsweringServer) -> None:
    server.give("/token", {})

    await http.post_form("password", f"{server.url}/token", form={"password": "ü &=+"}, headers={"X-A": "b"})

    (asked,) = server.asked
    assert (asked.method, asked.form, asked.headers["x-a"]) == ("POST", {"password": "ü &=+"}, "b")
    assert asked.headers["content-type"] == "application/x-www-form-urlencoded"


@pytest.mark.parametrize("method", ["POST", "PUT"])
async def test_json_is_sent_as_such(http: HttpClient, server: AnsweringServer, method: str) -> None:
    server.give("/clients", {})

    await http.send_json("admin", f"{server.url}/clients", method=method, document={"a": "ü"}, headers={"X-A": "b"})

    (asked,) = server.asked
    assert (asked.method, json.loads(asked.body), asked.headers["x-a"]) == (method, {"a": "ü"}, "b")
    assert asked.headers["content-type"] == "application/json"


async def test_nothing_is_said_beyond_what_is_needed(http: HttpClient, server: AnsweringServer) -> None:
    server.give("/x", {})

    await http.get("discovery", f"{server.url}/x")

    assert set(server.asked[0].headers) == {"host", "accept", "user-agent", "accept-encoding", "connection"}
    assert server.asked[0].headers["accept-encoding"] == "identity"


async def test_a_path_is_sent_as_it_stands(http: HttpClient, server: AnsweringServer) -> None:
    await http.get("discovery", f"{server.url}/realms/a%2Fb%20c/x?d=%41")

    assert server.paths() == ["/realms/a%2Fb%20c/x?d=%41"]


async def test_no_cookie_is_kept(http: HttpClient, server: AnsweringServer) -> None:
    server.give("/x", {}, Set_Cookie="a=b; Path=/")

    for _ in range(2):
        await http.get("discovery", f"{server.url}/x")

    assert "cookie" not in server.asked[1].headers


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_no_redirect_is_followed(http: HttpClient, server: AnsweringServer, status: int) -> None:
    server.give("/x", {}, status=status, Location=f"{server.url}/y")

    with pytest.raises(ProviderUnavailable, match="redirect"):
        await http.get("discovery", f"{server.url}/x")

    assert server.paths() == ["/x"]


async def test_a_visit_says_where_a_redirect_leads_and_does_not_go_there(
    http: HttpClient, server: AnsweringServer
) -> None:
    server.give("/auth", {}, status=302, Location="/elsewhere?error=login_required")

    answer = await http.visit("authorization", f"{server.url}/auth")

    assert (answer.status, answer.location) == (302, "/elsewhere?error=login_required")
    assert [asked.path for asked in server.asked] == ["/auth"]


async def test_an_answer_over_the_limit_is_not_read_to_its_end(http: HttpClient, server: AnsweringServer) -> None:
    server.give("/fits", b"x" * MAX_ANSWER_BYTES)
    server.give("/large", b"x" * (MAX_ANSWER_BYTES + 1))

    assert len((await http.get("jwks", f"{server.url}/fits")).body) == MAX_ANSWER_BYTES
    with pytest.raises(ProviderUnavailable, match="more than"):
        await http.get("jwks", f"{server.url}/large")


async def test_who_does_not_answer_in_time_is_away(
    clock: FakeClock, observer: RecordingObserver, server: AnsweringServer
) -> None:
    server.hang("/x")
    client = HttpClient(clock=clock, observer=observer, timeout_s=0.05, ca_file=None)

    with pytest.raises(ProviderUnavailable, match=r"did not answer within 0\.05 s"):
        await client.get("refresh", f"{server.url}/x")

    await client.close()
    assert observer.provider_calls == [("refresh", "unreachable", 0.0)]


async def test_who_does_not_listen_is_away(http: HttpClient, free_port: int) -> None:
    with pytest.raises(ProviderUnavailable, match="cannot be reached") as away:
        await http.get("discovery", f"http://127.0.0.1:{free_port}/")

    assert not isinstance(away.value, AnswerLost), "nothing was sent"


async def test_a_connection_that_is_reset_may_have_lost_an_answer(http: HttpClient) -> None:
    async def reset(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        writer.transport.abort()

    async with await asyncio.start_server(reset, "127.0.0.1", 0) as listener:
        port = listener.sockets[0].getsockname()[1]
        with pytest.raises(AnswerLost):
            await http.get("refresh", f"http://127.0.0.1:{port}/")


async def test_the_sentence_names_the_address_once_and_the_reason_in_few_words(
    http: HttpClient, free_port: int
) -> None:
    url = f"http://127.0.0.1:{free_port}/realms/acme"

    with pytest.raises(ProviderUnavailable) as refused:
        await http.get("discovery", url)
    with pytest.raises(ProviderUnavailable) as two_addresses:
        await http.get("discovery", f"http://localhost:{free_port}/")
    with pytest.raises(ProviderUnavailable) as unknown:
        await http.get("discovery", "http://keycloak.invalid/")

    assert str(refused.value) == f"{url} cannot be reached: connection refused"
    assert str(two_addresses.value) == f"http://localhost:{free_port}/ cannot be reached: connection refused"
    assert re.fullmatch(r"http://keycloak\.invalid/ cannot be reached: [a-z][a-z -]+", str(unknown.value))


@pytest.mark.parametrize(
    ("said", "words"),
    [
        (b"", "it hung up without an answer"),
        (b"SSH-2.0-OpenSSH_9\r\n", "its answer is no HTTP"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc", "its answer broke off"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\n", "its answer is no HTTP"),
    ],
)
async def test_an_answer_that_is_none_is_told_in_one_sentence(http: HttpClient, said: bytes, words: str) -> None:
    async def listener(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(said)
        writer.close()

    async with await asyncio.start_server(listener, "127.0.0.1", 0) as server:
        url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/"
        with pytest.raises(ProviderUnavailable) as away:
            await http.get("discovery", url)

    assert str(away.value) == f"{url} cannot be reached: {words}"
    # What is no HTTP is an answer; the others may have been one that was lost on its way.
    assert isinstance(away.value, AnswerLost) is ("HTTP" not in words)


async def test_who_hangs_up_or_speaks_no_http_is_away(http: HttpClient) -> None:
    async def garbage(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"SSH-2.0-OpenSSH_9\r\n")
        writer.close()

    async with await asyncio.start_server(garbage, "127.0.0.1", 0) as listener:
        port = listener.sockets[0].getsockname()[1]
        with pytest.raises(ProviderUnavailable, match="cannot be reached"):
            await http.get("discovery", f"http://127.0.0.1:{port}/")


@pytest.mark.parametrize(
    ("status", "outcome"),
    [(200, "ok"), (204, "ok"), (400, "refused"), (401, "refused"), (500, "failed"), (302, "failed")],
)
async def test_every_call_is_counted_with_its_outcome(
    http: HttpClient, server: AnsweringServer, observer: RecordingObserver, status: int, outcome: str
) -> None:
    server.give("/x", b"", status=status)
    try:
        await http.get("refresh", f"{server.url}/x")
    except ProviderUnavailable:
        assert status == 302

    assert observer.provider_calls == [("refresh", outcome, 0.0)]


async def test_what_is_no_json_says_what_it_is(http: HttpClient, server: AnsweringServer) -> None:
    server.give("/x", b"<html>", Content_Type="text/html")

    with pytest.raises(ProviderUnavailable, match=r"answers 200 with text/html, not a JSON object"):
        (await http.get("discovery", f"{server.url}/x")).json_object()


class TestProxyOfTheEnvironment:
    """HTTP_PROXY, NO_PROXY; the server plays the proxy."""

    async def test_the_proxy_is_asked(
        self, http: HttpClient, server: AnsweringServer, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("http_proxy", server.url.replace("://", "://me:p%40ss@"))

        await http.get("discovery", "http://keycloak.test/realms/acme")

        assert server.asked[0].path == "http://keycloak.test/realms/acme"
        assert server.asked[0].headers["proxy-authorization"] == "Basic bWU6cEBzcw=="

    async def test_a_proxy_that_is_away_is_told_from_a_provider_that_is(
        self, http: HttpClient, monkeypatch: pytest.MonkeyPatch, free_port: int
    ) -> None:
        monkeypatch.setenv("http_proxy", f"http://me:secret@127.0.0.1:{free_port}")

        with pytest.raises(ProviderUnavailable) as away:
            await http.get("discovery", "http://keycloak.test/")

        assert str(away.value) == "http://keycloak.test/ cannot be reached: the proxy: connection refused"

    async def test_a_proxy_that_opens_no_tunnel_says_why(
        self, http: HttpClient, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        async def proxy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await reader.readuntil(b"\r\n\r\n")
            writer.write(b"HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 0\r\n\r\n")
            writer.close()

        async with await asyncio.start_server(proxy, "127.0.0.1", 0) as server:
            monkeypatch.setenv("https_proxy", f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}")
            with pytest.raises(ProviderUnavailable) as away:
                await http.get("discovery", "https://keycloak.test/")

        assert str(away.value) == "https://keycloak.test/ cannot be reached: the proxy answers 407"

    async def test_exceptions_from_the_proxy_hold(
        self, http: HttpClient, server: AnsweringServer, monkeypatch: pytest.MonkeyPatch, free_port: int
    ) -> None:
        server.give("/x", {})
        monkeypatch.setenv("http_proxy", f"http://127.0.0.1:{free_port}")
        monkeypatch.setenv("no_proxy", "127.0.0.1")

        assert (await http.get("discovery", f"{server.url}/x")).status == 200

    async def test_a_netrc_file_is_not_read(
        self, http: HttpClient, server: AnsweringServer, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
    ) -> None:
        (tmp_path / "netrc").write_text("machine 127.0.0.1 login me password secret\n")
        monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
        server.give("/x", {})

        await http.get("discovery", f"{server.url}/x")

        assert "authorization" not in server.asked[0].headers


class TestTrust:
    """``keycloak.ca_file``."""

    @pytest.fixture
    def certificate(self, tmp_path: Path) -> Path:
        """A certificate for localhost that signs itself, with its key in the same file."""
        name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
        now = datetime.now(UTC)
        key = private_key("P-256 tls")
        made = (
            x509.CertificateBuilder()
            .subject_name(name)
            .issuer_name(name)
            .public_key(key.public_key())
            .serial_number(1)
            .not_valid_before(now - timedelta(hours=1))
            .not_valid_after(now + timedelta(hours=1))
            .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
            .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
            .sign(key, hashes.SHA256())
        )
        path = tmp_path / "server.pem"
        key_pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        path.write_bytes(made.public_bytes(Encoding.PEM) + key_pem)
        return path

    async def test_a_certificate_of_the_file_is_trusted_and_no_other(
        self, certificate: Path, clock: FakeClock, observer: RecordingObserver
    ) -> None:
        tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        tls.load_cert_chain(certificate)
        trusting = HttpClient(clock=clock, observer=observer, timeout_s=5.0, ca_file=certificate)
        plain = HttpClient(clock=clock, observer=observer, timeout_s=5.0, ca_file=None)

        async with answering_server(tls) as server:
            server.give("/x", {})
            assert (await trusting.get("discovery", f"{server.url}/x")).status == 200
            with pytest.raises(
                ProviderUnavailable, match=r"x cannot be reached: its certificate is not trusted \(self"
            ):
                await plain.get("discovery", f"{server.url}/x")
            with pytest.raises(ProviderUnavailable, match=r"x cannot be reached: .*(hung up|TLS|HTTP|reset|broke off)"):
                await plain.get("discovery", f"{server.url}/x".replace("https", "http"))

        await trusting.close()
        await plain.close()

    @pytest.mark.parametrize("content", [None, b"", b"no certificate"])
    def test_a_file_without_certificates_is_a_fault_of_the_settings(
        self, tmp_path: Path, clock: FakeClock, observer: RecordingObserver, content: bytes | None
    ) -> None:
        path = tmp_path / "ca.pem"
        if content is not None:
            path.write_bytes(content)

        with pytest.raises(SettingsError, match=r"keycloak\.ca_file"):
            HttpClient(clock=clock, observer=observer, timeout_s=5.0, ca_file=path)


def test_an_answer_shows_neither_its_body_nor_where_it_leads() -> None:
    answer = ProviderAnswer("/token", 200, "", b"token-of-alice", START, None, location="/?code=of-alice")

    assert "of-alice" not in repr(answer)


def test_a_providers_words_are_short_and_on_one_line() -> None:
    assert shown("a\r\nb\x1b[31m") == "a  b [31m"
    assert len(shown("x" * 1000)) == 201
