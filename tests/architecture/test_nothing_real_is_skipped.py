"""A suite that passes because Keycloak, Redis or the browser was not there has said nothing."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
BROWSER_TEST = "tests/support/test_fixtures.py::test_a_browser_shows_the_legacy_app"


@pytest.mark.parametrize(("in_ci", "exit_code", "says"), [("true", 1, "1 error"), ("", 0, "1 skipped")])
def test_a_missing_browser_fails_in_ci_and_skips_elsewhere(
    tmp_path: Path, in_ci: str, exit_code: int, says: str
) -> None:
    environment = {name: value for name, value in os.environ.items() if name != "CHROMIUM"}
    environment |= {"PATH": str(tmp_path), "CI": in_ci}
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", BROWSER_TEST]

    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=100, check=False)

    assert done.returncode == exit_code, done.stdout
    assert says in done.stdout
    assert "apt-get install chromium" in done.stdout
