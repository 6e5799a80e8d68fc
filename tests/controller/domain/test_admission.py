"""What a tenant's jobs may name, field by field and list by list, and how large they may be."""

import sys
from collections.abc import Iterator
from typing import Any, get_args

import msgspec
import pytest

from controller.domain import admission
from controller.domain.errors import NotAllowed
from controller.domain.job import CloudSecretRef, JobSpec, KeyRef, Metadata, ObjectRef, Toleration
from controller.domain.job import parse as parse_job
from controller.domain.resources import Profiles, resolve, size
from controller.domain.tenants import (
    Allow,
    Identity,
    JennahTenant,
    Maxima,
    TenantPolicy,
    TenantSpec,
    overlaps,
    policy_for,
)

SECRET = "projects/p/secrets/team-a-db"
ARNS = "arn:aws:secretsmanager:us-east-1:123456789012:secret:team-a/*"
ARN = "arn:aws:secretsmanager:us-east-1:123456789012:secret:team-a/db-AbCdEf"


def spec(**fields: Any) -> JobSpec:
    """A job of those fields, as YAML has them."""
    return parse_job({"metadata": {"name": "j"}, "spec": {"image": "ghcr.io/acme/tool:1", **fields}}).spec


def secret(name: str) -> dict[str, Any]:
    return {"env": [{"name": "PASSWORD", "valueFrom": {"cloudSecretRef": {"name": name}}}]}


def tenant(name: str, tenant_id: str | None = None, **fields: Any) -> JennahTenant:
    return JennahTenant(metadata=Metadata(name=name), spec=TenantSpec(tenant_id=tenant_id, **fields))


def policy(**fields: Any) -> TenantPolicy:
    return policy_for("team-a", [tenant("team-a", **fields)])


def refused(job: JobSpec, by: TenantPolicy) -> list[tuple[str, str]]:
    """Field and rule of what is not allowed."""
    profiles = Profiles()
    found = admission.refusals(job, resolve(job, profiles), size(job, profiles), by)
    return [(one.field, one.rule) for one in found]


FIELDS = [
    ({"serviceAccount": "sa@p.iam"}, "serviceAccount", "serviceAccounts", "sa@p.iam"),
    ({"aws": {"jobRoleArn": "arn:aws:iam::1:role/r"}}, "aws.jobRoleArn", "serviceAccounts", "arn:aws:iam::1:role/r"),
    ({"aws": {"executionRoleArn": "arn:x"}}, "aws.executionRoleArn", "executionRoles", "arn:x"),
    (secret(f"{SECRET}/versions/3"), "env PASSWORD", "secrets", SECRET),
    (secret(ARN), "env PASSWORD", "secrets", ARN),
    (secret(f"{ARN}:password::"), "env PASSWORD", "secrets", ARN),
    ({"gcp": {"registryUsernameSecret": f"{SECRET}/versions/1"}}, "gcp.registryUsernameSecret", "secrets", SECRET),
    ({"gcp": {"registryPasswordSecret": f"{SECRET}/versions/1"}}, "gcp.registryPasswordSecret", "secrets", SECRET),
    ({"aws": {"registryCredentialsArn": ARN}}, "aws.registryCredentialsArn", "secrets", ARN),
    ({"aws": {"jobQueue": "q"}}, "aws.jobQueue", "queues", "q"),
    ({"aws": {"shareIdentifier": "s"}}, "aws.shareIdentifier", "shareIdentifiers", "s"),
    ({"aws": {"logGroup": "/acme"}}, "aws.logGroup", "logGroups", "/acme"),
    ({"azure": {"pool": "P"}}, "azure.pool", "pools", "p"),
    ({"azure": {"registryIdentity": "/id"}}, "azure.registryIdentity", "registryIdentities", "/id"),
    ({"gcp": {"instanceTemplate": "t"}}, "gcp.instanceTemplate", "instanceTemplates", "t"),
    ({"gcp": {"network": "global/networks/n"}}, "gcp.network", "networks", "global/networks/n"),
    ({"gcp": {"subnetwork": "regions/r/subnetworks/n"}}, "gcp.subnetwork", "networks", "regions/r/subnetworks/n"),
    ({"gcp": {"reservation": "r"}}, "gcp.reservation", "reservations", "r"),
    ({"gcp": {"bootDiskImage": "i"}}, "gcp.bootDiskImage", "bootDiskImages", "i"),
    ({"gcp": {"tags": ["t"]}}, "gcp.tags", "networkTags", "t"),
    ({"kubernetes": {"priorityClassName": "high"}}, "kubernetes.priorityClassName", "priorityClasses", "high"),
    ({"kubernetes": {"imagePullSecrets": ["s"]}}, "kubernetes.imagePullSecrets", "imagePullSecrets", "s"),
    ({"kubernetes": {"nodeSelector": {"pool": "gpu"}}}, "kubernetes.nodeSelector", "nodeSelectors", "pool=gpu"),
    ({"kubernetes": {"nodeSelector": {"pool": "gpu"}}}, "kubernetes.nodeSelector", "nodeSelectors", "pool"),
    ({"kubernetes": {"tolerations": [{"key": "t", "value": "v"}]}}, "kubernetes.tolerations", "tolerations", "t=v"),
    ({"kubernetes": {"tolerations": [{"key": "t"}]}}, "kubernetes.tolerations", "tolerations", "t"),
    ({"labels": {admission.QUEUE_LABEL: "q"}}, f"labels[{admission.QUEUE_LABEL}]", "queues", "q"),
    ({"labels": {admission.PRIORITY_LABEL: "p"}}, f"labels[{admission.PRIORITY_LABEL}]", "priorityClasses", "p"),
]  # fmt: skip


NOBODYS = {
    **dict.fromkeys(("command", "args", "env.name", "env.value"), "the program's own"),
    **dict.fromkeys(
        ("env.valueFrom.secretKeyRef", "env.valueFrom.configMapKeyRef", "envFrom.secretRef", "envFrom.configMapRef"),
        "of the job's namespace, which is one tenant's; of another job's env_vars `kube.environment` refuses them",
    ),
    "envFrom.prefix": "the program's own",
    **dict.fromkeys(("resources.profile", "resources.sharedMemory", "resources.gpu.type"), "sizes: maxima"),
    **dict.fromkeys(("resources.cpu", "resources.memory", "resources.gpu.count"), "sizes: maxima"),
    **dict.fromkeys(("machineType", "completions", "activeDeadlineSeconds"), "sizes: maxima"),
    **dict.fromkeys(("bootDiskGiB", "aws.ephemeralStorageGiB", "spot", "priority"), "no maximum is kept of these"),
    **dict.fromkeys(("backoffLimit", "preemptionLimit", "parallelism", "pendingDeadlineSeconds"), "bounded by the CRD"),
    **dict.fromkeys(("suspend", "cancel", "ttlSecondsAfterFinished", "deletionPolicy"), "of the job itself"),
    **dict.fromkeys(("displayName", "jobId"), "of the job itself, made legal by each service"),
    "labels": "marks of the cloud job; those that act in a cluster are listed above, or refused by Kubernetes' rules",
    "provider": "one of those that the operator is set up for",
    "tenantId": "settled by the namespace (`reconcile.tenancy`)",
    "gcp.noExternalIp": "a switch",
    "aws.assignPublicIp": "a switch",
    **dict.fromkeys(("gcp.allowedLocations", "gcp.bootDiskType", "gcp.minCpuPlatform"), "Google's, for everybody"),
    "gcp.serviceAccountScopes": "narrow an account or say what it has anyway; the account is listed",
    "azure.registryServer": "must be the image's own (`azure.rules`); the identity is listed",
}
"""Fields that name nothing of others, and why."""
LISTED = {
    "image": "imageRegistries",
    "env.valueFrom.cloudSecretRef": "secrets",
    **{field.partition("[")[0]: rule for _, field, rule, _ in FIELDS if not field.startswith(("env ", "labels"))},
}


def fields_of(kind: Any, prefix: str = "") -> Iterator[str]:
    """Every field that a spec can have, those of structs and of structs in lists one by one. References are whole."""
    for one in msgspec.structs.fields(kind):
        name = f"{prefix}{one.encode_name}"
        inner = next((part for part in parts_of(one.type) if issubclass(part, msgspec.Struct)), None)
        if inner is None or inner in (KeyRef, ObjectRef, CloudSecretRef, Toleration):
            yield name
        else:
            yield from fields_of(inner, f"{name}.")


def parts_of(hint: Any) -> Iterator[type]:
    """The classes in a type, such as those of ``tuple[EnvVar, ...] | None``."""
    if isinstance(hint, type) and not get_args(hint):
        yield hint
    for part in get_args(hint):
        yield from parts_of(part)


def test_every_field_of_a_spec_is_on_a_list_or_names_nothing_of_others() -> None:
    """A new field needs a decision: here, and in `admission` where it can name what is another's."""
    assert set(fields_of(JobSpec)) == NOBODYS.keys() | LISTED.keys()
    assert not NOBODYS.keys() & LISTED.keys()


def field_of(rule: str) -> str:
    """The Python name of a list."""
    return next(one.name for one in msgspec.structs.fields(Allow) if one.encode_name == rule)


@pytest.mark.parametrize(("fields", "field", "rule", "entry"), FIELDS)
def test_a_list_alone_decides_over_its_fields(fields: dict[str, Any], field: str, rule: str, entry: str) -> None:
    job = spec(**fields)
    told = (field, f"allow.{rule}")
    assert told in refused(job, policy_for("team-a", [])), "the built-in policy allows nothing foreign"
    assert told in refused(job, policy())
    assert told in refused(job, policy(allow=Allow(**{field_of(rule): ("another",)})))
    assert told not in refused(job, policy(allow=Allow(**{field_of(rule): (entry,)})))
    assert told not in refused(job, policy(trusted=True))
    every_other = {one.name: (entry,) for one in msgspec.structs.fields(Allow) if one.encode_name != rule}
    assert told in refused(job, policy(allow=Allow(**every_other))), "no other list allows it"


def test_every_list_decides_over_some_field() -> None:
    lists = {one.encode_name for one in msgspec.structs.fields(Allow)}
    assert {rule for _, _, rule, _ in FIELDS} | {"imageRegistries"} == lists


def test_a_plain_job_may_run_without_any_policy() -> None:
    job = spec(command=["x"], machineType="e2-standard-4", spot=True, labels={"team": "a"})
    assert refused(job, policy_for("team-a", [])) == []


@pytest.mark.parametrize(
    ("entry", "name", "is_allowed"),
    [
        ("projects/p/secrets/team-a-*", "projects/p/secrets/team-a-db/versions/latest", True),
        ("projects/p/secrets/team-a-*", "projects/p/secrets/team-b-db/versions/1", False),
        ("projects/p/secrets/team-a-*", "projects/p/secrets/team-a-x/versions/../../team-b-db/versions/1", False),
        ("projects/p/secrets/team-a-*", "projects/p/secrets/team-a-x%2F..%2Fteam-b/versions/1", False),
        ("projects/p/secrets/team-a-*", "projects/p//secrets/team-a-x/versions/1", False),
        ("projects/p/secrets/team-a-*", "projects/123456/secrets/team-a-x/versions/1", False),
        ("projects/p/secrets/team-a-*", "projects/p/secrets/TEAM-A-x/versions/1", False),
        ("projects/p/secrets/team-a-*", "projects/p/secrets/team-a-x", False),
        (ARNS, ARN, True),
        (ARNS, f"{ARN}:key:AWSCURRENT:", True),
        (ARNS, ARN.replace("us-east-1", "eu-west-1"), False),
        (ARNS, ARN.replace("12:secret", "13:secret"), False),
        (ARNS, ARN.replace("team-a/", "team-a/../team-b/"), False),
        ("", f"{SECRET}/versions/1", False),
        ("*", f"{SECRET}/versions/1", False),
        ("projects/*/secrets/*", f"{SECRET}/versions/1", False),
    ],
)  # fmt: skip
def test_secrets_are_compared_by_whole_parts(entry: str, name: str, is_allowed: bool) -> None:
    assert (refused(spec(**secret(name)), policy(allow=Allow(secrets=(entry,)))) == []) is is_allowed


def test_a_longer_prefix_of_another_tenant_is_not_covered_by_a_shorter_one() -> None:
    objects = [
        tenant("team-a", allow=Allow(secrets=("projects/p/secrets/team-a-*",))),
        tenant("team-a-prod", allow=Allow(secrets=("projects/p/secrets/team-a-prod-*",))),
    ]
    theirs = spec(**secret("projects/p/secrets/team-a-prod-db/versions/1"))
    assert refused(theirs, policy_for("team-a", objects)) == [("env PASSWORD", "allow.secrets")]
    assert refused(theirs, policy_for("team-a-prod", objects)) == []
    assert refused(spec(**secret(f"{SECRET}/versions/1")), policy_for("team-a", objects)) == []
    [told] = overlaps(objects)
    assert "team-a-*" in told and "team-a-prod-*" in told


def test_a_name_that_is_no_image_comes_from_no_registry() -> None:
    job = JobSpec(image="GHCR/acme/../evil")
    assert refused(job, policy(allow=Allow(image_registries=("ghcr.io",)))) == [("image", "allow.imageRegistries")]


@pytest.mark.parametrize(
    ("fields", "maxima", "rule"),
    [
        ({"machineType": "n1-highmem-16", "resources": {"cpu": 1, "memory": "1Gi"}}, Maxima(cpu=8), "cpu"),
        ({"machineType": "n1-highmem-16", "resources": {"cpu": 1, "memory": "1Gi"}}, Maxima(memory="8Gi"), "memory"),
        ({"machineType": "a2-highgpu-8g", "resources": {"gpu": {"count": 1}}}, Maxima(gpu=1), "gpu"),
        ({"machineType": "Standard_ND96asr_v4", "resources": {"gpu": {"count": 1}}}, Maxima(gpu=1), "gpu"),
        ({"machineType": "a9-next-8g", "provider": "gcp"}, Maxima(gpu=0), "gpu"),
        ({"machineType": "zones/z/machineTypes/n1-highmem-96"}, Maxima(cpu=8), "cpu"),
        ({"machineType": "N1-HIGHMEM-96"}, Maxima(memory="8Gi"), "memory"),
    ],
)
def test_a_small_request_or_another_spelling_is_no_way_to_a_large_machine(
    fields: dict[str, Any], maxima: Maxima, rule: str
) -> None:
    assert [one for _, one in refused(spec(**fields), policy(maxima=maxima))] == [f"maxima.{rule}"]


@pytest.mark.parametrize(
    "fields",
    [
        {"machineType": "m5.24xlarge", "resources": {"cpu": 1, "memory": "1Gi"}},
        {"machineType": "n1-highmem-16", "resources": {"cpu": 1, "memory": "1Gi"}, "provider": "kubernetes"},
        {"machineType": "own-label", "provider": "kubernetes"},
        {"machineType": "anything"},
    ],
)
def test_a_machine_of_which_a_task_has_a_part_counts_by_that_part(fields: dict[str, Any]) -> None:
    most = Maxima(cpu=4, memory="8Gi") if fields != {"machineType": "anything"} else Maxima(completions=5)
    assert refused(spec(**fields), policy(maxima=most)) == []


def test_a_secret_in_the_place_of_its_name_is_not_repeated() -> None:
    job = spec(**secret("hunter2"), gcp={"registryPasswordSecret": "aHVudGVyMg=="})
    with pytest.raises(NotAllowed) as raised:
        admission.check(job, resolve(job, Profiles()), size(job, Profiles()), policy())
    assert "hunter2" not in str(raised.value) and "aHVudGVyMg" not in str(raised.value)
    assert "spec.env PASSWORD: that name is not in allow.secrets" in str(raised.value)


@pytest.mark.parametrize(
    ("fields", "rule"),
    [
        ({"serviceAccount": "team-a-prod-x@p.iam"}, "serviceAccounts"),
        ({"aws": {"jobQueue": "team-a-prod-x"}}, "queues"),
        ({"aws": {"logGroup": "team-a-prod-x"}}, "logGroups"),
        ({"azure": {"pool": "Team-A-Prod-x"}}, "pools"),
        ({"gcp": {"tags": ["team-a-prod-x"]}}, "networkTags"),
    ],
)
def test_of_two_tenants_prefixes_the_longer_one_decides_in_every_list(fields: dict[str, Any], rule: str) -> None:
    objects = [
        tenant("team-a", allow=Allow(**{field_of(rule): ("team-a-*",)})),
        tenant("team-a-prod", allow=Allow(**{field_of(rule): ("team-a-prod-*",)})),
    ]
    assert [one for _, one in refused(spec(**fields), policy_for("team-a", objects))] == [f"allow.{rule}"]
    assert refused(spec(**fields), policy_for("team-a-prod", objects)) == []
    assert len(overlaps(objects)) == 1
    both = [*objects, tenant("team-c", allow=Allow(**{field_of(rule): ("team-a-prod-*",)}))]
    assert refused(spec(**fields), policy_for("team-c", both)) == [], "one prefix of two tenants is for both"


def test_overlaps_of_many_tenants_are_found_in_one_pass() -> None:
    """Each pair of prefixes would be four million comparisons here, in the event loop."""
    objects = [
        tenant(f"t{number}", allow=Allow(secrets=tuple(f"projects/p/secrets/t{number}-{one}-*" for one in range(10))))
        for number in range(200)
    ]
    calls = 0

    def count(frame: Any, event: str, function: Any) -> None:
        nonlocal calls
        calls += event == "c_call"
        assert calls < 100_000

    sys.setprofile(count)
    try:
        found = overlaps(objects)
    finally:
        sys.setprofile(None)
    assert found == [] and calls > 0


def test_a_default_that_names_a_tenant_is_that_tenants_alone() -> None:
    objects = [tenant("default", "team-a", trusted=True)]
    assert policy_for("team-a", objects).spec.trusted
    assert policy_for("team-b", objects).source == "the built-in policy"


@pytest.mark.parametrize(
    ("entry", "image", "is_allowed"),
    [
        ("ghcr.io", "ghcr.io/acme/tool:1", True),
        ("ghcr.io/acme", "ghcr.io/acme/tool:1", True),
        ("ghcr.io/acme/", "ghcr.io/acme/tool:1", True),
        ("ghcr.io/ac", "ghcr.io/acme/tool:1", False),
        ("ghcr.io", "ghcr.io.evil.example/acme/tool", False),
        ("https://index.docker.io/v1/", "busybox", False),
        ("docker.io", "busybox", True),
        ("index.docker.io", "acme/tool", True),
        ("docker.io/library", "acme/tool", False),
        ("docker.io/library", "busybox", True),
        ("r.example.com:5000", "r.example.com/a", False),
    ],
)
def test_images_come_from_the_registries_that_are_named(entry: str, image: str, is_allowed: bool) -> None:
    job = JobSpec(image=image)
    assert (refused(job, policy(allow=Allow(image_registries=(entry,)))) == []) is is_allowed
    assert refused(job, policy(allow=Allow(image_registries=()))) == [("image", "allow.imageRegistries")]


@pytest.mark.parametrize(
    ("fields", "maxima", "rule"),
    [
        ({"resources": {"cpu": 5}}, Maxima(cpu=4), "cpu"),
        ({"machineType": "n1-highmem-16"}, Maxima(cpu=8), "cpu"),
        ({"resources": {"memory": "5Gi"}}, Maxima(memory="4Gi"), "memory"),
        ({"resources": {"gpu": {"count": 2, "type": "t"}}}, Maxima(gpu=1), "gpu"),
        ({"machineType": "g2-standard-4"}, Maxima(gpu=0), "gpu"),
        ({"completions": 11}, Maxima(completions=10), "completions"),
        ({"activeDeadlineSeconds": 61}, Maxima(active_deadline_seconds=60), "activeDeadlineSeconds"),
    ],
)
def test_a_job_is_no_larger_than_its_tenant_may_have(fields: dict[str, Any], maxima: Maxima, rule: str) -> None:
    for trusted in (False, True):
        assert [one for _, one in refused(spec(**fields), policy(maxima=maxima, trusted=trusted))] == [f"maxima.{rule}"]


def test_the_default_object_holds_for_tenants_without_their_own() -> None:
    default = tenant("default", allow=Allow(queues=("shared",)))
    own = tenant("team-a", allow=Allow(queues=("mine",)))
    named = tenant("ops", "Team_B", allow=Allow(queues=("b",)))
    objects = [default, own, named]
    assert policy_for("team-c", objects).source == "JennahTenant default"
    assert policy_for("team-a", objects).spec.allow.queues == ("mine",)
    assert policy_for("Team_B", objects).spec.allow.queues == ("b",)
    assert policy_for("default", objects).source == "JennahTenant default"
    assert policy_for("x", []).source == "the built-in policy"


def test_two_objects_that_claim_a_tenant_allow_nothing_but_the_one_that_is_called_so() -> None:
    one, other = tenant("x", "team-a", trusted=True), tenant("y", "team-a", trusted=True)
    assert "x and y" in policy_for("team-a", [one, other]).source
    assert not policy_for("team-a", [one, other]).spec.trusted
    own = tenant("team-a", allow=Allow(queues=("mine",)))
    assert policy_for("team-a", [one, own]).spec.allow.queues == ("mine",)


def test_a_job_without_an_identity_gets_its_tenants_else_the_installations() -> None:
    by = policy(identity=Identity(gcp="team-a@p.iam"))
    assert admission.with_identity(JobSpec(image="i"), "gcp", by, "all@p.iam").service_account == "team-a@p.iam"
    assert admission.with_identity(JobSpec(image="i"), "aws", by, "arn:all").service_account == "arn:all"
    assert admission.with_identity(JobSpec(image="i"), "aws", by, "").service_account is None
    own = JobSpec(image="i", service_account="own")
    assert admission.with_identity(own, "gcp", by, "all@p.iam").service_account == "own"
    assert refused(JobSpec(image="i", service_account="team-a@p.iam"), by) == [], "its own default may be named"


def test_a_refusal_names_field_list_and_policy() -> None:
    job = spec(aws={"jobQueue": "theirs"})
    with pytest.raises(NotAllowed) as raised:
        admission.check(job, resolve(job, Profiles()), size(job, Profiles()), policy())
    assert str(raised.value) == (
        "spec.aws.jobQueue: 'theirs' is not in allow.queues of JennahTenant team-a, which holds for the tenant 'team-a'"
    )
