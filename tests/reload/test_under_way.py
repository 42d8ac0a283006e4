"""A reload as an operator gives it and as visitors meet it: one process, a provider, an app, and people who are there.

Everything happens to the same process, one thing after the other, while requests go on at an even pace.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import re
import signal
import ssl
import time
from typing import TYPE_CHECKING, Any

import aiohttp
import pytest
import yaml

from proxy.demo.clients import Client
from proxy.demo.issuer import running_issuer
from proxy.demo.shape import Shape
from tests.forward.certificates import Certificates
from tests.support.eventually import eventually
from tests.support.ports import free_port
from tests.support.steady_load import SteadyLoad
from tests.support.stream_app import StreamApp

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping
    from pathlib import Path

    from tests.support.fixtures import StartSidegate
    from tests.support.sidegate_process import SidegateProcess

PER_SECOND = 100
JSON = {"Accept": "application/json"}
CLIENT = Client(client_id="app", secret="app-secret", redirect_uris=("https://127.0.0.1/*",))
STAFF = {"any_role": ["staff"]}
APP = {"path": "/app/**", "strip_prefix": "/app"}


class Door:
    """The process, its file as a kubelet mounts it, and what its management port says."""

    def __init__(self, process: SidegateProcess) -> None:
        self.process = process
        self.file = process.config_file
        self.mount = self.file.parent
        self._swaps = 0

    def swap(self, config: Mapping[str, Any]) -> None:
        """Bring a file as a ConfigMap changes: a new folder, and ``..data`` leads there from one instant on."""
        self._swaps += 1
        folder = self.mount / f"..v{self._swaps}"
        folder.mkdir()
        (folder / self.file.name).write_text(yaml.safe_dump(dict(config)), "utf-8")
        _lead(self.mount / "..data", folder.name)
        if not self.file.is_symlink():
            _lead(self.file, f"..data/{self.file.name}")

    def replace(self, text: str) -> None:
        """Write the file as editors do: another beside it, renamed."""
        other = self.file.with_suffix(".new")
        other.write_text(text, "utf-8")
        other.replace(self.file)

    async def readiness(self) -> tuple[int, dict[str, str]]:
        status, text = await _fetched(f"{self.process.management_url}/readyz")
        return status, json.loads(text)

    async def figure(self, name: str) -> float:
        _, text = await _fetched(f"{self.process.management_url}/metrics")
        found = re.search(rf"^{re.escape(name)} (\S+)$", text, re.MULTILINE)
        return float(found[1]) if found else 0.0

    async def until(self, outcome: str, count: int) -> None:
        """Wait for the number of reloads that ended so."""
        name = f'sidegate_config_reloads_total{{outcome="{outcome}"}}'
        await eventually(lambda: self.figure(name), float(count), within_s=20)


def _lead(link: Path, target: str) -> None:
    new = link.with_name(link.name + "_tmp")
    new.symlink_to(target)
    new.replace(link)


async def _fetched(url: str) -> tuple[int, str]:
    async with aiohttp.ClientSession() as http, http.get(url) as answer:
        return answer.status, await answer.text()


class Visitor:
    """A browser with one person in it."""

    def __init__(self, url: str, tls: ssl.SSLContext) -> None:
        self.url = url
        self.http = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(ssl=tls), cookie_jar=aiohttp.CookieJar(unsafe=True), headers=JSON
        )

    async def open_login(self) -> str:
        async with self.http.get(f"{self.url}/_sidegate/login") as answer:
            return str((await answer.json())["csrf_token"])

    async def send_login(self, username: str, csrf_token: str) -> int:
        form = {"username": username, "password": f"{username}-pw", "csrf_token": csrf_token}
        async with self.http.post(f"{self.url}/_sidegate/login", json=form) as answer:
            return answer.status

    async def status(self, path: str) -> int:
        async with self.http.get(self.url + path, allow_redirects=False) as answer:
            await answer.read()
            return answer.status

    @property
    def cookie(self) -> bytes:
        return "; ".join(f"{one.key}={one.value}" for one in self.http.cookie_jar).encode()


@pytest.fixture
def certificates(tmp_path: Path) -> Certificates:
    (tmp_path / "tls").mkdir()
    return Certificates(tmp_path / "tls")


@pytest.fixture
def app(tmp_path: Path) -> Any:
    started = StreamApp(tmp_path)
    started.wait_until_ready()
    yield started
    started.end()


@pytest.fixture
async def door(certificates: Certificates, app: StreamApp, sidegate_process: StartSidegate) -> AsyncIterator[Door]:
    files = certificates.files("127.0.0.1", stem="door")
    tls = {"cert_file": str(files.certificate), "key_file": str(files.key)}
    async with running_issuer(port=0, shape=Shape("/realms/acme")) as issuer:
        issuer.register_client(CLIENT)
        issuer.add_user("alice", "alice-pw", realm_roles=("staff",))
        issuer.add_user("bob", "bob-pw")
        port = free_port()
        config = {
            "server": {"listen": f"127.0.0.1:{port}", "public_url": f"https://127.0.0.1:{port}", "tls": tls},
            "keycloak": {"issuer": issuer.url, "client_id": "app", "client_auth": {"secret": {"value": "app-secret"}}},
            "upstreams": {"app": {"url": app.url}},
            "routes": [{"path": "/open/**", "access": "public"}, APP],
        }
        process = sidegate_process(config, wait_for="started")
        made = Door(process)
        await eventually(lambda: _is_ready(made), expected=True, within_s=20)
        yield made


async def _is_ready(door: Door) -> bool:
    try:
        return "sidegate: serving" in door.process.program.output and (await door.readiness())[0] == 200
    except aiohttp.ClientError:
        return False


class Scene:
    """People who are there, each with something open, and requests at an even pace."""

    def __init__(self, door: Door, certificates: Certificates, others: Certificates) -> None:
        self.door, self.certificates, self.others = door, certificates, others
        self.tls = _believing(certificates, others)
        url = door.process.url
        self.alice, self.bob, self.late = (Visitor(url, self.tls) for _ in range(3))
        self.load = SteadyLoad(door.process.port, [], tls=self.tls)
        self._is_over = False

    async def begin(self) -> None:
        for visitor, name in ((self.alice, "alice"), (self.bob, "bob")):
            assert await visitor.send_login(name, await visitor.open_login()) == 200
        self.shown_before = await self.late.open_login()
        self.load.requests += [self._request(b"/open/x"), self._request(b"/app/x", self.alice.cookie)]
        self._loading = asyncio.get_running_loop().create_task(
            self.load.run(per_second=PER_SECOND, until=lambda: self._is_over)
        )
        url = self.door.process.url
        self.events = await self.alice.http.get(f"{url}/app/events")
        self.sockets = [await one.http.ws_connect(f"{url}/app/ws") for one in (self.alice, self.bob)]
        assert [await socket.receive_str() for socket in self.sockets] == ["alice", "bob"]

    async def close(self) -> None:
        self._is_over = True
        with contextlib.suppress(AttributeError):
            await self._loading
        self.load.close()
        for visitor in (self.alice, self.bob, self.late):
            await visitor.http.close()

    async def load_goes_on(self) -> None:
        enough = len(self.load.answered) + PER_SECOND // 4

        async def is_longer() -> bool:
            return len(self.load.answered) > enough

        await eventually(is_longer, expected=True)

    async def tells_still(self) -> bool:
        """Whether an event comes that was not there before."""
        since = time.time()
        while line := await asyncio.wait_for(self.events.content.readline(), 10):
            if line.startswith(b"data: alice") and float(line.split()[-1]) > since:
                return True
        return False

    def _request(self, path: bytes, cookie: bytes = b"") -> bytes:
        field = b"Cookie: %b\r\n" % cookie if cookie else b""
        return b"GET %b HTTP/1.1\r\nHost: 127.0.0.1:%d\r\n%b\r\n" % (path, self.door.process.port, field)


@pytest.fixture
async def scene(door: Door, certificates: Certificates, tmp_path: Path) -> AsyncIterator[Scene]:
    (tmp_path / "other").mkdir()
    made = Scene(door, certificates, Certificates(tmp_path / "other"))
    try:
        await made.begin()
        yield made
    finally:
        await made.close()


def _believing(*authorities: Certificates) -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=str(authorities[0].authority_file))
    for one in authorities[1:]:
        context.load_verify_locations(one.authority_file)
    return context


async def test_people_who_are_there_notice_nothing_but_the_new_rules(scene: Scene) -> None:
    door = scene.door
    routes = [{"path": "/open/**", "access": "public"}, {**APP, "access": STAFF}]
    shut = {**door.process.config, "routes": routes, "login": {"title": "Acme"}}

    await _other_routes_by_a_signal(scene, shut)
    await _a_file_that_cannot_be_used(scene)
    await _a_config_map(scene, shut)
    await _another_certificate(scene)

    await scene.load_goes_on()
    assert scene.load.failures == []
    assert await scene.tells_still()
    assert await scene.alice.status("/app/x") == 200
    assert max(scene.load.answered) < 5.0


async def _other_routes_by_a_signal(scene: Scene, shut: Mapping[str, Any]) -> None:
    """Rights that are gone are gone for open streams too; pages that were shown before may be sent."""
    door, (of_alice, of_bob) = scene.door, scene.sockets

    door.swap(shut)
    door.process.program.signal(signal.SIGHUP)
    await door.until("applied", 1)

    assert await scene.bob.status("/app/x") == 403
    closed = await asyncio.wait_for(of_bob.receive(), 10)
    assert (closed.type, closed.data) == (aiohttp.WSMsgType.CLOSE, 1008)
    await of_alice.send_str("still here")
    assert await asyncio.wait_for(of_alice.receive_str(), 10) == "still here"
    assert await scene.late.send_login("bob", scene.shown_before) == 200


async def _a_file_that_cannot_be_used(scene: Scene) -> None:
    """It changes nothing but what is said."""
    door = scene.door

    door.replace("server: {public_url: nowhere}\nroutes: [{path: /app/**, access: everybody}]\n")
    await door.until("refused", 1)

    status, said = await door.readiness()
    assert status == 200
    assert said["configuration"].startswith(f"the file on disk is not what runs: {door.file}:1:")
    assert await door.figure("sidegate_config_last_reload_successful") == 0.0
    await eventually(lambda: _is_told(door, r":2:\d+  routes\[0\]\.access: "), expected=True)
    assert (await scene.bob.status("/app/x"), await scene.alice.status("/app/x")) == (403, 200)


async def _is_told(door: Door, problem: str) -> bool:
    told = [str(event["problem"]) for event in door.process.log_events if "problem" in event]
    return any(re.match(re.escape(str(door.file)) + problem, line) for line in told)


async def _a_config_map(scene: Scene, shut: Mapping[str, Any]) -> None:
    """Without a signal; a key that needs a restart is named, and does not hold up the others."""
    door = scene.door

    door.file.unlink()
    door.swap({**shut, "audit": {"keep": "1d"}, "routes": [*shut["routes"], {"path": "/new/**", "access": "public"}]})
    await door.until("restart_needed", 1)
    assert await scene.bob.status("/new/x") == 200
    assert "restart to apply audit.keep" in (await door.readiness())[1]["configuration"]

    door.swap(shut)
    await door.until("applied", 2)
    assert await scene.bob.status("/new/x") == 404
    assert (await door.readiness())[1] == {"keycloak": "ok", "store": "ok"}
    assert await door.figure("sidegate_config_last_reload_successful") == 1.0


async def _another_certificate(scene: Scene) -> None:
    """New connections see it, and nobody's is cut."""
    renewed, folder = scene.others.files("127.0.0.1", stem="renewed"), scene.certificates.folder

    renewed.certificate.replace(folder / "door.crt")
    renewed.key.replace(folder / "door.key")
    await scene.door.until("applied", 3)

    newcomer = Visitor(scene.door.process.url, _believing(scene.others))
    try:
        assert await newcomer.status("/open/x") == 200
    finally:
        await newcomer.http.close()
