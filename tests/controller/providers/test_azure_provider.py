"""The Azure adapter against the stand-in: what the contract's tests cannot see."""

import asyncio
import contextlib
import random
from collections.abc import AsyncIterator
from datetime import timedelta

import msgspec
import pytest
from aiohttp import web

from controller.clock import SystemClock
from controller.cloud_settings import NodeSize
from controller.domain import reasons
from controller.domain.errors import ConfigError, Forbidden, JennahError, Permanent, Retryable, Throttled, Unavailable
from controller.domain.job import AzureOptions, Job, JobStatus, Metadata
from controller.domain.phases import Phase
from controller.ports import SubmitRequest
from controller.providers.azure import calls, listing, logs, places, pools, shared_jobs
from controller.providers.azure.provider import AzureProvider
from dev.emulators.azure.pools import PoolSpec
from dev.emulators.azure.server import drop
from dev.emulators.azure.server import reply as served
from dev.emulators.faults import Faults
from tests.contract.azure_service import azure_settings
from tests.controller.providers.azure_service import START, Service, answer, many, observed, ref, wanted


@pytest.fixture
async def service() -> AsyncIterator[Service]:
    async with Service().serving() as running:
        yield running


@pytest.fixture
async def provider(service: Service) -> AzureProvider:
    return service.provider()


def each_task(status: str, code: str, text: str):
    async def reply(request: web.Request) -> web.StreamResponse:
        error = {"code": code, "message": {"lang": "en", "value": text}}
        asked = (await request.json())["value"]
        return served({"value": [{"taskId": one["id"], "status": status, "error": error} for one in asked]})

    return reply


async def lost(request: web.Request) -> web.StreamResponse:
    return drop(request)


def entries(service: Service, request: SubmitRequest) -> list:
    return [one for one in service.emulator.service.ledger() if one.uid == request.uid]


# --- the start ------------------------------------------------------------------------------------------


async def test_opening_finds_every_configured_pool(service: Service, provider: AzureProvider) -> None:
    await provider.open()
    assert service.counts == {"get_pool": 3}


async def test_a_missing_pool_is_named_with_its_variable(service: Service) -> None:
    provider = service.provider(pool="nowhere", pools={"spot": "gone"})
    with pytest.raises(ConfigError) as error:
        await provider.open()
    first, second = error.value.faults
    assert "AZURE_BATCH_POOL:" in first and "'nowhere'" in first
    assert "AZURE_BATCH_POOLS:" in second and "'gone'" in second


async def test_a_pool_without_containers_is_no_pool_for_us() -> None:
    async with Service(pools=[PoolSpec(name="jennah", takes_containers=False)]).serving() as service:
        with pytest.raises(ConfigError, match="containerConfiguration"):
            await service.provider(pools={}).open()


@pytest.mark.parametrize("other", [{"account_key": "d3Jvbmc="}, {"account": "stranger"}])
async def test_refused_credentials_name_the_role_and_not_the_key(service: Service, other: dict[str, str]) -> None:
    with pytest.raises(ConfigError, match="Azure Batch Job Submitter") as error:
        await service.provider(**other).open()
    assert "d3Jvbmc=" not in str(error.value)


async def test_an_unreachable_service_is_unavailable_at_the_start(service: Service) -> None:
    with pytest.raises(Unavailable):
        await service.provider(endpoint="http://127.0.0.1:1").open()


# --- exactly once ---------------------------------------------------------------------------------------


async def test_a_submission_into_a_known_shared_job_is_one_call(service: Service, provider: AzureProvider) -> None:
    await provider.submit(wanted())
    service.counts.clear()
    await provider.submit(wanted())
    assert service.counts == {"create_task": 1}


@pytest.mark.parametrize("operation", ["create_job", "create_task"])
async def test_a_create_is_sent_once_whatever_comes_of_it(
    service: Service, provider: AzureProvider, operation: str
) -> None:
    for error in (answer(500, "InternalError"), answer(503, "ServerBusy"), lost):
        service.answer(operation, error)
        before = service.counts[operation]
        with pytest.raises(Retryable):
            await provider.submit(wanted())
        assert service.counts[operation] == before + 1


async def test_replicas_that_begin_a_day_at_once_share_one_job(service: Service) -> None:
    requests = [wanted() for _ in range(40)]
    replicas = [service.provider() for _ in range(4)]
    await asyncio.gather(*(replicas[n % 4].submit(request) for n, request in enumerate(requests)))
    [job] = service.emulator.service.jobs.values()
    assert len(job.tasks) == 40


async def test_a_job_of_that_id_that_is_not_ours_is_left_alone(service: Service) -> None:
    await service.provider().submit(wanted())
    [job] = service.emulator.service.jobs.values()
    job.wire["metadata"] = []
    with pytest.raises(Permanent) as error:
        await service.provider().submit(wanted())
    assert error.value.reason == reasons.NAME_TAKEN


@pytest.mark.parametrize("state", ["completed", "terminating", "deleting"])
async def test_a_shared_job_that_somebody_ended_is_followed_by_the_next(service: Service, state: str) -> None:
    provider, request = service.provider(), wanted()
    await provider.submit(wanted())
    [job] = service.emulator.service.jobs.values()
    service.emulator.service.set_state(job.id, state)
    path = (await provider.submit(request)).resource_path
    assert f"{job.id}-g1/" in path
    fresh = service.provider()
    assert (await fresh.submit(request)).resource_path == path
    assert (await fresh.get(ref(request))).resource_path == path
    assert len(entries(service, request)) == 1


async def test_a_task_in_an_ended_shared_job_is_adopted_and_not_run_again(service: Service) -> None:
    provider, request = service.provider(), wanted()

    async def done_and_lost(asked: web.Request) -> web.StreamResponse:
        service.emulator.service.create_task(asked.path.split("/")[2], msgspec.json.decode(await asked.read()))
        return drop(asked)

    service.answer("create_task", done_and_lost)
    with pytest.raises(Unavailable):
        await provider.submit(request)
    service.clock.advance(1)
    [job] = service.emulator.service.jobs.values()
    service.emulator.service.terminate_job(job.id, "by hand")
    for adapter in (provider, service.provider()):
        adopted = await adapter.submit(request)
        assert (adopted.phase, f"{job.id}/" in adopted.resource_path) == (Phase.CANCELLED, True)
    assert len(entries(service, request)) == 1


async def test_an_ended_shared_job_that_was_removed_does_not_come_back_below_the_next(service: Service) -> None:
    provider, request = service.provider(), wanted()
    await provider.submit(wanted())
    [first] = service.emulator.service.jobs.values()
    service.emulator.service.terminate_job(first.id, "by hand")
    path = (await provider.submit(request)).resource_path
    service.emulator.service.delete_job(first.id)
    assert (await service.provider().submit(request)).resource_path == path
    assert len(entries(service, request)) == 1


async def test_a_set_that_was_cut_off_is_gone_on_with(service: Service) -> None:
    request = wanted(completions=250, parallelism=10)
    for _ in range(2):
        service.answer("create_tasks", answer(500, "InternalError"))
        provider = service.provider()
        with pytest.raises(Unavailable):
            await provider.submit(request)
    await service.provider().submit(request)
    [job] = service.emulator.service.jobs.values()
    assert len(job.tasks) == 250


async def test_the_same_controller_goes_on_where_a_set_was_cut_off(service: Service, provider: AzureProvider) -> None:
    request, sent = wanted(completions=350), []

    async def note(asked: web.Request) -> web.StreamResponse:
        tasks = msgspec.json.decode(await asked.read())["value"]
        if len(sent) == 1:
            sent.append(0)
            return drop(asked)
        sent.append(len(tasks))
        results = service.emulator.service.create_tasks(asked.path.split("/")[2], tasks)
        return web.json_response({"value": results})

    service.answer("create_tasks", *[note] * 10)
    with pytest.raises(Unavailable):
        await provider.submit(request)
    await provider.submit(request)
    assert sent == [100, 0, 100, 100, 49]
    assert len(entries(service, request)) == 1


async def test_a_set_that_is_not_complete_is_not_submitted_and_can_be_cancelled(service: Service) -> None:
    request, provider = wanted(completions=250), service.provider()

    async def first_then_fail(asked: web.Request) -> web.StreamResponse:
        service.answer("create_tasks", answer(500, "InternalError"))
        tasks = msgspec.json.decode(await asked.read())["value"]
        service.emulator.service.create_tasks(asked.path.split("/")[2], tasks)
        return drop(asked)

    service.answer("create_tasks", first_then_fail)
    for _ in range(2):
        with pytest.raises(Unavailable):
            await provider.submit(request)
    service.clock.advance(1)
    fresh = service.provider()
    assert await observed(fresh, request) is None
    assert not (await fresh.get(ref(request))).has_ended
    await fresh.cancel(ref(request), reason="because")
    service.clock.advance(1)
    assert (await fresh.get(ref(request))).phase is Phase.CANCELLED
    assert (await observed(fresh, request)).phase is Phase.CANCELLED


async def test_a_task_that_the_service_failed_to_make_is_tried_again(service: Service, provider: AzureProvider) -> None:
    request = wanted(completions=5)
    service.answer("create_tasks", each_task("servererror", "InternalServerError", "try again"))
    with pytest.raises(Retryable, match="try again"):
        await provider.submit(request)
    assert (await provider.submit(request)).tasks.total == 5
    service.answer("create_tasks", each_task("clienterror", "InvalidPropertyValue", "no"))
    with pytest.raises(calls.Refused):
        await provider.submit(wanted(completions=5))


async def test_what_was_made_of_a_set_is_not_forgotten_by_a_second_failure(
    service: Service, provider: AzureProvider, monkeypatch: pytest.MonkeyPatch
) -> None:
    request, begun, real = wanted(completions=1000), [], provider._connection.create_tasks

    async def create_tasks(job_id: str, tasks, clean):
        begun.append(int(tasks[0].id.rpartition("-")[2]))
        if len(begun) in (4, 5):
            raise Throttled("busy")
        return await real(job_id, tasks, clean)

    monkeypatch.setattr(provider._connection, "create_tasks", create_tasks)
    for _ in range(2):
        with pytest.raises(Throttled):
            await provider.submit(request)
    await provider.submit(request)
    assert begun == [0, 100, 200, 300, 300, *range(300, 1000, 100)]
    assert not provider._submission._made


async def test_what_was_made_of_a_set_is_forgotten_when_its_shared_job_has_gone(
    service: Service, provider: AzureProvider
) -> None:
    request = wanted(completions=250)
    service.answer("create_task", answer(500, "InternalError"))
    with pytest.raises(Unavailable):
        await provider.submit(request)
    assert provider._submission._made
    service.emulator.service.jobs.clear()
    assert (await provider.submit(request)).tasks.total == 250
    [job] = service.emulator.service.jobs.values()
    assert len(job.tasks) == 250 and not provider._submission._made


async def test_a_set_that_is_refused_leaves_nothing_running(service: Service, provider: AzureProvider) -> None:
    request = wanted(completions=150)
    service.answer("create_task", answer(400, "InvalidPropertyValue"))
    with pytest.raises(Permanent):
        await provider.submit(request)
    service.clock.advance(1)
    assert (await provider.get(ref(request))).phase is Phase.CANCELLED


async def test_lanes_keep_to_the_parallelism_though_tasks_fail(service: Service, provider: AzureProvider) -> None:
    request = wanted(("sh", "-c", "sleep 10; exit 3"), completions=9, parallelism=3)
    await provider.submit(request)
    most = 0
    for _ in range(40):
        service.clock.advance(1)
        seen = await observed(provider, request)
        most = max(most, seen.tasks.running)
    assert (most, seen.phase, seen.tasks.failed) == (3, Phase.FAILED, 9)


async def test_a_cancelled_set_starts_no_task_that_waited(service: Service, provider: AzureProvider) -> None:
    request = wanted(completions=60, parallelism=2)
    await provider.submit(request)
    service.clock.advance(1)
    await provider.cancel(ref(request), reason="because")
    service.clock.advance(1)
    seen = await observed(provider, request)
    assert (seen.phase, seen.reason) == (Phase.CANCELLED, reasons.CANCELLED)
    assert (seen.tasks.failed, seen.tasks.pending) == (2, 58)


# --- pools, quotas, refusals ----------------------------------------------------------------------------


async def test_a_pool_that_does_not_exist_is_refused_and_nothing_made(
    service: Service, provider: AzureProvider
) -> None:
    for _ in range(2):
        with pytest.raises(Permanent, match="'nowhere'") as error:
            await provider.submit(wanted(azure=AzureOptions(pool="nowhere")))
        assert error.value.reason == reasons.INVALID_SPEC
    assert service.counts == {"get_pool": 2}


async def test_ids_of_pools_are_the_same_in_capital_letters(service: Service, provider: AzureProvider) -> None:
    await provider.submit(wanted(azure=AzureOptions(pool="JENNAH")))
    await provider.submit(wanted())
    assert service.counts["get_pool"] == 1 and service.counts["create_job"] == 1
    await service.provider().submit(wanted(azure=AzureOptions(pool="Jennah")))
    [job] = service.emulator.service.jobs.values()
    assert len(job.tasks) == 3


def test_node_sizes_and_pools_of_the_settings_are_known_in_any_case() -> None:
    settings = azure_settings(
        "http://localhost",
        pool="Big",
        pools={"spot": "BIG"},
        nodes={"BIG": NodeSize(cpu_millis=1000, memory_mib=1)},
    )
    assert pools.configured(settings) == ("Big",)
    pool = pools.Pool(id="big", vm_size="Standard_X", slots=1, takes_containers=True)
    assert pools.node_size(pool, settings) == settings.nodes["BIG"]


async def test_a_pool_is_looked_up_again_after_a_while(service: Service, provider: AzureProvider) -> None:
    await provider.submit(wanted())
    del service.emulator.service.pools["jennah"]
    service.clock.advance(301)
    with pytest.raises(Permanent, match="'jennah'"):
        await provider.submit(wanted())


async def test_a_quota_is_named_and_is_throttling() -> None:
    async with Service(active_jobs=1).serving() as service:
        provider = service.provider()
        await provider.submit(wanted())
        for _ in range(5):
            with pytest.raises(Throttled, match="ActiveJobAndScheduleQuotaReached") as error:
                await provider.submit(wanted(spot=True))
            assert error.value.delay > 0
        assert service.counts["create_job"] == 2  # the quota is not asked for again and again
        await provider.submit(wanted())
        service.clock.advance(60)
        service.emulator.service.active_jobs = 2
        await provider.submit(wanted(spot=True))


async def test_two_thousand_jobs_end_on_an_account_of_a_hundred_active_jobs() -> None:
    async with Service(active_jobs=100).serving() as service:
        provider, dice = service.provider(), random.Random(7)
        requests = [
            wanted(
                ("sleep", str(dice.randrange(1, 50))),
                spot=bool(n % 2),
                priority=dice.randrange(100),
                created_at=service.clock.now() - timedelta(hours=dice.randrange(96)),
            )
            for n in range(2000)
        ]
        left, paths = iter(requests), {}

        async def submit() -> None:
            for request in left:
                paths[request.external_name] = (await provider.submit(request)).resource_path

        await asyncio.gather(*(submit() for _ in range(16)))
        ended: set[str] = set()
        for _ in range(10):
            service.clock.advance(10)
            refs = [ref(one, paths[one.external_name]) for one in requests if one.external_name not in ended]
            seen = await provider.observe(refs)
            ended |= {name for name, one in seen.items() if one.phase is Phase.COMPLETED}
        assert len(ended) == 2000
        assert service.emulator.service.quota_refusals == 0
        assert service.emulator.service.most_active <= 50  # 2 pools, 5 days, 5 bands
        ran = [entry for entry in service.emulator.service.ledger() if entry.ran_seconds > 0]
        assert len(ran) == len({entry.uid for entry in ran}) == 2000


async def test_no_secret_is_in_a_refusal(service: Service) -> None:
    secret = "the value of a variable"
    provider = service.provider(output_url="https://s.blob.core.windows.net/c?sig=signature")
    service.answer(
        "create_task",
        answer(400, "InvalidPropertyValue", f"bad: {secret} https://s.blob.core.windows.net/c?sig=signature"),
    )
    with pytest.raises(Permanent) as error:
        await provider.submit(wanted(variables={"A": secret}))
    assert secret not in str(error.value) and "signature" not in str(error.value)
    assert error.value.__cause__ is None and "bad:" in str(error.value)


@pytest.mark.parametrize(
    ("status", "code", "kind"),
    [
        (500, "InternalError", Unavailable),
        (403, "AuthorizationFailed", Forbidden),
        (409, "Weird", Unavailable),
        (429, "TooManyRequests", Throttled),
    ],
)
async def test_no_secret_is_in_any_other_error_of_a_submission(
    service: Service, provider: AzureProvider, status: int, code: str, kind: type[Retryable]
) -> None:
    secret = "s3cr3tvalue"
    service.answer("create_task", answer(status, code, f"{'x' * 590} {secret} words"))
    with pytest.raises(kind) as error:
        await provider.submit(wanted(variables={"P": secret}))
    assert type(error.value) is kind and "s3c" not in str(error.value) and "***" in str(error.value)
    assert error.value.__cause__ is None and error.value.__suppress_context__


@pytest.mark.parametrize("status", ["clienterror", "servererror"])
async def test_no_secret_is_in_the_words_for_one_task_of_a_set(
    service: Service, provider: AzureProvider, status: str
) -> None:
    service.answer("create_tasks", each_task(status, "InvalidPropertyValue", f"{'x' * 590} s3cr3tvalue"))
    with pytest.raises(JennahError) as error:
        await provider.submit(wanted(variables={"P": "s3cr3tvalue"}, completions=5))
    assert "s3c" not in str(error.value) and "***" in str(error.value)


async def test_throttling_slows_all_calls_that_follow(service: Service, provider: AzureProvider) -> None:
    await provider.submit(wanted())
    service.answer("create_task", answer(429, "TooManyRequests"))
    with pytest.raises(Throttled) as error:
        await provider.submit(wanted())
    assert error.value.delay >= 1
    before = service.clock.monotonic()
    await provider.submit(wanted())
    assert service.clock.monotonic() - before >= error.value.delay


async def test_a_right_that_is_missing_is_forbidden_and_heals(service: Service, provider: AzureProvider) -> None:
    await provider.submit(wanted())
    request = wanted()
    service.answer("create_task", answer(403, "AuthorizationFailed"))
    with pytest.raises(Forbidden):
        await provider.submit(request)
    await provider.submit(request)


# --- observing ------------------------------------------------------------------------------------------


async def test_a_round_asks_for_what_changed_and_selects_what_is_read(
    service: Service, provider: AzureProvider
) -> None:
    refs = await many(provider, 5)
    await provider.observe(refs)
    await provider.observe(refs)
    first, second = service.emulator.queries
    assert "$filter" not in first and second["$filter"].startswith("stateTransitionTime ge datetime'")
    assert first["maxresults"] == "1000"
    assert "environmentSettings" not in first["$select"]


async def test_quiet_rounds_are_one_call_for_a_shared_job_and_one_for_all_of_them(
    service: Service, provider: AzureProvider
) -> None:
    refs = await many(provider, 1200)
    service.clock.advance(1)
    await provider.observe(refs)
    service.counts.clear()
    service.emulator.queries.clear()
    assert len(await provider.observe(refs)) == 1200
    assert set(service.counts) == {"list_tasks", "list_jobs"} and service.counts["list_jobs"] == 1


async def test_lists_are_read_over_all_their_pages(service: Service, provider: AzureProvider) -> None:
    refs = await many(provider, 2100)
    assert len(await provider.observe(refs)) == 2100
    assert service.counts["list_tasks"] == 3


async def test_now_and_then_everything_is_read_which_finds_what_was_removed(
    service: Service, provider: AzureProvider
) -> None:
    refs = await many(provider, 3)
    await provider.observe(refs)
    [job] = service.emulator.service.jobs.values()
    service.emulator.service.delete_task(job.id, refs[0].external_name)
    service.clock.advance(listing.FULL_SECONDS + 1)
    assert len(await provider.observe(refs)) == 2


async def test_after_an_error_everything_is_read(service: Service, provider: AzureProvider) -> None:
    refs = await many(provider, 3)
    await provider.observe(refs)
    service.answer("list_tasks", answer(500, "InternalError"))
    with pytest.raises(Unavailable):
        await provider.observe(refs)
    service.emulator.queries.clear()
    await provider.observe(refs)
    assert "$filter" not in service.emulator.queries[0]


@pytest.mark.parametrize(
    ("status", "code"), [(500, "InternalError"), (409, "JobBeingDeleted"), (403, "AuthorizationFailed")]
)
async def test_a_shared_job_that_cannot_be_read_leaves_the_others_and_what_was_seen(
    service: Service, provider: AzureProvider, status: int, code: str
) -> None:
    refs = []
    for day in range(2):
        request = wanted(created_at=START + timedelta(days=day))
        refs.append(ref(request, (await provider.submit(request)).resource_path))
    service.clock.advance(10)
    service.answer("list_tasks", answer(status, code))
    seen = await provider.observe(refs)
    assert {one.phase for one in seen.values()} == {None, Phase.RUNNING} and len(seen) == 2
    assert all(seen[one.external_name].resource_path == one.resource_path for one in refs)
    full = await provider.observe(refs)
    assert {one.phase for one in full.values()} == {Phase.RUNNING}
    service.answer("list_tasks", answer(status, code))
    assert await provider.observe(refs) == full
    service.answer("list_tasks", answer(status, code), answer(status, code))
    with pytest.raises(Retryable):
        await provider.observe(refs)


async def test_a_search_that_fails_leaves_the_others(service: Service, provider: AzureProvider) -> None:
    request = wanted()
    known = ref(request, (await provider.submit(request)).resource_path)
    service.answer("get_job", answer(500, "InternalError"))
    assert list(await provider.observe([ref(wanted()), ref(wanted()), known])) == [known.external_name]
    assert service.counts["get_job"] < 5


async def test_a_failure_to_end_old_jobs_is_told_once_and_fails_no_round(
    service: Service, provider: AzureProvider, caplog: pytest.LogCaptureFixture
) -> None:
    refs = await many(provider, 2)
    for days in (4, 5):
        service.clock.advance(days * 86400)
        service.answer("update_job", answer(403, "AuthorizationFailed"))
        assert len(await provider.observe(refs)) == 2
    assert service.counts["update_job"] == 2
    assert caplog.text.count("old Azure jobs cannot be ended") == 1


async def test_at_every_moment_of_its_life_get_says_what_observe_says(
    service: Service, provider: AzureProvider
) -> None:
    requests = [
        wanted(("sh", "-c", "sleep 3; exit 3"), backoff_limit=2),
        wanted(("sh", "-c", "sleep 2; exit 0"), completions=4, parallelism=2),
        wanted(("sleep", "4000")),
    ]
    refs = [ref(one, (await provider.submit(one)).resource_path) for one in requests]
    phases: dict[str, list[Phase | None]] = {one.external_name: [] for one in refs}
    for step in range(30):
        service.clock.advance(0.7 if step < 25 else 1000)
        seen = await provider.observe(refs)
        for one in refs:
            assert await provider.get(one) == seen[one.external_name]
            phases[one.external_name].append(seen[one.external_name].phase)
    assert [phase[-1] for phase in phases.values()] == [Phase.FAILED, Phase.COMPLETED, Phase.FAILED]


async def test_a_retry_goes_back_and_counts(service: Service, provider: AzureProvider) -> None:
    request = wanted(("sh", "-c", "sleep 10; exit 3"), backoff_limit=1)
    path = (await provider.submit(request)).resource_path
    seen = []
    for at in (1, 9.06, 0.02, 1, 20):
        service.clock.advance(at)
        seen.append(await provider.get(ref(request, path)))
    assert [one.phase for one in seen][::4] == [Phase.RUNNING, Phase.FAILED]
    assert Phase.PENDING in [one.phase for one in seen[1:4]]
    assert [one.retries for one in seen][::4] == [0, 1]


async def test_a_task_that_ran_too_long_is_not_taken_for_a_cancelled_one(
    service: Service, provider: AzureProvider
) -> None:
    request = wanted(("sleep", "9999"))
    await provider.submit(request)
    service.clock.advance(4000)
    seen = await observed(provider, request)
    assert (seen.phase, seen.reason) == (Phase.FAILED, reasons.DEADLINE_EXCEEDED)


async def test_jobs_of_unknown_path_are_found_by_a_fresh_controller(service: Service) -> None:
    requests = [wanted(), wanted(completions=3), wanted(spot=True)]
    paths = {one.external_name: (await service.provider().submit(one)).resource_path for one in requests}
    for hints in ({}, {"spec": None, "created_at": None}):
        fresh = service.provider()
        refs = [msgspec.structs.replace(ref(one), **hints) for one in requests]
        seen = await fresh.observe(refs)
        assert {name: one.resource_path for name, one in seen.items()} == paths


async def test_hidden_tasks_are_left_out_and_come_back() -> None:
    async with Service(faults=Faults(hidden_seconds=5), seed=7).serving() as service:
        provider, request = service.provider(), wanted()
        path = (await provider.submit(request)).resource_path
        assert await observed(provider, request, path) is None
        with pytest.raises(Unavailable):
            await provider.submit(request)
        service.clock.advance(6)
        assert (await observed(provider, request, path)).phase is Phase.RUNNING
        assert len(entries(service, request)) == 1


async def test_a_shared_job_that_was_removed_leaves_its_jobs_out(service: Service, provider: AzureProvider) -> None:
    refs = await many(provider, 3)
    await provider.observe(refs)
    [job] = list(service.emulator.service.jobs.values())
    service.emulator.service.delete_job(job.id)
    assert await provider.observe(refs) == {}
    assert await provider.get(refs[0]) is None


async def test_paths_of_another_account_are_not_looked_for(service: Service, provider: AzureProvider) -> None:
    elsewhere = ref(wanted(), "https://other.westeurope.batch.azure.com/jobs/j/tasks/t")
    assert await provider.observe([elsewhere]) == {}
    assert await provider.get(elsewhere) is None
    await provider.cancel(elsewhere, reason="because")
    assert set(service.counts) == {"list_jobs"}  # for old ones


# --- the end of shared jobs -----------------------------------------------------------------------------


async def test_old_shared_jobs_end_when_their_tasks_have_ended(service: Service) -> None:
    provider = service.provider()
    short, long = wanted(("sleep", "1")), wanted(("sleep", "3000"), spot=True)
    for request in (short, long):
        await provider.submit(request)
    late = wanted(("sleep", "3000"))
    states: list[list[str]] = []
    for _ in range(3):
        service.clock.advance(86400 - 1500)
        late = wanted(("sleep", "3000"), created_at=service.clock.now())
        path = (await provider.submit(late)).resource_path
        for _ in range(4):
            await provider.observe([ref(late, path)])
        states.append([job["state"] for job in service.emulator.service.list_jobs()])
    assert states[0][:2] == ["active", "active"]
    assert states[2][:2] == ["completed", "completed"]
    assert states[2][2:] == ["active", "active"]
    [one] = [
        job
        for job in service.emulator.service.list_jobs()
        if job["id"] in (await provider.get(ref(short))).resource_path
    ]
    assert one["executionInfo"]["terminateReason"] == "AllTasksComplete"


def one_that_says_it_ends_by_itself(service: Service):
    async def reply(request: web.Request) -> web.StreamResponse:
        jobs = [{**job, "onAllTasksComplete": "terminatejob"} for job in service.emulator.service.list_jobs()]
        return web.json_response({"value": jobs})

    return reply


async def test_an_old_job_that_does_not_end_by_itself_is_ended(service: Service, provider: AzureProvider) -> None:
    await provider.submit(wanted(("sleep", "1")))
    [job] = service.emulator.service.jobs.values()
    service.clock.advance(3 * 86400)
    other = wanted(created_at=service.clock.now())
    path = (await provider.submit(other)).resource_path
    job.wire["onAllTasksComplete"] = "terminatejob"

    def shown(one):
        return {
            **type(service.emulator.service)._shown(service.emulator.service, one),
            "onAllTasksComplete": "terminatejob",
        }

    service.emulator.service._shown = shown  # says that it will end by itself, and does not
    await provider.observe([ref(other, path)])
    assert (job.state, job.reason) == ("completed", shared_jobs.ENDED_REASON)


# --- the rest -------------------------------------------------------------------------------------------


async def test_deleting_removes_every_task_of_an_ended_set(service: Service, provider: AzureProvider) -> None:
    request = wanted(("true",), completions=3)
    await provider.submit(request)
    service.clock.advance(1)
    await provider.delete(ref(request))
    [job] = service.emulator.service.jobs.values()
    assert job.tasks == {}


async def test_deleting_a_large_set_goes_on_where_the_try_before_was_cut_off(
    service: Service, provider: AzureProvider, monkeypatch: pytest.MonkeyPatch
) -> None:
    request = wanted(("exit", "0"), completions=90)
    path = (await provider.submit(request)).resource_path
    service.clock.advance(100)
    [job] = service.emulator.service.jobs.values()
    monkeypatch.setattr(calls, "ACTION_SECONDS", 2.0)
    slow = service.provider(SystemClock(), mutations_per_second=20)
    service.counts.clear()
    left = [len(job.tasks)]
    while job.tasks and len(left) < 6:
        with contextlib.suppress(Retryable):
            await slow.delete(ref(request, path))
        left.append(len(job.tasks))
        assert not job.tasks or f"{places.stem_of(request.external_name)}-89" in job.tasks
    assert left[-1] == 0 and len(left) > 2
    assert service.counts["delete_task"] < 90 + 16 * len(left)


async def test_cancelling_a_large_set_tells_an_unknown_one_from_one_that_has_ended(
    service: Service, provider: AzureProvider
) -> None:
    request = wanted(("exit", "0"), completions=60)
    known = ref(request, (await provider.submit(request)).resource_path)
    other = wanted(completions=60)
    stem = places.stem_of(request.external_name)
    unknown = ref(other, known.resource_path.replace(stem, places.stem_of(other.external_name)))
    service.clock.advance(100)
    assert await provider.cancel(known, reason="because")
    assert not await provider.cancel(unknown, reason="because")
    service.emulator.service.jobs.clear()
    assert not await provider.cancel(known, reason="because")


async def test_another_jobs_task_is_not_ended(service: Service, provider: AzureProvider) -> None:
    request = wanted()
    await provider.submit(request)
    service.clock.advance(1)
    stranger = msgspec.structs.replace(ref(request), uid="other")
    await provider.cancel(stranger, reason="because")
    await provider.delete(stranger)
    assert (await provider.get(ref(request))).phase is Phase.RUNNING


async def shown(service: Service, request: SubmitRequest, path: str, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    settings = {"ENDPOINT": service.emulator.url, "ACCOUNT": "jennah", "KEY": service.provider()._settings.account_key}
    for name, text in settings.items():
        monkeypatch.setenv(f"AZURE_BATCH_{name}", text)
    status = JobStatus(provider="azure", resource_path=path)
    job = Job(metadata=Metadata(name="j", uid=request.uid), spec=request.spec, status=status)
    return [line async for line in logs.lines(job)]


async def test_the_lines_of_a_job_and_of_each_task_of_a_set(
    service: Service, provider: AzureProvider, monkeypatch: pytest.MonkeyPatch
) -> None:
    one, two = wanted(("true",)), wanted(("true",), completions=2)
    paths = [(await provider.submit(request)).resource_path for request in (one, two)]
    service.clock.advance(1)
    assert await shown(service, one, paths[0], monkeypatch) == ["stdout.txt: true", "stderr.txt: true"]
    assert await shown(service, two, paths[1], monkeypatch) == [
        f"[{index}] {name}.txt: true" for index in range(2) for name in ("stdout", "stderr")
    ]


async def test_credentials_go_to_no_other_address_than_the_services(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AZURE_BATCH_ENDPOINT", raising=False)
    status = JobStatus(provider="azure", resource_path="https://evil.example.com/jobs/j/tasks/t")
    job = Job(metadata=Metadata(name="j", uid="u"), spec=wanted().spec, status=status)
    with pytest.raises(ConfigError, match="AZURE_BATCH_ENDPOINT"):
        [line async for line in logs.lines(job)]
