"""A job's and its tasks' messages to Observation, without a service."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from google.cloud import batch_v1
from hypothesis import given
from hypothesis import strategies as st

from controller.domain import reasons
from controller.domain.job import JobSpec, TaskCounts
from controller.domain.phases import Phase
from controller.providers.gcp import events, labels, observation
from dev.emulators.gcp import messages
from tests.controller.providers.gcp.samples import PLACE, UID, words

START = datetime(2026, 11, 24, 12, tzinfo=UTC)
State = batch_v1.JobStatus.State
TaskState = batch_v1.TaskStatus.State


def native(state: int, *told: tuple[str, float], counts: dict[str, int] | None = None, spot: bool = False) -> Any:
    """A job's message; events are (text, seconds after START)."""
    job = messages.Job(name=f"{PLACE.parent}/jobs/n", uid="job-uid", labels={labels.UID: UID})
    job.create_time.FromDatetime(START)
    job.update_time.FromDatetime(START + timedelta(seconds=500))
    job.status.state = state
    for text, seconds in told:
        add_event(job.status.status_events, text, seconds)
    for name, number in (counts or {}).items():
        job.status.task_groups["group0"].counts[name] = number
    if spot:
        job.status.task_groups["group0"].instances.add(provisioning_model=messages.SPOT)
    return job


def add_event(status_events: Any, text: str, seconds: float, **fields: Any) -> Any:
    event = status_events.add(type_="STATUS_CHANGED", description=text, **fields)
    event.event_time.FromDatetime(START + timedelta(seconds=seconds))
    return event


def change(before: str, after: str, more: str = "") -> str:
    return f"Job state is set from {before} to {after} for job projects/1/locations/us-central1/jobs/n.{more}"


def task(index: int, state: int, *codes: int) -> Any:
    """A task's message that ended with these exit codes, one an attempt; 0 has no task_execution."""
    message = messages.Task(name=f"{PLACE.parent}/jobs/n/taskGroups/group0/tasks/{index}")
    message.status.state = state
    for number, code in enumerate(codes):
        add_event(message.status.status_events, "to RUNNING", number * 10, task_state=TaskState.RUNNING)
        text = f"Task state is updated from RUNNING to FAILED on zones/z/instances/1 with exit code {code}."
        if code:
            failed = add_event(message.status.status_events, text, number * 10 + 5, task_state=TaskState.FAILED)
            failed.task_execution.exit_code = code
    return message


def seen(job: Any, *tasks: Any) -> Any:
    return observation.observation(job, observation.tasks_of(tasks) if tasks else None, PLACE)


def test_the_tables_are_total() -> None:
    assert set(observation.PHASES) == set(State)
    assert set(observation.TASK_FIELDS) == set(TaskState)
    assert {state.name: int(state) for state in messages.JobState} == {s.name: s.value for s in State}
    assert {state.name: int(state) for state in messages.TaskState} == {s.name: s.value for s in TaskState}


@pytest.mark.parametrize("state", [*State, 99])
def test_every_state_becomes_an_observation(state: int) -> None:
    found = seen(native(state))
    assert (found.external_name, found.uid, found.submitted_at) == ("n", UID, START)
    assert found.has_ended == (state in (State.SUCCEEDED, State.FAILED, State.CANCELLED))
    assert (found.completed_at is not None) == found.has_ended


def test_an_end_in_progress_is_no_end() -> None:
    cancelling, leaving = seen(native(State.CANCELLATION_IN_PROGRESS)), seen(native(State.DELETION_IN_PROGRESS))
    assert (cancelling.phase, cancelling.is_cancelling, cancelling.is_being_deleted) == (None, True, False)
    assert (leaving.phase, leaving.is_cancelling, leaving.is_being_deleted) == (None, True, True)


def test_times_are_those_of_the_events() -> None:
    found = seen(
        native(
            State.SUCCEEDED,
            (change("RUNNING", "SUCCEEDED"), 90.5),
            (change("QUEUED", "SCHEDULED"), 10),
            (change("SCHEDULED", "RUNNING"), 30.25),
        )
    )
    assert found.scheduled_at == START + timedelta(seconds=10)
    assert found.started_at == START + timedelta(seconds=30.25)
    assert found.completed_at == START + timedelta(seconds=90.5)


def test_without_events_the_end_is_the_last_update_and_the_start_the_run_duration_before_it() -> None:
    job = native(State.SUCCEEDED)
    job.status.run_duration.FromSeconds(100)
    found = seen(job)
    assert found.completed_at == START + timedelta(seconds=500)
    assert found.started_at == START + timedelta(seconds=400)


@pytest.mark.parametrize(
    ("job", "started"),
    [
        (native(State.RUNNING), 0),
        (native(State.RUNNING, (change("QUEUED", "SCHEDULED"), 7)), 7),
        (native(State.SUCCEEDED), 0),
        (native(State.FAILED, counts={"FAILED": 1}), 0),
        (native(State.CANCELLED, counts={"RUNNING": 1}), 0),
        (native(State.FAILED, (change("QUEUED", "FAILED"), 7)), None),
        (native(State.CANCELLED, counts={"UNEXECUTED": 1}), None),
        (native(State.QUEUED), None),
        (native(State.SCHEDULED, (change("QUEUED", "SCHEDULED"), 7)), None),
    ],
)
def test_a_job_that_ran_has_a_start_even_where_no_event_tells_it(job: Any, started: float | None) -> None:
    expected = None if started is None else START + timedelta(seconds=started)
    assert seen(job).started_at == expected
    job.update_time.FromDatetime(START + timedelta(seconds=900))
    assert seen(job).started_at == expected, "an update is no new start"


def test_an_end_that_is_held_back_is_no_end() -> None:
    job = native(State.FAILED, (change("SCHEDULED", "RUNNING"), 3), (change("RUNNING", "FAILED", " exit code 3"), 9))
    found = observation.observation(job, None, PLACE, held=True)
    assert (found.phase, found.completed_at, found.exit_code, found.reason, found.message) == (None,) * 5
    assert found.started_at == START + timedelta(seconds=3)


def test_all_tasks_of_a_job_that_succeeded_did_even_where_nobody_counted() -> None:
    job = native(State.SUCCEEDED)
    spec = JobSpec(image="x", completions=4)
    assert observation.observation(job, None, PLACE, spec).tasks == TaskCounts(total=4, succeeded=4)
    assert observation.observation(native(State.FAILED), None, PLACE, spec).tasks is None
    assert seen(job).tasks is None
    job.task_groups.add(task_count=3)
    assert seen(job).tasks == TaskCounts(total=3, succeeded=3)


def test_a_success_is_exit_code_0_whatever_an_old_event_says() -> None:
    job = native(State.SUCCEEDED, ("task failed with exit code 50001", 5), spot=True)
    assert observation.needs_tasks(job, None)
    found = seen(job, task(0, TaskState.SUCCEEDED, 50001, 0))
    assert (found.exit_code, found.reason, found.message) == (0, None, None)
    assert (found.retries, found.preemptions) == (0, 1)


@pytest.mark.parametrize(
    ("job", "needed"),
    [
        (native(State.FAILED), True),
        (native(State.SUCCEEDED), False),
        (native(State.SUCCEEDED, (change("RUNNING", "SUCCEEDED"), 5)), False),
        (native(State.SUCCEEDED, spot=True), True),
        (native(State.SUCCEEDED, ("VM was preempted", 5)), True),
        (native(State.RUNNING, spot=True), False),
        (native(State.CANCELLED, spot=True), False),
    ],
)
def test_tasks_are_needed_after_a_failure_and_where_something_hints_at_retries(job: Any, needed: bool) -> None:
    assert observation.needs_tasks(job, None) is needed


def test_a_spot_job_is_known_by_what_was_asked_for_and_by_its_policy_too() -> None:
    job = native(State.SUCCEEDED)
    assert observation.needs_tasks(job, JobSpec(image="x", spot=True))
    assert not observation.needs_tasks(job, JobSpec(image="x"))
    job.allocation_policy.instances.add().policy.provisioning_model = messages.SPOT
    assert observation.needs_tasks(job, None)


@pytest.mark.parametrize(
    ("codes", "exit_code", "reason", "retries", "preemptions"),
    [
        ((3,), 3, reasons.NON_ZERO_EXIT, 0, 0),
        ((1, 2, 3), 3, reasons.NON_ZERO_EXIT, 2, 0),
        ((137,), 137, reasons.NON_ZERO_EXIT, 0, 0),
        ((50001, 50001), None, reasons.PREEMPTED, 0, 2),
        ((50001, 3, 50002, 4), 4, reasons.NON_ZERO_EXIT, 1, 2),
        ((50005,), None, reasons.DEADLINE_EXCEEDED, 0, 0),
        ((50002,), None, reasons.MACHINE_FAILED, 0, 1),
        ((50004,), None, reasons.RESULT_LOST, 0, 0),
        ((50000,), None, reasons.FAILED, 0, 0),
        ((77777,), None, reasons.FAILED, 0, 0),
    ],
)
def test_a_failure_has_the_last_attempts_code_and_what_it_means(
    codes: tuple[int, ...], exit_code: int | None, reason: str, retries: int, preemptions: int
) -> None:
    found = seen(native(State.FAILED), task(0, TaskState.FAILED, *codes))
    assert (found.exit_code, found.reason, found.retries) == (exit_code, reason, retries)
    assert found.preemptions == preemptions
    assert str(codes[-1]) in found.message


def test_of_many_tasks_the_first_that_failed_speaks_and_all_retries_count() -> None:
    tasks = [task(2, TaskState.FAILED, 9), task(0, TaskState.SUCCEEDED, 4, 0), task(1, TaskState.FAILED, 5, 6)]
    found = seen(native(State.FAILED), *tasks)
    assert (found.exit_code, found.retries) == (6, 2)


def test_the_message_names_the_task_where_there_are_several() -> None:
    job = native(State.FAILED, counts={"SUCCEEDED": 2, "FAILED": 1})
    tasks = [task(0, TaskState.SUCCEEDED, 0), task(1, TaskState.SUCCEEDED, 0), task(2, TaskState.FAILED, 9)]
    assert seen(job, *tasks).message.startswith(
        "task 2: the program ended with exit code 9; see its logs; reported: Task state"
    )
    assert seen(native(State.FAILED), tasks[2]).message.startswith("the program ended")


def test_the_code_in_the_jobs_own_event_serves_where_no_task_is_to_be_had() -> None:
    text = change("RUNNING", "FAILED", ' Job failed due to task failure: "... FAILED on zones/z with exit code 3."')
    found = seen(native(State.FAILED, (text, 5)))
    assert (found.exit_code, found.reason) == (3, reasons.NON_ZERO_EXIT)


def test_a_failure_that_nothing_tells_of_is_still_one() -> None:
    found = seen(native(State.FAILED))
    assert (found.phase, found.reason, found.message) == (Phase.FAILED, reasons.FAILED, "the job failed")


def test_why_a_job_waits_is_told_only_while_it_waits() -> None:
    told = (change("QUEUED", "SCHEDULED"), 1), ("VM meets error: code - CODE_GCE_QUOTA_EXCEEDED", 5)
    waiting = seen(native(State.SCHEDULED, *told))
    assert (waiting.waits_because, waiting.waits_reason) == (told[1][0], reasons.QUOTA_EXCEEDED)
    assert seen(native(State.RUNNING, *told)).waits_because is None
    assert seen(native(State.SCHEDULED, told[0])).waits_because is None


def test_task_counts_come_from_the_status() -> None:
    found = seen(
        native(
            State.RUNNING, counts={"PENDING": 1, "ASSIGNED": 2, "RUNNING": 4, "SUCCEEDED": 8, "FAILED": 16, "NEW": 32}
        )
    )
    assert found.tasks == TaskCounts(total=63, pending=35, running=4, succeeded=8, failed=16)
    assert seen(native(State.QUEUED)).tasks is None


@given(
    state=st.integers(0, 20),
    told=st.lists(st.tuples(words, st.integers(0, 1000)), max_size=5),
    codes=st.lists(st.lists(st.integers(0, 60000), max_size=3), max_size=3),
)
def test_every_message_becomes_an_observation_and_always_the_same(
    state: int, told: list[tuple[str, int]], codes: list[list[int]]
) -> None:
    job = native(state, *told)
    tasks = [task(index, TaskState.FAILED, *found) for index, found in enumerate(codes)]
    one = seen(job, *tasks)
    assert one == seen(job, *tasks)
    assert one.exit_code is None or one.exit_code in range(256)
    assert one.reason is None or one.has_ended
    if one.phase is Phase.COMPLETED:
        assert (one.exit_code, one.reason) == (0, None)


def test_links_lead_to_the_job_and_to_its_logs() -> None:
    found = seen(native(State.RUNNING))
    assert found.console_url == (
        "https://console.cloud.google.com/batch/jobsDetail/regions/us-central1/jobs/n/details?project=acme"
    )
    assert found.logs_url == (
        "https://console.cloud.google.com/logs/query;query=logName%3D%22projects%2Facme%2Flogs%2Fbatch_task_logs%22"
        "%20AND%20labels.job_uid%3D%22job-uid%22?project=acme"
    )


def test_event_times_keep_their_order() -> None:
    told = [("later", 9), ("earlier", 1)]
    assert events.why_it_failed(native(State.FAILED, *told).status.status_events) == "later"
