"""The manifests: each resource fits the schemas of Kubernetes, the settings in them are ones that Sidegate takes, and
what they promise (only Sidegate can be reached, nobody is root) stands in them.
"""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path
from typing import Any

import kubernetes_validate  # type: ignore[import-untyped]
import pytest
import yaml

from proxy.settings.load import load
from proxy.settings.model import Settings

FOLDER = Path(__file__).parents[2] / "deploy" / "k8s"
OLDEST = "1.29"
"""The first in which an init container may go on as a sidecar without a feature gate."""

RESOURCES = sorted(
    file
    for file in FOLDER.rglob("*.yaml")
    if file.name not in {"kustomization.yaml", "sidegate.yaml", "podmonitor.yaml", "prometheusrule.yaml"}
)
SETTINGS = sorted(FOLDER.rglob("sidegate.yaml"))
OVERLAYS = sorted(file.parent for file in FOLDER.rglob("kustomization.yaml"))


def _relative(path: Path) -> str:
    return path.relative_to(FOLDER).as_posix()


@pytest.mark.parametrize("file", RESOURCES, ids=_relative)
def test_each_resource_fits_the_schema(file: Path) -> None:
    for resource in yaml.safe_load_all(file.read_text("utf-8")):
        kubernetes_validate.validate(resource, OLDEST, strict=resource["kind"] != "Deployment")


def test_the_pod_fits_the_newest_schema_and_has_no_key_that_kubernetes_does_not_know() -> None:
    # The sleep of preStop is newer than the oldest version, which would leave it away.
    kubernetes_validate.validate(_base("deployment.yaml"), kubernetes_validate.latest_version(), strict=True)


@pytest.mark.parametrize("file", SETTINGS, ids=_relative)
def test_the_settings_lack_nothing_but_the_secrets_of_the_cluster(file: Path) -> None:
    problems = [str(problem) for problem in load(file).problems]

    assert problems
    assert [problem for problem in problems if "file /run/secrets/sidegate/" not in problem] == []


@pytest.mark.parametrize("file", SETTINGS, ids=_relative)
def test_the_drain_fits_into_the_grace_of_the_pod(file: Path) -> None:
    pod = _pod()
    drain_s = int(yaml.safe_load(file.read_text("utf-8"))["server"]["shutdown_grace"].removesuffix("s"))
    sleep_s = pod["containers"][0]["lifecycle"]["preStop"]["sleep"]["seconds"]

    assert drain_s + sleep_s < pod["terminationGracePeriodSeconds"]


def test_every_container_is_restricted() -> None:
    pod = _pod()

    assert pod["securityContext"]["runAsNonRoot"] is True
    assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    for container in [*pod["initContainers"], *pod["containers"]]:
        context = container["securityContext"]
        assert context["allowPrivilegeEscalation"] is False
        assert context["capabilities"] == {"drop": ["ALL"]}
        assert "memory" in container["resources"]["limits"]


def test_sidegate_starts_before_the_app_and_ends_after_it() -> None:
    sidecar = _pod()["initContainers"][0]

    assert (sidecar["name"], sidecar["restartPolicy"]) == ("sidegate", "Always")
    assert sidecar["startupProbe"]["httpGet"]["path"] == "/healthz"
    assert sidecar["readinessProbe"]["httpGet"]["path"] == "/readyz"
    assert sidecar["securityContext"]["readOnlyRootFilesystem"] is True


def test_nobody_reaches_the_app_but_through_sidegate() -> None:
    service = _base("service.yaml")
    policy = _base("networkpolicy.yaml")
    from_anywhere = [rule for rule in policy["spec"]["ingress"] if "from" not in rule]

    assert [port["targetPort"] for port in service["spec"]["ports"]] == [4180]
    assert from_anywhere == [{"ports": [{"port": 4180}]}]
    assert "ports" not in _pod()["containers"][0]


@pytest.mark.parametrize("folder", OVERLAYS, ids=_relative)
def test_each_overlay_is_rendered_by_kustomize(folder: Path) -> None:
    program = shutil.which("kustomize")
    if program is None:
        pytest.skip("kustomize is not here")

    rendered = subprocess.run([program, "build", folder], capture_output=True, text=True, check=False)

    assert rendered.returncode == 0, rendered.stderr
    resources = list(yaml.safe_load_all(rendered.stdout))
    assert {"ConfigMap", "Deployment", "NetworkPolicy", "Service", "ServiceAccount"} <= {
        one["kind"] for one in resources
    }
    for resource in resources:
        if resource["apiVersion"] != "monitoring.coreos.com/v1":
            kubernetes_validate.validate(resource, kubernetes_validate.latest_version(), strict=True)


def test_the_pod_that_proves_itself_holds_a_token_for_keycloak_alone_and_no_secret() -> None:
    folder = FOLDER / "overlays" / "service-account"
    patch = yaml.safe_load(yaml.safe_load((folder / "kustomization.yaml").read_text("utf-8"))["patches"][0]["patch"])
    (volume,) = patch["spec"]["template"]["spec"]["volumes"]
    (source,) = volume["projected"]["sources"]
    settings = Settings.model_validate(yaml.safe_load((folder / "sidegate.yaml").read_text("utf-8")))
    (mount,) = [one for one in _pod()["initContainers"][0]["volumeMounts"] if one["name"] == volume["name"]]

    assert (volume["name"] in {one["name"] for one in _pod()["volumes"]}, volume["secret"]) == (True, None)
    assert source["serviceAccountToken"]["audience"] == settings.keycloak.issuer
    token_file = f"{mount['mountPath']}/{source['serviceAccountToken']['path']}"
    assert token_file == settings.keycloak.client_auth.token_file


def _base(name: str) -> Any:
    return yaml.safe_load((FOLDER / "base" / name).read_text("utf-8"))


def _pod() -> Any:
    return _base("deployment.yaml")["spec"]["template"]["spec"]
