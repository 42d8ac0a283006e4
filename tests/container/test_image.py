"""The image under the strictest policy: nobody's uid, a root that cannot be written, no capability, little memory."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.container.image import IMAGE, ROOT, Engine, skip_without_tools
from tests.support.ports import free_port

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


def in_full(test: Callable[..., None]) -> Callable[..., None]:
    """Mark a test that needs the image: the first build fetches a base and the packages."""
    for mark in (pytest.mark.full, pytest.mark.slow, pytest.mark.timeout(900)):
        test = mark(test)
    return test


STRICT = (
    "--read-only",
    "--cap-drop=all",
    "--security-opt=no-new-privileges",
    "--memory=128m",
    "--network=host",
)


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Engine:
    """The image, built."""
    skip_without_tools()
    made = Engine.make(tmp_path_factory.mktemp("containers"))
    made.build()
    return made


@pytest.fixture
def running(engine: Engine, tmp_path: Path) -> Iterator[str]:
    """A container that serves, with Keycloak and the app away; its id."""
    listen, management, api = free_port(), free_port(), free_port()
    settings = tmp_path / "sidegate.yaml"
    settings.write_text(
        json.dumps(
            {
                "server": {"listen": f"127.0.0.1:{listen}", "public_url": f"http://127.0.0.1:{listen}"},
                "management": {"listen": f"127.0.0.1:{management}", "api_listen": f"127.0.0.1:{api}"},
                "keycloak": {
                    "issuer": "http://127.0.0.1:1/realms/acme",
                    "client_id": "app",
                    "client_auth": {"secret": {"value": "x"}},
                },
                "upstreams": {"app": {"url": "http://127.0.0.1:2"}},
            }
        )
    )
    settings.chmod(0o644)
    volume = f"{settings}:/etc/sidegate/sidegate.yaml:ro"
    container = engine.call("podman", "run", "--detach", *STRICT, "--volume", volume, IMAGE)
    yield container
    engine.call("podman", "rm", "--force", "--time", "1", container, code=None)


def _healthy(engine: Engine, container: str) -> str:
    deadline = time.monotonic() + 60
    check = ("podman", "exec", container, "sidegate", "health", "-c", "/etc/sidegate/sidegate.yaml")
    while "ok" not in (said := engine.call(*check, code=None)):
        assert time.monotonic() < deadline, engine.call("podman", "logs", container)
        time.sleep(0.2)
    return said


@in_full
def test_it_serves_as_nobody_and_ends_well_on_sigterm(engine: Engine, running: str) -> None:
    assert json.loads(_healthy(engine, running)) == {"status": "ok"}
    assert engine.call("podman", "exec", running, "id", "-u") == "65532"

    began = time.monotonic()
    engine.call("podman", "stop", "--time", "20", running, timeout_s=30)

    assert time.monotonic() - began < 10
    assert engine.call("podman", "inspect", running, "--format", "{{.State.ExitCode}}") == "0"


@in_full
def test_nothing_that_compiles_or_installs_is_left_in_it(engine: Engine) -> None:
    look = "import importlib.util as u; print([n for n in ('pip', 'setuptools', 'wheel') if u.find_spec(n)])"
    run = ("podman", "run", "--rm", "--network=none", "--entrypoint", "/opt/sidegate/bin/python", IMAGE)

    assert engine.call(*run, "-c", look) == "[]"
    assert engine.call(*run, "-c", "import shutil; print(shutil.which('cc'), shutil.which('gcc'))") == "None None"


@in_full
def test_it_names_a_health_check_and_a_user_for_whoever_asks(engine: Engine) -> None:
    image = json.loads(engine.call("podman", "inspect", IMAGE))[0]

    assert image["Config"]["User"] == "65532:65532"
    assert image["Healthcheck"]["Test"][:3] == ["CMD", "sidegate", "health"]
    assert image["Config"]["Entrypoint"] == ["sidegate"]


@in_full
def test_it_adds_little_to_its_base(engine: Engine) -> None:
    sizes = [json.loads(engine.call("podman", "inspect", name))[0]["Size"] for name in (IMAGE, f"{IMAGE}-base")]

    assert (sizes[0] - sizes[1]) / 2**20 < 130


def test_a_linter_finds_nothing_in_the_dockerfile() -> None:
    done = subprocess.run(
        [Path(sys.executable).with_name("hadolint"), ROOT / "Dockerfile"], capture_output=True, text=True, check=False
    )

    assert (done.returncode, done.stdout) == (0, "")
