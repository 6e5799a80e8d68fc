"""Whole machines, GPUs and shared memory: what a Pod asks for, and what is told of it."""

from typing import Any

import pytest

from controller.domain import conditions, reasons
from controller.domain.errors import Permanent
from controller.domain.job import Gpu, JobSpec, Resources
from controller.domain.machines import Machine, find
from controller.providers.kubernetes import allocatable
from tests.controller.providers.kubernetes.mapping import mapped
from tests.controller.providers.mapped import Mapped


def of(**spec: Any) -> Mapped:
    return mapped(JobSpec(image="acme/assemble:7", **spec), {})


def pod_of(found: Mapped) -> Any:
    return found.sent["job"]["spec"]["template"]["spec"]


def sizes_of(found: Mapped) -> Any:
    return pod_of(found)["containers"][0]["resources"]


def test_a_machine_alone_is_all_of_it_that_a_pod_can_have() -> None:
    """GKE's own example of such a node has 3920m and about 13 GiB for Pods, of which DaemonSets take some."""
    found = of(machine_type="e2-standard-4")
    sizes = sizes_of(found)
    cpu, memory = int(sizes["requests"]["cpu"].rstrip("m")), int(sizes["requests"]["memory"].removesuffix("Mi"))
    assert 3000 < cpu <= 3920 - 300
    assert 12 * 1024 < memory <= 13 * 1024 - 400
    assert sizes["limits"] == {}, "it may use all that is free there"
    assert pod_of(found)["nodeSelector"] == {"node.kubernetes.io/instance-type": "e2-standard-4"}
    (told,) = found.remarks
    assert (told.condition, told.status, told.reason) == (conditions.RESOURCES_EXACT, False, reasons.HELD_BACK)
    for number in (f"{cpu}m", "4000m", f"{memory} MiB", "16384 MiB"):
        assert number in told.message


def test_what_is_asked_for_beside_a_machine_is_had_and_the_rest_is_the_machines() -> None:
    sizes = sizes_of(of(machine_type="e2-standard-4", resources=Resources(memory="8Gi")))
    assert sizes["limits"] == {"memory": "8192Mi"}
    assert sizes["requests"]["memory"] == "8192Mi"
    assert "cpu" in sizes["requests"]
    both = of(machine_type="e2-standard-4", resources=Resources(cpu=2, memory="8Gi"))
    assert sizes_of(both)["limits"] == sizes_of(both)["requests"] == {"cpu": "2000m", "memory": "8192Mi"}
    assert both.remarks == ()


@pytest.mark.parametrize(("cpu", "memory"), [(250, 1024), (1000, 3840), (2000, 4096), (96_000, 768 * 1024)])
def test_some_of_every_machine_is_left_for_its_node(cpu: int, memory: int) -> None:
    machine = Machine(name="m", cloud="gcp", cpu_millis=cpu, memory_mib=memory)
    assert cpu // 4 <= allocatable.cpu_millis(machine) < cpu
    assert memory // 4 <= allocatable.memory_mib(machine) < memory


def test_the_whole_of_a_machines_memory_fits_on_no_node() -> None:
    with pytest.raises(Permanent, match=r"spec\.resources\.memory: 16384 MiB fit on no node .* at most 16284 MiB"):
        of(machine_type="e2-standard-4", resources=Resources(cpu=4, memory="16Gi"))


def test_a_machine_that_is_not_known_is_told() -> None:
    found = of(machine_type="z9-huge-7")
    (told,) = found.remarks
    assert (told.condition, told.reason) == (conditions.RESOURCES_EXACT, reasons.UNKNOWN_MACHINE_TYPE)
    assert "2000m CPU and 4096 MiB" in told.message
    assert sizes_of(found)["limits"] == {"cpu": "2000m", "memory": "4096Mi"}


def test_a_machine_brings_its_gpus() -> None:
    found = of(machine_type="g2-standard-4")
    machine = find("g2-standard-4")
    assert machine is not None
    assert sizes_of(found)["limits"] == {"nvidia.com/gpu": str(machine.gpus)}
    pod = pod_of(found)
    assert {"key": "nvidia.com/gpu", "operator": "Exists"} in pod["tolerations"]
    assert "nvidia.com/gpu.product" not in pod["nodeSelector"], "the machine's name of it is its cloud's"
    assert pod["volumes"][0]["emptyDir"]["medium"] == "Memory"


def test_shared_memory_is_a_volume_of_that_size() -> None:
    pod = pod_of(of(resources=Resources(memory="4Gi", shared_memory="1Gi")))
    assert pod["volumes"] == [{"name": "shared-memory", "emptyDir": {"medium": "Memory", "sizeLimit": "1024Mi"}}]
    assert pod["containers"][0]["volumeMounts"] == [{"name": "shared-memory", "mountPath": "/dev/shm"}]
    assert "volumes" not in pod_of(of())
    with_gpu = pod_of(of(resources=Resources(memory="8Gi", gpu=Gpu(count=1))))
    assert with_gpu["volumes"][0]["emptyDir"]["sizeLimit"] == "4096Mi", "data loaders share batches there"
