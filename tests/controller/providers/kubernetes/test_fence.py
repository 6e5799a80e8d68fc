"""A process that was stopped at any step of a submission, and wakes when another leads, makes nothing run."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import msgspec
import pytest
from aiohttp import web

from controller import permission
from controller.clock import SystemClock
from controller.domain.errors import NotFound, NotLeading, Permanent, Unavailable
from controller.kube import paths
from controller.ports import Observation, SubmitRequest
from controller.providers.kubernetes import labels
from controller.providers.kubernetes.provider import KubernetesProvider
from dev.emulators.kubernetes.controller import JobController
from tests.controller.providers.kubernetes.harness import fresh, settings, wanted
from tests.controller.providers.kubernetes.service import NAMESPACE, Service, path_of, ref_of, until
from tests.faulty_kube import status

Matches = Callable[[web.BaseRequest], bool]


class Term:
    """Whether a process leads."""

    def __init__(self) -> None:
        self.goes_on = True

    def ask(self) -> None:
        if not self.goes_on:
            raise NotLeading("no longer")

    async def during(self, call: Awaitable[Observation]) -> Observation:
        with permission.asked_of(self.ask):
            return await call


class Stop:
    """A call that is stopped on its way: before it reaches the API server, or before its answer reaches the process."""

    def __init__(self) -> None:
        self.reached = asyncio.Event()
        self.woken = asyncio.Event()


def stop(service: Service, matches: Matches, *, after: bool = False) -> Stop:
    """Stop the first call that is like that."""
    made, passing = Stop(), service.front._pass_on

    async def stopping(one: web.BaseRequest) -> web.StreamResponse:
        if made.reached.is_set() or not matches(one):
            return await passing(one)
        made.reached.set()
        if not after:
            await made.woken.wait()
            return await passing(one)
        answer = await passed_on_without_an_answer(service, one)
        await made.woken.wait()
        return answer

    service.front._pass_on = stopping
    return made


async def passed_on_without_an_answer(service: Service, one: web.BaseRequest) -> web.StreamResponse:
    made = await service.client.call(one.method, one.path, body=await one.json())
    return web.json_response(made)


def makes(kind: str) -> Matches:
    return lambda one: one.method == "POST" and one.path.endswith(f"/{kind}")


def lets_go(one: web.BaseRequest) -> bool:
    return one.method == "PATCH"


async def until_empty(listed: Callable[[], Awaitable[list[Any]]]) -> None:
    async with asyncio.timeout(30):
        while await listed():
            await asyncio.sleep(0.01)


async def beside_its_jennahjob(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> tuple[KubernetesProvider, SubmitRequest]:
    """A provider of the controller's own cluster, and the request for a JennahJob that exists."""
    monkeypatch.setenv("KUBECONFIG", str(service._kubeconfig))
    body = {"apiVersion": "jennah.alphaus.cloud/v1", "kind": "JennahJob", "metadata": {"name": "hello"}}
    made = await service.client.post(paths.jobs(NAMESPACE), {**body, "spec": {"image": "i"}})
    provider = KubernetesProvider(settings(), SystemClock())
    service.made.append(provider)
    return provider, msgspec.structs.replace(wanted(uid=made["metadata"]["uid"]), object_name="hello")


@pytest.fixture
async def cluster(service: Service) -> AsyncIterator[JobController]:
    async with JobController(service.client, step_seconds=0.01).running() as controller:
        yield controller


def runs(cluster: JobController) -> list[str]:
    """The Jobs that ran, by what they were made for."""
    return [one.name for one in cluster.ledger() if one.ran_seconds > 0]


async def run_by_the_next(service: Service, request: SubmitRequest) -> None:
    """The next leader submits the job, it runs to its end, and its Job goes, as when its time is over."""
    provider = service.provider()
    await provider.submit(request)
    await until(provider, request, lambda one: one is not None and one.has_ended)
    await service.client.delete(path_of(request))


async def the_job(service: Service) -> dict[str, Any]:
    (job,) = await service.jobs()
    return job


UNRELEASED = {labels.UNRELEASED: "true", labels.TENANT: "tenant", labels.PREEMPTION_LIMIT: "3"}
VALUES = {"TOKEN": "x"}


@pytest.mark.parametrize(
    ("matches", "after", "env"),
    [
        (makes("jobs"), False, VALUES),
        (makes("jobs"), False, {}),
        (makes("jobs"), True, VALUES),
        (makes("jobs"), True, {}),
        (makes("secrets"), False, VALUES),
        (lets_go, False, VALUES),
        (lets_go, False, {}),
    ],
    ids=[
        "before its Job",
        "before its Job, which has no Secret",
        "after its Job",
        "after its Job, which has no Secret",
        "before its Secret",
        "before it lets go",
        "before it lets go a Job without a Secret",
    ],
)
async def test_a_leader_that_was_stopped_makes_nothing_run_when_it_wakes(
    service: Service, cluster: JobController, matches: Matches, after: bool, env: dict[str, str]
) -> None:
    request, term = fresh(command=("sh", "-c", "exit 0"), env=env), Term()
    stopped = stop(service, matches, after=after)
    late = asyncio.create_task(term.during(service.provider().submit(request)))
    await stopped.reached.wait()
    term.goes_on = False
    await run_by_the_next(service, request)
    stopped.woken.set()
    with pytest.raises((NotLeading, Unavailable)):
        await late
    for job in await service.jobs():
        assert (job["spec"]["suspend"], job["metadata"]["annotations"]) == (True, UNRELEASED)
    assert runs(cluster) == [request.external_name], "once"
    await until_empty(service.secrets)


@pytest.mark.parametrize("is_there", [True, False], ids=["its JennahJob has yet to go", "its JennahJob has gone"])
async def test_what_it_made_goes_with_its_jennahjob(
    service: Service, cluster: JobController, monkeypatch: pytest.MonkeyPatch, is_there: bool
) -> None:
    (provider, request), term = await beside_its_jennahjob(service, monkeypatch), Term()
    stopped = stop(service, makes("jobs"))
    late = asyncio.create_task(term.during(provider.submit(request)))
    await stopped.reached.wait()
    term.goes_on = False
    if not is_there:
        await service.client.delete(paths.job(NAMESPACE, "hello"))
    stopped.woken.set()
    with pytest.raises(NotLeading):
        await late
    if is_there:
        assert (await the_job(service))["metadata"]["ownerReferences"][0]["name"] == "hello"
        await service.client.delete(paths.job(NAMESPACE, "hello"))
    await until_empty(service.jobs)
    assert runs(cluster) == []


async def test_a_job_that_was_let_go_outlives_its_jennahjob(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    """What runs is ended by us, or left alone (deletionPolicy, ORPHANS); and only our reference is taken away."""
    provider, request = await beside_its_jennahjob(service, monkeypatch)
    made = await service.client.post(f"/api/v1/namespaces/{NAMESPACE}/configmaps", {"metadata": {"name": "other"}})
    others = {"apiVersion": "v1", "kind": "ConfigMap", "name": "other", "uid": made["metadata"]["uid"]}
    passing = service.front._pass_on

    async def owned_by_another_too(one: web.BaseRequest) -> web.StreamResponse:
        if not makes("jobs")(one):
            return await passing(one)
        body = await one.json()
        body["metadata"]["ownerReferences"].append(others)
        return web.json_response(await service.client.post(one.path, body))

    service.front._pass_on = owned_by_another_too
    await provider.submit(request)
    job = await the_job(service)
    assert job["metadata"]["ownerReferences"] == [others]
    assert labels.UNRELEASED not in (job["metadata"].get("annotations") or {})
    assert job["spec"]["suspend"] is False
    await service.client.delete(paths.job(NAMESPACE, "hello"))
    assert (await the_job(service))["metadata"]["uid"] == job["metadata"]["uid"]


async def test_a_release_that_is_late_does_not_undo_what_others_did_meanwhile(service: Service) -> None:
    """The next leader let the job go, and somebody suspended it: as Kueue does to make room."""
    request, term = fresh(), Term()
    stopped = stop(service, lets_go)
    late = asyncio.create_task(term.during(service.provider().submit(request)))
    await stopped.reached.wait()
    term.goes_on = False
    await service.provider().submit(request)
    await service.client.merge_patch(path_of(request), {"spec": {"suspend": True}})
    before = (await the_job(service))["metadata"]["resourceVersion"]
    stopped.woken.set()
    seen = await late
    assert seen.uid == request.uid, "it is let go already: there is nothing left to do"
    assert (await the_job(service))["metadata"]["resourceVersion"] == before


@pytest.mark.parametrize("matches", [makes("secrets"), lets_go], ids=["before its Secret", "before it lets go"])
async def test_who_leads_next_goes_on_from_where_the_one_before_died(
    service: Service, cluster: JobController, matches: Matches
) -> None:
    request = fresh(command=("sh", "-c", "exit 0"))
    service.front.rule = lambda one: status(500, "Died") if matches(one) else None
    with pytest.raises(Unavailable):
        await service.provider().submit(request)
    service.front.rule = lambda one: None
    provider = service.provider()
    found = await provider.get(ref_of(request))
    assert (found.is_unreleased, found.has_ended) == (True, False), "to be submitted again"
    assert not (await provider.submit(request)).is_unreleased
    await until(provider, request, lambda one: one is not None and one.has_ended)
    assert runs(cluster) == [request.external_name]


async def test_a_job_that_was_not_let_go_is_ended_without_having_run(service: Service, cluster: JobController) -> None:
    request, provider = fresh(), service.provider()
    service.front.rule = lambda one: status(500, "Died") if lets_go(one) else None
    with pytest.raises(Unavailable):
        await provider.submit(request)
    (orphan,) = await provider.unclaimed(set())
    assert (orphan.seen.is_unreleased, orphan.has_ended) == (True, False)
    assert await provider.cancel(ref_of(request), reason="because")
    await until(provider, request, lambda one: one is not None and one.has_ended)
    assert await service.jobs() == []
    assert runs(cluster) == []


async def test_what_the_job_controller_writes_meanwhile_does_not_keep_a_job(service: Service) -> None:
    request, provider = fresh(), service.provider()
    passing, written = service.front._pass_on, []

    async def written_to(one: web.BaseRequest) -> web.StreamResponse:
        if lets_go(one) and len(written) < 2:
            suspended = {"type": "Suspended", "status": "True", "reason": str(len(written))}
            written.append(one)
            await service.client.merge_patch(f"{one.path}/status", {"status": {"conditions": [suspended]}})
        return await passing(one)

    service.front._pass_on = written_to
    seen = await provider.submit(request)
    assert ((await the_job(service))["spec"]["suspend"], seen.is_unreleased) == (False, False)
    assert seen.waits_reason == "WaitingForCapacity", "it is held back by nobody"


async def test_a_job_that_may_not_be_let_go_is_taken_back(service: Service) -> None:
    request = fresh()
    body = {"kind": "Status", "code": 422, "reason": "Invalid", "message": "spec.suspend: no"}
    service.front.rule = lambda one: web.json_response(body, status=422) if lets_go(one) else None
    with pytest.raises(Permanent, match=r"let the Job go: spec\.suspend: no"):
        await service.provider().submit(request)
    with pytest.raises(NotFound):
        await service.client.get(path_of(request))
