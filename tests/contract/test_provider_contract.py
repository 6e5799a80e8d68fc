"""The laws of `ports.BatchProvider`. Every provider, and every stand-in, passes this file: add it to `SERVICES`.

The jobs are shell commands that everything which runs, or plays, jobs must understand: ``sh -c "exit N"`` and
``sleep N``.
"""

import asyncio
import os
import signal
import time
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import msgspec
import pytest

from controller.clock import SystemClock
from controller.cloud_settings import AwsSettings
from controller.domain import conditions, names, reasons
from controller.domain.errors import Permanent, Unreachable
from controller.domain.job import JobSpec
from controller.domain.phases import Phase
from controller.domain.resources import ResourceSet
from controller.ports import BatchProvider, JobRef, Observation, OwnedJob, SubmitRequest
from controller.providers.aws.provider import AwsProvider
from controller.providers.azure.provider import AzureProvider
from controller.providers.local.folder import JobFolder
from controller.providers.local.provider import LocalProvider
from dev.emulators.aws.server import Emulator
from dev.emulators.azure.server import Emulator as AzureEmulator
from tests.contract.azure_service import azure_settings
from tests.contract.gcp_service import GcpService
from tests.contract.kubernetes_service import KubernetesService

PATIENCE = 10.0  # seconds that a service may take for anything
SUCCEEDS = ("sh", "-c", "exit 0")
FAILS = ("sh", "-c", "exit 3")
LASTS = ("sleep", "60")

OpenProvider = Callable[..., BatchProvider]
"""With `instance`: that of another installation. Jobs of the local provider have nothing else in common."""


@contextmanager
def local(folder: Path) -> Iterator[OpenProvider]:
    yield lambda instance="test": LocalProvider(folder / instance, "here", SystemClock())
    for job in folder.glob("*/local/*/job.json"):
        end_local(JobFolder(job.parent))


def end_local(job: JobFolder) -> None:
    """Kill a job's runner by its pid, and what the runner ran with it."""
    while job.state() is None and job.has_runner():
        time.sleep(0.01)
    if job.has_runner():
        os.kill(job.state().runner, signal.SIGKILL)
    while job.has_runner():
        time.sleep(0.001)
    job.tend(SystemClock().now())


@contextmanager
def aws(folder: Path) -> Iterator[OpenProvider]:
    with Emulator().in_thread() as url:
        settings = AwsSettings(
            region="eu-west-1",
            instance="test",
            job_queue="jennah",
            endpoint=url,
            calls_per_second=1000,
            submits_per_second=1000,
        )
        yield lambda instance="test": AwsProvider(msgspec.structs.replace(settings, instance=instance), SystemClock())


_gcp = GcpService()


@contextmanager
def gcp(folder: Path) -> Iterator[OpenProvider]:
    yield _gcp.provider


@pytest.fixture(scope="module", autouse=True)
def end_of_services() -> Iterator[None]:
    """Services that are started once for all tests."""
    yield
    _gcp.close()
    _kubernetes.close()


@contextmanager
def azure(folder: Path) -> Iterator[OpenProvider]:
    with AzureEmulator().in_thread() as url:
        yield lambda instance="test": AzureProvider(azure_settings(url, instance=instance), SystemClock())


_kubernetes = KubernetesService()


@contextmanager
def kubernetes(folder: Path) -> Iterator[OpenProvider]:
    yield _kubernetes.provider


SERVICES = {"aws": aws, "azure": azure, "gcp": gcp, "kubernetes": kubernetes, "local": local}
MANY = {"aws": 5000, "azure": 5000, "gcp": 5000, "kubernetes": 200}
"""Jobs in the bulk test; services that run real processes get a few; Kubernetes stores a Pod each."""


@pytest.fixture(params=sorted(SERVICES))
def open_provider(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[OpenProvider]:
    """Makes adapters for one and the same service, as a restarted controller does."""
    with SERVICES[request.param](tmp_path) as open_one:
        yield open_one


@pytest.fixture
async def adapters(open_provider: OpenProvider) -> AsyncIterator[OpenProvider]:
    """Makes adapters that are closed after the test."""
    made: list[BatchProvider] = []

    def make(**other: str) -> BatchProvider:
        made.append(open_provider(**other))
        return made[-1]

    yield make
    for provider in made:
        await provider.close()


@pytest.fixture
async def provider(adapters: OpenProvider) -> BatchProvider:
    return adapters()


def request_for(command: tuple[str, ...], name: str = "job", **spec: object) -> SubmitRequest:
    uid = str(uuid.uuid4())
    return SubmitRequest(
        created_at=datetime(2026, 1, 1, tzinfo=UTC),
        external_name=names.external_name(name, uid),
        uid=uid,
        job_id=f"id-{name}",
        tenant_id="tenant",
        spec=JobSpec(image="busybox", command=command, **{"backoff_limit": 0, **spec}),
        resources=ResourceSet(cpu_millis=1000, memory_mib=128, max_run_duration_seconds=3600),
        env={"SECRET": "value"},
        namespace="team-a",
    )


def ref_of(request: SubmitRequest) -> JobRef:
    return JobRef(external_name=request.external_name, uid=request.uid, destination=request.destination)


async def until(provider: BatchProvider, request: SubmitRequest, holds: Callable[[Observation], bool]) -> Observation:
    """The first observation of which that holds."""
    give_up = time.monotonic() + PATIENCE
    while time.monotonic() < give_up:
        observed = (await provider.observe([ref_of(request)])).get(request.external_name)
        if observed is not None and holds(observed):
            return observed
        await asyncio.sleep(0.02)
    raise AssertionError(f"it did not come; last seen: {observed}")


async def ended(provider: BatchProvider, request: SubmitRequest) -> Observation:
    return await until(provider, request, lambda observed: observed.has_ended)


async def running(provider: BatchProvider, request: SubmitRequest) -> Observation:
    return await until(provider, request, lambda observed: observed.phase is Phase.RUNNING)


async def test_a_submitted_job_is_known_at_once_with_our_uid_and_a_path(provider: BatchProvider) -> None:
    request = request_for(LASTS)
    submitted = await provider.submit(request)
    assert (submitted.external_name, submitted.uid) == (request.external_name, request.uid)
    assert submitted.resource_path
    assert not submitted.phase.is_terminal
    assert (await provider.get(ref_of(request))).resource_path == submitted.resource_path


async def test_a_job_that_succeeds_is_completed_with_exit_code_0(provider: BatchProvider) -> None:
    request = request_for(SUCCEEDS)
    await provider.submit(request)
    end = await ended(provider, request)
    assert (end.phase, end.exit_code, end.reason, end.retries) == (Phase.COMPLETED, 0, None, 0)
    assert (end.tasks.total, end.tasks.succeeded) == (1, 1)
    assert end.submitted_at <= end.started_at <= end.completed_at


async def test_a_job_that_fails_says_its_exit_code_and_why(provider: BatchProvider) -> None:
    request = request_for(FAILS)
    await provider.submit(request)
    end = await ended(provider, request)
    assert (end.phase, end.exit_code, end.reason) == (Phase.FAILED, 3, reasons.NON_ZERO_EXIT)
    assert "3" in end.message


async def test_a_job_that_fails_is_retried_as_often_as_its_backoff_limit_says(provider: BatchProvider) -> None:
    request = request_for(FAILS, backoff_limit=1)
    await provider.submit(request)
    end = await ended(provider, request)
    assert (end.phase, end.retries) == (Phase.FAILED, 1)


async def test_all_completions_must_succeed(provider: BatchProvider) -> None:
    request = request_for(SUCCEEDS, completions=3)
    await provider.submit(request)
    end = await ended(provider, request)
    assert (end.phase, end.tasks.total, end.tasks.succeeded) == (Phase.COMPLETED, 3, 3)


async def test_all_completions_run_and_no_more_at_once_than_the_parallelism(provider: BatchProvider) -> None:
    """Where it is the controller that sees to that: with the next tasks as soon as they are due."""
    request = request_for(("sh", "-c", "sleep 0.1"), completions=5, parallelism=2)
    seen, most = await provider.submit(request), 0
    if any(remark.condition == conditions.PARALLELISM_HONOURED for remark in seen.remarks):
        pytest.skip("the service has no such limit, and the job says so")
    give_up = time.monotonic() + PATIENCE
    while not seen.has_ended and time.monotonic() < give_up:
        if seen.tasks_due:
            seen = await provider.submit(msgspec.structs.replace(request, begun=seen))
        submitted = seen.tasks.submitted if seen.tasks else None
        ref = msgspec.structs.replace(ref_of(request), tasks_submitted=submitted)
        seen = (await provider.observe([ref])).get(request.external_name, seen)
        most = max(most, seen.tasks.running if seen.tasks else 0)
        await asyncio.sleep(0.01)
    assert (seen.phase, seen.tasks.total, seen.tasks.succeeded) == (Phase.COMPLETED, 5, 5)
    assert most <= 2


async def test_a_job_that_lasts_is_seen_running(provider: BatchProvider) -> None:
    request = request_for(LASTS)
    await provider.submit(request)
    seen = await running(provider, request)
    assert seen.tasks.running == 1
    assert seen.completed_at is None
    assert seen.exit_code is None


async def test_a_destination_follows_from_the_spec_and_the_settings_alone(
    provider: BatchProvider, adapters: OpenProvider
) -> None:
    spec, other = request_for(LASTS).spec, adapters()
    await provider.open()
    await other.open()
    destination = provider.destination(spec, "team-a")
    assert destination == provider.destination(spec, "team-a") == other.destination(spec, "team-a")
    assert (destination.provider, destination.at, destination.site) == (provider.name, None, provider.site)
    await provider.submit(request_for(LASTS))
    assert provider.destination(spec, "team-a") == destination


async def test_a_job_is_known_by_the_destination_that_it_was_sent_to(
    provider: BatchProvider, adapters: OpenProvider
) -> None:
    request = request_for(LASTS)
    await provider.open()
    destination = provider.destination(request.spec, request.namespace)
    noted = msgspec.structs.replace(destination, at=datetime(2026, 1, 1, tzinfo=UTC))
    request = msgspec.structs.replace(request, destination=noted)
    path = (await provider.submit(request)).resource_path
    await running(provider, request)
    other = adapters()
    await other.open()
    assert [one.resource_path for one in await other.find(ref_of(request))] == [path]
    assert (await other.get(ref_of(request))).resource_path == path
    assert await other.cancel(ref_of(request), reason="because")
    assert (await ended(other, request)).phase is Phase.CANCELLED


async def test_of_a_job_of_another_site_nothing_is_said_and_nothing_sent(provider: BatchProvider) -> None:
    request = request_for(LASTS)
    await provider.open()
    elsewhere = msgspec.structs.replace(provider.destination(request.spec, request.namespace), project="elsewhere")
    foreign = msgspec.structs.replace(request, destination=elsewhere)
    ref = ref_of(foreign)
    asks: list[Callable[[], Awaitable[object]]] = [
        lambda: provider.submit(foreign),
        lambda: provider.find(ref),
        lambda: provider.get(ref),
        lambda: provider.observe([ref]),
        lambda: provider.cancel(ref, reason="because"),
    ]
    if not provider.names_are_ids:
        asks.append(lambda: provider.prepare(foreign))
    for ask in asks:
        with pytest.raises(Unreachable):
            await ask()
    assert await provider.find(ref_of(request)) == []


async def test_submitting_twice_adopts_the_first(provider: BatchProvider, adapters: OpenProvider) -> None:
    if not provider.names_are_ids:
        pytest.skip("the service names the jobs: design §3 is what makes it exactly once")
    request = request_for(LASTS)
    first = await provider.submit(request)
    await running(provider, request)
    second = await adapters().submit(request)
    assert second.resource_path == first.resource_path
    assert second.phase is Phase.RUNNING


async def test_submitting_again_after_the_end_does_not_run_it_again(provider: BatchProvider) -> None:
    if not provider.names_are_ids:
        pytest.skip("the service names the jobs: design §3 is what makes it exactly once")
    request = request_for(FAILS)
    await provider.submit(request)
    end = await ended(provider, request)
    again = await provider.submit(request)  # what differs from the spec is told with a submission alone
    assert msgspec.structs.replace(again, remarks=()) == msgspec.structs.replace(end, remarks=())


async def test_many_submitters_of_one_job_have_one_job(adapters: OpenProvider) -> None:
    providers = [adapters() for _ in range(4)]
    if not providers[0].names_are_ids:
        pytest.skip("the service names the jobs: design §3 is what makes it exactly once")
    request = request_for(LASTS)
    seen = await asyncio.gather(*(provider.submit(request) for provider in providers * 3))
    assert {(one.uid, one.resource_path) for one in seen} == {(request.uid, seen[0].resource_path)}


async def test_a_name_that_another_job_has_is_taken(provider: BatchProvider) -> None:
    if not provider.names_are_ids:
        pytest.skip("the service names the jobs")
    request = request_for(LASTS)
    await provider.submit(request)
    other = msgspec.structs.replace(request, uid=str(uuid.uuid4()))
    with pytest.raises(Permanent) as refused:
        await provider.submit(other)
    assert refused.value.reason == reasons.NAME_TAKEN
    assert (await provider.get(ref_of(request))).uid == request.uid


async def test_observing_tells_of_many_jobs_at_once_and_leaves_out_the_missing(provider: BatchProvider) -> None:
    lasting, failing, missing = request_for(LASTS, "a"), request_for(FAILS, "b"), request_for(LASTS, "c")
    for request in (lasting, failing):
        await provider.submit(request)
    await running(provider, lasting)
    await ended(provider, failing)
    seen = await provider.observe([ref_of(request) for request in (lasting, failing, missing)])
    assert {name: one.phase for name, one in seen.items()} == {
        lasting.external_name: Phase.RUNNING,
        failing.external_name: Phase.FAILED,
    }


async def test_observing_nothing_is_nothing(provider: BatchProvider) -> None:
    assert await provider.observe([]) == {}


async def test_get_and_observe_say_the_same(provider: BatchProvider) -> None:
    request = request_for(SUCCEEDS)
    await provider.submit(request)
    assert await ended(provider, request) == await provider.get(ref_of(request))


async def test_a_job_that_was_never_submitted_is_none(provider: BatchProvider) -> None:
    assert await provider.get(ref_of(request_for(LASTS))) is None


async def test_a_cancelled_job_ends_as_cancelled(provider: BatchProvider) -> None:
    request = request_for(LASTS)
    await provider.submit(request)
    await running(provider, request)
    await provider.cancel(ref_of(request), reason="because")
    end = await ended(provider, request)
    assert (end.phase, end.reason, end.is_cancelling) == (Phase.CANCELLED, reasons.CANCELLED, False)
    assert end.completed_at is not None


async def test_a_job_cancelled_right_after_its_submission_ends_as_cancelled(provider: BatchProvider) -> None:
    request = request_for(LASTS)
    await provider.submit(request)
    await provider.cancel(ref_of(request), reason="because")
    assert (await ended(provider, request)).phase is Phase.CANCELLED


async def test_cancelling_an_unknown_or_an_ended_job_is_no_error_and_changes_nothing(provider: BatchProvider) -> None:
    request = request_for(SUCCEEDS)
    await provider.cancel(ref_of(request), reason="too early")
    await provider.submit(request)
    end = await ended(provider, request)
    assert end.phase is Phase.COMPLETED
    await provider.cancel(ref_of(request), reason="too late")
    assert await provider.get(ref_of(request)) == end


async def test_cancelling_twice_is_no_error(provider: BatchProvider) -> None:
    request = request_for(LASTS)
    await provider.submit(request)
    for reason in ("first", "second"):
        await provider.cancel(ref_of(request), reason=reason)
    assert (await ended(provider, request)).phase is Phase.CANCELLED


async def test_what_ended_is_seen_the_same_by_the_next_controller(
    provider: BatchProvider, adapters: OpenProvider
) -> None:
    request = request_for(FAILS)
    await provider.submit(request)
    end = await ended(provider, request)
    await provider.close()
    assert await adapters().get(ref_of(request)) == end


async def test_a_job_that_is_retried_has_not_ended_in_between(provider: BatchProvider) -> None:
    request = request_for(("sh", "-c", "sleep 0.1; exit 3"), backoff_limit=2)
    await provider.submit(request)
    seen: list[Observation] = []

    def note(observed: Observation) -> bool:
        seen.append(observed)
        return observed.has_ended

    end = await until(provider, request, note)
    assert (end.phase, end.exit_code, end.retries) == (Phase.FAILED, 3, 2)
    assert all(one.exit_code is None and one.completed_at is None for one in seen[:-1])


async def test_a_job_cancelled_between_two_attempts_ends_as_cancelled(provider: BatchProvider) -> None:
    request = request_for(("sh", "-c", "sleep 0.05; exit 3"), backoff_limit=9)
    await provider.submit(request)
    await running(provider, request)
    await provider.cancel(ref_of(request), reason="because")
    assert (await ended(provider, request)).phase is Phase.CANCELLED


async def test_an_ended_job_can_be_deleted_and_deleting_it_again_is_no_error(provider: BatchProvider) -> None:
    request = request_for(SUCCEEDS)
    await provider.submit(request)
    end = await ended(provider, request)
    for _ in range(2):
        await provider.delete(ref_of(request))
    left = await provider.get(ref_of(request))
    # Services that cannot delete keep it as it was; others may take a while.
    assert left is None or left == end or left.is_being_deleted


async def test_deleting_is_not_ending(provider: BatchProvider) -> None:
    request = request_for(LASTS)
    await provider.submit(request)
    await running(provider, request)
    await provider.delete(ref_of(request))
    assert (await provider.get(ref_of(request))).phase is Phase.RUNNING


async def test_deleting_an_unknown_job_is_no_error(provider: BatchProvider) -> None:
    await provider.delete(ref_of(request_for(LASTS)))


async def test_finding_is_by_name_and_uid(provider: BatchProvider) -> None:
    request = request_for(LASTS)
    assert list(await provider.find(ref_of(request))) == []
    await provider.submit(request)
    (found,) = await provider.find(ref_of(request))
    assert (found.external_name, found.uid) == (request.external_name, request.uid)
    stranger = JobRef(external_name=request.external_name, uid=str(uuid.uuid4()))
    assert list(await provider.find(stranger)) == []


async def test_all_of_many_jobs_are_observed(provider: BatchProvider) -> None:
    requests = [request_for(LASTS, f"many-{number}") for number in range(MANY.get(provider.name, 10))]
    left = iter(requests)

    async def submit() -> None:
        for request in left:
            await provider.submit(request)

    await asyncio.gather(*(submit() for _ in range(32)))
    seen = await provider.observe([ref_of(request) for request in requests])
    assert {one.uid for one in seen.values()} == {request.uid for request in requests}
    assert not any(one.has_ended for one in seen.values())


async def unclaimed(
    provider: BatchProvider, requests: Sequence[SubmitRequest], claimed: Collection[SubmitRequest] = ()
) -> dict[str, OwnedJob]:
    """Of these jobs those that are listed, by uid: other tests may have left some at the service."""
    listed = await provider.unclaimed({request.uid for request in claimed})
    return {one.seen.uid: one for one in listed if one.seen.uid in {request.uid for request in requests}}


async def test_what_nobody_claims_is_listed_with_what_it_carries_until_it_ends(
    provider: BatchProvider, adapters: OpenProvider
) -> None:
    """Asked by the next controller, which never knew the objects of these jobs."""
    lost, claimed, over = request_for(LASTS, "a"), request_for(LASTS, "b"), request_for(SUCCEEDS, "c")
    left, array = request_for(LASTS, "d", deletion_policy="Orphan"), request_for(LASTS, "e", completions=2)
    requests = (lost, left, claimed, over, array)
    for request in requests:
        await provider.submit(request)
        await (ended if request is over else running)(provider, request)
    asked = adapters()
    for _ in range(2):
        found = await unclaimed(asked, requests, [claimed])
        assert found.keys() == {lost.uid, left.uid, array.uid}
    for request in (lost, left, array):
        one = found[request.uid]
        assert (one.namespace, one.tenant_id, one.job_id) == ("team-a", request.tenant_id, request.job_id)
        assert one.is_left_alone is (request is left)
        assert one.seen.resource_path == (await provider.get(ref_of(request))).resource_path
        assert not one.seen.has_ended


async def test_what_is_told_of_an_unclaimed_job_is_enough_to_end_it(
    provider: BatchProvider, adapters: OpenProvider
) -> None:
    request, array = request_for(LASTS, "a"), request_for(LASTS, "e", completions=2)
    for one in (request, array):
        await provider.submit(one)
        await running(provider, one)
    asked = adapters()
    for one in (await unclaimed(asked, (request, array))).values():
        seen = one.seen
        ref = JobRef(external_name=seen.external_name, uid=seen.uid, resource_path=seen.resource_path)
        assert await asked.cancel(ref, reason="nobody's")
        while not (await asked.get(ref)).has_ended:
            await asyncio.sleep(0.02)
    for one in (request, array):
        assert (await ended(provider, one)).phase is Phase.CANCELLED
    assert await unclaimed(asked, (request, array)) == {}


async def test_what_ended_and_nobody_claims_is_listed_where_that_is_asked_for(
    provider: BatchProvider, adapters: OpenProvider
) -> None:
    good, bad, array = request_for(SUCCEEDS, "a"), request_for(FAILS, "b"), request_for(SUCCEEDS, "c", completions=2)
    claimed, runs = request_for(SUCCEEDS, "d"), request_for(LASTS, "e")
    requests = (good, bad, array, claimed, runs)
    for request in requests:
        await provider.submit(request)
        await (running if request is runs else ended)(provider, request)

    async def listed(since: datetime) -> dict[str, bool]:
        mine = {request.uid for request in requests}
        found = await adapters().unclaimed({claimed.uid}, ended_since=since)
        return {one.seen.uid: one.has_ended for one in found if one.seen.uid in mine}

    now = (await ended(provider, good)).completed_at
    assert await listed(now - timedelta(hours=1)) == {good.uid: True, bad.uid: True, array.uid: True, runs.uid: False}
    assert await listed(now + timedelta(hours=1)) == {runs.uid: False}


async def test_an_owner_with_an_odd_name_is_carried_exactly(provider: BatchProvider) -> None:
    request = msgspec.structs.replace(request_for(LASTS), tenant_id="Team.A_b", job_id="v1.2-x")
    await provider.submit(request)
    (one,) = [one for one in await provider.unclaimed(set()) if one.seen.uid == request.uid]
    assert (one.tenant_id, one.job_id) == ("Team.A_b", "v1.2-x")


async def test_jobs_of_another_installation_are_never_listed(provider: BatchProvider, adapters: OpenProvider) -> None:
    ours, theirs = request_for(LASTS, "ours"), request_for(LASTS, "theirs")
    other = adapters(instance="other")
    await provider.submit(ours)
    await other.submit(theirs)
    for one, has, has_not in ((provider, ours, theirs), (other, theirs, ours)):
        listed = {found.seen.uid for found in await one.unclaimed(set())}
        assert has.uid in listed
        assert has_not.uid not in listed
