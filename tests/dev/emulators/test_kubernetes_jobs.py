"""The Job controller's stand-in does to Jobs and Pods what a cluster does, in its order."""

import asyncio
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest

from controller.domain.errors import NotFound
from controller.kube.client import KubeClient
from dev.emulators.kubernetes import objects
from dev.emulators.kubernetes.controller import JobController
from tests.kubeapi import serving

JOBS = "/apis/batch/v1/namespaces/default/jobs"
PODS = "/api/v1/namespaces/default/pods"
STEP_SECONDS = 0.01
MARK = {"type": "example.com/NotAgain", "status": "True"}
DISRUPTED = {"type": "DisruptionTarget", "status": "True"}
NEVER = 3600.0
"""A pause between two Pods that no test lives to see the end of."""


def policy(action: str) -> dict[str, Any]:
    rules = [{"action": action, "onPodConditions": [MARK]}, {"action": "Ignore", "onPodConditions": [DISRUPTED]}]
    return {"rules": rules}


POLICY = policy("FailJob")
INDEXED = {"completionMode": "Indexed", "backoffLimitPerIndex": 3}


@pytest.fixture
async def client(tmp_path: Path) -> AsyncIterator[KubeClient]:
    async with serving(tmp_path) as client:
        yield client


@pytest.fixture
async def cluster(client: KubeClient) -> AsyncIterator[JobController]:
    async with JobController(client, step_seconds=STEP_SECONDS, backoff_seconds=STEP_SECONDS).running() as controller:
        yield controller


async def make(
    client: KubeClient, script: str, *, fault: str = "", pod: dict[str, Any] | None = None, **spec: Any
) -> None:
    container = {"name": "task", "image": "busybox", "command": ["sh", "-c", script]}
    template = {
        "metadata": {"labels": {objects.FAULT: fault} if fault else {}},
        "spec": {"restartPolicy": "Never", "containers": [container], **(pod or {})},
    }
    body = {"metadata": {"name": "j", "labels": {"a": "b"}}, "spec": {"template": template, **spec}}
    await client.post(JOBS, body)


async def until(client: KubeClient, holds: Callable[[dict[str, Any], list[dict[str, Any]]], bool]) -> dict[str, Any]:
    """The Job, once that holds of it and its Pods."""
    async with asyncio.timeout(30):
        while True:
            job, pods = await client.get(f"{JOBS}/j"), (await client.get(PODS))["items"]
            if holds(job, pods):
                return job
            await asyncio.sleep(0.01)


def has(kind: str) -> Callable[[dict[str, Any], list[dict[str, Any]]], bool]:
    return lambda job, pods: kind in conditions(job)


def conditions(one: dict[str, Any]) -> dict[str, str]:
    """Reasons by type of those that are true."""
    found = (one.get("status") or {}).get("conditions") or ()
    return {each["type"]: each.get("reason", "") for each in found if each["status"] == "True"}


def phases(pods: list[dict[str, Any]]) -> list[str]:
    return sorted(pod["status"]["phase"] for pod in pods)


async def history(client: KubeClient, path: str) -> list[dict[str, Any]]:
    """All states of the first object there, from its making on."""
    found = []
    lines = client.watch(path, silence=5, resourceVersion="1", timeoutSeconds="1")
    async for line in lines:
        if line.strip():
            event = msgspec.json.decode(line)
            if event["type"] in ("ADDED", "MODIFIED"):
                found.append(event["object"])
    return found


async def test_a_job_goes_through_the_states_in_a_clusters_order(client: KubeClient, cluster: JobController) -> None:
    await make(client, "exit 0")
    await until(client, has("Complete"))
    seen = [list(conditions(one)) for one in await history(client, JOBS)]
    assert [one for n, one in enumerate(seen) if not n or one != seen[n - 1]] == [
        [],
        ["SuccessCriteriaMet"],
        ["SuccessCriteriaMet", "Complete"],
    ]
    pods = [one["status"]["phase"] for one in await history(client, PODS)]
    assert pods == ["Pending", "Pending", "Running", "Succeeded"]


async def test_pods_carry_what_clusters_give_them(client: KubeClient, cluster: JobController) -> None:
    await make(client, "exit 0", completions=2, parallelism=2, completionMode="Indexed", backoffLimitPerIndex=0)
    job = await until(client, has("Complete"))
    assert (job["status"]["completedIndexes"], job["status"]["succeeded"]) == ("0,1", 2)
    pods = (await client.get(PODS))["items"]
    assert {pod["metadata"]["annotations"][objects.INDEX] for pod in pods} == {"0", "1"}
    for pod in pods:
        assert pod["metadata"]["labels"]["batch.kubernetes.io/controller-uid"] == job["metadata"]["uid"]
        (owner,) = pod["metadata"]["ownerReferences"]
        assert (owner["controller"], owner["blockOwnerDeletion"]) == (True, True)


async def test_failures_are_tried_again_up_to_the_limit(client: KubeClient, cluster: JobController) -> None:
    await make(client, "exit 3", backoffLimit=2)
    job = await until(client, has("Failed"))
    assert conditions(job) == {"FailureTarget": "BackoffLimitExceeded", "Failed": "BackoffLimitExceeded"}
    assert job["status"]["failed"] == 3
    assert phases((await client.get(PODS))["items"]) == ["Failed"] * 3


async def test_tasks_of_an_array_fail_each_for_itself(client: KubeClient, cluster: JobController) -> None:
    await make(client, "exit 1", completions=3, parallelism=1, completionMode="Indexed", backoffLimitPerIndex=1)
    job = await until(client, has("Failed"))
    assert (conditions(job)["Failed"], job["status"]["failedIndexes"]) == ("FailedIndexes", "0-2")
    assert job["status"]["failed"] == 6


async def test_no_more_tasks_run_at_once_than_parallelism_says(client: KubeClient, cluster: JobController) -> None:
    await make(client, "sleep 0.05", completions=4, parallelism=2, completionMode="Indexed", backoffLimitPerIndex=0)
    most = 0

    def note(job: dict[str, Any], pods: list[dict[str, Any]]) -> bool:
        nonlocal most
        most = max(most, phases(pods).count("Running") + phases(pods).count("Pending"))
        return "Complete" in conditions(job)

    await until(client, note)
    assert most <= 2


async def test_a_deadline_of_the_job_ends_its_pods(client: KubeClient, cluster: JobController) -> None:
    await make(client, "sleep 600", activeDeadlineSeconds=1)
    job = await until(client, has("Failed"))
    assert conditions(job)["Failed"] == "DeadlineExceeded"
    assert phases((await client.get(PODS))["items"]) == []


async def test_a_deadline_of_the_pod_fails_it(client: KubeClient, cluster: JobController) -> None:
    await make(client, "sleep 600", backoffLimit=0, pod={"activeDeadlineSeconds": 1})
    await until(client, has("Failed"))
    (pod,) = (await client.get(PODS))["items"]
    assert (pod["status"]["reason"], pod["status"]["phase"]) == ("DeadlineExceeded", "Failed")


@pytest.mark.parametrize(
    ("fault", "reason"), [("OOMKilled", "OOMKilled"), ("Evicted", "Error"), ("Preempted", "Error")]
)
async def test_faults_that_end_a_pod(client: KubeClient, cluster: JobController, fault: str, reason: str) -> None:
    await make(client, "exit 0", fault=fault, backoffLimit=0, podFailurePolicy=POLICY)
    job = await until(client, lambda job, pods: bool({"Failed", "Complete"} & conditions(job).keys()))
    pods = (await client.get(PODS))["items"]
    failed = next(pod for pod in pods if pod["status"]["phase"] == "Failed")
    assert failed["status"]["containerStatuses"][0]["state"]["terminated"]["reason"] == reason
    assert ("DisruptionTarget" in conditions(failed)) == (fault == "Preempted")
    # A disruption is ignored by the failure policy: it is run again, once, and does not count.
    assert ("Complete" in conditions(job), job["status"]["failed"]) == (
        (True, 0) if fault == "Preempted" else (False, 1)
    )


@pytest.mark.parametrize("fault", ["Unschedulable", "ImagePullBackOff"])
async def test_faults_that_keep_a_pod_from_running(client: KubeClient, cluster: JobController, fault: str) -> None:
    await make(client, "exit 0", fault=fault)

    def is_told(job: dict[str, Any], pods: list[dict[str, Any]]) -> bool:
        return any(fault in str(pod["status"]) for pod in pods)

    await until(client, is_told)
    (pod,) = (await client.get(PODS))["items"]
    assert pod["status"]["phase"] == "Pending"


async def test_a_pod_waits_for_its_secret(client: KubeClient, cluster: JobController) -> None:
    env = [{"secretRef": {"name": "env"}}]
    container = {"name": "task", "image": "i", "command": ["true"], "envFrom": env}
    await make(client, "", pod={"containers": [container]})
    await until(client, lambda job, pods: "CreateContainerConfigError" in str(pods))
    await client.post("/api/v1/namespaces/default/secrets", {"metadata": {"name": "env"}})
    await until(client, has("Complete"))


async def test_a_suspended_job_has_no_pods_until_it_is_let_go(client: KubeClient, cluster: JobController) -> None:
    await make(client, "sleep 0.1", suspend=True)
    await until(client, has("Suspended"))
    assert (await client.get(PODS))["items"] == []
    await client.merge_patch(f"{JOBS}/j", {"spec": {"suspend": False}})
    job = await until(client, has("Complete"))
    suspended = next(one for one in job["status"]["conditions"] if one["type"] == "Suspended")
    assert (suspended["status"], suspended["reason"]) == ("False", "JobResumed")


async def test_a_job_that_is_suspended_while_it_runs_loses_its_pods(client: KubeClient, cluster: JobController) -> None:
    await make(client, "sleep 600")
    await until(client, lambda job, pods: phases(pods) == ["Running"])
    await client.merge_patch(f"{JOBS}/j", {"spec": {"suspend": True}})
    await until(client, lambda job, pods: "Suspended" in conditions(job) and not pods)


async def test_an_ended_job_goes_when_its_time_is_over(client: KubeClient, cluster: JobController) -> None:
    await make(client, "exit 0", ttlSecondsAfterFinished=0)
    async with asyncio.timeout(30):
        while True:
            try:
                await until(client, lambda job, pods: True)
            except NotFound:
                break
    assert (await client.get(PODS))["items"] == []


async def test_a_deleted_job_takes_its_pods_and_secrets_along(client: KubeClient, cluster: JobController) -> None:
    await make(client, "sleep 600")
    job = await until(client, lambda job, pods: phases(pods) == ["Running"])
    owner = {"apiVersion": "batch/v1", "kind": "Job", "name": "j", "uid": job["metadata"]["uid"]}
    secret = {"metadata": {"name": "s", "ownerReferences": [owner]}}
    await client.post("/api/v1/namespaces/default/secrets", secret)
    await client.delete(f"{JOBS}/j", propagation="Foreground")
    async with asyncio.timeout(30):
        while (await client.get(JOBS))["items"] or (await client.get("/api/v1/namespaces/default/secrets"))["items"]:
            await asyncio.sleep(0.01)
        assert (await client.get(PODS))["items"] == []
        while [entry.state for entry in cluster.ledger()] != ["Deleted"]:  # its own watch may be behind ours
            await asyncio.sleep(0.01)
    (entry,) = cluster.ledger()
    assert entry.ran_seconds > 0


async def test_a_pod_that_somebody_deletes_is_a_failure(client: KubeClient, cluster: JobController) -> None:
    await make(client, "sleep 600", backoffLimit=0)
    await until(client, lambda job, pods: phases(pods) == ["Running"])
    (pod,) = (await client.get(PODS))["items"]
    await client.delete(f"{PODS}/{pod['metadata']['name']}")
    await until(client, has("Failed"))


async def test_a_stand_in_that_is_started_again_goes_on(client: KubeClient) -> None:
    async with JobController(client, step_seconds=STEP_SECONDS, backoff_seconds=STEP_SECONDS).running():
        await make(client, "sleep 600", backoffLimit=0)
        await until(client, lambda job, pods: phases(pods) == ["Running"])
        job = await client.get(f"{JOBS}/j")
    async with JobController(client, step_seconds=STEP_SECONDS, backoff_seconds=STEP_SECONDS).running():
        await until(client, lambda job, pods: phases(pods) == ["Running"])
    assert (await client.get(f"{JOBS}/j"))["metadata"]["uid"] == job["metadata"]["uid"]


async def test_counters_never_go_back_though_failed_pods_were_cleared_away(client: KubeClient) -> None:
    """A real API server refuses a status whose counters do."""
    running = lambda job, pods: phases(pods) == ["Running"]  # noqa: E731
    failed_once = lambda job, pods: job["status"].get("failed") == 1 and running(job, pods)  # noqa: E731
    async with JobController(client, step_seconds=STEP_SECONDS, backoff_seconds=STEP_SECONDS).running():
        await make(client, "sleep 600", backoffLimit=1)
        await until(client, running)
        (pod,) = (await client.get(PODS))["items"]
        await client.delete(f"{PODS}/{pod['metadata']['name']}")
        await until(client, failed_once)
    async with JobController(client, step_seconds=STEP_SECONDS, backoff_seconds=STEP_SECONDS).running():
        before = (await client.get(PODS))["items"][0]["metadata"]["name"]
        await until(client, lambda job, pods: running(job, pods) and pods[0]["metadata"]["name"] != before)
        assert (await client.get(f"{JOBS}/j"))["status"]["failed"] == 1


@pytest.mark.parametrize(("numbers", "text"), [([], ""), ([3], "3"), ([1, 2, 4, 5, 6], "1,2,4-6")])
def test_lists_of_indexes_are_written_as_clusters_do(numbers: list[int], text: str) -> None:
    assert objects.ranges(numbers) == text
