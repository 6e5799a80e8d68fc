"""The Google Cloud Batch adapter against the stand-in: each job exactly once."""

import asyncio

import msgspec
import pytest

from controller.domain import reasons
from controller.domain.errors import Permanent, Retryable, Unavailable
from controller.domain.phases import Phase
from controller.domain.resources import ResourceSet
from controller.ports import Observation, SubmitRequest
from controller.providers.gcp.provider import GcpProvider
from dev.emulators.faults import Faults
from tests.controller.providers.gcp.harness import World, request_for

TRIES = 60


async def submitted_at_last(provider: GcpProvider, request: SubmitRequest) -> Observation:
    """As the reconciler does it: again while the outcome is unknown."""
    for _ in range(TRIES):
        try:
            return await provider.submit(request)
        except Retryable:
            await asyncio.sleep(0)
    raise AssertionError("never submitted")


@pytest.mark.parametrize("faults", [Faults(lost_replies=0.4), Faults(lost_requests=0.4, lost_replies=0.3)])
async def test_lost_replies_and_requests_end_in_exactly_one_cloud_job(faults: Faults) -> None:
    async with World(faults).running() as world:
        requests = [request_for() for _ in range(150)]
        await asyncio.gather(*(submitted_at_last(world.provider, request) for request in requests))
        assert sorted(entry.uid for entry in world.service.ledger()) == sorted(request.uid for request in requests)


async def test_after_the_replay_window_the_name_alone_adopts(world: World) -> None:
    request = request_for(("sleep", "100000"))
    request = msgspec.structs.replace(request, resources=ResourceSet(cpu_millis=1000, memory_mib=128))
    first = await world.provider.submit(request)
    world.ahead(2 * 3600)
    again = await world.provider.submit(request)
    assert again.resource_path == first.resource_path
    assert again.phase is Phase.RUNNING
    assert len(world.service.ledger()) == 1


async def test_a_job_that_exists_and_cannot_be_read_yet_is_in_doubt_and_not_submitted_again() -> None:
    async with World(Faults(hidden_seconds=1e6)).running() as world:
        request = request_for()
        await world.provider.submit(request)
        world.ahead(2 * 3600)  # past the replay window: the name is refused, and reads do not have it
        with pytest.raises(Unavailable, match="cannot be read yet"):
            await world.provider.submit(request)
        assert len(world.service.ledger()) == 1


@pytest.mark.parametrize("later", [0, 7200], ids=["by request id", "by name"])
async def test_a_job_of_that_name_with_another_uid_is_not_ours(world: World, later: float) -> None:
    request = request_for()
    await world.provider.submit(request)
    world.ahead(later)
    with pytest.raises(Permanent) as refused:
        await world.provider.submit(msgspec.structs.replace(request, uid="5c1f2c44-0000-4000-8000-000000000000"))
    assert refused.value.reason == reasons.NAME_TAKEN
    assert "another JennahJob" in str(refused.value)


async def test_an_answer_without_our_label_is_not_judged_before_the_job_was_read(world: World) -> None:
    world.service.omitted = {"create-labels"}
    request = request_for()
    for _ in range(2):
        assert (await world.provider.submit(request)).uid == request.uid
    with pytest.raises(Permanent) as refused:
        await world.provider.submit(msgspec.structs.replace(request, uid="5c1f2c44-0000-4000-8000-000000000000"))
    assert refused.value.reason == reasons.NAME_TAKEN


async def test_the_answer_of_an_earlier_create_call_is_not_taken_for_the_present(world: World) -> None:
    request = request_for(("sh", "-c", "exit 3"))
    await world.provider.submit(request)
    world.service._ever[0]._message.create_time.FromSeconds(1)
    world.ahead(60)
    assert (await world.provider.submit(request)).phase is Phase.FAILED
    assert world.server.calls["GetJob"] == 1
