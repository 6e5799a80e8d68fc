"""What the API server makes of JennahJobs: defaults, refusals, immutability, field selectors."""

from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from controller.domain.errors import Invalid
from controller.kube import paths
from controller.kube.client import KubeClient
from dev.kubeapi import columns
from tests.kubeapi import CRDS, serving


@pytest.fixture
async def client(tmp_path: Path) -> AsyncIterator[KubeClient]:
    async with serving(tmp_path) as client:
        yield client


def job(name: str = "j", **spec: Any) -> dict[str, Any]:
    return {
        "apiVersion": "jennah.alphaus.cloud/v1",
        "kind": "JennahJob",
        "metadata": {"name": name},
        "spec": {"image": "i", **spec},
    }


async def test_defaults_are_filled_in(client: KubeClient) -> None:
    created = await client.post(paths.jobs("default"), job())
    assert created["spec"] == {
        "image": "i",
        "backoffLimit": 3,
        "preemptionLimit": 3,
        "completions": 1,
        "deletionPolicy": "Cancel",
        "suspend": False,
    }


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ({"image": ""}, "spec.image"),
        ({"parallelism": 2}, "parallelism must not exceed completions"),
        ({"completions": 2, "parallelism": 3}, "parallelism must not exceed completions"),
        ({"completions": 0}, "spec.completions"),
        ({"completions": 10001}, "spec.completions"),
        ({"backoffLimit": 11}, "spec.backoffLimit"),
        ({"backoffLimit": -1}, "spec.backoffLimit"),
        ({"bootDiskGiB": 9}, "spec.bootDiskGiB"),
        ({"activeDeadlineSeconds": 0}, "spec.activeDeadlineSeconds"),
        ({"gcp": {}, "aws": {}}, "at most one of gcp, aws, azure and kubernetes"),
        ({"provider": "aws", "gcp": {}}, "must be that of the provider"),
        ({"provider": "gcp", "kubernetes": {}}, "must be that of the provider"),
        ({"kubernetes": {"tolerations": [{"operator": "Maybe"}]}}, "spec.kubernetes.tolerations[0].operator"),
        ({"provider": "moon"}, "spec.provider"),
        ({"env": [{"name": "1A"}]}, "spec.env[0].name"),
        ({"env": [{"name": "A", "value": "1", "valueFrom": {"secretKeyRef": {"name": "s", "key": "k"}}}]}, "exclude"),
        ({"env": [{"name": "A", "valueFrom": {}}]}, "exactly one of secretKeyRef, configMapKeyRef and cloudSecretRef"),
        ({"envFrom": [{}]}, "exactly one of secretRef and configMapRef"),
        ({"envFrom": [{"secretRef": {"name": "../../other/secrets/s"}}]}, "spec.envFrom[0].secretRef.name"),
        ({"envFrom": [{"configMapRef": {"name": "../c"}}]}, "spec.envFrom[0].configMapRef.name"),
        ({"env": [{"name": "A", "valueFrom": {"secretKeyRef": {"name": "a b", "key": "k"}}}]}, "secretKeyRef.name"),
        ({"resources": {"cpu": "lots"}}, "spec.resources.cpu"),
        ({"resources": {"memory": "1GiB"}}, "spec.resources.memory"),
        ({"resources": {"gpu": {"type": "t4"}}}, "spec.resources.gpu.count"),
        ({"tenantId": "a b"}, "spec.tenantId"),
        ({"tenantId": "x" * 37}, "spec.tenantId"),
        ({"jobId": "Upper"}, "spec.jobId"),
        ({"deletionPolicy": "Keep"}, "spec.deletionPolicy"),
        ({"args": "not a list"}, "spec.args"),
        ({"command": ["sh", "x" * 131_072]}, "spec.command[1]"),
        ({"args": ["x" * 131_072]}, "spec.args[0]"),
        ({"env": [{"name": "A", "value": "x" * 131_070}]}, "spec.env[0].value"),
    ],
)
async def test_what_cannot_be_meant_is_refused(client: KubeClient, spec: dict[str, Any], message: str) -> None:
    with pytest.raises(Invalid) as refused:
        await client.post(paths.jobs("default"), job(**spec))
    assert message in str(refused.value)
    assert (await client.get(paths.jobs("default")))["items"] == []


async def test_the_longest_words_that_linux_takes_are_taken(client: KubeClient) -> None:
    longest = {"command": ["x" * 131_071], "args": ["x" * 131_071], "env": [{"name": "A", "value": "x" * 131_069}]}
    created = await client.post(paths.jobs("default"), job(**longest))
    assert {name: created["spec"][name] for name in longest} == longest


FULL = {
    "image": "i", "command": ["a"], "args": ["b"], "env": [{"name": "A", "value": "1"}],
    "envFrom": [{"secretRef": {"name": "s"}}], "resources": {"cpu": 1}, "machineType": "m", "bootDiskGiB": 20,
    "spot": True, "serviceAccount": "sa", "activeDeadlineSeconds": 5, "backoffLimit": 1,
    "preemptionLimit": 1, "completions": 2,
    "parallelism": 1, "priority": 3, "labels": {"a": "b"}, "provider": "gcp", "gcp": {"network": "n"},
    "displayName": "d", "tenantId": "t", "jobId": "j", "deletionPolicy": "Orphan",
}  # fmt: skip
CHANGED = {
    "image": "other", "command": ["z"], "args": [], "env": [{"name": "A", "value": "2"}],
    "envFrom": [{"secretRef": {"name": "z"}}], "resources": {"cpu": 2}, "machineType": "z", "bootDiskGiB": 30,
    "spot": False, "serviceAccount": "z", "activeDeadlineSeconds": 6, "backoffLimit": 2,
    "preemptionLimit": 2, "completions": 3,
    "parallelism": 2, "priority": 4, "labels": {"a": "c"}, "provider": "local", "gcp": {"network": "z"},
    "displayName": "z", "tenantId": "z", "jobId": "z", "deletionPolicy": "Cancel",
}  # fmt: skip


async def test_no_field_can_be_changed_but_three(client: KubeClient) -> None:
    await client.post(paths.jobs("default"), job(**FULL))
    path = paths.job("default", "j")
    for field, value in CHANGED.items():
        with pytest.raises(Invalid, match=r"immutable|must be that of"):
            await client.merge_patch(path, {"spec": {field: value}})
    for field in FULL.keys() - {"image"}:
        if field not in (
            "backoffLimit",
            "preemptionLimit",
            "completions",
            "deletionPolicy",
        ):  # these fall back to their defaults
            with pytest.raises(Invalid, match="immutable"):
                await client.merge_patch(path, {"spec": {field: None}})
    for change in ({"suspend": True}, {"suspend": False}, {"ttlSecondsAfterFinished": 9}, {"cancel": True}):
        await client.merge_patch(path, {"spec": change})


async def test_no_field_can_be_added_later(client: KubeClient) -> None:
    await client.post(paths.jobs("default"), job())
    for field in FULL.keys() - {"image", "backoffLimit", "preemptionLimit", "completions", "deletionPolicy"}:
        with pytest.raises(Invalid, match=r"immutable|no field can be added"):
            await client.merge_patch(paths.job("default", "j"), {"spec": {field: FULL[field]}})


@pytest.mark.parametrize("back", [False, None])
async def test_cancel_cannot_be_taken_back(client: KubeClient, back: bool | None) -> None:
    await client.post(paths.jobs("default"), job(cancel=True))
    with pytest.raises(Invalid, match="cancel cannot be taken back"):
        await client.merge_patch(paths.job("default", "j"), {"spec": {"cancel": back}})


async def test_jobs_can_be_selected_by_tenant_provider_and_phase(client: KubeClient) -> None:
    await client.post(paths.jobs("default"), job("a", tenantId="blue"))
    await client.post(paths.jobs("default"), job("b", provider="local"))
    await client.merge_patch(paths.job_status("default", "b"), {"status": {"phase": "Running"}})

    async def names(selector: str) -> list[str]:
        found = await client.get(paths.jobs(), fieldSelector=selector)
        return [item["metadata"]["name"] for item in found["items"]]

    assert await names("spec.tenantId=blue") == ["a"]
    assert await names("spec.provider=local") == ["b"]
    assert await names("status.phase=Running") == ["b"]
    assert await names("status.phase=") == ["a"], "not seen by a controller yet"


@pytest.mark.parametrize(("status", "reason"), [("True", "Submitted"), ("False", "ProviderNotConfigured")])
def test_the_wide_table_says_whether_the_service_has_the_job_or_why_not(status: str, reason: str) -> None:
    [version] = yaml.safe_load((CRDS / "jennahjob.yaml").read_text())["spec"]["versions"]
    [column] = [each for each in version["additionalPrinterColumns"] if each["name"] == "Submission"]
    other = {"type": "ParallelismHonoured", "status": "False", "reason": "NotSupported"}
    shown = {"status": {"conditions": [other, {"type": "Submitted", "status": status, "reason": reason}]}}
    assert columns.printer_column(column).value(shown) == reason
    assert columns.printer_column(column).value({}) is None


def test_everything_that_rules_may_look_at_is_bounded() -> None:
    """By the bounds the API server estimates what a rule may cost, and refuses a CRD whose rules may cost too much."""
    [version] = yaml.safe_load((CRDS / "jennahjob.yaml").read_text())["spec"]["versions"]
    unbounded = set(_unbounded(version["schema"]["openAPIV3Schema"]["properties"]["spec"], "spec"))
    # Numbers or short texts: their pattern bounds them, which no estimate knows; rules compare `resources` as a whole.
    assert unbounded == {"spec.resources.cpu", "spec.resources.memory", "spec.resources.sharedMemory"}


def _unbounded(schema: dict[str, Any], path: str) -> Iterator[str]:
    kind, values = schema.get("type"), schema.get("additionalProperties")
    bound = {"string": "maxLength", "array": "maxItems"}.get(str(kind), "maxProperties" if values else None)
    if (bound and bound not in schema and "enum" not in schema) or schema.get("x-kubernetes-int-or-string"):
        yield path
    for name, child in schema.get("properties", {}).items():
        yield from _unbounded(child, f"{path}.{name}")
    for child in filter(None, (values, schema.get("items"))):
        yield from _unbounded(child, f"{path}[]")
