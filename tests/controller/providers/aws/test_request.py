"""Spec to SubmitJob's parameters, without a service: sizes, retries, and what is told of the rest."""

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from controller.domain import conditions, reasons
from controller.domain.differences import Remark
from controller.domain.job import AwsOptions, Gpu, JobSpec, Resources
from controller.domain.resources import Sizing
from controller.providers.aws import fargate, remarks, request, tags
from controller.providers.aws.queues import Platform, Queue
from tests.controller.providers.aws.mapping import mapped, queue_named, request_of

FARGATE, FARGATE_SPOT = AwsOptions(job_queue="jennah-fargate"), AwsOptions(job_queue="jennah-fargate-spot")
FAIR = AwsOptions(job_queue="jennah-fair")
SOME = {"cpu": 1, "memory": "2Gi"}
"""Resources that every queue has exactly."""


def asked(**spec: object) -> JobSpec:
    resources = Resources(**{**SOME, **spec.pop("resources", {})})
    return JobSpec(image="busybox", resources=resources, **{"args": ("a",), **spec})


def sent(spec: JobSpec, env: dict[str, str] | None = None) -> dict:
    return mapped(spec, env or {}).sent["SubmitJob"]


def needs(spec: JobSpec) -> dict[str, str]:
    return {one["type"]: one["value"] for one in sent(spec)["containerOverrides"]["resourceRequirements"]}


def told(spec: JobSpec, env: dict[str, str] | None = None) -> dict[str, Remark]:
    return {one.condition: one for one in mapped(spec, env or {}).remarks}


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
    small = asked(resources={"cpu": "500m", "memory": "2Mi"})
    assert needs(small) == {"VCPU": "1", "MEMORY": "4"}
    one = told(small)[conditions.RESOURCES_EXACT]
    assert (one.reason, "CPU of 500m became 1000m" in one.message, "2 MiB became 4 MiB" in one.message) == (
        reasons.ROUNDED_UP,
        True,
        True,
    )
    assert told(asked()) == {}


def test_fargate_says_what_was_rounded() -> None:
    odd = asked(resources={"cpu": "1500m", "memory": "3000Mi"}, aws=FARGATE)
    assert needs(odd) == {"VCPU": "2", "MEMORY": "4096"}
    assert "CPU of 1500m became 2000m" in told(odd)[conditions.RESOURCES_EXACT].message
    assert told(asked(aws=FARGATE)) == {}


def test_gpus_are_a_requirement_also_those_that_the_machine_type_brings() -> None:
    assert needs(asked(resources={"gpu": Gpu(count=2)}))["GPU"] == "2"
    assert "GPU" not in needs(asked())
    implied = Sizing(gpu=Gpu(count=4), is_gpu_implied=True)
    wanted = msgspec.structs.replace(request_of(asked(machine_type="g5.xlarge")), sizing=implied)
    found = request.parameters(wanted, queue_named("jennah-gpu"), definition="d:1", instance="test")
    assert {"type": "GPU", "value": "4"} in found["containerOverrides"]["resourceRequirements"]


def test_a_plain_job_is_sent_with_nothing_that_it_does_not_need() -> None:
    spec = asked(args=("a", "b"), backoff_limit=2, labels={"team": "x"})
    assert sent(spec, {"A": "1"}) == {
        "jobName": "job-0123456789abcdef0123456789abcdef",
        "jobQueue": "jennah",
        "jobDefinition": "DEFINITION:1",
        "containerOverrides": {
            "resourceRequirements": [{"type": "VCPU", "value": "1"}, {"type": "MEMORY", "value": "2048"}],
            "environment": [
                {"name": "JENNAH_JOB_ID", "value": "job-1"},
                {"name": "JENNAH_TENANT_ID", "value": "tenant"},
                {"name": "BATCH_TASK_COUNT", "value": "1"},
                {"name": "BATCH_TASK_INDEX", "value": "0"},
                {"name": "A", "value": "1"},
            ],
            "command": ["a", "b"],
        },
        "retryStrategy": {"attempts": 3},
        "timeout": {"attemptDurationSeconds": 3600},
        "tags": {
            "team": "x",
            "jennah-instance": "test",
            "jennah-tenant": "tenant",
            "jennah-uid": "01234567-89ab-cdef-0123-456789abcdef",
            "jennah-job-id": "job-1",
            "jennah-namespace": "team",
        },
    }


def variables(spec: JobSpec, env: dict[str, str] | None = None) -> dict[str, str]:
    return {one["name"]: one["value"] for one in sent(spec, env)["containerOverrides"]["environment"]}


def test_tasks_are_told_how_many_they_are_and_whose_unless_the_job_says_so_itself() -> None:
    array = asked(completions=4, job_id="job-7", tenant_id="acme")
    assert variables(array) == {"JENNAH_JOB_ID": "job-7", "JENNAH_TENANT_ID": "acme", "BATCH_TASK_COUNT": "4"}
    assert variables(asked())["BATCH_TASK_INDEX"] == "0"
    assert variables(array, {"BATCH_TASK_COUNT": "mine"})["BATCH_TASK_COUNT"] == "mine"


def test_an_array_that_reads_the_index_under_another_name_is_told_where_it_is() -> None:
    reads = ("sh", "-c", "echo $BATCH_TASK_INDEX")
    assert "AWS_BATCH_JOB_ARRAY_INDEX" in told(asked(completions=2, args=reads))[conditions.SPEC_HONOURED].message
    knows = ("sh", "-c", "echo ${BATCH_TASK_INDEX:-$AWS_BATCH_JOB_ARRAY_INDEX}")
    for spec in (asked(args=reads), asked(completions=2, args=knows), asked(completions=2)):
        assert conditions.SPEC_HONOURED not in told(spec)


def test_one_task_is_no_array_and_two_are() -> None:
    assert "arrayProperties" not in sent(asked(completions=1))
    assert sent(asked(completions=2))["arrayProperties"] == {"size": 2}


def test_parallelism_is_remarked_only_where_it_would_limit_something() -> None:
    assert told(asked(completions=4, parallelism=4)) == {}
    one = told(asked(completions=4, parallelism=2))[conditions.PARALLELISM_HONOURED]
    assert "parallelism 2 changes nothing" in one.message


def test_a_time_limit_below_the_least_is_raised_and_remarked() -> None:
    short = asked(active_deadline_seconds=10)
    assert sent(short)["timeout"] == {"attemptDurationSeconds": 60}
    assert told(short)[conditions.DEADLINE_EXACT].message.startswith("activeDeadlineSeconds of 10 became 60")
    assert conditions.DEADLINE_EXACT not in told(asked(active_deadline_seconds=60))


def test_fargate_promises_14_days_and_ec2_has_no_limit() -> None:
    days = 86400
    assert told(asked(active_deadline_seconds=14 * days + 1, aws=FARGATE))[conditions.DEADLINE_EXACT].reason == (
        reasons.LIMITED
    )
    for spec in (asked(active_deadline_seconds=14 * days, aws=FARGATE), asked(active_deadline_seconds=99 * days)):
        assert conditions.DEADLINE_EXACT not in told(spec)


def test_a_command_is_remarked_as_the_entrypoint_stays() -> None:
    spec = asked(command=("sh", "-c"), args=("true",))
    assert sent(spec)["containerOverrides"]["command"] == ["sh", "-c", "true"]
    assert list(told(spec)) == [conditions.ENTRYPOINT_REPLACED]


def test_a_queue_with_a_policy_has_shares_and_priorities_and_another_tells_that_it_has_none() -> None:
    fair = sent(asked(priority=5, aws=FAIR))
    assert (fair["shareIdentifier"], fair["schedulingPriorityOverride"]) == (request.DEFAULT_SHARE, 5)
    team = AwsOptions(job_queue="jennah-fair", share_identifier="team")
    assert sent(asked(aws=team))["shareIdentifier"] == "team"
    assert "schedulingPriorityOverride" not in sent(asked(priority=5))
    assert "priority 5 changes nothing" in told(asked(priority=5))[conditions.SPEC_HONOURED].message
    assert told(asked(priority=5, aws=FAIR)) == {}


LOSSES = [
    {"onStatusReason": "Host EC2*"},
    {"onReason": "DockerTimeoutError: Could not transition to pulled*"},
    {"onReason": "DockerTimeoutError: Could not transition to created*"},
]


def rules(action: str) -> list[dict[str, str]]:
    return [{**rule, "action": action} for rule in LOSSES]


@pytest.mark.parametrize(
    ("limits", "strategy"),
    [
        ((0, 0), {"attempts": 1}),
        ((0, 3), {"attempts": 4, "evaluateOnExit": [*rules("RETRY"), {"onReason": "*", "action": "EXIT"}]}),
        ((0, 10), {"attempts": 10, "evaluateOnExit": [*rules("RETRY"), {"onReason": "*", "action": "EXIT"}]}),
        ((2, 3), {"attempts": 3}),
        ((2, 0), {"attempts": 3, "evaluateOnExit": rules("EXIT")}),
        ((9, 10), {"attempts": 10}),
    ],
)
def test_failures_and_losses_are_run_again_as_their_limits_say(limits: tuple[int, int], strategy: dict) -> None:
    spec = asked(backoff_limit=limits[0], preemption_limit=limits[1])
    assert sent(spec)["retryStrategy"] == strategy


def test_on_fargate_a_task_is_lost_by_other_words() -> None:
    rules = sent(asked(backoff_limit=0, aws=FARGATE))["retryStrategy"]["evaluateOnExit"]
    assert [rule.get("onStatusReason", "") for rule in rules] == [
        "Your Spot Task was interrupted*",
        "Timeout waiting for network interface provisioning to complete*",
        "",
    ]


def test_one_count_for_both_is_told_on_spot_and_a_limit_beyond_the_services_always() -> None:
    both = told(asked(spot=True, backoff_limit=2, preemption_limit=5))[conditions.RETRIES_EXACT]
    assert (both.reason, "preemptionLimit (5)" in both.message, "backoffLimit (2)" in both.message) == (
        reasons.NOT_SUPPORTED,
        True,
        True,
    )
    many = told(asked(backoff_limit=0, preemption_limit=10))[conditions.RETRIES_EXACT]
    assert (many.reason, "of 10 became 9" in many.message) == (reasons.LIMITED, True)
    for spec in (
        asked(backoff_limit=2, preemption_limit=5),
        asked(spot=True, backoff_limit=0),
        asked(spot=True, backoff_limit=2, preemption_limit=0),
    ):
        assert conditions.RETRIES_EXACT not in told(spec)


def test_the_tag_says_that_machines_are_spot_as_the_queue_has_it() -> None:
    assert remarks.is_spot(sent(asked(spot=True))["tags"][tags.ASKED])
    assert remarks.is_spot(sent(asked(aws=FARGATE_SPOT))["tags"][tags.ASKED])
    assert tags.ASKED not in sent(asked())["tags"]


def test_spot_on_a_queue_without_spot_machines_is_told() -> None:
    assert "no spot machines" in told(asked(spot=True, aws=FARGATE))[conditions.SPEC_HONOURED].message
    assert conditions.SPEC_HONOURED not in told(asked(spot=True, aws=FARGATE_SPOT, backoff_limit=0))


def test_a_machine_type_alone_is_its_cpus_and_the_memory_that_can_be_had_of_it() -> None:
    whole = JobSpec(image="busybox", machine_type="r5.xlarge")
    found = needs(whole)
    assert found["VCPU"] == "4"
    assert 30_000 < int(found["MEMORY"]) <= 31_672  # what such an instance was seen to have
    one = told(whole)[conditions.RESOURCES_EXACT]
    assert (one.reason, "32768" in one.message, found["MEMORY"] in one.message) == (reasons.HELD_BACK, True, True)


def test_a_machine_type_of_unknown_size_is_told_and_one_that_chooses_nothing() -> None:
    unknown = told(JobSpec(image="busybox", machine_type="x9.none"))[conditions.RESOURCES_EXACT]
    assert unknown.reason == reasons.UNKNOWN_MACHINE_TYPE
    named = asked(machine_type="r5.xlarge", aws=AwsOptions(job_queue="mine"))
    assert "machineType chooses no machine" in told(named)[conditions.RESOURCES_EXACT].message
    gpu = asked(resources={"gpu": Gpu(count=1, type="a100")}, aws=AwsOptions(job_queue="mine"))
    assert "resources.gpu.type chooses no machine" in told(gpu)[conditions.RESOURCES_EXACT].message


@pytest.mark.parametrize(
    ("spec", "words"),
    [
        (asked(boot_disk_gib=50), "bootDiskGiB 50 changes nothing"),
        (asked(boot_disk_gib=10, aws=FARGATE), "bootDiskGiB of 10 became 20"),
        (
            asked(boot_disk_gib=50, aws=AwsOptions(job_queue="jennah-fargate", ephemeral_storage_gib=60)),
            "aws.ephemeralStorageGiB says 60",
        ),
        (asked(resources={"shared_memory": "1Gi"}, aws=FARGATE), "resources.sharedMemory of 1024 MiB changes nothing"),
        (
            asked(service_account="arn:aws:iam::1:role/a", aws=AwsOptions(job_role_arn="arn:aws:iam::1:role/b")),
            "serviceAccount changes nothing",
        ),
        (asked(labels={"a": "50 %", "b": "x"}), "labels (1 of them) have characters"),
    ],
)
def test_what_is_not_honoured_is_told(spec: JobSpec, words: str) -> None:
    assert [words in one.message for one in told(spec).values()] == [True]


def test_disks_that_fargate_has_are_exact() -> None:
    for gib in (20, 21, 200):
        assert told(asked(boot_disk_gib=gib, aws=FARGATE)) == {}


def test_labels_are_tags_and_what_tags_cannot_have_becomes_an_underscore() -> None:
    labels = {"app.kubernetes.io/name": "rnaseq", "team": "naïve 漢字", "share": "50 %\n", "x": "AWS:y"}
    found = sent(asked(labels=labels))["tags"]
    assert {key: found[key] for key in labels} == {**labels, "share": "50 __", "x": "_AWS:y"}


def test_a_queue_about_which_nothing_is_known_is_what_the_spec_says() -> None:
    unknown = Queue(name="q", platform=Platform.EC2, has_policy=False)
    found = request.parameters(
        request_of(asked(spot=True, backoff_limit=0)), unknown, definition="d:1", instance="test"
    )
    assert found["tags"][tags.ASKED] == remarks.SPOT
