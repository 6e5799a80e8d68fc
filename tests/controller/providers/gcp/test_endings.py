"""Cancelling and deleting: the Google Cloud Batch adapter against the stand-in."""

import grpc
import pytest

from controller.ports import JobRef
from controller.providers.gcp import calls
from tests.controller.providers.gcp.harness import World, ref_of, request_for


async def test_cancelling_what_the_service_will_not_cancel_is_an_error_only_while_the_job_goes_on(world: World) -> None:
    lasting, _ = await world.submitted("sleep", "60")
    done, _ = await world.submitted("true")
    world.ahead(1)
    world.aborting(("CancelJob", grpc.StatusCode.INVALID_ARGUMENT, "no"))
    assert await world.provider.cancel(done, reason="r")
    assert not await world.provider.cancel(JobRef(external_name="never-was", uid="u"), reason="r")
    with pytest.raises(calls.Refused):
        await world.provider.cancel(lasting, reason="r")


async def test_cancelling_says_whether_the_service_knew_the_job(world: World) -> None:
    ref, _ = await world.submitted("sleep", "60")
    world.ahead(1)
    assert await world.provider.cancel(ref, reason="r")
    assert await world.provider.cancel(ref, reason="r")  # on its way
    world.ahead(1)
    assert await world.provider.cancel(ref, reason="r")  # over
    assert not await world.provider.cancel(ref_of(request_for()), reason="r")


async def test_a_deleted_job_is_gone_and_the_last_that_is_seen_of_it_is_no_end(world: World) -> None:
    ref, _ = await world.submitted("true")
    world.ahead(1)
    await world.provider.delete(ref)
    leaving = await world.provider.get(ref)
    assert leaving is None or (leaving.is_being_deleted and leaving.is_cancelling and leaving.phase is None)
    world.ahead(1)
    assert await world.provider.get(ref) is None
    assert await world.provider.observe([ref]) == {}
