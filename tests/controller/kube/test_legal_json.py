"""JSON that an API server may send: null where nothing is there, and fields that nobody here knows of.

By Kubernetes' API conventions null and absent are the same, and newer servers send more fields.
"""

import copy
import json
from collections.abc import Callable, Iterator
from typing import Any

import msgspec
import pytest

from controller.domain import job as jobs
from controller.domain.errors import Unavailable
from controller.kube import lease
from controller.kube.client import items_of
from controller.kube.decoding import Decoder
from controller.providers.kubernetes import wire

META = {
    "name": "n",
    "namespace": "ns",
    "uid": "u",
    "resourceVersion": "7",
    "generation": 2,
    "creationTimestamp": "2026-01-01T00:00:00Z",
    "deletionTimestamp": "2026-01-01T00:00:01Z",
    "labels": {"jennah.alphaus.cloud/uid": "j", "jennah.alphaus.cloud/tenant-id": "t"},
    "annotations": {"batch.kubernetes.io/job-completion-index": "3", "jennah.alphaus.cloud/purge": "true"},
    "finalizers": ["jennah.alphaus.cloud/cloud-job"],
    "ownerReferences": [{"apiVersion": "v1", "kind": "K", "name": "o", "uid": "ou", "controller": True}],
}
CONDITION = {
    "type": "Failed",
    "status": "True",
    "reason": "R",
    "message": "m",
    "lastTransitionTime": "2026-01-01T00:00:02Z",
}
JENNAH_JOB = {
    "metadata": META,
    "spec": {
        "image": "i",
        "command": ["a"],
        "completions": 2,
        "resources": {"cpu": "1", "memory": "1Gi"},
        "env": [{"name": "A", "valueFrom": {"secretKeyRef": {"name": "s", "key": "k", "optional": True}}}],
    },
    "status": {
        "phase": "Running",
        "transition": 3,
        "conditions": [{**CONDITION, "observedGeneration": 2}],
        "tasks": {"total": 2, "pending": 1, "running": 1, "succeeded": 0, "failed": 0},
        "startedAt": "2026-01-01T00:00:03Z",
    },
}
BATCH_JOB = {
    "metadata": META,
    "spec": {"completions": 2, "backoffLimit": 3},
    "status": {
        "conditions": [CONDITION],
        "startTime": "2026-01-01T00:00:01Z",
        "completionTime": "2026-01-01T00:00:02Z",
        "succeeded": 1,
        "failed": 2,
        "failedIndexes": "1,3-5",
    },
}
ENDED = {
    "exitCode": 1,
    "reason": "Error",
    "message": "m",
    "startedAt": "2026-01-01T00:00:01Z",
    "finishedAt": "2026-01-01T00:00:02Z",
}
POD = {
    "metadata": META,
    "status": {
        "phase": "Failed",
        "reason": "Evicted",
        "message": "m",
        "startTime": "2026-01-01T00:00:01Z",
        "conditions": [CONDITION],
        "containerStatuses": [{"name": "c", "state": {"terminated": ENDED}}],
    },
}
LEASE = {
    "metadata": META,
    "spec": {
        "holderIdentity": "h",
        "leaseDurationSeconds": 15,
        "leaseTransitions": 2,
        "acquireTime": "2026-01-01T00:00:01.000000Z",
        "renewTime": "2026-01-01T00:00:02.000000Z",
    },
}


def decoded(kind: type) -> Callable[[Any], Any]:
    decoder = Decoder(kind)
    return lambda raw: decoder.decode(json.dumps(raw).encode())


def lease_of(raw: Any) -> Any:
    return msgspec.structs.replace(lease._parse(raw), whole={})


READERS: dict[str, tuple[Callable[[Any], Any], Any]] = {
    "a JennahJob": (jobs.parse, JENNAH_JOB),
    "a Job": (decoded(wire.Job), BATCH_JOB),
    "Pods": (decoded(wire.PodList), {"metadata": {"continue": "c"}, "items": [POD]}),
    "a Lease": (lease_of, LEASE),
}


def maps(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Where there are maps in it."""
    if isinstance(value, dict):
        yield path
        for name, child in value.items():
            yield from maps(child, (*path, name))
    elif isinstance(value, list):
        for index, child in enumerate(value):
            yield from maps(child, (*path, index))


def at(value: Any, path: tuple[Any, ...]) -> Any:
    for step in path:
        value = value[step]
    return value


def outcome(read: Callable[[Any], Any], raw: Any) -> Any:
    """What it is read as; that it is refused, where it is."""
    try:
        return read(raw)
    except (msgspec.ValidationError, Unavailable):
        return "refused"


@pytest.mark.parametrize("what", READERS)
def test_null_is_as_good_as_absent(what: str) -> None:
    read, whole = READERS[what]
    assert outcome(read, whole) != "refused"
    for path in maps(whole):
        for name in at(whole, path):
            if name == "items":
                continue  # of a list: below
            absent, null = copy.deepcopy(whole), copy.deepcopy(whole)
            del at(absent, path)[name]
            at(null, path)[name] = None
            assert outcome(read, null) == outcome(read, absent), (*path, name)


@pytest.mark.parametrize("what", READERS)
def test_a_field_that_is_not_known_changes_nothing(what: str) -> None:
    read, whole = READERS[what]
    for path in maps(whole):
        more = copy.deepcopy(whole)
        at(more, path)["jennah.dev/new"] = "x"
        if path[-1:] != ("labels",) and path[-1:] != ("annotations",):
            at(more, path)["new"] = {"of": ["a", {"later": None}]}
        if what == "a JennahJob" and path[-1:] in (("labels",), ("annotations",)):
            continue  # they are kept whole
        assert read(more) == read(whole), path


def test_a_list_of_nothing_is_null_or_empty_and_what_is_no_list_is_none() -> None:
    assert items_of({"items": None}) == items_of({"items": []}) == []
    read = decoded(wire.PodList)
    assert [one.items for one in map(read, ({"items": None}, {"items": []}))] == [None, []]
    with pytest.raises(Unavailable):
        items_of({"kind": "Status"})
    with pytest.raises(msgspec.ValidationError):
        read({"kind": "Status"})
