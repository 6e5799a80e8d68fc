"""A value of each field of the spec, for the tests that compare what an adapter makes of it with its column."""

import copy
from collections.abc import Mapping
from typing import Any

import msgspec

from controller.domain.job import JobSpec

BASE: Mapping[str, Any] = {
    "image": "registry.example.com/acme/tool:1",
    "command": ["tool"],
    "resources": {"cpu": 2, "memory": "4Gi"},
    "activeDeadlineSeconds": 3600,
}
"""The job that all others are like, but for the field in question."""


class Case(msgspec.Struct, frozen=True):
    """Values of one field."""

    value: Any
    """Of a field that the service rounds: one that it does not have."""
    base: Mapping[str, Any] = {}
    """Further fields, by path, that the job has with the field and without it."""
    exact: Any = None
    """Another value, which each service has. None: there is nothing to round."""
    exact_base: Mapping[str, Any] | None = None
    """The further fields that go with it. None: as `base`."""
    env: Mapping[str, str] = {}
    """The variables that the operator finds with the field."""
    path: str = ""
    """What is set, where it is not the field alone: fields that go together. "": the field."""


_NAMES = {"name": "settings"}
_DIGEST = "@sha256:" + "1" * 64
_REGISTRY = "registry.example.com"
_IDENTITY = "/subscriptions/s/resourceGroups/g/providers/Microsoft.ManagedIdentity/userAssignedIdentities"

CASES: Mapping[str, Case] = {
    "image": Case("registry.example.com/acme/other" + _DIGEST),
    "command": Case(["other", "a b"]),
    "args": Case(["--fast", "a b"]),
    "env": Case([{"name": "A", "value": "1"}], env={"A": "1"}),
    "env.valueFrom.cloudSecretRef": Case("projects/acme/secrets/key/versions/1"),
    "envFrom": Case([{"secretRef": _NAMES}], env={"B": "2"}),
    "resources.profile": Case("large", base={"resources": {}}),
    "resources.cpu": Case("1500m", exact=4, exact_base={"resources.memory": "8Gi"}),
    "resources.memory": Case("3500Mi", exact="8Gi", exact_base={"resources.cpu": 4}),
    "resources.sharedMemory": Case("1Gi"),
    "resources.gpu": Case({"count": 1}),
    "resources.gpu.type": Case("nvidia-tesla-t4", base={"resources.gpu.count": 1}),
    "machineType": Case("n1-standard-4", base={"resources": {}}, exact="n1-standard-4", exact_base={}),
    "bootDiskGiB": Case(100),
    "spot": Case(True),
    "serviceAccount": Case("batch@acme.iam.gserviceaccount.com"),
    "activeDeadlineSeconds": Case(45, exact=7200),
    "pendingDeadlineSeconds": Case(600),
    "backoffLimit": Case(1),
    "preemptionLimit": Case(1, base={"spot": True}, exact=1, exact_base={"spot": True, "backoffLimit": 0}),
    "completions": Case(4),
    "parallelism": Case(2, base={"completions": 4}),
    "priority": Case(50, exact=40),
    "labels": Case({"app.kubernetes.io/Name": "R&D*"}, exact={"team": "research"}),
    "gcp": Case({"noExternalIp": True}),
    "gcp.network": Case("projects/acme/global/networks/prod"),
    "gcp.subnetwork": Case("projects/acme/regions/us-central1/subnetworks/batch"),
    "gcp.noExternalIp": Case(True),
    "gcp.allowedLocations": Case(["zones/us-central1-a"]),
    "gcp.instanceTemplate": Case("batch-template"),
    "gcp.bootDiskType": Case("pd-ssd"),
    "gcp.bootDiskImage": Case("batch-debian"),
    "gcp.minCpuPlatform": Case("Intel Ice Lake"),
    "gcp.reservation": Case("projects/acme/zones/us-central1-a/reservations/r"),
    "gcp.tags": Case(["batch"]),
    "gcp.registryUsernameSecret": Case(
        "projects/acme/secrets/user/versions/1",
        base={"gcp.registryPasswordSecret": "projects/acme/secrets/password/versions/1"},
    ),
    "gcp.registryPasswordSecret": Case(
        "projects/acme/secrets/password/versions/2",
        base={"gcp.registryUsernameSecret": "projects/acme/secrets/user/versions/1"},
    ),
    "gcp.serviceAccountScopes": Case(
        ["https://www.googleapis.com/auth/cloud-platform"],
        base={"serviceAccount": "batch@acme.iam.gserviceaccount.com"},
    ),
    "aws": Case({"logGroup": "/acme/jobs"}),
    "aws.jobQueue": Case("other"),
    "aws.jobRoleArn": Case("arn:aws:iam::123456789012:role/job"),
    "aws.executionRoleArn": Case("arn:aws:iam::123456789012:role/other"),
    "aws.shareIdentifier": Case("research", base={"aws.jobQueue": "jennah-fair"}),
    "aws.ephemeralStorageGiB": Case(50, base={"aws.jobQueue": "jennah-fargate"}),
    "aws.assignPublicIp": Case(True, base={"aws.jobQueue": "jennah-fargate"}),
    "aws.registryCredentialsArn": Case("arn:aws:secretsmanager:eu-west-1:123456789012:secret:registry"),
    "aws.logGroup": Case("/acme/jobs"),
    "azure": Case({"pool": "other"}),
    "azure.pool": Case("other"),
    "azure.registryServer": Case({"registryServer": _REGISTRY, "registryIdentity": f"{_IDENTITY}/1"}, path="azure"),
    "azure.registryIdentity": Case(
        f"{_IDENTITY}/2", base={"azure": {"registryServer": _REGISTRY, "registryIdentity": f"{_IDENTITY}/1"}}
    ),
    "kubernetes": Case({"priorityClassName": "batch"}),
    "kubernetes.priorityClassName": Case("batch"),
    "kubernetes.imagePullSecrets": Case(["registry"]),
    "kubernetes.nodeSelector": Case({"disk": "ssd"}),
    "kubernetes.tolerations": Case([{"key": "batch", "operator": "Exists"}]),
    "displayName": Case("Nightly report"),
    "tenantId": Case("other-tenant"),
    "jobId": Case("other-job"),
    "suspend": Case(True),
    "cancel": Case(True),
    "ttlSecondsAfterFinished": Case(60),
    "deletionPolicy": Case("Orphan"),
}

OVERRIDES: Mapping[tuple[str, str], Case] = {
    ("gcp", "machineType"): Case("x9-standard-4", base={"resources": {}}, exact="n1-standard-4"),
    ("gcp", "parallelism"): Case(6000, base={"completions": 10000}, exact=2),
    ("gcp", "resources.gpu"): Case({"count": 1, "type": "nvidia-tesla-t4"}),
    ("gcp", "resources.gpu.type"): Case("nvidia-tesla-t4", base={"resources.gpu": {"count": 1, "type": "nvidia-l4"}}),
    ("aws", "env.valueFrom.cloudSecretRef"): Case("arn:aws:secretsmanager:eu-west-1:123456789012:secret:key"),
    ("aws", "serviceAccount"): Case("arn:aws:iam::123456789012:role/job"),
    ("aws", "machineType"): Case("r5.xlarge", base={"resources": {}}, exact="r5.xlarge", exact_base={}),
    ("aws", "resources.memory"): Case("3500Mi", base={"aws.jobQueue": "jennah-fargate"}, exact="8Gi"),
    ("aws", "resources.gpu.type"): Case("a100", base={"resources.gpu.count": 1}),
    ("azure", "args"): Case(["tool", "--fast"], base={"command": None}),
    # Alone it is the whole node, which has one task slot; anything less is rounded up to that.
    ("azure", "machineType"): Case("Standard_NC4as_T4_v3", base={"resources": {}}),
    ("azure", "resources.gpu"): Case(
        {"count": 1}, exact={"count": 1}, exact_base={"resources.cpu": 4, "resources.memory": "28Gi"}
    ),
    ("azure", "resources.gpu.type"): Case(
        {"cpu": 96, "memory": "900Gi", "gpu": {"count": 8, "type": "a100"}},
        base={"resources": {"cpu": 4, "memory": "28Gi", "gpu": {"count": 1}}},
        path="resources",
    ),
    ("kubernetes", "serviceAccount"): Case("batch"),
    ("kubernetes", "labels"): Case({"app.kubernetes.io/name": "tool"}),
    ("local", "resources.cpu"): Case("1500m", base={"resources": {}}),
    ("local", "resources.memory"): Case("3500Mi", base={"resources": {}}),
}
"""What a service must be given in another form."""


def case(provider: str, path: str) -> Case:
    """Raises KeyError for a field that the table lacks."""
    if path == "provider":
        return Case(provider)
    return OVERRIDES.get((provider, path)) or CASES[path]


def spec(fields: Mapping[str, Any]) -> JobSpec:
    """`BASE` with these fields, by path."""
    wire: dict[str, Any] = msgspec.to_builtins(BASE)
    for path, value in copy.deepcopy(dict(fields)).items():
        if path == "env.valueFrom.cloudSecretRef":
            path, value = "env", [{"name": "SECRET", "valueFrom": {"cloudSecretRef": {"name": value}}}]
        *parents, last = path.split(".")
        node = wire
        for name in parents:
            node = node.setdefault(name, {})
        node[last] = value
    return msgspec.convert(wire, JobSpec, strict=True)
