"""Every figure stands in docs/metrics.md with its type and its labels, and nothing else does."""

from __future__ import annotations

import re
from pathlib import Path

import yaml

from tests.support.exposed import exposed_samples, families

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "metrics.md").read_text("utf-8")
_ROW = re.compile(r"^\| `(sidegate_[a-z_]+)` \| ([a-z]+) \|([^|]*)\|", re.MULTILINE)


def test_every_figure_is_documented_with_its_type_and_its_labels_and_nothing_else_is() -> None:
    samples = exposed_samples()
    ending = {"histogram": "_bucket"}
    exposed = {name: (kind, samples[name + ending.get(kind, "")] - {"le"}) for name, kind in families().items()}

    documented = {name: (kind, frozenset(re.findall(r"`(\w+)`", labels))) for name, kind, labels in _ROW.findall(PAGE)}

    assert documented == exposed


def test_every_alert_is_documented() -> None:
    groups = yaml.safe_load((ROOT / "deploy" / "prometheus" / "alerts.yaml").read_text("utf-8"))["groups"]

    alerts = [rule["alert"] for group in groups for rule in group["rules"]]
    assert re.findall(r"^\| `(Sidegate\w+)` \|", PAGE, re.MULTILINE) == alerts
