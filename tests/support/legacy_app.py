"""An app that knows nothing of login, served as such apps are: gunicorn, a process of its own."""

from __future__ import annotations

import socket
import sys
from pathlib import Path

from tests.support.ports import free_port
from tests.support.processes import Program

ROOT = Path(__file__).parents[2]
START_TIMEOUT_S = 20.0


class LegacyApp:
    """One gunicorn with one worker of four threads; ``url`` is where it listens."""

    def __init__(self, application: str, folder: Path) -> None:
        """Start to serve ``module:name``, which is imported from the root of the project."""
        self.port = free_port()
        command = [
            *(sys.executable, "-m", "gunicorn", "--chdir", str(ROOT), "--no-control-socket"),
            *("--bind", f"127.0.0.1:{self.port}", "--workers", "1", "--threads", "4", "--access-logfile", "-"),
            application,
        ]
        self.program = Program(command, log=folder / f"legacy-app-{self.port}.log")

    @property
    def url(self) -> str:
        """``http://127.0.0.1:<port>``."""
        return f"http://127.0.0.1:{self.port}"

    def wait_until_ready(self) -> None:
        """Return when it accepts connections."""
        self.program.wait_until(self._accepts, timeout_s=START_TIMEOUT_S)

    def end(self) -> None:
        """End it."""
        self.program.end()

    def _accepts(self) -> bool:
        try:
            with socket.create_connection(("127.0.0.1", self.port), timeout=1):
                return True
        except OSError:
            return False
