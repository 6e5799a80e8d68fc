"""Null in what Kubernetes answers: it means no more than that nothing is there."""

from collections.abc import Mapping
from typing import Any


def without_nulls(value: Any) -> Any:
    """JSON without fields, at any depth, that are null. An element of a list stays, as the others' places count."""
    if isinstance(value, Mapping):
        return {name: without_nulls(child) for name, child in value.items() if child is not None}
    if isinstance(value, list):
        return [without_nulls(child) for child in value]
    return value
