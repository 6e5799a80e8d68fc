"""A job stays where it was sent, whatever the settings say later."""

from collections.abc import Mapping

import grpc
import msgspec
import pytest

from controller import clouds
from controller.domain.destination import Destination
from controller.domain.errors import ConfigError, Forbidden, Unavailable, Unreachable
from controller.domain.phases import Phase
from controller.ports import JobRef, SubmitRequest
from controller.providers.gcp.provider import PLACE_SEEN_SECONDS, GcpProvider
from tests.controller.providers.gcp.harness import INSTANCE, PROJECT, REGION, World, ref_of, request_for

SITE = Destination(provider="gcp", project=PROJECT, region=REGION, instance=INSTANCE)
CHANGES = (
    {"BATCH_REGION": "europe-west1"},
    {"BATCH_PROJECT_ID": "another"},
    {"JENNAH_INSTANCE": "another"},
    {"BATCH_PROVIDER": "aws", "BATCH_PROJECT_ID": "", "BATCH_REGION": "eu-west-1"},
)
"""The variables that changed after a job was sent."""


def noted(request: SubmitRequest) -> SubmitRequest:
    return msgspec.structs.replace(request, destination=SITE)


async def at(world: World, destination: Destination, changed: Mapping[str, str]) -> GcpProvider:
    """The adapter for that place, with the other variables as they are today."""
    known = {"BATCH_PROVIDER": "gcp", "BATCH_PROJECT_ID": PROJECT, "BATCH_REGION": REGION, "JENNAH_INSTANCE": INSTANCE}
    variables = {**known, "GCP_BATCH_ENDPOINT": world.server.endpoint, **changed}
    provider = clouds.provider_at(destination, world.clock, variables)
    assert isinstance(provider, GcpProvider)
    await provider.open()
    return provider


def today(world: World, changed: Mapping[str, str]) -> GcpProvider:
    """The adapter by the changed settings."""
    fields = {"BATCH_REGION": "region", "BATCH_PROJECT_ID": "project", "JENNAH_INSTANCE": "instance"}
    return world.adapter(**{fields[name]: value for name, value in changed.items()})


async def lose_reply(world: World, request: SubmitRequest) -> None:
    """The service takes the submission, and no reply comes; nor does it know the id of the request for ever."""
    world.service.dice.faults.lost_replies = 1.0
    with pytest.raises(Unavailable):
        await world.provider.submit(request)
    world.service.dice.faults.lost_replies = 0.0
    world.ahead(3700)


def path_of(request: SubmitRequest) -> str:
    return f"projects/{PROJECT}/locations/{REGION}/jobs/{request.external_name}"


def test_the_destination_is_the_project_and_region_of_the_settings(world: World) -> None:
    assert world.provider.destination(request_for().spec, "any") == world.provider.site == SITE


@pytest.mark.parametrize("changed", CHANGES)
async def test_a_submission_in_doubt_is_adopted_where_it_was_sent_when_the_settings_changed(
    world: World, changed: Mapping[str, str]
) -> None:
    request = noted(request_for(("sleep", "100000")))
    await lose_reply(world, request)
    there = await at(world, request.destination, changed)
    assert there.site == SITE
    [seen] = await there.find(ref_of(request))
    adopted = await there.submit(request)
    assert adopted.resource_path == seen.resource_path == path_of(request)
    assert len(world.service.ledger()) == 1
    await there.close()


@pytest.mark.parametrize("changed", CHANGES)
async def test_a_running_job_is_followed_to_its_end_where_it_was_sent_when_the_settings_changed(
    world: World, changed: Mapping[str, str]
) -> None:
    request = noted(request_for(("sh", "-c", "sleep 60; exit 4")))
    path = (await world.provider.submit(request)).resource_path
    world.ahead(10)
    there = await at(world, request.destination, changed)
    known = msgspec.structs.replace(ref_of(request), resource_path=path)
    phases = []
    for _ in range(2):
        phases.append((await there.observe([known]))[request.external_name].phase)
        world.ahead(60)
    assert phases == [Phase.RUNNING, Phase.FAILED]
    assert await there.cancel(known, reason="because")
    await there.delete(known)
    await there.close()


@pytest.mark.parametrize("changed", CHANGES[:3])
async def test_without_a_destination_todays_settings_count(world: World, changed: Mapping[str, str]) -> None:
    request = request_for(("sleep", "100000"))
    await lose_reply(world, request)
    after = today(world, changed)
    is_another_place = "JENNAH_INSTANCE" not in changed
    assert len(await after.find(ref_of(request))) == (not is_another_place)
    await after.submit(request)
    assert len(world.service.ledger()) == 1 + is_another_place
    known = msgspec.structs.replace(ref_of(request), resource_path=path_of(request))
    assert (await after.get(known)).resource_path == path_of(request)  # a path tells where it is
    await after.close()


@pytest.mark.parametrize("code", [grpc.StatusCode.PERMISSION_DENIED, grpc.StatusCode.UNAUTHENTICATED])
async def test_credentials_that_do_not_work_there_are_no_answer(world: World, code: grpc.StatusCode) -> None:
    request = noted(request_for())
    await world.provider.submit(request)
    methods = ("GetJob", "ListJobs", "CancelJob", "DeleteJob", "CreateJob")
    world.aborting(*((method, code, "no such thing for you") for method in methods))
    ref = ref_of(request)
    for ask in (world.provider.get, world.provider.find, world.provider.delete, lambda ref: observed(world, ref)):
        with pytest.raises(Forbidden):
            await ask(ref)
    with pytest.raises(Forbidden):
        await world.provider.cancel(ref, reason="because")
    with pytest.raises(ConfigError):
        await at(world, request.destination, {})


async def observed(world: World, ref: JobRef) -> object:
    return await world.provider.observe([ref])


async def test_a_project_that_has_gone_is_no_place_in_which_a_job_is_not(world: World) -> None:
    request = noted(request_for())
    await world.provider.submit(request)
    await world.provider.observe([ref_of(request)])
    gone = grpc.StatusCode.NOT_FOUND
    world.aborting(*((method, gone, "Project not found") for method in ("GetJob", "ListJobs", "CancelJob")))
    world.later(PLACE_SEEN_SECONDS)
    with pytest.raises(Unreachable, match=f"projects/{PROJECT}/locations/{REGION} cannot be read"):
        await world.provider.get(ref_of(request))
    with pytest.raises(Unreachable):
        await world.provider.cancel(ref_of(request), reason="because")
    with pytest.raises(ConfigError):
        await at(world, request.destination, {})


async def test_that_jobs_can_be_listed_is_asked_once_a_minute_at_most(world: World) -> None:
    for _ in range(3):
        assert await world.provider.get(ref_of(noted(request_for()))) is None
    assert (world.server.calls["GetJob"], world.server.calls["ListJobs"]) == (3, 1)


def test_a_place_whose_variables_are_missing_is_a_fault_of_the_settings(world: World) -> None:
    with pytest.raises(ConfigError, match="BATCH_PROJECT_ID is not set"):
        clouds.provider_at(Destination(provider="gcp", region=REGION), world.clock, {})
