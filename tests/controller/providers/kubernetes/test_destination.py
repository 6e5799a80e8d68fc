"""Jobs are looked for, and submitted again, where they were sent first: whatever today's settings say."""

from datetime import UTC, datetime
from typing import Any

import msgspec
import pytest
from aiohttp import web

from controller.clock import SystemClock
from controller.domain import reasons
from controller.domain.destination import Destination
from controller.domain.errors import Forbidden, Permanent, Unavailable, Unreachable
from controller.domain.phases import Phase
from controller.ports import JobRef, SubmitRequest
from controller.providers.kubernetes import destination, places
from controller.providers.kubernetes import provider as adapter
from controller.providers.kubernetes.provider import KubernetesProvider
from tests.controller.providers.kubernetes.harness import fresh, settings
from tests.controller.providers.kubernetes.service import Service, path_of, ref_of
from tests.faulty_kube import status

OLD, NEW = "jobs-old", "jobs-new"
ELSEWHERE = "https://elsewhere.example"


@pytest.fixture(autouse=True)
async def namespaces(service: Service) -> None:
    for name in (OLD, NEW):
        await service.client.post("/api/v1/namespaces", {"metadata": {"name": name}})


async def sent_by(provider: KubernetesProvider, request: SubmitRequest) -> SubmitRequest:
    """The request with the destination that is written down before it is sent."""
    await provider.open()
    chosen = provider.destination(request.spec, request.namespace)
    return msgspec.structs.replace(request, destination=msgspec.structs.replace(chosen, at=datetime.now(UTC)))


def sent_ref(request: SubmitRequest, path: str | None = None) -> JobRef:
    return msgspec.structs.replace(ref_of(request), destination=request.destination, resource_path=path)


async def names_in(service: Service, namespace: str) -> list[str]:
    return [one["metadata"]["name"] for one in (await service.client.get(places.jobs(namespace)))["items"]]


async def lose_the_answer(service: Service, provider: KubernetesProvider, request: SubmitRequest) -> None:
    """Submit it, and hear nothing of it."""
    passing = service.front._pass_on

    async def lost(one: web.BaseRequest) -> web.StreamResponse:
        answer = await passing(one)
        if one.method == "POST":
            assert one.transport is not None
            one.transport.abort()
        return answer

    service.front._pass_on = lost
    with pytest.raises(Unavailable):
        await provider.submit(request)
    service.front._pass_on = passing


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ({"namespace": OLD}, {"namespace": NEW}),
        ({"namespace": OLD}, {}),
        ({"namespace": OLD}, {"watch_namespaces": ("team-a",)}),
        ({}, {"namespace": NEW}),
        ({"instance": "old"}, {"instance": "new"}),
        ({"namespace": OLD, "instance": "old"}, {"namespace": NEW, "instance": "new"}),
    ],
)
async def test_settings_that_change_while_a_submission_is_in_doubt_make_no_second_job(
    service: Service, before: dict[str, Any], after: dict[str, Any]
) -> None:
    first = service.provider(**before)
    request = await sent_by(first, fresh())
    await lose_the_answer(service, first, request)
    second = service.provider(**after)
    found = await second.find(sent_ref(request))
    assert [one.uid for one in found] == [request.uid]
    seen = await second.submit(request)
    assert seen.resource_path == found[0].resource_path
    assert len(await service.jobs()) == 1


async def test_a_job_is_submitted_where_it_was_to_be_sent(service: Service) -> None:
    """It may never have arrived there; where it is looked for it is made."""
    request = await sent_by(service.provider(namespace=OLD), fresh())
    provider = service.provider(namespace=NEW)
    seen = await provider.submit(request)
    assert (await names_in(service, OLD), await names_in(service, NEW)) == (
        [places.job_name(request.external_name)],
        [],
    )
    assert (await provider.observe([sent_ref(request, seen.resource_path)]))[request.external_name] == seen


@pytest.mark.parametrize("after", [{"namespace": NEW}, {"instance": "new"}, {"namespace": NEW, "instance": "new"}])
async def test_jobs_that_run_when_settings_change_are_followed_to_their_end(
    service: Service, monkeypatch: pytest.MonkeyPatch, after: dict[str, Any]
) -> None:
    monkeypatch.setattr(adapter, "UNWATCHED_SECONDS", 0.0)
    request = await sent_by(service.provider(namespace=OLD), fresh())
    seen = await service.provider(namespace=OLD).submit(request)
    ref, provider = sent_ref(request, seen.resource_path), service.provider(**after)
    assert await provider.observe([ref]) == {}, "in doubt: it is asked for singly"
    assert (await provider.get(ref)).phase is Phase.PENDING
    assert (await provider.observe([ref]))[request.external_name].phase is Phase.PENDING
    status = {"startTime": "2026-01-01T12:00:00Z", "completionTime": "2026-01-01T12:09:00Z", "succeeded": 1}
    ended = [{"type": kind, "status": "True"} for kind in ("SuccessCriteriaMet", "Complete")]
    await service.client.merge_patch(f"{seen.resource_path}/status", {"status": {**status, "conditions": ended}})
    assert (await provider.observe([ref]))[request.external_name].phase is Phase.COMPLETED


async def test_a_job_of_the_namespace_before_is_cancelled_and_deleted_there(service: Service) -> None:
    request = await sent_by(service.provider(namespace=OLD), fresh())
    await service.provider(namespace=OLD).submit(request)
    provider = service.provider(namespace=NEW)
    assert await provider.cancel(sent_ref(request), reason="because")
    assert await service.jobs() == []
    assert await provider.get(sent_ref(request)) is None


async def test_a_right_that_lacks_in_the_namespace_before_is_never_an_absence(service: Service) -> None:
    request = await sent_by(service.provider(namespace=OLD), fresh())
    await service.provider(namespace=OLD).submit(request)
    provider = service.provider(namespace=NEW)
    service.front.rule = lambda one: status(403, "Forbidden") if f"/{OLD}/" in one.path else None
    for call in (
        lambda: provider.get(sent_ref(request)),
        lambda: provider.find(sent_ref(request)),
        lambda: provider.cancel(sent_ref(request), reason="because"),
    ):
        with pytest.raises(Unreachable, match=f"was sent to the namespace {OLD}"):
            await call()
    with pytest.raises(Forbidden):
        await provider.submit(request)
    service.front.rule = lambda one: status(403, "Forbidden") if one.path == places.pods(OLD) else None
    with pytest.raises(Unreachable, match=f"was sent to the namespace {OLD}"):
        await provider.get(sent_ref(request))


async def test_a_right_that_is_taken_away_there_holds_up_no_other_job(
    service: Service, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(adapter, "UNWATCHED_SECONDS", 0.0)
    old = await sent_by(service.provider(namespace=OLD), fresh())
    provider = service.provider(namespace=NEW)
    new = await sent_by(provider, fresh())
    for request in (old, new):
        await provider.submit(request)
    refs = [sent_ref(old), sent_ref(new)]
    before = await provider.observe(refs)
    assert before.keys() == {old.external_name, new.external_name}
    service.front.rule = lambda one: status(403, "Forbidden") if f"/{OLD}/" in one.path else None
    for _ in range(3):
        assert await provider.observe(refs) == before
    told = [one.getMessage() for one in caplog.records if OLD in one.getMessage()]
    assert len(told) == 1, "once, not once a round"


async def test_a_round_asks_for_old_jobs_in_turn_and_not_for_longer_than_it_may(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Clock(SystemClock):
        ahead = 0.0

        def monotonic(self) -> float:
            return super().monotonic() + self.ahead

    clock = Clock()
    old, provider = service.provider(namespace=OLD), service.provider(namespace=NEW)
    provider._clock = clock
    requests = [await sent_by(old, fresh()) for _ in range(4)]
    for request in requests:
        await provider.submit(request)
    monkeypatch.setattr(adapter, "UNWATCHED_SECONDS", 100.0)
    clock.ahead = 1000.0
    read: list[str] = []

    def slow(one: web.BaseRequest) -> None:
        if one.method == "GET" and f"/{OLD}/jobs/" in one.path:
            read.append(one.path)
            clock.ahead += adapter.SINGLY_SECONDS / 2 + 0.1

    service.front.rule = slow
    refs = [sent_ref(request) for request in requests]
    assert len(await provider.observe(refs)) == 4, "the others as they were last seen"
    assert len(read) == 2
    await provider.observe(refs)
    assert len(set(read)) == 4


async def test_a_job_of_another_cluster_is_out_of_reach(service: Service) -> None:
    provider = service.provider()
    await provider.open()
    other = Destination(provider="kubernetes", account=ELSEWHERE, namespace="team-a")
    own = Destination(provider="kubernetes", namespace="team-a")
    for sent, named in ((other, f"the cluster {ELSEWHERE}"), (own, "the controller's own cluster")):
        request = msgspec.structs.replace(fresh(), destination=sent)
        ref = sent_ref(request)
        for call in (
            lambda request=request: provider.submit(request),
            lambda ref=ref: provider.get(ref),
            lambda ref=ref: provider.find(ref),
            lambda ref=ref: provider.observe([ref]),
            lambda ref=ref: provider.cancel(ref, reason="because"),
            lambda ref=ref: provider.delete(ref),
        ):
            with pytest.raises(Unreachable) as told:
                await call()
            assert named in str(told.value)
            assert f"the cluster {service.front.configuration.host}" in str(told.value)
    assert await service.jobs() == []


async def test_a_client_that_has_called_nothing_yet_looks_at_the_destination_as_well(service: Service) -> None:
    request = await sent_by(service.provider(namespace=OLD), fresh())
    await service.provider(namespace=OLD).submit(request)
    assert (await service.provider(namespace=NEW).get(sent_ref(request))).uid == request.uid


async def test_what_is_written_down_tells_the_cluster_and_the_namespace(service: Service) -> None:
    url = service.front.configuration.host
    for provider, namespace in ((service.provider(), "team-a"), (service.provider(namespace=OLD), OLD)):
        await provider.open()
        assert provider.site == Destination(provider="kubernetes", account=url)
        sent = provider.destination(fresh().spec, "team-a")
        assert sent == Destination(provider="kubernetes", account=url, namespace=namespace)
        assert destination.variables(sent) == {"KUBERNETES_JOB_NAMESPACE": namespace}
        assert provider.remembers_seconds == settings().ttl_seconds
    with pytest.raises(Permanent) as refused:
        service.made[0].destination(fresh().spec, "")
    assert refused.value.reason == reasons.INVALID_SPEC


def test_the_controllers_own_cluster_has_no_url() -> None:
    provider = KubernetesProvider(settings(), SystemClock())
    assert provider.site == Destination(provider="kubernetes")
    assert destination.variables(provider.site) == {}


async def test_the_path_of_a_job_counts_where_no_destination_was_written(service: Service) -> None:
    request = fresh()
    seen = await service.provider(namespace=OLD).submit(request)
    ref = msgspec.structs.replace(ref_of(request), resource_path=seen.resource_path)
    assert (await service.provider(namespace=NEW).get(ref)).uid == request.uid
    assert path_of(request) != seen.resource_path
