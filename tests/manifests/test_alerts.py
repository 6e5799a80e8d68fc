"""The alerts ask for metrics that there are, with labels that those have, in words that Prometheus reads."""

import re
from collections.abc import Iterator
from typing import Any

import promql_parser
import pytest

from controller import metrics
from dev.manifests.files import ROOT
from tests.manifests import chart
from tests.manifests.cases import CASES

RULES: list[dict[str, Any]] = [
    rule
    for group in chart.only(chart.render(CASES["monitoring"]), "PrometheusRule")["spec"]["groups"]
    for rule in group["rules"]
]
OF_PROMETHEUS = {"namespace", "pod"}
"""Labels that scraping adds."""


@pytest.mark.parametrize("rule", RULES, ids=[rule["alert"] for rule in RULES])
def test_an_alert_asks_for_what_there_is(rule: dict[str, Any]) -> None:
    promql_parser.parse(rule["expr"])
    selectors = re.findall(r"(jennah_\w+)\{([^}]*)\}", rule["expr"])
    assert selectors
    for name, matchers in selectors:
        asked = set(re.findall(r"(\w+)(?:=|!=|=~|!~)\"", matchers))
        assert "namespace" in asked, "another installation's metrics are not ours"
        assert asked - OF_PROMETHEUS <= LABELS[name]
    for grouped in re.findall(r"(?:by|on) \(([^)]*)\)", rule["expr"]):
        assert {grouped} - OF_PROMETHEUS <= set.intersection(*(LABELS[name] for name, _ in selectors))
    assert {"summary", "description"} == set(rule["annotations"])
    assert rule["labels"]["severity"] in ("critical", "warning")


def _labels() -> Iterator[tuple[str, set[str]]]:
    for collector in list(metrics.REGISTRY._collector_to_names):
        for name in metrics.REGISTRY._collector_to_names[collector]:
            yield name, set(getattr(collector, "_labelnames", ()))


LABELS = dict(_labels())


def test_each_alert_has_a_line_that_says_what_to_do() -> None:
    told = re.findall(r"^\| (Jennah\w+) \|", (ROOT / "docs" / "operations.md").read_text(), re.M)
    assert told == [rule["alert"] for rule in RULES]


def test_two_alerts_have_no_name_in_common() -> None:
    names = [rule["alert"] for rule in RULES]
    assert len(names) == len(set(names)) >= 8


def test_prometheus_finds_the_port() -> None:
    objects = chart.render(CASES["monitoring"])
    monitor = chart.only(objects, "ServiceMonitor")
    service = chart.only(objects, "Service", "jennah-controller-metrics")
    assert monitor["spec"]["selector"]["matchLabels"].items() <= service["metadata"]["labels"].items()
    assert monitor["spec"]["endpoints"][0]["port"] in [port["name"] for port in service["spec"]["ports"]]
    operators = chart.only(objects, "Deployment", "jennah-controller")
    [container] = chart.containers(operators)
    assert chart.variables(container)["HEALTH_PORT"] == "9100"
    assert container["ports"] == [{"name": "health", "containerPort": 9100}]
