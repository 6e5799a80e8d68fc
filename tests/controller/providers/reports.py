"""What tests of reported faults look at in a request, and how a refusal is looked for."""

from typing import Any

import pytest

from api import checks
from controller.domain.errors import Invalid, Permanent
from controller.domain.job import JobSpec
from controller.domain.resources import Profiles
from tests.controller.providers.mapped import Mapped, mapped


def job(image: str = "registry.example.com/lab/align:4", **fields: Any) -> JobSpec:
    return JobSpec(image=image, **fields)


def told(found: Mapped, condition: str) -> str:
    """What that condition says; "" where it is not set."""
    return next((remark.message for remark in found.remarks if remark.condition == condition), "")


def gcp_task(found: Mapped) -> dict[str, Any]:
    task: dict[str, Any] = found.sent["CreateJob"]["job"]["taskGroups"][0]["taskSpec"]
    return task


def gcp_machines(found: Mapped) -> dict[str, Any]:
    machines: dict[str, Any] = found.sent["CreateJob"]["job"]["allocationPolicy"]["instances"][0]
    return machines


def aws_needs(found: Mapped) -> dict[str, str]:
    return {one["type"]: one["value"] for one in found.sent["SubmitJob"]["containerOverrides"]["resourceRequirements"]}


def pod_spec(found: Mapped) -> dict[str, Any]:
    spec: dict[str, Any] = found.sent["job"]["spec"]["template"]["spec"]
    return spec


def refusal(provider: str, spec: JobSpec, env: dict[str, str] | None = None) -> str:
    """The words with which the adapter refuses it; the API must refuse it as well, before anything is made."""
    with pytest.raises((Invalid, Permanent)) as refused:
        mapped(provider, spec, env)
    if not str(refused.value).startswith("spec.machineType: A"):  # what depends on queues and pools is the operator's
        with pytest.raises(Invalid):
            checks.runnable(spec, env or {}, provider=provider, profiles=Profiles())
    return str(refused.value)
