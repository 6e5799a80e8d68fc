"""The AWS adapter against the stand-in: a submission is sent once, in time, and its failures are named rightly."""

import asyncio
import socket
import threading

import msgspec
import pytest
from aiohttp import web
from botocore.exceptions import NoCredentialsError

from controller.clock import SystemClock
from controller.domain import reasons
from controller.domain.errors import Forbidden, NotLeading, Permanent, Retryable, Throttled, Unavailable
from controller.domain.phases import Phase
from controller.providers.aws import connection as connections
from controller.providers.aws import errors
from controller.providers.aws.provider import AwsProvider
from controller.reconcile.guard import GuardedProvider
from dev.emulators.aws.server import reply
from tests.controller.fakes import FakeClock, settle
from tests.controller.providers.aws.harness import Answer, Service, dropped, garbage, ref, refused, wanted


async def no_id(_: web.Request) -> web.StreamResponse:
    return reply({"jobName": "x"})


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


@pytest.mark.parametrize(
    ("value", "words", "told"),
    [
        ("hunter2", "value hunter2 is too long", "value *** is too long"),
        ("hunter2\n" * 500, "value " + "hunter2\n" * 500 + " is too long", "value ***\n***\n"),
        ('say "hunter2"', 'value "say \\"hunter2\\"" is wrong', 'value "***" is wrong'),
        ("x-hunter2" * 200, f"value {'x-hunter2' * 200}", "value ***…"),
    ],
    ids=["whole", "lines", "escaped", "cut short"],
)
async def test_no_value_of_the_environment_is_in_an_error(
    service: Service, provider: AwsProvider, value: str, words: str, told: str
) -> None:
    request = wanted(env={"TOKEN": value})
    await provider.prepare(request)
    service.answer("SubmitJob", refused(400, "ClientException", words))
    with pytest.raises(Permanent) as error:
        await provider.submit(request)
    assert told in str(error.value)
    assert "hunter2" not in str(error.value)
    assert error.value.__cause__ is None
    assert error.value.__suppress_context__
