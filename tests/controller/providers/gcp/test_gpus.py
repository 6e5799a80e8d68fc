"""GPUs: what a machine type brings, what is attached, and what the names mean."""

import re
from typing import Any

import pytest

from controller.domain import machines
from controller.domain.errors import Permanent
from controller.domain.job import Gpu, JobSpec, Resources
from controller.domain.machines import Machine
from controller.providers.gcp import gpus
from tests.controller.providers.gcp.mapping import mapped

_SOLD = (
    Machine(
        name="a2-highgpu-8g", cloud="gcp", cpu_millis=96000, memory_mib=696320, gpus=8, gpu_type="nvidia-tesla-a100"
    ),
    Machine(
        name="a2-ultragpu-8g", cloud="gcp", cpu_millis=96000, memory_mib=1392640, gpus=8, gpu_type="nvidia-a100-80gb"
    ),
)


def sent(gpu: Gpu | None = None, machine_type: str | None = None, **resources: Any) -> dict[str, Any]:
    """instances[0] of the request."""
    spec = JobSpec(image="busybox", machine_type=machine_type, resources=Resources(gpu=gpu, **resources))
    found: dict[str, Any] = mapped(spec, {}).sent["CreateJob"]["job"]["allocationPolicy"]["instances"][0]
    return found


@pytest.mark.parametrize(
    "machine_type", ["g2-standard-4", "a2-highgpu-1g", "a3-newer-8g", "a4-newer-8g", "g4-newer-48"]
)
@pytest.mark.parametrize("gpu", [None, Gpu(count=1)])
def test_machines_that_bring_their_gpus_get_the_driver_and_nothing_is_attached(
    machine_type: str, gpu: Gpu | None
) -> None:
    found = sent(gpu, machine_type)
    assert found["installGpuDrivers"] is True
    assert "accelerators" not in found["policy"]


def test_other_machines_get_no_driver() -> None:
    assert "installGpuDrivers" not in sent(None, "n1-standard-4")
    assert "installGpuDrivers" not in sent()


@pytest.mark.parametrize("written", ["nvidia-l4", "l4", "L4", "NVIDIA L4"])
def test_the_gpus_of_the_machine_may_be_named(written: str) -> None:
    assert "accelerators" not in sent(Gpu(count=1, type=written), "g2-standard-4")["policy"]


@pytest.mark.parametrize(
    ("gpu", "machine_type", "words"),
    [
        (Gpu(count=1), "g2-standard-24", r"gpu\.count: g2-standard-24 has 2 GPUs"),
        (Gpu(count=1, type="t4"), "g2-standard-4", r"gpu\.type: 't4' is not what g2-standard-4 has: 1 x nvidia-l4"),
        (Gpu(count=1), None, r"gpu\.type: is needed unless machineType is one that has GPUs"),
        (Gpu(count=1, type="l4"), "n1-standard-4", r"gpu\.type: nvidia-l4 comes only with .*\(g2-standard-"),
        (Gpu(count=3, type="t4"), "n1-standard-4", r"gpu\.count: 3 nvidia-tesla-t4 cannot .* only 1, 2, 4 can"),
        (Gpu(count=1, type="h100"), None, r"gpu\.type: 'h100' may be nvidia-h100-80gb or nvidia-h100-mega-80gb"),
        (Gpu(count=3, type="l4"), None, r"gpu\.count: no machine has 3 x nvidia-l4, only 1, 2, 4, 8"),
        (Gpu(count=16, type="a100-80gb"), None, r"gpu\.count: no machine has 16 x nvidia-a100-80gb, only 1, 2, 4, 8"),
        (Gpu(count=1, type="radeon"), None, r"gpu\.type: 'radeon' is no GPU of Google Cloud: known are .*nvidia-l4"),
    ],
)
def test_gpus_that_no_such_machine_has_are_refused(gpu: Gpu, machine_type: str | None, words: str) -> None:
    with pytest.raises(Permanent) as refused:
        sent(gpu, machine_type)
    assert re.search(words, str(refused.value))


@pytest.mark.parametrize(
    ("written", "name", "count"),
    [
        ("t4", "nvidia-tesla-t4", 1),
        ("nvidia-tesla-v100", "nvidia-tesla-v100", 1),
        ("Tesla T4", "nvidia-tesla-t4", 1),
        ("l4", "nvidia-l4", 1),
        ("a100", "nvidia-tesla-a100", 16),
        ("a100-80gb", "nvidia-a100-80gb", 1),
        ("h200", "nvidia-h200-141gb", 8),
        ("nvidia-gb300", "nvidia-gb300", 3),
    ],
)
def test_names_are_those_of_the_service(written: str, name: str, count: int) -> None:
    found = sent(Gpu(count=count, type=written))
    assert found["policy"]["accelerators"] == [{"type": name, "count": str(count)}]
    assert found["installGpuDrivers"] is True


def test_all_gpus_of_the_table_have_their_names_here() -> None:
    known = {one.gpu_type for one in machines.of_cloud("gcp") if one.gpus}
    assert known
    assert known <= set(gpus.BUILT_IN)


@pytest.mark.parametrize(
    ("memory", "name"), [("600Gi", "nvidia-tesla-a100"), ("900Gi", "nvidia-a100-80gb"), ("1360Gi", "nvidia-a100-80gb")]
)
def test_without_a_machine_type_a_name_means_what_has_room_for_the_task(
    monkeypatch: pytest.MonkeyPatch, memory: str, name: str
) -> None:
    monkeypatch.setattr(machines, "of_cloud", lambda cloud: list(_SOLD))
    found = sent(Gpu(count=8, type="a100"), cpu=90, memory=memory)
    assert found["policy"]["accelerators"] == [{"type": name, "count": "8"}]


def test_and_what_no_machine_with_such_gpus_has_room_for_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machines, "of_cloud", lambda cloud: list(_SOLD))
    with pytest.raises(Permanent, match=r"spec\.resources: no machine with 8 x .* the largest is a2-ultragpu-8g"):
        sent(Gpu(count=8, type="a100"), cpu=90, memory="2000Gi")
