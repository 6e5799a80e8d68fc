"""What a job gets that is not what it asked for: refused, or told by a condition that survives a lost status."""

import subprocess
import sys

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from controller.cloud_settings import AzureRegistry, NodeSize, read_azure
from controller.domain import conditions, machines, reasons
from controller.domain.errors import Permanent
from controller.domain.job import AzureOptions, Gpu, JobSpec, Resources
from controller.domain.machines import Machine
from controller.providers.azure import marker, pools, rules, support
from controller.providers.azure.marker import Marker
from controller.providers.azure.pools import Pool
from controller.variables import Environment
from tests.controller.providers.azure import mapping

IMAGE = "registry.example.com/team/report:1"


def mapped(settings=mapping.SETTINGS, **spec: object):
    given_spec = JobSpec(**{"image": IMAGE, "resources": Resources(cpu=1, memory="2Gi"), **spec})
    return mapping.mapped(given_spec, {}, settings=settings)


def options(found) -> str:
    return found.sent["task"]["containerSettings"]["containerRunOptions"]


def refused(**spec: object) -> str:
    with pytest.raises(Permanent) as error:
        mapped(**spec)
    assert error.value.reason == reasons.INVALID_SPEC
    return str(error.value)


@pytest.fixture
def known(monkeypatch: pytest.MonkeyPatch) -> None:
    """Some machine types, as in the tables."""
    sizes = {
        "standard_f8s_v2": ("azure", 8000, 16_384, 0),
        "standard_nc4as_t4_v3": ("azure", 4000, 28_672, 1, "t4"),
        "standard_f16s_v2": ("azure", 16_000, 32_768, 0),
        "c2-standard-60": ("gcp", 60_000, 245_760, 0),
    }

    def find(name: str | None) -> Machine | None:
        row = sizes.get((name or "").lower())
        return (
            Machine(
                name=name.lower(),
                cloud=row[0],
                cpu_millis=row[1],
                memory_mib=row[2],
                gpus=row[3],
                gpu_type=row[4] if len(row) > 4 else "",
            )
            if row
            else None
        )

    monkeypatch.setattr(machines, "find", find)


# --- what is told ---------------------------------------------------------------------------------------


def test_a_job_that_gets_what_it_asks_for_is_told_nothing() -> None:
    assert mapped(command=("true",)).remarks == ()


@pytest.mark.parametrize(
    ("spec", "is_lost"),
    [
        ({"args": ("--date", "2025-11-30")}, True),
        ({"args": ("x",), "command": ("run",)}, False),
        ({"command": ("run",)}, False),
        ({"args": ()}, False),
        ({}, False),
    ],
)
def test_arguments_without_a_command_replace_the_entrypoint_and_that_is_told(spec, is_lost: bool) -> None:
    found = [one for one in mapped(**spec).remarks if one.condition == conditions.ENTRYPOINT_REPLACED]
    assert [one.status for one in found] == [True] * is_lost
    assert not is_lost or "Azure Batch" in found[0].message


@pytest.mark.parametrize(
    ("spec", "condition", "reason", "words"),
    [
        ({"labels": {"a": "b"}}, conditions.SPEC_HONOURED, reasons.NOT_SUPPORTED, ("labels", "Azure Batch")),
        ({"priority": 90}, conditions.SPEC_HONOURED, reasons.LIMITED, ("90", "80", "steps of 20")),
        ({"boot_disk_gib": 50}, conditions.RESOURCES_EXACT, reasons.NOT_SUPPORTED, ("bootDiskGiB 50",)),
        ({"boot_disk_gib": 100}, conditions.RESOURCES_EXACT, reasons.NOT_SUPPORTED, ("bootDiskGiB 100",)),
        (
            {"spot": True, "azure": AzureOptions(pool="jennah")},
            conditions.SPEC_HONOURED,
            reasons.NOT_SUPPORTED,
            ("spot", "no spot nodes"),
        ),
        (
            {"resources": Resources(cpu="1500m", memory="3500Mi")},
            conditions.RESOURCES_EXACT,
            reasons.ROUNDED_UP,
            ("1500m CPU and 3500 MiB became 2 of the 64", "may use 4096 MiB", "Azure Batch"),
        ),
        (
            {
                "resources": Resources(cpu=96, memory="900Gi", gpu=Gpu(count=4, type="a100")),
            },
            conditions.RESOURCES_EXACT,
            reasons.ROUNDED_UP,
            ("resources.gpu 4 became all 8 GPUs",),
        ),
    ],
)
def test_a_difference_is_told_by_its_condition(spec, condition: str, reason: str, words: tuple[str, ...]) -> None:
    [remark] = mapped(command=("true",), **spec).remarks
    assert (remark.condition, remark.reason, remark.status) == (condition, reason, False)
    assert all(text in remark.message for text in words), remark.message


@pytest.mark.parametrize("spec", [{"priority": 0}, {"priority": 80}, {"spot": True}])
def test_what_is_honoured_is_told_nothing_of(spec) -> None:
    assert mapped(command=("true",), **spec).remarks == ()


def test_what_is_told_survives_in_the_display_name_within_its_length() -> None:
    name = "x" * 63
    mark = Marker(
        uid="0" * 36,
        namespace=name,
        tenant="t" * 36,
        job="j" * 36,
        is_left_alone=True,
        tasks=10_000,
        parallelism=9_999,
        limit=10**8,
        preemptions=10,
        asked=(10**6, 10**7),
        slots=(255, 256),
        node=(10**6, 10**7),
        memory=10**7,
        gpus=(8, 16),
        machine=("m" * 255, "v" * 64),
        is_gpu_type_lost=True,
        is_spot_lost=True,
        disk=65_536,
        priority=99,
        labels=64,
        is_entrypoint_lost=True,
    )
    text = marker.encode(mark)
    assert len(text) <= 1024 and marker.decode(text) == mark
    kinds = [remark.condition for remark in marker.remarks(marker.decode(text))]
    assert kinds == [conditions.RESOURCES_EXACT, conditions.SPEC_HONOURED, conditions.ENTRYPOINT_REPLACED]


def test_a_display_name_of_an_earlier_release_is_read() -> None:
    mark = marker.decode("uid=u tasks=3 parallelism=2 limit=60 asked=1/2 slots=1/4 node=3/4 memory=5 disk=6")
    assert (mark.uid, mark.tasks, mark.limit, mark.asked, mark.disk, mark.preemptions) == ("u", 3, 60, (1, 2), 6, None)
    assert [one.condition for one in marker.remarks(mark)] == [conditions.RESOURCES_EXACT]


@given(st.text(max_size=80), st.sampled_from(["machine=", "gpus=", "preemptions=", "priority=", "labels=", "args="]))
def test_any_word_of_a_display_name_can_be_read(text: str, word: str) -> None:
    marker.remarks(marker.decode(f"{word}{text}"))


# --- machines, GPUs, shared memory ------------------------------------------------------------------------


def test_a_machine_type_alone_has_all_of_its_node_without_a_limit(known: None) -> None:
    found = mapped(command=("true",), machine_type="Standard_F8s_v2", resources=None)
    assert (found.sent["task"]["requiredSlots"], options(found), found.remarks) == (8, "--rm", ())


@pytest.mark.parametrize("resources", [None, Resources(profile="small")])
def test_of_a_machine_type_that_nobody_knows_the_whole_node_is_had_too(known: None, resources) -> None:
    settings = msgspec.structs.replace(mapping.SETTINGS, pools={"our-large": "odd"}, nodes={})
    pool = Pool(id="odd", vm_size="Standard_Odd", slots=4, takes_containers=True)
    wanted = mapping.wanted_of(JobSpec(image=IMAGE, machine_type="our-large", resources=resources), {})
    taken = pools.slots(pool, wanted, settings)
    assert taken.taken == (4 if resources is None else 1)


def test_another_machine_type_than_the_pools_is_told(known: None) -> None:
    found = mapped(command=("true",), machine_type="c2-standard-60", resources=None)
    assert found.sent["task"]["requiredSlots"] == 16 and options(found) == "--rm"
    [remark] = found.remarks
    assert "machineType c2-standard-60 became Standard_D64s_v5" in remark.message


def test_a_machine_type_that_is_larger_than_the_pools_is_refused(known: None) -> None:
    text = refused(machine_type="Standard_F16s_v2", azure=AzureOptions(pool="jennah-f8"), resources=None)
    assert "spec.machineType" in text and "do not fit on a node of the pool 'jennah-f8'" in text


@pytest.mark.parametrize(
    ("count", "pool", "words"),
    [(2, "jennah-gpu", "2 GPUs do not fit"), (9, "jennah-a100", "which has 8"), (1, "jennah-f8", "which has 0")],
)
def test_more_gpus_than_a_node_has_are_refused(count: int, pool: str, words: str) -> None:
    asked = Resources(cpu=1, memory="2Gi", gpu=Gpu(count=count))
    text = refused(resources=asked, azure=AzureOptions(pool=pool))
    assert "spec.resources.gpu" in text and words in text


def test_a_job_with_gpus_has_its_node_to_itself_and_asks_for_none_by_an_option() -> None:
    asked = Resources(cpu=1, memory="2Gi", gpu=Gpu(count=4))
    found = mapped(resources=asked, azure=AzureOptions(pool="jennah-a100"))
    assert found.sent["task"]["requiredSlots"] == 1 and "--gpus" not in options(found)
    settings = msgspec.structs.replace(
        mapping.SETTINGS, nodes={"jennah": NodeSize(cpu_millis=64_000, memory_mib=131_072, gpus=2)}
    )
    shared = mapped(settings, resources=Resources(gpu=Gpu(count=1)), azure=AzureOptions(pool="jennah"))
    assert shared.sent["task"]["requiredSlots"] == 64 and "--memory" not in options(shared)


@pytest.mark.parametrize(
    ("gpu_type", "pool", "is_told"),
    [
        ("nvidia-tesla-t4", None, False),  # the type chose the pool
        ("nvidia-tesla-t4", "jennah-gpu", False),  # and is what its nodes have
        ("T4", "jennah-gpu", False),
        ("a100", "jennah-gpu", True),
        ("a100", "jennah-a100", True),  # what its nodes have is not known
    ],
)
def test_a_type_of_gpu_that_the_pool_does_not_have_is_told(known: None, gpu_type: str, pool, is_told: bool) -> None:
    asked = Resources(cpu=4, memory="28Gi", gpu=Gpu(count=1, type=gpu_type))
    found = mapped(command=("true",), resources=asked, azure=AzureOptions(pool=pool) if pool else None)
    assert ("resources.gpu.type" in "".join(one.message for one in found.remarks)) == is_told


def test_that_the_gpus_of_a_node_are_not_known_is_told(known: None) -> None:
    settings = msgspec.structs.replace(
        mapping.SETTINGS, nodes={"jennah": NodeSize(cpu_millis=64_000, memory_mib=131_072)}
    )
    found = mapped(
        settings,
        command=("true",),
        resources=Resources(cpu=64, memory="128Gi", gpu=Gpu(count=1)),
        azure=AzureOptions(pool="jennah"),
    )
    [remark] = found.remarks
    assert remark.reason == reasons.UNKNOWN_MACHINE_TYPE and "AZURE_NODE_SIZES" in remark.message


@pytest.mark.parametrize(
    ("resources", "size"),
    [
        (Resources(cpu=1, memory="2Gi"), None),
        (Resources(cpu=1, memory="2Gi", shared_memory="1Gi"), 1024),
        (Resources(cpu=4, memory="28Gi", gpu=Gpu(count=1)), 14_336),
    ],
)
def test_shared_memory_is_an_option_of_the_container(resources: Resources, size: int | None) -> None:
    found = options(mapped(resources=resources))
    assert ("--shm-size" in found) == (size is not None)
    assert size is None or f"--shm-size={size}m" in found


# --- registries -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("server", "image", "sent"),
    [
        ("docker.io", "acme/private-tool:1.2", "docker.io/acme/private-tool:1.2"),
        ("index.docker.io", "acme/private-tool:1.2", "docker.io/acme/private-tool:1.2"),
        ("https://index.docker.io/v1/", "tool", "docker.io/library/tool"),
        ("docker.io", "docker.io/acme/private-tool:1.2", "docker.io/acme/private-tool:1.2"),
        ("MyReg.azurecr.io", "myreg.azurecr.io/t:1", "myreg.azurecr.io/t:1"),
        ("https://myreg.azurecr.io", "MyReg.azurecr.io/t:1", "myreg.azurecr.io/t:1"),
        ("myreg.azurecr.io/", "myreg.azurecr.io/t:1", "myreg.azurecr.io/t:1"),
        ("registry.example.com:5000", "Registry.example.com:5000/t:1", "registry.example.com:5000/t:1"),
        ("myreg.azurecr.io", "ghcr.io/x/y:1", None),
        ("myreg.azurecr.io", "myreg.azurecr.io.example.com/t:1", None),
        ("registry.example.com", "registry.example.com:5000/t:1", None),
        ("myreg.azurecr.io", "Ghcr.io/x/y:V2", None),
    ],
)
def test_credentials_go_with_the_images_of_their_registry_under_its_name(server, image, sent) -> None:
    variables = {
        "AZURE_SUBSCRIPTION_ID": "s",
        "AZURE_RESOURCE_GROUP": "g",
        "AZURE_BATCH_ACCOUNT": "a",
        "AZURE_BATCH_POOL": "p",
        "AZURE_REGISTRY_SERVER": server,
        "AZURE_REGISTRY_USERNAME": "u",
        "AZURE_REGISTRY_PASSWORD": "p",
    }
    env = Environment(variables)
    registry = read_azure(env, "westeurope").registry
    assert env.faults == []
    for known in (registry, AzureRegistry(server=server, username="u", password="p")):
        container = mapped(msgspec.structs.replace(mapping.SETTINGS, registry=known), image=image).sent["task"][
            "containerSettings"
        ]
        assert container["imageName"] == (sent or image)
        assert ("registry" in container) == (sent is not None)
        if sent:
            assert container["registry"]["registryServer"] == sent.partition("/")[0]


@pytest.mark.parametrize("server", ["https://", "a registry", "acme", "r.example.com:port"])
def test_a_server_that_no_image_can_name_is_refused_at_the_start(server: str) -> None:
    env = Environment({"AZURE_REGISTRY_SERVER": server, "AZURE_REGISTRY_IDENTITY": "/subscriptions/s/id"})
    read_azure(env, "westeurope")
    assert [fault for fault in env.faults if fault.startswith("AZURE_REGISTRY_SERVER")]


# --- the column -------------------------------------------------------------------------------------------


def test_the_column_speaks_of_the_fields_in_few_words() -> None:
    assert all(len(cell.how) <= 72 and not cell.how.endswith(".") for cell in support.COLUMN.values())


def test_rules_need_no_sdk() -> None:
    code = f"import sys; sys.modules['azure'] = None; import {rules.__name__}, {support.__name__}"
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)
