"""Spec to CreateJob's request, without a service."""

import string
import uuid
from datetime import timedelta
from typing import Any

import msgspec
import pytest
from google.cloud import batch_v1
from hypothesis import given
from hypothesis import strategies as st

from controller.domain import names
from controller.domain.job import CloudSecretRef, EnvVar, EnvVarSource, GcpOptions, Gpu, JobSpec, Resources
from controller.domain.resources import Profiles, ResourceSet, Sizing, resolve
from controller.ports import SubmitRequest
from controller.providers.gcp import request
from dev.emulators.gcp import refusals
from tests.controller.providers.gcp.samples import PLACE, UID, submission, words

SECRET = "projects/acme/secrets/s/versions/1"


def created(env: dict[str, str] | None = None, resources: ResourceSet | None = None, **spec: Any) -> batch_v1.Job:
    return request.create_request(submission(env, resources, **spec), PLACE).job


def task_spec(job: batch_v1.Job) -> batch_v1.TaskSpec:
    return job.task_groups[0].task_spec


def container(job: batch_v1.Job) -> batch_v1.Runnable.Container:
    return task_spec(job).runnables[0].container


def instances(job: batch_v1.Job) -> batch_v1.AllocationPolicy.InstancePolicyOrTemplate:
    return job.allocation_policy.instances[0]


def test_the_name_is_the_id_and_a_repeat_is_the_same_call() -> None:
    one, other = (request.create_request(submission(), PLACE) for _ in range(2))
    assert (one.parent, one.job_id) == ("projects/acme/locations/us-central1", names.external_name("job", UID))
    assert one == other
    assert uuid.UUID(one.request_id).version == 5


def test_defaults_are_the_originals_and_logs_are_kept() -> None:
    job = created()
    assert len(job.task_groups) == 1
    assert job.task_groups[0].task_count == 1
    assert task_spec(job).compute_resource.cpu_milli == 2000
    assert task_spec(job).compute_resource.memory_mib == 4096
    assert task_spec(job).max_run_duration == timedelta(seconds=3600)
    assert task_spec(job).max_retry_count == 3
    assert instances(job).policy.boot_disk.size_gb == 50
    assert instances(job).policy.provisioning_model == batch_v1.AllocationPolicy.ProvisioningModel.STANDARD
    assert list(job.allocation_policy.location.allowed_locations) == ["regions/us-central1"]
    assert job.logs_policy.destination == batch_v1.LogsPolicy.Destination.CLOUD_LOGGING
    assert not job.allocation_policy.network.network_interfaces
    assert not instances(job).install_gpu_drivers


@pytest.mark.parametrize(
    ("command", "args", "entrypoint", "commands"),
    [
        (None, None, "", []),
        (None, ("a", "b"), "", ["a", "b"]),
        (("run",), None, "run", []),
        (("sh", "-c", "exit 3"), None, "sh", ["-c", "exit 3"]),
        (("sh", "-c"), ("exit 3",), "sh", ["-c", "exit 3"]),
        ((), ("a",), "", ["a"]),
    ],
)
def test_the_entrypoint_is_one_word_and_the_rest_goes_before_the_arguments(
    command: Any, args: Any, entrypoint: str, commands: list[str]
) -> None:
    made = container(created(command=command, args=args))
    assert (made.entrypoint, list(made.commands)) == (entrypoint, commands)


def test_every_field_of_the_spec_is_mapped() -> None:
    job = created(
        machine_type="n1-standard-4",
        boot_disk_gib=80,
        service_account="runner@acme.iam.gserviceaccount.com",
        backoff_limit=5,
        completions=8,
        parallelism=4,
        priority=42,
        labels={"Team": "Data Science"},
        gcp=GcpOptions(
            network="global/networks/n",
            subnetwork="regions/us-central1/subnetworks/s",
            no_external_ip=True,
            allowed_locations=("zones/us-central1-a", "zones/us-central1-b"),
            boot_disk_type="pd-ssd",
            boot_disk_image="batch-debian",
            min_cpu_platform="Intel Ice Lake",
            reservation="NO_RESERVATION",
            tags=("web",),
            registry_username_secret=SECRET,
            registry_password_secret=SECRET,
            service_account_scopes=("https://www.googleapis.com/auth/cloud-platform",),
        ),
    )
    assert (job.priority, job.task_groups[0].task_count, job.task_groups[0].parallelism) == (42, 8, 4)
    assert job.labels["team"] == "data-science"
    assert job.allocation_policy.labels == job.labels
    assert task_spec(job).max_retry_count == 5
    assert (container(job).username, container(job).password) == (SECRET, SECRET)
    policy = instances(job).policy
    assert (policy.machine_type, policy.min_cpu_platform, policy.reservation) == (
        "n1-standard-4",
        "Intel Ice Lake",
        "NO_RESERVATION",
    )
    assert (policy.boot_disk.size_gb, policy.boot_disk.type_, policy.boot_disk.image) == (80, "pd-ssd", "batch-debian")
    (interface,) = job.allocation_policy.network.network_interfaces
    assert (interface.network, interface.subnetwork, interface.no_external_ip_address) == (
        "global/networks/n",
        "regions/us-central1/subnetworks/s",
        True,
    )
    assert list(job.allocation_policy.location.allowed_locations) == ["zones/us-central1-a", "zones/us-central1-b"]
    assert list(job.allocation_policy.tags) == ["web"]
    account = job.allocation_policy.service_account
    assert account.email == "runner@acme.iam.gserviceaccount.com"
    assert list(account.scopes) == ["https://www.googleapis.com/auth/cloud-platform"]


def test_secrets_of_the_cloud_go_by_name_and_win_over_values() -> None:
    source = EnvVarSource(cloud_secret_ref=CloudSecretRef(name=SECRET))
    job = request.create_request(_with_secret(source), PLACE).job
    environment = task_spec(job).environment
    assert dict(environment.secret_variables) == {"TOKEN": SECRET}
    assert environment.variables["A"] == "1"
    assert "TOKEN" not in environment.variables
    assert environment.variables["JENNAH_JOB_ID"] == "id.1"


def _with_secret(source: EnvVarSource) -> SubmitRequest:
    base = submission({"A": "1", "TOKEN": "plain"})
    spec = msgspec.structs.replace(base.spec, env=(EnvVar(name="TOKEN", value_from=source),))
    return msgspec.structs.replace(base, spec=spec)


@pytest.mark.parametrize(
    ("parallelism", "completions", "sent"), [(10, 2, 2), (2, 10, 2), (6000, 100, 100), (None, 3, 0)]
)
def test_no_more_tasks_run_at_once_than_there_are(parallelism: int | None, completions: int, sent: int) -> None:
    assert created(parallelism=parallelism, completions=completions).task_groups[0].parallelism == sent


def test_an_instance_template_says_everything_about_the_vms() -> None:
    gcp = GcpOptions(instance_template="t", network="n", boot_disk_type="pd-ssd")
    job = created(gcp=gcp, machine_type="n1-standard-4", boot_disk_gib=80)
    assert instances(job).instance_template == "t"
    assert "policy" not in instances(job)
    assert not job.allocation_policy.network.network_interfaces


@pytest.mark.parametrize(
    ("given", "sent"),
    [
        ("default", "global/networks/default"),
        ("global/networks/n", "global/networks/n"),
        ("projects/host/global/networks/n/", "projects/host/global/networks/n"),
        (
            "https://www.googleapis.com/compute/v1/projects/host/global/networks/n",
            "https://www.googleapis.com/compute/v1/projects/host/global/networks/n",
        ),
    ],
)
def test_a_network_may_be_given_by_its_name(given: str, sent: str) -> None:
    (interface,) = created(gcp=GcpOptions(network=given)).allocation_policy.network.network_interfaces
    assert interface.network == sent


def test_a_subnetworks_name_is_one_of_the_jobs_region() -> None:
    (interface,) = created(gcp=GcpOptions(subnetwork="batch")).allocation_policy.network.network_interfaces
    assert interface.subnetwork == "regions/us-central1/subnetworks/batch"


def test_shared_memory_is_an_option_of_the_container() -> None:
    assert container(created()).options == ""
    asked = msgspec.structs.replace(submission(), sizing=Sizing(shared_memory_mib=2048))
    assert container(request.create_request(asked, PLACE).job).options == "--shm-size=2048m"


specs = st.builds(
    JobSpec,
    image=st.text(string.ascii_lowercase, min_size=1, max_size=20),
    command=st.none() | st.lists(words, max_size=4).map(tuple),
    args=st.none() | st.lists(words, max_size=4).map(tuple),
    machine_type=st.none() | st.just("n1-newer-4"),
    boot_disk_gib=st.none() | st.integers(10, 65536),
    spot=st.none() | st.booleans(),
    service_account=st.none() | st.just("runner@acme.iam.gserviceaccount.com"),
    active_deadline_seconds=st.none() | st.integers(1, 31_536_000),
    backoff_limit=st.integers(0, 10),
    completions=st.integers(1, 10_000),
    parallelism=st.none() | st.integers(1, 5000),
    priority=st.none() | st.integers(0, 99),
    labels=st.none() | st.dictionaries(words, words, max_size=48),
    resources=st.none()
    | st.builds(
        Resources,
        cpu=st.none() | st.integers(1, 4096),
        memory=st.none() | st.sampled_from(["4Gi", "512Mi", 10**9]),
        gpu=st.none() | st.builds(Gpu, count=st.sampled_from([1, 2, 4]), type=st.just("nvidia-tesla-t4")),
    ),
    gcp=st.none()
    | st.builds(
        GcpOptions,
        network=st.none() | st.sampled_from(["default", "global/networks/n", "projects/p/global/networks/n"]),
        no_external_ip=st.none() | st.booleans(),
        instance_template=st.none() | words,
        tags=st.none() | st.lists(words, max_size=3).map(tuple),
        boot_disk_image=st.none() | words,
    ),
)


@given(spec=specs, env=st.dictionaries(st.text(string.ascii_uppercase, min_size=1), words, max_size=5))
def test_whatever_the_resource_may_hold_becomes_a_request_that_the_service_takes(
    spec: JobSpec, env: dict[str, str]
) -> None:
    one = submission(env, resolve(spec, Profiles()))
    made = request.create_request(msgspec.structs.replace(one, spec=spec), PLACE)
    refusals.check_create(batch_v1.CreateJobRequest.pb(made))
    assert {**env} == {name: made.job.task_groups[0].task_spec.environment.variables[name] for name in env}
