"""Each rule of who may import whom notices when it is broken: a copy of the package, planted imports, a verdict."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Mapping

ROOT = Path(__file__).parents[2]
LINTER = Path(sys.executable).with_name("lint-imports")
RULES = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["tool"]["importlinter"]["contracts"]
CONTRACT_NAMES = {rule["id"]: rule["name"] for rule in RULES}

BACKWARDS = [
    ("errors.py", "proxy.core", "left-to-right"),
    ("core/policy.py", "proxy.ports", "left-to-right"),
    ("ports.py", "proxy.respond", "left-to-right"),
    ("sessions/planted.py", "proxy.oidc", "left-to-right"),
    ("forward/planted.py", "proxy.gate", "left-to-right"),
    ("pages/planted.py", "proxy.respond", "left-to-right"),
    ("respond.py", "proxy.web", "left-to-right"),
    ("web/planted.py", "proxy.gate", "left-to-right"),
    ("gate/planted.py", "proxy.web", "left-to-right"),
    ("web/planted.py", "proxy.app", "left-to-right"),
    ("app.py", "proxy.cli", "left-to-right"),
    ("slices.py", "proxy.app", "left-to-right"),
    ("web/planted.py", "proxy.slices", "left-to-right"),
]
IMPURE = [
    ("core/planted.py", name, "core-is-pure")
    for name in (
        "aiohttp", "asyncio", "logging", "os", "random", "redis", "secrets", "time", "jwt", "yaml", "proxy.tasks"
    )
]  # fmt: skip
FORBIDDEN = [
    ("gate/planted.py", "aiohttp", "gate-sees-no-aiohttp"),
    *(("forward/planted.py", name, "forward-moves-bytes") for name in ("jwt", "yaml", "redis", "jinja2")),
    *(
        ("web/planted.py", f"proxy.{room}", "concrete-rooms")
        for room in ("settings", "oidc", "sessions", "forward", "observe")
    ),
    ("gate/planted.py", "proxy.sessions", "concrete-rooms"),
    ("demo/planted.py", "proxy.oidc", "concrete-rooms"),
    ("web/planted.py", "proxy.demo", "demo-is-started-above"),
    ("gate/planted.py", "proxy.demo", "demo-is-started-above"),
    ("demo/planted.py", "proxy.ports", "demo-stands-alone"),
    ("demo/planted.py", "proxy.web", "demo-stands-alone"),
    ("tasks.py", "proxy.errors", "leaves"),
    ("clock.py", "proxy.core", "leaves"),
    ("gate/planted.py", "proxy.clock", "concrete-rooms"),
]


def _copy(folder: Path) -> Path:
    """Copy the package and the rules; returns the package."""
    shutil.copytree(ROOT / "proxy", folder / "proxy", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "pyproject.toml", folder)
    return folder / "proxy"


@pytest.fixture
def package(tmp_path: Path) -> Path:
    """A copy of the package and of the rules."""
    return _copy(tmp_path)


@pytest.fixture(scope="module")
def broken(tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, str]:
    """What is said of each contract when everything is planted at once, by its name: a run takes a second."""
    package = _copy(tmp_path_factory.mktemp("planted"))
    for file, imported, _ in BACKWARDS + IMPURE + FORBIDDEN:
        _plant(package / file, imported)
    verdict, output = _lint(package.parent)
    assert verdict != 0
    _, _, said = output.partition("Broken contracts")
    sections = re.split(r"\n(.+)\n-+\n", said)
    return dict(zip(sections[1::2], sections[2::2], strict=True))


@pytest.mark.parametrize(("file", "imported", "contract"), BACKWARDS + IMPURE + FORBIDDEN)
def test_a_planted_import_breaks_its_rule(broken: Mapping[str, str], file: str, imported: str, contract: str) -> None:
    importer = "proxy." + file.removesuffix(".py").replace("/", ".")

    assert f"{importer} -> {imported} (l." in broken[CONTRACT_NAMES[contract]]


def test_aiohttp_does_not_reach_the_gate_through_another_room(package: Path) -> None:
    _plant(package / "pages" / "planted.py", "aiohttp")
    _plant(package / "gate" / "planted.py", "proxy.pages.planted")

    verdict, output = _lint(package.parent, "gate-sees-no-aiohttp")

    assert verdict != 0
    assert "proxy.pages.planted" in output


def test_a_new_room_must_say_where_it_stands(package: Path) -> None:
    (package / "newcomer.py").touch()

    verdict, output = _lint(package.parent, "left-to-right")

    assert verdict != 0
    assert "newcomer" in output


def test_the_rooms_keep_every_rule_as_they_stand(package: Path) -> None:
    verdict, output = _lint(package.parent)

    assert verdict == 0, output


def _plant(file: Path, imported: str) -> None:
    with file.open("a", encoding="utf-8") as source:
        source.write(f"\nimport {imported}\n")


def _lint(folder: Path, contract: str | None = None) -> tuple[int, str]:
    chosen = ["--contract", contract] if contract else []
    command = [str(LINTER), "--no-logo", "--no-cache", *chosen]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=60, check=False)
    return done.returncode, done.stdout + done.stderr
