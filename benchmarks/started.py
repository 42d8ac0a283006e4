"""Programs of a run: started, awaited until their port answers, ended by their own process id."""

from __future__ import annotations

import os
import socket
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from tests.support.processes import Program

if TYPE_CHECKING:
    from collections.abc import Iterator

START_TIMEOUT_S = 30.0
ROOT = Path(__file__).parents[1]


@contextmanager
def started(command: list[str], log: Path, *, port: int) -> Iterator[Program]:
    """Run a program, from when its port takes connections until the block ends.

    Raises:
        ProgramError: it ended or did not listen in time.
    """
    program = Program(command, log=log, env={"PYTHONPATH": str(ROOT), "PATH": f"{os.environ['PATH']}:/usr/sbin"})
    try:
        program.wait_until(lambda: is_listening(port), timeout_s=START_TIMEOUT_S)
        yield program
    finally:
        program.end(patience_s=5)


def is_listening(port: int) -> bool:
    """Say whether somebody takes connections there."""
    with socket.socket() as probe:
        probe.settimeout(1)
        return probe.connect_ex(("127.0.0.1", port)) == 0
