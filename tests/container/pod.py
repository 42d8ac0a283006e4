"""The pod of ``deploy/k8s``, as podman starts it: app, Sidegate and Redis as their manifests say, on free ports.

podman knows neither native sidecars nor the cluster's volumes, so a plain Pod is derived: the sidecar becomes a
container beside the app, and what a Secret or a ConfigMap would mount lies in a folder. Everything else of the
containers (user, capabilities, read-only root, limits, arguments) is the manifests' own.
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from proxy.settings.secret_source import make_key
from tests.container.image import BASE, IMAGE, Engine
from tests.support.ports import free_port

FOLDER = Path(__file__).parents[2] / "deploy" / "k8s"
REDIS_IMAGE = f"{IMAGE}-redis"
NAME = "sidegate-test-pod"

_APP = """\
import signal, sys
from proxy.demo.legacy_server import running_legacy_app
with running_legacy_app(int(sys.argv[1])):
    signal.sigwait({signal.SIGTERM})
"""


@dataclass(frozen=True, slots=True)
class Ports:
    """Where the parts listen; one host is all that there is."""

    sidegate: int
    management: int
    api: int
    app: int
    redis: int

    @classmethod
    def free(cls) -> Ports:
        return cls(*(free_port() for _ in range(5)))


def build_redis(engine: Engine) -> None:
    """Make an image with Debian's Redis, from the base that the tests have anyway."""
    if engine.call("buildah", "images", "--quiet", "--filter", f"reference={REDIS_IMAGE}"):
        return
    container = engine.call("buildah", "from", "--pull-never", BASE)
    install = "apt-get update -q && apt-get install -qy --no-install-recommends redis-server"
    engine.call("buildah", "run", "--isolation", "chroot", container, "--", "sh", "-c", install, timeout_s=300)
    # A base from scratch names no path, and what a manifest calls is looked up in it.
    engine.call("buildah", "config", "--env", "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin", container)
    engine.call("buildah", "commit", "--quiet", container, REDIS_IMAGE, timeout_s=120)
    engine.call("buildah", "rm", container)


def pod(ports: Ports, folder: Path, keycloak: dict[str, Any]) -> Path:
    """Write secrets, settings and the Pod into ``folder``; returns the Pod's file.

    Args:
        keycloak: ``issuer``, ``client_id`` and ``secret`` of a client in a Keycloak that runs.
    """
    password = secrets.token_hex(16)
    made = {"client-secret": keycloak["secret"], "redis-password": password}
    _write(folder / "secrets", {**made, "session-key": make_key(secrets.token_bytes)})
    _write(folder / "config", {"sidegate.yaml": yaml.safe_dump(_settings(ports, keycloak))})
    (folder / "data").mkdir(mode=0o777)
    (folder / "data").chmod(0o777)
    path = folder / "pod.yaml"
    path.write_text(yaml.safe_dump(_pod(ports, folder, password), sort_keys=False))
    return path


def _write(folder: Path, files: dict[str, str]) -> None:
    folder.mkdir()
    for name, text in files.items():
        (folder / name).write_text(text)


def _settings(ports: Ports, keycloak: dict[str, Any]) -> dict[str, Any]:
    """Return the file of the overlay with the addresses of this machine."""
    file: dict[str, Any] = yaml.safe_load((FOLDER / "overlays" / "redis" / "sidegate.yaml").read_text("utf-8"))
    url = f"http://127.0.0.1:{ports.sidegate}"
    file["server"].update(public_url=url, listen=f"127.0.0.1:{ports.sidegate}", trusted_proxies=[])
    file["management"] = {"listen": f"127.0.0.1:{ports.management}", "api_listen": f"127.0.0.1:{ports.api}"}
    file["keycloak"].update(issuer=keycloak["issuer"], client_id=keycloak["client_id"])
    file["sessions"]["redis"]["url"] = f"redis://127.0.0.1:{ports.redis}/0"
    file["upstreams"]["app"]["url"] = f"http://127.0.0.1:{ports.app}"
    return file


def _pod(ports: Ports, folder: Path, password: str) -> dict[str, Any]:
    template = yaml.safe_load((FOLDER / "base" / "deployment.yaml").read_text("utf-8"))["spec"]["template"]["spec"]
    sidegate, app = template["initContainers"][0], template["containers"][0]
    app["command"] = ["/opt/sidegate/bin/python", "-c", _APP, str(ports.app)]
    containers = [_ours(sidegate, IMAGE), _ours(app, IMAGE), _redis(ports, password)]
    volumes = [
        {"name": name, "hostPath": {"path": str(folder / name), "type": "Directory"}}
        for name in ("config", "secrets", "data")
    ]
    spec = {
        "hostNetwork": True,
        "securityContext": template["securityContext"],
        "containers": containers,
        "volumes": volumes,
    }
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": NAME}, "spec": spec}


def _redis(ports: Ports, password: str) -> dict[str, Any]:
    resources = yaml.safe_load_all((FOLDER / "overlays" / "redis" / "redis.yaml").read_text("utf-8"))
    redis = next(one for one in resources if one["kind"] == "StatefulSet")["spec"]["template"]["spec"]["containers"][0]
    redis["args"] = ["--port", str(ports.redis), *(arg.replace("$(REDIS_PASSWORD)", password) for arg in redis["args"])]
    redis["workingDir"] = "/data"
    return _ours(redis, REDIS_IMAGE)


def _ours(container: dict[str, Any], image: str) -> dict[str, Any]:
    """Return a container that podman takes: its probes are the test's business, the host's ports need no mapping."""
    left_out = {"restartPolicy", "startupProbe", "livenessProbe", "readinessProbe", "lifecycle", "ports", "env"}
    kept = {key: value for key, value in container.items() if key not in left_out}
    return {**kept, "image": image, "imagePullPolicy": "Never"}
