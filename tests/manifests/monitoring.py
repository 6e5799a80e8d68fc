"""CRDs of what the chart uses of the Prometheus operator: those fields alone, so that a misspelt one is found."""

from typing import Any

API_VERSION = "monitoring.coreos.com/v1"

_STRING = {"type": "string"}
_STRINGS = {"type": "object", "additionalProperties": _STRING}
_DURATION = {"type": "string", "pattern": "^(0|([0-9]+(ms|[ywdhms]))+)$"}


def _array(**properties: Any) -> dict[str, Any]:
    return {"type": "array", "items": _struct(**properties)}


def _struct(**properties: Any) -> dict[str, Any]:
    return {"type": "object", "properties": properties}


def _definition(kind: str, spec: dict[str, Any]) -> dict[str, Any]:
    plural = f"{kind.lower()}s"
    version = {
        "name": "v1",
        "served": True,
        "storage": True,
        "schema": {"openAPIV3Schema": {"type": "object", "required": ["spec"], "properties": {"spec": spec}}},
    }
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"{plural}.monitoring.coreos.com"},
        "spec": {
            "group": "monitoring.coreos.com",
            "scope": "Namespaced",
            "names": {"kind": kind, "listKind": f"{kind}List", "plural": plural, "singular": kind.lower()},
            "versions": [version],
        },
    }


DEFINITIONS = (
    _definition(
        "ServiceMonitor",
        _struct(
            selector=_struct(matchLabels=_STRINGS),
            endpoints=_array(port=_STRING, path=_STRING, interval=_DURATION),
        ),
    ),
    _definition(
        "PrometheusRule",
        _struct(
            groups=_array(
                name=_STRING,
                rules=_array(alert=_STRING, expr=_STRING, **{"for": _DURATION}, labels=_STRINGS, annotations=_STRINGS),
            )
        ),
    ),
)
