"""Autobahn's testsuite for WebSockets, 0.8.2: a program of the days of Python 2.7, in an environment of its own.

The environment is made once and kept in the cache folder of the tests. It needs an interpreter of Python 2.7, which no
current distribution has: ``SIDEGATE_TEST_PYTHON27`` names one, else pyenv and the PATH are looked through.
"""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tests.keycloak.distribution import cache_folder
from tests.support.ports import free_port
from tests.support.processes import Program

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

VERSION = "0.8.2"
VIRTUALENV = "virtualenv==20.21.1"
"""The last that makes environments of Python 2.7."""

INSTALL_TIMEOUT_S = 600


def python27() -> str | None:
    """Return an interpreter of Python 2.7, or None."""
    in_pyenv = sorted(Path.home().glob(".pyenv/versions/2.7.*/bin/python2.7"))
    named = os.environ.get("SIDEGATE_TEST_PYTHON27")
    # Before the PATH: there pyenv has a stand-in by that name which refuses to run unless it is told which version.
    return named or (str(in_pyenv[-1]) if in_pyenv else shutil.which("python2.7"))


def wstest(interpreter: str) -> Path:
    """Return the testsuite's program; the environment is made first when it is not in the cache."""
    root = cache_folder() / f"autobahn-{VERSION}"
    root.mkdir(parents=True, exist_ok=True)
    with (root / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (root / "complete").exists():
            _make(root, interpreter)
    return root / "python27" / "bin" / "wstest"


def _make(root: Path, interpreter: str) -> None:
    print(f"\n[autobahn] installing its testsuite {VERSION} (once, about two minutes)", file=sys.stderr, flush=True)
    for name in ("tools", "python27"):
        shutil.rmtree(root / name, ignore_errors=True)
    _run(sys.executable, "-m", "venv", str(root / "tools"))
    tools = root / "tools" / "bin"
    _run(str(tools / "pip"), "install", "--quiet", "--disable-pip-version-check", VIRTUALENV)
    _run(str(tools / "virtualenv"), "--quiet", "--python", interpreter, str(root / "python27"))
    pip = str(root / "python27" / "bin" / "pip")
    _run(pip, "install", "--quiet", "--disable-pip-version-check", f"autobahntestsuite=={VERSION}")
    (root / "complete").touch()


def _run(*command: str) -> None:
    done = subprocess.run(command, capture_output=True, text=True, timeout=INSTALL_TIMEOUT_S, check=False)
    if done.returncode != 0:
        raise RuntimeError(f"{command[0]} failed with {done.returncode}:\n{done.stdout[-2000:]}{done.stderr[-2000:]}")


@contextmanager
def echo_server(program: Path, folder: Path) -> Iterator[str]:
    """Serve the testsuite's own echo, compression included; yields ``http://127.0.0.1:<port>``."""
    port = free_port()
    command = [str(program), "--mode", "testeeserver", "--wsuri", f"ws://127.0.0.1:{port}", "--webport", "0"]
    server = Program(command, log=folder / "echo.log")
    try:
        server.wait_until(lambda: "UTF8 Validator" in server.output, timeout_s=20)
        yield f"http://127.0.0.1:{port}"
    finally:
        server.end()


def verdicts(program: Path, folder: Path, url: str, *, cases: Sequence[str], timeout_s: float) -> dict[str, Any]:
    """Run the cases against ``url`` (``ws://…``); returns what the testsuite says of each, by its number."""
    specification = folder / "specification.json"
    # The answer names no server, from which the testsuite would take the name of who is tried.
    servers = [{"agent": "sidegate", "url": url}]
    specification.write_text(
        json.dumps({"outdir": str(folder / "report"), "servers": servers, "cases": list(cases), "exclude-cases": []})
    )
    command = [str(program), "--mode", "fuzzingclient", "--spec", str(specification), "--webport", "0"]
    client = Program(command, log=folder / "fuzzing.log")
    try:
        code = client.wait(timeout_s=timeout_s)
    finally:
        client.end(patience_s=2)
    if code != 0:
        raise RuntimeError(f"the testsuite ended with {code}:\n{client.output[-3000:]}")
    report = json.loads((folder / "report" / "index.json").read_text())
    return dict(report["sidegate"])
