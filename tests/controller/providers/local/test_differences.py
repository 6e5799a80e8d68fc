"""What the local provider refuses, and what it says that it does otherwise."""

from typing import Any

import pytest

from controller.domain import conditions, reasons
from controller.domain.errors import Permanent
from controller.domain.job import (
    CloudSecretRef,
    EnvVar,
    EnvVarSource,
    Gpu,
    JobSpec,
    KubernetesOptions,
    Resources,
)
from tests.controller.providers.local.mapping import mapped


def told(**spec: Any) -> dict[str, str]:
    """Messages by the condition that tells them."""
    found = mapped(JobSpec(image="busybox", **{"command": ("true",), **spec}), {}).remarks
    assert all((one.reason, one.status) == (reasons.NOT_SUPPORTED, False) for one in found)
    return {one.condition: one.message for one in found}


def test_of_a_plain_job_only_its_image_is_not_what_it_says() -> None:
    plain = told()
    assert set(plain) == {conditions.SPEC_HONOURED}
    assert "image is recorded and not run" in plain[conditions.SPEC_HONOURED]


def test_a_job_with_nothing_to_run_says_so() -> None:
    assert "nothing is run" in told(command=None)[conditions.SPEC_HONOURED]
    assert "nothing is run" not in told(command=None, args=("true",))[conditions.SPEC_HONOURED]


@pytest.mark.parametrize(
    ("spec", "name"),
    [
        ({"spot": True}, "spot changes nothing"),
        ({"service_account": "a"}, "serviceAccount changes nothing"),
        ({"priority": 7}, "priority changes nothing"),
        ({"labels": {"a": "b"}, "spot": True}, "spot, labels change nothing"),
    ],
)
def test_what_only_clouds_and_clusters_have(spec: dict[str, Any], name: str) -> None:
    assert name in told(**spec)[conditions.SPEC_HONOURED]


@pytest.mark.parametrize(
    ("spec", "name"),
    [
        ({"resources": Resources(cpu=2)}, "resources.cpu changes nothing"),
        (
            {"resources": Resources(memory="4Gi", shared_memory="1Gi")},
            "resources.memory, resources.sharedMemory change",
        ),
        ({"resources": Resources(profile="large")}, "resources.profile"),
        ({"resources": Resources(gpu=Gpu(count=1))}, "resources.gpu"),
        ({"machine_type": "e2-standard-4"}, "machineType"),
        ({"boot_disk_gib": 100}, "bootDiskGiB"),
    ],
)
def test_sizes_change_nothing(spec: dict[str, Any], name: str) -> None:
    assert name in told(**spec)[conditions.RESOURCES_EXACT]


def test_a_machine_that_stops_is_not_made_up_for() -> None:
    assert "RunnerLost" in told(preemption_limit=5)[conditions.RETRIES_EXACT]
    assert conditions.RETRIES_EXACT not in told(preemption_limit=0)


@pytest.mark.parametrize(
    ("spec", "field"),
    [
        ({"image": "ghcr.io/Acme/tool"}, "spec.image"),
        ({"kubernetes": KubernetesOptions(priority_class_name="p")}, "spec.kubernetes"),
        ({"command": ("a\0b",)}, r"spec.command\[0\]"),
        ({"args": ("x" * 131_072,)}, r"spec.args\[0\]"),
        ({"env": (EnvVar(name="DB", value_from=EnvVarSource(cloud_secret_ref=CloudSecretRef(name="s"))),)}, "env DB"),
    ],
)
def test_what_is_refused_and_named(spec: dict[str, Any], field: str) -> None:
    with pytest.raises(Permanent, match=field) as refused:
        mapped(JobSpec(**{"image": "busybox", "command": ("true",), **spec}), {})
    assert refused.value.reason == reasons.INVALID_SPEC
