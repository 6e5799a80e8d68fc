"""The pure mapping of GCP Batch: requests, observations, labels, and what is kept out of messages."""

import string
import uuid
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import pytest
from google.cloud import batch_v1
from hypothesis import given
from hypothesis import strategies as st

from controller.domain import names, reasons
from controller.domain.errors import Permanent
from controller.domain.job import CloudSecretRef, EnvVar, EnvVarSource, GcpOptions, Gpu, JobSpec, Resources, TaskCounts
from controller.domain.phases import Phase
from controller.domain.resources import Profiles, ResourceSet, resolve
from controller.ports import SubmitRequest
from controller.providers import redaction
from controller.providers.gcp import events, labels, observation, places, request
from dev.emulators.gcp import messages, refusals

PLACE = places.Place(project="acme", region="us-central1", instance="test")
UID = str(uuid.UUID(int=7))
SECRET = "projects/acme/secrets/s/versions/1"
START = datetime(2026, 11, 24, 12, tzinfo=UTC)
State = batch_v1.JobStatus.State
TaskState = batch_v1.TaskStatus.State


def submission(env: dict[str, str] | None = None, resources: ResourceSet | None = None, **spec: Any) -> SubmitRequest:
    return SubmitRequest(
        created_at=datetime(2026, 1, 1, tzinfo=UTC),
        external_name=names.external_name("job", UID),
        uid=UID,
        job_id="id.1",
        tenant_id="Tenant.One",
        spec=JobSpec(image="busybox", **spec),
        resources=resources or ResourceSet(cpu_millis=2000, memory_mib=4096, max_run_duration_seconds=3600),
        env=env or {},
    )


def created(env: dict[str, str] | None = None, resources: ResourceSet | None = None, **spec: Any) -> batch_v1.Job:
    return request.create_request(submission(env, resources, **spec), PLACE).job


def task_spec(job: batch_v1.Job) -> batch_v1.TaskSpec:
    return job.task_groups[0].task_spec


def container(job: batch_v1.Job) -> batch_v1.Runnable.Container:
    return task_spec(job).runnables[0].container


def instances(job: batch_v1.Job) -> batch_v1.AllocationPolicy.InstancePolicyOrTemplate:
    return job.allocation_policy.instances[0]


# --- spec to request -----------------------------------------------------------------------------------------


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


def test_gpus_come_with_their_driver() -> None:
    job = request.create_request(_with_gpu(Gpu(count=2, type="nvidia-tesla-t4")), PLACE).job
    (accelerator,) = instances(job).policy.accelerators
    assert (accelerator.type_, accelerator.count) == ("nvidia-tesla-t4", 2)
    assert instances(job).install_gpu_drivers


def test_machine_types_that_bring_their_gpus_need_no_type() -> None:
    job = request.create_request(_with_gpu(Gpu(count=1), machine_type="a2-highgpu-1g"), PLACE).job
    assert not instances(job).policy.accelerators
    assert instances(job).install_gpu_drivers


def _with_gpu(gpu: Gpu, **spec: Any) -> SubmitRequest:
    base = submission(**spec)
    return msgspec.structs.replace(base, spec=msgspec.structs.replace(base.spec, resources=Resources(gpu=gpu)))


def test_spot_jobs_with_retries_use_them_for_preemptions_too() -> None:
    job = created(spot=True, backoff_limit=2)
    assert instances(job).policy.provisioning_model == batch_v1.AllocationPolicy.ProvisioningModel.SPOT
    assert task_spec(job).max_retry_count == 2
    (policy,) = task_spec(job).lifecycle_policies
    assert policy.action == batch_v1.LifecyclePolicy.Action.RETRY_TASK
    assert set(policy.action_condition.exit_codes) == {*range(1, 256), *range(50000, 50007)}, "whatever there is"


def test_spot_jobs_without_retries_are_retried_when_they_lost_their_vm_only() -> None:
    spec = task_spec(created(spot=True, backoff_limit=0))
    (policy,) = spec.lifecycle_policies
    assert policy.action == batch_v1.LifecyclePolicy.Action.FAIL_TASK
    assert set(policy.action_condition.exit_codes) == {*range(1, 256), 50005}, "failures and time limits are final"
    assert spec.max_retry_count == request.SPOT_RETRIES


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
    ("bad", "field"),
    [
        (submission(parallelism=5001, completions=9000), "spec.parallelism"),
        (submission(completions=100_001), "spec.completions"),
        (submission(boot_disk_gib=9), "spec.bootDiskGiB"),
        (submission({"A": "x" * 1_000_001}), "spec.env"),
        (submission(args=("x" * 1_000_001,)), "spec.args"),
        (submission(gcp=GcpOptions(allowed_locations=("us-central1-a",))), "spec.gcp.allowedLocations"),
        (submission(gcp=GcpOptions(registry_password_secret="hunter2")), "spec.gcp.registryPasswordSecret"),
        (submission(labels={f"k{n}": "v" for n in range(61)}), "spec.labels"),
        (submission(resources=ResourceSet(cpu_millis=1, memory_mib=2**70)), "spec.resources.memory"),
        (_with_gpu(Gpu(count=1)), "spec.resources.gpu.type"),
        (_with_secret(EnvVarSource(cloud_secret_ref=CloudSecretRef(name="hunter2"))), "spec.env TOKEN"),
    ],
)
def test_what_the_service_is_known_not_to_take_is_refused_with_the_field(bad: SubmitRequest, field: str) -> None:
    with pytest.raises(Permanent) as refused:
        request.create_request(bad, PLACE)
    assert refused.value.reason == reasons.INVALID_SPEC
    assert str(refused.value).startswith(field)
    assert "hunter2" not in str(refused.value)


words = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
specs = st.builds(
    JobSpec,
    image=st.text(string.ascii_lowercase, min_size=1, max_size=20),
    command=st.none() | st.lists(words, max_size=4).map(tuple),
    args=st.none() | st.lists(words, max_size=4).map(tuple),
    machine_type=st.none() | st.just("e2-standard-4"),
    boot_disk_gib=st.none() | st.integers(10, 65536),
    spot=st.none() | st.booleans(),
    service_account=st.none() | words.filter(bool),
    active_deadline_seconds=st.none() | st.integers(1, 31_536_000),
    backoff_limit=st.integers(0, 10),
    completions=st.integers(1, 10_000),
    parallelism=st.none() | st.integers(1, 5000),
    priority=st.none() | st.integers(0, 99),
    labels=st.none() | st.dictionaries(words, words, max_size=48),
    resources=st.none()
    | st.builds(
        Resources,
        cpu=st.none() | st.integers(1, 10**9),
        memory=st.none() | st.sampled_from(["4Gi", "512Mi", 10**9]),
        gpu=st.none() | st.builds(Gpu, count=st.integers(1, 64), type=st.just("nvidia-tesla-t4")),
    ),
    gcp=st.none()
    | st.builds(
        GcpOptions,
        network=st.none() | words,
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


# --- labels --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("given_labels", "expected"),
    [
        ({"team": "data"}, {"team": "data"}),
        ({"Team": "Data Science"}, {"team": "data-science"}),
        ({"app.kubernetes.io/name": "x"}, {"app-kubernetes-io-name": "x"}),
        ({"1st": "x"}, {"x-1st": "x"}),
        ({"": "x"}, {"x-": "x"}),
        ({"goog-x": "a", "google-y": "b"}, {"x-goog-x": "a", "x-google-y": "b"}),
        ({"Goog-x": "a"}, {"x-goog-x": "a"}),
        ({"jennah-uid": "not theirs to set"}, {"x-jennah-uid": "not-theirs-to-set"}),
        ({"k" * 70: "v" * 70}, {"k" * 63: "v" * 63}),
        ({"Ünïcode": "é"}, {"x--n-code": "-"}),
    ],
)
def test_labels_become_legal(given_labels: dict[str, str], expected: dict[str, str]) -> None:
    assert labels.sanitised(given_labels) == expected


def test_keys_that_would_become_one_are_kept_apart_whatever_their_order() -> None:
    users = {"a.b": "1", "a/b": "2", "a-b": "3", "A-B": "4"}
    found = labels.sanitised(users)
    assert found["a-b"] == "3"  # who has the key as it is keeps it
    assert sorted(found.values()) == ["1", "2", "3", "4"]
    assert labels.sanitised(dict(reversed(users.items()))) == found


@given(st.dictionaries(words, words, max_size=48))
def test_no_label_is_lost_and_all_are_legal(users: dict[str, str]) -> None:
    own = labels.ours(msgspec.structs.replace(submission(deletion_policy="Orphan"), namespace="a"), "i")
    merged = labels.merged(users, own)
    assert len(merged) == len(users) + len(own)
    assert merged.items() >= own.items()
    refusals._check_labels("labels", merged)


@given(st.from_regex(r"[A-Za-z0-9]([A-Za-z0-9._-]{0,34}[A-Za-z0-9])?", fullmatch=True))
def test_whose_a_job_is_can_be_read_from_its_labels_exactly(owner: str) -> None:
    asked = msgspec.structs.replace(submission(), tenant_id=owner, job_id=owner.lower())
    own = labels.ours(asked, "i")
    refusals._check_labels("labels", own)
    assert (labels.exact(own, labels.TENANT), labels.exact(own, labels.JOB_ID)) == (owner, owner.lower())


# --- what the service says -----------------------------------------------------------------------------------


def native(state: int, *told: tuple[str, float], counts: dict[str, int] | None = None, spot: bool = False) -> Any:
    """A job's message; events are (text, seconds after START)."""
    job = messages.Job(name=f"{PLACE.parent}/jobs/n", uid="job-uid", labels={labels.UID: UID})
    job.create_time.FromDatetime(START)
    job.update_time.FromDatetime(START + timedelta(seconds=500))
    job.status.state = state
    for text, seconds in told:
        add_event(job.status.status_events, text, seconds)
    for name, number in (counts or {}).items():
        job.status.task_groups["group0"].counts[name] = number
    if spot:
        job.status.task_groups["group0"].instances.add(provisioning_model=messages.SPOT)
    return job


def add_event(status_events: Any, text: str, seconds: float, **fields: Any) -> Any:
    event = status_events.add(type_="STATUS_CHANGED", description=text, **fields)
    event.event_time.FromDatetime(START + timedelta(seconds=seconds))
    return event


def change(before: str, after: str, more: str = "") -> str:
    return f"Job state is set from {before} to {after} for job projects/1/locations/us-central1/jobs/n.{more}"


def task(index: int, state: int, *codes: int) -> Any:
    """A task's message that ended with these exit codes, one an attempt; 0 has no task_execution."""
    message = messages.Task(name=f"{PLACE.parent}/jobs/n/taskGroups/group0/tasks/{index}")
    message.status.state = state
    for number, code in enumerate(codes):
        add_event(message.status.status_events, "to RUNNING", number * 10, task_state=TaskState.RUNNING)
        text = f"Task state is updated from RUNNING to FAILED on zones/z/instances/1 with exit code {code}."
        if code:
            failed = add_event(message.status.status_events, text, number * 10 + 5, task_state=TaskState.FAILED)
            failed.task_execution.exit_code = code
    return message


def seen(job: Any, *tasks: Any) -> Any:
    return observation.observation(job, observation.tasks_of(tasks) if tasks else None, PLACE)


def test_the_tables_are_total() -> None:
    assert set(observation.PHASES) == set(State)
    assert set(observation.TASK_FIELDS) == set(TaskState)
    assert {state.name: int(state) for state in messages.JobState} == {s.name: s.value for s in State}
    assert {state.name: int(state) for state in messages.TaskState} == {s.name: s.value for s in TaskState}


@pytest.mark.parametrize("state", [*State, 99])
def test_every_state_becomes_an_observation(state: int) -> None:
    found = seen(native(state))
    assert (found.external_name, found.uid, found.submitted_at) == ("n", UID, START)
    assert found.has_ended == (state in (State.SUCCEEDED, State.FAILED, State.CANCELLED))
    assert (found.completed_at is not None) == found.has_ended


def test_an_end_in_progress_is_no_end() -> None:
    cancelling, leaving = seen(native(State.CANCELLATION_IN_PROGRESS)), seen(native(State.DELETION_IN_PROGRESS))
    assert (cancelling.phase, cancelling.is_cancelling, cancelling.is_being_deleted) == (None, True, False)
    assert (leaving.phase, leaving.is_cancelling, leaving.is_being_deleted) == (None, True, True)


def test_times_are_those_of_the_events() -> None:
    found = seen(
        native(
            State.SUCCEEDED,
            (change("RUNNING", "SUCCEEDED"), 90.5),
            (change("QUEUED", "SCHEDULED"), 10),
            (change("SCHEDULED", "RUNNING"), 30.25),
        )
    )
    assert found.scheduled_at == START + timedelta(seconds=10)
    assert found.started_at == START + timedelta(seconds=30.25)
    assert found.completed_at == START + timedelta(seconds=90.5)


def test_without_events_the_end_is_the_last_update_and_the_start_the_run_duration_before_it() -> None:
    job = native(State.SUCCEEDED)
    job.status.run_duration.FromSeconds(100)
    found = seen(job)
    assert found.completed_at == START + timedelta(seconds=500)
    assert found.started_at == START + timedelta(seconds=400)


@pytest.mark.parametrize(
    ("job", "started"),
    [
        (native(State.RUNNING), 0),
        (native(State.RUNNING, (change("QUEUED", "SCHEDULED"), 7)), 7),
        (native(State.SUCCEEDED), 0),
        (native(State.FAILED, counts={"FAILED": 1}), 0),
        (native(State.CANCELLED, counts={"RUNNING": 1}), 0),
        (native(State.FAILED, (change("QUEUED", "FAILED"), 7)), None),
        (native(State.CANCELLED, counts={"UNEXECUTED": 1}), None),
        (native(State.QUEUED), None),
        (native(State.SCHEDULED, (change("QUEUED", "SCHEDULED"), 7)), None),
    ],
)
def test_a_job_that_ran_has_a_start_even_where_no_event_tells_it(job: Any, started: float | None) -> None:
    expected = None if started is None else START + timedelta(seconds=started)
    assert seen(job).started_at == expected
    job.update_time.FromDatetime(START + timedelta(seconds=900))
    assert seen(job).started_at == expected, "an update is no new start"


def test_an_end_that_is_held_back_is_no_end() -> None:
    job = native(State.FAILED, (change("SCHEDULED", "RUNNING"), 3), (change("RUNNING", "FAILED", " exit code 3"), 9))
    found = observation.observation(job, None, PLACE, held=True)
    assert (found.phase, found.completed_at, found.exit_code, found.reason, found.message) == (None,) * 5
    assert found.started_at == START + timedelta(seconds=3)


def test_all_tasks_of_a_job_that_succeeded_did_even_where_nobody_counted() -> None:
    job = native(State.SUCCEEDED)
    spec = JobSpec(image="x", completions=4)
    assert observation.observation(job, None, PLACE, spec).tasks == TaskCounts(total=4, succeeded=4)
    assert observation.observation(native(State.FAILED), None, PLACE, spec).tasks is None
    assert seen(job).tasks is None
    job.task_groups.add(task_count=3)
    assert seen(job).tasks == TaskCounts(total=3, succeeded=3)


def test_a_success_is_exit_code_0_whatever_an_old_event_says() -> None:
    job = native(State.SUCCEEDED, ("task failed with exit code 50001", 5), spot=True)
    assert observation.needs_tasks(job, None)
    found = seen(job, task(0, TaskState.SUCCEEDED, 50001, 0))
    assert (found.exit_code, found.reason, found.message, found.retries) == (0, None, None, 1)


@pytest.mark.parametrize(
    ("job", "needed"),
    [
        (native(State.FAILED), True),
        (native(State.SUCCEEDED), False),
        (native(State.SUCCEEDED, (change("RUNNING", "SUCCEEDED"), 5)), False),
        (native(State.SUCCEEDED, spot=True), True),
        (native(State.SUCCEEDED, ("VM was preempted", 5)), True),
        (native(State.RUNNING, spot=True), False),
        (native(State.CANCELLED, spot=True), False),
    ],
)
def test_tasks_are_needed_after_a_failure_and_where_something_hints_at_retries(job: Any, needed: bool) -> None:
    assert observation.needs_tasks(job, None) is needed


def test_a_spot_job_is_known_by_what_was_asked_for_and_by_its_policy_too() -> None:
    job = native(State.SUCCEEDED)
    assert observation.needs_tasks(job, JobSpec(image="x", spot=True))
    assert not observation.needs_tasks(job, JobSpec(image="x"))
    job.allocation_policy.instances.add().policy.provisioning_model = messages.SPOT
    assert observation.needs_tasks(job, None)


@pytest.mark.parametrize(
    ("codes", "exit_code", "reason", "retries"),
    [
        ((3,), 3, reasons.NON_ZERO_EXIT, 0),
        ((1, 2, 3), 3, reasons.NON_ZERO_EXIT, 2),
        ((137,), 137, reasons.NON_ZERO_EXIT, 0),
        ((50001, 50001), None, reasons.PREEMPTED, 1),
        ((50005,), None, reasons.DEADLINE_EXCEEDED, 0),
        ((50002,), None, reasons.FAILED, 0),
        ((50000,), None, reasons.FAILED, 0),
        ((77777,), None, reasons.FAILED, 0),
    ],
)
def test_a_failure_has_the_last_attempts_code_and_what_it_means(
    codes: tuple[int, ...], exit_code: int | None, reason: str, retries: int
) -> None:
    found = seen(native(State.FAILED), task(0, TaskState.FAILED, *codes))
    assert (found.exit_code, found.reason, found.retries) == (exit_code, reason, retries)
    assert str(codes[-1]) in found.message


def test_of_many_tasks_the_first_that_failed_speaks_and_all_retries_count() -> None:
    tasks = [task(2, TaskState.FAILED, 9), task(0, TaskState.SUCCEEDED, 4, 0), task(1, TaskState.FAILED, 5, 6)]
    found = seen(native(State.FAILED), *tasks)
    assert (found.exit_code, found.retries) == (6, 2)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("Batch Error: code - CODE_GCE_QUOTA_EXCEEDED, description - error count is 4", reasons.QUOTA_EXCEEDED),
        ("Instance creation failed: Quota 'CPUS' exceeded. Limit: 24.0 in region us-central1.", reasons.QUOTA_EXCEEDED),
        ("The service account cannot read projects/acme/quota-report", reasons.FAILED),
        ("Instance 'quota-report-7d3f' creation failed", reasons.FAILED),
        ("CODE_GCE_ZONE_RESOURCE_POOL_EXHAUSTED", reasons.WAITING_FOR_CAPACITY),
        (
            "A n1-standard-4 VM instance is currently unavailable in the us-central1-a zone.",
            reasons.WAITING_FOR_CAPACITY,
        ),
        ("Job failed: it reached its maximum run duration", reasons.DEADLINE_EXCEEDED),
        ("Job failed due to Spot VM preemption", reasons.PREEMPTED),
        ("Failed to pull image gcr.io/acme/quota-report:1", reasons.IMAGE_PULL_FAILED),
        ("Error response from daemon: manifest unknown", reasons.IMAGE_PULL_FAILED),
        ("The task exceeded its maxRunDuration", reasons.DEADLINE_EXCEEDED),
        ("container was killed: out of memory", reasons.OUT_OF_MEMORY),
        ('exec: "nope": executable file not found in $PATH', reasons.COMMAND_NOT_FOUND),
        ("machine type is not known", reasons.FAILED),
        (change("QUEUED", "FAILED").replace("jobs/n.", "jobs/preempted-quota-oom."), reasons.FAILED),
    ],
)
def test_a_job_that_failed_without_tasks_has_its_reason_from_its_events(text: str, reason: str) -> None:
    found = seen(native(State.FAILED, (change("QUEUED", "SCHEDULED"), 1), (text, 5)))
    assert (found.reason, found.message, found.exit_code) == (reason, text, None)


def test_the_code_in_the_jobs_own_event_serves_where_no_task_is_to_be_had() -> None:
    text = change("RUNNING", "FAILED", ' Job failed due to task failure: "... FAILED on zones/z with exit code 3."')
    found = seen(native(State.FAILED, (text, 5)))
    assert (found.exit_code, found.reason) == (3, reasons.NON_ZERO_EXIT)


def test_a_failure_that_nothing_tells_of_is_still_one() -> None:
    found = seen(native(State.FAILED))
    assert (found.phase, found.reason, found.message) == (Phase.FAILED, reasons.FAILED, "the job failed")


def test_why_a_job_waits_is_told_only_while_it_waits() -> None:
    told = (change("QUEUED", "SCHEDULED"), 1), ("VM meets error: code - CODE_GCE_QUOTA_EXCEEDED", 5)
    waiting = seen(native(State.SCHEDULED, *told))
    assert (waiting.waits_because, waiting.waits_reason) == (told[1][0], reasons.QUOTA_EXCEEDED)
    assert seen(native(State.RUNNING, *told)).waits_because is None
    assert seen(native(State.SCHEDULED, told[0])).waits_because is None


def test_task_counts_come_from_the_status() -> None:
    found = seen(
        native(
            State.RUNNING, counts={"PENDING": 1, "ASSIGNED": 2, "RUNNING": 4, "SUCCEEDED": 8, "FAILED": 16, "NEW": 32}
        )
    )
    assert found.tasks == TaskCounts(total=63, pending=35, running=4, succeeded=8, failed=16)
    assert seen(native(State.QUEUED)).tasks is None


@given(
    state=st.integers(0, 20),
    told=st.lists(st.tuples(words, st.integers(0, 1000)), max_size=5),
    codes=st.lists(st.lists(st.integers(0, 60000), max_size=3), max_size=3),
)
def test_every_message_becomes_an_observation_and_always_the_same(
    state: int, told: list[tuple[str, int]], codes: list[list[int]]
) -> None:
    job = native(state, *told)
    tasks = [task(index, TaskState.FAILED, *found) for index, found in enumerate(codes)]
    one = seen(job, *tasks)
    assert one == seen(job, *tasks)
    assert one.exit_code is None or one.exit_code in range(256)
    assert one.reason is None or one.has_ended
    if one.phase is Phase.COMPLETED:
        assert (one.exit_code, one.reason) == (0, None)


def test_links_lead_to_the_job_and_to_its_logs() -> None:
    found = seen(native(State.RUNNING))
    assert found.console_url == (
        "https://console.cloud.google.com/batch/jobsDetail/regions/us-central1/jobs/n/details?project=acme"
    )
    assert found.logs_url == (
        "https://console.cloud.google.com/logs/query;query=logName%3D%22projects%2Facme%2Flogs%2Fbatch_task_logs%22"
        "%20AND%20labels.job_uid%3D%22job-uid%22?project=acme"
    )


def test_event_times_keep_their_order() -> None:
    told = [("later", 9), ("earlier", 1)]
    assert events.why_it_failed(native(State.FAILED, *told).status.status_events) == "later"


# --- secrets in texts ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "value", "expected"),
    [
        ("bad value hunter2hunter2 here", "hunter2hunter2", "bad value *** here"),
        ("bad value 'hunter2hun...'", "hunter2hunter2", "bad value '***...'"),
        ('bad "two\\nlines here"', "two\nlines here", 'bad "***"'),
        ("only the second: lines here", "two\nlines here", "only the second: ***"),
        ("A=1 of 10", "1", "A=*** of 10"),
        ("nothing", "", "nothing"),
        ('quoted say \\"hello\\"', 'say "hello"', "quoted ***"),
    ],
)
def test_values_are_cut_out_of_texts(text: str, value: str, expected: str) -> None:
    assert redaction.without_values(text, [value]) == expected


@given(st.text(min_size=6, max_size=40).filter(lambda value: len(value.splitlines()) == 1 and value.strip()), words)
def test_no_value_survives(value: str, around: str) -> None:
    assert value not in redaction.without_values(f"{around}{value}{around}", [value]) or value in "***"
