"""Queries of alerts and dashboards: what they ask for, held against what the programs export."""

import re

import promql_parser

from api.connect.errors import Code
from api.gen import deployment_pb2 as pb
from api.metrics import OK, OTHER
from tests.exported_metrics import LABELS

OF_PROMETHEUS = {"namespace", "pod"}
"""Labels that scraping adds."""
_VALUES = {
    "result": {OK, *Code},
    "method": {OTHER, *(method.name for method in pb.DESCRIPTOR.services_by_name["DeploymentService"].methods)},
}
"""Which the labels of the API's metrics can have."""


def selectors(query: str) -> list[dict[str, str]]:
    """The values of labels, by their names, of each selector. AssertionError for what the programs do not export."""
    promql_parser.parse(query)
    found = re.findall(r"\b((?:jennah|process)_\w+)\{([^}]*)\}", query)
    assert [name for name, _ in found] == re.findall(r"\b(?:jennah|process)_\w+", query), "each with a selector"
    assert found
    asked = []
    for name, text in found:
        matchers = dict(re.findall(r"(\w+)(?:=|!=|=~|!~)\"([^\"]*)\"", text))
        assert name in LABELS
        assert set(matchers) - OF_PROMETHEUS <= LABELS[name], name
        if name.startswith("jennah_api_"):
            for label in set(matchers) & set(_VALUES):
                assert set(matchers[label].split("|")) <= _VALUES[label], label
        asked.append(matchers)
    for grouped in re.findall(r"(?:by|on) \(([^)]*)\)", query):
        known = set.intersection(*(LABELS[name] for name, _ in found))
        assert set(grouped.split(", ")) - OF_PROMETHEUS <= known, grouped
    return asked
