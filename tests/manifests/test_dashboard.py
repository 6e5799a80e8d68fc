"""The dashboard asks for metrics that there are, leaves none of them out, and comes to where the sidecar looks."""

import json
import re
from itertools import combinations
from typing import Any

import pytest

from tests.exported_metrics import REGISTRIES, documented_names
from tests.manifests import chart, queries
from tests.manifests.cases import CASES, DEFAULT

CONFIG_MAP = chart.only(chart.render(CASES["monitoring"]), "ConfigMap", "jennah-dashboard")
DASHBOARD = json.loads(CONFIG_MAP["data"]["jennah.json"])
PANELS: list[dict[str, Any]] = DASHBOARD["panels"]
VARIABLES = {"$__rate_interval": "5m", "$__range": "6h"}
"""Grafana's own, and what they may stand for."""


@pytest.mark.parametrize("panel", PANELS, ids=[panel["title"] for panel in PANELS])
def test_a_panel_asks_for_what_there_is(panel: dict[str, Any]) -> None:
    assert panel["datasource"]["uid"] == "${datasource}"
    for target in panel["targets"]:
        query = target["expr"]
        for name, value in VARIABLES.items():
            query = query.replace(f"[{name}]", f"[{value}]")
        for asked in queries.selectors(query):
            assert asked["namespace"] == "$namespace", "another installation's metrics are not ours"
        for label in re.findall(r"{{(\w+)}}", target["legendFormat"]):
            assert re.search(rf"by \([^)]*\b{label}\b", query), f"the legend has {label}, the query loses it"


def test_no_metric_is_left_out() -> None:
    shown = {re.sub("_(bucket|sum|count)$", "", name) for name in re.findall(r"jennah_\w+", json.dumps(PANELS))}
    assert shown == {name for registry in REGISTRIES.values() for name in documented_names(registry)}


def test_panels_have_their_own_place_and_number() -> None:
    assert len({panel["id"] for panel in PANELS}) == len(PANELS) >= 12
    for one, other in combinations([panel["gridPos"] for panel in PANELS], 2):
        is_beside = one["x"] + one["w"] <= other["x"] or other["x"] + other["w"] <= one["x"]
        assert is_beside or one["y"] + one["h"] <= other["y"] or other["y"] + other["h"] <= one["y"]
    assert max(panel["gridPos"]["x"] + panel["gridPos"]["w"] for panel in PANELS) == 24, "Grafana's columns"


def test_variables_are_those_that_the_queries_have() -> None:
    variables = {variable["name"] for variable in DASHBOARD["templating"]["list"]}
    asked = set(re.findall(r"\$\{?(\w+)", json.dumps(DASHBOARD)))
    assert variables == {name for name in asked if not name.startswith("__")}


def test_the_sidecar_finds_it_where_and_as_the_values_say() -> None:
    metadata = CONFIG_MAP["metadata"]
    assert metadata["namespace"] == "team-a"
    assert metadata["labels"]["grafana_dashboard"] == "yes"
    assert metadata["annotations"] == {"grafana_folder": "Jennah"}
    usual = chart.render(chart.merged(DEFAULT, {"metrics": {"dashboard": {"enabled": True}}}))
    metadata = chart.only(usual, "ConfigMap", "jennah-dashboard")["metadata"]
    assert (metadata["namespace"], metadata["labels"]["grafana_dashboard"]) == (chart.NAMESPACE, "1")
    assert "annotations" not in metadata


def test_it_is_there_only_where_it_is_asked_for() -> None:
    assert [found for found in chart.render(DEFAULT) if found["metadata"]["name"] == "jennah-dashboard"] == []
