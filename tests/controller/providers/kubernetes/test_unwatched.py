"""Jobs that are there and that the watch does not tell of: of another JENNAH_INSTANCE, or with edited labels."""

import asyncio

import msgspec
import pytest

from controller.domain import reasons
from controller.domain.errors import Unavailable
from controller.domain.phases import Phase
from controller.ports import JobRef
from controller.providers.kubernetes import labels
from controller.providers.kubernetes import provider as adapter
from tests.controller.providers.kubernetes.harness import fresh, wanted
from tests.controller.providers.kubernetes.service import Service, path_of, ref_of, until
from tests.faulty_kube import status


async def test_a_job_of_before_the_instance_was_renamed_is_asked_for_now_and_then(service: Service) -> None:
    request = wanted()
    await service.provider(instance="old").submit(request)
    provider, ref = service.provider(instance="new"), ref_of(request)
    assert await provider.observe([ref]) == {}, "in doubt: it is looked up"
    seen = await provider.get(ref)
    reads = service.front.count(lambda method, path, watch: path == path_of(request))
    for _ in range(10):
        assert await provider.observe([ref]) == {request.external_name: seen}
    assert service.front.count(lambda method, path, watch: path == path_of(request)) == reads


async def test_the_end_of_such_a_job_is_seen(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(adapter, "UNWATCHED_SECONDS", 0.0)
    request = wanted()
    await service.provider(instance="old").submit(request)
    provider, ref = service.provider(instance="new"), ref_of(request)
    await provider.get(ref)
    await service.complete(request)
    assert (await provider.observe([ref]))[request.external_name].phase is Phase.COMPLETED
    await service.client.delete(path_of(request))
    assert await provider.observe([ref]) == {}
    assert await provider.get(ref) is None


async def test_a_job_whose_labels_somebody_takes_off_has_not_gone(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The watch tells of it as of one that is deleted."""
    monkeypatch.setattr(adapter, "UNWATCHED_SECONDS", 0.0)
    provider, request = service.provider(), wanted()
    ref = ref_of(request)
    await provider.submit(request)
    await until(provider, request, lambda one: one is not None)
    await service.client.merge_patch(path_of(request), {"metadata": {"labels": {labels.MANAGED_BY: None}}})
    await until(provider, request, lambda one: provider._held.job(provider._place(ref)) is None)
    assert (await provider.observe([ref]))[request.external_name].phase is Phase.PENDING
    await service.client.merge_patch(path_of(request), {"metadata": {"labels": {labels.MANAGED_BY: "jennah"}}})
    await until(provider, request, lambda one: provider._held.job(provider._place(ref)) is not None)
    await service.client.delete(path_of(request))
    end = await until(provider, request, lambda one: one is not None and one.has_ended)
    assert end is not None
    assert end.failed_unless_asked == reasons.DELETED_EXTERNALLY


async def test_a_namespace_that_cannot_be_watched_holds_up_no_other(service: Service) -> None:
    """Who rules over a namespace can take our rights in it; its jobs stay as they were last seen."""
    await service.client.post("/api/v1/namespaces", {"metadata": {"name": "team-b"}})
    provider = service.provider(watch_namespaces=("team-a", "team-b"))
    one, other, late = fresh(), msgspec.structs.replace(fresh(), namespace="team-b"), fresh(name="late")
    for request in (one, other):
        await provider.submit(request)
    refs = [ref_of(one), ref_of(other)]
    before = await provider.observe(refs)
    assert len(before) == 2
    service.front.rule = lambda asked: status(403, "Forbidden") if "/team-b/" in asked.path else None
    service.front.drop_watches()
    unseen = JobRef(external_name="late-1", uid=late.uid, namespace="team-b", resource_path="/x")
    await until(provider, one, lambda _: bool(provider._failing))
    await service.complete(one)
    await until(provider, one, lambda seen: seen is not None and seen.has_ended)
    found = await provider.observe([*refs, unseen])
    assert found[other.external_name] == before[other.external_name]
    assert found["late-1"].phase is None, "not in doubt: it cannot be looked up either"
    service.front.rule = lambda asked: status(403, "Forbidden")
    service.front.drop_watches()
    async with asyncio.timeout(30):
        with pytest.raises(Unavailable):
            while True:
                await provider.observe(refs)
                await asyncio.sleep(0.01)
