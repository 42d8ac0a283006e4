"""A proxy that asks, Sidegate beside it, an app behind it: the recipes of ``docs/examples/forward-auth`` as they stand.

Nothing of a recipe is changed but addresses, and TLS is left away. Whoever wants to know what ``run`` in front would do
comes to the same Sidegate from 127.0.0.2, which is in nobody's ``trusted_proxies``.
"""

from __future__ import annotations

import asyncio
import json
import os
import re
import socket
import threading
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import TYPE_CHECKING, Any

from proxy.demo.clients import Client
from proxy.demo.issuer import running_issuer
from proxy.demo.shape import Shape
from tests.contracts.web_browser import WebBrowser
from tests.support.ports import free_port
from tests.support.processes import Program
from tests.support.sidegate_process import SidegateProcess

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

RECIPES = Path(__file__).parents[2] / "docs" / "examples" / "forward-auth"
REALM = "/realms/acme"
STRANGER = "127.0.0.2"
"""Loopback too, and not the proxy."""

ROUTES = [
    {"path": "/static/**", "access": "public"},
    {"path": "/maybe", "access": "optional"},
    {"path": "/signout", "logout": True},
    {"path": "/admin/**", "access": {"all_roles": ["admin"]}},
    {"path": "/api/**", "methods": ["GET"], "access": "authenticated", "on_unauthenticated": 401},
    {"path": "/app/**", "access": "authenticated"},
]

Fields = tuple[tuple[str, str], ...]


# --- the app


class _Telling(BaseHTTPRequestHandler):
    """Says what it is told; takes every WebSocket, and lets go of it."""

    protocol_version = "HTTP/1.1"

    def __getattr__(self, name: str) -> Any:
        if name.startswith("do_"):
            return self._tell
        raise AttributeError(name)

    def _tell(self) -> None:
        if self.headers.get("Upgrade"):
            self.send_response_only(101)
            self.send_header("Connection", "Upgrade")
            self.send_header("Upgrade", "websocket")
            self.end_headers()
            self.close_connection = True
            return
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0)).decode()
        told = {"method": self.command, "target": self.path, "headers": self.headers.items(), "body": body}
        answer = json.dumps(told).encode()
        self.send_response_only(200)
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(answer)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@contextmanager
def app() -> Iterator[int]:
    """Serve it; yields the port."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Telling)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield server.server_address[1]
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


# --- the provider


@contextmanager
def provider(public_url: str) -> Iterator[str]:
    """Run one in a thread, with alice (viewer, admin) and bob (viewer); yields the issuer."""
    ready, ends = threading.Event(), asyncio.Event()
    issuer: list[str] = []
    loop = asyncio.new_event_loop()

    async def serve() -> None:
        async with running_issuer(shape=Shape(REALM)) as made:
            made.register_client(Client(client_id="app", secret="app-secret", redirect_uris=(f"{public_url}/*",)))
            made.add_user("alice", "alice-pw", realm_roles=("viewer", "admin"), email="alice@example.com")
            made.add_user("bob", "bob-pw", realm_roles=("viewer",))
            issuer.append(made.url)
            ready.set()
            await ends.wait()

    thread = threading.Thread(target=lambda: loop.run_until_complete(serve()))
    thread.start()
    assert ready.wait(20)
    try:
        yield issuer[0]
    finally:
        loop.call_soon_threadsafe(ends.set)
        thread.join()
        loop.close()


# --- what came back


@dataclass(frozen=True, slots=True)
class Answer:
    """One answer; header names in lower case."""

    status: int
    headers: tuple[tuple[str, str], ...]
    body: bytes

    def values(self, name: str) -> list[str]:
        return [value for key, value in self.headers if key == name]

    @property
    def told(self) -> dict[str, Any]:
        """What the app says it was told."""
        told: dict[str, Any] = json.loads(self.body)
        return told

    def app_has(self, name: str) -> list[str]:
        """Every value of a header that the app got, in whatever spelling it reads as the same (CGI)."""
        folded = re.sub("[^a-z0-9]", "-", name.lower())
        return [value for key, value in self.told["headers"] if re.sub("[^a-z0-9]", "-", key.lower()) == folded]


def send(
    port: int, method: str, target: str, fields: Sequence[tuple[str, str]], *, host: str, source: str = "127.0.0.1"
) -> Answer:
    """Send one request as these very bytes, and read to the end."""
    lines = [f"{method} {target} HTTP/1.1", f"Host: {host}", *(f"{name}: {value}" for name, value in fields)]
    if not any(name.lower() == "connection" for name, _ in fields):
        lines.append("Connection: close")
    with socket.create_connection(("127.0.0.1", port), timeout=20, source_address=(source, 0)) as connection:
        connection.sendall("\r\n".join([*lines, "", ""]).encode("latin-1"))
        received = bytearray()
        while data := connection.recv(65536):
            received += data
            if _is_whole(bytes(received)):
                break
    head, _, body = bytes(received).partition(b"\r\n\r\n")
    status, *rest = head.decode("latin-1").split("\r\n")
    pairs = [line.partition(":") for line in rest]
    return Answer(int(status.split()[1]), tuple((name.lower(), value.strip()) for name, _, value in pairs), body)


def _is_whole(received: bytes) -> bool:
    """Say so of a 101 and of a stated length; any other ends with the connection."""
    head, end, body = received.partition(b"\r\n\r\n")
    length = re.search(rb"(?i)\r\ncontent-length: *([0-9]+)", head)
    return bool(end) and (head.startswith(b"HTTP/1.1 101") or (length is not None and len(body) >= int(length[1]) > 0))


# --- the place


@dataclass
class Place:
    """A proxy that asks, and Sidegate; ``url`` is what browsers see."""

    url: str
    sidegate: SidegateProcess
    browsers: dict[str, WebBrowser] = field(default_factory=dict)

    @property
    def host(self) -> str:
        return self.url.partition("://")[2]

    @property
    def port(self) -> int:
        return int(self.url.rpartition(":")[2])

    def ask(self, method: str, target: str, *fields: tuple[str, str]) -> Answer:
        """Ask the proxy, as a browser does."""
        return send(self.port, method, target, fields, host=self.host)

    def ask_sidegate(self, method: str, target: str, *fields: tuple[str, str]) -> Answer:
        """Ask Sidegate itself, as if it stood in front."""
        return send(self.sidegate.port, method, target, fields, host=self.host, source=STRANGER)

    def cookie_of(self, username: str) -> tuple[str, str]:
        """Sign in by the form, through the proxy, once."""
        browser = self.browsers.get(username)
        if browser is None:
            browser = self.browsers[username] = WebBrowser()
            page = browser.get(f"{self.url}/_sidegate/login", Accept="text/html")
            assert page.status == 200, page.text
            form = {**page.hidden_inputs(), "username": username, "password": f"{username}-pw"}
            answer = browser.post(page.form_action, form, Accept="text/html", Origin=self.url)
            assert answer.status == 303, answer.text
        return ("Cookie", "theirs=1; " + "; ".join(f"{name}={value}" for name, value in browser.cookies.items()))


@contextmanager
def place(
    folder: Path, asked: dict[str, Any], start_proxy: Callable[[Path, int, int, int], Program]
) -> Iterator[Place]:
    """Start all of it; ``start_proxy`` is given a folder, its port, Sidegate's and the app's."""
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    with app() as app_port, provider(url) as issuer:
        sidegate = SidegateProcess(_file(url, issuer, app_port, asked), folder)
        proxy = start_proxy(folder, port, sidegate.port, app_port)
        try:
            sidegate.wait_until_ready()
            proxy.wait_until(lambda: _accepts(port), timeout_s=20)
            yield Place(url, sidegate)
        finally:
            proxy.end()
            sidegate.end()


def _file(url: str, issuer: str, app_port: int, asked: dict[str, Any]) -> dict[str, Any]:
    return {
        "server": {"listen": f"127.0.0.1:{free_port()}", "public_url": url, "trusted_proxies": ["127.0.0.1/32"]},
        "keycloak": {"issuer": issuer, "client_id": "app", "client_auth": {"secret": {"value": "app-secret"}}},
        "upstreams": {"app": {"url": f"http://127.0.0.1:{app_port}"}},
        "routes": ROUTES,
        "forward_auth": asked,
    }


def _accepts(port: int) -> bool:
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=1):
            return True
    except OSError:
        return False


# --- proxies

NGINX = """
daemon off; master_process off; worker_processes 1; pid {folder}/pid; error_log {folder}/error.log error;
events {{ worker_connections 512; }}
http {{
  access_log off; client_body_temp_path {folder}/b; proxy_temp_path {folder}/p; fastcgi_temp_path {folder}/f;
  uwsgi_temp_path {folder}/u; scgi_temp_path {folder}/s;
  include {folder}/app.conf;
}}
"""


def start_nginx(command: str, folder: Path, port: int, sidegate: int, app_port: int) -> Program:
    """Start nginx with the recipe."""
    recipe = (RECIPES / "nginx.conf").read_text("utf-8")
    for written, instead in (
        ("listen 443 ssl;", f"listen 127.0.0.1:{port};"),
        ("    ssl_certificate /etc/nginx/tls.crt;\n", ""),
        ("    ssl_certificate_key /etc/nginx/tls.key;\n", ""),
        ("server 127.0.0.1:4180;", f"server 127.0.0.1:{sidegate};"),
        ("server 127.0.0.1:8000;", f"server 127.0.0.1:{app_port};"),
    ):
        assert recipe.count(written) == 1, written
        recipe = recipe.replace(written, instead)
    (folder / "app.conf").write_text(recipe, "utf-8")
    (folder / "nginx.conf").write_text(NGINX.format(folder=folder), "utf-8")
    arguments = [command, "-p", str(folder), "-c", str(folder / "nginx.conf"), "-e", str(folder / "error.log")]
    return Program(arguments, log=folder / "nginx.log")


def start_caddy(command: str, folder: Path, port: int, sidegate: int, app_port: int) -> Program:
    """Start Caddy with the recipe."""
    recipe = (RECIPES / "Caddyfile").read_text("utf-8")
    for written, instead in (
        ("app.example.com {", f"{{\n\tadmin off\n\tauto_https off\n}}\n\nhttp://127.0.0.1:{port} {{"),
        ("127.0.0.1:4180", f"127.0.0.1:{sidegate}"),
        ("127.0.0.1:8000", f"127.0.0.1:{app_port}"),
    ):
        assert written in recipe, written
        recipe = recipe.replace(written, instead)
    (folder / "Caddyfile").write_text(recipe, "utf-8")
    homes = {"HOME": str(folder), "XDG_DATA_HOME": str(folder), "XDG_CONFIG_HOME": str(folder)}
    command_line = [command, "run", "--config", str(folder / "Caddyfile"), "--adapter", "caddyfile"]
    return Program(command_line, log=folder / "caddy.log", env={**os.environ, **homes})
