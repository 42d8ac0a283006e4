"""Programs that a test starts: each in a process group of its own, its output kept, ended by its own id.

Where ``setpriv`` is (Linux), the kernel ends them too when the test run itself is killed.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

POLL_S = 0.05
PATIENCE_S = 15.0


class ProgramError(Exception):
    """A program ended, or was not ready in time; the message holds the end of its output."""


class Program:
    """One running program; its stdout and stderr go to ``log``."""

    def __init__(self, command: Sequence[str], *, log: Path, env: Mapping[str, str] | None = None) -> None:
        """Start it. ``env`` is added to the environment."""
        self.name = command[0].rsplit("/", 1)[-1]
        self.log = log
        with log.open("ab") as output:
            self._process = subprocess.Popen(
                [*_die_with_us(), *command],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                env={**os.environ, **(env or {})},
                start_new_session=True,
            )

    @property
    def pid(self) -> int:
        """The id of the process, which is that of its group too."""
        return self._process.pid

    @property
    def exit_code(self) -> int | None:
        """None while it runs; minus the signal's number when a signal ended it."""
        return self._process.poll()

    @property
    def output(self) -> str:
        """Everything that it has written so far."""
        return self.log.read_text("utf-8", errors="replace")

    def wait_until(self, is_ready: Callable[[], bool], *, timeout_s: float, every_s: float = POLL_S) -> None:
        """Return when ``is_ready()``; ProgramError when it ends before, or is too slow."""
        deadline = time.monotonic() + timeout_s
        while not is_ready():
            if self.exit_code is not None:
                raise ProgramError(f"{self.name} ended with {self.exit_code}:\n{self.output[-4000:]}")
            if time.monotonic() > deadline:
                raise ProgramError(f"{self.name} was not ready after {timeout_s} s:\n{self.output[-4000:]}")
            time.sleep(every_s)

    def signal(self, number: signal.Signals) -> None:
        """Send a signal to the process, if it still runs."""
        if self.exit_code is None:
            self._process.send_signal(number)

    def wait(self, *, timeout_s: float) -> int:
        """The exit code, once it has ended; ProgramError when it does not end in time."""
        try:
            return self._process.wait(timeout_s)
        except subprocess.TimeoutExpired:
            raise ProgramError(f"{self.name} did not end within {timeout_s} s:\n{self.output[-4000:]}") from None

    def end(self, *, patience_s: float = PATIENCE_S) -> int:
        """SIGTERM, then SIGKILL to its whole group when patience is over; the exit code."""
        self.signal(signal.SIGTERM)
        try:
            return self._process.wait(patience_s)
        except subprocess.TimeoutExpired:
            os.killpg(self.pid, signal.SIGKILL)
            return self._process.wait()


def _die_with_us() -> list[str]:
    setpriv = shutil.which("setpriv")
    return [setpriv, "--pdeathsig", "KILL"] if setpriv else []
