"""Sidegate's front door in the hands of these tests: a file of everyday kind, raw clients, apps of a few lines.

With ``SIDEGATE_TEST_FULL=1`` the tests of this folder use the sizes and numbers of the promise (1 GiB, 10,000
idle connections, every case of Autobahn's testsuite, four replicas replaced); without it, smaller ones of that kind.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
import resource
import ssl
import subprocess
import sys
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from proxy.demo.clients import Client
from proxy.demo.issuer import running_issuer
from proxy.demo.shape import Shape
from tests.contracts.web_browser import WebBrowser
from tests.forward.dialogue import RawClient

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Iterator

    from proxy.demo.issuer import Issuer
    from tests.support.sidegate_process import SidegateProcess

ROOT = Path(__file__).parents[2]
IS_FULL = os.environ.get("SIDEGATE_TEST_FULL") == "1"

MIB = 1024 * 1024
NOBODY = "http://127.0.0.1:1"
REALM = "/realms/acme"
PUBLIC = [{"path": "/**", "access": "public"}]
PROTECTED = [{"path": "/open/**", "access": "public"}, {"path": "/**", "access": "authenticated"}]


def settings(app_url: str, **sections: Any) -> dict[str, Any]:
    """A file with public routes, a provider that is not there, and one upstream; ``sections`` are merged into it."""
    file: dict[str, Any] = {
        "server": {},
        "keycloak": {
            "issuer": NOBODY + REALM,
            "client_id": "app",
            "client_auth": {"secret": {"value": "app-secret"}},
        },
        "upstreams": {"app": {"url": app_url}},
        "routes": PUBLIC,
    }
    for section, given in sections.items():
        both = isinstance(given, dict) and isinstance(file.get(section), dict)
        file[section] = {**file[section], **given} if both else given
    return file


# --- apps


@dataclass
class App:
    """A server of one handler; ``url`` is what an upstream is told."""

    url: str
    tasks: set[asyncio.Task[None]] = field(default_factory=set)


@asynccontextmanager
async def app_of(
    handler: Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]],
    *,
    host: str = "127.0.0.1",
    socket_path: Path | None = None,
    tls: ssl.SSLContext | None = None,
) -> AsyncIterator[App]:
    """Serve ``handler`` for each connection, over TCP, TLS or a unix socket, until the block ends."""
    app = App("")

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError, ssl.SSLError):
                await handler(reader, writer)
        finally:
            writer.close()

    def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.get_running_loop().create_task(serve(reader, writer))
        app.tasks.add(task)
        task.add_done_callback(app.tasks.discard)

    if socket_path is not None:
        server = await asyncio.start_unix_server(accept, socket_path, limit=MIB)
        app.url = f"unix:{socket_path}"
    else:
        server = await asyncio.start_server(accept, host, 0, ssl=tls, limit=MIB, backlog=1024)
        name = f"[{host}]" if ":" in host else host
        app.url = f"{'https' if tls else 'http'}://{name}:{server.sockets[0].getsockname()[1]}"
    try:
        yield app
    finally:
        server.close()
        for task in list(app.tasks):
            task.cancel()
        await asyncio.gather(*app.tasks, return_exceptions=True)


async def request_head(reader: asyncio.StreamReader) -> bytes:
    """Read one head."""
    return await reader.readuntil(b"\r\n\r\n")


def length_of(head: bytes) -> int:
    """The stated length of a body; 0 when none is stated."""
    found = re.search(rb"(?i)\r\ncontent-length: *(\d+)", head)
    return int(found[1]) if found else 0


async def hello(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """An app that answers everything with ``hello``, once it has read it whole, and keeps its connections."""
    while True:
        head = await request_head(reader)
        await reader.readexactly(length_of(head))
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello")


# --- clients


@dataclass
class Dial:
    """Raw clients of one test, which end with it."""

    clients: list[RawClient] = field(default_factory=list)

    async def __call__(self, process: SidegateProcess, *, tls: ssl.SSLContext | None = None) -> RawClient:
        """A client at the front door, wherever that is."""
        listen = str(process.config["server"]["listen"])
        if listen.startswith("unix:"):
            pair = await asyncio.open_unix_connection(listen.removeprefix("unix:"), limit=MIB)
        else:
            pair = await asyncio.open_connection("127.0.0.1", process.port, ssl=tls, limit=MIB)
        client = RawClient(*pair)
        self.clients.append(client)
        return client

    async def close(self) -> None:
        """End all of them."""
        for client in self.clients:
            client.reset()
        await asyncio.sleep(0)


def get(path: str, process: SidegateProcess, *lines: str) -> bytes:
    """The bytes of a GET; ``lines`` are further header lines."""
    return _head("GET", path, process, *lines)


def post(path: str, process: SidegateProcess, *lines: str) -> bytes:
    """The bytes of a POST's head; ``lines`` are further header lines."""
    return _head("POST", path, process, *lines)


def _head(method: str, path: str, process: SidegateProcess, *lines: str) -> bytes:
    host = process.url.partition("://")[2]
    return "\r\n".join([f"{method} {path} HTTP/1.1", f"Host: {host}", *lines, "", ""]).encode()


# --- crowds


@contextmanager
def many(count: int) -> Iterator[None]:
    """Let this process have so many sockets; skips where it may not."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    # A third more, since Sidegate keeps a quarter of what it may have for upstreams.
    needed = count * 4 // 3 + 500
    if hard != resource.RLIM_INFINITY and hard < needed:
        pytest.skip(f"{needed} descriptors are needed, the hard limit (ulimit -Hn) is {hard}")
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, needed), hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def p99_ms(process: SidegateProcess, count: int, path: str = "/visitor") -> float:
    """What a visitor in a process of its own says; every answer was whole."""
    host = process.url.partition("://")[2]
    command = [sys.executable, "-m", "tests.support.visitor", str(process.port), host, path, str(count)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=100, check=False)
    assert done.returncode == 0, done.stderr
    return float(done.stdout)


# --- people


@asynccontextmanager
async def provider(*, app_port: int) -> AsyncIterator[Issuer]:
    """A faithful provider with alice and bob, which tells the Sidegate at ``app_port`` of every logout."""
    async with running_issuer(shape=Shape(REALM)) as issuer:
        issuer.register_client(
            Client(
                client_id="app",
                secret="app-secret",
                redirect_uris=("http://127.0.0.1/*",),
                backchannel_logout_url=f"http://127.0.0.1:{app_port}/_sidegate/backchannel-logout",
            )
        )
        for name in ("alice", "bob"):
            issuer.add_user(name, f"{name}-pw")
        yield issuer


async def ready(process: SidegateProcess) -> SidegateProcess:
    """Wait until it is ready, while the provider, which may run in this loop, is asked."""
    async with asyncio.timeout(20):
        while await asyncio.to_thread(process.readiness) != 200:  # noqa: ASYNC110  another process has no event
            await asyncio.sleep(0.05)
    return process


def at_provider(issuer: Issuer) -> dict[str, Any]:
    """The section of the file for this provider."""
    return {"issuer": issuer.url}


def sign_in(process: SidegateProcess, username: str) -> WebBrowser:
    """Sign somebody in by the form; returns the browser with its cookies."""
    browser = WebBrowser()
    page = browser.get(f"{process.url}/_sidegate/login", Accept="text/html")
    form = {**page.hidden_inputs(), "username": username, "password": f"{username}-pw"}
    answer = browser.post(page.form_action, form, Accept="text/html", Origin=process.url)
    assert answer.status == 303, answer.text
    return browser


def cookie_line(browser: WebBrowser) -> str:
    """The Cookie field of this browser."""
    return "Cookie: " + "; ".join(f"{name}={value}" for name, value in browser.cookies.items())


# --- what a process holds


def memory_of(process: SidegateProcess) -> int:
    """Bytes that are resident now."""
    return _status(process, "VmRSS")


def forget_peak(process: SidegateProcess) -> None:
    """Let the kernel measure the peak anew (proc(5), ``clear_refs``)."""
    Path(f"/proc/{process.program.pid}/clear_refs").write_text("5")


def peak_memory_of(process: SidegateProcess) -> int:
    """Most bytes that were resident at once since :func:`forget_peak`."""
    return _status(process, "VmHWM")


def _status(process: SidegateProcess, name: str) -> int:
    text = Path(f"/proc/{process.program.pid}/status").read_text()
    found = re.search(rf"^{name}:\s+(\d+) kB$", text, re.MULTILINE)
    assert found is not None, text
    return int(found[1]) * 1024


def figure(exposition: str, name: str, **labels: str) -> float:
    """One sample of ``/metrics``."""
    inside = ",".join(f'{label}="{value}"' for label, value in sorted(labels.items()))
    wanted = f"{name}{{{inside}}}" if inside else name
    return next(float(line.rpartition(" ")[2]) for line in exposition.splitlines() if line.startswith(f"{wanted} "))


def exposition_of(process: SidegateProcess) -> str:
    """What ``/metrics`` says."""
    return WebBrowser().get(f"{process.management_url}/metrics").text
