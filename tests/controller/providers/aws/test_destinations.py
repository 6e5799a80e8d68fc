"""A job stays where it was sent, whatever the settings say later."""

from collections.abc import AsyncIterator, Mapping

import msgspec
import pytest
from aiohttp import web

from controller import clouds
from controller.clock import SystemClock
from controller.domain.destination import Destination
from controller.domain.errors import ConfigError, Forbidden, Permanent, Unavailable, Unreachable
from controller.domain.phases import Phase
from controller.ports import SubmitRequest
from controller.providers.aws.provider import AwsProvider
from dev.emulators.aws.checks import ClientFault
from dev.emulators.aws.server import drop
from dev.emulators.aws.service import ACCOUNT
from tests.controller.providers.aws.harness import Service, Wire, noted, ref, refused, wanted

CHANGES = (
    ({}, {"job_queue": "jennah-spot"}),
    ({"spot": True}, {"job_queues": {"spot": "jennah-full"}}),
    ({}, {"instance": "another"}),
    ({}, {"account_id": ACCOUNT}),
)
"""What a job asks for, and the settings that changed after it was sent."""


@pytest.fixture
async def before(service: Service) -> AsyncIterator[AwsProvider]:
    provider = service.provider(job_queues={"spot": "jennah-spot"})
    await provider.open()
    yield provider
    await provider.close()


async def opened(service: Service, **settings: object) -> AwsProvider:
    provider = service.provider(**settings)
    await provider.open()
    return provider


async def at(service: Service, destination: Destination, **changed: str) -> AwsProvider:
    """The adapter for that place, with the other variables as they are today."""
    today = {"BATCH_PROVIDER": "aws", "BATCH_REGION": "us-east-1", "AWS_JOB_QUEUE": "today's"}
    rates = {"AWS_CALLS_PER_SECOND": "10000", "AWS_SUBMITS_PER_SECOND": "10000"}
    variables = {**today, **rates, "AWS_BATCH_ENDPOINT": service.url, **changed}
    provider = clouds.provider_at(destination, SystemClock(), variables)
    assert isinstance(provider, AwsProvider)
    await provider.open()
    return provider


async def lose_reply(service: Service, provider: AwsProvider, request: SubmitRequest) -> None:
    async def done_and_lost(asked: web.Request) -> web.StreamResponse:
        service.emulator.region(provider.region).submit_job(msgspec.json.decode(await asked.read()))
        return drop(asked)

    service.answer("SubmitJob", done_and_lost)
    with pytest.raises(Unavailable):
        await provider.submit(request)


def jobs(service: Service) -> list[str]:
    """The queues of all jobs that there are, in all regions."""
    regions = (service.emulator.region(name) for name in ("eu-west-1", "us-east-1"))
    return [job.queue.rpartition("/")[2] for region in regions for job in region.jobs.values()]


def test_the_destination_is_the_queue_of_the_spec_or_of_the_settings(service: Service) -> None:
    provider = service.provider(job_queues={"spot": "jennah-spot"})
    place = Destination(provider="aws", region="eu-west-1", queue="jennah")
    assert provider.destination(wanted().spec, "any") == place
    assert provider.destination(wanted(spot=True).spec, "any").queue == "jennah-spot"
    with pytest.raises(Permanent, match="AWS_JOB_QUEUES has none for"):
        provider.destination(wanted(machine_type="c6i.large").spec, "any")


async def test_the_account_of_the_site_is_that_of_the_queues(service: Service, before: AwsProvider) -> None:
    assert before.site == Destination(provider="aws", account=ACCOUNT, region="eu-west-1")
    with pytest.raises(ConfigError, match=f"AWS_ACCOUNT_ID=999999999999, but .* the account {ACCOUNT}"):
        await opened(service, account_id="999999999999")


@pytest.mark.parametrize(("spec", "changed"), CHANGES)
async def test_a_submission_in_doubt_is_found_where_it_was_sent_when_the_settings_changed(
    service: Service, before: AwsProvider, spec: dict[str, object], changed: dict[str, object]
) -> None:
    request = noted(before, wanted(**spec))
    await lose_reply(service, before, request)
    service.advance(10)
    after = await opened(service, **changed)
    assert after.site == before.site
    [seen] = await after.find(ref(request))
    assert (await after.get(ref(request))) == seen
    assert (await after.observe([ref(request)])) == {request.external_name: seen}
    assert len(jobs(service)) == 1
    await after.close()


async def test_without_a_destination_it_is_looked_for_in_todays_queues(service: Service, before: AwsProvider) -> None:
    request = wanted()
    await lose_reply(service, before, request)
    after = await opened(service, job_queue="jennah-spot")
    assert await after.find(ref(request)) == []
    assert len(await before.find(ref(request))) == 1
    await after.close()


async def test_a_submission_goes_to_the_queue_that_was_written_down(service: Service, before: AwsProvider) -> None:
    request = noted(before, wanted())
    after = await opened(service, job_queue="jennah-spot")
    await after.prepare(request)
    await after.submit(request)
    await after.submit(noted(before, wanted()))
    await after.submit(wanted())
    assert jobs(service) == ["jennah", "jennah", "jennah-spot"]
    await after.close()


@pytest.mark.parametrize("spec", [{}, {"spot": True}])
async def test_a_running_job_of_an_old_queue_is_followed_to_its_end(
    service: Service, before: AwsProvider, spec: dict[str, object]
) -> None:
    request = noted(before, wanted(command=("sh", "-c", "sleep 20; exit 4"), **spec))
    path = (await before.submit(request)).resource_path
    after = await opened(service, job_queue="jennah-full", job_queues={})
    phases = []
    for _ in range(3):
        service.advance(10)
        phases.append((await after.observe([ref(request, path)]))[request.external_name].phase)
    assert phases == [Phase.RUNNING, Phase.RUNNING, Phase.FAILED]
    await after.close()


async def test_a_round_lists_the_queue_of_its_jobs_and_no_other(service: Service, before: AwsProvider) -> None:
    request = noted(before, wanted())
    path = (await before.submit(request)).resource_path
    service.counts.clear()
    await before.observe([ref(request, path)])
    assert service.counts["ListJobs"] == 5


@pytest.mark.parametrize("today", [{}, {"BATCH_PROVIDER": "gcp", "AWS_JOB_QUEUE": ""}])
async def test_a_submission_in_doubt_in_another_region_is_found_and_followed_there(
    service: Service, before: AwsProvider, today: Mapping[str, str]
) -> None:
    request = noted(before, wanted(command=("sh", "-c", "sleep 20; exit 4")))
    await lose_reply(service, before, request)
    service.advance(10)
    after = await opened(service, region="us-east-1")
    with pytest.raises(Unreachable):
        await after.find(ref(request))
    there = await at(service, request.destination, **today)
    assert there.site == before.site
    [seen] = await there.find(ref(request))
    assert seen.phase is Phase.RUNNING
    service.advance(20)
    assert (await there.observe([ref(request)]))[request.external_name].phase is Phase.FAILED
    assert jobs(service) == ["jennah"]
    for provider in (after, there):
        await provider.close()


async def test_a_running_job_of_another_region_is_ended_there(service: Service, before: AwsProvider) -> None:
    request = noted(before, wanted())
    path = (await before.submit(request)).resource_path
    service.advance(10)
    there = await at(service, request.destination)
    assert await there.cancel(ref(request, path), reason="because")
    service.advance(1)
    assert (await there.get(ref(request, path))).has_ended
    await there.close()


async def test_credentials_of_another_account_do_not_open_a_place(service: Service, before: AwsProvider) -> None:
    place = msgspec.structs.replace(before.site, account="999999999999")
    with pytest.raises(ConfigError, match=f"AWS_ACCOUNT_ID=999999999999, but .* the account {ACCOUNT}"):
        await at(service, place)


@pytest.mark.parametrize("code", ["AccessDeniedException", "UnrecognizedClientException", "ExpiredTokenException"])
async def test_credentials_that_do_not_work_there_are_no_answer(
    service: Service, before: AwsProvider, code: str
) -> None:
    request = noted(before, wanted())
    path = (await before.submit(request)).resource_path
    for operation, ask in (
        ("ListJobs", lambda: before.find(ref(request))),
        ("ListJobs", lambda: before.observe([ref(request)])),
        ("DescribeJobs", lambda: before.get(ref(request, path))),
    ):
        service.answer(operation, refused(403, code))
        before._ids.clear()
        with pytest.raises(Forbidden):
            await ask()


async def test_of_a_path_in_another_account_or_region_nothing_is_said(service: Service, before: AwsProvider) -> None:
    service.counts.clear()
    for account, region in (("999999999999", "eu-west-1"), (ACCOUNT, "us-east-1")):
        old = ref(wanted(), f"arn:aws:batch:{region}:{account}:job/one")
        for ask in (before.get, before.find, lambda one: before.cancel(one, reason="because")):
            with pytest.raises(Unreachable, match="is not in the account and region"):
                await ask(old)
        assert await before.observe([old]) == {}
    assert not service.counts


async def test_a_queue_that_was_removed_leaves_its_jobs_in_doubt_and_the_others_known(
    service: Service, before: AwsProvider
) -> None:
    requests = [noted(before, wanted("gone", spot=True)), noted(before, wanted("here"))]
    paths = [(await before.submit(request)).resource_path for request in requests]
    lost = noted(before, wanted("lost", spot=True))
    del service.emulator.service.queues["jennah-spot"]
    refs = [ref(request, path) for request, path in zip(requests, paths, strict=True)]
    after = await opened(service)
    # By its id a job is described all the same; without one it may be there or not.
    assert (await after.observe([*refs, ref(lost)])).keys() == {one.external_name for one in refs}
    assert len(await after.find(refs[0])) == 1
    for ask in (after.find, after.get, lambda one: after.cancel(one, reason="because")):
        with pytest.raises(Unreachable, match="'jennah-spot', which does not exist any more"):
            await ask(ref(lost))
    await after.close()


async def test_a_queue_that_may_not_be_listed_keeps_no_other_from_being_read(
    service: Service, before: AwsProvider
) -> None:
    requests = [noted(before, wanted("closed", spot=True)), noted(before, wanted("here"))]
    for request in requests:
        await before.submit(request)
    real = service.emulator.service.list_jobs

    def list_jobs(asked: Wire) -> Wire:
        if asked.get("jobQueue") == "jennah-spot":
            raise ClientFault("User is not authorized to perform: batch:ListJobs on resource")
        return real(asked)

    service.emulator.service.list_jobs = list_jobs
    after = await opened(service)
    assert (await after.observe([ref(one) for one in requests])).keys() == {requests[1].external_name}
    with pytest.raises(Forbidden):
        await after.find(ref(requests[0]))
    with pytest.raises(Forbidden):
        await after.observe([ref(requests[0])])
    await after.close()


def test_a_place_whose_variables_are_missing_is_a_fault_of_the_settings() -> None:
    with pytest.raises(ConfigError, match="BATCH_REGION is not set"):
        clouds.provider_at(Destination(provider="aws"), SystemClock(), {})
    with pytest.raises(ConfigError, match="no provider 'mainframe'"):
        clouds.provider_at(Destination(provider="mainframe"), SystemClock(), {})
