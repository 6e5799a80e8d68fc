"""The adapter: its order of calls, and what becomes of them when one is lost or another was quicker."""

import asyncio
from datetime import UTC, datetime
from typing import Any

import msgspec
import pytest
from aiohttp import web

from controller.domain import names, reasons
from controller.domain.errors import ConfigError, Forbidden, Permanent, Retryable, Unavailable
from controller.domain.phases import Phase
from controller.ports import Watched
from controller.providers.kubernetes import places
from controller.providers.kubernetes import request as mapping
from controller.providers.kubernetes.provider import KubernetesProvider
from tests.controller.providers.kubernetes.harness import at, fresh, settings, terminated, wanted
from tests.controller.providers.kubernetes.service import NAMESPACE, Service, path_of, ref_of, until
from tests.faulty_kube import is_watch, status


def is_post(request: web.BaseRequest, kind: str) -> bool:
    return request.method == "POST" and request.path.endswith(f"/{kind}")


async def test_a_provider_that_is_watched_says_so() -> None:
    assert isinstance(KubernetesProvider(settings(), None), Watched)  # type: ignore[arg-type]


async def test_the_job_comes_first_and_its_secret_is_its_own(service: Service) -> None:
    """Died in between, nothing is left that nobody owns: the Pods of the Job wait for the Secret."""
    provider, request = service.provider(), wanted()
    seen = await provider.submit(request)
    assert seen.phase is Phase.PENDING
    (job,), (secret,) = await service.jobs(), await service.secrets()
    assert [one["uid"] for one in secret["metadata"]["ownerReferences"]] == [job["metadata"]["uid"]]
    posts = [path for method, path, _ in service.front.requests if method == "POST"]
    assert posts == [places.jobs(NAMESPACE), places.secrets(NAMESPACE)]
    assert seen.resource_path == path_of(request)


async def test_a_submission_that_died_before_its_secret_is_finished_by_the_next(service: Service) -> None:
    provider, request = service.provider(), wanted()
    service.front.rule = lambda one: status(500, "Down") if is_post(one, "secrets") else None
    with pytest.raises(Unavailable):
        await provider.submit(request)
    assert (len(await service.jobs()), len(await service.secrets())) == (1, 0)
    service.front.rule = lambda one: None
    seen = await service.provider().submit(request)
    assert seen.uid == request.uid
    assert (len(await service.jobs()), len(await service.secrets())) == (1, 1)


async def test_a_reply_that_is_lost_makes_no_second_job(service: Service) -> None:
    provider, request = service.provider(), wanted()
    made = service.front._pass_on

    async def lost(one: web.BaseRequest) -> web.StreamResponse:
        if not is_post(one, "jobs"):
            return await made(one)
        body = await one.json()
        await service.client.post(one.path, body)
        assert one.transport is not None
        one.transport.abort()
        return web.Response()

    service.front._handle = lost
    await service.front.down()
    await service.front.up()
    with pytest.raises(Unavailable):
        await provider.submit(request)
    service.front._handle = type(service.front)._handle.__get__(service.front)
    await service.front.down()
    await service.front.up()
    assert (await provider.submit(request)).uid == request.uid
    assert len(await service.jobs()) == 1


async def test_a_secret_of_somebody_elses_under_that_name_takes_the_job_back(service: Service) -> None:
    provider, request = service.provider(), wanted()
    name = places.Place(NAMESPACE, places.job_name(request.external_name)).secret
    await service.client.post(places.secrets(NAMESPACE), {"metadata": {"name": name}})
    with pytest.raises(Permanent) as refused:
        await provider.submit(request)
    assert refused.value.reason == reasons.NAME_TAKEN
    assert await service.jobs() == []


async def test_no_value_of_the_environment_is_in_an_error(service: Service) -> None:
    provider, request = service.provider(), wanted(env={"TOKEN": "secret-value"})
    quoting = {"kind": "Status", "code": 422, "reason": "Invalid", "message": "data: secret-value is bad"}
    service.front.rule = lambda one: web.json_response(quoting, status=422) if is_post(one, "secrets") else None
    with pytest.raises(Permanent) as refused:
        await provider.submit(request)
    assert "secret-value" not in str(refused.value)
    assert refused.value.__cause__ is None
    assert await service.jobs() == [], "its Pods would wait for ever"


async def test_a_job_that_kubernetes_refuses_is_refused_with_its_words(service: Service) -> None:
    body = {"kind": "Status", "code": 422, "reason": "Invalid", "message": "spec.template: no"}
    service.front.rule = lambda one: web.json_response(body, status=422) if is_post(one, "jobs") else None
    with pytest.raises(Permanent, match=r"spec\.template: no") as refused:
        await service.provider().submit(wanted())
    assert refused.value.reason == reasons.SUBMISSION_REFUSED


async def test_a_quota_or_a_right_that_lacks_heals(service: Service) -> None:
    body = {"kind": "Status", "code": 403, "reason": "Forbidden", "message": "exceeded quota: jobs"}
    service.front.rule = lambda one: web.json_response(body, status=403) if is_post(one, "jobs") else None
    with pytest.raises(Forbidden, match="exceeded quota"):
        await service.provider().submit(wanted())


async def test_a_namespace_that_is_missing_is_waited_for(service: Service) -> None:
    with pytest.raises(Retryable, match="namespace nowhere does not exist"):
        await service.provider(namespace="nowhere").submit(wanted())


async def test_jobs_of_two_namespaces_are_observed_by_one_watch(service: Service) -> None:
    provider = service.provider()
    await service.client.post("/api/v1/namespaces", {"metadata": {"name": "team-b"}})
    one, other = fresh(), msgspec.structs.replace(fresh(), namespace="team-b")
    for request in (one, other):
        await provider.submit(request)
    seen = await provider.observe([ref_of(one), ref_of(other)])
    assert {each.resource_path.split("/")[5] for each in seen.values()} == {"team-a", "team-b"}


async def test_a_job_that_somebody_made_in_another_namespace_is_not_believed(service: Service) -> None:
    """Who may make Jobs in one namespace could else tell how another's job ended."""
    provider, request = service.provider(), wanted()
    await provider.submit(request)
    (job,) = await service.jobs()
    spec = {"template": {"spec": job["spec"]["template"]["spec"]}}
    forged = {"metadata": {key: job["metadata"][key] for key in ("name", "labels")}, "spec": spec}
    await service.client.post(places.jobs("default"), forged)
    path = f"{places.jobs('default')}/{job['metadata']['name']}/status"
    done = [
        {"type": kind, "status": "True", "lastTransitionTime": at(9)} for kind in ("SuccessCriteriaMet", "Complete")
    ]
    status = {"startTime": at(1), "completionTime": at(9), "conditions": done}
    await service.client.merge_patch(path, {"status": status})
    await service.make_pod(request, phase="Running", conditions=[])
    seen = await until(provider, request, lambda one: one is not None and one.phase is Phase.RUNNING)
    assert seen.resource_path == path_of(request)
    assert (await provider.get(ref_of(request))).phase is Phase.RUNNING


async def test_observing_costs_no_call(service: Service) -> None:
    provider, requests = service.provider(), [fresh() for _ in range(5)]
    for request in requests:
        await provider.submit(request)
    await provider.observe([ref_of(requests[0])])
    before = service.front.count(lambda method, path, watch: not watch)
    for _ in range(10):
        assert len(await provider.observe([ref_of(request) for request in requests])) == 5
    assert service.front.count(lambda method, path, watch: not watch) == before


async def test_a_change_is_told_at_once(service: Service) -> None:
    provider, request = service.provider(), wanted()
    await provider.submit(request)
    await provider.observe([ref_of(request)])
    told = asyncio.Event()
    provider.on_change(told.set)
    await service.complete(request)
    async with asyncio.timeout(30):
        await told.wait()


async def test_an_observation_of_a_broken_watch_raises_and_heals(service: Service) -> None:
    provider, request = service.provider(), wanted()
    await provider.submit(request)
    await provider.observe([ref_of(request)])
    told = asyncio.Event()
    provider.on_change(told.set)
    service.front.rule = lambda one: status(500, "Down") if is_watch(one) else None
    service.front.drop_watches()
    async with asyncio.timeout(30):
        while True:
            told.clear()
            try:
                await provider.observe([ref_of(request)])
            except Unavailable as error:
                assert "cannot be observed" in str(error)
                break
            await told.wait()
    service.front.rule = lambda one: None
    async with asyncio.timeout(30):
        while True:
            told.clear()
            try:
                assert request.external_name in await provider.observe([ref_of(request)])
                break
            except Unavailable:
                await told.wait()


async def test_a_failed_job_whose_pods_the_watch_has_not_told_is_asked_for_once(service: Service) -> None:
    provider, request = service.provider(), wanted()
    await provider.submit(request)
    pods = lambda one: is_watch(one) and one.path.endswith("/pods")  # noqa: E731
    service.front.rule = lambda one: web.Response() if pods(one) else None  # a watch without news, that ends
    service.front.drop_watches()
    await service.make_pod(request, phase="Failed", containerStatuses=[{"name": "task", "state": terminated(3)}])
    failed = {"type": "Failed", "status": "True", "reason": "BackoffLimitExceeded", "lastTransitionTime": at(9)}
    patch = {"status": {"failed": 1, "startTime": at(1), "conditions": [{**failed, "type": "FailureTarget"}, failed]}}
    await service.client.merge_patch(f"{path_of(request)}/status", patch)
    end = await until(provider, request, lambda one: one is not None and one.has_ended)
    assert (end.exit_code, end.reason) == (3, reasons.NON_ZERO_EXIT)
    reads = service.front.count(lambda method, path, watch: not watch)
    assert (await provider.observe([ref_of(request)]))[request.external_name] == end
    assert service.front.count(lambda method, path, watch: not watch) == reads
    assert await provider.get(ref_of(request)) == end


async def test_cancelling_deletes_the_job_and_its_pods_in_the_foreground(service: Service) -> None:
    provider, request = service.provider(), wanted()
    await provider.submit(request)
    await service.make_pod(request, phase="Running", conditions=[])
    await until(provider, request, lambda one: one is not None and one.phase is Phase.RUNNING)
    assert await provider.cancel(ref_of(request), reason="because")
    end = await until(provider, request, lambda one: one is not None and one.has_ended)
    assert (end.phase, end.failed_unless_asked) == (Phase.CANCELLED, reasons.DELETED_EXTERNALLY)
    assert (await service.client.get(places.pods(NAMESPACE)))["items"] == [], "the default would leave them"
    assert await service.secrets() == []
    assert await provider.get(ref_of(request)) == end
    assert await provider.cancel(ref_of(request), reason="again"), "it was there"


async def test_a_cancelled_job_is_cancelled_though_its_pods_failed_by_that(service: Service) -> None:
    """The Job controller counts them as failures, also of a Job that is about to go."""
    provider, request = service.provider(), wanted()
    await provider.submit(request)
    await service.client.merge_patch(path_of(request), {"metadata": {"finalizers": ["example.com/hold"]}})
    assert await provider.cancel(ref_of(request), reason="because")
    now = f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}"
    failed = {"type": "Failed", "status": "True", "reason": "BackoffLimitExceeded", "lastTransitionTime": now}
    patch = {"status": {"failed": 1, "startTime": now, "conditions": [{**failed, "type": "FailureTarget"}, failed]}}
    await service.client.merge_patch(f"{path_of(request)}/status", patch)
    end = await until(provider, request, lambda one: one is not None and one.has_ended)
    assert (end.phase, end.failed_unless_asked) == (Phase.CANCELLED, reasons.FAILED)
    await service.client.merge_patch(path_of(request), {"metadata": {"finalizers": None}})
    await until(provider, request, lambda one: provider._held.job(provider._place(ref_of(request))) is None)
    assert await provider.get(ref_of(request)) == end


async def test_a_job_that_ends_while_it_is_cancelled_keeps_its_end(service: Service) -> None:
    """The deletion is of the Job as it was read: one that has moved is read again, and one that has ended is left."""
    provider, request = service.provider(), wanted()
    await provider.submit(request)
    original = service.front._pass_on

    async def ending(one: web.BaseRequest) -> web.StreamResponse:
        if one.method == "DELETE":
            (job,) = await service.jobs()
            if not (job.get("status") or {}).get("succeeded"):
                await service.complete(request)
        return await original(one)

    service.front._pass_on = ending
    assert await provider.cancel(ref_of(request), reason="because")
    (job,) = await service.jobs()
    assert "deletionTimestamp" not in job["metadata"]
    end = await until(provider, request, lambda one: one is not None and one.has_ended)
    assert end.phase is Phase.COMPLETED


async def test_a_job_that_was_deleted_is_never_made_again(service: Service) -> None:
    """Its submission may not have been answered: then it is submitted again, by the same name."""
    provider, request = service.provider(), wanted()
    await provider.submit(request)
    await until(provider, request, lambda one: one is not None)
    await service.client.delete(path_of(request))
    await until(provider, request, lambda one: one is not None and one.has_ended)
    again = await provider.submit(request)
    assert (again.phase, again.failed_unless_asked) == (Phase.CANCELLED, reasons.DELETED_EXTERNALLY)
    assert await service.jobs() == []


async def test_another_ones_job_is_neither_cancelled_nor_deleted(service: Service) -> None:
    provider, request = service.provider(), wanted()
    await provider.submit(request)
    stranger = msgspec.structs.replace(ref_of(request), uid="99999999-2222-3333-4444-555555555555")
    assert not await provider.cancel(stranger, reason="because")
    await service.complete(request)
    await provider.delete(stranger)
    assert len(await service.jobs()) == 1


async def test_jobs_without_an_object_are_told_with_what_they_carry(service: Service) -> None:
    provider, request = service.provider(), wanted()
    await provider.submit(request)
    (one,) = await provider.unclaimed(set())
    assert (one.namespace, one.tenant_id, one.job_id, one.has_ended) == ("team-a", "tenant", "job-1", False)
    assert await provider.unclaimed({request.uid}) == []
    await service.complete(request)
    await until(provider, request, lambda seen: seen is not None and seen.has_ended)
    assert await provider.unclaimed(set()) == []
    (one,) = await provider.unclaimed(set(), ended_since=datetime(2026, 1, 1, tzinfo=UTC))
    assert one.has_ended


@pytest.mark.parametrize(
    "forged",
    [
        {"labels": {f"{names.GROUP}/namespace": "team-b"}},
        {"labels": {f"{names.GROUP}/uid": "99999999-2222-3333-4444-555555555555"}},
        {"name": "another-name"},
    ],
    ids=["another namespace's", "another object's", "of another name"],
)
async def test_a_job_that_somebody_labelled_as_anothers_is_nobodys(service: Service, forged: dict[str, Any]) -> None:
    """Who may make Jobs in his namespace must not end another tenant's record by one of them."""
    body, made = mapping.job(fresh(), settings()), fresh()
    meta = body["metadata"]
    carried = {**meta["labels"], **forged.get("labels", {})}
    body["metadata"] = {**meta, "name": forged.get("name", meta["name"]), "labels": carried}
    await service.client.post(places.jobs(NAMESPACE), body)
    provider = service.provider()
    await provider.submit(made)
    assert [one.seen.uid for one in await provider.unclaimed(set())] == [made.uid]


async def test_an_orphan_of_a_namespaces_tenant_says_whose_it_is(service: Service) -> None:
    request = msgspec.structs.replace(fresh(), tenant_id="ns:team-a")
    provider = service.provider()
    await provider.submit(request)
    assert [one.tenant_id for one in await provider.unclaimed(set())] == ["ns:team-a"]


async def test_the_start_names_the_page_with_the_rights_where_they_lack(service: Service) -> None:
    service.front.rule = lambda one: status(403, "Forbidden") if one.path.endswith("/pods") else None
    with pytest.raises(ConfigError, match=r"docs/providers/kubernetes\.md in batch"):
        await service.provider(namespace="batch").open()


async def test_the_start_refuses_a_cluster_that_is_too_old(service: Service) -> None:
    old = {"major": "1", "minor": "28+"}
    service.front.rule = lambda one: web.json_response(old) if one.path == "/version" else None
    with pytest.raises(ConfigError, match=r"needs Kubernetes 1\.29 or newer, this is 1\.28"):
        await service.provider().open()


async def test_the_start_goes_well(service: Service) -> None:
    await service.provider(watch_namespaces=("team-a", "default")).open()


async def test_only_the_namespaces_that_are_watched_are_listed(service: Service) -> None:
    provider = service.provider(watch_namespaces=("team-a",))
    await provider.submit(wanted())
    assert len(await provider.unclaimed(set())) == 1
    listed = {path for method, path, _ in service.front.requests if method == "GET"}
    assert listed == {places.jobs("team-a"), places.pods("team-a")}
