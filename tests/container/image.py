"""The image, built and started for real without a daemon: buildah and podman as root, on a base of our own making.

The base is Debian with Python, by debootstrap, kept between runs; the Dockerfile's public default needs an image
registry, which a machine of tests may not reach.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.keycloak.distribution import cache_folder

if TYPE_CHECKING:
    from collections.abc import Mapping

ROOT = Path(__file__).parents[2]
TOOLS = ("buildah", "podman", "runc", "debootstrap")
BASE = "localhost/sidegate-test-base"
IMAGE = "localhost/sidegate-test"

# crun wants cgroups and limits that a container of a build machine does not have.
CONTAINERS_CONF = """\
[engine]
runtime = "runc"
cgroup_manager = "cgroupfs"
[containers]
default_ulimits = ["nofile=1024:1024", "nproc=4096:4096"]
"""


def skip_without_tools() -> None:
    """Skip with a line where the image cannot be built."""
    missing = [tool for tool in TOOLS if shutil.which(tool) is None]
    if missing:
        pytest.skip(f"the image is not built: apt-get install {' '.join(missing)} catatonit netavark aardvark-dns")
    if os.geteuid() != 0:
        pytest.skip("the image is not built: debootstrap needs root")


@dataclass(frozen=True, slots=True)
class Engine:
    """buildah and podman, with a configuration of their own."""

    environment: Mapping[str, str]

    @classmethod
    def make(cls, folder: Path) -> Engine:
        """Write the configuration into ``folder``."""
        path = folder / "containers.conf"
        path.write_text(CONTAINERS_CONF)
        return cls({**os.environ, "CONTAINERS_CONF": str(path)})

    def call(self, *command: str, timeout_s: float = 60.0, code: int | None = 0) -> str:
        """Return what the command printed; ``code`` is the exit code that is wanted, None takes any."""
        done = subprocess.run(
            command, env=self.environment, capture_output=True, text=True, timeout=timeout_s, check=False, cwd=ROOT
        )
        assert code is None or done.returncode == code, f"{command}: {done.stdout}\n{done.stderr}"
        return (done.stdout + (done.stderr if done.returncode else "")).strip()

    def build(self) -> None:
        """Build :data:`IMAGE` from the Dockerfile."""
        if not self.call("buildah", "images", "--quiet", "--filter", f"reference={BASE}"):
            self._make_base()
        options = (
            "--isolation",
            "chroot",
            "--pull-never",
            "--layers",
            "--format",
            "docker",
            "--build-arg",
            f"BASE={BASE}",
        )
        self.call("buildah", "bud", *options, "--tag", IMAGE, ".", timeout_s=600)

    def _make_base(self) -> None:
        folder = cache_folder() / "container-base"
        if not (folder / "complete").exists():
            shutil.rmtree(folder, ignore_errors=True)
            packages = "--include=python3,python3-venv,ca-certificates"
            self.call("debootstrap", "--variant=minbase", packages, "bookworm", str(folder), timeout_s=600)
            (folder / "complete").touch()
        # Whoever this machine trusts, the build must trust too.
        bundle = Path("/etc/ssl/certs/ca-certificates.crt")
        shutil.copyfile(bundle, folder / bundle.relative_to("/"))
        container = self.call("buildah", "from", "scratch")
        self.call("buildah", "add", "--quiet", container, str(folder), "/", timeout_s=120)
        self.call("buildah", "commit", "--quiet", container, BASE, timeout_s=120)
        self.call("buildah", "rm", container)
