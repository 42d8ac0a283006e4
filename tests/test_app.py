"""The composition root, as an operator meets it: a process with a file, addresses, signals and any provider."""

from __future__ import annotations

import asyncio
import datetime as dt
import ipaddress
import json
import signal
import socket
import ssl
import subprocess
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import aiohttp
import pytest
import yaml
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from proxy.demo.clients import Client
from proxy.demo.issuer import running_issuer
from proxy.demo.shape import Shape
from tests.contracts.web_browser import WebBrowser
from tests.oidc.answering import AnsweringServer, answering_server
from tests.support import ports
from tests.support.eventually import eventually
from tests.support.processes import Program
from tests.support.raw_upstream import OK, Pause, RawUpstream, Send
from tests.support.sidegate_process import COMMAND, SidegateProcess

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
    from pathlib import Path

    from proxy.demo.issuer import Issuer
    from tests.support.fixtures import StartSidegate

NOBODY = "http://127.0.0.1:1"
REALM = "/realms/acme"
METADATA = f"{REALM}/.well-known/openid-configuration"
JWKS = f"{REALM}/protocol/openid-connect/certs"
ROUTES = [{"path": "/open/**", "access": "public"}, {"path": "/**", "access": "authenticated"}]
CLIENT = Client(client_id="app", secret="app-secret", redirect_uris=("http://127.0.0.1/*", "https://127.0.0.1/*"))


def settings(issuer: str = NOBODY + REALM, *, upstream: str = NOBODY, **changes: Mapping[str, Any]) -> dict[str, Any]:
    """A file of everyday kind; ``changes`` are merged into its sections."""
    file: dict[str, Any] = {
        "server": {},
        "keycloak": {"issuer": issuer, "client_id": "app", "client_auth": {"secret": {"value": "app-secret"}}},
        "upstreams": {"app": {"url": upstream}},
        "routes": ROUTES,
    }
    return {**file, **{section: {**file.get(section, {}), **keys} for section, keys in changes.items()}}


def run(folder: Path, file: Mapping[str, Any] | str) -> subprocess.CompletedProcess[str]:
    """``sidegate run`` with a file that keeps it from serving."""
    path = folder / "sidegate.yaml"
    path.write_text(file if isinstance(file, str) else yaml.safe_dump(file), "utf-8")
    return outcome("run", "-c", str(path))


def outcome(*arguments: str) -> subprocess.CompletedProcess[str]:
    """A command that ends by itself."""
    return subprocess.run(
        [COMMAND, *arguments], check=False, capture_output=True, text=True, timeout=30, stdin=subprocess.DEVNULL
    )


def listening_at(port: int) -> dict[str, Any]:
    """The addresses of a file that is started without the fixture."""
    return {
        "server": {"listen": f"127.0.0.1:{port}", "public_url": f"http://127.0.0.1:{port}"},
        "management": {"listen": _free_address(), "api_listen": _free_address()},
    }


def _free_address() -> str:
    return f"127.0.0.1:{ports.free_port()}"


@asynccontextmanager
async def provider_at(port: int) -> AsyncIterator[Issuer]:
    """A faithful provider with one client and one user."""
    async with running_issuer(port=port, shape=Shape(REALM)) as issuer:
        issuer.register_client(CLIENT)
        issuer.add_user("alice", "alice-pw")
        yield issuer


async def fetched(url: str) -> tuple[int, Any]:
    async with aiohttp.ClientSession() as http, http.get(url, allow_redirects=False) as answer:
        text = await answer.text()
        return answer.status, json.loads(text) if answer.content_type == "application/json" else text


async def readiness_once(
    process: SidegateProcess, holds: Callable[[int, dict[str, str]], bool], *, within_s: float = 15.0
) -> dict[str, str]:
    """What /readyz says as soon as ``holds``."""
    async with asyncio.timeout(within_s):
        while True:
            status, said = await fetched(f"{process.management_url}/readyz")
            if holds(status, said):
                return dict(said)
            await asyncio.sleep(0.05)


def is_told(process: SidegateProcess, words: str) -> Callable[[], Awaitable[bool]]:
    """Whether the words stand in the log."""

    async def look() -> bool:
        return words in process.program.output

    return look


async def until_ready(process: SidegateProcess) -> None:
    await readiness_once(process, lambda status, _said: status == 200)


def sign_in(url: str, browser: WebBrowser | None = None) -> tuple[int, tuple[str, ...]]:
    """Status and cookies of what the login form gets."""
    browser = browser or WebBrowser()
    page = browser.get(f"{url}/_sidegate/login", Accept="text/html")
    form = {**page.hidden_inputs(), "username": "alice", "password": "alice-pw"}
    answer = browser.post(page.form_action, form, Accept="text/html", Origin=url)
    return answer.status, answer.cookies


class TestStart:
    """What keeps it from serving is a sentence on stderr and an exit code, never a traceback."""

    @pytest.mark.parametrize("key", ["server.listen", "management.listen", "management.api_listen"])
    def test_an_address_in_use_is_one_sentence_and_exit_code_1(self, tmp_path: Path, key: str) -> None:
        section, _, name = key.partition(".")
        with socket.create_server(("127.0.0.1", 0)) as taken:
            port = taken.getsockname()[1]
            addresses = listening_at(ports.free_port())
            addresses[section][name] = f"127.0.0.1:{port}"

            result = run(tmp_path, settings(**addresses))

        sentence = f"cannot listen on 127.0.0.1:{port}: address already in use; free the address or change {key}"
        assert result.returncode == 1
        assert result.stderr == f"sidegate: {sentence}\n"

    def test_an_address_that_is_not_ours_is_one_sentence(self, tmp_path: Path) -> None:
        addresses = listening_at(ports.free_port())
        addresses["server"]["listen"] = "203.0.113.7:8080"

        result = run(tmp_path, settings(**addresses))

        assert result.returncode == 1
        assert result.stderr.startswith("sidegate: cannot listen on 203.0.113.7:8080: cannot assign requested address")
        assert result.stderr.count("\n") == 1

    def test_the_demo_says_so_too(self) -> None:
        with socket.create_server(("127.0.0.1", 0)) as taken:
            port = str(taken.getsockname()[1])
            result = outcome("demo", "--port", port)

        assert result.returncode == 1
        assert result.stderr.startswith(f"sidegate: cannot listen on 127.0.0.1:{port}: address already in use")
        assert result.stderr.count("\n") == 1

    def test_every_problem_of_a_bad_file_is_told_and_the_exit_code_is_2(self, tmp_path: Path) -> None:
        text = "server: {listn: x}\nkeycloak: {issuer: nonsense}\n"

        result = run(tmp_path, text)

        assert (result.returncode, result.stdout) == (2, "")
        lines = result.stderr.splitlines()
        assert any("server.listn" in line and "server.listen" in line for line in lines)
        assert any("keycloak.issuer" in line for line in lines)
        assert all(line.startswith(str(tmp_path)) for line in lines)

    @pytest.mark.parametrize(
        ("source", "remedy"),
        [({"env": "NO_SUCH_VARIABLE"}, "NO_SUCH_VARIABLE"), ({"file": "/nowhere/secret"}, "/nowhere/secret")],
    )
    def test_a_secret_that_is_not_there_is_told_by_its_place(
        self, tmp_path: Path, source: dict[str, str], remedy: str
    ) -> None:
        file = settings(**listening_at(ports.free_port()))
        file["keycloak"]["client_auth"] = {"secret": source}

        result = run(tmp_path, file)

        assert result.returncode == 2
        assert remedy in result.stderr
        assert "Traceback" not in result.stderr
        assert result.stderr.count("\n") == 1

    def test_a_certificate_that_does_not_fit_its_key_is_told(self, tmp_path: Path) -> None:
        certificate, _ = certificate_files(tmp_path, "one")
        _, key = certificate_files(tmp_path, "other")
        file = settings(**listening_at(ports.free_port()))
        file["server"] |= {"public_url": "https://a.example", "tls": {"cert_file": certificate, "key_file": key}}

        result = run(tmp_path, file)

        assert result.returncode == 2
        assert "server.tls" in result.stderr
        assert "Traceback" not in result.stderr


class TestProvider:
    """Whatever the provider does at the start, we serve, say what is wrong, and go on by ourselves."""

    async def test_away_at_the_start_and_there_later(
        self, sidegate_process: StartSidegate, echo_app: RawUpstream
    ) -> None:
        port = ports.free_port()
        file = settings(f"http://127.0.0.1:{port}{REALM}", upstream=echo_app.url)
        process = sidegate_process(file, wait_for="listening")

        said = await readiness_once(process, lambda _status, said: "waiting" not in said["keycloak"])
        assert str(port) in said["keycloak"]
        assert said["store"] == "ok"
        assert (await fetched(f"{process.url}/open/x"))[0] == 200
        assert (await fetched(f"{process.url}/_sidegate/login"))[0] == 200
        status, cookies = await asyncio.to_thread(sign_in, process.url)
        assert status == 503
        assert not any(cookie.startswith("sidegate=") for cookie in cookies)
        assert (await fetched(f"{process.url}/_sidegate/start"))[0] == 503

        async with provider_at(port):
            await until_ready(process)
            status, cookies = await asyncio.to_thread(sign_in, process.url)
            assert status == 303
            assert any(cookie.startswith("sidegate=") for cookie in cookies)

        assert "Traceback" not in process.program.output

    @pytest.mark.parametrize(
        ("path", "given", "words"),
        [
            (METADATA, {"body": b"<html>Welcome", "Content_Type": "text/html"}, "JSON"),
            (METADATA, {"body": {"issuer": "http://other.example/realms/acme"}}, "other.example"),
            (METADATA, {"body": {"error": "Realm does not exist"}, "status": 404}, "404"),
            (METADATA, {"body": b"oops", "status": 500}, "500"),
            (METADATA, {"body": b"Bootstrap in progress", "status": 503, "Retry_After": "1"}, "503"),
            (METADATA, None, "1 s"),
            (JWKS, {"body": {"keys": []}}, "key"),
            (JWKS, {"body": b"<html>", "Content_Type": "text/html"}, "JSON"),
            (JWKS, None, "1 s"),
        ],
        ids=[
            *("metadata-html", "another-issuer", "no-such-realm", "error-500", "starting", "metadata-slow"),
            *("no-keys", "keys-html", "keys-slow"),
        ],
    )
    async def test_nonsense_is_named_and_its_end_is_noticed(
        self, sidegate_process: StartSidegate, path: str, given: dict[str, Any] | None, words: str
    ) -> None:
        async with provider_at(ports.free_port()) as faithful, answering_server() as provider:
            await _answer_like(faithful, provider)
            well = provider.answers[path]
            if given is None:
                provider.hang(path)
            else:
                provider.give(path, **given)
            file = settings(provider.url + REALM, keycloak={"timeout": "1s"})
            process = sidegate_process(file, wait_for="listening")

            said = await readiness_once(process, lambda _status, said: "waiting" not in said["keycloak"])
            assert words in said["keycloak"]
            assert (await fetched(f"{process.management_url}/readyz"))[0] == 503
            assert (await fetched(f"{process.management_url}/healthz"))[0] == 200
            await eventually(is_told(process, json.dumps(said["keycloak"])[1:-1]), expected=True)
            provider.answers[path] = well
            await until_ready(process)

        assert "Traceback" not in process.program.output


async def _answer_like(faithful: Issuer, provider: AnsweringServer) -> None:
    """Let ``provider`` publish what a faithful one does, in its own name."""
    _, metadata = await fetched(f"{faithful.origin}{METADATA}")
    _, keys = await fetched(f"{faithful.origin}{JWKS}")
    provider.give(METADATA, json.loads(json.dumps(metadata).replace(faithful.origin, provider.url)))
    provider.give(JWKS, keys)


class TestSignals:
    """SIGTERM and SIGINT drain, SIGHUP reloads."""

    @pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
    async def test_what_runs_may_end_and_nothing_new_begins(
        self, sidegate_process: StartSidegate, echo_app: RawUpstream, number: signal.Signals
    ) -> None:
        may_answer = asyncio.Event()
        echo_app.script(Pause(may_answer), Send(OK))
        process = sidegate_process(settings(upstream=echo_app.url), wait_for="listening")
        running = asyncio.create_task(fetched(f"{process.url}/open/slow"))  # noqa: TID251 - awaited below
        await asyncio.wait_for(echo_app.request(0), 5)

        process.program.signal(number)
        said = await readiness_once(process, lambda status, said: "draining" in said)
        with pytest.raises(aiohttp.ClientConnectorError):
            await fetched(f"{process.url}/open/new")
        assert not running.done()
        may_answer.set()

        assert said["draining"]
        assert await asyncio.wait_for(running, 5) == (200, "ok")
        assert await asyncio.to_thread(process.program.wait, timeout_s=10) == 0
        assert len(echo_app.requests) == 1
        assert "Traceback" not in process.program.output

    async def test_what_does_not_end_is_ended_after_the_grace(
        self, sidegate_process: StartSidegate, echo_app: RawUpstream
    ) -> None:
        echo_app.script(Pause(asyncio.Event()))
        file = settings(upstream=echo_app.url, server={"shutdown_grace": "1s"})
        process = sidegate_process(file, wait_for="listening")
        running = asyncio.create_task(fetched(f"{process.url}/open/endless"))  # noqa: TID251 - awaited below
        await asyncio.wait_for(echo_app.request(0), 5)

        process.program.signal(signal.SIGTERM)

        assert await asyncio.to_thread(process.program.wait, timeout_s=8) == 0
        with pytest.raises(aiohttp.ClientError):
            await running

    async def test_an_idle_connection_does_not_hold_the_end_up(
        self, sidegate_process: StartSidegate, echo_app: RawUpstream
    ) -> None:
        process = sidegate_process(settings(upstream=echo_app.url), wait_for="listening")
        loop = asyncio.get_running_loop()
        async with aiohttp.ClientSession() as http:
            async with http.get(f"{process.url}/open/x") as answer:
                await answer.read()
            async with http.get(f"{process.management_url}/healthz") as answer:
                await answer.read()

            begun = loop.time()
            process.program.signal(signal.SIGTERM)
            assert await asyncio.to_thread(process.program.wait, timeout_s=10) == 0

        assert loop.time() - begun < 3

    async def test_a_hangup_reads_the_file_again_although_the_provider_is_away(
        self, sidegate_process: StartSidegate
    ) -> None:
        process = sidegate_process(settings(), wait_for="listening")
        process.write({**process.config, "routes": [{"path": "/new/**"}]})

        process.program.signal(signal.SIGHUP)
        await eventually(is_told(process, "the file was read again and is applied"), expected=True)

        assert (await fetched(f"{process.url}/open/x"))[0] == 404

        assert (await fetched(f"{process.management_url}/healthz"))[0] == 200
        assert process.program.exit_code is None


class TestListeners:
    """What is answered where."""

    async def test_the_management_port_knows_health_readiness_and_metrics(
        self, sidegate_process: StartSidegate, echo_app: RawUpstream
    ) -> None:
        async with provider_at(0) as issuer:
            process = sidegate_process(settings(issuer.url, upstream=echo_app.url), wait_for="listening")
            await until_ready(process)
            await fetched(f"{process.url}/open/x")

            assert await fetched(f"{process.management_url}/healthz") == (200, {"status": "ok"})
            assert await fetched(f"{process.management_url}/readyz") == (200, {"keycloak": "ok", "store": "ok"})
            status, exposition = await fetched(f"{process.management_url}/metrics")

        assert status == 200
        assert 'sidegate_requests_total{decision="allow",route="/open/**",status="200"} 1.0' in exposition
        assert "sidegate_build_info" in exposition

    async def test_the_front_door_does_not_know_them(self, sidegate_process: StartSidegate) -> None:
        process = sidegate_process(settings(), wait_for="listening")

        for path in ("/healthz", "/readyz", "/metrics"):
            assert (await fetched(process.url + path))[0] == 401

    async def test_https_gives_secure_host_cookies(
        self, sidegate_process: StartSidegate, tmp_path: Path, echo_app: RawUpstream
    ) -> None:
        certificate, key = certificate_files(tmp_path, "door")
        port = ports.free_port()
        url = f"https://127.0.0.1:{port}"
        server = {
            "listen": f"127.0.0.1:{port}",
            "public_url": url,
            "tls": {"cert_file": certificate, "key_file": key},
        }
        async with provider_at(0) as issuer:
            process = sidegate_process(settings(issuer.url, upstream=echo_app.url, server=server), wait_for="listening")
            await until_ready(process)
            context = ssl.create_default_context(cafile=certificate)
            jar = aiohttp.CookieJar(unsafe=True)
            connector = aiohttp.TCPConnector(ssl=context)
            async with aiohttp.ClientSession(connector=connector, cookie_jar=jar) as http:
                headers = {"Accept": "application/json"}
                async with http.get(f"{url}/_sidegate/login", headers=headers) as answer:
                    csrf_token = (await answer.json())["csrf_token"]
                    before = answer.headers.getall("Set-Cookie")
                body = {"username": "alice", "password": "alice-pw", "csrf_token": csrf_token}
                async with http.post(f"{url}/_sidegate/login", headers=headers, json=body) as answer:
                    assert answer.status == 200, await answer.text()
                    cookies = [*before, *answer.headers.getall("Set-Cookie")]
                async with http.get(f"{url}/notes") as answer:
                    assert answer.status == 200
                    assert answer.headers["Strict-Transport-Security"].startswith("max-age=")

        names = [cookie.partition("=")[0] for cookie in cookies]
        assert "__Host-sidegate" in names
        for cookie in cookies:
            attributes = {part.strip().lower() for part in cookie.split(";")[1:]}
            assert cookie.startswith("__Host-sidegate"), cookie
            assert {"secure", "httponly", "path=/", "samesite=lax"} <= attributes, cookie
            assert not any(attribute.startswith("domain") for attribute in attributes)

    async def test_a_unix_socket_serves_and_a_stale_one_is_no_obstacle(
        self, unix_sidegate: Callable[[Path], Program], tmp_path: Path
    ) -> None:
        path = tmp_path / "door.sock"

        first = unix_sidegate(path)
        status = await _status_by_socket(path)
        first.signal(signal.SIGKILL)
        await asyncio.to_thread(first.wait, timeout_s=5)
        assert path.exists()
        second = unix_sidegate(path)

        assert status == 200
        assert await _status_by_socket(path) == 200
        assert await asyncio.to_thread(second.end) == 0


async def _status_by_socket(path: Path) -> int:
    connector = aiohttp.UnixConnector(str(path))
    async with (
        aiohttp.ClientSession(connector=connector) as http,
        http.get("http://app.example/_sidegate/login") as answer,
    ):
        return answer.status


@pytest.fixture
def unix_sidegate(tmp_path: Path) -> Iterator[Callable[[Path], Program]]:
    """Start Sidegate at a unix socket; returns once it says that it serves."""
    started: list[Program] = []

    def start(path: Path) -> Program:
        number = len(started)
        file = settings(**listening_at(1))
        file["server"] = {"listen": f"unix:{path}", "public_url": "http://app.example"}
        config = tmp_path / f"unix-{number}.yaml"
        config.write_text(yaml.safe_dump(file), "utf-8")
        program = Program([str(COMMAND), "run", "-c", str(config)], log=config.with_suffix(".log"))
        started.append(program)
        program.wait_until(lambda: "serving" in program.output, timeout_s=20)
        return program

    yield start
    for program in started:
        program.end()


def certificate_files(folder: Path, name: str) -> tuple[str, str]:
    """A certificate for 127.0.0.1 that signs itself, and its key, as PEM files."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
    now = dt.datetime.now(dt.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(hours=1))
        .not_valid_after(now + dt.timedelta(hours=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), critical=False)
        .sign(key, hashes.SHA256())
    )
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    files = folder / f"{name}.crt", folder / f"{name}.key"
    for file, content in zip(files, (certificate.public_bytes(serialization.Encoding.PEM), private), strict=True):
        file.write_bytes(content)
    return str(files[0]), str(files[1])
