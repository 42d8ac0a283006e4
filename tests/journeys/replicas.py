"""A house of several replicas: Keycloak, Redis, three Sidegate processes of one configuration, an app with streams.

Each replica reaches a Redis that stands alone through a network of its own (a pausing proxy); all reach Keycloak
through one more. The replicas have one public address, as behind a balancer: a client that wants a certain one connects
to its port and says the public name as Host.
"""

from __future__ import annotations

import signal
import time
import uuid
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from tests.contracts.web_browser import Answer, WebBrowser
from tests.journeys.house import wait_for
from tests.keycloak.admin import KeycloakAdmin
from tests.redis.cluster import ClusterHouse
from tests.redis.sentinel import SentinelHouse
from tests.redis.server import RedisServer
from tests.support.pausing_proxy import PausingProxy
from tests.support.ports import free_port
from tests.support.sidegate_process import START_TIMEOUT_S, SidegateProcess
from tests.support.stream_app import StreamApp

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from tests.keycloak.admin import Client
    from tests.keycloak.server import KeycloakServer

REPLICAS = 3
SERVER_KEY = "VNnxm5J0QjkYOhqinPMWFo5-eBbK07ZG2oPXtlU7RIk"
ROUTES = [
    {"path": "/static/**", "access": "public"},
    {"path": "/**", "access": "authenticated"},
]
Store = RedisServer | SentinelHouse | ClusterHouse


class ReplicaHouse:
    """Everything between browsers and an app, three times.

    Attributes:
        replicas: the Sidegate processes.
        networks: of each replica, its way to Redis; empty behind sentinels and with a cluster, whose nodes are reached
            at the addresses that they give themselves.
        keycloak_network: the way of all replicas, and of browsers, to Keycloak; it is the issuer's address.
        store: the Redis, which this house did not start and does not end.
    """

    def __init__(
        self,
        keycloak: KeycloakServer,
        folder: Path,
        /,
        *,
        store: Store | None,
        realm: str = "acme",
        client: Mapping[str, Any] | None = None,
        **file: Any,
    ) -> None:
        """Start the app and the replicas; they need not be ready yet.

        Args:
            store: None for a single replica with sessions in memory.
            client: changes to the client in Keycloak.
            file: sections of the settings, merged into the ordinary ones.
        """
        self.store = store
        self.realm = realm
        self._folder = folder
        self._ports = [free_port() for _ in range(REPLICAS if store else 1)]
        self.url = f"http://127.0.0.1:{self._ports[0]}"
        self.keycloak_network = PausingProxy(urlsplit(keycloak.base_url).port or 0).start()
        self.admin = KeycloakAdmin(f"http://{self.keycloak_network.address}")
        self.client: Client = wait_for(self._create_client(client or {}))
        self.app = StreamApp(folder)
        self.networks = [PausingProxy(store.port).start() for _ in self._ports] if _is_alone(store) else []
        self._files = [self._file(number, file) for number in range(len(self._ports))]
        self.replicas = [SidegateProcess(settings, folder) for settings in self._files]

    @property
    def authority(self) -> str:
        """The public name, for Host."""
        return urlsplit(self.url).netloc

    @property
    def issuer(self) -> str:
        """``iss`` of the tokens."""
        return f"http://{self.keycloak_network.address}/realms/{self.realm}"

    def address(self, replica: int) -> str:
        """``http://127.0.0.1:<port>`` of a replica."""
        return f"http://127.0.0.1:{self._ports[replica]}"

    # -- its life

    def wait_until_ready(self) -> None:
        """Return when app and replicas are ready."""
        self.app.wait_until_ready()
        for replica in self.replicas:
            replica.wait_until_ready()

    def end(self) -> None:
        """End what was started here; every replica must drain and end with 0."""
        try:
            for replica in self.replicas:
                replica.program.signal(signal.SIGCONT)
            with ThreadPoolExecutor() as pool:
                list(pool.map(SidegateProcess.end, self.replicas))
        finally:
            self.app.end()
            self.keycloak_network.resume()
            wait_for(self.admin.delete_client(self.client))
            for network in [*self.networks, self.keycloak_network]:
                network.stop()

    def kill(self, replica: int) -> None:
        """SIGKILL a replica."""
        program = self.replicas[replica].program
        program.signal(signal.SIGKILL)
        program.wait(timeout_s=START_TIMEOUT_S)

    def start_again(self, replica: int) -> None:
        """Start a replica that was killed, at its ports; returns when it is ready."""
        self.replicas[replica] = SidegateProcess(self._files[replica], self._folder)
        self.replicas[replica].wait_until_ready()

    def pause(self, replica: int) -> None:
        """SIGSTOP a replica."""
        self.replicas[replica].program.signal(signal.SIGSTOP)

    def resume(self, replica: int) -> None:
        """SIGCONT a replica."""
        self.replicas[replica].program.signal(signal.SIGCONT)

    # -- how it is configured

    async def _create_client(self, changes: Mapping[str, Any]) -> Client:
        name = f"replicas-{uuid.uuid4().hex[:12]}"
        return await self.admin.create_client(name, self.url, realm=self.realm, **changes)

    def _file(self, replica: int, changes: Mapping[str, Any]) -> dict[str, Any]:
        file: dict[str, Any] = {
            "server": {"listen": f"127.0.0.1:{self._ports[replica]}", "public_url": self.url},
            "management": {"listen": f"127.0.0.1:{free_port()}", "api_listen": f"127.0.0.1:{free_port()}"},
            "keycloak": {
                "issuer": self.issuer,
                "client_id": self.client.client_id,
                "client_auth": {"secret": {"value": self.client.secret}},
            },
            "sessions": self._sessions(replica),
            "upstreams": {"app": {"url": self.app.url}},
            "routes": ROUTES,
        }
        for section, keys in changes.items():
            file[section] = {**file.get(section, {}), **keys} if isinstance(keys, dict) else keys
        return file

    def _sessions(self, replica: int) -> dict[str, Any]:
        if self.store is None:
            return {"store": "memory"}
        keys = [{"value": SERVER_KEY}]
        return {"store": "redis", "encryption_keys": keys, "redis": self._redis(self.store, replica)}

    def _redis(self, store: Store, replica: int) -> dict[str, Any]:
        if isinstance(store, SentinelHouse):
            return {"sentinel": store.settings}
        if isinstance(store, ClusterHouse):
            return {"url": store.url, "cluster": True}
        return {"url": f"redis://{self.networks[replica].address}/0"}


class Browser:
    """Somebody's browser without script, whose every request says at which replica it is made."""

    def __init__(self, house: ReplicaHouse) -> None:
        """Begin without cookies."""
        self.house = house
        self._browser = WebBrowser()
        self._stolen: dict[str, str] = {}

    def as_thief(self) -> Browser:
        """Return the browser of somebody who took the cookies at the last sign-in, and keeps them."""
        thief = Browser(self.house)
        thief._browser.cookies.update(self._stolen)
        return thief

    def take_cookies_of(self, other: Browser) -> None:
        """Have the cookies that the other has now."""
        self._browser.cookies.update(other._browser.cookies)

    @property
    def cookie(self) -> str:
        """The field Cookie as it sends it."""
        return "; ".join(f"{name}={value}" for name, value in self._browser.cookies.items())

    def get(self, path: str, *, at: int = 0, **headers: str) -> Answer:
        """GET a path at a replica, as a navigation unless ``headers`` say otherwise."""
        headers = {"Accept": "text/html", **headers, "Host": self.house.authority}
        return self._browser.get(self.house.address(at) + path, **headers)

    def post(self, path: str, form: Mapping[str, str], *, at: int = 0, **headers: str) -> Answer:
        """POST a form from a page of our own origin."""
        named = {"Accept": "text/html", "Origin": self.house.url, **headers, "Host": self.house.authority}
        return self._browser.post(self.house.address(at) + path, form, **named)

    def at_keycloak(self, started: Answer, username: str) -> str:
        """Go where a flow was sent, sign in there when asked; returns path and query of our callback."""
        answer = self._browser.get(started.location, Accept="text/html")
        if answer.status == 200:
            form = {"username": username, "password": f"{username}-pw", "credentialId": ""}
            answer = self._browser.post(answer.form_action, form)
        assert answer.status == 302, answer.text
        assert answer.location.startswith(f"{self.house.url}/_sidegate/callback?")
        return answer.location.removeprefix(self.house.url)

    def sign_in(self, username: str, *, at: int = 0) -> None:
        """Sign in by the form, with the password ``<username>-pw``; it must work."""
        page = self.get("/_sidegate/login", at=at)
        assert page.status == 200, page.status
        form = {**page.hidden_inputs(), "username": username, "password": f"{username}-pw"}
        answer = self.post("/_sidegate/login", form, at=at)
        assert answer.status == 303, (answer.status, username, at)
        self._stolen = dict(self._browser.cookies)

    def sign_out(self, *, at: int = 0) -> Answer:
        """Say that we want to be signed out; the answer is 303 when that is done."""
        return self.post("/_sidegate/logout", {}, at=at)

    def is_signed_in(self, *, at: int) -> bool:
        """Say whether the app answers through this replica; anything but 200 and 401 is an error."""
        answer = self.get("/who", at=at, Accept="application/json")
        assert answer.status in {200, 401}, (answer.status, answer.text)
        return answer.status == 200

    def is_refused_everywhere(self, *, within_s: float) -> bool:
        """Say whether every replica refuses what is asked ``within_s`` seconds from now, or refused it before.

        A slow machine asks less often, but no question that is asked too late is taken for one in time.
        """
        until = time.monotonic() + within_s
        waiting = set(range(len(self.house.replicas)))
        while True:
            asked_at = time.monotonic()
            waiting = {number for number in waiting if self.is_signed_in(at=number)}
            if not waiting or asked_at > until:
                return not waiting


def _is_alone(store: Store | None) -> bool:
    return isinstance(store, RedisServer)
