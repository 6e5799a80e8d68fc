"""batch/v1 Jobs: what the server fills in and refuses, and the laws of their status."""

from typing import Any

import pytest

from .client import MERGE, Api

JOBS = "/apis/batch/v1/namespaces/default/jobs"
POD = {"restartPolicy": "Never", "containers": [{"name": "c", "image": "i"}]}
INDEXED = {"completionMode": "Indexed", "completions": 3}
THEN, LATER = "2026-01-01T00:00:00Z", "2026-01-01T00:01:00Z"
IGNORED = {"action": "Ignore", "onPodConditions": [{"type": "DisruptionTarget", "status": "True"}]}


def job(name: str = "j", pod: dict[str, Any] | None = None, **spec: Any) -> dict[str, Any]:
    return {"metadata": {"name": name}, "spec": {"template": {"spec": POD if pod is None else pod}, **spec}}


def conditions(*kinds: str) -> list[dict[str, str]]:
    return [{"type": kind, "status": "True"} for kind in kinds]


async def fields(api: Api, body: dict[str, Any]) -> list[str]:
    reply = await api.call("POST", JOBS, body)
    assert reply.code == 422
    return [cause["field"] for cause in reply.body["details"]["causes"]]


async def test_what_is_left_out_is_filled_in(api: Api) -> None:
    made = await api.ok("POST", JOBS, job())
    spec, uid = made["spec"], made["metadata"]["uid"]
    defaults = {"completions": 1, "parallelism": 1, "backoffLimit": 6, "completionMode": "NonIndexed", "suspend": False}
    assert defaults.items() <= spec.items()
    assert spec["selector"] == {"matchLabels": {"batch.kubernetes.io/controller-uid": uid}}
    assert spec["template"]["metadata"]["labels"]["batch.kubernetes.io/job-name"] == "j"
    failures = {"podFailurePolicy": {"rules": [IGNORED]}}
    spec = (await api.ok("POST", JOBS, job("k", backoffLimitPerIndex=1, **INDEXED, **failures)))["spec"]
    assert (spec["backoffLimit"], spec["podReplacementPolicy"]) == (2**31 - 1, "Failed")


@pytest.mark.parametrize(
    ("body", "field"),
    [
        (job(pod={**POD, "restartPolicy": "Always"}), "spec.template.spec.restartPolicy"),
        (job(pod={"containers": POD["containers"]}), "spec.template.spec.restartPolicy"),
        (
            job(pod={**POD, "restartPolicy": "OnFailure"}, podFailurePolicy={"rules": [IGNORED]}),
            "spec.template.spec.restartPolicy",
        ),
        (job(podFailurePolicy={"rules": [{"action": "Ignore"}]}), "spec.podFailurePolicy.rules[0]"),
        (job(podFailurePolicy={"rules": [{**IGNORED, "action": "Try"}]}), "spec.podFailurePolicy.rules[0].action"),
        (job(backoffLimit=-1), "spec.backoffLimit"),
        (job(backoffLimitPerIndex=1), "spec.backoffLimitPerIndex"),
        (job(completionMode="Some"), "spec.completionMode"),
        (job(completionMode="Indexed", parallelism=1), "spec.completions"),
        (job(completionMode="Indexed", completions=200_000, parallelism=200_000), "spec.parallelism"),
        (job("j" * 62, **INDEXED), "metadata.name"),
        (job("j" * 64), "spec.template.labels"),
        (job(selector={"matchLabels": {"a": "b"}}), "spec.selector"),
    ],
    ids=str,
)
async def test_a_job_that_cannot_be_meant(api: Api, body: dict[str, Any], field: str) -> None:
    assert await fields(api, body) == [field]


async def test_what_a_job_is_cannot_be_changed(api: Api) -> None:
    await api.ok("POST", JOBS, job(**INDEXED))
    for change in ({"completionMode": "NonIndexed"}, {"template": {"spec": {"priorityClassName": "p"}}}):
        assert (await api.call("PATCH", f"{JOBS}/j", {"spec": change}, MERGE)).code == 422
    assert (await api.call("PATCH", f"{JOBS}/j", {"spec": {"suspend": True}}, MERGE)).code == 200


DONE = {"startTime": THEN, "completionTime": LATER, "conditions": conditions("SuccessCriteriaMet", "Complete")}
FAILED = {"startTime": THEN, "failed": 1, "conditions": conditions("FailureTarget", "Failed")}


@pytest.mark.parametrize(
    ("before", "after", "told"),
    [
        ({}, {**DONE, "conditions": conditions("Complete")}, "without the SuccessCriteriaMet=true"),
        ({}, {**FAILED, "conditions": conditions("Failed")}, "without the FailureTarget=true"),
        ({}, {**DONE, "conditions": conditions("SuccessCriteriaMet", "Complete", "Failed")}, "cannot set Complete"),
        ({}, {**DONE, "conditions": conditions("SuccessCriteriaMet", "FailureTarget")}, "cannot set SuccessCriteria"),
        ({}, {**DONE, "completionTime": None}, "completionTime is required"),
        ({}, {**FAILED, "completionTime": LATER}, "completionTime is required for, and only for"),
        ({}, {**FAILED, "startTime": None}, "startTime is required"),
        ({}, {**FAILED, "active": 1}, "active>0 is invalid"),
        ({}, {"active": 1, "ready": 2}, "more ready pods than active"),
        ({}, {"completedIndexes": "0"}, "non-indexed"),
        ({}, {"failedIndexes": "0"}, "backoffLimitPerIndex is null"),
        (DONE, {"conditions": []}, "cannot disable the terminal Complete"),
        (DONE, {"completionTime": THEN}, "completionTime cannot be mutated"),
        (FAILED, {"failed": 0}, "cannot decrease the failed counter"),
        ({"startTime": THEN}, {"startTime": LATER}, "startTime cannot be removed"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
async def test_a_status_that_no_job_may_have(
    api: Api, before: dict[str, Any], after: dict[str, Any], told: str
) -> None:
    await api.ok("POST", JOBS, job())
    path = f"{JOBS}/j/status"
    if before:
        await api.ok("PATCH", path, {"status": before}, MERGE)
    reply = await api.call("PATCH", path, {"status": after}, MERGE)
    assert reply.code == 422
    assert told in reply.body["message"]
