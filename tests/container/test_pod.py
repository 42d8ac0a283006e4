"""The pod of the manifests, started for real: somebody signs in, and is still signed in when Sidegate starts again."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING
from urllib.error import URLError
from urllib.request import urlopen

import pytest

from tests.container.image import Engine, skip_without_tools
from tests.container.pod import NAME, Ports, build_redis, pod
from tests.contracts.web_browser import WebBrowser
from tests.journeys.house import wait_for

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.keycloak.server import KeycloakServer

pytestmark = [pytest.mark.full, pytest.mark.slow, pytest.mark.keycloak, pytest.mark.timeout(900)]


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Engine:
    """The images, built."""
    skip_without_tools()
    made = Engine.make(tmp_path_factory.mktemp("containers"))
    made.build()
    build_redis(made)
    return made


@pytest.fixture
def ports(engine: Engine, keycloak: KeycloakServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ports]:
    """The pod, running; where its parts listen."""
    ports = Ports.free()
    client = wait_for(keycloak.admin.create_client("pod", f"http://127.0.0.1:{ports.sidegate}", realm="acme"))
    about = {"issuer": keycloak.issuer("acme"), "client_id": client.client_id, "secret": client.secret}
    file = pod(ports, tmp_path_factory.mktemp("pod"), about)
    try:
        engine.call("podman", "kube", "play", str(file), timeout_s=120)
        yield ports
    finally:
        engine.call("podman", "pod", "rm", "--force", "--time", "5", NAME, code=None, timeout_s=120)
        wait_for(keycloak.admin.delete_client(client))


def _ready(engine: Engine, ports: Ports) -> None:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        try:
            with urlopen(f"http://127.0.0.1:{ports.management}/readyz", timeout=2) as answer:
                if answer.status == 200:
                    return
        except (URLError, OSError):
            pass
        time.sleep(0.2)
    pytest.fail(engine.call("podman", "pod", "logs", NAME, code=None))


def test_the_pod_signs_people_in_and_its_sessions_outlive_the_sidecar(engine: Engine, ports: Ports) -> None:
    _ready(engine, ports)
    url, browser = f"http://127.0.0.1:{ports.sidegate}", WebBrowser()

    page = browser.get(f"{url}/_sidegate/login", Accept="text/html")
    form = {**page.hidden_inputs(), "username": "alice", "password": "alice-pw"}
    signed_in = browser.post(page.form_action, form, Accept="text/html", Origin=url)
    assert signed_in.status == 303, signed_in.text
    assert "alice" in browser.get(f"{url}/", Accept="text/html").text

    engine.call("podman", "restart", "--time", "20", f"{NAME}-sidegate", timeout_s=60)
    _ready(engine, ports)
    assert "alice" in browser.get(f"{url}/", Accept="text/html").text
    assert engine.call("podman", "exec", f"{NAME}-sidegate", "id", "-u") == "65532"
    assert engine.call("podman", "exec", f"{NAME}-sidegate", "touch", "/x", code=None) != ""
