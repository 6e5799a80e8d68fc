"""The AWS adapter against the stand-in: how often it calls, what it makes of failures, what it finds again."""

import asyncio
import socket
import threading
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator

import msgspec
import pytest
from aiohttp import web
from botocore.exceptions import NoCredentialsError

from controller import metrics
from controller.clock import SystemClock
from controller.domain import conditions, reasons
from controller.domain.errors import ConfigError, Forbidden, NotLeading, Permanent, Retryable, Throttled, Unavailable
from controller.domain.job import AwsOptions
from controller.domain.phases import Phase
from controller.ports import JobRef
from controller.providers.aws import connection as connections
from controller.providers.aws import errors
from controller.providers.aws.provider import AwsProvider
from controller.reconcile.guard import GuardedProvider
from dev.emulators.aws.server import Emulator, drop, failed, reply
from tests.controller.fakes import FakeClock, settle
from tests.controller.providers.aws_service import Service, ref, wanted

Answer = Callable[[web.Request], Awaitable[web.StreamResponse]]


@pytest.fixture
def service() -> Iterator[Service]:
    """A stand-in whose clock only moves by `advance`."""
    now = [time.time()]

    def advance(seconds: float) -> None:
        now[0] += seconds

    emulator = Emulator(clock=lambda: now[0], step_seconds=1.0)
    with emulator.in_thread() as url:
        yield Service(url, emulator, advance)


@pytest.fixture
async def provider(service: Service) -> AsyncIterator[AwsProvider]:
    provider = service.provider()
    yield provider
    await provider.close()


def refused(status: int, code: str, message: str = "words") -> Answer:
    async def answer(_: web.Request) -> web.StreamResponse:
        return failed(status, code, message)

    return answer


async def dropped(request: web.Request) -> web.StreamResponse:
    return drop(request)


async def garbage(_: web.Request) -> web.StreamResponse:
    return web.Response(text="<html>", content_type="text/html")


async def no_id(_: web.Request) -> web.StreamResponse:
    return reply({"jobName": "x"})


# --- open ----------------------------------------------------------------------------------------------


async def test_opening_finds_every_configured_queue_by_name_or_arn(service: Service, provider: AwsProvider) -> None:
    await provider.open()
    arn = "arn:aws:batch:eu-west-1:123456789012:job-queue/jennah"
    await service.provider(job_queue=arn, job_queues={"spot": "jennah-spot"}).open()


async def test_a_missing_queue_is_named_with_its_variable(service: Service) -> None:
    provider = service.provider(job_queue="nope", job_queues={"spot": "nowhere"})
    with pytest.raises(ConfigError) as error:
        await provider.open()
    assert error.value.faults == [
        "AWS_JOB_QUEUE: in eu-west-1 there is no queue 'nope'",
        "AWS_JOB_QUEUES: in eu-west-1 there is no queue 'nowhere'",
    ]


@pytest.mark.parametrize("code", ["AccessDeniedException", "UnrecognizedClientException", "ExpiredTokenException"])
async def test_refused_credentials_name_the_iam_action(service: Service, provider: AwsProvider, code: str) -> None:
    service.answer("DescribeJobQueues", refused(403, code))
    with pytest.raises(ConfigError, match="batch:DescribeJobQueues is needed"):
        await provider.open()


async def test_an_unreachable_service_is_unavailable_at_the_start(service: Service) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    with pytest.raises(Unavailable):
        await service.provider(endpoint=f"http://127.0.0.1:{port}").open()


# --- submit --------------------------------------------------------------------------------------------


async def test_a_submission_is_one_post_and_looks_nothing_up_after_prepare(
    service: Service, provider: AwsProvider
) -> None:
    request = wanted()
    await provider.prepare(request)
    before = sum(service.counts.values())
    seen = await provider.submit(request)
    assert (service.counts["SubmitJob"], sum(service.counts.values()) - before) == (1, 1)
    assert (seen.phase, seen.uid, seen.tasks.total) == (Phase.PENDING, request.uid, 1)


@pytest.mark.parametrize(
    ("answer", "kind"),
    [
        (dropped, Unavailable),
        (garbage, Unavailable),
        (no_id, Unavailable),
        (refused(500, "ServerException"), Unavailable),
        (refused(503, "ServiceUnavailable"), Unavailable),
        (refused(500, "AuthorizerConfigurationException"), Unavailable),
        (refused(503, "SlowDown"), Unavailable),
        (refused(500, "Throttling"), Unavailable),
        (refused(500, "AccessDeniedException"), Unavailable),
        (refused(429, "TooManyRequestsException"), Throttled),
        (refused(400, "ThrottlingException"), Throttled),
        (refused(403, "AccessDeniedException"), Forbidden),
        (refused(400, "ClientException", "User: x is not authorized to perform: batch:SubmitJob"), Forbidden),
        (refused(400, "ClientException", "Job queue x is DISABLED"), Retryable),
        (refused(400, "ClientException", "Cannot submit, job queue is not in the ENABLED state"), Retryable),
        (refused(400, "ClientException", "JobQueue arn:x/y, status: INVALID"), Retryable),
        (refused(400, "ClientException", "Job queue x, jobName is wrong: shareIdentifier is invalid"), Permanent),
        (refused(400, "ClientException", "Queue x: jobName is wrong, INVALID characters"), Permanent),
        (refused(400, "ClientException", "JobDefinition x:1 is not ACTIVE"), Retryable),
        (refused(400, "ClientException", "jobName is wrong"), Permanent),
    ],
)
async def test_whatever_fails_a_submission_is_sent_once_and_named_rightly(
    service: Service, provider: AwsProvider, answer: Answer, kind: type[Exception]
) -> None:
    request = wanted()
    await provider.prepare(request)
    service.answer("SubmitJob", answer)
    with pytest.raises(kind) as error:
        await provider.submit(request)
    assert type(error.value) is kind
    assert service.counts["SubmitJob"] == 1
    if kind is Forbidden:
        assert "batch:SubmitJob is needed" in str(error.value)
    if kind is Permanent:
        assert (error.value.reason, "jobName is wrong" in str(error.value)) == (reasons.SUBMISSION_REFUSED, True)


async def test_the_action_that_the_service_names_is_the_one_that_is_missing(
    service: Service, provider: AwsProvider
) -> None:
    words = "User: arn:aws:sts::1:x is not authorized to perform: iam:PassRole on resource: arn:aws:iam::1:role/r"
    service.answer("RegisterJobDefinition", refused(403, "AccessDeniedException", words))
    with pytest.raises(Forbidden, match="iam:PassRole is needed"):
        await provider.prepare(wanted())


def test_missing_credentials_are_forbidden_and_have_sent_nothing() -> None:
    error = errors.for_submit(errors.failure(NoCredentialsError()), "eu-west-1")
    assert isinstance(error, Forbidden)
    assert "no AWS credentials" in str(error)


async def test_a_reply_that_does_not_come_in_time_leaves_the_outcome_unknown(
    service: Service, provider: AwsProvider, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connections, "READ_SECONDS", 0.2)

    async def silent(_: web.Request) -> web.StreamResponse:
        await asyncio.sleep(1)
        return reply({"jobId": "late", "jobName": "late"})

    request = wanted()
    await provider.prepare(request)
    service.answer("SubmitJob", silent)
    with pytest.raises(Unavailable):
        await provider.submit(request)
    assert service.counts["SubmitJob"] == 1


async def test_a_refused_connection_is_known_to_have_sent_nothing(service: Service) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    provider = service.provider(endpoint=f"http://127.0.0.1:{port}")
    with pytest.raises(Retryable) as error:
        await provider._connection.submit({"jobName": "x", "jobQueue": "q", "jobDefinition": "d"}, None)
    assert type(error.value) is Retryable
    await provider.close()


async def test_a_look_up_that_fails_within_a_submission_leaves_nothing_in_doubt(
    service: Service, provider: AwsProvider
) -> None:
    service.answer("DescribeJobQueues", *[dropped] * 9)
    with pytest.raises(Retryable) as error:
        await provider.submit(wanted())
    assert type(error.value) is Retryable
    assert service.counts["SubmitJob"] == 0


async def test_after_its_time_nothing_is_sent(service: Service, provider: AwsProvider) -> None:
    request = msgspec.structs.replace(wanted(), send_by=SystemClock().monotonic() - 1)
    await provider.prepare(request)
    with pytest.raises(Retryable, match="was not sent") as error:
        await provider.submit(request)
    assert type(error.value) is Retryable
    assert service.counts["SubmitJob"] == 0


async def test_the_time_is_checked_again_as_the_last_thing_before_sending(service: Service) -> None:
    """Credentials can take long to come: the first check is not enough."""
    clock = FakeClock()
    provider = service.provider(clock)
    request = msgspec.structs.replace(wanted(), send_by=5.0)
    await provider.prepare(request)

    def slow_signature(**_: object) -> None:
        clock._seconds = 6.0

    provider._connection._submit_client.meta.events.register("before-sign.batch.SubmitJob", slow_signature)
    with pytest.raises(Retryable, match="TooLate"):
        await provider.submit(request)
    assert service.counts["SubmitJob"] == 0
    await provider.close()


async def test_leadership_that_is_lost_while_a_submission_is_signed_sends_nothing(service: Service) -> None:
    leads = True

    def lose_it(**_: object) -> None:
        nonlocal leads
        leads = False

    class Leadership:
        def is_leader(self) -> bool:
            return leads

    whole = service.provider()
    provider = GuardedProvider(whole, Leadership())  # type: ignore[arg-type]
    request = wanted()
    await provider.prepare(request)
    whole._connection._submit_client.meta.events.register("before-sign.batch.SubmitJob", lose_it)
    with pytest.raises(Retryable, match="TooLate"):
        await provider.submit(request)
    assert service.counts["SubmitJob"] == 0
    await provider.close()


async def test_leadership_that_is_lost_while_a_call_waits_for_a_thread_sends_nothing(service: Service) -> None:
    leads = True

    class Leadership:
        def is_leader(self) -> bool:
            return leads

    whole = service.provider()
    await whole._connection._open()
    release = threading.Event()
    for _ in range(connections.THREADS):
        whole._connection._threads.run(release.wait)
    waiting = asyncio.create_task(GuardedProvider(whole, Leadership()).find(ref(wanted())))  # type: ignore[arg-type]
    await settle()
    leads = False
    release.set()
    with pytest.raises(NotLeading):
        await waiting
    assert service.counts["ListJobs"] == 0
    await whole.close()


async def test_a_caller_that_is_gone_does_not_send_later(service: Service) -> None:
    """All threads are busy; by the time one is free the submission's time is over."""
    clock = FakeClock()
    provider = service.provider(clock)
    held = [wanted(f"held-{n}") for n in range(connections.SUBMIT_THREADS)]
    late = msgspec.structs.replace(wanted("late"), send_by=5.0)
    for request in (*held, late):
        await provider.prepare(request)
    release = asyncio.Event()
    loop = asyncio.get_running_loop()

    async def busy(_: web.Request) -> web.StreamResponse:
        await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(release.wait(), loop))
        return reply({"jobId": "x", "jobName": "x"})

    service.answer("SubmitJob", *[busy] * len(held))
    tasks = [asyncio.create_task(provider.submit(request)) for request in held]
    while service.counts["SubmitJob"] < len(held):
        await asyncio.sleep(0.01)
    waiting = asyncio.create_task(provider.submit(late))
    await asyncio.sleep(0)
    clock._seconds = 6.0
    release.set()
    await asyncio.gather(*tasks)
    with pytest.raises(Retryable, match="TooLate"):
        await waiting
    assert service.counts["SubmitJob"] == len(held)
    await provider.close()


async def test_throttling_slows_the_submissions_that_follow(service: Service, provider: AwsProvider) -> None:
    request = wanted()
    await provider.prepare(request)
    service.answer("SubmitJob", refused(429, "TooManyRequestsException"))
    with pytest.raises(Throttled):
        await provider.submit(request)
    assert provider._connection.submits.rate == 5_000


async def test_a_throttle_that_proves_nothing_slows_the_submissions_as_well(
    service: Service, provider: AwsProvider
) -> None:
    request = wanted()
    await provider.prepare(request)
    service.answer("SubmitJob", refused(503, "SlowDown"))
    with pytest.raises(Unavailable):
        await provider.submit(request)
    assert provider._connection.submits.rate == 5_000


async def test_a_read_that_is_throttled_by_a_5xx_is_one_of_those_that_are_repeated(service: Service) -> None:
    provider = service.provider()
    service.answer("DescribeJobs", refused(503, "SlowDown"))
    with pytest.raises(Throttled):
        await provider._connection.call("DescribeJobs", {"jobs": ["x"]})
    assert provider._connection.calls.rate == 5_000
    await provider.close()


async def test_no_value_of_the_environment_is_in_an_error(service: Service, provider: AwsProvider) -> None:
    request = wanted(env={"TOKEN": "hunter2"})
    await provider.prepare(request)
    service.answer("SubmitJob", refused(400, "ClientException", "value hunter2 is too long"))
    with pytest.raises(Permanent, match=r"value \*\*\* is too long") as error:
        await provider.submit(request)
    assert error.value.__cause__ is None
    assert error.value.__suppress_context__


# --- prepare -------------------------------------------------------------------------------------------


async def test_jobs_that_agree_share_one_definition_however_many_prepare_at_once(
    service: Service, provider: AwsProvider
) -> None:
    await asyncio.gather(*(provider.prepare(wanted(f"job-{n}")) for n in range(20)))
    assert service.counts["RegisterJobDefinition"] == 1
    assert service.counts["DescribeJobDefinitions"] == 1
    assert service.counts["DescribeJobQueues"] == 1
    other = service.provider()
    await other.prepare(wanted())
    assert service.counts["RegisterJobDefinition"] == 1
    await other.prepare(wanted(service_account="arn:aws:iam::1:role/r"))
    assert service.counts["RegisterJobDefinition"] == 2
    await other.close()


async def test_two_replicas_that_register_at_once_do_no_harm(service: Service) -> None:
    providers = [service.provider() for _ in range(4)]
    await asyncio.gather(*(provider.prepare(wanted()) for provider in providers))
    [revisions] = service.emulator.service.definitions.values()
    assert {revision["containerProperties"]["image"] for revision in revisions} == {"busybox"}
    newest = service.provider()
    request = wanted()
    await newest.prepare(request)
    assert newest._prepared[request.external_name].definition.endswith(f":{len(revisions)}")
    assert service.counts["RegisterJobDefinition"] == len(revisions)
    for provider in (*providers, newest):
        await provider.close()


async def test_a_definition_that_was_deregistered_is_made_anew(service: Service, provider: AwsProvider) -> None:
    await provider.prepare(wanted())
    [[revision]] = service.emulator.service.definitions.values()
    revision["status"] = "INACTIVE"
    request = wanted()
    await provider.prepare(request)
    with pytest.raises(Retryable, match="no longer active"):
        await provider.submit(request)
    await provider.prepare(request)
    await provider.submit(request)
    assert service.counts["RegisterJobDefinition"] == 2


async def test_a_queue_of_the_spec_that_does_not_exist_is_the_specs_fault(provider: AwsProvider) -> None:
    with pytest.raises(Permanent, match=r"spec\.aws\.jobQueue: there is no queue 'nope'") as error:
        await provider.prepare(wanted(aws=AwsOptions(job_queue="nope")))
    assert error.value.reason == reasons.INVALID_SPEC


async def test_nothing_is_registered_for_a_request_that_cannot_be_sent(service: Service, provider: AwsProvider) -> None:
    with pytest.raises(Permanent):
        await provider.prepare(wanted(backoff_limit=10))
    assert service.counts["RegisterJobDefinition"] == 0


async def test_fargate_is_seen_from_the_queue(service: Service, provider: AwsProvider) -> None:
    request = wanted(aws=AwsOptions(job_queue="jennah-fargate"))
    await provider.prepare(request)
    await provider.submit(request)
    service.advance(10)
    [seen] = await provider.find(ref(request))
    assert seen.phase is Phase.RUNNING
    [[revision]] = service.emulator.service.definitions.values()
    assert revision["platformCapabilities"] == ["FARGATE"]


# --- find and get --------------------------------------------------------------------------------------


async def test_every_job_of_the_name_is_found_over_all_pages_the_oldest_first(
    service: Service, provider: AwsProvider
) -> None:
    request = wanted()
    for _ in range(120):
        await provider.submit(request)
        service.advance(0.001)
    found = await provider.find(ref(request))
    ledger = sorted(service.emulator.service.ledger(), key=lambda one: one.created_at)
    assert [seen.resource_path.rpartition("/")[2] for seen in found] == [one.id for one in ledger]
    assert service.counts["ListJobs"] == 2


async def test_other_capitals_and_other_uids_are_not_ours(service: Service, provider: AwsProvider) -> None:
    request = wanted()
    shouting = msgspec.structs.replace(request, external_name=request.external_name.upper())
    other = msgspec.structs.replace(request, uid="00000000-0000-0000-0000-000000000000")
    for one in (shouting, other):
        await provider.submit(one)
    assert await service.provider().find(ref(request)) == []


async def test_the_tasks_of_an_array_are_not_found_beside_it(service: Service, provider: AwsProvider) -> None:
    request = wanted(completions=3)
    await provider.submit(request)
    service.advance(10)
    [seen] = await provider.find(ref(request))
    assert seen.tasks.running == 3


async def test_a_job_in_another_configured_queue_is_found(service: Service) -> None:
    before = service.provider(job_queues={"spot": "jennah-spot"})
    request = wanted(spot=True)
    await before.submit(request)
    after = service.provider(job_queue="jennah-spot")
    [seen] = await after.find(ref(request))
    assert seen.uid == request.uid
    await before.close()
    await after.close()


async def test_a_job_that_is_listed_and_not_described_is_looked_at_again(
    service: Service, provider: AwsProvider
) -> None:
    request = wanted()
    await provider.submit(request)

    async def nothing(_: web.Request) -> web.StreamResponse:
        return reply({"jobs": []})

    service.answer("DescribeJobs", nothing)
    with pytest.raises(Unavailable, match="does not describe yet"):
        await provider.find(ref(request))
    assert len(await provider.find(ref(request))) == 1


async def test_a_job_whose_path_is_known_and_that_is_not_described_is_unknown(
    service: Service, provider: AwsProvider
) -> None:
    path = "arn:aws:batch:eu-west-1:123456789012:job/none"
    assert await provider.get(ref(wanted(), path)) is None
    assert service.counts["ListJobs"] == 0


async def test_an_adopted_job_tells_the_same_remarks(service: Service, provider: AwsProvider) -> None:
    request = wanted(completions=4, parallelism=2)
    submitted = await provider.submit(request)
    [found] = await service.provider().find(ref(request))
    assert [remark.condition for remark in found.remarks] == [conditions.PARALLELISM_HONOURED]
    assert found.remarks == submitted.remarks


# --- an endpoint that has not everything -----------------------------------------------------------------


async def not_there(_: web.Request) -> web.StreamResponse:
    return web.Response(status=404, text="404: Not Found")


async def test_what_an_endpoint_does_not_have_is_done_without(service: Service, provider: AwsProvider) -> None:
    """A stand-in has what runs jobs: that queues exist, and on what they run, it may not tell."""
    for operation in ("DescribeJobQueues", "DescribeComputeEnvironments", "DescribeJobDefinitions"):
        service.answer(operation, *[not_there] * 4)
    await provider.open()
    request = wanted()
    await provider.prepare(request)
    submitted = await provider.submit(request)
    assert (await provider.get(ref(request, submitted.resource_path))).uid == request.uid
    assert service.counts["RegisterJobDefinition"] == 1


async def test_the_kind_of_a_queue_that_is_not_told_is_ec2(service: Service, provider: AwsProvider) -> None:
    async def bare(_: web.Request) -> web.StreamResponse:
        queue = {"jobQueueName": "jennah", "jobQueueArn": "arn:aws:batch:r:1:job-queue/jennah", "state": "ENABLED"}
        return reply({"jobQueues": [{**queue, "computeEnvironmentOrder": []}]})

    service.answer("DescribeJobQueues", bare)
    await provider.prepare(wanted())
    assert service.counts["DescribeComputeEnvironments"] == 0


async def test_a_definition_that_is_not_active_is_not_used_though_it_is_listed(
    service: Service, provider: AwsProvider
) -> None:
    async def inactive(request: web.Request) -> web.StreamResponse:
        name = (await request.json())["jobDefinitionName"]
        return reply({"jobDefinitions": [{"jobDefinitionName": name, "revision": 7, "status": "INACTIVE"}]})

    service.answer("DescribeJobDefinitions", inactive)
    await provider.prepare(wanted())
    assert service.counts["RegisterJobDefinition"] == 1


async def test_a_job_is_found_though_its_tags_are_not_told(service: Service, provider: AwsProvider) -> None:
    """A search that finds nothing is what a job is submitted again on."""
    request = wanted()
    await provider.submit(request)
    (stored,) = service.emulator.service.jobs.values()
    stored.request["tags"].clear()
    assert [one.uid for one in await provider.find(ref(request))] == [request.uid]


# --- cancel --------------------------------------------------------------------------------------------


async def test_many_cancels_are_few_calls(service: Service, provider: AwsProvider) -> None:
    requests = [wanted(f"job-{n}") for n in range(60)]
    paths = [(await provider.submit(request)).resource_path for request in requests]
    service.advance(10)
    refs = [ref(request, path) for request, path in zip(requests, paths, strict=True)]
    await asyncio.gather(*(provider.cancel(one, reason="because") for one in refs))
    assert (service.counts["TerminateJobs"], service.counts["TerminateJob"]) == (2, 0)
    service.advance(10)
    seen = await provider.observe(refs)
    assert {(one.phase, one.message) for one in seen.values()} == {(Phase.CANCELLED, "because")}


async def test_where_there_is_no_bulk_call_each_is_ended_by_itself(service: Service, provider: AwsProvider) -> None:
    requests = [wanted(f"job-{n}") for n in range(3)]
    refs = [ref(request, (await provider.submit(request)).resource_path) for request in requests]
    service.answer("TerminateJobs", refused(404, "UnknownOperationException"))
    await asyncio.gather(*(provider.cancel(one, reason="because") for one in refs))
    assert service.counts["TerminateJob"] == 3
    await asyncio.gather(*(provider.cancel(one, reason="again") for one in refs))
    assert service.counts["TerminateJobs"] == 1


async def test_where_the_bulk_call_is_refused_each_is_ended_by_itself(service: Service, provider: AwsProvider) -> None:
    requests = [wanted(f"job-{n}") for n in range(3)]
    refs = [ref(request, (await provider.submit(request)).resource_path) for request in requests]
    service.answer("TerminateJobs", refused(400, "ClientException"))
    assert await asyncio.gather(*(provider.cancel(one, reason="because") for one in refs)) == [True, True, True]
    assert service.counts["TerminateJob"] == 3


async def test_each_job_of_a_bulk_call_has_its_own_outcome(service: Service, provider: AwsProvider) -> None:
    refs = [ref(wanted(name), f"arn:aws:batch:eu-west-1:1:job/{name}") for name in ("a", "b", "c")]

    async def mixed(_: web.Request) -> web.StreamResponse:
        errors = [
            {"job": "b", "code": "ThrottlingException", "message": ""},
            {"job": "c", "code": "ClientException", "message": ""},
        ]
        return reply({"successful": ["a"], "errors": errors})

    service.answer("TerminateJobs", mixed)
    outcomes = await asyncio.gather(*(provider.cancel(one, reason="because") for one in refs), return_exceptions=True)
    assert outcomes[0] is outcomes[2] is True
    assert isinstance(outcomes[1], Throttled)


async def test_a_job_ended_by_somebody_else_is_failed_and_says_so(service: Service, provider: AwsProvider) -> None:
    request = wanted()
    path = (await provider.submit(request)).resource_path
    service.emulator.service.terminate_job({"jobId": path, "reason": "by hand"})
    seen = await provider.get(ref(request, path))
    assert (seen.phase, seen.failed_unless_asked, seen.message) == (
        Phase.CANCELLED,
        reasons.DELETED_EXTERNALLY,
        "by hand",
    )


# --- observe -------------------------------------------------------------------------------------------


async def submit_many(provider: AwsProvider, count: int, **spec: object) -> list[JobRef]:
    requests = [wanted(f"job-{n}", **spec) for n in range(count)]
    return [ref(request, (await provider.submit(request)).resource_path) for request in requests]


async def test_quiet_rounds_only_list(service: Service, provider: AwsProvider) -> None:
    refs = await submit_many(provider, 150)
    service.advance(10)
    await provider.observe(refs)
    assert (service.counts["ListJobs"], service.counts["DescribeJobs"]) == (5, 2)
    service.counts.clear()
    assert {one.phase for one in (await provider.observe(refs)).values()} == {Phase.RUNNING}
    assert dict(service.counts) == {"ListJobs": 5}


async def test_only_what_left_the_lists_is_described_and_only_once(service: Service, provider: AwsProvider) -> None:
    lasting = await submit_many(provider, 5)
    ending = await submit_many(provider, 3, command=("sh", "-c", "sleep 20; exit 4"))
    service.advance(10)
    await provider.observe([*lasting, *ending])
    service.advance(20)
    service.counts.clear()
    seen = await provider.observe([*lasting, *ending])
    assert service.counts["DescribeJobs"] == 1
    assert {(seen[one.external_name].phase, seen[one.external_name].exit_code) for one in ending} == {(Phase.FAILED, 4)}
    service.counts.clear()
    assert await provider.observe([*lasting, *ending]) == seen
    assert service.counts["DescribeJobs"] == 0


async def test_lists_are_read_over_all_their_pages(service: Service, provider: AwsProvider) -> None:
    refs = await submit_many(provider, 3)
    request = wanted("other")
    await provider.prepare(request)
    mapped = provider._parameters(request, *msgspec.structs.astuple(provider._prepared[request.external_name]))
    for _ in range(1100):
        service.emulator.service.submit_job(mapped)
    service.advance(10)
    assert len(await provider.observe(refs)) == 3
    assert service.counts["ListJobs"] == 6


@pytest.mark.parametrize("spec", [{}, {"completions": 3}, {"command": ("sh", "-c", "sleep 3; exit 7")}])
async def test_at_every_moment_of_its_life_get_says_what_observe_says(
    service: Service, provider: AwsProvider, spec: dict
) -> None:
    [one] = await submit_many(provider, 1, **{"command": ("sleep", "3"), "backoff_limit": 1, **spec})
    phases = []
    for _ in range(30):
        seen = (await provider.observe([one]))[one.external_name]
        assert await provider.get(one) == seen
        phases.append(seen.phase)
        service.advance(0.5)
    assert phases[0] is Phase.PENDING
    assert Phase.SCHEDULED in phases
    assert Phase.RUNNING in phases
    assert phases[-1].is_terminal
    assert seen.retries == (1 if "exit" in str(spec) else 0)


async def test_a_failed_array_says_why_a_task_of_it_failed(service: Service, provider: AwsProvider) -> None:
    [one] = await submit_many(provider, 1, completions=3, command=("sh", "-c", "exit 9"))
    service.advance(10)
    seen = (await provider.observe([one]))[one.external_name]
    assert (seen.phase, seen.exit_code, seen.reason, seen.tasks.failed) == (Phase.FAILED, 9, reasons.NON_ZERO_EXIT, 3)


async def test_a_job_without_capacity_says_why_it_waits(service: Service, provider: AwsProvider) -> None:
    [one] = await submit_many(provider, 1, aws=AwsOptions(job_queue="jennah-full"))
    service.advance(10)
    seen = (await provider.observe([one]))[one.external_name]
    assert (seen.phase, seen.waits_because[:9]) == (Phase.PENDING, "CAPACITY:")


async def test_jobs_of_unknown_path_are_found_by_name_and_the_missing_left_out(
    service: Service, provider: AwsProvider
) -> None:
    requests = [wanted("a"), wanted("b", command=("true",))]
    for request in requests:
        await provider.submit(request)
    service.advance(10)
    later = service.provider()
    seen = await later.observe([ref(request) for request in (*requests, wanted("c"))])
    assert {name.partition("-")[0]: one.phase for name, one in seen.items()} == {
        "a": Phase.RUNNING,
        "b": Phase.COMPLETED,
    }
    await later.close()


async def test_a_hidden_job_is_left_out_and_comes_back(service: Service, provider: AwsProvider) -> None:
    service.emulator.dice.faults.hidden_seconds = 20
    [one] = await submit_many(provider, 1)
    assert await provider.observe([one]) == {}
    service.advance(20)
    assert list(await provider.observe([one])) == [one.external_name]


async def test_a_round_that_cannot_be_read_is_an_error_not_an_empty_answer(
    service: Service, provider: AwsProvider
) -> None:
    refs = await submit_many(provider, 2)
    service.answer("ListJobs", *[refused(500, "ServerException")] * 5)
    with pytest.raises(Unavailable):
        await provider.observe(refs)


async def test_a_list_that_cannot_be_read_is_no_answer(service: Service, provider: AwsProvider) -> None:
    refs = await submit_many(provider, 1)
    for answer in (garbage, dropped):
        service.answer("ListJobs", *[answer] * 2)
        with pytest.raises(Unavailable):
            await provider.observe(refs)
        service.emulator.instead.clear()


async def test_a_boto3_without_the_bulk_call_ends_each_by_itself(
    service: Service, provider: AwsProvider, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(connections._METHODS, "TerminateJobs", "not_there_yet")
    refs = await submit_many(provider, 2)
    await asyncio.gather(*(provider.cancel(one, reason="because") for one in refs))
    assert service.counts["TerminateJob"] == 2


async def test_a_question_that_is_refused_says_nothing_against_the_job(service: Service, provider: AwsProvider) -> None:
    request = wanted()
    path = (await provider.submit(request)).resource_path
    for operation, ask in (
        ("ListJobs", lambda: provider.find(ref(request))),
        ("ListJobs", lambda: provider.observe([ref(request, path)])),
        ("DescribeJobs", lambda: provider.get(ref(request, path))),
    ):
        service.answer(operation, refused(400, "ClientException"))
        with pytest.raises(Unavailable):
            await ask()


async def test_a_job_found_by_name_is_not_looked_for_again(service: Service, provider: AwsProvider) -> None:
    request = wanted(command=("true",))
    await provider.submit(request)
    service.advance(10)
    later = service.provider()
    seen = await later.observe([ref(request)])
    service.counts.clear()
    assert await later.observe([ref(request)]) == seen
    assert service.counts == {"ListJobs": 5}
    await later.close()


async def test_a_throttled_read_is_repeated_behind_the_rate_limit(service: Service) -> None:
    clock = FakeClock()
    provider = service.provider(clock)
    service.answer("DescribeJobQueues", refused(429, "TooManyRequestsException"))
    opening = asyncio.create_task(provider.open())
    while not service.counts["DescribeJobQueues"] or not clock._sleepers:
        await asyncio.sleep(0.01)
    await clock.advance(2)
    await opening
    assert service.counts["DescribeJobQueues"] == 2
    await provider.close()


async def test_calls_are_counted_by_method_and_result(service: Service, provider: AwsProvider) -> None:
    def count(result: str) -> float:
        return metrics.PROVIDER_CALLS.labels("aws", "SubmitJob", result)._value.get()

    before = count("ok"), count("Unavailable")
    await provider.submit(wanted())
    service.answer("SubmitJob", dropped)
    with pytest.raises(Unavailable):
        await provider.submit(wanted())
    assert (count("ok") - before[0], count("Unavailable") - before[1]) == (1, 1)


async def test_a_closed_adapter_says_so(provider: AwsProvider) -> None:
    await provider.open()
    await provider.close()
    await provider.close()
    with pytest.raises(Unavailable):
        await provider.observe([ref(wanted())])
