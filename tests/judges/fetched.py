"""What others wrote to judge pages: axe-core and Google's CSP Evaluator, pinned in ``package-lock.json``.

npm fetches them once into the cache; their own scripts are not run.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import shutil
import subprocess
import sys
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.keycloak.distribution import cache_folder

if TYPE_CHECKING:
    from collections.abc import Sequence

HERE = Path(__file__).parent
PINNED = ("package.json", "package-lock.json")
FETCH_TIMEOUT_S = 100
JUDGE_TIMEOUT_S = 60


@pytest.fixture(scope="session")
def node_modules() -> Path:
    """The folder with the packages; skips where there is no npm."""
    if shutil.which("npm") is None or shutil.which("node") is None:
        pytest.skip("npm and node are needed: apt-get install npm")
    return fetched()


@cache
def fetched() -> Path:
    """Return the folder with the packages, which is filled first when it is not in the cache."""
    key = hashlib.sha256(b"\0".join((HERE / name).read_bytes() for name in PINNED)).hexdigest()[:16]
    root = cache_folder() / f"judges-{key}"
    root.mkdir(parents=True, exist_ok=True)
    with (root / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (root / "complete").exists():
            _fetch(root)
    return root / "node_modules"


def axe_source(packages: Path) -> str:
    """Return the script of axe-core."""
    return (packages / "axe-core" / "axe.min.js").read_text("utf-8")


def judged_policies(packages: Path, policies: Sequence[str]) -> list[list[dict[str, Any]]]:
    """Return what CSP Evaluator finds in each policy: mappings with ``severity``, ``directive``, ``description``."""
    command = ["node", str(HERE / "policies.js"), str(packages)]
    said = _run(command, JUDGE_TIMEOUT_S, said_to_it=json.dumps(list(policies)))
    found: list[list[dict[str, Any]]] = json.loads(said)
    return found


def _fetch(root: Path) -> None:
    print("\n[judges] fetching axe-core and csp_evaluator by npm (once)", file=sys.stderr, flush=True)
    for name in PINNED:
        shutil.copy(HERE / name, root)
    _run(["npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--prefix", str(root)], FETCH_TIMEOUT_S)
    (root / "complete").touch()


def _run(command: list[str], timeout_s: float, *, said_to_it: str = "") -> str:
    done = subprocess.run(command, input=said_to_it, capture_output=True, text=True, timeout=timeout_s, check=False)
    if done.returncode != 0:
        raise RuntimeError(f"{command[0]} failed with {done.returncode}:\n{done.stdout[-2000:]}{done.stderr[-2000:]}")
    return done.stdout
