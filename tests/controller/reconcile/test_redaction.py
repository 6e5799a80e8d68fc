"""What a program or a service quotes of a job's environment is told to nobody."""

import traceback

import pytest

from controller.domain.errors import EnvironmentMissing, Invalid, JennahError, Throttled, Unavailable
from controller.domain.job import EnvFromSource, EnvVar, ObjectRef
from controller.domain.phases import Phase
from controller.ports import Environment
from tests.controller.reconcile.harness import World

SECRET = "s3cr3t-of-team-a"
FROM = (EnvFromSource(secret_ref=ObjectRef(name="s")),)


async def failed(world: World, message: str, **spec: object) -> str:
    """All that is told of a job that failed with those words, in every place."""
    job = world.kube.create(**spec)
    await world.reconcile(job)
    world.provider.move(Phase.FAILED, message=message, exit_code=1)
    status = (await world.observe(job)).status
    row = world.record.rows["tenant", job.job_id]
    assert status.phase is Phase.FAILED
    return repr((status, row, world.kube.events, world.kube.event_messages))


async def test_a_value_that_a_program_wrote_at_its_end_is_masked_everywhere(world: World) -> None:
    world.kube.env = Environment(values={"PASSWORD": SECRET}, shown={"PASSWORD": ""})
    told = await failed(world, f"could not log in with {SECRET}", env_from=FROM)
    assert SECRET not in told
    assert "could not log in with ***" in told


async def test_plain_values_are_masked_where_the_secret_is_gone(world: World) -> None:
    world.kube.env = Environment(values={"PASSWORD": SECRET}, shown={"PASSWORD": ""})
    job = world.kube.create(env=(EnvVar(name="PASSWORD", value=SECRET),), env_from=FROM)
    await world.reconcile(job)
    world.kube.env = EnvironmentMissing("secret s does not exist")
    world.provider.move(Phase.FAILED, message=f"{SECRET}: no such file", exit_code=1)
    assert (await world.observe(job)).status.message == "***: no such file"


async def test_a_value_in_why_a_job_waits_is_masked(world: World) -> None:
    world.kube.env = Environment(values={"PASSWORD": SECRET}, shown={"PASSWORD": ""})
    job = world.kube.create(env_from=FROM)
    await world.reconcile(job)
    world.provider.move(Phase.PENDING, waits_because=f"the runtime refuses PASSWORD={SECRET}")
    await world.clock.advance(3600)
    status = (await world.observe(job)).status
    assert "PASSWORD=***" in repr(status.conditions)
    assert SECRET not in repr((status, world.record.rows, world.kube.event_messages))


@pytest.mark.parametrize("kind", [Throttled, Unavailable, Invalid])
async def test_a_value_in_the_services_refusal_is_masked(world: World, kind: type[JennahError]) -> None:
    """Whatever the adapter makes of the service's words, such as those of an admission webhook."""
    world.kube.env = Environment(values={"PASSWORD": SECRET}, shown={"PASSWORD": ""})
    job = world.kube.create(env_from=FROM)
    world.faults.arm("before submit", kind(f"denied: {SECRET}"))
    raised = ""
    try:
        await world.reconcile(job)
    except JennahError as error:  # whose message the operator logs
        raised = "".join(traceback.format_exception(error))
    told = repr((world.kube.current(job).status, world.record.rows, world.kube.event_messages, raised))
    assert "denied: ***" in told
    assert SECRET not in told
