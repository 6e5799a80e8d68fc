"""Task to Observation, without a service."""

import uuid
from datetime import UTC, datetime, timedelta

import msgspec
import pytest
from azure.batch.models import BatchJobState, BatchTaskState
from hypothesis import given
from hypothesis import strategies as st

from controller.domain import reasons
from controller.domain.phases import Phase
from controller.providers.azure import holds, observation
from controller.providers.azure.places import Place
from controller.providers.azure.pools import Pool
from controller.providers.azure.wire import Container, Detail, Execution, Failure, Task
from tests.contract.azure_service import azure_settings

SETTINGS = azure_settings("https://jennah.westeurope.batch.azure.com")
POOL = Pool(id="jennah", vm_size="Standard_D4s_v5", slots=4, takes_containers=True)
UID = str(uuid.UUID(int=7))
T0 = datetime(2026, 1, 1, tzinfo=UTC)


def task(index: int = 0, state: str = "active", *, seconds: float | None = None, **execution: object) -> Task:
    told = {"start_time": T0 + timedelta(seconds=5)} if state != "active" and seconds is not None else {}
    if state == "completed":
        told["end_time"] = T0 + timedelta(seconds=5 + (seconds or 0))
    return Task(
        id=f"t-{index}",
        display_name=f"uid={UID} tasks=1 limit=60 slots=1/4 node=4000/16384",
        state=state,
        state_transition_time=T0 + timedelta(seconds=1),
        creation_time=T0,
        execution_info=Execution(**{**told, **execution}),
    )


def failure(code: str, message: str = "", category: str = "UserError", **details: str) -> Failure:
    named = tuple(Detail(name=name, value=value) for name, value in details.items())
    return Failure(category=category, code=code, message=message, details=named)


SUCCEEDED = task(0, "completed", seconds=1, result="success", exit_code=0)
FAILED = task(1, "completed", seconds=1, result="failure", exit_code=3, failure_info=failure("FailureExitCode"))
ENDED = task(2, "completed", seconds=1, result="failure", exit_code=137, failure_info=failure("TaskEnded", "ended"))
WAITS = task(3)


def seen(*tasks: Task | None, job_state: str = "active", hold=None, settings=SETTINGS, **known: object):
    where = Place(job_id="j", stem="t", count=len(tasks), is_set=len(tasks) > 1)
    return observation.observation("n", where, tasks, job_state, settings, hold=hold, **known)


def in_a_window(window: int, *tasks: Task | None) -> list[Task | None]:
    """These tasks, of a set of which so many may be under way at once; each with the id of its index."""
    name = f"uid={UID} tasks={len(tasks)} parallelism={window} limit=60"
    return [
        msgspec.structs.replace(one, id=f"t-{index}", display_name=name) if one is not None else None
        for index, one in enumerate(tasks)
    ]


def test_every_state_of_the_sdk_has_a_meaning() -> None:
    assert {state.value for state in BatchTaskState} == set(observation.PHASES) | {observation.ENDED}
    assert {state.value for state in BatchJobState} == set(observation.JOB_ENDS)


@pytest.mark.parametrize(
    ("tasks", "phase"),
    [
        ([WAITS], Phase.PENDING),
        ([task(state="preparing")], Phase.SCHEDULED),
        ([task(state="running", seconds=1)], Phase.RUNNING),
        ([task(state="levitating")], None),
        ([SUCCEEDED], Phase.COMPLETED),
        ([FAILED], Phase.FAILED),
        ([ENDED], Phase.CANCELLED),
        ([task(state="completed", seconds=1, exit_code=0)], Phase.COMPLETED),
        ([task(state="completed", seconds=1, exit_code=3)], Phase.FAILED),
        (
            [task(state="completed", seconds=1, exit_code=0, failure_info=failure("FileUploadMiscError"))],
            Phase.FAILED,
        ),
        ([SUCCEEDED, WAITS], Phase.RUNNING),
        ([FAILED, WAITS], Phase.RUNNING),
        ([SUCCEEDED, FAILED], Phase.FAILED),
        ([FAILED, ENDED], Phase.CANCELLED),
        ([SUCCEEDED, SUCCEEDED], Phase.COMPLETED),
        ([SUCCEEDED, None], Phase.RUNNING),  # the last is to come
        ([ENDED, None], Phase.RUNNING),  # whether it is to come, only who asked for the end knows
        ([None, SUCCEEDED], Phase.FAILED),  # somebody removed the first
    ],
)
def test_the_phase_follows_from_the_results_of_the_tasks(tasks, phase) -> None:
    assert seen(*tasks).phase is phase


def test_a_task_that_waits_in_a_shared_job_that_was_ended_has_failed() -> None:
    end = seen(WAITS, job_state="completed")
    assert (end.phase, end.reason) == (Phase.FAILED, reasons.DELETED_EXTERNALLY)


@pytest.mark.parametrize("state", ["disabling", "disabled", "enabling"])
def test_a_disabled_shared_job_is_why_a_task_waits(state: str) -> None:
    held = seen(WAITS, job_state=state, hold=holds.of_job("j", state))
    assert (held.phase, held.waits_reason) == (Phase.PENDING, reasons.HELD_EXTERNALLY)
    assert "'j'" in held.waits_because and state in held.waits_because
    assert holds.of_job("j", "active") is None


@pytest.mark.parametrize(
    ("pool", "reason", "words"),
    [
        (None, reasons.POOL_MISSING, "does not exist"),
        ({"is_being_deleted": True}, reasons.POOL_MISSING, "being deleted"),
        ({"resize_error": "AccountCoreQuotaReached: no"}, reasons.QUOTA_EXCEEDED, "AccountCoreQuotaReached"),
        ({"resize_error": "AllocationTimedOut: no"}, reasons.WAITING_FOR_CAPACITY, "AllocationTimedOut"),
        ({"may_have_nodes": False}, reasons.WAITING_FOR_CAPACITY, "no nodes"),
    ],
)
def test_what_is_wrong_with_its_pool_is_why_a_task_waits(pool, reason: str, words: str) -> None:
    hold = holds.of_pool("p", pool if pool is None else msgspec.structs.replace(POOL, **pool))
    held = seen(WAITS, hold=hold)
    assert held.waits_reason == reason and words in held.waits_because and "'p'" in held.waits_because
    assert seen(task(state="running", seconds=1), hold=hold).waits_because is None
    assert holds.of_pool("p", POOL) is None and seen(WAITS).waits_because is None


@pytest.mark.parametrize("state", [WAITS, task(state="running", seconds=1)])
def test_what_is_in_a_shared_job_that_is_being_deleted_will_soon_be_gone(state: Task) -> None:
    leaving = seen(state, job_state="deleting")
    assert leaving.is_being_deleted and not leaving.has_ended
    assert not seen(SUCCEEDED, job_state="deleting").is_being_deleted


@pytest.mark.parametrize(
    ("last", "reason", "code"),
    [
        (FAILED, reasons.NON_ZERO_EXIT, 3),
        (
            task(state="completed", seconds=60, exit_code=137, failure_info=failure("TaskEnded")),
            reasons.DEADLINE_EXCEEDED,
            None,
        ),
        (
            task(state="completed", seconds=59.5, exit_code=137, failure_info=failure("taskended", "", "ServerError")),
            reasons.DEADLINE_EXCEEDED,
            None,
        ),
        (  # as a task that ran too long was seen in the wild: the words alone tell
            task(
                state="completed",
                seconds=2,
                exit_code=1,
                failure_info=failure(
                    "TaskEnded",
                    "The task was ended by user request",
                    Message="The maximum execution time configured on the task was exceeded",
                    AdditionalErrorCode="FailureExitCode",
                ),
            ),
            reasons.DEADLINE_EXCEEDED,
            None,
        ),
        (  # cut off at its limit, whatever the code
            task(state="completed", seconds=60, exit_code=143, failure_info=failure("FailureExitCode")),
            reasons.DEADLINE_EXCEEDED,
            None,
        ),
        (  # it ended by itself in the last moment
            task(state="completed", seconds=60, exit_code=3, failure_info=failure("FailureExitCode")),
            reasons.NON_ZERO_EXIT,
            3,
        ),
        (task(state="completed", failure_info=failure("CommandProgramNotFound")), reasons.COMMAND_NOT_FOUND, None),
        (task(state="completed", seconds=1, exit_code=127, result="failure"), reasons.NON_ZERO_EXIT, 127),
        (
            task(state="completed", failure_info=failure("X"), container_info=Container(error="image pull denied")),
            reasons.IMAGE_PULL_FAILED,
            None,
        ),
        (
            task(state="completed", seconds=1, exit_code=0, failure_info=failure("FileUploadMiscError", "no")),
            reasons.FAILED,
            None,
        ),
    ],
)
def test_why_a_task_failed(last: Task, reason: str, code: int | None) -> None:
    end = seen(last)
    assert (end.phase, end.reason, end.exit_code) == (Phase.FAILED, reason, code)
    assert end.message


@pytest.mark.parametrize(
    ("last", "otherwise"),
    [
        (ENDED, reasons.DELETED_EXTERNALLY),
        # The service's own doing, which is no deadline, unless we had asked for the end.
        (
            task(state="completed", seconds=2, failure_info=failure("TaskEnded", "node lost", "ServerError")),
            reasons.RESULT_LOST,
        ),
        # Ended while it waited: there may be no failure at all.
        (task(state="completed", result="failure"), reasons.DELETED_EXTERNALLY),
        (task(state="completed", failure_info=failure("TaskEnded")), reasons.DELETED_EXTERNALLY),
    ],
)
def test_a_task_that_a_call_ended_is_cancelled_if_the_call_was_ours(last: Task, otherwise: str) -> None:
    end = seen(last)
    assert (end.phase, end.reason, end.failed_unless_asked) == (Phase.CANCELLED, reasons.CANCELLED, otherwise)
    assert end.message and end.exit_code is None


@pytest.mark.parametrize(
    ("code", "reason"), [(137, reasons.NON_ZERO_EXIT), (-1, reasons.NON_ZERO_EXIT), (None, reasons.FAILED)]
)
def test_a_signal_that_no_failure_names_is_a_call_that_ended_the_task_if_the_call_was_ours(
    code: int | None, reason: str
) -> None:
    end = seen(task(state="completed", seconds=2, result="failure", exit_code=code))
    assert (end.phase, end.failed_unless_asked, end.exit_code) == (Phase.CANCELLED, reason, code)
    assert end.message


def test_no_signature_is_in_the_words_for_a_failure() -> None:
    settings = msgspec.structs.replace(SETTINGS, output_url="https://s.blob.core.windows.net/c?sv=2024&sig=s3cret")
    fault = failure("FileUploadAccessDenied", Message="no: https://s.blob.core.windows.net/c/x?sv=2024&sig=s3cret")
    end = seen(task(state="completed", seconds=1, failure_info=fault), settings=settings)
    assert "s3cret" not in end.message and "FileUploadAccessDenied" in end.message


def test_a_set_counts_its_tasks_and_tells_of_the_first_that_failed() -> None:
    end = seen(SUCCEEDED, FAILED, task(2, "completed", seconds=2, exit_code=9, result="failure", retry_count=2))
    assert (end.tasks.total, end.tasks.succeeded, end.tasks.failed) == (3, 1, 2)
    assert (end.exit_code, end.retries) == (3, 2)
    assert end.completed_at == T0 + timedelta(seconds=7)


def test_losses_of_the_node_are_no_retries() -> None:
    one = seen(task(retry_count=1, requeue_count=2), task(retry_count=3))
    assert (one.retries, one.preemptions) == (4, 2)


RUNS = task(state="running", seconds=1)


@pytest.mark.parametrize(
    ("window", "tasks", "submitted", "due", "is_at_rest"),
    [
        (2, [RUNS, WAITS, None, None], 2, 0, False),  # all that may be are under way
        (2, [SUCCEEDED, RUNS, None, None], 2, 1, False),
        (2, [SUCCEEDED, FAILED, None, None], 2, 2, True),
        (2, [SUCCEEDED, SUCCEEDED, SUCCEEDED, None], 3, 1, True),  # no more than there are
        (2, [SUCCEEDED, SUCCEEDED, SUCCEEDED, RUNS], 4, 0, False),
        (2, [SUCCEEDED, ENDED, None, None], 2, 2, True),  # ended by hand: that one has failed, the others run
        # Made by a process that died before it could say so: what is there counts, and what is not is made.
        (2, [SUCCEEDED, SUCCEEDED, RUNS, None], 2, 1, False),
        (2, [SUCCEEDED, SUCCEEDED, None, RUNS], 2, 2, False),
        (3, [SUCCEEDED, None, RUNS, None, None, None], 1, 3, False),
        # Removed by hand: it is not made again, and does not stand in the way of the next.
        (2, [SUCCEEDED, None, None, None], 2, 2, True),
        (1, [None, SUCCEEDED, None, None], 2, 1, True),
        # Nobody remembers how many were made: what is not there below the last one was removed.
        (2, [SUCCEEDED, None, SUCCEEDED, None], None, 1, True),
        (0, [SUCCEEDED, RUNS, None, None], 2, 2, False),  # no window: the making was cut off
    ],
)
def test_as_many_tasks_are_due_as_the_parallelism_has_room_for(window, tasks, submitted, due, is_at_rest) -> None:
    one = seen(*in_a_window(window, *tasks), submitted=submitted)
    assert (one.tasks_due, one.is_at_rest, one.has_ended) == (due, is_at_rest, False if due else one.has_ended)
    assert one.tasks.total == 4 if len(tasks) == 4 else 6


def test_a_set_that_is_at_rest_runs_and_has_not_ended_until_that_is_wanted() -> None:
    one = seen(*in_a_window(2, SUCCEEDED, SUCCEEDED, None), submitted=2)
    assert (one.phase, one.completed_at, one.exit_code) == (Phase.RUNNING, None, None)
    assert (one.tasks.pending, one.tasks.succeeded, one.tasks.submitted) == (1, 2, 2)
    end = one.as_ended()
    assert (end.phase, end.reason, end.tasks_due, end.is_at_rest) == (Phase.CANCELLED, reasons.CANCELLED, 0, False)


def test_a_set_of_which_nothing_has_run_is_pending_though_what_was_made_of_it_was_ended() -> None:
    cut = task(state="completed", failure_info=failure("TaskEnded"))
    assert seen(*in_a_window(2, cut, cut, None), submitted=2).phase is Phase.PENDING


def test_a_task_that_is_not_shown_yet_takes_its_place_and_keeps_the_set_from_its_end() -> None:
    one = seen(*in_a_window(2, SUCCEEDED, None, None, None), submitted=2, hidden=[1])
    assert (one.tasks_due, one.is_at_rest, one.tasks.pending) == (1, False, 3)
    assert not seen(*in_a_window(2, SUCCEEDED, None), submitted=2, hidden=[1]).has_ended


def test_a_set_of_which_a_task_was_removed_fails_when_the_others_have_ended() -> None:
    end = seen(*in_a_window(1, SUCCEEDED, None, SUCCEEDED), submitted=3)
    assert (end.phase, end.reason) == (Phase.FAILED, reasons.DELETED_EXTERNALLY)
    assert "1 of its tasks" in end.message


@pytest.mark.parametrize("state", ["completed", "terminating", "gone"])
def test_a_set_whose_shared_job_was_ended_gets_no_more_tasks_and_has_failed(state: str) -> None:
    end = seen(*in_a_window(2, SUCCEEDED, SUCCEEDED, None), submitted=2, job_state=state)
    assert (end.phase, end.reason, end.tasks_due) == (Phase.FAILED, reasons.DELETED_EXTERNALLY, 0)


STATES = st.sampled_from([None, WAITS, SUCCEEDED, FAILED, ENDED, task(state="running", seconds=1), task(state="x")])


@given(
    st.lists(STATES, min_size=1, max_size=5).filter(any),
    st.sampled_from(["active", "completed", "gone", "new"]),
    st.integers(0, 4),
    st.none() | st.integers(0, 6),
)
def test_an_observation_is_total_and_its_counts_agree(tasks, job_state, window, submitted) -> None:
    one = seen(*in_a_window(window, *tasks), job_state=job_state, submitted=submitted)
    counts = one.tasks
    assert counts.total == counts.pending + counts.running + counts.succeeded + counts.failed == len(tasks)
    assert min(counts.pending, counts.running, counts.succeeded, counts.failed) >= 0
    assert (one.exit_code == 0) == (one.phase is Phase.COMPLETED)
    assert one.has_ended or (one.completed_at, one.reason) == (None, None)
    under_way = sum(one is not None and one.state != "completed" for one in tasks)
    new = sum(one is None for one in tasks[one.tasks.submitted or 0 :][: one.tasks_due])
    assert not one.tasks_due or under_way + new <= (window or len(tasks))
    assert not (one.has_ended and (one.tasks_due or one.is_at_rest))
