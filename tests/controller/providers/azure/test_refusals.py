"""Pools, quotas and refusals of the Azure adapter against the stand-in."""

import asyncio
import random
from datetime import timedelta

import pytest

from controller.cloud_settings import NodeSize
from controller.domain import reasons
from controller.domain.errors import Forbidden, JennahError, Permanent, Retryable, Throttled, Unavailable
from controller.domain.job import AzureOptions
from controller.domain.phases import Phase
from controller.providers.azure import calls, pools
from controller.providers.azure.provider import AzureProvider
from tests.contract.azure_service import azure_settings
from tests.controller.providers.azure.harness import Service, answer, each_task, ref, wanted


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
        (409, "Weird", calls.Conflict),
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
