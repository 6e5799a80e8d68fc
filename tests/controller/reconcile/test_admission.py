"""A tenant's policy is asked before anything of a job is sent, and never of a job that may be at the service."""

import pytest

from controller.domain import conditions, reasons
from controller.domain.errors import Retryable, Throttled, Unavailable
from controller.domain.job import AwsOptions
from controller.domain.phases import Phase
from controller.domain.tenants import Allow, Identity, TenantSpec
from tests.controller.fakes import Crash
from tests.controller.reconcile.harness import World

CLOSED = TenantSpec()


async def test_what_the_policy_does_not_allow_fails_before_anything_is_sent(world: World) -> None:
    world.kube.tenant = CLOSED
    job = world.kube.create(service_account="theirs@project")
    await world.reconcile(job)
    status = world.kube.current(job).status
    assert (status.phase, status.reason) == (Phase.FAILED, reasons.NOT_ALLOWED)
    assert "spec.serviceAccount: 'theirs@project' is not in allow.serviceAccounts" in (status.message or "")
    assert world.provider.submissions == []


async def test_a_change_of_policy_acts_on_jobs_that_are_not_submitted_yet(world: World) -> None:
    world.kube.tenant = CLOSED
    waiting = world.kube.create(suspend=True, aws=AwsOptions(job_queue="theirs"))
    await world.reconcile(waiting)
    assert world.kube.current(waiting).status.phase is Phase.PENDING
    world.kube.tenant = TenantSpec(allow=Allow(queues=("theirs",)))
    world.kube.edit(waiting, suspend=False)
    await world.reconcile(world.kube.current(waiting))
    assert len(world.provider.submissions) == 1
    world.kube.tenant = CLOSED
    world.provider.move(Phase.RUNNING)
    running = await world.observe(world.kube.current(waiting))
    assert running.status.phase is Phase.RUNNING, "what runs, runs on"


async def test_a_policy_that_cannot_be_read_lets_nothing_be_sent_and_fails_nothing(world: World) -> None:
    world.kube.tenant = Unavailable("no answer")
    job = world.kube.create()
    with pytest.raises(Unavailable):
        await world.reconcile(job)
    assert world.provider.submissions == []
    assert world.kube.current(job).status.phase is not Phase.FAILED
    world.kube.tenant = CLOSED
    await world.reconcile(job)
    assert len(world.provider.submissions) == 1


async def test_of_a_job_that_may_have_been_sent_no_policy_is_asked(world: World) -> None:
    """The leader died in the call: the job may run, and must be found, whatever its tenant may name today."""
    job = world.kube.create(service_account="theirs@project")
    world.faults.arm("after submit", Crash())
    with pytest.raises(Crash):
        await world.reconcile(job)
    world.kube.tenant = CLOSED
    world.start()
    await world.reconcile(job)
    assert len(world.provider.jobs) == 1
    assert world.kube.current(job).status.phase is not Phase.FAILED


async def test_a_job_runs_as_its_tenants_identity(world: World) -> None:
    world.kube.tenant = TenantSpec(identity=Identity(kubernetes="team-a"))
    world.provider.name = "kubernetes"
    world.start()
    await world.reconcile(world.kube.create())
    [sent] = world.provider.submissions
    assert sent.spec.service_account == "team-a"
    assert world.kube.event_messages[-1].endswith("; it was sent to run as team-a"), "its spec does not say so"


@pytest.mark.parametrize("names_are_ids", [True, False])
async def test_a_policy_that_changes_after_the_first_call_has_the_job_wait_and_not_fail(
    world: World, names_are_ids: bool
) -> None:
    """The service had no room, and meanwhile the account was taken from the tenant."""
    world.provider.names_are_ids = names_are_ids
    world.start()
    job = world.kube.create(service_account="theirs@project")
    world.faults.arm("before submit", Throttled("no room"))
    with pytest.raises(Throttled):
        await world.reconcile(job)
    world.kube.tenant = CLOSED
    for _ in range(2):
        with pytest.raises(Retryable, match=r"nothing more is sent: spec\.serviceAccount"):
            await world.reconcile(world.kube.current(job))
    assert world.provider.submissions == []
    status = world.kube.current(job).status
    assert status.phase is not Phase.FAILED
    submitted = conditions.find(status.conditions, conditions.SUBMITTED)
    assert submitted is not None and submitted.reason == reasons.NOT_ALLOWED
    world.kube.tenant = TenantSpec(trusted=True)
    await world.reconcile(world.kube.current(job))
    assert len(world.provider.submissions) == 1
