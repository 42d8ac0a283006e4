"""Several Sidegates of one configuration around one Redis, with a provider and an app that keeps streams open.

The replicas have one public address, that of the first; whoever wants another connects to its port and says the public
name as Host. Each reaches Redis through a pausing proxy only where a run wants to cut it off.
"""

from __future__ import annotations

import asyncio
import json
import re
import sys
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from benchmarks.provider import SECRET
from benchmarks.started import START_TIMEOUT_S
from tests.redis.server import RedisServer
from tests.support.pausing_proxy import PausingProxy
from tests.support.ports import free_port
from tests.support.processes import Program
from tests.support.sidegate_process import SidegateProcess
from tests.support.stream_app import StreamApp

if TYPE_CHECKING:
    from contextlib import ExitStack
    from pathlib import Path

CLIENT = "sidegate"
SERVER_KEY = "VNnxm5J0QjkYOhqinPMWFo5-eBbK07ZG2oPXtlU7RIk"
"""Any key: what it seals lives for minutes in a Redis of our own."""


@dataclass(slots=True)
class Replicas:
    """What runs.

    Attributes:
        origin: the public address.
        ports: of the front doors.
        redis: the store of all.
        network: the last replica's way to Redis.
    """

    origin: str
    ports: list[int]
    redis: RedisServer
    network: PausingProxy
    processes: list[SidegateProcess] = field(default_factory=list)

    @property
    def authority(self) -> str:
        """The public name."""
        return self.origin.partition("://")[2]


def start_replicas(stack: ExitStack, folder: Path, number: int) -> Replicas:
    """Start so many replicas and what they need; the last one reaches Redis through ``network``."""
    ports = [free_port() for _ in range(number)]
    origin = f"http://127.0.0.1:{ports[0]}"
    redis = RedisServer(folder)
    stack.callback(redis.end)
    redis.start()
    network = stack.enter_context(PausingProxy(redis.port))
    app = StreamApp(folder)
    stack.callback(app.end)
    issuer = _start_provider(stack, folder, origin)
    replicas = Replicas(origin, ports, redis, network)
    for port in ports:
        store = network.address if port == ports[-1] else redis.address
        process = SidegateProcess(_settings(port, origin, issuer, app.url, store), folder)
        stack.callback(process.program.end, patience_s=5)
        replicas.processes.append(process)
    app.wait_until_ready()
    for process in replicas.processes:
        process.wait_until_ready()
    return replicas


def _start_provider(stack: ExitStack, folder: Path, origin: str) -> str:
    command = [sys.executable, "-m", "benchmarks.provider", json.dumps({CLIENT: [origin]})]
    program = Program(command, log=folder / "provider.log")
    stack.callback(program.end)
    program.wait_until(lambda: program.output.startswith("http"), timeout_s=START_TIMEOUT_S)
    return program.output.split()[0]


def _settings(port: int, origin: str, issuer: str, app: str, store: str) -> dict[str, Any]:
    return {
        "server": {"listen": f"127.0.0.1:{port}", "public_url": origin},
        "management": {"listen": f"127.0.0.1:{free_port()}", "api_listen": f"127.0.0.1:{free_port()}"},
        "keycloak": {"issuer": issuer, "client_id": CLIENT, "client_auth": {"secret": {"value": SECRET}}},
        "sessions": {
            "store": "redis",
            "redis": {"url": f"redis://{store}/0"},
            "encryption_keys": [{"value": SERVER_KEY}],
            "max_per_user": 0,
        },
        "upstreams": {"app": {"url": app}},
        "routes": [{"path": "/**", "access": "authenticated"}],
        "log": {"level": "warning"},
    }


class Door:
    """One kept connection to the front door of one replica."""

    def __init__(self, port: int, authority: str) -> None:
        """Nothing is dialled before the first request."""
        self._port = port
        self._authority = authority
        self._pair: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def get(self, cookie: str) -> int:
        """Return the status of a request with this cookie."""
        return await self._ask(f"GET /small HTTP/1.1\r\nAccept: application/json\r\nCookie: {cookie}\r\n")

    async def sign_out(self, cookie: str, origin: str) -> int:
        """Return the status of a logout by a page of our own origin."""
        fields = f"Origin: {origin}\r\nCookie: {cookie}\r\nContent-Length: 0\r\n"
        return await self._ask(f"POST /_sidegate/logout HTTP/1.1\r\nAccept: text/html\r\n{fields}")

    def close(self) -> None:
        """Break the connection."""
        if self._pair is not None:
            self._pair[1].transport.abort()
            self._pair = None

    async def _ask(self, head: str) -> int:
        if self._pair is None:
            self._pair = await asyncio.open_connection("127.0.0.1", self._port)
        reader, writer = self._pair
        writer.write(f"{head}Host: {self._authority}\r\n\r\n".encode())
        answer = await reader.readuntil(b"\r\n\r\n")
        length = re.search(rb"(?i)\r\ncontent-length: *(\d+)", answer)
        await reader.readexactly(int(length[1]) if length else 0)
        if length is None or b"\r\nconnection: close" in answer.lower():
            self.close()
        return int(answer[9:12])
