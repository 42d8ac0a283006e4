"""The Compose file: its parts speak of the same URLs, and the realm that it brings is what Sidegate needs."""

from __future__ import annotations

import json
import uuid
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import pytest
import yaml
from click.testing import CliRunner

from proxy.cli import main
from proxy.settings.load import load
from tests.journeys.house import wait_for

if TYPE_CHECKING:
    from tests.keycloak.server import KeycloakServer

FOLDER = Path(__file__).parents[2] / "deploy" / "compose"
SERVICES: dict[str, Any] = yaml.safe_load((FOLDER / "compose.yaml").read_text("utf-8"))["services"]
SETTINGS: dict[str, Any] = yaml.safe_load((FOLDER / "sidegate.yaml").read_text("utf-8"))


@pytest.fixture(autouse=True)
def variables(monkeypatch: pytest.MonkeyPatch) -> None:
    """What the container of Sidegate finds in its environment."""
    for name, value in SERVICES["sidegate"]["environment"].items():
        monkeypatch.setenv(name, value.rpartition(":-")[2].rstrip("}"))


def test_the_settings_are_ones_that_sidegate_takes() -> None:
    assert [str(problem) for problem in load(FOLDER / "sidegate.yaml").problems] == []


def test_every_file_that_is_mounted_is_there() -> None:
    mounts = [mount.split(":")[0] for one in SERVICES.values() for mount in one.get("volumes", ())]

    assert [mount for mount in mounts if mount.startswith(".") and not (FOLDER / mount).is_file()] == []
    assert (FOLDER / SERVICES["sidegate"]["build"] / "Dockerfile").is_file()


def test_browser_and_containers_reach_each_part_by_the_same_url() -> None:
    for service, url in (
        ("sidegate", SETTINGS["server"]["public_url"]),
        ("keycloak", SETTINGS["keycloak"]["issuer"]),
    ):
        parts = urlsplit(url)
        assert parts.hostname in SERVICES[service]["networks"]["default"]["aliases"]
        assert parts.hostname.endswith(".localhost")
        assert SERVICES[service]["ports"] == [f"127.0.0.1:{parts.port}:{parts.port}"]
    assert SETTINGS["keycloak"]["issuer"].startswith(SERVICES["keycloak"]["environment"]["KC_HOSTNAME"] + "/realms/")


def test_only_sidegate_and_keycloak_can_be_reached_from_the_machine() -> None:
    assert {name for name, one in SERVICES.items() if "ports" in one} == {"sidegate", "keycloak"}


@pytest.mark.keycloak
def test_the_realm_needs_nothing_more(keycloak: KeycloakServer, tmp_path: Path) -> None:
    name = f"compose-{uuid.uuid4().hex[:8]}"
    realm = json.loads((FOLDER / "realm.json").read_text("utf-8"))
    wait_for(keycloak.admin.call("POST", "", json={**realm, "realm": name}))
    file = tmp_path / "sidegate.yaml"
    file.write_text(yaml.safe_dump({**SETTINGS, "keycloak": {**SETTINGS["keycloak"], "issuer": keycloak.issuer(name)}}))

    done = CliRunner().invoke(
        main,
        ["keycloak-setup", "-c", str(file), "--admin-url", keycloak.base_url, "--dry-run"],
        env={"SIDEGATE_ADMIN_PASSWORD": "admin"},
    )

    assert (done.exit_code, done.stderr) == (0, "")
    assert "nothing to do" in done.stdout, done.stdout
    wait_for(keycloak.admin.call("DELETE", f"/{name}"))
