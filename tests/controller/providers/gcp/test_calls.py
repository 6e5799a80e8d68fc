"""The limits of calls in time and rate, and what is counted and logged of them."""

import logging
from typing import Any

import grpc
import pytest

from controller.domain.errors import Throttled, Unavailable
from controller.metrics import REGISTRY
from controller.providers import limits
from controller.providers.gcp import calls
from tests.controller.providers.gcp.harness import World, ref_of, request_for


async def test_every_call_has_a_time_limit_shorter_than_the_lease(world: World) -> None:
    left: dict[str, float] = {}

    async def hook(method: str, context: Any) -> None:
        left[method] = context.time_remaining()

    world.server.hook = hook
    ref, _ = await world.submitted("sh", "-c", "exit 3")
    world.ahead(1)
    await world.provider.observe([ref])
    await world.provider.get(ref)
    await world.provider.cancel(ref, reason="r")
    await world.provider.delete(ref)
    assert set(left) == {"CreateJob", "ListJobs", "ListTasks", "GetJob", "CancelJob", "DeleteJob"}
    assert all(0 < seconds < calls.CALL_SECONDS + 1 for seconds in left.values())  # gRPC rounds them up
    assert calls.CALL_SECONDS + limits.PLACE_SECONDS < 15


async def test_throttling_backs_off_the_bucket_of_all_workers(world: World) -> None:
    world.aborting(("CreateJob", grpc.StatusCode.RESOURCE_EXHAUSTED, "slow down"))
    before = world.provider._mutations.rate
    with pytest.raises(Throttled) as throttled:
        await world.provider.submit(request_for())
    assert throttled.value.delay > 0
    assert world.provider._mutations.rate < before
    assert world.provider._reads.rate == before  # reads have a quota of their own
    assert world.server.calls["CreateJob"] == 1  # and nothing was tried again


async def test_who_finds_no_place_in_the_rate_limit_comes_again(monkeypatch: pytest.MonkeyPatch, world: World) -> None:
    provider = world.adapter(mutations_per_second=0.1)
    await provider.submit(request_for())
    monkeypatch.setattr(limits, "PLACE_SECONDS", 0.01)
    with pytest.raises(Throttled):
        await provider.submit(request_for())
    assert len(world.service.ledger()) == 1
    await provider.close()


async def test_nothing_of_a_request_is_logged(world: World, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.DEBUG):
        ref = ref_of(request := request_for(env={"PASSWORD": "correct-horse"}))
        await world.provider.submit(request)
        await world.provider.observe([ref])
        await world.provider.get(ref)
    assert "correct-horse" not in caplog.text
    assert not any("correct-horse" in str(vars(record)) for record in caplog.records)


async def test_calls_are_counted_by_method_and_result(world: World) -> None:
    def counted(method: str, result: str) -> float:
        return (
            REGISTRY.get_sample_value(
                "jennah_provider_calls_total", {"provider": "gcp", "method": method, "result": result}
            )
            or 0.0
        )

    created, refused = counted("create", "ok"), counted("create", "Unavailable")
    await world.submitted("true")
    world.aborting(("CreateJob", grpc.StatusCode.UNAVAILABLE, "no"))
    with pytest.raises(Unavailable):
        await world.submitted("true")
    assert (counted("create", "ok"), counted("create", "Unavailable")) == (created + 1, refused + 1)
