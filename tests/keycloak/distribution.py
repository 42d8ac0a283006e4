"""Keycloak on disk: fetched by Maven, built once, seeded once; kept in a cache outside the project.

The slow steps (fetch 10 s, build 20 s, import 20 s, class archive 15 s) run once per version and set of realms. A start
on a copy of the seeded database then takes about five seconds. Two runs at once wait for each other on a lock file.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
import subprocess
import sys
import zipfile
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from tests.keycloak.launch import Ports, launch, wait_until_ready
from tests.keycloak.realms import realm_files

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

VERSION = "26.7.3"
ARTIFACT = f"org.keycloak:keycloak-quarkus-dist:{VERSION}:zip"
MAVEN_COPY = "org.apache.maven.plugins:maven-dependency-plugin:3.8.1:copy"
BUILD_OPTIONS = ("--db=dev-file", "--health-enabled=true", "--https-client-auth=request")
"""The last, so that a client may show a certificate where the server listens by https, and need not."""

DATABASE = "keycloakdb.mv.db"
ADMIN = {"KC_BOOTSTRAP_ADMIN_USERNAME": "admin", "KC_BOOTSTRAP_ADMIN_PASSWORD": "admin"}
FETCH_TIMEOUT_S = 600
BUILD_TIMEOUT_S = 240
SEED_TIMEOUT_S = 400


@dataclass(frozen=True, slots=True)
class Seeded:
    """Where a start begins: the built distribution, the database to copy, the class archive to map."""

    home: Path
    database: Path
    archive: Path


def missing_programs() -> str:
    """What must be installed before Keycloak can be had; empty when nothing is missing."""
    needed = {"java": "openjdk-17-jre-headless", "mvn": "maven"}
    return " ".join(package for program, package in needed.items() if shutil.which(program) is None)


def seeded() -> Seeded:
    """The seeded distribution, made first when it is not in the cache."""
    root = cache_folder() / f"keycloak-{VERSION}"
    root.mkdir(parents=True, exist_ok=True)
    with _locked(root / "lock"):
        home = _built(root)
        seed = root / "seeds" / _seed_key()
        if not (seed / "complete").exists():
            _make_seed(home, seed)
    return Seeded(home=home, database=seed / DATABASE, archive=seed / "kc.jsa")


def cache_folder() -> Path:
    """``SIDEGATE_TEST_CACHE``, else ``sidegate-tests`` in the user's cache folder."""
    own = os.environ.get("SIDEGATE_TEST_CACHE")
    shared = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return Path(own) if own else shared / "sidegate-tests"


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    with path.open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _seed_key() -> str:
    digest = hashlib.sha256(VERSION.encode() + _java_version() + " ".join(BUILD_OPTIONS).encode())
    for name, content in sorted(realm_files().items()):
        digest.update(name.encode() + b"\0" + content)
    return digest.hexdigest()[:16]


def _java_version() -> bytes:
    # The class archive is valid for this very JVM only.
    return subprocess.run(["java", "-version"], capture_output=True, check=True).stderr


def _built(root: Path) -> Path:
    # A folder for each set of options: a running server must not be built anew under its feet.
    folder = root / f"built-{hashlib.sha256(' '.join(BUILD_OPTIONS).encode()).hexdigest()[:8]}"
    home = folder / f"keycloak-{VERSION}"
    if not (home / "built").exists():
        shutil.rmtree(folder, ignore_errors=True)
        _unpack(_fetched(root), folder)
        _say(f"building Keycloak {VERSION} (once, about 30 s)")
        _run([str(home / "bin" / "kc.sh"), "build", *BUILD_OPTIONS], BUILD_TIMEOUT_S)
        (home / "built").touch()
    return home


def _fetched(root: Path) -> Path:
    archive = root / f"keycloak-quarkus-dist-{VERSION}.zip"
    if not archive.exists():
        _say(f"fetching Keycloak {VERSION} by Maven (once, 177 MB)")
        partial = root / "partial"
        command = ["mvn", "-B", "-q", MAVEN_COPY, f"-Dartifact={ARTIFACT}", f"-DoutputDirectory={partial}"]
        _run(command, FETCH_TIMEOUT_S)
        (partial / archive.name).rename(archive)
        partial.rmdir()
    return archive


def _unpack(archive: Path, folder: Path) -> None:
    with zipfile.ZipFile(archive) as source:
        source.extractall(folder)
    for script in (folder / f"keycloak-{VERSION}" / "bin").glob("*.sh"):
        script.chmod(0o755)  # zipfile loses the mode


def _make_seed(home: Path, seed: Path) -> None:
    shutil.rmtree(seed, ignore_errors=True)
    seed.mkdir(parents=True)
    _say("importing the realms (once for each change of them, about 40 s)")
    _place(realm_files(), home / "data" / "import")
    _run_once(home, seed, arguments=("--import-realm",), env=ADMIN)
    # Written while it stops; the start that it records must use the options of later starts.
    _run_once(home, seed, env={"JAVA_OPTS_APPEND": f"-XX:ArchiveClassesAtExit={seed / 'kc.jsa'}"})
    (seed / "complete").touch()


def _place(files: Mapping[str, bytes], folder: Path) -> None:
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    for name, content in files.items():
        (folder / name).write_bytes(content)


def _run_once(home: Path, seed: Path, *, arguments: tuple[str, ...] = (), env: Mapping[str, str]) -> None:
    ports = Ports.free()
    program = launch(home, seed, ports=ports, arguments=arguments, env=env)
    try:
        wait_until_ready(program, ports, timeout_s=SEED_TIMEOUT_S)
    finally:
        program.end(patience_s=60)


def _run(command: list[str], timeout_s: float) -> None:
    done = subprocess.run(command, capture_output=True, text=True, timeout=timeout_s, check=False)
    if done.returncode != 0:
        raise RuntimeError(f"{command[0]} failed with {done.returncode}:\n{done.stdout[-3000:]}{done.stderr[-3000:]}")


def _say(what: str) -> None:
    print(f"\n[keycloak] {what}", file=sys.stderr, flush=True)
