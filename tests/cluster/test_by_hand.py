"""Somebody else's hands: finalizers forced off, a namespace deleted, objects edited, made anew. ORPHANS=cancel."""

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from controller.domain.errors import Invalid, NotFound
from controller.domain.job import Job, parse, status_to_wire
from controller.domain.names import LABEL_TENANT
from controller.domain.phases import Phase
from controller.kube import paths
from tests.cluster import belongings
from tests.cluster.installation import Installation
from tests.e2e.client import LIMIT_SECONDS, is_running


async def until(holds: Callable[[], Awaitable[bool]], what: str) -> None:
    """Until that is so."""
    try:
        async with asyncio.timeout(LIMIT_SECONDS):
            while not await holds():
                await asyncio.sleep(0.1)
    except TimeoutError:
        raise AssertionError(f"not {what} in {LIMIT_SECONDS:g} s") from None


async def until_recorded(jennah: Installation, job: Job, status: str, tenant: str = "") -> None:
    async def is_recorded() -> bool:
        return bool((await jennah.get(job.job_id, tenant))["status"] == status)

    await until(is_recorded, f"{status} in the record")


async def force_away(jennah: Installation, job: Job) -> None:
    """As ``kubectl patch … finalizers: null`` and ``kubectl delete``."""
    path = paths.job(job.metadata.namespace, job.metadata.name)
    await jennah.kube.delete(path)
    await jennah.kube.merge_patch(path, {"metadata": {"finalizers": None}})
    with pytest.raises(NotFound):
        await jennah.kube.get(path)


async def running(jennah: Installation, name: str, namespace: str = "") -> Job:
    return (await jennah.wait_for([name], is_running, "running", namespace))[name]


@pytest.mark.local_provider  # elsewhere a test cannot say how long a job lasts, and this takes its time
@pytest.mark.local_programs
async def test_cloud_jobs_of_objects_that_were_forced_away_end_and_the_gateway_sees_it(jennah: Installation) -> None:
    """One while the operators watch, one while they are down, and one that is to be left to itself."""
    gate = jennah.gate()
    ids = [await jennah.submit(gate.script, name=name) for name in ("watched", "unseen")]
    left = await jennah.create("left", gate.script, deletionPolicy="Orphan")
    jobs = await jennah.wait_for([*ids, "left"], is_running, "running")
    watched, unseen, left = (jobs[name] for name in (*ids, "left"))
    await force_away(jennah, watched)
    for operator in jennah.local.operators:
        await operator.stop()  # whatever it has begun to do about it by now
    await force_away(jennah, unseen)
    await force_away(jennah, left)
    assert (await jennah.get(unseen.job_id))["status"] == "RUNNING"
    await jennah.programs.start()
    for job in (watched, unseen):
        await until_recorded(jennah, job, "CANCELLED")
        assert not await gate.is_alive(job)
        assert "its JennahJob was gone" in (await jennah.get(job.job_id))["errorMessage"]
    assert await gate.is_alive(left)
    assert (await jennah.get(left.job_id))["status"] == "RUNNING"
    gate.open()
    await until_recorded(jennah, left, "COMPLETED")
    assert [await gate.runs(job) for job in (watched, unseen, left)] == [1, 1, 1]


@pytest.mark.own_server  # in a namespace that operators of a cluster of others do not watch
async def test_a_namespace_that_is_deleted_takes_its_jobs_with_it(jennah: Installation) -> None:
    gate, kube, namespace = jennah.gate(), jennah.kube, jennah.leaving
    async with belongings.namespaces(jennah.cluster, {namespace: {LABEL_TENANT: jennah.leaver}}):
        secret = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "env"}, "stringData": {"A": "1"}}
        await kube.post(paths.secrets(namespace), secret)
        env, names = [{"secretRef": {"name": "env"}}], [f"job-{n}" for n in range(3)]
        for name in names:
            await jennah.create(name, gate.script, namespace, envFrom=env, tenantId=jennah.leaver)
        held = await jennah.create("held", gate.script, namespace, suspend=True, tenantId=jennah.leaver)
        jobs = (await jennah.wait_for(names, is_running, "running", namespace)).values()
        await until_recorded(jennah, held, "PENDING", jennah.leaver)
        await kube.delete(paths.namespace(namespace))
        await jennah.until_gone(paths.namespace(namespace))
    for job in jobs:
        assert not await gate.is_alive(job)
    for job in (*jobs, held):
        assert (await jennah.get(job.job_id, jennah.leaver))["status"] == "CANCELLED"


@pytest.mark.local_programs  # in the cluster nobody else may write a status: the chart's admission policy
async def test_a_running_job_that_is_edited_stays_what_it_is(jennah: Installation) -> None:
    gate, kube = jennah.gate(), jennah.kube
    for name in ("edited", "other"):
        await jennah.create(name, gate.script)
    job, other = await running(jennah, "edited"), await running(jennah, "other")
    path = paths.job(jennah.namespace, "edited")
    for spec in ({"image": "other"}, {"command": ["true"]}, {"tenantId": "u"}, {"deletionPolicy": "Orphan"}):
        with pytest.raises(Invalid, match="immutable"):
            await kube.merge_patch(path, {"spec": spec})
    edits: list[dict[str, object]] = [
        {"phase": "Completed"},
        {"phase": "Failed", "completedAt": "2026-01-01T00:00:00Z", "transition": 9},
        {"resourcePath": other.status.resource_path, "externalName": other.status.external_name},
        {"conditions": None},
        dict.fromkeys(status_to_wire(job.status)),
    ]
    for edit in edits:
        await kube.merge_patch(paths.job_status(jennah.namespace, "edited"), {"status": edit})

        async def is_repaired() -> bool:
            status = parse(await kube.get(path)).status
            return (status.phase, status.resource_path, bool(status.conditions), status.completed_at) == (
                Phase.RUNNING,
                job.status.resource_path,
                True,
                None,
            )

        await until(is_repaired, f"repaired after {edit}")
    gate.open()
    for one in (job, other):
        await until_recorded(jennah, one, "COMPLETED")
        assert await gate.runs(one) == 1


@pytest.mark.local_provider
async def test_an_object_made_anew_under_its_old_name_has_a_cloud_job_of_its_own(jennah: Installation) -> None:
    gate = jennah.gate()
    await jennah.create("anew", gate.script)
    old = await running(jennah, "anew")
    await force_away(jennah, old)
    await jennah.create("anew", gate.script)
    new = await running(jennah, "anew")
    await until_recorded(jennah, old, "CANCELLED")
    assert not await gate.is_alive(old)
    assert await gate.is_alive(new)
    await jennah.kube.delete(paths.job(jennah.namespace, "anew"))
    await until_recorded(jennah, new, "CANCELLED")
    assert [await gate.runs(job) for job in (old, new)] == [1, 1]
