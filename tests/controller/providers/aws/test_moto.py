"""The AWS adapter against moto's server: another's idea of what requests and replies look like.

moto has no states in between and no bulk termination (providers.md §2f): those are the stand-in's to test.
"""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest

from controller.clock import SystemClock
from controller.cloud_settings import AwsSettings
from controller.domain.errors import ConfigError, NotFound
from controller.domain.job import AwsOptions, Job, JobStatus, Metadata
from controller.domain.phases import Phase
from controller.providers.aws import logs
from controller.providers.aws.provider import AwsProvider
from dev.emulators.aws import outcomes
from dev.emulators.aws.server import Emulator
from tests.contract import moto_batch
from tests.contract.moto_batch import REGION, client
from tests.controller.providers.aws.harness import Service, ref, wanted


@pytest.fixture(scope="module")
def moto() -> Iterator[str]:
    """The URL of a server whose jobs are not run in Docker."""
    with moto_batch.serving() as url:
        yield url


@pytest.fixture(scope="module")
def queues(moto: str) -> tuple[str, str]:
    """The ARNs of a queue on EC2 and one on Fargate."""
    return moto_batch.make_queues(moto)


@pytest.fixture
async def provider(moto: str, queues: tuple[str, str]) -> AsyncIterator[AwsProvider]:
    settings = AwsSettings(
        region=REGION,
        instance="test",
        job_queue=queues[0],
        execution_role_arn="arn:aws:iam::123456789012:role/execution",
        endpoint=moto,
        calls_per_second=1000,
        submits_per_second=1000,
    )
    provider = AwsProvider(settings, SystemClock())
    yield provider
    await provider.close()


async def test_its_queues_are_found_and_others_are_not(provider: AwsProvider, moto: str) -> None:
    await provider.open()
    settings = AwsSettings(
        region=REGION, instance="t", job_queue="none", endpoint=moto, calls_per_second=9, submits_per_second=9
    )
    other = AwsProvider(settings, SystemClock())
    with pytest.raises(ConfigError, match="AWS_JOB_QUEUE"):
        await other.open()
    await other.close()


@pytest.mark.parametrize("kind", [0, 1], ids=["ec2", "fargate"])
async def test_a_job_is_submitted_found_and_seen_at_its_end(
    provider: AwsProvider, queues: tuple[str, str], kind: int
) -> None:
    request = wanted("job", env={"A": "1"}, labels={"team": "x"}, aws=AwsOptions(job_queue=queues[kind]))
    await provider.prepare(request)
    submitted = await provider.submit(request)
    [found] = await provider.find(ref(request))
    assert (found.uid, found.resource_path) == (request.uid, submitted.resource_path)
    one = ref(request, submitted.resource_path)
    seen = (await provider.observe([one]))[request.external_name]
    assert (seen.phase, seen.exit_code) == (Phase.COMPLETED, 0)
    assert await provider.get(one) == seen
    await provider.cancel(one, reason="too late")


async def test_definitions_are_registered_once(provider: AwsProvider, moto: str) -> None:
    for _ in range(3):
        request = wanted("again", aws=AwsOptions(log_group="mine"))
        await provider.prepare(request)
        await provider.submit(request)
    other = AwsProvider(provider._settings, SystemClock())
    await other.prepare(wanted("again", aws=AwsOptions(log_group="mine")))
    await other.close()
    definitions = client(moto, "batch").describe_job_definitions(status="ACTIVE")["jobDefinitions"]
    names = [one["jobDefinitionName"] for one in definitions]
    assert len(names) == len(set(names))


async def test_an_array_counts_its_tasks(provider: AwsProvider) -> None:
    request = wanted("array", completions=3)
    submitted = await provider.submit(request)
    [found] = await provider.find(ref(request))
    assert found.resource_path == submitted.resource_path
    assert found.tasks.total == 3


async def test_the_tasks_of_an_array_which_moto_lists_with_the_array_are_no_jobs_of_ours(provider: AwsProvider) -> None:
    request = wanted("array", completions=3)
    path = (await provider.submit(request)).resource_path
    assert [one.resource_path for one in (await provider.observe([ref(request)])).values()] == [path]


async def test_a_job_that_waits_is_seen_so_and_cancelled(provider: AwsProvider, moto: str) -> None:
    moto_batch.play(moto, has_docker=True)
    request = wanted("waits")
    path = (await provider.submit(request)).resource_path
    assert (await provider.observe([ref(request, path)]))[request.external_name].phase is Phase.PENDING
    unclaimed = {one.seen.uid for one in await provider.unclaimed(set())}
    assert request.uid in unclaimed
    await provider.cancel(ref(request, path), reason="because")
    moto_batch.fail_waiting(moto)
    while not (seen := await provider.get(ref(request, path))).has_ended:
        await asyncio.sleep(0.05)
    moto_batch.play(moto, has_docker=False)
    assert (seen.phase, seen.message, seen.failed_unless_asked) == (Phase.CANCELLED, "because", None)
    assert (await provider.observe([ref(request, path)]))[request.external_name] == seen


async def test_where_bulk_termination_is_not_there_each_is_ended_by_itself(provider: AwsProvider) -> None:
    ids = [(await provider.submit(wanted(name))).resource_path.rpartition("/")[2] for name in ("a", "b")]
    outcomes = await provider._ending._end_all(ids, "because")
    assert outcomes == dict.fromkeys(ids)
    assert not provider._ending._has_bulk


# --- logs: the job is the stand-in's, its lines are in moto's CloudWatch Logs -----------------------------


@pytest.fixture
def stage(moto: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Service]:
    now = [1_800_000_000.0]

    def advance(seconds: float) -> None:
        now[0] += seconds

    emulator = Emulator(clock=lambda: now[0], step_seconds=1.0)
    with emulator.in_thread() as url:
        monkeypatch.setenv("AWS_BATCH_ENDPOINT", url)
        monkeypatch.setenv("AWS_ENDPOINT_URL_LOGS", moto)
        yield Service(url, emulator, advance)


def job(path: str | None, spec) -> Job:
    return Job(metadata=Metadata(name="job"), spec=spec, status=JobStatus(resource_path=path))


def cloudwatch_of(moto: str) -> Any:
    """A client; the service's own log group is there."""
    found = client(moto, "logs")
    with contextlib.suppress(found.exceptions.ResourceAlreadyExistsException):
        found.create_log_group(logGroupName="/aws/batch/job")
    return found


async def test_the_lines_of_all_attempts_are_told_in_order(stage: Service, moto: str) -> None:
    provider = stage.provider()
    request = wanted("logs", command=("sh", "-c", "sleep 1; exit 1"), backoff_limit=1)
    path = (await provider.submit(request)).resource_path
    await provider.close()
    stage.advance(60)
    [stored] = stage.emulator.service.jobs.values()
    cloudwatch = cloudwatch_of(moto)
    for number, run in enumerate(stored.life.runs):
        place = {"logGroupName": "/aws/batch/job", "logStreamName": run.stream}
        cloudwatch.create_log_stream(**place)
        events = [{"timestamp": int(time.time() * 1000) + n, "message": f"{number}-{n}"} for n in range(2)]
        cloudwatch.put_log_events(**place, logEvents=events)
    assert [line async for line in logs.lines(job(path, request.spec))] == ["0-0", "0-1", "1-0", "1-1"]


async def told(path: str | None, spec) -> tuple[list[str], str]:
    """The lines, and the words with which they ended."""
    found: list[str] = []
    try:
        async for line in logs.lines(job(path, spec)):
            found.append(line)
    except NotFound as error:
        return found, str(error)
    return found, ""


async def test_an_array_has_the_lines_of_its_tasks_and_says_which_ended_ones_have_none(
    stage: Service, moto: str
) -> None:
    provider = stage.provider()
    request = wanted("logs", completions=3, command=("sh", "-c", "sleep 1; exit 1"))
    path = (await provider.submit(request)).resource_path
    await provider.close()
    [stored] = stage.emulator.service.jobs.values()
    cloudwatch = cloudwatch_of(moto)
    stage.advance(3)
    assert await told(path, request.spec) == ([], "no task has a log yet")
    stage.advance(60)
    place = {"logGroupName": "/aws/batch/job", "logStreamName": stored.life.runs[0].stream}
    cloudwatch.create_log_stream(**place)
    cloudwatch.put_log_events(**place, logEvents=[{"timestamp": int(time.time() * 1000), "message": "line"}])
    assert await told(path, request.spec) == (["[0] line", "[1] line", "[2] line"], "")
    cloudwatch.delete_log_stream(**place)
    lines, words = await told(path, request.spec)
    assert (lines, words.startswith("[0] the log group /aws/batch/job ")) == ([], True)
    assert words.endswith("(and of 2 tasks more)")


async def test_logs_of_nothing_say_why(stage: Service) -> None:
    provider = stage.provider()
    request = wanted("logs", command=("true",), aws=AwsOptions(log_group="/acme/jobs"))
    path = (await provider.submit(request)).resource_path
    assert await told(path, request.spec) == ([], "there is no log: the job is SUBMITTED")
    stage.advance(60)
    lines, words = await told(path, request.spec)
    assert (lines, words.startswith("the log group /acme/jobs does not exist (make it")) == ([], True)
    never = wanted("never", labels={outcomes.FAULT: "ImagePull"})
    path = (await provider.submit(never)).resource_path
    stage.advance(60)
    assert (await told(path, never.spec))[1] == (
        "there is no log: the job is FAILED (CannotPullContainerError: Error response from daemon: manifest unknown; "
        "Task failed to start)"
    )
    await provider.close()


def test_a_missing_stream_is_told_from_a_missing_group() -> None:
    # moto says the same of both
    stream = logs._missing("/acme/jobs", "d/default/1", "The specified log stream does not exist.")
    assert stream.startswith("the log group /acme/jobs has no stream d/default/1: ")
    group = logs._missing("/acme/jobs", "d/default/1", "The specified log group does not exist.")
    assert group.startswith("the log group /acme/jobs does not exist")


async def test_a_job_that_is_not_there_has_no_logs(stage: Service) -> None:
    for path in (None, "arn:aws:batch:eu-west-1:1:job/none"):
        with pytest.raises(NotFound):
            [line async for line in logs.lines(job(path, wanted().spec))]
