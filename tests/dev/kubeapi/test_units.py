"""The small languages: JSONPath, durations, selectors, strategic merge patches."""

from typing import Any

import pytest

from dev.kubeapi import columns, jsonpath, patches, selectors
from dev.kubeapi.status import ApiError

CONDITIONS = {"status": {"conditions": [{"type": "Ready", "status": "True"}, {"type": "Failed", "status": "False"}]}}


@pytest.mark.parametrize(
    ("path", "found"),
    [
        (".status.conditions[0].type", ["Ready"]),
        (".status.conditions[*].type", ["Ready", "Failed"]),
        ('.status.conditions[?(@.type=="Failed")].status', ["False"]),
        ("{.status.conditions[-1].type}", ["Failed"]),
        ("['status'].missing", []),
        (".metadata.labels.example\\.com/a", []),
    ],
)
def test_jsonpath(path: str, found: list[Any]) -> None:
    assert jsonpath.find(path, CONDITIONS) == found


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "0s"),
        (119, "119s"),
        (125, "2m5s"),
        (600, "10m"),
        (10800, "3h"),
        (12000, "3h20m"),
        (200000, "2d7h"),
        (864000, "10d"),
    ],
)
def test_ages_read_as_kubectl_writes_them(seconds: int, text: str) -> None:
    assert columns.duration(seconds) == text


@pytest.mark.parametrize(
    ("selector", "matches"),
    [
        ("a=1", True),
        ("a==1,b", True),
        ("a!=1", False),
        ("missing!=1", True),
        ("a in (1, 2),b notin (3)", True),
        ("!b", False),
        ("n>4,n<6", True),
        ("n>5", False),
        ("example.com/x=y", True),
        ("", True),
    ],
)
def test_label_selectors(selector: str, matches: bool) -> None:
    labels = {"a": "1", "b": "2", "n": "5", "example.com/x": "y"}
    assert selectors.parse_labels(selector).matches(labels) is matches


@pytest.mark.parametrize("selector", ["=bad=", "a in 1", "a>x", "-a=1", "a=b c", "a,,b"])
def test_malformed_label_selectors_are_refused(selector: str) -> None:
    with pytest.raises(ApiError):
        selectors.parse_labels(selector)


def test_strategic_merge_patches_merge_lists_by_key() -> None:
    containers = [{"name": "a", "image": "1", "env": [{"name": "X", "value": "1"}]}, {"name": "b", "image": "2"}]
    patch = {
        "spec": {
            "$setElementOrder/containers": [{"name": "a"}],
            "containers": [
                {"name": "a", "env": [{"name": "Y", "value": "2"}]},
                {"name": "b", "$patch": "delete"},
            ],
        }
    }
    changed = patches.change_from(patches.STRATEGIC, patch)({"spec": {"containers": containers}})
    env = [{"name": "X", "value": "1"}, {"name": "Y", "value": "2"}]
    assert changed == {"spec": {"containers": [{"name": "a", "image": "1", "env": env}]}}
