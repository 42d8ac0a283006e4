"""Each rule of who may import whom notices when it is broken: a copy of the package, one planted import, a verdict."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
LINTER = Path(sys.executable).with_name("lint-imports")

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


@pytest.fixture
def package(tmp_path: Path) -> Path:
    """A copy of the package and of the rules."""
    shutil.copytree(ROOT / "proxy", tmp_path / "proxy", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    return tmp_path / "proxy"


@pytest.mark.parametrize(("file", "imported", "contract"), BACKWARDS + IMPURE + FORBIDDEN)
def test_a_planted_import_breaks_its_rule(package: Path, file: str, imported: str, contract: str) -> None:
    _plant(package / file, imported)

    verdict, output = _lint(package.parent, contract)

    assert verdict != 0
    assert "BROKEN" in output
    assert imported in output


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
