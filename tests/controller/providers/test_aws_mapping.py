"""The pure parts of the AWS adapter: tables, laws, and what is refused with the field's name."""

from datetime import UTC, datetime

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from controller.cloud_settings import AwsSettings
from controller.domain import conditions, names, reasons
from controller.domain.errors import Permanent
from controller.domain.job import AwsOptions, CloudSecretRef, EnvVar, EnvVarSource, Gpu, JobSpec, Resources
from controller.domain.phases import Phase
from controller.domain.resources import ResourceSet
from controller.ports import SubmitRequest
from controller.providers.aws import definition, fargate, links, observation, queues, remarks, request, tags, wire
from controller.providers.aws.observation import PHASES, NativeState
from controller.providers.aws.queues import Platform, Queue
from dev.emulators.aws import shapes

SETTINGS = AwsSettings(
    region="eu-west-1",
    instance="test",
    job_queue="default",
    job_queues={"spot": "q-spot", "gpu": "q-gpu", "gpu+spot": "q-gpu-spot", "c6i.large": "q-c6i", "a100": "q-a100"},
    calls_per_second=10,
    submits_per_second=10,
)
ROLE = "arn:aws:iam::123456789012:role/execution"
EC2 = Queue(name="default", platform=Platform.EC2, has_policy=False)
FAIR = Queue(name="fair", platform=Platform.EC2, has_policy=True)
FARGATE = Queue(name="fargate", platform=Platform.FARGATE, has_policy=False)


def asked(*, cpu: int = 1000, memory: int = 2048, seconds: int = 3600, env=None, **spec: object) -> SubmitRequest:
    return SubmitRequest(
        created_at=datetime(2026, 1, 1, tzinfo=UTC),
        external_name="job-0123456789abcdef0123456789abcdef",
        uid="01234567-89ab-cdef-0123-456789abcdef",
        job_id="job",
        tenant_id="tenant",
        spec=JobSpec(image="busybox", **spec),
        resources=ResourceSet(cpu_millis=cpu, memory_mib=memory, max_run_duration_seconds=seconds),
        env=env or {},
    )


def sent(wanted: SubmitRequest, queue: Queue = EC2) -> dict:
    """SubmitJob's parameters, which botocore's model knows."""
    parameters = request.parameters(wanted, queue, definition="d:1", instance="test")
    assert shapes.fault("SubmitJob", parameters) is None
    return parameters


def defined(platform: Platform = Platform.EC2, role: str = ROLE, **spec: object) -> dict:
    parameters = definition.parameters(JobSpec(image="busybox", **spec), platform, role)
    assert shapes.fault("RegisterJobDefinition", parameters) is None
    return parameters


def needs(parameters: dict) -> dict[str, str]:
    return {one["type"]: one["value"] for one in parameters["containerOverrides"]["resourceRequirements"]}


def remarks_of(parameters: dict) -> dict[str, str]:
    return {one.condition: one.message for one in remarks.decode(parameters["tags"].get(tags.ASKED, ""))}


# --- which queue ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("spec", "queue"),
    [
        ({}, "default"),
        ({"spot": True}, "q-spot"),
        ({"resources": Resources(gpu=Gpu(count=1))}, "q-gpu"),
        ({"resources": Resources(gpu=Gpu(count=1)), "spot": True}, "q-gpu-spot"),
        ({"resources": Resources(gpu=Gpu(count=1, type="a100"))}, "q-a100"),
        ({"machine_type": "c6i.large", "resources": Resources(gpu=Gpu(count=1))}, "q-c6i"),
        ({"machine_type": "other", "aws": AwsOptions(job_queue="mine")}, "mine"),
    ],
)
def test_the_queue_is_chosen_by_what_a_job_asks_for(spec: dict, queue: str) -> None:
    assert queues.choose(JobSpec(image="i", **spec), SETTINGS) == queue


@pytest.mark.parametrize(
    ("spec", "field"),
    [
        ({"machine_type": "c7g.large"}, "spec.machineType"),
        ({"machine_type": "c6i.large", "spot": True}, "spec.machineType with spec.spot"),
        ({"resources": Resources(gpu=Gpu(count=1, type="h100"))}, "spec.resources.gpu.type"),
    ],
)
def test_what_has_no_queue_is_refused_with_the_field_and_the_variable(spec: dict, field: str) -> None:
    with pytest.raises(Permanent, match=f"^{field}: AWS_JOB_QUEUES") as refused:
        queues.choose(JobSpec(image="i", **spec), SETTINGS)
    assert refused.value.reason == reasons.INVALID_SPEC


def test_a_gpu_without_a_queue_of_its_own_goes_to_the_default() -> None:
    plain = msgspec.structs.replace(SETTINGS, job_queues={})
    assert queues.choose(JobSpec(image="i", resources=Resources(gpu=Gpu(count=1))), plain) == "default"


def test_a_job_is_looked_for_wherever_the_settings_of_another_time_may_have_put_it() -> None:
    everywhere = ("default", "q-spot", "q-gpu", "q-gpu-spot", "q-c6i", "q-a100")
    assert queues.possible(None, SETTINGS) == queues.possible(JobSpec(image="i", spot=True), SETTINGS) == everywhere
    assert queues.possible(JobSpec(image="i", aws=AwsOptions(job_queue="mine")), SETTINGS) == ("mine",)


# --- sizes ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("wanted", "given"),
    [
        ((100, 100), (250, 512)),
        ((250, 513), (250, 1024)),
        ((250, 2049), (500, 3072)),
        ((2000, 4096), (2000, 4096)),
        ((2001, 4096), (4000, 8192)),
        ((1000, 8193), (2000, 9216)),
        ((8000, 16385), (8000, 20480)),
        ((16000, 122881), (32000, 249856)),
        ((32000, 249857), None),
        ((32001, 512), None),
    ],
)
def test_fargate_sizes_are_rounded_up(wanted: tuple[int, int], given: tuple[int, int] | None) -> None:
    assert fargate.round_up(*wanted) == given


@given(st.integers(0, 40_000), st.integers(0, 300_000))
def test_fargate_gives_never_less_than_was_asked_for_and_always_a_legal_size(cpu: int, memory: int) -> None:
    found = fargate.round_up(cpu, memory)
    if found is not None:
        assert found[0] >= cpu
        assert found[1] in dict(fargate.SIZES)[found[0]]
        assert found[1] >= memory
        assert fargate.round_up(*found) == found


def test_ec2_has_whole_cpus_and_says_what_was_rounded() -> None:
    parameters = sent(asked(cpu=500, memory=2))
    assert needs(parameters) == {"VCPU": "1", "MEMORY": "4"}
    message = "CPU of 500m became 1000m; memory of 2 MiB became 4 MiB"
    assert remarks_of(parameters) == {conditions.RESOURCES_EXACT: message}
    assert remarks_of(sent(asked(cpu=2000, memory=4096))) == {}


def test_fargate_says_what_was_rounded() -> None:
    parameters = sent(asked(cpu=1500, memory=3000), FARGATE)
    assert needs(parameters) == {"VCPU": "2", "MEMORY": "4096"}
    assert "CPU of 1500m became 2000m" in remarks_of(parameters)[conditions.RESOURCES_EXACT]


def test_gpus_are_a_requirement_on_ec2_and_refused_on_fargate() -> None:
    wanted = asked(resources=Resources(gpu=Gpu(count=2)))
    assert needs(sent(wanted))["GPU"] == "2"
    with pytest.raises(Permanent, match=r"spec\.resources\.gpu"):
        sent(wanted, FARGATE)


# --- SubmitJob -----------------------------------------------------------------------------------------


def test_a_plain_job_is_sent_with_nothing_that_it_does_not_need() -> None:
    assert sent(asked(args=("a", "b"), env={"A": "1"}, backoff_limit=2, labels={"team": "x"})) == {
        "jobName": "job-0123456789abcdef0123456789abcdef",
        "jobQueue": "default",
        "jobDefinition": "d:1",
        "containerOverrides": {
            "resourceRequirements": [{"type": "VCPU", "value": "1"}, {"type": "MEMORY", "value": "2048"}],
            "environment": [{"name": "A", "value": "1"}],
            "command": ["a", "b"],
        },
        "retryStrategy": {"attempts": 3},
        "timeout": {"attemptDurationSeconds": 3600},
        "tags": {
            "team": "x",
            "jennah-instance": "test",
            "jennah-tenant": "tenant",
            "jennah-uid": "01234567-89ab-cdef-0123-456789abcdef",
            "jennah-job-id": "job",
        },
    }


def test_one_task_is_no_array_and_two_are() -> None:
    assert "arrayProperties" not in sent(asked(completions=1))
    assert sent(asked(completions=2))["arrayProperties"] == {"size": 2}


def test_parallelism_is_remarked_only_where_it_would_limit_something() -> None:
    assert remarks_of(sent(asked(completions=4, parallelism=4))) == {}
    told = remarks_of(sent(asked(completions=4, parallelism=2)))
    assert "parallelism 2 changes nothing" in told[conditions.PARALLELISM_HONOURED]


def test_a_time_limit_below_the_least_is_raised_and_remarked() -> None:
    parameters = sent(asked(seconds=10))
    assert parameters["timeout"] == {"attemptDurationSeconds": 60}
    assert remarks_of(parameters)[conditions.DEADLINE_EXACT].startswith("activeDeadlineSeconds of 10 became 60")
    assert "timeout" not in sent(asked(seconds=0))


def test_a_command_is_remarked_as_the_entrypoint_stays() -> None:
    parameters = sent(asked(command=("sh", "-c"), args=("true",)))
    assert parameters["containerOverrides"]["command"] == ["sh", "-c", "true"]
    assert list(remarks_of(parameters)) == [conditions.ENTRYPOINT_REPLACED]


def test_nine_retries_are_the_most() -> None:
    assert sent(asked(backoff_limit=9))["retryStrategy"] == {"attempts": 10}
    with pytest.raises(Permanent, match=r"^spec\.backoffLimit: .*10 times, so 9 is the most"):
        sent(asked(backoff_limit=10))


def test_a_queue_with_a_policy_needs_a_share_and_another_takes_none() -> None:
    assert sent(asked(priority=5), FAIR)["shareIdentifier"] == request.DEFAULT_SHARE
    assert sent(asked(priority=5), FAIR)["schedulingPriorityOverride"] == 5
    assert sent(asked(aws=AwsOptions(share_identifier="team")), FAIR)["shareIdentifier"] == "team"
    assert "schedulingPriorityOverride" not in sent(asked(priority=5))
    with pytest.raises(Permanent, match=r"^spec\.aws\.shareIdentifier"):
        sent(asked(aws=AwsOptions(share_identifier="team")))


@pytest.mark.parametrize(
    ("wanted", "message"),
    [
        (asked(env={"AWS_BATCH_X": "secret"}), "spec.env: 'AWS_BATCH_X' is reserved"),
        (asked(env={"A": "secret" * 10_000}), "env, command, args and labels take"),
        (asked(labels={"aws:x": ""}), "spec.labels: 'aws:x' is a reserved tag"),
        (asked(labels={"jennah-uid": "x"}), "spec.labels: 'jennah-uid' is a reserved tag"),
        (asked(labels={"a": "ü*"}), "spec.labels: 'a' must consist of"),
        (asked(labels={"a" * 129: ""}), "must have 1 to 128 characters"),
        (asked(labels={f"a{n}": "" for n in range(46)}), "spec.labels: 46 are more than 43"),
        (asked(completions=10_001), "spec.completions"),
    ],
)
def test_what_the_service_cannot_take_is_refused_by_name_and_without_values(
    wanted: SubmitRequest, message: str
) -> None:
    with pytest.raises(Permanent) as refused:
        sent(wanted)
    assert message in str(refused.value)
    assert "secret" not in str(refused.value)
    assert refused.value.reason == reasons.INVALID_SPEC


# --- the definition ------------------------------------------------------------------------------------


def test_a_definition_is_named_by_what_submitting_cannot_override_and_nothing_else() -> None:
    name = defined()["jobDefinitionName"]
    same = defined(args=("x",), completions=5, backoff_limit=9, labels={"a": "b"}, priority=3)
    assert same["jobDefinitionName"] == name
    others = [
        defined(aws=AwsOptions(job_role_arn=ROLE)),
        defined(aws=AwsOptions(execution_role_arn=ROLE + "2")),
        defined(aws=AwsOptions(log_group="mine")),
        defined(aws=AwsOptions(registry_credentials_arn="arn:aws:secretsmanager:x")),
        defined(Platform.FARGATE),
        defined(Platform.FARGATE, aws=AwsOptions(assign_public_ip=True)),
        defined(Platform.FARGATE, boot_disk_gib=50),
        definition.parameters(JobSpec(image="other"), Platform.EC2, ROLE),
    ]
    assert len({name, *(one["jobDefinitionName"] for one in others)}) == 1 + len(others)


def test_secrets_go_by_reference_into_the_definition() -> None:
    source = EnvVarSource(cloud_secret_ref=CloudSecretRef(name="arn:aws:ssm:parameter"))
    container = defined(env=(EnvVar(name="TOKEN", value_from=source),))["containerProperties"]
    assert container["secrets"] == [{"name": "TOKEN", "valueFrom": "arn:aws:ssm:parameter"}]
    with pytest.raises(Permanent, match=r"cloudSecretRef needs an execution role.*AWS_EXECUTION_ROLE_ARN"):
        defined(role="", env=(EnvVar(name="TOKEN", value_from=source),))


def test_a_service_account_is_the_job_role() -> None:
    assert defined(service_account=ROLE)["containerProperties"]["jobRoleArn"] == ROLE
    with pytest.raises(Permanent, match=r"spec\.serviceAccount"):
        defined(service_account="me@project.iam")


def test_fargate_has_its_disk_and_needs_a_role() -> None:
    container = defined(Platform.FARGATE, boot_disk_gib=50)["containerProperties"]
    assert container["ephemeralStorage"] == {"sizeInGiB": 50}
    assert container["networkConfiguration"] == {"assignPublicIp": "DISABLED"}
    assert "ephemeralStorage" not in defined(Platform.FARGATE, boot_disk_gib=20)["containerProperties"]
    for wrong in ({"role": ""}, {"boot_disk_gib": 201}):
        with pytest.raises(Permanent):
            defined(Platform.FARGATE, **wrong)
    for option in (AwsOptions(ephemeral_storage_gib=30), AwsOptions(assign_public_ip=True)):
        with pytest.raises(Permanent, match="only queues on Fargate"):
            defined(aws=option)


# --- remarks -------------------------------------------------------------------------------------------

pairs = st.none() | st.tuples(st.integers(0, 10**6), st.integers(0, 10**6))


@given(
    st.builds(
        remarks.Deviations,
        cpu=pairs,
        memory=pairs,
        timeout=pairs,
        parallelism=st.none() | st.integers(1, 10_000),
        disk=st.none() | st.integers(10, 65536),
        command=st.booleans(),
    )
)
def test_remarks_fit_into_a_tag_and_come_back_from_it(found: remarks.Deviations) -> None:
    text = remarks.encode(found)
    assert len(text) <= tags.VALUE_MAX
    assert tags._ALLOWED.fullmatch(text)
    kinds = {remark.condition for remark in remarks.decode(text)}
    assert (conditions.PARALLELISM_HONOURED in kinds) == (found.parallelism is not None)
    assert (conditions.DEADLINE_EXACT in kinds) == (found.timeout is not None)
    assert (conditions.RESOURCES_EXACT in kinds) == any((found.cpu, found.memory, found.disk))
    assert (conditions.ENTRYPOINT_REPLACED in kinds) == found.command


@given(st.text())
def test_any_text_in_the_tag_is_survived(text: str) -> None:
    remarks.decode(text)


# --- observation ---------------------------------------------------------------------------------------


UID = "3e1f6d0a-7f0b-4b52-9c1e-0d9a5b6c7d8e"


def detail(**fields: object) -> wire.Detail:
    base = {"jobId": "id", "jobName": "name", "jobArn": "arn:aws:batch:eu-west-1:1:job/id", "createdAt": 1000}
    return msgspec.convert({**base, **fields}, wire.Detail)


def seen(**fields: object):
    return observation.observation(detail(**fields), "eu-west-1")


def test_every_state_of_the_sdk_is_in_the_table() -> None:
    states = shapes._model().shape_for("JobStatus").enum
    assert set(states) == {state.value for state in NativeState} == {state.value for state in PHASES}


def test_an_unknown_state_is_left_out() -> None:
    assert seen(status="DREAMING") is None
    assert seen() is None


@pytest.mark.parametrize(
    ("fields", "phase", "reason"),
    [
        ({"status": "RUNNABLE"}, Phase.PENDING, None),
        ({"status": "STARTING"}, Phase.SCHEDULED, None),
        ({"status": "RUNNING"}, Phase.RUNNING, None),
        ({"status": "SUCCEEDED"}, Phase.COMPLETED, None),
        ({"status": "FAILED"}, Phase.FAILED, reasons.FAILED),
        ({"status": "FAILED", "container": {"exitCode": 3}}, Phase.FAILED, reasons.NON_ZERO_EXIT),
        (
            {"status": "FAILED", "isTerminated": True, "statusReason": "Jennah: user", "container": {"exitCode": 137}},
            Phase.CANCELLED,
            reasons.CANCELLED,
        ),
        (
            {"status": "FAILED", "isTerminated": True, "statusReason": "by hand", "container": {"exitCode": 137}},
            Phase.CANCELLED,
            reasons.CANCELLED,
        ),
        ({"status": "SUCCEEDED", "statusReason": "Jennah: too late"}, Phase.COMPLETED, None),
        (
            {"status": "FAILED", "container": {"exitCode": 137, "reason": "OutOfMemoryError: Container killed"}},
            Phase.FAILED,
            reasons.OUT_OF_MEMORY,
        ),
        (
            {"status": "FAILED", "container": {"reason": "CannotPullContainerError: no such image"}},
            Phase.FAILED,
            reasons.IMAGE_PULL_FAILED,
        ),
        (
            {
                "status": "FAILED",
                "statusReason": "Job attempt duration exceeded timeout",
                "container": {"exitCode": 137},
            },
            Phase.FAILED,
            reasons.DEADLINE_EXCEEDED,
        ),
        (
            {"status": "FAILED", "statusReason": "Host EC2 (instance i-0) terminated."},
            Phase.FAILED,
            reasons.PREEMPTED,
        ),
        (
            {"status": "FAILED", "container": {"reason": 'exec: "nope": executable file not found in $PATH'}},
            Phase.FAILED,
            reasons.COMMAND_NOT_FOUND,
        ),
    ],
)
def test_states_and_texts_mean_phases_and_reasons(fields: dict, phase: Phase, reason: str | None) -> None:
    one = seen(**fields)
    assert (one.phase, one.reason) == (phase, reason)


@pytest.mark.parametrize(
    ("fields", "unless_asked", "message"),
    [
        ({"isTerminated": True, "statusReason": "Jennah: user"}, None, "user"),
        ({"isCancelled": True, "statusReason": "by hand"}, reasons.DELETED_EXTERNALLY, "by hand"),
        ({"isTerminated": True}, reasons.DELETED_EXTERNALLY, ""),
        ({"statusReason": "by hand"}, None, "by hand"),
    ],
)
def test_what_was_ended_without_our_words_was_ended_by_somebody_else_unless_we_asked(
    fields: dict, unless_asked: str | None, message: str
) -> None:
    one = seen(status="FAILED", **fields)
    assert (one.failed_unless_asked, one.message) == (unless_asked, message)


@pytest.mark.parametrize(
    ("fields", "uid"),
    [
        ({"tags": {tags.UID: "another"}}, "another"),
        ({"tags": {}}, UID),
        ({}, UID),
        ({"jobId": "array:3"}, ""),
        ({"jobName": "not-ours"}, ""),
    ],
)
def test_whose_a_job_is_its_tag_tells_or_else_its_name(fields: dict, uid: str) -> None:
    assert seen(**{"status": "RUNNING", "jobName": names.external_name("job", UID), **fields}).uid == uid


def test_a_start_counts_only_from_running_on() -> None:
    assert seen(status="STARTING", startedAt=5000).started_at is None
    assert seen(status="RUNNING", startedAt=0).started_at is None
    assert seen(status="RUNNING", startedAt=5000).started_at.timestamp() == 5
    assert seen(status="RUNNABLE", startedAt=5000, attempts=[{"stoppedAt": 9}]).started_at is None
    assert seen(status="RUNNING", startedAt=5000, stoppedAt=6000).completed_at is None


def test_retries_are_attempts_beyond_the_first_whether_or_not_the_running_one_is_listed() -> None:
    done, runs = {"stoppedAt": 1}, {"startedAt": 1}
    assert seen(status="RUNNING", attempts=[done, runs]).retries == 1
    assert seen(status="RUNNING", attempts=[done]).retries == 1
    assert seen(status="RUNNABLE", attempts=[done]).retries == 1
    assert seen(status="FAILED", attempts=[done, done]).retries == 1
    assert seen(status="FAILED", attempts=[]).retries == 0


@pytest.mark.parametrize(
    ("counts", "phase"),
    [
        ({"RUNNABLE": 3}, Phase.PENDING),
        ({"RUNNABLE": 2, "STARTING": 1}, Phase.SCHEDULED),
        ({"RUNNABLE": 2, "RUNNING": 1}, Phase.RUNNING),
        ({"RUNNABLE": 2, "SUCCEEDED": 1}, Phase.RUNNING),
        ({"FAILED": 1, "RUNNABLE": 2}, Phase.RUNNING),
        ({}, Phase.PENDING),
    ],
)
def test_an_array_is_where_its_tasks_are(counts: dict[str, int], phase: Phase) -> None:
    one = seen(status="PENDING", arrayProperties={"size": 3, "statusSummary": counts})
    assert one.phase is phase
    assert one.tasks.total == one.tasks.pending + one.tasks.running + one.tasks.succeeded + one.tasks.failed == 3


def test_the_reason_for_waiting_is_told_while_it_waits() -> None:
    why = "CAPACITY:INSUFFICIENT_INSTANCE_CAPACITY - none"
    assert seen(status="RUNNABLE", statusReason=why).waits_because == why
    assert seen(status="RUNNABLE", statusReason=why, attempts=[{"stoppedAt": 1}]).waits_because == why
    assert seen(status="RUNNABLE", statusReason="exited", attempts=[{"stoppedAt": 1}]).waits_because is None
    assert seen(status="STARTING", statusReason=why).waits_because is None


def test_links_lead_to_the_console_of_the_partition() -> None:
    assert (
        links.job("arn:aws:batch:r:1:job/i", "r", "i")
        == "https://r.console.aws.amazon.com/batch/home?region=r#jobs/detail/i"
    )
    assert links.job("arn:aws-cn:batch:r:1:job/i", "r", "i").startswith("https://r.console.amazonaws.cn/")
    assert "log-group/$252Faws$252Fbatch$252Fjob/log-events/d$252Fx" in links.log("", "r", "/aws/batch/job", "d/x")


texts = st.none() | st.text(max_size=20)
numbers = st.none() | st.integers(-(10**18), 10**18)
containers = st.none() | st.builds(
    wire.Container, exit_code=st.none() | st.integers(-1, 300), reason=texts, log_stream_name=texts
)
details = st.builds(
    wire.Detail,
    job_id=st.text(max_size=5),
    job_name=st.text(max_size=5),
    job_arn=texts,
    created_at=numbers,
    status=st.none() | st.sampled_from([*NativeState, "OTHER"]) | st.text(max_size=5),
    status_reason=texts | st.just("Jennah: x"),
    started_at=numbers,
    stopped_at=numbers,
    container=containers,
    array_properties=st.none()
    | st.builds(
        wire.ArrayProperties,
        size=st.none() | st.integers(-1, 5),
        index=st.none() | st.integers(0, 5),
        status_summary=st.none() | st.dictionaries(st.sampled_from([*NativeState, "OTHER"]), st.integers(-1, 9)),
    ),
    is_cancelled=st.none() | st.booleans(),
    is_terminated=st.none() | st.booleans(),
    attempts=st.none() | st.lists(st.builds(wire.Attempt, container=containers, stopped_at=numbers), max_size=3),
    tags=st.none() | st.dictionaries(st.sampled_from([tags.UID, tags.ASKED, "x"]), st.text(max_size=5)),
)


@given(details, st.none() | details)
def test_whatever_the_service_says_is_survived_and_adds_up(job: wire.Detail, task: wire.Detail | None) -> None:
    one = observation.observation(job, "r", task)
    if one is None:
        assert job.status not in {state.value for state in NativeState}
        return
    counts = one.tasks
    assert counts.total == counts.pending + counts.running + counts.succeeded + counts.failed
    assert min(counts.pending, counts.running, counts.succeeded, counts.failed) >= 0
    assert (one.reason is None) == (one.phase not in (Phase.FAILED, Phase.CANCELLED))
    assert one.has_ended or one.completed_at is None
    assert one.retries >= 0
