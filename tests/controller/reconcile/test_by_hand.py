"""Objects that somebody edits, deletes and makes anew by hand: one cloud job each, and a record that is true."""

import contextlib
from collections.abc import Callable
from datetime import timedelta

import pytest

from controller.domain import conditions, reasons
from controller.domain.conditions import Condition
from controller.domain.errors import EnvironmentMissing, Unavailable
from controller.domain.job import Job, JobStatus
from controller.domain.phases import Phase
from tests.controller.fakes import START, FaultPoints
from tests.controller.reconcile.harness import World
from tests.controller.reconcile.orphans.harness import EVERY, row, running, sweep

FORGED = Condition(type="Complete", status="True", reason="x", message="x", last_transition_time=START)

Edit = Callable[[JobStatus, JobStatus], dict[str, object]]
"""From the job's status and another job's: what is written over it."""

EDITS: dict[str, Edit] = {
    "an end": lambda old, other: {"phase": Phase.COMPLETED},
    "a failure": lambda old, other: {"phase": Phase.FAILED, "completed_at": START},
    "a whole end": lambda old, other: {
        "phase": Phase.COMPLETED,
        "completed_at": START,
        "conditions": (*old.conditions, FORGED),
        "transition": 3,
    },
    "a phase back": lambda old, other: {"phase": Phase.PENDING},
    "a phase and no submission": lambda old, other: {
        "phase": Phase.PENDING,
        "submitted_at": None,
        "resource_path": None,
    },
    "the condition of an end": lambda old, other: {"conditions": (*old.conditions, FORGED)},
    "no conditions": lambda old, other: {"conditions": ()},
    "no path": lambda old, other: {"resource_path": None},
    "no times": lambda old, other: {"submitted_at": None, "scheduled_at": None, "started_at": None},
    "another's path": lambda old, other: {"resource_path": other.resource_path},
    "another's name": lambda old, other: {"external_name": other.external_name},
    "another's name, path and id": lambda old, other: {
        "external_name": other.external_name,
        "resource_path": other.resource_path,
        "job_id": other.job_id,
    },
    "another tenant": lambda old, other: {"tenant_id": "stranger"},
    "no tenant": lambda old, other: {"tenant_id": None},
    "no provider": lambda old, other: {"provider": None},
    "a number up": lambda old, other: {"transition": 40},
    "a number down": lambda old, other: {"transition": 0},
    "no number": lambda old, other: {"transition": None},
    "a number up and a phase back": lambda old, other: {"transition": 40, "phase": Phase.PENDING},
    "nothing": lambda old, other: {name: getattr(JobStatus(), name) for name in JobStatus.__struct_fields__},
}


@pytest.fixture(params=[True, False], ids=["we name jobs", "the service names jobs"])
def world(request: pytest.FixtureRequest) -> World:
    return World(names_are_ids=bool(request.param), ends_orphans=True)


async def come_to_rest(world: World, job: Job) -> Job:
    """Passes, searches and sweeps, until nothing more is to be expected of them."""
    for _ in range(6):
        await world.observe(job)
        world.clock.pause(60)
    await sweep(world, 2)
    return await world.observe(job)


def assert_a_legal_path(world: World, job: Job) -> None:
    audit = world.audit(job)
    assert sorted({number for number, _, _ in audit}) == [number for number, _, _ in audit]
    assert [before for _, before, _ in audit[1:]] == [after for _, _, after in audit[:-1]]
    assert all(before != after for _, before, after in audit)
    assert not any(Phase(after).is_terminal for _, _, after in audit[:-1])


@pytest.mark.parametrize("unseen", [False, True], ids=["while we watch", "while nobody watches"])
@pytest.mark.parametrize("what", EDITS)
async def test_what_is_written_over_the_status_of_a_running_job_is_put_right(
    world: World, what: str, unseen: bool
) -> None:
    other = await running(world, "other")
    job = await running(world, provider="local")
    before = job.status
    if unseen:
        world.kube.changed = lambda job: None
    world.kube.edit_status(job, **EDITS[what](before, other.status))
    if unseen:
        world.start()
    job = await come_to_rest(world, job)
    status = job.status
    assert (status.phase, status.completed_at) == (Phase.RUNNING, None)
    assert (status.resource_path, status.external_name) == (before.resource_path, before.external_name)
    assert (status.tenant_id, status.job_id, status.provider) == ("tenant", "job", "local")
    assert conditions.is_true(status.conditions, conditions.SUBMITTED)
    assert not conditions.is_true(status.conditions, conditions.COMPLETE)
    assert len(world.provider.submissions) == 2
    assert world.provider.cancelled == []
    assert set(world.record.rows) == {("tenant", "job"), ("tenant", "other")}
    world.provider.move(Phase.COMPLETED, exit_code=0, completed_at=START)
    job = await world.observe(job)
    assert (job.status.phase, row(world, job).status) == (Phase.COMPLETED, Phase.COMPLETED)
    assert job.status.transition == world.audit(job)[-1][0]
    assert_a_legal_path(world, job)


@pytest.mark.parametrize("is_forgotten", [False, True], ids=["the service has it", "the service forgot it"])
@pytest.mark.parametrize("what", [what for what in EDITS if what != "a whole end"])  # which nobody can tell from ours
async def test_what_is_written_over_the_status_of_an_ended_job_is_put_right(
    world: World, what: str, is_forgotten: bool
) -> None:
    other = await running(world, "other")
    job = await running(world, provider="local")
    world.provider.move(Phase.FAILED, exit_code=3, reason="NonZeroExitCode", message="why", completed_at=START)
    job = await world.observe(job)
    audit = world.audit(job)
    if is_forgotten:
        world.provider.jobs, world.provider.made = {}, []  # type: ignore[union-attr]
        world.clock.pause(60)  # for as long as it need not show it, it is asked again
    world.kube.edit_status(job, **EDITS[what](job.status, other.status))
    job = await come_to_rest(world, job)
    assert (job.status.phase, row(world, job).status) == (Phase.FAILED, Phase.FAILED)
    assert conditions.is_true(job.status.conditions, conditions.FAILED)
    assert not conditions.is_true(job.status.conditions, conditions.COMPLETE)
    assert len(world.provider.submissions) == 2
    assert world.audit(job) == audit


async def test_ending_a_job_whose_path_was_changed_to_anothers_ends_that_job_and_no_other(world: World) -> None:
    other = await running(world, "other")
    job = await running(world)
    world.kube.changed = lambda job: None
    world.kube.edit_status(job, resource_path=other.status.resource_path, external_name=other.status.external_name)
    world.kube.edit(job, cancel=True)
    world.start()
    for _ in range(3):
        await world.observe(job)
    assert len(world.provider.cancelled) == 1
    assert set(world.provider.cancelled) <= {job.external_name, job.status.resource_path}
    gone = world.provider.jobs if world.provider.names_are_ids else {}
    gone.pop(job.external_name, None)
    for _ in range(8):
        await world.observe(job)
        world.clock.pause(60)
    assert other.status.resource_path not in world.provider.cancelled
    assert other.external_name not in world.provider.cancelled


async def test_a_finalizer_that_is_taken_off_a_live_object_comes_back(world: World) -> None:
    job = await running(world)
    world.kube.edit(job, metadata={"finalizers": ()})
    job = await world.observe(job)
    assert job.is_held
    assert job.status.phase is Phase.RUNNING


async def test_a_deleted_object_without_our_finalizer_that_another_one_holds_has_its_job_ended(world: World) -> None:
    job = await running(world)
    world.kube.edit(job, metadata={"finalizers": ("somebody/else",), "deletion_timestamp": START})
    await world.reconcile(job)
    assert len(world.provider.cancelled) == 1
    world.provider.move(Phase.CANCELLED, completed_at=START)
    job = await world.observe(job)
    assert (job.status.phase, row(world, job).status) == (Phase.CANCELLED, Phase.CANCELLED)
    assert job.metadata.finalizers == ("somebody/else",)


async def test_an_object_that_is_made_anew_under_its_old_name_has_a_cloud_job_of_its_own(world: World) -> None:
    old = await running(world, job_id=None)
    world.kube.force_off(old)
    new = await running(world, job_id=None)
    assert new.metadata.name == old.metadata.name
    assert len({request.external_name for request in world.provider.submissions}) == 2
    await sweep(world, 2)
    assert set(world.provider.cancelled) <= {old.external_name, old.status.resource_path}
    assert len(world.provider.cancelled) == 1
    if world.provider.names_are_ids:
        del world.provider.jobs[old.external_name]
    await sweep(world, 3)
    assert row(world, old).status is Phase.CANCELLED
    assert row(world, new).status is Phase.RUNNING
    assert (await world.observe(new)).status.phase is Phase.RUNNING
    assert_a_legal_path(world, old)
    assert_a_legal_path(world, new)


async def test_an_object_made_anew_with_the_old_ones_job_id_is_refused_and_the_old_ones_history_stays(
    world: World,
) -> None:
    """A record belongs to one object (`ports.JobStore`): to run it again takes another job id, or DeleteJob."""
    old = await running(world)
    world.kube.force_off(old)
    new = world.kube.create()
    await world.reconcile(new)
    status = world.kube.current(new).status
    assert (status.phase, status.reason) == (Phase.FAILED, reasons.RECORD_REJECTED)
    assert [request.uid for request in world.provider.submissions] == [old.key]
    await sweep(world, 2)
    assert len(world.provider.cancelled) == 1
    world.provider.move(Phase.CANCELLED, completed_at=START + timedelta(seconds=1))
    await sweep(world, 2)
    assert row(world, old).status is Phase.CANCELLED
    assert world.audit(new) == []
    assert_a_legal_path(world, old)


async def test_an_object_that_is_deleted_and_made_anew_at_once_is_two_jobs(world: World) -> None:
    """Without force: the old object waits for its cloud job's end before its name is free."""
    old = await running(world, job_id=None)
    await world.kube.delete(world.kube.current(old))
    await world.reconcile(old)
    world.provider.move(Phase.CANCELLED, completed_at=START)
    await world.observer._round()
    await world.reconcile(old)
    world.reconciler.remove(old.key)
    world.provider.jobs.clear()
    new = await running(world, job_id=None)
    world.clock.pause(EVERY)
    await sweep(world, 2)
    assert len(world.provider.cancelled) == 1
    assert (row(world, old).status, row(world, new).status) == (Phase.CANCELLED, Phase.RUNNING)


async def test_a_running_job_whose_status_and_secret_are_gone_is_found_all_the_same() -> None:
    """Its submission cannot be repeated, and need not: the record says that there was one."""
    world = World()
    job = await running(world)
    world.kube.changed = lambda job: None
    world.kube.edit_status(job, **EDITS["nothing"](job.status, job.status))
    world.kube.env = EnvironmentMissing("secret x is missing")
    world.start()
    for _ in range(4):
        await world.reconcile(job)
        world.clock.pause(60)
    job = await world.observe(job)
    assert (job.status.phase, row(world, job).status) == (Phase.RUNNING, Phase.RUNNING)


async def test_a_status_that_is_emptied_while_the_database_is_down_costs_no_second_job() -> None:
    world = World(names_are_ids=False)
    job = await running(world)
    world.kube.changed = lambda job: None
    world.kube.edit_status(job, **EDITS["nothing"](job.status, job.status))
    world.start()
    for point in ("before record", "get row"):
        for _ in range(40):
            world.record.faults.arm(point, Unavailable("the database is down"))
    for _ in range(8):
        with contextlib.suppress(Unavailable):
            await world.reconcile(job)
        world.clock.pause(60)
    assert len(world.provider.submissions) == 1
    world.record.faults = FaultPoints()
    job = await come_to_rest(world, job)
    assert (job.status.phase, row(world, job).status) == (Phase.RUNNING, Phase.RUNNING)
    assert len(world.provider.submissions) == 1
    assert_a_legal_path(world, job)
