"""The unit: what systemd itself thinks of its sandbox, and that the drain fits into its patience."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from proxy.settings.model import ServerSettings

UNIT = Path(__file__).parents[2] / "deploy" / "systemd" / "sidegate.service"
WORST_EXPOSURE = 2.0
"""Of 10; below 5 systemd says OK."""


def test_systemd_finds_it_little_exposed() -> None:
    program = shutil.which("systemd-analyze")
    if program is None:
        pytest.skip("systemd-analyze is not here")

    said = subprocess.run(
        [program, "security", "--offline=true", "--no-pager", UNIT], capture_output=True, text=True, check=False
    )

    found = re.search(r"Overall exposure level for sidegate\.service: ([0-9.]+)", said.stdout)
    assert found is not None, said.stderr
    assert float(found[1]) <= WORST_EXPOSURE


def test_it_waits_longer_than_a_drain_takes() -> None:
    found = re.search(r"^TimeoutStopSec=(\d+)s$", UNIT.read_text("utf-8"), re.MULTILINE)

    assert found is not None
    assert int(found[1]) > ServerSettings.model_fields["shutdown_grace"].default


def test_a_reload_is_refused_before_it_is_asked_for_when_the_file_is_wrong() -> None:
    steps = re.findall(r"^ExecReload=(.+)$", UNIT.read_text("utf-8"), re.MULTILINE)
    (checked,) = re.findall(r"^ExecStartPre=(.+)$", UNIT.read_text("utf-8"), re.MULTILINE)

    assert steps == [checked, "/bin/kill -HUP $MAINPID"]
