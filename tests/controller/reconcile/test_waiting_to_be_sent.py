"""What a job waits for before it is sent: a Secret, its service, somebody who lifts the suspension."""

import pytest

from controller.domain import conditions, reasons
from controller.domain.errors import EnvironmentMissing, Unavailable
from controller.domain.job import Job
from controller.domain.phases import Phase
from controller.ports import Environment
from tests.controller.reconcile.harness import World
from tests.controller.reconcile.test_waiting import condition

WAITS_FOR_ENVIRONMENT = ("Warning", reasons.WAITING_FOR_ENVIRONMENT)
NOT_CONFIGURED = ("Warning", reasons.PROVIDER_NOT_CONFIGURED)


async def waiting_for(world: World, message: str) -> Job:
    """A job that is known to wait for a Secret."""
    job = world.kube.create()
    world.kube.env = EnvironmentMissing(message)
    await world.clock.advance(3)  # the API makes a job first and its Secret right after
    await world.reconcile(job)
    return job


async def test_a_job_that_waits_for_a_secret_says_so_in_one_event_whatever_the_number_of_passes(world: World) -> None:
    job = await waiting_for(world, "secret a does not exist in namespace default")
    for message in ("secret a does not exist in namespace default", "secret b does not exist in namespace default"):
        world.kube.env = EnvironmentMissing(message)
        await world.clock.advance(1)
        await world.reconcile(job)
    assert world.kube.events == [WAITS_FOR_ENVIRONMENT]
    assert world.kube.event_messages == ["secret a does not exist in namespace default"]
    told = condition(world.kube.current(job), conditions.ENVIRONMENT_READY)
    assert told is not None and "secret b" in told[2], "the condition has what it waits for now"


async def test_a_process_that_takes_over_does_not_say_again_what_a_job_waits_for(world: World) -> None:
    job = await waiting_for(world, "secret a does not exist")
    world.start()
    await world.clock.advance(1)
    await world.reconcile(job)
    assert world.kube.events == [WAITS_FOR_ENVIRONMENT]


async def test_no_event_while_the_api_may_be_making_the_secret_nor_once_it_is_there(world: World) -> None:
    job = world.kube.create()
    world.kube.env = EnvironmentMissing("secret job-env does not exist")
    await world.reconcile(job)
    assert world.kube.events == []
    world.kube.env = Environment(values={"PASSWORD": "value-to-find"}, shown={"PASSWORD": "value-to-find"})
    await world.reconcile(job)
    await world.observe(job)
    assert WAITS_FOR_ENVIRONMENT not in world.kube.events
    assert "value-to-find" not in "".join(world.kube.event_messages)


@pytest.mark.parametrize("waited", [False, True])
async def test_keys_that_became_no_variables_are_told_in_a_condition_and_in_one_event(
    world: World, waited: bool
) -> None:
    job = await waiting_for(world, "secret files does not exist") if waited else world.kube.create()
    world.kube.events.clear()
    world.kube.event_messages.clear()
    world.kube.env = Environment(values={}, shown={}, left_out=("key tls.crt of secret files", "key a-b of secret s"))
    world.faults.arm("before submit", Unavailable("down"))
    with pytest.raises(Unavailable):
        await world.reconcile(job)
    await world.reconcile(job)
    world.provider.move(Phase.RUNNING)
    job = await world.observe(job)
    told = "envFrom: left out, as they cannot be variables: key tls.crt of secret files, key a-b of secret s"
    assert condition(job, conditions.ENVIRONMENT_READY) == ("True", reasons.INVALID_VARIABLE_NAMES, told)
    assert world.kube.events.count(("Warning", reasons.INVALID_VARIABLE_NAMES)) == 1
    assert told in world.kube.event_messages


async def test_a_wait_that_could_not_be_written_is_told_once_it_is(world: World) -> None:
    job = world.kube.create()
    world.kube.env = EnvironmentMissing("secret a does not exist")
    await world.clock.advance(3)
    world.faults.arm("before status", Unavailable("down"))
    with pytest.raises(Unavailable):
        await world.reconcile(job)
    assert world.kube.events == []
    await world.reconcile(job)
    assert world.kube.events == [WAITS_FOR_ENVIRONMENT]


async def test_a_job_of_a_provider_that_is_not_set_up_says_so_in_one_event(world: World) -> None:
    job = world.kube.create(provider="azure")
    for _ in range(3):
        await world.reconcile(job)
        await world.clock.advance(60)
    assert world.kube.events == [NOT_CONFIGURED]
    assert world.kube.event_messages[0].startswith("provider azure is not set up in this controller (it has: ")


async def test_an_outage_of_the_service_is_no_event(world: World) -> None:
    job = world.kube.create()
    world.faults.arm("before submit", Unavailable("down"))
    with pytest.raises(Unavailable):
        await world.reconcile(job)
    assert condition(world.kube.current(job), conditions.SUBMITTED)[:2] == ("False", reasons.PROVIDER_ERROR)
    assert world.kube.events == []


WAITS: dict[str, dict[str, object]] = {"suspended": {"suspend": True}, "without its service": {"provider": "azure"}}


@pytest.mark.parametrize("spec", WAITS.values(), ids=WAITS)
async def test_a_job_that_waits_before_it_is_sent_has_that_as_its_reason_and_is_cancelled_with_it(
    world: World, spec: dict[str, object]
) -> None:
    job = world.kube.create(**spec)
    await world.reconcile(job)
    waits = conditions.waiting(world.kube.current(job).status.conditions)
    assert waits is not None
    status = world.kube.current(job).status
    assert (status.reason, status.message) == (waits.reason, waits.message)
    writes = world.kube.writes
    await world.reconcile(job)
    assert world.kube.writes == writes
    await world.reconcile(world.kube.edit(job, cancel=True))
    row = world.record.rows["tenant", "job"]
    assert row.status is Phase.CANCELLED
    assert row.error_message is not None
    assert row.error_message.endswith(f"; it waited: {waits.reason}: {waits.message}")


async def test_a_job_that_waits_for_a_secret_has_that_as_its_reason_until_it_is_sent(world: World) -> None:
    job = await waiting_for(world, "secret a does not exist")
    status = world.kube.current(job).status
    assert (status.reason, status.message) == (reasons.WAITING_FOR_ENVIRONMENT, "secret a does not exist")
    world.kube.env = Environment(values={}, shown={})
    await world.reconcile(job)
    status = world.kube.current(job).status
    assert (status.reason, status.message) == (reasons.SCHEDULED, None)
