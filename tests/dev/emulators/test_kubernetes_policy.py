"""The stand-in's Job controller between two Pods of a task: as the real one, measured on 1.36."""

import asyncio
from typing import Any

import pytest

from controller.kube.client import KubeClient
from dev.emulators.kubernetes import failure_policy, objects
from dev.emulators.kubernetes.controller import JobController
from tests.dev.emulators.test_kubernetes_jobs import (
    INDEXED,
    JOBS,
    MARK,
    NEVER,
    PODS,
    STEP_SECONDS,
    client,
    conditions,
    has,
    make,
    phases,
    policy,
    until,
)

__all__ = ["client"]


def patient(client: KubeClient) -> JobController:
    return JobController(client, step_seconds=STEP_SECONDS, backoff_seconds=NEVER)


def quick(client: KubeClient) -> JobController:
    return JobController(client, step_seconds=STEP_SECONDS, backoff_seconds=STEP_SECONDS)


async def mark(client: KubeClient, pod: dict[str, Any], **status: Any) -> None:
    body = {"metadata": {"uid": pod["metadata"]["uid"]}, "status": {"conditions": [MARK], **status}}
    await client.strategic_patch(f"{PODS}/{pod['metadata']['name']}/status", body)


async def pods_of(client: KubeClient) -> list[dict[str, Any]]:
    return sorted((await client.get(PODS))["items"], key=lambda pod: int(pod["metadata"]["resourceVersion"]))


def test_the_pause_doubles_up_to_its_most() -> None:
    assert [failure_policy.pause(10, failures) for failures in (1, 2, 3, 20)] == [10, 20, 40, 600]


async def test_a_mark_between_two_pods_ends_a_job(client: KubeClient) -> None:
    async with patient(client).running():
        await make(client, "exit 3", completions=1, podFailurePolicy=policy("FailJob"), **INDEXED)
        job = await until(client, lambda job, pods: phases(pods) == ["Failed"])
        assert not job["status"].get("failed"), "it is counted with the next Pod, or the end"
        await mark(client, *await pods_of(client))
        job = await until(client, has("Failed"))
        assert conditions(job)["Failed"] == "PodFailurePolicy"
        assert "FailJob rule at index 0" in job["status"]["conditions"][-1]["message"]
        assert job["status"]["failed"] == 1
        assert phases(await pods_of(client)) == ["Failed"]


async def test_a_mark_between_two_pods_ends_one_task_of_an_array(client: KubeClient) -> None:
    spec = {**INDEXED, "completions": 2, "parallelism": 2, "podFailurePolicy": policy("FailIndex")}
    async with patient(client).running():
        await make(client, "exit 3", **spec)
        await until(client, lambda job, pods: phases(pods) == ["Failed", "Failed"])
        first, second = await pods_of(client)
        await mark(client, first)
        await until(
            client, lambda job, pods: job["status"]["failedIndexes"] == first["metadata"]["labels"][objects.INDEX]
        )
        await mark(client, second)
        job = await until(client, has("Failed"))
        assert (conditions(job)["Failed"], job["status"]["failed"]) == ("FailedIndexes", 2)


async def test_a_mark_that_comes_late_ends_the_pod_that_was_made_meanwhile(client: KubeClient) -> None:
    async with quick(client).running():
        await make(client, "sleep 600", completions=1, podFailurePolicy=policy("FailJob"), **INDEXED)
        await until(client, lambda job, pods: phases(pods) == ["Running"])
        (first,) = await pods_of(client)
        await client.merge_patch(f"{PODS}/{first['metadata']['name']}/status", {"status": {"phase": "Failed"}})
        await until(client, lambda job, pods: phases(pods) == ["Failed", "Running"])
        await mark(client, first)
        job = await until(client, has("Failed"))
        assert job["status"]["failed"] == 2
        assert phases(await pods_of(client)) == ["Failed"], "the other one was deleted"


async def test_pods_say_how_often_their_task_failed_and_was_disrupted(client: KubeClient) -> None:
    spec = {**INDEXED, "completions": 1, "podFailurePolicy": policy("FailJob")}
    async with quick(client).running():
        await make(client, "exit 0", fault="Preempted", **spec)
        job = await until(client, has("Complete"))
        _, last = await pods_of(client)
        assert last["metadata"]["annotations"][objects.IGNORED_FAILURES] == "1"
        assert last["metadata"]["annotations"][objects.FAILURES] == "0"
        assert job["status"]["failed"] == 0
        await client.delete(f"{JOBS}/j", propagation="Foreground")


async def test_a_pod_that_somebody_fails_is_failed(client: KubeClient) -> None:
    async with patient(client).running():
        await make(
            client, "true", fault="InvalidImageName", completions=1, podFailurePolicy=policy("FailJob"), **INDEXED
        )
        await until(client, lambda job, pods: "InvalidImageName" in str(pods))
        await mark(client, *await pods_of(client), phase="Failed")
        await until(client, has("Failed"))


async def test_what_others_wrote_on_a_pod_stays_and_times_are_of_the_change(client: KubeClient) -> None:
    async with patient(client).running():
        await make(client, "sleep 0.3", completions=1, **INDEXED)
        await until(client, lambda job, pods: phases(pods) == ["Running"])
        (pod,) = await pods_of(client)
        body = {"status": {"conditions": [{"type": "example.com/x", "status": "True"}]}}
        await client.strategic_patch(f"{PODS}/{pod['metadata']['name']}/status", body)
        await until(client, has("Complete"))
        (pod,) = await pods_of(client)
        assert "example.com/x" in conditions(pod)


def test_a_condition_that_did_not_change_keeps_its_time() -> None:
    before = {"conditions": [objects.condition("PodScheduled") | {"lastTransitionTime": "then"}]}
    after = objects.kept({"conditions": [objects.condition("PodScheduled"), objects.condition("Ready")]}, before)
    assert after["conditions"][0]["lastTransitionTime"] == "then"
    assert after["conditions"][1]["lastTransitionTime"] != "then"


async def test_a_stand_in_that_is_started_again_knows_which_tasks_are_over(client: KubeClient) -> None:
    spec = {**INDEXED, "completions": 2, "parallelism": 2, "podFailurePolicy": policy("FailIndex")}
    async with patient(client).running():
        await make(client, "exit 3", **spec)
        await until(client, lambda job, pods: phases(pods) == ["Failed", "Failed"])
        await mark(client, (await pods_of(client))[0])
        await until(client, lambda job, pods: bool(job["status"]["failedIndexes"]))
    async with quick(client).running():
        job = await until(client, has("Failed"))
        assert len(await pods_of(client)) == 2 + 3, "of the marked task none was made"
        await asyncio.sleep(0)
        assert job["status"]["failedIndexes"] == "0,1"


@pytest.mark.parametrize(
    ("rules", "found"), [([], "Count"), ([{"action": "Ignore", "onPodConditions": [MARK]}], "Ignore")]
)
def test_the_first_rule_that_fits_holds(rules: list[Any], found: str) -> None:
    pod = {"status": {"phase": "Failed", "conditions": [MARK]}}
    assert failure_policy.action({"spec": {"podFailurePolicy": {"rules": rules}}}, pod) == found
    assert failure_policy.action({"spec": {}}, {"status": {"phase": "Running"}}) == ""
