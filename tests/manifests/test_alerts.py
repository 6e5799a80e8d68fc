"""The alerts ask for metrics that there are, with labels that those have, in words that Prometheus reads."""

import re
from typing import Any

import pytest

from dev.manifests.files import ROOT
from tests.manifests import chart, queries
from tests.manifests.cases import CASES
from tests.manifests.chart import merged

RULES: list[dict[str, Any]] = [
    rule
    for group in chart.only(chart.render(CASES["monitoring"]), "PrometheusRule")["spec"]["groups"]
    for rule in group["rules"]
]


@pytest.mark.parametrize("rule", RULES, ids=[rule["alert"] for rule in RULES])
def test_an_alert_asks_for_what_there_is(rule: dict[str, Any]) -> None:
    for asked in queries.selectors(rule["expr"]):
        assert asked["namespace"] == chart.NAMESPACE, "another installation's metrics are not ours"
    assert {"summary", "description"} == set(rule["annotations"])
    assert rule["labels"]["severity"] in ("critical", "warning")


@pytest.mark.parametrize(
    "query",
    [
        "sum(jennah_leaders{})",
        "sum(jennah_leader)",
        "rate(jennah_provider_calls{}[5m])",
        "rate(jennah_observation_seconds{}[5m])",
        'sum(jennah_queue_depth{provider="gcp"})',
        "sum by (method) (rate(jennah_reconciles_total{}[5m]))",
        'rate(jennah_api_requests_total{result=~"internal|unavaliable"}[5m])',
        'rate(jennah_api_requests_total{method="Submit"}[5m])',
    ],
)
def test_a_query_for_what_is_not_exported_is_found(query: str) -> None:
    with pytest.raises(AssertionError):
        queries.selectors(query)


def test_alerts_about_the_api_are_there_where_the_api_is() -> None:
    without = chart.render(merged(CASES["monitoring"], {"api": {"enabled": False}}))
    [group] = chart.only(without, "PrometheusRule")["spec"]["groups"]
    assert {rule["alert"] for rule in RULES} - {rule["alert"] for rule in group["rules"]} == {
        "JennahApiFailing",
        "JennahApiSlow",
        "JennahApiWithoutAuthentication",
        "JennahApiReloadFailing",
    }


def test_each_alert_has_a_line_that_says_what_to_do() -> None:
    told = re.findall(r"^\| (Jennah\w+) \|", (ROOT / "docs" / "operations.md").read_text(), re.M)
    assert told == [rule["alert"] for rule in RULES]


def test_two_alerts_have_no_name_in_common() -> None:
    names = [rule["alert"] for rule in RULES]
    assert len(names) == len(set(names)) >= 8


@pytest.mark.parametrize(
    ("name", "variable", "port"),
    [("jennah-controller", "HEALTH_PORT", "health"), ("jennah-api", "METRICS_PORT", "metrics")],
)
def test_prometheus_finds_the_ports(name: str, variable: str, port: str) -> None:
    objects = chart.render(CASES["monitoring"])
    monitor = chart.only(objects, "ServiceMonitor", name)
    service = chart.only(objects, "Service", f"{name}-metrics")
    assert monitor["spec"]["selector"]["matchLabels"].items() <= service["metadata"]["labels"].items()
    assert monitor["spec"]["endpoints"][0]["port"] in [port["name"] for port in service["spec"]["ports"]]
    [container] = chart.containers(chart.only(objects, "Deployment", name))
    assert chart.variables(container)[variable] == "9100"
    assert {"name": port, "containerPort": 9100} in container["ports"]


def test_metrics_are_read_by_those_who_may_and_not_by_callers_of_the_api() -> None:
    policy = chart.only(chart.render(CASES["monitoring"]), "NetworkPolicy", "jennah-api")
    peers = {rule["ports"][0]["port"]: rule["from"] for rule in policy["spec"]["ingress"]}
    assert peers == {8081: [{"podSelector": {}}], 9100: [{"podSelector": {}}, {"namespaceSelector": {}}]}
    for case in ("everything about the API", "monitoring"):
        service = chart.only(chart.render(CASES[case]), "Service", "jennah-api")
        assert [port["targetPort"] for port in service["spec"]["ports"]] == ["http"], "that of callers alone"
