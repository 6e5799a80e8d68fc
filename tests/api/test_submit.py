"""SubmitJob, end to end: what is in Kubernetes and in the database when it answers."""

import asyncio
import base64
import json

import pytest

from controller.domain import job as jobs
from controller.domain import names
from controller.domain.machines import Machine
from controller.domain.phases import Phase
from controller.kube import paths
from controller.kube.client import KubeClient
from controller.stores.sqlite import SqliteStore
from tests.api.harness import IMAGE, TENANT, Api, api_settings, serving

JOB = "11111111-2222-4333-8444-555555555555"
DEFAULTS = {
    "backoffLimit": 3,
    "preemptionLimit": 3,
    "completions": 1,
    "suspend": False,
    "deletionPolicy": "Cancel",
}
"""What the API server adds to a spec."""


async def test_an_image_alone_is_a_job_without_any_field_that_was_not_sent(api: Api) -> None:
    reply = await api.submit()
    assert reply.status == 200, reply.data
    job_id = reply.json["jobId"]
    (item,) = await api.objects()
    assert item["metadata"]["name"] == names.object_name(TENANT, job_id)
    assert item["metadata"]["finalizers"] == [names.FINALIZER]
    assert item["metadata"]["labels"] == {names.LABEL_JOB_ID: job_id, names.LABEL_TENANT: TENANT}
    assert item["spec"] == {"image": IMAGE, "tenantId": TENANT, "jobId": job_id, **DEFAULTS}
    assert not await api.secrets()
    assert jobs.parse(item).has_new_id, "so the controller need not wait for a database that is down"


async def test_an_id_of_the_callers_may_have_run_before(api: Api) -> None:
    await api.submit(job_id=JOB)
    assert not jobs.parse(await api.job_object(JOB)).has_new_id


async def test_the_answer_names_the_worker_and_the_route(api: Api) -> None:
    reply = await api.submit(job_id=JOB, resource_profile="small")
    assert reply.json["jobId"] == JOB
    assert reply.json["status"] == "PENDING"
    assert reply.json["workerAssigned"] == "worker-1"
    assert reply.json["complexityLevel"] == "SIMPLE"
    assert reply.json["assignedService"] == "CLOUD_RUN_JOB"
    assert "simple" in reply.json["routingReason"]


async def test_every_field_of_the_request_has_its_place(api: Api) -> None:
    reply = await api.call(
        "SubmitJob",
        {
            "jobId": JOB,
            "imageUri": IMAGE,
            "resourceProfile": "large",
            "resourceOverride": {"cpuMillis": "500", "memoryMib": 512, "max_run_duration_seconds": "60"},
            "name": "nightly",
            "machineType": "g2-standard-24",
            "bootDiskSizeGb": "100",
            "useSpotVms": True,
            "serviceAccount": "runner@project",
            "commands": ["python", "-c", "print(1)"],
            "envVars": {"JENNAH_TASK_COUNT": "8", "JENNAH_PARALLELISM": "2"},
            "command": ["/entrypoint", "--"],
            "backoffLimit": 0,
            "preemptionLimit": 0,
            "pendingDeadlineSeconds": "900",
            "gpu": {"type": "nvidia-l4", "count": 2},
            "sharedMemoryMib": "256",
            "labels": {"team": "data"},
            "completions": 8,
            "parallelism": 2,
            "priority": 0,
            "provider": "gcp",
            "ttlSecondsAfterFinished": 0,
        },
    )
    assert reply.status == 200, reply.data
    assert reply.json["complexityLevel"] == "COMPLEX"
    spec = (await api.job_object(JOB))["spec"]
    assert spec == {
        "image": IMAGE,
        "command": ["/entrypoint", "--"],
        "args": ["python", "-c", "print(1)"],
        "envFrom": [{"secretRef": {"name": (await api.secrets())[0]["metadata"]["name"]}}],
        "resources": {
            "profile": "large",
            "cpu": "500m",
            "memory": "512Mi",
            "sharedMemory": "256Mi",
            "gpu": {"type": "nvidia-l4", "count": 2},
        },
        "machineType": "g2-standard-24",
        "bootDiskGiB": 100,
        "spot": True,
        "serviceAccount": "runner@project",
        "activeDeadlineSeconds": 60,
        "pendingDeadlineSeconds": 900,
        "backoffLimit": 0,
        "preemptionLimit": 0,
        "completions": 8,
        "parallelism": 2,
        "priority": 0,
        "labels": {"team": "data"},
        "provider": "gcp",
        "ttlSecondsAfterFinished": 0,
        "displayName": "nightly",
        "tenantId": TENANT,
        "jobId": JOB,
        "suspend": False,
        "deletionPolicy": "Cancel",
    }


async def test_values_of_env_vars_are_in_a_secret_of_the_job_and_nowhere_else(api: Api) -> None:
    await api.submit(job_id=JOB, env_vars={"A": "hidden value", "_b": ""})
    item = await api.job_object(JOB)
    assert "hidden value" not in json.dumps(item)
    (secret,) = await api.secrets()
    assert item["spec"]["envFrom"] == [{"secretRef": {"name": secret["metadata"]["name"]}}]
    assert secret["data"] == {"A": base64.b64encode(b"hidden value").decode(), "_b": ""}
    (owner,) = secret["metadata"]["ownerReferences"]
    assert owner["uid"] == item["metadata"]["uid"]
    assert (owner["controller"], owner["blockOwnerDeletion"]) == (True, False)


async def test_the_row_and_its_first_transition_are_there_when_it_answers(api: Api) -> None:
    await api.submit(job_id=JOB, name="nightly", env_vars={"A": "1"})
    row = await api.store.get_job(TENANT, JOB)
    assert row is not None
    assert (row.status.wire, row.image_uri, row.name) == ("PENDING", IMAGE, "nightly")
    assert row.env_vars_json == '{"A":"1"}'
    uid = (await api.job_object(JOB))["metadata"]["uid"]
    (transition,) = await api.store.transitions(TENANT, JOB)
    assert transition.transition_id == names.transition_id(uid, 0)
    assert await api.store.get_tenant(TENANT) is not None


async def test_redacted_environments_keep_their_names_only(kube: KubeClient, store: SqliteStore) -> None:
    async with serving(kube, store, api_settings(redact_env=True)) as api:
        await api.submit(job_id=JOB, env_vars={"A": "hidden value"})
        row = await store.get_job(TENANT, JOB)
        assert row is not None and row.env_vars_json == '{"A":""}'


async def test_jobs_get_the_ttl_of_the_settings_and_a_retry_under_another_one_is_the_same_request(
    kube: KubeClient, store: SqliteStore
) -> None:
    for seconds in (600, 60, 0):
        async with serving(kube, store, api_settings(job_ttl_seconds=seconds)) as api:
            assert (await api.submit(job_id=JOB)).status == 200
            assert (await api.job_object(JOB))["spec"]["ttlSecondsAfterFinished"] == 600


async def test_the_same_request_again_answers_with_the_existing_job(api: Api) -> None:
    request = {"job_id": JOB, "commands": ["a"], "env_vars": {"A": "1"}, "resource_override": {"cpu_millis": 500}}
    first = await api.submit(**request)
    again = await api.submit(**request)
    assert again.json == first.json
    assert await api.count() == (1, 1, 1)
    assert len(await api.store.transitions(TENANT, JOB)) == 1


async def test_many_callers_of_one_job_id_at_once_make_one_job(api: Api) -> None:
    replies = await asyncio.gather(*(api.submit(job_id=JOB, env_vars={"A": "1"}) for _ in range(20)))
    assert {reply.status for reply in replies} == {200}, [reply.data for reply in replies]
    assert await api.count() == (1, 1, 1)


async def test_a_retry_tells_how_far_the_job_is(api: Api) -> None:
    await api.submit(job_id=JOB)
    await api.record(JOB, Phase.RUNNING)
    assert (await api.submit(job_id=JOB)).json["status"] == "RUNNING"


async def test_a_retry_after_a_cancel_is_the_same_request(api: Api) -> None:
    await api.submit(job_id=JOB)
    await api.call("CancelJob", {"job_id": JOB})
    assert (await api.submit(job_id=JOB)).status == 200


async def test_another_request_with_the_job_id_is_refused_and_changes_nothing(api: Api) -> None:
    await api.submit(job_id=JOB, env_vars={"A": "1"})
    before = await api.job_object(JOB), await api.secrets(), await api.store.get_job(TENANT, JOB)
    others: list[dict[str, object]] = [{"commands": ["x"]}, {"env_vars": {"A": "2"}}, {"env_vars": {}}, {"name": "n"}]
    for different in others:
        reply = await api.submit(**{"job_id": JOB, "env_vars": {"A": "1"}, **different})
        assert (reply.status, reply.code) == (409, "already_exists"), different
    assert before == (await api.job_object(JOB), await api.secrets(), await api.store.get_job(TENANT, JOB))


SAID: dict[str, object] = {
    "command": ["sh"],
    "backoff_limit": 0,
    "preemption_limit": 0,
    "pending_deadline_seconds": 600,
    "gpu": {"count": 1, "type": "nvidia-tesla-t4"},
    "shared_memory_mib": 64,
    "labels": {"team": "data"},
    "completions": 4,
    "parallelism": 2,
    "priority": 5,
    "provider": "gcp",
}
OTHERWISE: dict[str, object] = {
    "command": ["bash"],
    "backoff_limit": 3,
    "preemption_limit": 1,
    "pending_deadline_seconds": 601,
    "gpu": {"count": 1, "type": "nvidia-tesla-p4"},
    "shared_memory_mib": 65,
    "labels": {"team": "web"},
    "completions": 5,
    "parallelism": 1,
    "priority": 0,
    "provider": "aws",
}


async def test_a_request_with_any_other_field_is_another_one_and_the_same_request_joins(api: Api) -> None:
    assert (await api.submit(job_id=JOB, **SAID)).status == 200
    for field, value in OTHERWISE.items():
        reply = await api.submit(**{"job_id": JOB, **SAID, field: value})
        assert reply.code == "already_exists", field
    assert (await api.submit(job_id=JOB, **SAID)).status == 200
    assert await api.count() == (1, 0, 1)


async def test_the_number_of_tasks_is_the_same_request_as_a_field_and_as_a_variable(api: Api) -> None:
    env_vars = {"JENNAH_TASK_COUNT": "4", "JENNAH_PARALLELISM": "2"}
    assert (await api.submit(job_id=JOB, env_vars=env_vars)).status == 200
    reply = await api.submit(job_id=JOB, env_vars=env_vars, completions=4, parallelism=2)
    assert reply.status == 200, reply.data


async def test_a_job_id_that_is_being_deleted_is_refused_for_now(api: Api) -> None:
    await api.submit(job_id=JOB)
    await api.call("DeleteJob", {"job_id": JOB})
    reply = await api.submit(job_id=JOB)
    assert reply.code == "already_exists"
    assert "being deleted" in reply.message


async def test_a_first_attempt_that_died_before_the_secret_is_completed(api: Api) -> None:
    await api.submit(job_id=JOB, env_vars={"A": "1"})
    (secret,) = await api.secrets()
    await api.kube.delete(paths.secret("default", secret["metadata"]["name"]))
    await api.lose_row(JOB)
    assert (await api.submit(job_id=JOB, env_vars={"A": "1"})).status == 200
    assert await api.count() == (1, 1, 1)


async def test_a_finished_job_whose_object_is_gone_does_not_run_again(api: Api) -> None:
    await api.submit(job_id=JOB, env_vars={"A": "1"}, commands=["x"])
    await api.remove(JOB)
    assert not await api.objects()
    assert (await api.submit(job_id=JOB, env_vars={"A": "1"}, commands=["x"])).status == 200
    assert (await api.submit(job_id=JOB, env_vars={"A": "1"}, commands=["y"])).code == "already_exists"
    assert not await api.objects()


async def without_its_object(api: Api, **request: object) -> None:
    """A job that was submitted, and of which only the record is left."""
    assert (await api.submit(job_id=JOB, **request)).status == 200
    await api.remove(JOB)


def a_release_that_knows(monkeypatch: pytest.MonkeyPatch, cpu_millis: int, memory_mib: int) -> None:
    machine = Machine(name="m7", cloud="gcp", cpu_millis=cpu_millis, memory_mib=memory_mib)
    monkeypatch.setattr("controller.domain.machines.find", lambda name: machine if name == "m7" else None)


async def test_a_retry_after_an_upgrade_that_knows_the_machine_type_is_the_same_request(
    api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    await without_its_object(api, machine_type="m7")
    a_release_that_knows(monkeypatch, 16_000, 65_536)
    assert (await api.submit(job_id=JOB, machine_type="m7")).status == 200
    for different in ({"cpu_millis": 500}, {"memory_mib": 512}, {"max_run_duration_seconds": 60}):
        reply = await api.submit(job_id=JOB, machine_type="m7", resource_override=different)
        assert reply.code == "already_exists", different
    assert not await api.objects()


@pytest.mark.parametrize("has_object", [True, False])
async def test_a_retry_of_what_today_would_be_refused_answers_with_the_job_that_there_is(
    api: Api, monkeypatch: pytest.MonkeyPatch, has_object: bool
) -> None:
    request: dict[str, object] = {"machine_type": "m7", "resource_override": {"memory_mib": 512}}
    if has_object:
        assert (await api.submit(job_id=JOB, **request)).status == 200
    else:
        await without_its_object(api, **request)
    a_release_that_knows(monkeypatch, 2_000, 256)
    assert (await api.submit(job_id=JOB, **request)).status == 200
    for others in ({"job_id": JOB, "name": "other"}, {"job_id": "other"}, {}):
        reply = await api.submit(**{**request, **others})
        assert reply.code == "invalid_argument"
        assert reply.message.startswith("resource_override.memory_mib: 512 MiB do not fit on the machine type m7")
    assert len(await api.objects()) == has_object


async def test_a_secret_that_is_there_already_is_not_the_jobs_and_stays(api: Api) -> None:
    body = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": f"{JOB}-env"}, "data": {"A": "b2xk"}}
    await api.kube.post(paths.secrets("default"), body)
    assert (await api.submit(job_id=JOB, env_vars={"A": "1"})).status == 200
    (ref,) = (await api.job_object(JOB))["spec"]["envFrom"]
    secrets = {secret["metadata"]["name"]: secret["data"] for secret in await api.secrets()}
    assert secrets == {f"{JOB}-env": {"A": "b2xk"}, ref["secretRef"]["name"]: {"A": "MQ=="}}


async def test_a_job_of_kubectl_with_another_environment_is_another_request(api: Api) -> None:
    """Its Secret is not there yet: one of the same name must not be made for it."""
    await api.submit(job_id=JOB, env_vars={"A": "1"})
    item = await api.job_object(JOB)
    await api.remove(JOB)
    await api.lose_row(JOB)
    spec = {**item["spec"], "envFrom": [{"secretRef": {"name": "mine"}}]}
    metadata = {"name": JOB, "namespace": "default"}
    await api.kube.post(paths.jobs("default"), {**item, "metadata": metadata, "spec": spec})
    assert (await api.submit(job_id=JOB, env_vars={"A": "1"})).code == "already_exists"
    assert "mine" not in {secret["metadata"]["name"] for secret in await api.secrets()}


async def test_an_idempotency_key_stands_for_a_job_id_of_the_tenant(api: Api) -> None:
    request = {"image_uri": IMAGE}
    first = await api.call("SubmitJob", request, Idempotency_Key="key-1")
    again = await api.call("SubmitJob", request, Idempotency_Key="key-1")
    other = await api.call("SubmitJob", request, Idempotency_Key="key-2")
    others = await api.call("SubmitJob", request, Idempotency_Key="key-1", tenant="tenant-2")
    assert first.json == again.json
    assert len({reply.json["jobId"] for reply in (first, other, others)}) == 3


async def test_distributed_mode_is_four_tasks(api: Api) -> None:
    await api.submit(job_id=JOB, env_vars={"ENABLE_DISTRIBUTED_MODE": "true"})
    spec = (await api.job_object(JOB))["spec"]
    assert spec["completions"] == 4
    assert "parallelism" not in spec
