"""Which tasks are asked for, of jobs that lack what the service's reference calls output only."""

from typing import Any

from controller.providers.gcp.details import Details
from controller.providers.gcp.observation import State, TaskState
from dev.emulators.gcp import messages
from tests.controller.fakes import FakeClock


def failed(name: str, *, group: str = "") -> Any:
    job = messages.Job(name=f"projects/p/locations/r/jobs/{name}")
    job.status.state = State.FAILED
    if group:
        job.status.task_groups[group].counts["FAILED"] = 1
    return job


def failed_task(exit_code: int) -> Any:
    task = messages.Task()
    task.status.state = TaskState.FAILED
    task.status.status_events.add().task_execution.exit_code = exit_code
    return task


async def test_jobs_without_a_uid_of_the_services_are_not_taken_for_one() -> None:
    async def list_tasks(group: str) -> list[Any]:
        return [failed_task(3 if "/one/" in group else 4)]

    details = Details(FakeClock(), list_tasks)
    one, other = failed("one"), failed("other")
    await details.ask([one, other])
    assert [details.of(job).last.exit_code for job in (one, other)] == [3, 4]


async def test_tasks_are_asked_for_in_the_group_that_the_jobs_status_names() -> None:
    asked = []

    async def list_tasks(group: str) -> list[Any]:
        asked.append(group.rpartition("/jobs/")[2])
        return [failed_task(3)]

    await Details(FakeClock(), list_tasks).ask([failed("one", group="group01"), failed("other")])
    assert asked == ["one/taskGroups/group01", "other/taskGroups/group0"]
