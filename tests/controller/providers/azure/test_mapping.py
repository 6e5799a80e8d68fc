"""Spec to task, pools and places, without a service."""

import json
import shlex
import uuid
from datetime import UTC, datetime, timedelta

import msgspec
import pytest
from azure.batch._utils.model_base import SdkJSONEncoder
from hypothesis import given
from hypothesis import strategies as st

from controller.cloud_settings import AzureRegistry, NodeSize
from controller.domain import conditions, names, reasons
from controller.domain.errors import Permanent
from controller.domain.job import (
    AwsOptions,
    AzureOptions,
    CloudSecretRef,
    EnvVar,
    EnvVarSource,
    GcpOptions,
    Gpu,
    JobSpec,
    KubernetesOptions,
    Resources,
)
from controller.domain.machines import Machine
from controller.domain.resources import ResourceSet
from controller.ports import SubmitRequest
from controller.providers.azure import commandline, marker, places, pools, request, rules
from controller.providers.azure.places import Place
from controller.providers.azure.pools import Pool
from dev.emulators.azure.starts import words_of
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
        spec=JobSpec(**{"image": "registry.example.com/team/report:1", **spec}),
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
        "containerRunOptions": "--rm --cpu-shares=1024 --memory=4096m",
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
        ({"gcp": GcpOptions(network="n")}, ("spec.gcp", "spec.provider")),
        ({"aws": AwsOptions(job_queue="q")}, ("spec.aws", "spec.provider")),
        (
            {"env": (EnvVar(name="T", value_from=EnvVarSource(cloud_secret_ref=CloudSecretRef(name="s"))),)},
            ("spec.env T", "Key Vault"),
        ),
        ({"command": ("a\0b",)}, ("spec.command", "NUL")),
        ({"kubernetes": KubernetesOptions(priority_class_name="p")}, ("spec.kubernetes", "spec.provider")),
        ({"azure": AzureOptions(registry_server="r.example.com")}, ("registryIdentity",)),
        (
            {"azure": AzureOptions(registry_server="r.azurecr.io", registry_identity="/subscriptions/s/id")},
            ("spec.azure.registryServer", "'r.azurecr.io'", "'registry.example.com'"),
        ),
        ({"azure": AzureOptions(pool="..")}, ("spec.azure.pool",)),
        ({"args": ("x" * 100_000,) * 10}, ("spec.args", "1000", "file that the program reads")),
        ({"image": "--privileged alpine"}, ("spec.image", "is not an image")),
        ({"image": "alpine --privileged"}, ("spec.image",)),
        ({"image": "-v=/:/host"}, ("spec.image",)),
        ({"image": "alpine\n"}, ("spec.image",)),
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


@pytest.mark.parametrize(
    ("parallelism", "window", "told"), [(None, 5, 0), (2, 2, 2), (5, 5, 0), (9, 5, 0)], ids=["all", "2", "5", "9"]
)
def test_the_tasks_of_a_set_know_how_many_may_be_under_way(parallelism: int | None, window: int, told: int) -> None:
    asked = wanted(completions=5, parallelism=parallelism)
    tasks = sent(asked)
    stem = names.external_name("report", UID)
    assert [task["id"] for task in tasks] == [f"{stem}-{index}" for index in range(5)]
    assert request.window(asked.spec) == window
    assert {marker.decode(task["displayName"]).parallelism for task in tasks} == {told}
    assert not any(name in task for task in tasks for name in ("dependsOn", "exitConditions"))


def test_some_tasks_of_a_set_are_the_same_as_when_all_are_made() -> None:
    asked = wanted(completions=7, parallelism=2)
    where = places.place("shared", asked.external_name, 7)
    some = request.tasks(asked, where, POOL, SETTINGS, start=2, stop=5)
    assert [json.loads(json.dumps(task, cls=SdkJSONEncoder, exclude_readonly=True)) for task in some] == sent(asked)[
        2:5
    ]


@pytest.mark.parametrize(("count", "value"), [(1, 10), (101, 10), (350, 10), (10_000, 1), (40, 60_000)])
def test_chunks_keep_the_services_limits(count: int, value: int) -> None:
    asked = wanted({"A": "x" * value}, completions=count)
    made = list(request.tasks(asked, places.place("j", asked.external_name, count), POOL, SETTINGS))
    chunks = list(request.chunks(made))
    assert [task.id for chunk in chunks for task in chunk] == [task.id for task in made]
    assert all(len(chunk) <= 100 for chunk in chunks)
    for chunk in chunks[:20]:
        assert len(json.dumps({"value": chunk}, cls=SdkJSONEncoder, exclude_readonly=True)) < 1_000_000


def test_a_task_too_large_for_any_call_is_refused_without_its_values() -> None:
    asked = wanted({f"SECRET_{index}": "s3cret" * 20_000 for index in range(8)})
    text = refused(asked)
    assert "spec.env" in text and "s3cret" not in text


def test_the_largest_task_that_is_not_refused_fits_into_a_call() -> None:
    room = rules.OWN_BYTES // 8 - 100
    asked = wanted({f"V_{index}": "x" * room for index in range(8)}, boot_disk_gib=100, labels={"a": "b"})
    settings = msgspec.structs.replace(SETTINGS, output_url="https://s.blob.core.windows.net/logs?sig=" + "x" * 2000)
    [task] = sent(asked, settings=settings)
    assert 0.99 * rules.OWN_BYTES < len(json.dumps(task)) < request.CHUNK_BYTES


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
    azure = AzureOptions(registry_server="https://R.azurecr.io/", registry_identity="/subscriptions/s/id")
    [task] = sent(wanted(azure=azure, image="r.azurecr.io/team/report:1"))
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
        ({"azure": AzureOptions(pool="..")}, ("spec.azure.pool", "'..'")),
        ({"azure": AzureOptions(pool="a/../b")}, ("spec.azure.pool",)),
    ],
)
def test_what_has_no_pool_is_refused(spec, words) -> None:
    with pytest.raises(Permanent) as error:
        pools.choose(JobSpec(image="i", **spec), SETTINGS)
    assert all(word in str(error.value) for word in words)


@pytest.mark.parametrize(
    ("vm_size", "nodes", "size"),
    [
        ("Standard_E8ds_v4", {}, (8000, 65536, 2)),
        ("Standard_E8ds_v4", {"jennah": NodeSize(cpu_millis=1, memory_mib=2)}, (1, 2, 2)),
        ("Standard_E8ds_v4", {"standard_e8ds_V4": NodeSize(cpu_millis=1, memory_mib=2, gpus=4)}, (1, 2, 4)),
        ("Standard_Odd", {}, None),
    ],
)
def test_a_nodes_size_is_that_of_the_settings_or_of_its_vm_size(vm_size, nodes, size, monkeypatch) -> None:
    machine = Machine(name="standard_e8ds_v4", cloud="azure", cpu_millis=8000, memory_mib=65536, gpus=2)
    monkeypatch.setattr(pools.machines, "find", lambda name: machine if name == "Standard_E8ds_v4" else None)
    settings = msgspec.structs.replace(SETTINGS, nodes=nodes)
    found = pools.node_size(msgspec.structs.replace(POOL, vm_size=vm_size), settings)
    assert (found and (found.cpu_millis, found.memory_mib, found.gpus)) == size


@pytest.mark.parametrize(
    ("cpu", "memory", "slots"),
    [(1000, 128, 1), (1001, 128, 2), (500, 16384, 4), (4000, 1, 4), (1, 1, 1), (3000, 4096, 3)],
)
def test_slots_are_the_larger_share_of_the_node_rounded_up(cpu: int, memory: int, slots: int) -> None:
    assert pools.slots(POOL, wanted(cpu=cpu, memory=memory), SETTINGS).taken == slots


@pytest.mark.parametrize(
    ("pool", "cpu", "memory", "options"),
    [
        ({}, 1500, 2048, " --cpu-shares=1536 --memory=8192m"),  # the share of the node, which is more than was asked
        ({"vm_size": "Odd"}, 500, 2048, " --cpu-shares=512 --memory=2048m"),  # of an unknown size: what was asked for
        ({"slots": 256, "vm_size": "Odd"}, 1, 1, " --cpu-shares=2 --memory=6m"),  # Docker takes no less
        ({}, 4000, 2048, ""),  # the whole node
        ({"slots": 1}, 500, 128, ""),
        ({"slots": 1, "vm_size": "Odd"}, 500, 128, ""),
    ],
)
def test_a_container_that_shares_its_node_is_held_to_its_share(pool, cpu: int, memory: int, options) -> None:
    [task] = sent(wanted(cpu=cpu, memory=memory), pool=msgspec.structs.replace(POOL, **pool))
    # What a container leaves behind would fill the node's disk, also where it has the node to itself.
    assert task["containerSettings"]["containerRunOptions"] == f"--rm{options}"
    told = "".join(remark.message for remark in marker.remarks(marker.decode(task["displayName"])))
    assert (not options) == ("the container may use" not in told)
    assert not options or f"may use {max(marker.decode(task['displayName']).memory, 1)} MiB" in told


def test_no_container_sees_the_files_of_other_tasks_on_its_node() -> None:
    assert sent(wanted())[0]["containerSettings"]["containerHostBatchBindMounts"] == []


def test_more_than_a_node_has_is_refused() -> None:
    assert "spec.resources.memory" in refused(wanted(memory=16385))


def test_sizes_of_the_settings_count_by_pool_and_by_vm_size() -> None:
    odd = msgspec.structs.replace(POOL, vm_size="Odd")
    for key in ("jennah", "Odd"):
        settings = msgspec.structs.replace(SETTINGS, nodes={key: NodeSize(cpu_millis=6000, memory_mib=57344)})
        assert pools.slots(odd, wanted(cpu=6000, memory=1), settings).taken == 4


def test_what_is_given_is_stated_where_it_is_not_what_was_asked_for() -> None:
    [task] = sent(wanted(cpu=500, memory=512, boot_disk_gib=100))
    [remark] = marker.remarks(marker.decode(task["displayName"]))
    assert (remark.condition, remark.reason) == (conditions.RESOURCES_EXACT, reasons.ROUNDED_UP)
    assert "500m CPU and 512 MiB became 1 of the 4 task slots of a node with 4000m and 16384 MiB" in remark.message
    assert "bootDiskGiB 100" in remark.message
    [exact] = sent(wanted(cpu=1000, memory=4096))
    assert marker.remarks(marker.decode(exact["displayName"])) == ()


def test_an_unknown_node_gives_one_slot_and_says_so() -> None:
    odd = msgspec.structs.replace(POOL, vm_size="Odd")
    [task] = sent(wanted(), pool=odd)
    [remark] = marker.remarks(marker.decode(task["displayName"]))
    assert (task["requiredSlots"], remark.reason) == (1, reasons.UNKNOWN_MACHINE_TYPE)
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
