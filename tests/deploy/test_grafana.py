"""The dashboard is one that Grafana takes, and shows nothing that Sidegate does not say."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.deploy.queries import selected, unknown
from tests.support.exposed import exposed_samples, families

DASHBOARD: dict[str, Any] = json.loads(
    (Path(__file__).parents[2] / "deploy" / "grafana" / "sidegate.json").read_text("utf-8")
)
PANELS: list[dict[str, Any]] = DASHBOARD["panels"]
SHOWN = [panel for panel in PANELS if panel["type"] != "row"]
DATASOURCE = {"type": "prometheus", "uid": "${datasource}"}
WIDTH = 24
"""Columns of Grafana's grid."""


def queries() -> list[tuple[str, str, str]]:
    """Title, query and legend of each."""
    return [(panel["title"], target["expr"], target["legendFormat"]) for panel in SHOWN for target in panel["targets"]]


@pytest.mark.parametrize(("title", "query", "legend"), queries())
def test_each_query_asks_for_what_is_exposed(title: str, query: str, legend: str) -> None:
    assert unknown(query, exposed_samples(), texts=legend) == []
    assert [*selected(query)], f"{title} asks for nothing of ours"


def test_every_figure_of_ours_is_shown_somewhere() -> None:
    shown = {name for _, query, _ in queries() for name, _ in selected(query)}
    endings = ("", "_bucket", "_count", "_sum")

    assert [name for name in families() if not shown & {name + ending for ending in endings}] == []


def test_it_has_what_grafana_wants_of_a_dashboard() -> None:
    ids = [panel["id"] for panel in PANELS]

    assert DASHBOARD["schemaVersion"] >= 36, "older ones had data sources by name"
    assert DASHBOARD["id"] is None, "else it would replace somebody's"
    assert (DASHBOARD["uid"], DASHBOARD["title"]) == ("sidegate", "Sidegate")
    assert sorted(set(ids)) == sorted(ids)
    for panel in SHOWN:
        refs = [target["refId"] for target in panel["targets"]]
        assert len(set(refs)) == len(refs)
        assert panel["type"] in {"stat", "timeseries"}


def test_every_query_goes_to_the_source_that_the_reader_chooses() -> None:
    variables = {variable["name"]: variable for variable in DASHBOARD["templating"]["list"]}

    assert (variables["datasource"]["type"], variables["datasource"]["query"]) == ("datasource", "prometheus")
    for panel in SHOWN:
        assert panel["datasource"] == DATASOURCE
        assert all(target["datasource"] == DATASOURCE for target in panel["targets"])
    for name in ("job", "instance"):
        assert variables[name]["datasource"] == DATASOURCE
        assert unknown(variables[name]["definition"], exposed_samples()) == []
    used = {name for name in variables if any(f"${name}" in query for _, query, _ in queries())}
    assert used | {"datasource"} == set(variables)


def test_panels_lie_beside_each_other_and_not_on_top() -> None:
    taken: set[tuple[int, int]] = set()
    for panel in PANELS:
        at = panel["gridPos"]
        cells = {(at["x"] + x, at["y"] + y) for x in range(at["w"]) for y in range(at["h"])}
        assert at["x"] + at["w"] <= WIDTH
        assert not taken & cells, panel["title"]
        taken |= cells
