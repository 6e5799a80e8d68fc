"""Rounds of observation: pages, field masks, and jobs that the list does not show."""

from datetime import timedelta
from typing import Any

import grpc
import msgspec
import pytest

from controller.domain.errors import Forbidden, Retryable, Unavailable
from controller.ports import JobRef
from controller.providers import limits
from controller.providers.gcp import bulk
from controller.providers.gcp.provider import GcpProvider
from tests.controller.fakes import FakeClock
from tests.controller.providers.gcp.harness import PROJECT, World, ref_of, request_for, settings_for


async def test_a_place_that_could_not_be_read_fails_the_round_only_where_a_job_is_missing(
    monkeypatch: pytest.MonkeyPatch, world: World
) -> None:
    monkeypatch.setattr(bulk, "PAGE_SIZE", 20)
    refs = [(await world.submitted("sleep", "60"))[0] for _ in range(50)]
    world.service.unreachable = ["projects/acme/locations/us-central1"]
    assert len(await world.provider.observe(refs)) == 50
    with pytest.raises(Unavailable, match="us-central1"):
        await world.provider.observe([*refs, ref_of(request_for())])


@pytest.mark.parametrize(
    "code", [grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.RESOURCE_EXHAUSTED, grpc.StatusCode.INTERNAL]
)
async def test_a_page_that_fails_for_the_moment_is_asked_for_again_from_its_own_token(
    monkeypatch: pytest.MonkeyPatch, world: World, code: grpc.StatusCode
) -> None:
    monkeypatch.setattr(bulk, "PAGE_SIZE", 20)
    monkeypatch.setattr(bulk, "REPEAT_SECONDS", 0.001)
    monkeypatch.setattr(limits, "BACKOFF_BASE_SECONDS", 0.001)
    refs = [(await world.submitted("sleep", "60"))[0] for _ in range(60)]
    world.server.calls.clear()
    world.failing("ListJobs", code, code, code)
    assert len(await world.provider.observe(refs)) == 60
    assert world.server.calls == {"ListJobs": 6}
    world.failing("ListJobs", *[code] * 4)
    with pytest.raises(Retryable):
        await world.provider.observe(refs)


async def test_a_list_that_is_forbidden_is_not_asked_for_again(world: World) -> None:
    ref, _ = await world.submitted("sleep", "60")
    world.failing("ListJobs", grpc.StatusCode.PERMISSION_DENIED)
    with pytest.raises(Forbidden):
        await world.provider.observe([ref])
    assert world.server.calls["ListJobs"] == 1


async def test_pages_that_take_too_long_become_smaller_and_then_larger_again(
    monkeypatch: pytest.MonkeyPatch, world: World
) -> None:
    monkeypatch.setattr(bulk, "GROW_AFTER", 3)
    refs = [(await world.submitted("sleep", "60"))[0] for _ in range(600)]
    world.failing("ListJobs", *[grpc.StatusCode.DEADLINE_EXCEEDED] * 2)
    assert len(await world.provider.observe(refs)) == 600
    assert world.provider._bulk.page_size == 500  # 250, and three of them came in time
    for _ in range(2):
        world.failing("ListJobs", *[grpc.StatusCode.DEADLINE_EXCEEDED] * 4)
        with pytest.raises(Unavailable):
            await world.provider.observe(refs)
    assert world.provider._bulk.page_size == bulk.MIN_PAGE_SIZE
    world.server.hook = None
    for _ in range(4):
        await world.provider.observe(refs)
    assert world.provider._bulk.page_size == bulk.PAGE_SIZE


async def test_only_jobs_that_were_asked_for_and_carry_the_uid_are_told_of(world: World) -> None:
    mine, _ = await world.submitted("sleep", "60")
    await world.submitted("sleep", "60")
    other, _ = await world.submitted("sleep", "60")
    stranger = JobRef(external_name=other.external_name, uid="5c1f2c44-0000-4000-8000-000000000000")
    assert set(await world.provider.observe([mine, stranger])) == {mine.external_name}


@pytest.mark.parametrize("mode", ["honour", "ignore", "refuse", "drop-token", "drop-fields"])
async def test_whatever_becomes_of_the_field_mask_the_jobs_are_observed(
    monkeypatch: pytest.MonkeyPatch, mode: Any
) -> None:
    monkeypatch.setattr(bulk, "PAGE_SIZE", 20)
    async with World(mask_mode=mode).running() as world:
        refs = [(await world.submitted("sleep", "60"))[0] for _ in range(55)]
        world.ahead(1)
        for _ in range(2):
            seen = await world.provider.observe(refs)
            assert {one.uid for one in seen.values()} == {ref.uid for ref in refs}
        assert world.provider._bulk.sends_mask == (mode in ("honour", "ignore"))
        world.server.calls.clear()
        await world.provider.observe(refs)
        assert world.server.calls == {"ListJobs": 3}  # what was learnt is kept: no page is asked for twice


async def test_get_and_observe_agree_with_and_without_the_mask() -> None:
    for mode in ("honour", "refuse"):
        async with World(mask_mode=mode).running() as world:
            failed, _ = await world.submitted("sh", "-c", "exit 3")
            lasting, _ = await world.submitted("sleep", "60", completions=3, parallelism=2)
            world.ahead(1)
            assert (await world.seen(failed)).exit_code == 3
            assert (await world.seen(lasting)).tasks.total == 3


async def test_old_finished_jobs_are_not_read_on_and_on(monkeypatch: pytest.MonkeyPatch, world: World) -> None:
    monkeypatch.setattr(bulk, "PAGE_SIZE", 20)
    old, _ = await world.submitted("sleep", "999")
    for _ in range(100):
        await world.submitted("true")
    new, _ = await world.submitted("sleep", "60")
    world.ahead(1)
    world.server.calls.clear()
    assert set(await world.provider.observe([old, new])) == {old.external_name, new.external_name}
    assert world.server.calls == {"ListJobs": 1, "GetJob": 1}


async def test_the_list_begins_at_the_oldest_job_that_is_asked_for(world: World) -> None:
    _, first = await world.submitted("true")
    at = first.submitted_at
    refs = [JobRef(external_name=f"n{hours}", uid="u", submitted_at=at - timedelta(hours=hours)) for hours in (3, 1)]
    text = bulk.query("test", refs)
    since = (at - timedelta(hours=3) - bulk.SKEW).strftime("%Y-%m-%dT%H:%M:%SZ")
    assert text == f'labels."jennah-instance" = "test" AND createTime >= "{since}"'
    unknown = JobRef(external_name="n", uid="u")
    assert bulk.query("test", [*refs, unknown]) == 'labels."jennah-instance" = "test"'


async def test_jobs_of_another_region_are_got_singly(world: World) -> None:
    elsewhere = GcpProvider(
        msgspec.structs.replace(settings_for(world.server.endpoint), region="europe-west4"), FakeClock()
    )
    request = request_for()
    made = await elsewhere.submit(request)
    await elsewhere.close()
    ref = msgspec.structs.replace(ref_of(request), resource_path=made.resource_path)
    here, _ = await world.submitted("sleep", "60")
    assert set(await world.provider.observe([ref, here])) == {ref.external_name, here.external_name}
    assert world.server.calls["GetJob"] == 1


async def test_few_jobs_that_cannot_be_read_singly_are_in_doubt_and_many_fail_the_round(world: World) -> None:
    here, _ = await world.submitted("sleep", "60")

    def far() -> JobRef:
        ref = ref_of(request_for())
        path = f"projects/{PROJECT}/locations/europe-west1/jobs/{ref.external_name}"
        return msgspec.structs.replace(ref, resource_path=path)

    for code in (grpc.StatusCode.PERMISSION_DENIED, grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.INVALID_ARGUMENT):
        world.aborting(("GetJob", code, "no"))
        assert set(await world.provider.observe([far(), here])) == {here.external_name}
    world.aborting(("GetJob", grpc.StatusCode.UNAVAILABLE, "no"))
    with pytest.raises(Unavailable):
        await world.provider.observe([here, *(far() for _ in range(30))])


async def test_a_job_of_another_region_is_asked_for_where_it_is(world: World) -> None:
    path = f"projects/{PROJECT}/locations/europe-west4/jobs/n"
    assert world.provider._path(JobRef(external_name="n", uid="u", resource_path=path)) == path
    for odd in (None, "local/here/jobs/n", f"projects/{PROJECT}/locations/europe-west4/jobs/other"):
        ref = JobRef(external_name="n", uid="u", resource_path=odd)
        assert world.provider._path(ref) == f"projects/{PROJECT}/locations/us-central1/jobs/n"
