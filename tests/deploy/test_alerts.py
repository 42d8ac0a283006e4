"""Alerts fire on what Sidegate says, name what is there, and are the same for Prometheus and for its operator."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.deploy.queries import unknown
from tests.support.exposed import exposed_samples

DEPLOY = Path(__file__).parents[2] / "deploy"
FOLDER = DEPLOY / "prometheus"
OPERATORS = DEPLOY / "k8s" / "overlays" / "servicemonitor" / "prometheusrule.yaml"
GROUPS: list[dict[str, Any]] = yaml.safe_load((FOLDER / "alerts.yaml").read_text("utf-8"))["groups"]
RULES: list[dict[str, Any]] = [rule for group in GROUPS for rule in group["rules"]]


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule["alert"])
def test_each_alert_asks_for_what_is_exposed_and_names_it(rule: dict[str, Any]) -> None:
    texts = " ".join(rule["annotations"].values())

    assert unknown(rule["expr"], exposed_samples(), texts=texts) == []
    assert set(rule["annotations"]) == {"summary", "description"}
    assert rule["labels"]["severity"] in {"warning", "critical"}


def test_each_alert_has_a_test_of_its_own() -> None:
    tests = yaml.safe_load((FOLDER / "alerts.test.yaml").read_text("utf-8"))["tests"]
    tried = {one["alertname"] for test in tests for one in test["alert_rule_test"] if one["exp_alerts"]}

    assert tried == {rule["alert"] for rule in RULES}


def test_alerts_fire_when_they_should_and_not_a_moment_earlier() -> None:
    promtool = shutil.which("promtool")
    if promtool is None:
        pytest.skip("promtool is not installed: apt-get install prometheus")

    for command in (["check", "rules", "alerts.yaml"], ["test", "rules", "alerts.test.yaml"]):
        done = subprocess.run([promtool, *command], cwd=FOLDER, capture_output=True, text=True, timeout=60, check=False)
        assert done.returncode == 0, done.stdout + done.stderr


def test_the_operator_of_kubernetes_gets_the_same_alerts() -> None:
    resource = yaml.safe_load(OPERATORS.read_text("utf-8"))

    assert (resource["apiVersion"], resource["kind"]) == ("monitoring.coreos.com/v1", "PrometheusRule")
    assert resource["spec"]["groups"] == GROUPS
