"""What is refused before anything is sent, and what is not."""

from collections.abc import Mapping
from typing import Any

import pytest
from google.cloud import batch_v1

from controller.domain import reasons
from controller.domain.errors import Permanent
from controller.domain.job import CloudSecretRef, EnvVar, EnvVarSource, GcpOptions, JobSpec
from controller.domain.machines import Machine
from controller.domain.resources import NO_SIZING, ResourceSet, Sizing
from controller.providers import services
from controller.providers.gcp import request
from dev.emulators.gcp import refusals
from tests.controller.providers.gcp.mapping import PLACE, mapped, requested

SIZE = ResourceSet(cpu_millis=2000, memory_mib=4096)


def checked(
    env: Mapping[str, str] | None = None,
    *,
    resources: ResourceSet = SIZE,
    sizing: Sizing = NO_SIZING,
    secret: str = "projects/acme/secrets/s/versions/1",
    **spec: Any,
) -> None:
    token = EnvVar(name="TOKEN", value_from=EnvVarSource(cloud_secret_ref=CloudSecretRef(name=secret)))
    services.check("gcp", JobSpec(**{"image": "busybox", "env": (token,), **spec}), resources, sizing, env or {})


@pytest.mark.parametrize(
    ("field", "given"),
    [
        ("spec.completions", {"completions": 100_001}),
        ("spec.bootDiskGiB", {"boot_disk_gib": 9}),
        ("spec.machineType", {"machine_type": "N1-Standard-4"}),
        ("spec.machineType", {"machine_type": "n1-standard-4 "}),
        ("spec.machineType", {"machine_type": "R5.XLARGE"}),
        ("spec.image", {"image": "--privileged busybox"}),
        ("spec.image", {"image": "ghcr.io/Acme/tool:1"}),
        ("spec.args", {"args": ("x" * 131_072,)}),
        ("spec.env: A", {"env": {"A": "x" * 131_070}}),
        ("spec.args", {"args": ("x" * 100_000,) * 10}),
        ("spec.env", {"env": {f"A{number}": "x" * 100_000 for number in range(10)}}),
        ("spec.gcp.allowedLocations", {"gcp": GcpOptions(allowed_locations=("us-central1-a",))}),
        (
            "spec.gcp.allowedLocations",
            {"gcp": GcpOptions(allowed_locations=("zones/us-central1-a", "zones/us-east1-b"))},
        ),
        ("spec.gcp.network", {"gcp": GcpOptions(network="projects/p/networks/n")}),
        ("spec.gcp.network", {"gcp": GcpOptions(network="Default")}),
        ("spec.gcp.subnetwork", {"gcp": GcpOptions(subnetwork="subnetworks/s")}),
        ("spec.gcp.registryPasswordSecret", {"gcp": GcpOptions(registry_password_secret="hunter2")}),
        ("spec.env TOKEN", {"secret": "hunter2"}),
        ("spec.labels", {"labels": {f"k{number}": "v" for number in range(57)}}),
        ("spec.serviceAccount", {"service_account": "arn:aws:iam::123456789012:role/jobs"}),
        ("spec.resources.memory", {"resources": ResourceSet(cpu_millis=1, memory_mib=2**70)}),
        (
            "spec.machineType",
            {
                "machine_type": "r5.xlarge",
                "sizing": Sizing(machine=Machine(name="r5.xlarge", cloud="aws", cpu_millis=4000, memory_mib=32768)),
            },
        ),
    ],
)
def test_what_the_service_does_not_take_is_refused_with_the_field(field: str, given: dict[str, Any]) -> None:
    with pytest.raises(Permanent) as refused:
        checked(**given)
    assert refused.value.reason == reasons.INVALID_SPEC
    assert str(refused.value).startswith(field)
    assert "hunter2" not in str(refused.value)


@pytest.mark.parametrize(
    "given",
    [
        {"gcp": GcpOptions(network="default", subnetwork="regions/us-central1/subnetworks/s")},
        {"gcp": GcpOptions(network="projects/host/global/networks/n")},
        {"gcp": GcpOptions(allowed_locations=("zones/us-central1-a", "zones/us-central1-f"))},
        {"labels": {"app.kubernetes.io/name": "x", "Team": "Data"}},
        {"parallelism": 9000, "completions": 9000},
        {"active_deadline_seconds": 20 * 86400},
    ],
)
def test_what_can_be_mapped_is_not_refused(given: dict[str, Any]) -> None:
    checked(**given)


def test_the_largest_program_that_is_taken_makes_a_definition_that_the_service_takes() -> None:
    env = {f"A{number:03}": "x" * 3000 for number in range(300)}
    labels = {f"{'k' * 60}{number:02}": "v" * 63 for number in range(48)}
    spec = JobSpec(image="busybox", args=("y" * 40_000,), labels=labels)
    made = batch_v1.CreateJobRequest.pb(request.create_request(requested(spec, env), PLACE))
    refusals.check_create(made)
    assert made.job.ByteSize() > 0.95 * refusals.MAX_DEFINITION_BYTES
    with pytest.raises(Permanent, match="put what is large into a file"):
        mapped(spec, {**env, "ONE_MORE": "x" * 20_000})


def test_the_adapter_asks_the_rules_first() -> None:
    with pytest.raises(Permanent, match="bootDiskGiB"):
        mapped(JobSpec(image="busybox", boot_disk_gib=5), {})
