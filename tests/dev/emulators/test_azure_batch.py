"""The stand-in of Azure Batch, as the SDK sees it: providers.md §3, rule by rule."""

import asyncio
import itertools
import sys
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta

import aiohttp
import pytest
from azure.batch import models
from azure.batch.aio import BatchClient
from azure.core.credentials import AzureNamedKeyCredential
from azure.core.exceptions import AzureError, HttpResponseError

from dev.emulators.azure import auth, odata, tasks
from dev.emulators.azure.pools import PoolSpec, pool_spec
from dev.emulators.azure.server import Emulator
from dev.emulators.faults import Faults

POOL = models.BatchPoolInfo(pool_id="jennah")
START = datetime(2026, 1, 1, tzinfo=UTC).timestamp()


class Account:
    """A stand-in whose time the test moves, and a client of the SDK on it."""

    def __init__(self, faults: Faults | None = None, **options: object) -> None:
        self.now = START
        self.emulator = Emulator(faults, seed=1, clock=lambda: self.now, **options)
        self.client: BatchClient

    def connect(self, key: str = auth.KEY, **options: object) -> BatchClient:
        return BatchClient(
            self.emulator.url, AzureNamedKeyCredential(auth.ACCOUNT, key), **{"retry_total": 0, **options}
        )

    async def job(self, name: str = "j", **options: object) -> None:
        await self.client.create_job(models.BatchJobCreateOptions(id=name, pool_info=POOL, **options))

    async def task(self, name: str = "t", command: str = "sleep 60", **options: object) -> None:
        await self.client.create_task("j", made(name, command, **options))

    async def state(self, name: str = "t") -> str:
        return (await self.client.get_task("j", name)).state


def made(name: str, command: str = "sleep 60", **options: object) -> models.BatchTaskCreateOptions:
    settings = models.BatchTaskContainerSettings(image_name="busybox")
    return models.BatchTaskCreateOptions(id=name, command_line=command, container_settings=settings, **options)


@pytest.fixture
async def account() -> AsyncIterator[Account]:
    account = Account()
    async with account.emulator.serving():
        account.client = account.connect()
        yield account
        await account.client.close()


async def code_of(call) -> tuple[int, str]:
    with pytest.raises(HttpResponseError) as error:
        await call
    return error.value.status_code, error.value.error.code


async def test_a_request_must_be_signed_with_the_accounts_key(account: Account) -> None:
    wrong = account.connect("d3Jvbmc=")
    assert await code_of(wrong.get_pool("jennah")) == (403, "AuthenticationFailed")
    await wrong.close()
    async with aiohttp.ClientSession() as http:
        async with http.get(f"{account.emulator.url}/jobs?api-version=2025-06-01") as answer:
            assert (answer.status, (await answer.json())["code"]) == (401, "InvalidAuthenticationInfo")
        async with http.get(f"{account.emulator.url}/jobs?api-version=1999-01-01") as answer:
            assert (await answer.json())["code"] == "InvalidApiVersion"


async def test_ids_are_unique_without_regard_to_case(account: Account) -> None:
    await account.job("Some-Job")
    assert await code_of(account.job("some-job")) == (409, "JobExists")
    assert (await account.client.get_job("SOME-JOB")).id == "Some-Job"
    assert await code_of(account.job("x" * 65)) == (400, "InvalidPropertyValue")
    assert await code_of(account.client.get_job("other")) == (404, "JobNotFound")


async def test_active_jobs_have_a_quota_that_ended_ones_leave(account: Account) -> None:
    account.emulator.service.active_jobs = 2
    for name in ("j", "k"):
        await account.job(name)
    assert await code_of(account.job("l")) == (409, "ActiveJobAndScheduleQuotaReached")
    account.emulator.service.terminate_job("j", "x")
    await account.job("l")


async def test_a_job_for_a_missing_pool_is_taken_and_its_tasks_wait(account: Account) -> None:
    info = models.BatchPoolInfo(pool_id="nowhere")
    await account.client.create_job(models.BatchJobCreateOptions(id="j", pool_info=info))
    await account.task()
    account.now += 86400
    assert await account.state() == "active"
    assert await code_of(account.client.get_pool("nowhere")) == (404, "PoolNotFound")


async def test_a_task_moves_by_the_clock_and_tells_its_result(account: Account) -> None:
    await account.job()
    await account.task(command='sh -c "sleep 5; exit 3"')
    states = [await account.state()]
    for step in (1, 5):
        account.now += step
        states.append(await account.state())
    info = (await account.client.get_task("j", "t")).execution_info
    assert states == ["active", "running", "completed"]
    assert (info.exit_code, info.result, info.failure_info.code) == (3, "failure", "FailureExitCode")
    assert info.end_time - info.start_time == timedelta(seconds=5)


async def test_a_failed_attempt_is_active_again_and_counted(account: Account) -> None:
    account.emulator.service._step = 2
    await account.job()
    constraints = models.BatchTaskConstraints(max_task_retry_count=1)
    await account.task(command='sh -c "sleep 5; exit 3"', constraints=constraints)
    seen = []
    for _ in range(15):
        account.now += 1
        task = await account.client.get_task("j", "t")
        seen.append((task.state, task.execution_info.retry_count))
    assert [one for one, _ in itertools.groupby(seen)] == [
        ("active", 0),
        ("running", 0),
        ("active", 0),
        ("running", 1),
        ("completed", 1),
    ]


async def test_a_task_beyond_its_wall_clock_time_is_ended(account: Account) -> None:
    await account.job()
    await account.task(constraints=models.BatchTaskConstraints(max_wall_clock_time=timedelta(seconds=10)))
    account.now += 11
    failure = (await account.client.get_task("j", "t")).execution_info.failure_info
    assert (failure.category.lower(), failure.code) == ("servererror", "TaskEnded")


async def test_terminating_ends_a_task_once(account: Account) -> None:
    await account.job()
    await account.task()
    await account.client.terminate_task("j", "t")
    failure = (await account.client.get_task("j", "t")).execution_info.failure_info
    assert (failure.category.lower(), failure.code) == ("usererror", "TaskEnded")
    assert await code_of(account.client.terminate_task("j", "t")) == (409, "TaskCompleted")
    assert await code_of(account.client.terminate_task("j", "u")) == (404, "TaskNotFound")


async def test_what_a_task_must_be(account: Account) -> None:
    await account.job()
    plain = models.BatchTaskCreateOptions(id="t", command_line="true")
    assert await code_of(account.client.create_task("j", plain)) == (400, "ContainerSettingsMismatch")
    bare = models.BatchTaskContainerSettings(image_name="i", container_host_batch_bind_mounts=[])
    without = models.BatchTaskCreateOptions(id="t", command_line="true", container_settings=bare)
    assert await code_of(account.client.create_task("j", without)) == (400, "InvalidPropertyValue")
    assert await code_of(account.task(required_slots=5)) == (400, "InvalidPropertyValue")


async def test_a_collection_has_a_result_for_each_task(account: Account) -> None:
    await account.job()
    await account.task("t-1")
    group = models.BatchTaskGroup(task_values=[made(f"t-{n}") for n in range(3)])
    results = (await account.client.create_task_collection("j", group)).result_values
    assert [(one.task_id, one.status, one.error and one.error.code) for one in results] == [
        ("t-0", "success", None),
        ("t-1", "clienterror", "TaskExists"),
        ("t-2", "success", None),
    ]
    large = models.BatchTaskGroup(task_values=[made(f"u-{n}") for n in range(101)])
    assert (await code_of(account.client.create_task_collection("j", large)))[0] == 400
    heavy = models.BatchTaskGroup(task_values=[made("v", "x" * 1_000_000)])
    assert await code_of(account.client.create_task_collection("j", heavy)) == (413, "RequestBodyTooLarge")


async def test_lists_are_filtered_selected_and_paged(account: Account) -> None:
    await account.job()
    for n in range(5):
        await account.task(f"t-{n}", "true" if n % 2 else "sleep 60")
        account.now += 1
    since = datetime.fromtimestamp(START + 3, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    found = account.client.list_tasks(
        "j",
        filter=f"state eq 'running' and stateTransitionTime ge datetime'{since}'",
        select=["id", "state"],
        max_results=1,
    )
    assert [dict(task) async for task in found] == [{"id": "t-4", "state": "running"}]
    everything = [page async for page in account.client.list_tasks("j", max_results=2).by_page()]
    assert len(everything) == 3


@pytest.mark.parametrize("text", ["state", "state eq", "colour eq 'red'", "state eq 'a' nor 1", "(state eq 'a'", "'"])
def test_a_filter_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(odata.BadQuery):
        odata.parse(text)


async def test_a_bad_query_is_a_400(account: Account) -> None:
    await account.job()
    with pytest.raises(HttpResponseError) as error:
        [one async for one in account.client.list_tasks("j", filter="colour eq 'red'")]
    assert error.value.error.code == "InvalidQueryParameterValue"


async def test_a_job_that_ends_by_itself_does_so_at_once_without_tasks_else_after_the_last(account: Account) -> None:
    mode = models.BatchAllTasksCompleteMode.TERMINATE_JOB
    await account.job("empty", all_tasks_complete_mode=mode)
    assert (await account.client.get_job("empty")).execution_info.termination_reason == "AllTasksComplete"
    await account.job()
    await account.task(command="sleep 5")
    await account.client.update_job("j", models.BatchJobUpdateOptions(all_tasks_complete_mode=mode))
    assert (await account.client.get_job("j")).state == "active"
    account.now += 6
    assert (await account.client.get_job("j")).state == "completed"
    assert await code_of(account.task("u")) == (409, "JobCompleted")


async def test_tasks_that_wait_stay_active_in_a_job_that_ends(account: Account) -> None:
    account.emulator.service._step = 10
    await account.job()
    await account.task("waits")
    account.emulator.service.terminate_job("j", "x")
    account.now += 100
    assert await account.state("waits") == "active"


async def test_what_is_deleted_is_gone(account: Account) -> None:
    await account.job()
    await account.task()
    await account.client.delete_task("j", "t")
    assert await code_of(account.client.get_task("j", "t")) == (404, "TaskNotFound")
    assert len(account.emulator.service.ledger()) == 1


@pytest.mark.parametrize(
    ("faults", "is_done"),
    [(Faults(lost_requests=1), False), (Faults(lost_replies=1), True), (Faults(throttled=1), False)],
)
async def test_faults_do_what_they_are_called(account: Account, faults: Faults, is_done: bool) -> None:
    await account.job()
    for number in range(6):
        account.emulator.dice.faults = faults
        with pytest.raises(AzureError):
            await account.task(f"t-{number}")
    account.emulator.dice.faults = Faults()
    assert len([one async for one in account.client.list_tasks("j")]) == (6 if is_done else 0)


async def test_new_tasks_may_be_unseen_for_a_while(account: Account) -> None:
    await account.job()
    account.emulator.dice.faults = Faults(hidden_seconds=10)
    await account.task()
    assert await code_of(account.client.get_task("j", "t")) == (404, "TaskNotFound")
    assert await code_of(account.task()) == (409, "TaskExists")
    account.now += 10
    assert await account.state() == "running"


async def test_the_ledger_tells_of_a_set_how_many_tasks_were_at_once_and_which_were_made_twice(
    account: Account,
) -> None:
    await account.job()
    for index in (0, 1):
        await account.task(f"s-{index}", "sleep 5", display_name="uid=u tasks=3")
    account.now += 10
    await account.task("s-2", "sleep 5", display_name="uid=u tasks=3")
    [entry] = account.emulator.service.ledger()
    assert (entry.name, entry.tasks, entry.tasks_made_again, entry.most_at_once, entry.exit_code) == (
        "s",
        3,
        0,
        2,
        None,
    )
    account.now += 10
    await account.client.delete_task("j", "s-2")
    await account.task("s-2", "sleep 5", display_name="uid=u tasks=3")
    [entry] = account.emulator.service.ledger()
    assert (entry.tasks, entry.tasks_made_again, entry.most_at_once) == (3, 1, 2)


@pytest.mark.parametrize(
    ("text", "seconds"), [("PT1H", 3600), ("PT01H00M00S", 3600), ("P7D", 604800), ("PT0.5S", 0.5), (None, None)]
)
def test_durations(text: str | None, seconds: float | None) -> None:
    assert tasks.seconds_of(text) == seconds


def test_pools_of_the_command_line() -> None:
    assert pool_spec("a=Standard_D2s_v5/8,empty") == PoolSpec(
        name="a", vm_size="Standard_D2s_v5", slots=8, has_nodes=False
    )


async def test_the_program_says_where_it_is() -> None:
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "dev.emulators.azure_batch",
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
    )
    try:
        words = (await process.stdout.readline()).decode().split()
        assert (words[0], words[2]) == ("ready:", "control:")
        async with aiohttp.ClientSession() as http, http.get(f"http://{words[3]}/ledger") as answer:
            assert await answer.json() == []
    finally:
        process.terminate()
        await process.communicate()


async def test_a_pool_that_is_removed_puts_its_tasks_back_until_there_is_one_of_its_name(account: Account) -> None:
    await account.job()
    await account.task("t", "sleep 100")
    account.now += 10
    assert await account.state("t") == "running"
    account.emulator.service.delete_pool("jennah")
    assert await code_of(account.client.get_pool("jennah")) == (404, "PoolNotFound")
    assert await account.state("t") == "active"
    account.now += 1000
    assert await account.state("t") == "active"
    account.emulator.service.put_pool(PoolSpec(name="jennah"))
    account.now += 10
    shown = await account.client.get_task("j", "t")
    assert (shown.state, shown.execution_info.requeue_count, shown.execution_info.retry_count) == ("running", 1, 0)
    assert {pool.id async for pool in account.client.list_pools()} == {"jennah", "jennah-gpu", "jennah-spot"}


async def test_jobs_that_were_modified_are_found_by_that(account: Account) -> None:
    await account.job()
    account.now += 100
    account.emulator.service.set_state("j", "disabled")
    for since, found in ((50, ["j"]), (150, [])):
        at = tasks.stamp(account.now - 100 + since)
        query = f"startswith(id,'j') and lastModified ge datetime'{at}'"
        assert [job.id async for job in account.client.list_jobs(filter=query)] == found


@pytest.mark.parametrize(
    ("container", "command", "code"),
    [
        ({"container_run_options": "--rm --gpus all"}, "true", "ContainerInvalidSettings"),
        ({"image_name": "busybox:-1"}, "true", "ContainerInvalidImage"),
        ({}, f"echo {'x' * 131_072}", "ContainerInvalidSettings"),
    ],
)
async def test_a_task_that_docker_could_not_start_is_taken_and_fails_before_it_runs(
    account: Account, container: dict[str, str], command: str, code: str
) -> None:
    await account.job()
    settings = models.BatchTaskContainerSettings(**{"image_name": "busybox", **container})
    task = models.BatchTaskCreateOptions(id="t", command_line=command, container_settings=settings)
    await account.client.create_task("j", task)
    account.now += 5
    info = (await account.client.get_task("j", "t")).execution_info
    assert (info.result, info.failure_info.code, info.exit_code, info.start_time) == ("failure", code, None, None)
    assert all(one.ran_seconds == 0 for one in account.emulator.service.ledger())


async def test_a_display_name_has_a_greatest_length(account: Account) -> None:
    await account.job()
    await account.task("t", display_name="x" * 1024)
    assert await code_of(account.task("u", display_name="x" * 1025)) == (400, "InvalidPropertyValue")


async def test_a_pool_of_spot_nodes_says_so(account: Account) -> None:
    spot, other = [await account.client.get_pool(name) for name in ("jennah-spot", "jennah")]
    assert (spot.current_low_priority_nodes, spot.current_dedicated_nodes) == (1, 0)
    assert (other.current_low_priority_nodes, other.current_dedicated_nodes) == (0, 1)
    assert pool_spec("p=Standard_D2s_v5/2,spot").is_spot
