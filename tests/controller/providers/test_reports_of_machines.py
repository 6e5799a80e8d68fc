"""Reported faults of machines, GPUs, images and registries (see `test_reports`)."""

import msgspec
import pytest

from controller.cloud_settings import AzureRegistry
from controller.domain import conditions, reasons
from controller.domain.job import Gpu, Resources
from controller.providers.azure.marker import Marker
from controller.providers.kubernetes.attempts import attempt_of
from tests.controller.providers.aws.test_ends import seen as seen_on_aws
from tests.controller.providers.azure import mapping as azure
from tests.controller.providers.azure.test_reasons import failed as azure_failed
from tests.controller.providers.azure.test_reasons import seen as seen_on_azure
from tests.controller.providers.kubernetes.harness import pod
from tests.controller.providers.mapped import PROVIDERS, mapped
from tests.controller.providers.reports import aws_needs, gcp_machines, gcp_task, job, pod_spec, refusal, told


@pytest.mark.parametrize(
    ("machine_type", "cpu", "memory"), [("n2-highcpu-32", 32_000, 32_768), ("e2-small", 2_000, 2_048)]
)
def test_a_machine_type_alone_is_the_machine(machine_type: str, cpu: int, memory: int) -> None:
    spec = job(machine_type=machine_type)
    google = mapped("gcp", spec)
    assert gcp_task(google)["computeResource"] == {"cpuMilli": str(cpu), "memoryMib": str(memory)}
    assert told(google, conditions.RESOURCES_EXACT) == ""
    cluster = mapped("kubernetes", spec)
    (container,) = pod_spec(cluster)["containers"]
    asked = container["resources"]["requests"]
    assert cpu // 4 <= int(asked["cpu"].removesuffix("m")) < cpu
    assert memory // 4 <= int(asked["memory"].removesuffix("Mi")) < memory
    assert str(memory) in told(cluster, conditions.RESOURCES_EXACT)
    for provider in ("aws", "azure"):
        assert f"none for {machine_type!r}" in refusal(provider, spec)


def test_what_a_machine_keeps_for_itself_is_left_to_it_and_told() -> None:
    found = mapped("aws", job(machine_type="r5.xlarge"))
    memory = int(aws_needs(found)["MEMORY"])
    assert 30_000 <= memory <= 31_600
    assert str(memory) in told(found, conditions.RESOURCES_EXACT)
    assert aws_needs(found)["VCPU"] == "4"
    whole = mapped("kubernetes", job(machine_type="e2-standard-8"))
    asked = pod_spec(whole)["containers"][0]["resources"]["requests"]
    assert int(asked["cpu"].removesuffix("m")) <= 7_910
    assert int(asked["memory"].removesuffix("Mi")) <= 29 * 1024
    # On Azure it is all slots, and no limit of its own.
    task = mapped("azure", job(machine_type="Standard_F8s_v2")).sent["task"]
    assert (task["requiredSlots"], "--memory" in task["containerSettings"]["containerRunOptions"]) == (8, False)


def test_what_is_on_the_price_list_and_never_free_is_refused() -> None:
    for provider, machine, memory in (("aws", "r5.xlarge", "32Gi"), ("kubernetes", "e2-standard-8", "32Gi")):
        words = refusal(provider, job(machine_type=machine, resources=Resources(memory=memory)))
        assert "spec.resources.memory: 32768 MiB" in words


@pytest.mark.parametrize(
    "machine_type", ["a2-ultragpu-1g", "a3-megagpu-8g", "a4-highgpu-8g", "g2-standard-48", "g4-standard-96"]
)
@pytest.mark.parametrize("has_gpu", [True, False])
def test_machines_that_bring_gpus_get_drivers(machine_type: str, has_gpu: bool) -> None:
    count = {"a2-ultragpu-1g": 1, "g2-standard-48": 4, "g4-standard-96": 2}.get(machine_type, 8)
    asked = Resources(gpu=Gpu(count=count)) if has_gpu else None
    found = mapped("gcp", job(machine_type=machine_type, resources=asked))
    assert gcp_machines(found)["installGpuDrivers"] is True
    assert "accelerators" not in gcp_machines(found)["policy"]
    pods = pod_spec(mapped("kubernetes", job(machine_type=machine_type, resources=asked)))
    assert pods["containers"][0]["resources"]["limits"]["nvidia.com/gpu"] == str(count)
    assert any(one["key"] == "nvidia.com/gpu" for one in pods["tolerations"])


@pytest.mark.parametrize("provider", PROVIDERS)
@pytest.mark.parametrize(("machine_type", "count"), [("g2-standard-24", 3), ("g5.xlarge", 4), ("e2-standard-2", 1)])
def test_more_gpus_than_the_machine_type_has_are_refused_everywhere(
    provider: str, machine_type: str, count: int
) -> None:
    spec = job(machine_type=machine_type, resources=Resources(gpu=Gpu(count=count)))
    assert f"resources.gpu.count: {count} is more than " in refusal(provider, spec)


@pytest.mark.parametrize(
    ("server", "image", "sent"),
    [
        ("docker.io", "lab/align:4", "docker.io/lab/align:4"),
        ("registry-1.docker.io", "lab/align", "docker.io/lab/align"),
        ("https://index.docker.io/v1/", "docker.io/lab/align:4", "docker.io/lab/align:4"),
        ("Lab.azurecr.io", "lab.azurecr.io/align:4", "lab.azurecr.io/align:4"),
        ("lab.azurecr.io:443", "LAB.azurecr.io/align:4", "lab.azurecr.io/align:4"),
        ("lab.azurecr.io", "quay.io/lab/align:4", None),
        ("docker.io", "docker.io.example.com/lab/align:4", None),
    ],
)
def test_credentials_go_with_the_images_of_their_registry(server: str, image: str, sent: str | None) -> None:
    settings = msgspec.structs.replace(
        azure.SETTINGS, registry=AzureRegistry(server=server, username="u", password="p")
    )
    container = azure.mapped(job(image, command=("true",)), {}, settings=settings).sent["task"]["containerSettings"]
    assert (container["imageName"] == sent) == ("registry" in container) == (sent is not None)


@pytest.mark.parametrize("provider", PROVIDERS)
@pytest.mark.parametrize(
    "image",
    [
        "quay.io/Lab/align",
        "lab/alignQC:1",
        "Align",
        "quay.io/lab/align@sha256:" + "F" * 64,
        "quay.io/lab//align:2",
        "quay.io/lab/align:.2",
        "quay.io/lab/align@md5:" + "a" * 32,
        "quay.io:99999/lab/align",
    ],
)
def test_names_that_no_registry_can_have_are_refused_everywhere(provider: str, image: str) -> None:
    assert refusal(provider, job(image, command=("true",))).startswith(f"spec.image: {image!r} is not an image: ")


@pytest.mark.parametrize("image", ["Hub.Lab.example:8443/align:RC-2", "localhost/align:NIGHTLY"])
def test_hosts_and_tags_may_have_capital_letters(image: str) -> None:
    assert gcp_task(mapped("gcp", job(image)))["runnables"][0]["container"]["imageUri"] == image
    assert mapped("aws", job(image)).sent["RegisterJobDefinition"]["containerProperties"]["image"] == image
    assert mapped("azure", job(image)).sent["task"]["containerSettings"]["imageName"].endswith(image.split("/", 1)[1])
    assert pod_spec(mapped("kubernetes", job(image)))["containers"][0]["image"] == image


def test_such_a_name_that_got_through_ends_the_job_at_once() -> None:
    state = {"waiting": {"reason": "InvalidImageName", "message": "couldn't parse image name"}}
    one = attempt_of(pod("Pending", state=state))
    assert (one.is_final, one.reason) == (True, reasons.IMAGE_PULL_FAILED)


def test_a_full_disk_is_not_a_wrong_image() -> None:
    for words in ("failed to register layer: no space left on device", "[Errno 28] No space left on device"):
        one = seen_on_azure(azure_failed("ContainerInvalidImage", words), mark=Marker(uid="u"))
        assert (one.reason, "the disk of the machine is full" in (one.message or "")) == (reasons.MACHINE_FAILED, True)
        pulled = {"reason": f"CannotPullContainerError: {words}"}
        other = seen_on_aws({"status": "FAILED", "statusReason": "Task failed to start", "container": pulled})
        if "register" in words:
            assert (other.reason, other.started_at) == (reasons.MACHINE_FAILED, None)
            assert "the disk of the machine is full" in (other.message or "")


@pytest.mark.parametrize("cpu", [1, 64])
def test_on_azure_ended_containers_are_removed(cpu: int) -> None:
    sizes = Resources(cpu=cpu, memory=f"{2 * cpu}Gi")
    task = mapped("azure", job(command=("true",), completions=30, resources=sizes)).sent["task"]
    assert task["containerSettings"]["containerRunOptions"].split()[0] == "--rm"


@pytest.mark.parametrize(("machine_type", "of"), [("N2-HighCPU-32", "gcp"), ("R5.XLARGE", "aws")])
def test_the_letters_of_a_machine_type_count_where_the_service_compares_them(machine_type: str, of: str) -> None:
    assert f"spec.machineType: no node has the label {machine_type!r}" in refusal(
        "kubernetes", job(machine_type=machine_type)
    )
    if of == "gcp":
        assert "(did you mean n2-highcpu-32?)" in refusal("gcp", job(machine_type=machine_type))
    else:
        assert f"{machine_type} is a machine type of aws" in refusal("gcp", job(machine_type=machine_type))
        found = mapped("aws", job(machine_type=machine_type))
        assert (found.sent["SubmitJob"]["jobQueue"], aws_needs(found)["VCPU"]) == ("jennah-r5", "4")
    mapped("kubernetes", job(machine_type="Standard_D4s_v5"))
