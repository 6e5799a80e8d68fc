"""Rendering the chart in tests: Helm is run as people run it, its answer is objects or its own words."""

import json
import tempfile
from collections.abc import Iterable, Mapping
from functools import cache
from typing import Any

import yaml

from dev.manifests import files, helm

Object = dict[str, Any]
Values = Mapping[str, Any]

CHART, RELEASE, NAMESPACE = files.CHART, files.RELEASE, files.NAMESPACE


def merged(*parts: Values) -> dict[str, Any]:
    """Values over values, as several `--values` do it."""
    found: dict[str, Any] = {}
    for part in parts:
        for key, value in part.items():
            known = found.get(key)
            found[key] = merged(known, value) if isinstance(known, dict) and isinstance(value, dict) else value
    return found


def render(values: Values) -> list[Object]:
    """The objects of the chart with those values. Raises helm.HelmError."""
    return parse(_rendered(json.dumps(values, sort_keys=True)))


@cache
def _rendered(values: str) -> str:
    with tempfile.NamedTemporaryFile("w", suffix=".json") as file:
        file.write(values)
        file.flush()
        return helm.run("template", RELEASE, CHART, "--namespace", NAMESPACE, "--values", file.name)


def parse(text: str) -> list[Object]:
    return [found for found in yaml.load_all(text, yaml.CSafeLoader) if found]


def only(objects: Iterable[Object], kind: str, name: str | None = None) -> Object:
    """The one object of that kind (and name)."""
    found = [o for o in objects if o["kind"] == kind and name in (None, o["metadata"]["name"])]
    assert len(found) == 1, f"{len(found)} of {kind} {name or ''}"
    return found[0]


def of_kind(objects: Iterable[Object], kind: str) -> list[Object]:
    return [found for found in objects if found["kind"] == kind]


def workloads(objects: Iterable[Object]) -> list[Object]:
    """What makes pods."""
    return [found for found in objects if found["kind"] in ("Deployment", "Job")]


def pod_spec(workload: Object) -> Object:
    spec: Object = workload["spec"]["template"]["spec"]
    return spec


def containers(workload: Object) -> list[Object]:
    spec = pod_spec(workload)
    return [*spec.get("initContainers", ()), *spec["containers"]]


def variables(container: Object) -> dict[str, str]:
    """Its environment; of one from a Secret ``secret:NAME/KEY``, of one from a field the field's path."""
    found = {}
    for variable in container.get("env", ()):
        source = variable.get("valueFrom", {})
        if "secretKeyRef" in source:
            found[variable["name"]] = f"secret:{source['secretKeyRef']['name']}/{source['secretKeyRef']['key']}"
        elif "fieldRef" in source:
            found[variable["name"]] = source["fieldRef"]["fieldPath"]
        else:
            found[variable["name"]] = variable["value"]
    return found
