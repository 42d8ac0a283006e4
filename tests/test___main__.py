"""``python -m proxy`` answers as the command does."""

from __future__ import annotations

import subprocess
import sys

from proxy import __version__


def test_the_package_runs_as_the_command() -> None:
    done = subprocess.run([sys.executable, "-m", "proxy", "--version"], capture_output=True, text=True, check=True)

    assert done.stdout == f"sidegate {__version__}\n"
