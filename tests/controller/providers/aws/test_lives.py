"""Jobs from their submission to their end on the stand-in: what is long, what is lost, and what is run again."""

import pytest

from controller.domain import reasons
from controller.domain.errors import Permanent
from controller.domain.phases import Phase
from controller.ports import Observation
from controller.providers.aws import definition
from controller.providers.aws.provider import AwsProvider
from dev.emulators.aws import outcomes
from tests.controller.providers.aws.harness import Service, ref, refused, wanted

HOURS = 7200.0


async def end_of(service: Service, provider: AwsProvider, **more: object) -> Observation:
    """How such a job ended. `fault`: what happens to it (`outcomes.FAULT`)."""
    labels = {outcomes.FAULT: str(fault)} if (fault := more.pop("fault", "")) else None
    request = wanted(labels=labels, **{"command": ("sleep", "5"), **more})
    await provider.prepare(request)
    path = (await provider.submit(request)).resource_path
    service.advance(HOURS)
    seen = await provider.get(ref(request, path))
    assert seen is not None
    return seen


async def test_what_is_too_long_for_overrides_runs_by_its_definition(service: Service, provider: AwsProvider) -> None:
    script = "#" * 9000
    assert (await end_of(service, provider, command=("sh", "-c", f"sleep 5; {script}"))).phase is Phase.COMPLETED
    assert (await end_of(service, provider, env={"A": script})).phase is Phase.COMPLETED
    names = [name.startswith(definition.OWN_PREFIX) for name in service.emulator.service.definitions]
    assert sorted(names) == [False, True]


async def test_the_service_fails_what_is_longer_and_that_is_told(
    service: Service, provider: AwsProvider, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("controller.providers.aws.overrides.LIMIT", 20_000)
    seen = await end_of(service, provider, command=("x" * 9000,))
    assert (seen.phase, seen.reason, seen.started_at) == (Phase.FAILED, reasons.CONTAINER_NOT_STARTED, None)
    assert outcomes.TOO_LONG in seen.message


@pytest.mark.parametrize(
    ("fault", "limits", "seen"),
    [
        # (backoffLimit, preemptionLimit): (phase, reason, retries, preemptions)
        ("HostTerminated:2", (0, 3), (Phase.COMPLETED, None, 0, 2)),
        ("HostTerminated", (0, 1), (Phase.FAILED, reasons.RESULT_LOST, 0, 2)),
        ("HostTerminated", (0, 0), (Phase.FAILED, reasons.RESULT_LOST, 0, 1)),
        ("HostTerminated", (3, 0), (Phase.FAILED, reasons.RESULT_LOST, 0, 1)),
        ("HostTerminated:2", (3, 3), (Phase.COMPLETED, None, 0, 2)),
        ("DockerTimeout:1", (0, 1), (Phase.COMPLETED, None, 0, 1)),
        ("DockerTimeout", (0, 1), (Phase.FAILED, reasons.MACHINE_FAILED, 0, 2)),
        ("InspectTimeout", (0, 3), (Phase.FAILED, reasons.RESULT_LOST, 0, 0)),
        ("InspectTimeout:1", (2, 3), (Phase.COMPLETED, None, 1, 0)),
        ("ImagePull", (0, 3), (Phase.FAILED, reasons.IMAGE_PULL_FAILED, 0, 0)),
        ("OutOfMemory", (1, 3), (Phase.FAILED, reasons.OUT_OF_MEMORY, 1, 0)),
    ],
)
async def test_lost_machines_are_made_up_for_and_what_may_have_run_is_not_repeated(
    service: Service, provider: AwsProvider, fault: str, limits: tuple[int, int], seen: tuple
) -> None:
    backoff, preemption = limits
    end = await end_of(service, provider, fault=fault, backoff_limit=backoff, preemption_limit=preemption)
    assert (end.phase, end.reason, end.retries, end.preemptions) == seen
    assert (end.started_at is None) == (fault in ("DockerTimeout", "ImagePull"))
    assert end.exit_code == (0 if end.phase is Phase.COMPLETED else 137 if fault == "OutOfMemory" else None)


async def test_a_failure_is_not_run_again_with_backoff_limit_0_whatever_the_limit_for_losses(
    service: Service, provider: AwsProvider
) -> None:
    end = await end_of(service, provider, command=("sh", "-c", "exit 3"), backoff_limit=0, preemption_limit=9)
    assert (end.reason, end.exit_code, end.retries) == (reasons.NON_ZERO_EXIT, 3, 0)
    [job] = service.emulator.service.jobs.values()
    assert len(job.life.runs) == 1


async def test_a_program_that_ran_too_long_is_not_run_again(service: Service, provider: AwsProvider) -> None:
    end = await end_of(service, provider, command=("sleep", "100000"), backoff_limit=3)
    assert (end.reason, end.retries, end.exit_code) == (reasons.DEADLINE_EXCEEDED, 0, None)


async def test_machines_of_a_spot_queue_were_taken_back(service: Service, provider: AwsProvider) -> None:
    spot = service.provider(job_queues={"spot": "jennah-spot"})
    end = await end_of(service, spot, fault="HostTerminated", spot=True, preemption_limit=1)
    assert (end.reason, end.preemptions) == (reasons.PREEMPTED, 2)
    await spot.close()
    named = service.provider(job_queue="jennah-spot")  # that it is spot is known of the queue alone
    assert (await end_of(service, named, fault="HostTerminated")).reason == reasons.PREEMPTED
    await named.close()


async def test_a_spot_queue_of_other_machines_is_told(service: Service) -> None:
    provider = service.provider(job_queues={"spot": "jennah"})
    end = await end_of(service, provider, spot=True)
    assert "the queue has no spot machines" in end.remarks[0].message
    await provider.close()


async def test_a_definition_with_an_environment_goes_with_its_job(service: Service, provider: AwsProvider) -> None:
    secret = wanted(env={"A": "hush" * 3000})
    shared = wanted(command=("x" * 9000,))
    paths = [(await provider.submit(request)).resource_path for request in (secret, shared)]
    for request, path in zip((secret, shared), paths, strict=True):
        await provider.delete(ref(request, path))
    found = {
        name.startswith(definition.OWN_PREFIX): revisions[-1]["status"]
        for name, revisions in service.emulator.service.definitions.items()
    }
    assert found == {True: "INACTIVE", False: "ACTIVE"}


async def test_without_the_right_to_deregister_it_stays_and_the_job_goes(
    service: Service, provider: AwsProvider, caplog: pytest.LogCaptureFixture
) -> None:
    request = wanted(env={"A": "hush" * 3000})
    path = (await provider.submit(request)).resource_path
    service.answer("DeregisterJobDefinition", refused(403, "AccessDeniedException"))
    await provider.delete(ref(request, path))
    assert "batch:DeregisterJobDefinition" in caplog.text


async def test_a_refused_definition_tells_no_values(service: Service, provider: AwsProvider) -> None:
    request = wanted(env={"A": "hush" * 3000})
    words = f"Invalid environment: {request.env['A']}"
    service.answer("RegisterJobDefinition", refused(400, "ClientException", words))
    with pytest.raises(Permanent) as raised:
        await provider.prepare(request)
    assert "hush" not in str(raised.value)
    assert raised.value.reason == reasons.SUBMISSION_REFUSED
