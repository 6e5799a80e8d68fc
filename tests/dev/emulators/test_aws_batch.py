"""The stand-in for AWS Batch, asked by boto3 as it is: providers.md §2 is what it is held to."""

import json
import re
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from typing import Any

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError, ConnectionClosedError

from controller.providers.aws.observation import NativeState
from dev.emulators.aws import outcomes
from dev.emulators.aws.server import Emulator
from dev.emulators.faults import Faults

QUEUE = "jennah"


class Stage:
    """An emulator whose clock the test moves, and a client without retries."""

    def __init__(self) -> None:
        self.now = time.time()
        self.emulator = Emulator(clock=lambda: self.now, step_seconds=1.0, seed=1)
        self.client: Any = None

    def submit(self, name: str = "job", command: tuple[str, ...] = ("sleep", "60"), **more: Any) -> str:
        if not self.emulator.service.definitions:
            self.client.register_job_definition(jobDefinitionName="d", type="container", containerProperties=CONTAINER)
        more = {"jobQueue": QUEUE, "jobDefinition": "d", **more}
        reply = self.client.submit_job(jobName=name, containerOverrides={"command": list(command)}, **more)
        return str(reply["jobId"])

    def state(self, job_id: str) -> str:
        [job] = self.client.describe_jobs(jobs=[job_id])["jobs"]
        return str(job["status"])

    def listed(self, **wanted: Any) -> list[str]:
        return [job["jobId"] for job in self.client.list_jobs(jobQueue=QUEUE, **wanted)["jobSummaryList"]]


CONTAINER = {
    "image": "busybox",
    "resourceRequirements": [{"type": "VCPU", "value": "1"}, {"type": "MEMORY", "value": "64"}],
}


def client(url: str) -> Any:
    config = Config(retries={"total_max_attempts": 1}, read_timeout=5)
    keys = {"aws_access_key_id": "x", "aws_secret_access_key": "x"}
    return boto3.client("batch", region_name="eu-west-1", endpoint_url=url, config=config, **keys)


@pytest.fixture
def stage() -> Iterator[Stage]:
    stage = Stage()
    with stage.emulator.in_thread() as url:
        stage.client = client(url)
        yield stage
        stage.client.close()


def code(error: pytest.ExceptionInfo[ClientError]) -> tuple[str, int]:
    answer = error.value.response
    return answer["Error"]["Code"], answer["ResponseMetadata"]["HTTPStatusCode"]


def test_a_job_moves_in_time_to_its_end(stage: Stage) -> None:
    job = stage.submit(command=("sh", "-c", "sleep 5; exit 3"))
    seen = []
    for _ in range(12):
        seen.append(stage.state(job))
        stage.now += 1
    assert list(dict.fromkeys(seen)) == ["SUBMITTED", "RUNNABLE", "STARTING", "RUNNING", "FAILED"]
    [detail] = stage.client.describe_jobs(jobs=[job])["jobs"]
    assert detail["container"]["exitCode"] == 3
    assert len(detail["attempts"]) == 1


def test_a_retry_goes_back_to_runnable(stage: Stage) -> None:
    job = stage.submit(command=("sh", "-c", "sleep 2; exit 1"), retryStrategy={"attempts": 2})
    seen = []
    for _ in range(20):
        state = stage.state(job)
        if seen[-1:] != [state]:
            seen.append(state)
        stage.now += 0.5
    assert seen[1:] == ["RUNNABLE", "STARTING", "RUNNING", "RUNNABLE", "STARTING", "RUNNING", "FAILED"]


def test_a_time_limit_ends_an_attempt_and_is_not_retried(stage: Stage) -> None:
    job = stage.submit(command=("sleep", "600"), timeout={"attemptDurationSeconds": 60}, retryStrategy={"attempts": 5})
    stage.now += 100
    [detail] = stage.client.describe_jobs(jobs=[job])["jobs"]
    assert (detail["status"], detail["statusReason"]) == ("FAILED", "Job attempt duration exceeded timeout")


RETRY_HOST = {"action": "RETRY", "onStatusReason": "Host EC2*"}
EXIT = {"action": "EXIT", "onReason": "*"}


@pytest.mark.parametrize(
    ("fault", "rules", "attempts"),
    [
        ("", [RETRY_HOST, EXIT], 1),
        ("", [RETRY_HOST], 3),
        ("", [{"action": "EXIT", "onExitCode": "1"}], 1),
        ("", [{"action": "EXIT", "onExitCode": "2"}], 3),
        ("", [{"action": "EXIT", "onExitCode": "1", "onStatusReason": "Host*"}], 3),
        ("HostTerminated", [RETRY_HOST, EXIT], 3),
        ("HostTerminated:1", [RETRY_HOST, EXIT], 2),
        ("InspectTimeout", [RETRY_HOST, EXIT], 1),
        ("DockerTimeout", [{"action": "retry", "onReason": "DockerTimeoutError: Could not*"}, EXIT], 3),
    ],
)
def test_the_first_rule_that_matches_decides_and_without_one_it_is_run_again(
    stage: Stage, fault: str, rules: list[dict[str, str]], attempts: int
) -> None:
    job = stage.submit(
        command=("false",),
        retryStrategy={"attempts": 3, "evaluateOnExit": rules},
        tags={outcomes.FAULT: fault} if fault else {},
    )
    stage.now += 100
    [detail] = stage.client.describe_jobs(jobs=[job])["jobs"]
    assert (detail["status"], len(detail["attempts"])) == ("FAILED", attempts)


@pytest.mark.parametrize(
    ("fault", "reason", "begins"),
    [
        ("DockerTimeout", "DockerTimeoutError: Could not transition to created; timed out after waiting 4m0s", False),
        ("InspectTimeout", "CannotInspectContainerError: Could not transition to inspecting; timed out after", True),
    ],
)
def test_a_fault_is_told_as_the_service_tells_it(stage: Stage, fault: str, reason: str, begins: bool) -> None:
    job = stage.submit(tags={outcomes.FAULT: fault})
    stage.now += 100
    [detail] = stage.client.describe_jobs(jobs=[job])["jobs"]
    assert detail["container"]["reason"].startswith(reason)
    assert "exitCode" not in detail["container"]
    assert ("startedAt" in detail["attempts"][0], "logStreamName" in detail["container"]) == (begins, begins)


def test_overrides_that_are_too_long_are_taken_and_fail_later(stage: Stage) -> None:
    own = 4 * len('{"name":"AWS_BATCH_","value":""},') + 4 * 40 + len("JOB_IDJQ_NAMECE_NAMEJOB_ATTEMPT")
    room = 8192 - own - len('{"command":[""],"environment":[]}') + 1
    jobs = [stage.submit(command=("x" * length,)) for length in (room, room + 1)]
    stage.now += 10
    fits, more = stage.client.describe_jobs(jobs=jobs)["jobs"]
    assert (fits["status"], more["status"], more["attempts"]) == ("SUCCEEDED", "FAILED", [])
    assert more["statusReason"] == "Container Overrides length must be at most 8192"


def test_a_reserved_log_group_keeps_containers_from_starting(stage: Stage) -> None:
    options = {"logDriver": "awslogs", "options": {"awslogs-group": "aws/batch"}}
    container = {**CONTAINER, "logConfiguration": options}
    stage.client.register_job_definition(jobDefinitionName="d", type="container", containerProperties=container)
    job = stage.submit()
    stage.now += 10
    [detail] = stage.client.describe_jobs(jobs=[job])["jobs"]
    assert "reserved for AWS" in detail["container"]["reason"]


@pytest.mark.parametrize(
    "wrong",
    [
        {"command": ["a", ""]},
        {"environment": [{"name": "AWS_BATCH_X", "value": "x"}]},
    ],
)
def test_definitions_that_the_service_refuses_are_refused(stage: Stage, wrong: dict[str, Any]) -> None:
    with pytest.raises(ClientError) as error:
        stage.client.register_job_definition(
            jobDefinitionName="d", type="container", containerProperties={**CONTAINER, **wrong}
        )
    assert code(error) == ("ClientException", 400)


def test_every_submission_is_a_new_job(stage: Stage) -> None:
    assert stage.submit("same") != stage.submit("same")


def test_without_a_state_only_running_jobs_are_listed(stage: Stage) -> None:
    running = stage.submit()
    stage.now += 10
    waiting = stage.submit()
    assert stage.listed() == [running]
    assert stage.listed(jobStatus="SUBMITTED") == [waiting]


def test_the_name_filter_ignores_capitals_and_state_and_takes_a_prefix(stage: Stage) -> None:
    first, second, other = stage.submit("Test1"), stage.submit("test10", command=("true",)), stage.submit("x")
    stage.now += 10
    assert stage.listed(filters=[{"name": "JOB_NAME", "values": ["tEST1"]}], jobStatus="SUBMITTED") == [first]
    assert stage.listed(filters=[{"name": "JOB_NAME", "values": ["test1*"]}]) == [second, first]
    assert other not in stage.listed(filters=[{"name": "JOB_NAME", "values": ["test1*"]}])


def test_one_filter_at_a_time(stage: Stage) -> None:
    both = [{"name": "JOB_NAME", "values": ["a"]}, {"name": "AFTER_CREATED_AT", "values": ["1"]}]
    with pytest.raises(ClientError) as error:
        stage.listed(filters=both)
    assert code(error) == ("ClientException", 400)


def test_pages_have_the_services_limits(stage: Stage) -> None:
    jobs = [stage.submit("many") for _ in range(103)]
    names = [{"name": "JOB_NAME", "values": ["many"]}]
    first = stage.client.list_jobs(jobQueue=QUEUE, filters=names, maxResults=1000)
    assert len(first["jobSummaryList"]) == 100
    rest = stage.client.list_jobs(jobQueue=QUEUE, filters=names, nextToken=first["nextToken"])
    assert "nextToken" not in rest
    found = [job["jobId"] for page in (first, rest) for job in page["jobSummaryList"]]
    assert found == jobs[::-1]
    assert len(stage.listed(jobStatus="SUBMITTED")) == 103
    with pytest.raises(ClientError) as error:
        stage.client.describe_jobs(jobs=jobs[:101])
    assert code(error) == ("ClientException", 400)


def test_unknown_ids_are_left_out(stage: Stage) -> None:
    job = stage.submit()
    assert [one["jobId"] for one in stage.client.describe_jobs(jobs=["none", job])["jobs"]] == [job]


def test_an_array_waits_in_pending_and_counts_its_tasks(stage: Stage) -> None:
    job = stage.submit(arrayProperties={"size": 3}, tags={"a": "b"})
    stage.now += 10
    [parent] = stage.client.describe_jobs(jobs=[job])["jobs"]
    assert (parent["status"], parent["arrayProperties"]["statusSummary"]["RUNNING"]) == ("PENDING", 3)
    assert stage.listed() == []
    children = stage.client.list_jobs(arrayJobId=job, jobStatus="RUNNING")["jobSummaryList"]
    assert [child["jobId"] for child in children] == [f"{job}:{n}" for n in range(3)]
    [child] = stage.client.describe_jobs(jobs=[f"{job}:2"])["jobs"]
    assert (child["arrayProperties"]["index"], child.get("tags")) == (2, None)


def test_cancelling_does_nothing_to_a_job_that_runs(stage: Stage) -> None:
    running = stage.submit()
    stage.now += 10
    waiting = stage.submit()
    for job in (running, waiting):
        stage.client.cancel_job(jobId=job, reason="why")
    assert (stage.state(running), stage.state(waiting)) == ("RUNNING", "FAILED")


def test_terminating_ends_a_job_wherever_it_is_and_keeps_the_reason(stage: Stage) -> None:
    running, ended = stage.submit(), stage.submit(command=("true",))
    stage.now += 10
    waiting = stage.submit()
    stage.client.terminate_jobs(jobs=[running, waiting, ended, "none"], reason="why")
    stage.now += 2
    found = {one["jobId"]: one for one in stage.client.describe_jobs(jobs=[running, waiting, ended])["jobs"]}
    assert [(found[job]["status"], found[job]["isTerminated"]) for job in (running, waiting, ended)] == [
        ("FAILED", True),
        ("FAILED", True),
        ("SUCCEEDED", False),
    ]
    assert found[running]["statusReason"] == "why"


def test_registering_a_name_again_makes_a_revision(stage: Stage) -> None:
    stage.submit()
    again = stage.client.register_job_definition(jobDefinitionName="d", type="container", containerProperties=CONTAINER)
    assert again["revision"] == 2
    stage.client.deregister_job_definition(jobDefinition="d:1")
    active = stage.client.describe_job_definitions(jobDefinitionName="d", status="ACTIVE")["jobDefinitions"]
    assert [one["revision"] for one in active] == [2]
    with pytest.raises(ClientError, match="not ACTIVE"):
        stage.submit(jobDefinition="d:1")


@pytest.mark.parametrize(
    "wrong",
    [
        {"jobQueue": "none"},
        {"jobName": "-x"},
        {"arrayProperties": {"size": 1}},
        {"timeout": {"attemptDurationSeconds": 59}},
        {"retryStrategy": {"attempts": 11}},
        {"shareIdentifier": "x"},
        {"jobQueue": "jennah-fair"},
        {"jobQueue": "jennah-fargate"},
        {"tags": {"a": "*"}},
        {"tags": {"a*": ""}},
        {"tags": {"AWS:a": ""}},
        {"containerOverrides": {"command": ["a", ""]}},
        {"containerOverrides": {"environment": [{"name": "AWS_BATCH_X", "value": ""}]}},
        {"retryStrategy": {"evaluateOnExit": [{"action": "RETRY", "onReason": "*"}]}},
        {"retryStrategy": {"attempts": 2, "evaluateOnExit": [{"action": "RETRY"}]}},
        {"retryStrategy": {"attempts": 2, "evaluateOnExit": [{"action": "RETRY", "onReason": "*x"}]}},
        {"retryStrategy": {"attempts": 2, "evaluateOnExit": [{"action": "RETRY", "onReason": "(x)*"}]}},
        {"retryStrategy": {"attempts": 2, "evaluateOnExit": [{"action": "EXIT", "onReason": "*"}] * 6}},
    ],
)
def test_what_the_service_refuses_is_refused(stage: Stage, wrong: dict[str, Any]) -> None:
    stage.submit()
    with pytest.raises(ClientError) as error:
        stage.client.submit_job(**{"jobName": "x", "jobQueue": QUEUE, "jobDefinition": "d", **wrong})
    assert code(error) == ("ClientException", 400)
    assert len(stage.emulator.service.jobs) == 1


def test_new_jobs_are_hidden_for_a_while(stage: Stage) -> None:
    stage.emulator.dice.faults = Faults(hidden_seconds=20)
    job = stage.submit()
    assert stage.client.describe_jobs(jobs=[job])["jobs"] == []
    assert all(job not in stage.listed(jobStatus=state.value) for state in NativeState)
    assert [entry.id for entry in stage.emulator.service.ledger()] == [job]
    stage.now += 20
    assert stage.state(job) == "RUNNING"


def test_a_lost_reply_was_done_and_a_lost_request_was_not(stage: Stage) -> None:
    stage.submit()
    lost = []
    for faults in (Faults(lost_replies=1), Faults(lost_requests=1), Faults(throttled=1)):
        before = len(stage.emulator.service.jobs)
        stage.emulator.dice.faults = faults
        for _ in range(6):
            with pytest.raises((ClientError, ConnectionClosedError)):
                stage.submit()
        lost.append(len(stage.emulator.service.jobs) - before)
    assert lost == [6, 0, 0]
    with pytest.raises(ClientError) as error:
        stage.listed()
    assert code(error) == ("TooManyRequestsException", 429)


def test_as_a_program_it_says_where_it_is_and_has_a_side_door() -> None:
    command = [sys.executable, "-m", "dev.emulators.aws_batch", "--seed", "7", "--lost-replies", "0.5"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as process:
        try:
            line = process.stdout.readline().strip()
            found = re.fullmatch(r"ready: (http://127\.0\.0\.1:\d+) control: (127\.0\.0\.1:\d+)", line)
            assert found, line
            [queue] = client(found[1]).describe_job_queues(jobQueues=[QUEUE])["jobQueues"]
            assert queue["state"] == "ENABLED"
            with urllib.request.urlopen(f"http://{found[2]}/faults") as answer:
                assert json.load(answer)["lost_replies"] == 0.5
            with urllib.request.urlopen(f"http://{found[2]}/ledger") as answer:
                assert json.load(answer) == []
        finally:
            process.terminate()
    assert process.returncode == 0
