"""Values that charts often get wrong: large numbers, names that YAML takes for something else, false, older values."""

import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from dev.manifests import helm
from tests.manifests import chart
from tests.manifests.cases import DEFAULT, KUBERNETES
from tests.manifests.chart import CHART, merged
from tests.manifests.test_values import SCHEMA, VALUES, resolved

LARGE = 5_000_000
"""Helm reads numbers of a file as floats, and a template prints this one as 5e+06."""
ODD = ("on", "007", "1e3")
"""Names that are names, and a boolean and numbers to YAML."""


def numbers(schema: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    """Where a value may be that large."""
    schema = resolved(schema)
    kinds = schema.get("type", ())
    is_number = bool({"integer", "number"} & {*((kinds,) if isinstance(kinds, str) else kinds)})
    if is_number and schema.get("maximum", LARGE) >= LARGE:
        yield path
    for name, part in schema.get("properties", {}).items():
        yield from numbers(part, (*path, name))


def nested(path: tuple[str, ...], value: Any) -> Any:
    return value if not path else {path[0]: nested(path[1:], value)}


def at(node: Any, path: tuple[str, ...]) -> Any:
    return at(node[path[0]], path[1:]) if path else node


def test_large_numbers_stay_whole() -> None:
    paths = list(numbers(SCHEMA))
    assert ("api", "maxRequestBytes") in paths
    assert ("migration", "activeDeadlineSeconds") in paths
    quota = {"jobNamespace": {"quota": {"count/secrets": LARGE}}, "api": {"autoscaling": {"enabled": True}}}
    rendered = yaml.safe_dump_all(chart.render(merged(DEFAULT, KUBERNETES, quota, *(nested(p, LARGE) for p in paths))))
    assert not re.findall(r".*\de\+\d.*", rendered)
    assert rendered.count(str(LARGE)) >= len(paths)


def test_names_stay_names() -> None:
    odd = ODD[0]
    objects = chart.render(
        merged(
            DEFAULT,
            KUBERNETES,
            {
                "watchNamespaces": list(ODD),
                "jobNamespace": {"name": odd, "quota": {"count/secrets": "1"}},
                "existingProfiles": odd,
                "controller": {
                    "lease": {"name": odd},
                    "serviceAccount": {"create": False, "name": odd},
                    "priorityClassName": odd,
                },
                "api": {
                    "auth": {"tokensSecret": {"name": odd, "key": odd}},
                    "tls": {"secretName": odd},
                    "serviceAccount": {"name": odd},
                },
                "migration": {"serviceAccount": {"name": odd}},
            },
        )
    )
    assert {found["metadata"].get("namespace", "") for found in objects} == {"", chart.NAMESPACE, *ODD}
    for found in objects:
        if found["kind"] != "CustomResourceDefinition":
            assert not list(_not_strings(found))


def _not_strings(node: Any) -> Iterator[Any]:
    """Names that became something else."""
    if isinstance(node, dict):
        for key, value in node.items():
            is_name = key in ("name", "namespace", "secretName", "serviceAccountName", "priorityClassName", "key")
            if not isinstance(key, str) or (is_name and not isinstance(value, str)):
                yield key, value
            yield from _not_strings(value)
    elif isinstance(node, list):
        for each in node:
            yield from _not_strings(each)


def switches(node: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    if isinstance(node, bool):
        yield path
    if isinstance(node, dict):
        for name, part in node.items():
            yield from switches(part, (*path, name))


@pytest.mark.parametrize("path", switches(yaml.safe_load(VALUES)), ids=".".join)
def test_a_switch_that_is_turned_changes_something_or_is_refused_by_its_name(path: tuple[str, ...]) -> None:
    turned = nested(path, not at(yaml.safe_load(VALUES), path))
    with_all = merged(DEFAULT, {"networkPolicy": {"metricsFrom": [{}], "apiFrom": [{}]}})
    try:
        objects = chart.render(merged(with_all, turned))
    except helm.HelmError as error:
        assert ".".join(path) in str(error)
    else:
        only_permits = path[:2] == ("api", "exposure") or path == ("api", "auth", "noneIsMeant")
        assert (objects != chart.render(with_all)) is not only_permits


def test_values_of_a_chart_before_are_refused_by_the_names_that_are_new(tmp_path: Path) -> None:
    """`helm upgrade --reuse-values`: the chart's own defaults are those of the release."""
    older = tmp_path / "chart"
    shutil.copytree(CHART, older)
    values = yaml.safe_load(VALUES)
    for path in (("api", "tls"), ("api", "auth", "noneIsMeant"), ("rbac", "clusterWide"), ("tenancy",)):
        del at(values, path[:-1])[path[-1]]
    (older / "values.yaml").write_text(yaml.safe_dump(merged(values, DEFAULT)))
    with pytest.raises(helm.HelmError) as refused:
        helm.run("template", chart.RELEASE, older)
    for told in ("api: tls", "api.auth: noneIsMeant", "rbac: clusterWide", "(root): tenancy"):
        assert f"{told} is required" in str(refused.value)
