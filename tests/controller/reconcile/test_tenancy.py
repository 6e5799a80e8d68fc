"""Whose job it is: the namespace's label decides, but for jobs that the API creates."""

import pytest

from controller.domain import names
from controller.domain.phases import Phase
from tests.controller.fakes import START
from tests.controller.reconcile.harness import World


@pytest.fixture
def world() -> World:
    """In which all namespaces have the label of the tenant blue."""
    world = World()
    world.kube.labels = {names.LABEL_TENANT: "blue"}
    return world


async def test_the_namespaces_label_names_the_tenant(world: World) -> None:
    job = world.kube.create(tenant_id=None)
    await world.reconcile(job)
    assert world.kube.current(job).status.tenant_id == "blue"


async def test_a_spec_may_say_what_the_label_says(world: World) -> None:
    job = world.kube.create(tenant_id="blue")
    await world.reconcile(job)
    assert world.kube.current(job).status.phase is Phase.SCHEDULED


@pytest.mark.parametrize("held", [True, False])
async def test_a_job_of_another_tenant_fails_and_nothing_of_it_is_submitted_or_told_to_that_tenant(
    world: World, held: bool
) -> None:
    job = world.kube.create(tenant_id="red", held=held)
    await world.reconcile(job)
    failed = world.kube.current(job)
    assert (failed.status.phase, failed.status.reason) == (Phase.FAILED, "TenantMismatch")
    where = "jobs of the namespace 'default' belong to the tenant 'blue'"
    decides = f"the namespace's label {names.LABEL_TENANT} decides"
    assert failed.status.message == f"spec.tenantId is 'red', but {where}; {decides}"
    assert failed.status.tenant_id == "blue"
    assert failed.metadata.labels.get(names.LABEL_TENANT) in (None, "blue")
    assert not world.provider.submissions
    assert {key: row.status for key, row in world.record.rows.items()} == {("blue", "job"): Phase.FAILED}


async def test_what_was_refused_stays_so_without_a_write_also_when_the_label_goes(world: World) -> None:
    job = world.kube.create(tenant_id="red")
    await world.reconcile(job)
    writes = world.kube.writes
    world.start()
    for labels in ({names.LABEL_TENANT: "blue"}, {}):
        world.kube.labels = labels
        await world.reconcile(job)
    assert world.kube.writes == writes
    assert not world.provider.submissions


async def test_a_refused_job_takes_no_row_with_it_that_another_has_under_its_id(world: World) -> None:
    victims = [world.kube.create("red", namespace="api", tenant_id="red", job_id="same")]
    victims.append(world.kube.create("blue", tenant_id="blue", job_id="same"))
    for victim in victims:
        await world.reconcile(victim)
    rows = dict(world.record.rows)
    job = world.kube.create(tenant_id="red", job_id="same")
    await world.reconcile(job)
    assert world.kube.current(job).status.reason == "TenantMismatch"
    world.kube.edit(job, metadata={"deletion_timestamp": START, "annotations": {names.ANNOTATION_PURGE: "true"}})
    await world.reconcile(job)
    assert ("default", "job") not in world.kube.objects
    assert world.record.rows == rows


async def test_the_api_creates_jobs_of_any_tenant_in_its_namespace(world: World) -> None:
    job = world.kube.create(namespace="api", tenant_id="red")
    await world.reconcile(job)
    status = world.kube.current(job).status
    assert (status.phase, status.tenant_id) == (Phase.SCHEDULED, "red")


async def test_a_job_that_is_older_than_the_label_goes_on_as_it_began(world: World) -> None:
    world.kube.labels = {}
    job = world.kube.create("unnamed", tenant_id=None)
    await world.reconcile(job)
    world.kube.labels = {names.LABEL_TENANT: "blue"}
    world.start()
    await world.observe(job)
    status = world.kube.current(job).status
    assert (status.phase, status.tenant_id) == (Phase.SCHEDULED, "ns:default")
    assert {tenant for tenant, _ in world.record.rows} == {"ns:default"}


async def test_a_namespace_without_the_label_is_no_tenant_of_the_api_and_its_jobs_may_name_none(world: World) -> None:
    """Who may make a namespace called as a tenant, or a job in one, is not that tenant."""
    world.kube.labels = {}
    unnamed = world.kube.create("unnamed", namespace="red", tenant_id=None, held=False)
    named = world.kube.create("named", namespace="green", tenant_id="red")
    for job in (unnamed, named):
        await world.reconcile(job)
    assert world.kube.current(unnamed).status.tenant_id == "ns:red"
    refused = world.kube.current(named).status
    assert (refused.phase, refused.reason, refused.tenant_id) == (Phase.FAILED, "TenantMismatch", "ns:green")
    assert {tenant for tenant, _ in world.record.rows} == {"ns:red", "ns:green"}
    assert world.kube.current(unnamed).metadata.labels[names.LABEL_TENANT] == "ns.red"
