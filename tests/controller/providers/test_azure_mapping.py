"""Spec to task and task to Observation, without a service."""

import json
import shlex
import uuid
from datetime import UTC, datetime, timedelta

import msgspec
import pytest
from azure.batch._utils.model_base import SdkJSONEncoder
from azure.batch.models import BatchJobState, BatchTaskState
from hypothesis import given
from hypothesis import strategies as st

from controller.cloud_settings import AzureRegistry, NodeSize, read_azure
from controller.domain import conditions, names, reasons
from controller.domain.errors import Forbidden, Permanent, Throttled, Unavailable
from controller.domain.job import (
    AwsOptions,
    AzureOptions,
    CloudSecretRef,
    EnvVar,
    EnvVarSource,
    GcpOptions,
    Gpu,
    JobSpec,
    Resources,
)
from controller.domain.phases import Phase
from controller.domain.resources import ResourceSet
from controller.ports import SubmitRequest
from controller.providers.azure import calls, commandline, holds, marker, observation, places, pools, request, wire
from controller.providers.azure.places import Place
from controller.providers.azure.pools import Pool
from controller.providers.azure.wire import Container, Detail, Execution, Failure, Task
from controller.variables import Environment
from dev.emulators.azure.tasks import words_of
from tests.contract.azure_service import azure_settings

SETTINGS = azure_settings("https://jennah.westeurope.batch.azure.com")
POOL = Pool(id="jennah", vm_size="Standard_D4s_v5", slots=4, takes_containers=True)
UID = str(uuid.UUID(int=7))
T0 = datetime(2026, 1, 1, tzinfo=UTC)


def wanted(
    variables: dict[str, str] | None = None, *, cpu: int = 1000, memory: int = 4096, **spec: object
) -> SubmitRequest:
    return SubmitRequest(
        external_name=names.external_name("report", UID),
        uid=UID,
        job_id="id",
        tenant_id="acme",
        spec=JobSpec(image="registry.example.com/team/report:1", **spec),
        resources=ResourceSet(cpu_millis=cpu, memory_mib=memory, max_run_duration_seconds=3600),
        env=variables or {},
        created_at=T0,
    )


def sent(asked: SubmitRequest, settings=SETTINGS, pool: Pool = POOL) -> list[dict]:
    """The tasks as they go over the wire."""
    where = places.place("shared", asked.external_name, asked.spec.completions)
    made = request.tasks(asked, where, pool, settings)
    return [json.loads(json.dumps(task, cls=SdkJSONEncoder, exclude_readonly=True)) for task in made]


def refused(asked: SubmitRequest, **other: object) -> str:
    with pytest.raises(Permanent) as error:
        sent(asked, **other)
    assert error.value.reason == reasons.INVALID_SPEC
    return str(error.value)


# --- requests -------------------------------------------------------------------------------------------


def test_a_whole_job_becomes_one_task() -> None:
    [task] = sent(wanted({"A": "1"}, command=("python", "-m", "x"), args=("--say", 'he said "no"'), backoff_limit=2))
    assert task["id"] == names.external_name("report", UID)
    assert task["commandLine"] == 'python -m x --say "he said \\"no\\""'
    assert task["containerSettings"] == {
        "imageName": "registry.example.com/team/report:1",
        "containerRunOptions": "--cpu-shares=1024 --memory=4096m",
        "containerHostBatchBindMounts": [],
        "workingDirectory": "containerImageDefault",
    }
    assert {one["name"]: one["value"] for one in task["environmentSettings"]} == {
        "A": "1",
        "JENNAH_JOB_ID": "id",
        "JENNAH_TENANT_ID": "acme",
        "BATCH_TASK_INDEX": "0",
        "BATCH_TASK_COUNT": "1",
    }
    assert task["constraints"] == {"maxTaskRetryCount": 2, "maxWallClockTime": "PT01H00M00S", "retentionTime": "P7D"}
    assert task["requiredSlots"] == 1
    assert "dependsOn" not in task and "userIdentity" not in task and "outputFiles" not in task


def test_an_image_without_command_and_args_keeps_its_entrypoint() -> None:
    assert sent(wanted())[0]["commandLine"] == ""


def test_what_the_job_says_of_its_environment_goes_before_what_we_say() -> None:
    [task] = sent(wanted({"JENNAH_JOB_ID": "mine"}))
    assert [one["value"] for one in task["environmentSettings"] if one["name"] == "JENNAH_JOB_ID"] == ["mine"]


@pytest.mark.parametrize(
    ("spec", "words"),
    [
        ({"service_account": "me@x"}, ("spec.serviceAccount", "pool")),
        ({"gcp": GcpOptions(network="n")}, ("spec.gcp", "pool")),
        ({"aws": AwsOptions(job_queue="q")}, ("spec.aws", "azure.pool")),
        (
            {"env": (EnvVar(name="T", value_from=EnvVarSource(cloud_secret_ref=CloudSecretRef(name="s"))),)},
            ("spec.env T", "Key Vault"),
        ),
        ({"command": ("a\0b",)}, ("spec.command", "NUL")),
        ({"azure": AzureOptions(registry_server="r.example.com")}, ("registryIdentity",)),
    ],
)
def test_what_the_service_cannot_do_is_refused_with_the_field_and_the_way_to_it(spec, words) -> None:
    text = refused(wanted(**spec))
    assert all(word in text for word in words), text


def test_a_pool_without_containers_is_refused() -> None:
    assert "containerConfiguration" in refused(wanted(), pool=msgspec.structs.replace(POOL, takes_containers=False))


def test_a_deadline_beyond_what_the_service_has_is_refused() -> None:
    asked = wanted()
    longer = msgspec.structs.replace(asked.resources, max_run_duration_seconds=181 * 86400)
    assert "activeDeadlineSeconds" in refused(msgspec.structs.replace(asked, resources=longer))


def test_a_set_queues_in_as_many_lanes_as_may_run_at_once_and_a_failure_lets_its_lane_go_on() -> None:
    tasks = sent(wanted(completions=5, parallelism=2))
    stem = names.external_name("report", UID)
    assert [task["id"] for task in tasks] == [f"{stem}-{index}" for index in range(5)]
    assert [task.get("dependsOn") for task in tasks] == [
        None,
        None,
        {"taskIds": [f"{stem}-0"]},
        {"taskIds": [f"{stem}-1"]},
        {"taskIds": [f"{stem}-2"]},
    ]
    # No jobAction: the service refuses one in a job that does nothing on a failure.
    assert all(task["exitConditions"] == {"default": {"dependencyAction": "satisfy"}} for task in tasks)


@pytest.mark.parametrize("parallelism", [None, 5])
def test_a_set_that_may_run_all_at_once_has_no_lanes(parallelism: int | None) -> None:
    assert not any("dependsOn" in task for task in sent(wanted(completions=5, parallelism=parallelism)))


@pytest.mark.parametrize(("count", "value"), [(1, 10), (101, 10), (350, 10), (10_000, 1), (40, 60_000)])
def test_chunks_keep_the_services_limits_and_the_last_task_is_alone(count: int, value: int) -> None:
    asked = wanted({"A": "x" * value}, completions=count)
    made = list(request.tasks(asked, places.place("j", asked.external_name, count), POOL, SETTINGS))
    chunks = list(request.chunks(made, count))
    assert [task.id for chunk in chunks for task in chunk] == [task.id for task in made]
    assert len(chunks[-1]) == 1
    assert all(len(chunk) <= 100 for chunk in chunks)
    for chunk in chunks[:20]:
        assert len(json.dumps({"value": chunk}, cls=SdkJSONEncoder, exclude_readonly=True)) < 1_000_000


def test_a_task_too_large_for_any_call_is_refused_without_its_values() -> None:
    asked = wanted({"SECRET": "s3cret" * 200_000})
    made = request.tasks(asked, places.place("j", asked.external_name, 1), POOL, SETTINGS)
    with pytest.raises(Permanent, match="env") as error:
        list(request.chunks(made, 1))
    assert "s3cret" not in str(error.value)


def test_registries_by_password_for_the_images_of_that_server_only() -> None:
    registry = AzureRegistry(server="registry.example.com", username="u", password="p")
    settings = msgspec.structs.replace(SETTINGS, registry=registry)
    [task] = sent(wanted(), settings=settings)
    known = {"registryServer": "registry.example.com", "username": "u", "password": "p"}
    assert task["containerSettings"]["registry"] == known
    elsewhere = msgspec.structs.replace(settings, registry=msgspec.structs.replace(registry, server="registry.example"))
    assert "registry" not in sent(wanted(), settings=elsewhere)[0]["containerSettings"]
    assert "p" not in repr(registry).replace("example", "")[-3:]


def test_registries_by_an_identity_of_the_pool() -> None:
    azure = AzureOptions(registry_server="r.azurecr.io", registry_identity="/subscriptions/s/id")
    [task] = sent(wanted(azure=azure))
    assert task["containerSettings"]["registry"] == {
        "registryServer": "r.azurecr.io",
        "identityReference": {"resourceId": "/subscriptions/s/id"},
    }


def test_output_goes_to_the_container_of_the_settings() -> None:
    settings = msgspec.structs.replace(SETTINGS, output_url="https://s.blob.core.windows.net/logs?sig=x")
    [task] = sent(wanted(), settings=settings)
    paths = [file["destination"]["container"]["path"] for file in task["outputFiles"]]
    assert paths == [f"shared/{task['id']}/stdout.txt", f"shared/{task['id']}/stderr.txt"]
    where = Place(job_id="shared", stem=task["id"])
    assert places.logs_url(settings, where) == f"https://s.blob.core.windows.net/logs/shared/{task['id']}"


def test_whom_tasks_run_as() -> None:
    settings = msgspec.structs.replace(SETTINGS, task_user="pool-admin")
    assert sent(wanted(), settings=settings)[0]["userIdentity"] == {
        "autoUser": {"scope": "pool", "elevationLevel": "admin"}
    }


# --- command lines --------------------------------------------------------------------------------------

WORDS = st.lists(st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=12), max_size=6)


@given(WORDS)
def test_a_command_line_taken_apart_gives_the_words_back(words: list[str]) -> None:
    assert shlex.split(commandline.join(words)) == words_of(commandline.join(words)) == words


# --- pools and slots ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("spec", "pool"),
    [
        ({}, "jennah"),
        ({"spot": True}, "jennah-spot"),
        ({"resources": Resources(gpu=Gpu(count=1))}, "jennah-gpu"),
        ({"azure": AzureOptions(pool="mine"), "spot": True}, "mine"),
    ],
)
def test_the_pool_follows_from_what_is_asked_for(spec, pool) -> None:
    assert pools.choose(JobSpec(image="i", **spec), SETTINGS) == pool


@pytest.mark.parametrize(
    ("spec", "words"),
    [
        ({"machine_type": "Standard_X"}, ("spec.machineType", "'Standard_X'")),
        ({"machine_type": "Standard_X", "spot": True}, ("spec.machineType with spec.spot", "'Standard_X+spot'")),
        ({"resources": Resources(gpu=Gpu(count=1, type="a100"))}, ("spec.resources.gpu.type", "'a100'")),
        ({"resources": Resources(gpu=Gpu(count=1)), "spot": True}, ("'gpu+spot'",)),
    ],
)
def test_what_has_no_pool_is_refused(spec, words) -> None:
    with pytest.raises(Permanent) as error:
        pools.choose(JobSpec(image="i", **spec), SETTINGS)
    assert all(word in str(error.value) for word in words)


@pytest.mark.parametrize(
    ("vm_size", "size"),
    [
        ("Standard_D4s_v5", (4000, 16384)),
        ("STANDARD_E8ds_v4", (8000, 65536)),
        ("Standard_F16s_v2", (16000, 32768)),
        ("Standard_D3_v2", None),  # its number counts no cores
        ("Standard_E64s_v5", None),  # has less memory a core
        ("Standard_NC6", None),
    ],
)
def test_a_nodes_size_is_read_from_its_name_only_where_that_is_sure(vm_size: str, size) -> None:
    found = pools.node_size(msgspec.structs.replace(POOL, vm_size=vm_size), SETTINGS)
    assert (found and (found.cpu_millis, found.memory_mib)) == size


@pytest.mark.parametrize(
    ("cpu", "memory", "slots"),
    [(1000, 128, 1), (1001, 128, 2), (500, 16384, 4), (4000, 1, 4), (1, 1, 1), (3000, 4096, 3)],
)
def test_slots_are_the_larger_share_of_the_node_rounded_up(cpu: int, memory: int, slots: int) -> None:
    assert pools.slots(POOL, ResourceSet(cpu_millis=cpu, memory_mib=memory), SETTINGS).taken == slots


@pytest.mark.parametrize(
    ("pool", "cpu", "memory", "options"),
    [
        ({}, 1500, 2048, "--cpu-shares=1536 --memory=8192m"),  # the share of the node, which is more than was asked for
        ({"vm_size": "Standard_NC6"}, 500, 2048, "--cpu-shares=512 --memory=2048m"),  # of an unknown size: what was
        ({"slots": 256, "vm_size": "Standard_NC6"}, 1, 1, "--cpu-shares=2 --memory=6m"),  # Docker takes no less
        ({}, 4000, 2048, None),  # the whole node
        ({"slots": 1}, 500, 128, None),
        ({"slots": 1, "vm_size": "Standard_NC6"}, 500, 128, None),
    ],
)
def test_a_container_that_shares_its_node_is_held_to_its_share(pool, cpu: int, memory: int, options) -> None:
    [task] = sent(wanted(cpu=cpu, memory=memory), pool=msgspec.structs.replace(POOL, **pool))
    assert task["containerSettings"].get("containerRunOptions") == options
    told = "".join(remark.message for remark in marker.remarks(marker.decode(task["displayName"])))
    assert (options is None) == ("the container may use" not in told)
    assert options is None or f"may use {max(marker.decode(task['displayName']).memory, 1)} MiB" in told


def test_no_container_sees_the_files_of_other_tasks_on_its_node() -> None:
    assert sent(wanted())[0]["containerSettings"]["containerHostBatchBindMounts"] == []


def test_more_than_a_node_has_is_refused() -> None:
    assert "spec.resources.memory" in refused(wanted(memory=16385))


def test_sizes_of_the_settings_count_by_pool_and_by_vm_size() -> None:
    odd = msgspec.structs.replace(POOL, vm_size="Standard_NC6")
    for key in ("jennah", "Standard_NC6"):
        settings = msgspec.structs.replace(SETTINGS, nodes={key: NodeSize(cpu_millis=6000, memory_mib=57344)})
        assert pools.slots(odd, ResourceSet(cpu_millis=6000, memory_mib=1), settings).taken == 4


def test_what_is_given_is_stated_where_it_is_not_what_was_asked_for() -> None:
    [task] = sent(wanted(cpu=500, memory=512, boot_disk_gib=100))
    [remark] = marker.remarks(marker.decode(task["displayName"]))
    assert (remark.condition, remark.reason) == (conditions.RESOURCES_EXACT, reasons.ROUNDED_UP)
    assert "500m CPU and 512 MiB became 1 of the 4 task slots of a node with 4000m and 16384 MiB" in remark.message
    assert "bootDiskGiB 100" in remark.message
    [exact] = sent(wanted(cpu=1000, memory=4096))
    assert marker.remarks(marker.decode(exact["displayName"])) == ()


def test_an_unknown_node_gives_one_slot_and_says_so() -> None:
    odd = msgspec.structs.replace(POOL, vm_size="Standard_NC6")
    [task] = sent(wanted(), pool=odd)
    [remark] = marker.remarks(marker.decode(task["displayName"]))
    assert (task["requiredSlots"], remark.reason) == (1, reasons.NOT_SUPPORTED)
    assert "AZURE_NODE_SIZES" in remark.message


@given(st.text(max_size=60))
def test_any_display_name_can_be_read(text: str) -> None:
    marker.remarks(marker.decode(text))


# --- places ---------------------------------------------------------------------------------------------


@given(
    st.from_regex(r"[a-z]([a-z0-9-]{0,30}[a-z0-9])?", fullmatch=True),
    st.from_regex(r"[A-Za-z0-9_-]{1,64}", fullmatch=True),
    st.integers(0, 99),
    st.integers(0, 99),
)
def test_ids_of_shared_jobs_are_legal(instance: str, pool: str, priority: int, generation: int) -> None:
    settings = msgspec.structs.replace(SETTINGS, instance=instance)
    job_id = places.shared_job(settings, pool, priority, T0).id(generation)
    assert len(job_id) <= places.ID_MAX and job_id == job_id.lower()
    assert set(job_id) <= set("abcdefghijklmnopqrstuvwxyz0123456789-")


def test_a_shared_job_is_of_one_installation_pool_band_of_priorities_and_day() -> None:
    def id_of(instance="test", pool="p", priority=0, at=T0) -> str:
        settings = msgspec.structs.replace(SETTINGS, instance=instance)
        return places.shared_job(settings, pool, priority, at).id(0)

    late = T0 + timedelta(hours=23, minutes=59)
    assert id_of() == id_of(at=late) == id_of(priority=19) == id_of(priority=None)
    others = {id_of(instance="other"), id_of(pool="q"), id_of(priority=20), id_of(at=T0 + timedelta(days=1))}
    assert len(others | {id_of()}) == 5


@pytest.mark.parametrize("name", ["a", "x" * 60])
@pytest.mark.parametrize("count", [1, 2, 10_000])
def test_task_ids_are_legal_and_paths_give_them_back(name: str, count: int) -> None:
    external_name = names.external_name(name, UID)
    where = places.place("shared-job", external_name, count)
    assert all(len(task_id) <= places.ID_MAX for task_id in where.task_ids)
    assert uuid.UUID(UID).hex in where.stem
    assert places.parse(places.path(SETTINGS, where), SETTINGS) == where


@pytest.mark.parametrize("path", ["", "projects/p/jobs/j", "https://other.westeurope.batch.azure.com/jobs/j/tasks/t"])
def test_paths_of_other_services_and_accounts_are_not_ours(path: str) -> None:
    assert places.parse(path, SETTINGS) is None


# --- observations ---------------------------------------------------------------------------------------


def task(index: int = 0, state: str = "active", *, seconds: float | None = None, **execution: object) -> Task:
    told = {"start_time": T0 + timedelta(seconds=5)} if state != "active" and seconds is not None else {}
    if state == "completed":
        told["end_time"] = T0 + timedelta(seconds=5 + (seconds or 0))
    return Task(
        id=f"t-{index}",
        display_name=f"uid={UID} tasks=1 limit=60 slots=1/4 node=4000/16384",
        state=state,
        state_transition_time=T0 + timedelta(seconds=1),
        creation_time=T0,
        execution_info=Execution(**{**told, **execution}),
    )


def failure(code: str, message: str = "", category: str = "UserError", **details: str) -> Failure:
    named = tuple(Detail(name=name, value=value) for name, value in details.items())
    return Failure(category=category, code=code, message=message, details=named)


SUCCEEDED = task(0, "completed", seconds=1, result="success", exit_code=0)
FAILED = task(1, "completed", seconds=1, result="failure", exit_code=3, failure_info=failure("FailureExitCode"))
ENDED = task(2, "completed", seconds=1, result="failure", exit_code=137, failure_info=failure("TaskEnded", "ended"))
WAITS = task(3)


def seen(*tasks: Task | None, job_state: str = "active", hold=None, settings=SETTINGS):
    where = Place(job_id="j", stem="t", count=len(tasks), is_set=len(tasks) > 1)
    return observation.observation("n", where, tasks, job_state, settings, hold=hold)


def test_every_state_of_the_sdk_has_a_meaning() -> None:
    assert {state.value for state in BatchTaskState} == set(observation.PHASES) | {observation.ENDED}
    assert {state.value for state in BatchJobState} == set(observation.JOB_ENDS)


@pytest.mark.parametrize(
    ("tasks", "phase"),
    [
        ([WAITS], Phase.PENDING),
        ([task(state="preparing")], Phase.SCHEDULED),
        ([task(state="running", seconds=1)], Phase.RUNNING),
        ([task(state="levitating")], None),
        ([SUCCEEDED], Phase.COMPLETED),
        ([FAILED], Phase.FAILED),
        ([ENDED], Phase.CANCELLED),
        ([task(state="completed", seconds=1, exit_code=0)], Phase.FAILED),  # no result is no success
        ([SUCCEEDED, WAITS], Phase.RUNNING),
        ([FAILED, WAITS], Phase.RUNNING),
        ([SUCCEEDED, FAILED], Phase.FAILED),
        ([FAILED, ENDED], Phase.CANCELLED),
        ([SUCCEEDED, SUCCEEDED], Phase.COMPLETED),
        ([SUCCEEDED, None], Phase.RUNNING),  # cut off: the last was never made
        ([ENDED, None], Phase.CANCELLED),  # cut off, and cancelled
        ([None, SUCCEEDED], Phase.FAILED),  # somebody removed the first
    ],
)
def test_the_phase_follows_from_the_results_of_the_tasks(tasks, phase) -> None:
    assert seen(*tasks).phase is phase


def test_a_task_that_waits_in_a_shared_job_that_was_ended_has_failed() -> None:
    end = seen(WAITS, job_state="completed")
    assert (end.phase, end.reason) == (Phase.FAILED, reasons.DELETED_EXTERNALLY)


@pytest.mark.parametrize("state", ["disabling", "disabled", "enabling"])
def test_a_disabled_shared_job_is_why_a_task_waits(state: str) -> None:
    held = seen(WAITS, job_state=state, hold=holds.of_job("j", state))
    assert (held.phase, held.waits_reason) == (Phase.PENDING, reasons.HELD_EXTERNALLY)
    assert "'j'" in held.waits_because and state in held.waits_because
    assert holds.of_job("j", "active") is None


@pytest.mark.parametrize(
    ("pool", "reason", "words"),
    [
        (None, reasons.POOL_MISSING, "does not exist"),
        ({"is_being_deleted": True}, reasons.POOL_MISSING, "being deleted"),
        ({"resize_error": "AccountCoreQuotaReached: no"}, reasons.QUOTA_EXCEEDED, "AccountCoreQuotaReached"),
        ({"resize_error": "AllocationTimedOut: no"}, reasons.WAITING_FOR_CAPACITY, "AllocationTimedOut"),
        ({"may_have_nodes": False}, reasons.WAITING_FOR_CAPACITY, "no nodes"),
    ],
)
def test_what_is_wrong_with_its_pool_is_why_a_task_waits(pool, reason: str, words: str) -> None:
    hold = holds.of_pool("p", pool if pool is None else msgspec.structs.replace(POOL, **pool))
    held = seen(WAITS, hold=hold)
    assert held.waits_reason == reason and words in held.waits_because and "'p'" in held.waits_because
    assert seen(task(state="running", seconds=1), hold=hold).waits_because is None
    assert holds.of_pool("p", POOL) is None and seen(WAITS).waits_because is None


@pytest.mark.parametrize("state", [WAITS, task(state="running", seconds=1)])
def test_what_is_in_a_shared_job_that_is_being_deleted_will_soon_be_gone(state: Task) -> None:
    leaving = seen(state, job_state="deleting")
    assert leaving.is_being_deleted and not leaving.has_ended
    assert not seen(SUCCEEDED, job_state="deleting").is_being_deleted


@pytest.mark.parametrize(
    ("last", "reason", "code"),
    [
        (FAILED, reasons.NON_ZERO_EXIT, 3),
        (
            task(state="completed", seconds=60, exit_code=137, failure_info=failure("TaskEnded")),
            reasons.DEADLINE_EXCEEDED,
            137,
        ),
        (
            task(state="completed", seconds=59.5, exit_code=137, failure_info=failure("taskended", "", "ServerError")),
            reasons.DEADLINE_EXCEEDED,
            137,
        ),
        (  # as a task that ran too long was seen in the wild: the words alone tell
            task(
                state="completed",
                seconds=2,
                exit_code=1,
                failure_info=failure(
                    "TaskEnded",
                    "The task was ended by user request",
                    Message="The maximum execution time configured on the task was exceeded",
                    AdditionalErrorCode="FailureExitCode",
                ),
            ),
            reasons.DEADLINE_EXCEEDED,
            1,
        ),
        (  # cut off at its limit, whatever the code
            task(state="completed", seconds=60, exit_code=143, failure_info=failure("FailureExitCode")),
            reasons.DEADLINE_EXCEEDED,
            143,
        ),
        (  # it ended by itself in the last moment
            task(state="completed", seconds=60, exit_code=3, failure_info=failure("FailureExitCode")),
            reasons.NON_ZERO_EXIT,
            3,
        ),
        (task(state="completed", failure_info=failure("CommandProgramNotFound")), reasons.COMMAND_NOT_FOUND, None),
        (task(state="completed", seconds=1, exit_code=127), reasons.COMMAND_NOT_FOUND, 127),
        (
            task(state="completed", failure_info=failure("X"), container_info=Container(error="image pull denied")),
            reasons.IMAGE_PULL_FAILED,
            None,
        ),
        (
            task(state="completed", seconds=1, exit_code=0, failure_info=failure("FileUploadMiscError", "no")),
            reasons.FAILED,
            None,
        ),
        (task(state="completed", seconds=1), reasons.FAILED, None),
    ],
)
def test_why_a_task_failed(last: Task, reason: str, code: int | None) -> None:
    end = seen(last)
    assert (end.phase, end.reason, end.exit_code) == (Phase.FAILED, reason, code)
    assert end.message


@pytest.mark.parametrize(
    ("last", "otherwise"),
    [
        (ENDED, reasons.DELETED_EXTERNALLY),
        # The service's own doing, which is no deadline, unless we had asked for the end.
        (
            task(state="completed", seconds=2, failure_info=failure("TaskEnded", "node lost", "ServerError")),
            reasons.FAILED,
        ),
        # Ended while it waited: there may be no failure at all.
        (task(state="completed", result="failure"), reasons.DELETED_EXTERNALLY),
        (task(state="completed", failure_info=failure("TaskEnded")), reasons.DELETED_EXTERNALLY),
    ],
)
def test_a_task_that_a_call_ended_is_cancelled_if_the_call_was_ours(last: Task, otherwise: str) -> None:
    end = seen(last)
    assert (end.phase, end.reason, end.failed_unless_asked) == (Phase.CANCELLED, reasons.CANCELLED, otherwise)
    assert end.message and end.exit_code is None


def test_no_signature_is_in_the_words_for_a_failure() -> None:
    settings = msgspec.structs.replace(SETTINGS, output_url="https://s.blob.core.windows.net/c?sv=2024&sig=s3cret")
    fault = failure("FileUploadAccessDenied", Message="no: https://s.blob.core.windows.net/c/x?sv=2024&sig=s3cret")
    end = seen(task(state="completed", seconds=1, failure_info=fault), settings=settings)
    assert "s3cret" not in end.message and "FileUploadAccessDenied" in end.message


def test_a_set_counts_its_tasks_and_tells_of_the_first_that_failed() -> None:
    end = seen(SUCCEEDED, FAILED, task(2, "completed", seconds=2, exit_code=9, result="failure", retry_count=2))
    assert (end.tasks.total, end.tasks.succeeded, end.tasks.failed) == (3, 1, 2)
    assert (end.exit_code, end.retries) == (3, 2)
    assert end.completed_at == T0 + timedelta(seconds=7)


def test_requeues_are_retries_too() -> None:
    assert seen(task(retry_count=1, requeue_count=2)).retries == 3


STATES = st.sampled_from([None, WAITS, SUCCEEDED, FAILED, ENDED, task(state="running", seconds=1), task(state="x")])


@given(st.lists(STATES, min_size=1, max_size=5).filter(any), st.sampled_from(["active", "completed", "gone", "new"]))
def test_an_observation_is_total_and_its_counts_agree(tasks, job_state) -> None:
    one = seen(*tasks, job_state=job_state)
    counts = one.tasks
    assert counts.total == counts.pending + counts.running + counts.succeeded + counts.failed == len(tasks)
    assert min(counts.pending, counts.running, counts.succeeded, counts.failed) >= 0
    assert (one.exit_code == 0) == (one.phase is Phase.COMPLETED)
    assert one.has_ended or (one.completed_at, one.reason) == (None, None)


# --- errors and settings --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("status", "code", "kind"),
    [
        (409, "ActiveJobAndScheduleQuotaReached", Throttled),
        (409, "PoolQuotaReached", Throttled),
        (409, "JobCompleted", calls.JobEnded),
        (409, "JobBeingTerminated", calls.JobEnded),
        (409, "TaskCompleted", calls.TaskEnded),
        (409, "SomethingNew", Unavailable),
        (403, "AuthenticationFailed", Forbidden),
        (400, "InvalidPropertyValue", calls.Refused),
        (413, "RequestBodyTooLarge", calls.Refused),
        (429, "TooManyRequests", Throttled),
        (503, "ServerBusy", Throttled),
        (500, "InternalError", Unavailable),
    ],
)
def test_an_error_is_read_by_its_code(status: int, code: str, kind: type) -> None:
    error = calls.meaning(status, code, "words")
    assert type(error) is kind
    assert code in str(error)


def read(**other: str):
    env = Environment(
        {
            "AZURE_SUBSCRIPTION_ID": "s",
            "AZURE_RESOURCE_GROUP": "g",
            "AZURE_BATCH_ACCOUNT": "acct",
            "AZURE_BATCH_POOL": "p",
            **other,
        }
    )
    return read_azure(env, "westeurope"), env.faults


def test_the_endpoint_follows_from_account_and_region() -> None:
    settings, faults = read()
    assert (settings.endpoint, faults) == ("https://acct.westeurope.batch.azure.com", [])


@pytest.mark.parametrize(
    ("variables", "words"),
    [
        ({"AZURE_BATCH_KEY": "not base64!"}, "AZURE_BATCH_KEY"),
        ({"AZURE_BATCH_ENDPOINT": "acct"}, "AZURE_BATCH_ENDPOINT"),
        ({"AZURE_BATCH_ENDPOINT": "http://127.0.0.1:1"}, "AZURE_BATCH_KEY"),
        ({"AZURE_NODE_SIZES": "a=4"}, "AZURE_NODE_SIZES"),
        ({"AZURE_TASK_USER": "root"}, "AZURE_TASK_USER"),
        ({"AZURE_REGISTRY_USERNAME": "u"}, "AZURE_REGISTRY_SERVER"),
        ({"AZURE_REGISTRY_SERVER": "r", "AZURE_REGISTRY_USERNAME": "u"}, "AZURE_REGISTRY_SERVER"),
    ],
)
def test_a_wrong_setting_is_named_and_no_secret_told(variables: dict[str, str], words: str) -> None:
    [fault] = read(**variables)[1]
    assert words in fault
    assert "not base64!" not in fault


def test_settings_show_no_secret() -> None:
    settings, _ = read(AZURE_BATCH_KEY="c2VjcmV0", AZURE_OUTPUT_URL="https://s/c?sig=secret")
    assert "c2VjcmV0" not in repr(settings) and "secret" not in repr(settings)


def test_nulls_are_taken_for_fields_that_are_not_there() -> None:
    body = (
        b'{"odata.nextLink":null,"value":[{"id":"a","displayName":null,"state":"completed","creationTime":null,'
        b'"executionInfo":{"startTime":"2026-01-01T00:00:00Z","retryCount":null,"result":null,"containerInfo":null,'
        b'"failureInfo":{"category":null,"code":"X","message":null}}}]}'
    )
    [task] = wire.decoded(body, wire.TaskPage).value
    execution = wire.Execution(start_time=datetime(2026, 1, 1, tzinfo=UTC), failure_info=wire.Failure(code="X"))
    assert task == wire.Task(id="a", state="completed", execution_info=execution)
    assert wire.decoded(b'{"id":"j","metadata":null,"onAllTasksComplete":null}', wire.Job) == wire.Job(id="j")
    with pytest.raises(msgspec.MsgspecError):
        wire.decoded(b'{"value":null}', wire.TaskPage)
