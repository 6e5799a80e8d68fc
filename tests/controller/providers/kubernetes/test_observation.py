"""What a Job and its Pods mean, in the order that a cluster of 1.31 or newer tells it."""

from datetime import timedelta
from typing import Any

import msgspec
import pytest

from controller.domain import reasons
from controller.domain.job import TaskCounts
from controller.domain.phases import Phase
from controller.ports import Observation
from controller.providers.kubernetes import attempts, observation
from controller.providers.kubernetes.attempts import attempt_of
from controller.providers.kubernetes.wire import Job, Pod
from tests.controller.providers.kubernetes.harness import NAME, NOON, UID, at, condition, job, pod, terminated

SCHEDULED = condition("PodScheduled")
SUSPENDED = {"suspend": True}
UNRELEASED = {"annotations": {"jennah.alphaus.cloud/unreleased": "true"}}
RUNS = {"running": {"startedAt": at(2)}}
COMPLETE = (condition("SuccessCriteriaMet"), condition("Complete"))
LIMIT = {"reason": "BackoffLimitExceeded", "message": "Job has reached the specified backoff limit"}
FAILED = (condition("FailureTarget", **LIMIT), condition("Failed", **LIMIT))


def seen(one: Job, *pods: Pod) -> Observation:
    return observation.observation(one, [attempt_of(each) for each in pods])


def waits(reason: str, message: str = "words") -> Pod:
    state = {"waiting": {"reason": reason, "message": message}}
    return pod("Pending", state=state, conditions=(SCHEDULED,))


def test_the_tables_are_total() -> None:
    assert set(observation.PHASES) == set(observation.State)
    assert set(attempts.STATES) == {"Pending", "Running", "Succeeded", "Failed", "Unknown"}


@pytest.mark.parametrize(
    ("conditions", "pods", "more", "phase"),
    [
        ((), (), {}, Phase.PENDING),
        ((), (pod("Pending"),), {}, Phase.PENDING),
        ((), (pod("Pending", conditions=(SCHEDULED,)),), {}, Phase.SCHEDULED),
        ((), (pod("Running", state=RUNS),), {}, Phase.RUNNING),
        ((), (pod("Unknown", state=RUNS),), {}, Phase.RUNNING),
        # A single task that failed and is tried again waits again.
        ((), (pod("Failed", state=terminated(1)),), {"failed": 1}, Phase.PENDING),
        ((condition("Suspended"),), (), {"spec": SUSPENDED}, Phase.PENDING),
        # The Job controller has not written yet that it goes on.
        ((condition("Suspended"),), (pod("Running", state=RUNS),), {}, Phase.RUNNING),
        ((condition("Suspended", "False"),), (pod("Running", state=RUNS),), {}, Phase.RUNNING),
        # One that is not tried again is about to end, and never waits again.
        ((), (pod("Failed", state=terminated(1), failures=2),), {"failed": 2}, None),
        ((), (pod("Succeeded", state=terminated(0)),), {}, None),
        ((), (pod("Failed", state=terminated(1)),), {"spec": {"completions": 2}}, Phase.RUNNING),
        ((), (pod("Failed", state=terminated(1)), pod("Pending", name="q", failures=1)), {"spec": {"completions": 2}},
         Phase.RUNNING),
        ((), (pod("Failed", state=terminated(1)), pod("Succeeded", name="q", index=1, state=terminated(0))),
         {"spec": {"completions": 2, "backoffLimitPerIndex": 0}}, None),
        # The end is decided and Pods still run: it has not ended.
        ((condition("FailureTarget"),), (pod("Running", state=RUNS),), {"failed": 1}, None),
        ((condition("SuccessCriteriaMet"),), (), {"succeeded": 1}, None),
        (COMPLETE, (), {"succeeded": 1, "completionTime": at(9)}, Phase.COMPLETED),
        (FAILED, (), {"failed": 1}, Phase.FAILED),
    ],
)  # fmt: skip
def test_the_phase(conditions: Any, pods: Any, more: dict[str, Any], phase: Phase | None) -> None:
    found = seen(job(*conditions, **more), *pods)
    assert found.phase is phase
    assert (found.completed_at is not None) == (phase is not None and phase.is_terminal)
    assert (found.external_name, found.uid) == (NAME, UID)


def test_a_job_that_is_being_deleted_is_being_cancelled_and_one_that_ended_before_has_its_end() -> None:
    gone = {"deletionTimestamp": at(8)}
    going = seen(job(meta=gone), pod("Running", state=RUNS))
    assert (going.phase, going.is_cancelling) == (None, True)
    over = seen(job(*COMPLETE, meta=gone, succeeded=1, completionTime=at(9)))
    assert (over.phase, over.is_cancelling) == (Phase.COMPLETED, False)


def test_a_job_that_fails_while_it_is_deleted_was_cancelled_if_it_was_we_who_asked() -> None:
    """Its Pods end by the deletion, and the Job controller counts them as failures."""
    killed = pod("Failed", state=terminated(143))
    failed = condition("Failed", reason="BackoffLimitExceeded")
    found = seen(job(failed, meta={"deletionTimestamp": at(9)}, failed=1), killed)
    assert (found.phase, found.reason, found.exit_code) == (Phase.CANCELLED, reasons.CANCELLED, 143)
    assert found.failed_unless_asked == reasons.NON_ZERO_EXIT
    assert found.tasks == TaskCounts(total=1, failed=1)
    before = seen(job(failed, meta={"deletionTimestamp": at(10)}, failed=1), killed)
    assert (before.phase, before.failed_unless_asked) == (Phase.FAILED, None)


def test_times_are_the_pods_and_the_jobs() -> None:
    done = pod("Succeeded", state=terminated(0, "Completed"), conditions=(condition("PodScheduled"),))
    found = seen(job(*COMPLETE, succeeded=1, startTime=at(1), completionTime=at(6)), done)
    minutes = [found.submitted_at, found.started_at, found.completed_at]
    assert minutes == [NOON, NOON + timedelta(minutes=2), NOON + timedelta(minutes=6)]
    assert (found.exit_code, found.reason, found.message) == (0, None, None)
    cleared = seen(job(*COMPLETE, succeeded=1, startTime=at(1), completionTime=at(6)))
    assert cleared.started_at == NOON + timedelta(minutes=1), "its Pod was cleared away"


@pytest.mark.parametrize(
    ("one", "reason", "exit_code", "words"),
    [
        (pod("Failed", state=terminated(3)), reasons.NON_ZERO_EXIT, 3, "exit code 3"),
        (pod("Failed", state=terminated(3, message="no disk")), reasons.NON_ZERO_EXIT, 3,
         "exit code 3; see its logs; reported: no disk"),
        (pod("Failed", state=terminated(137, "OOMKilled")), reasons.OUT_OF_MEMORY, 137, "OOMKilled"),
        (pod("Failed", state=terminated(128, "StartError", message="exec: not found")), reasons.COMMAND_NOT_FOUND, None,
         "not found"),
        (pod("Failed", state=terminated(143), reason="DeadlineExceeded", message="too long"), reasons.DEADLINE_EXCEEDED,
         None, "too long"),
        (pod("Failed", state=terminated(137), reason="Evicted", message="disk usage"), reasons.EVICTED, 137,
         "disk usage"),
        (pod("Failed", reason="Evicted", message="The node was low on memory"), reasons.EVICTED, None, "low on memory"),
        (pod("Failed", reason="NodeShutdown", message="shut down"), reasons.MACHINE_FAILED, None,
         "NodeShutdown: shut down"),
        (pod("Failed", conditions=(condition("DisruptionTarget", reason="PreemptionByScheduler"),)), reasons.PREEMPTED,
         None, "PreemptionByScheduler"),
        (pod("Failed", conditions=(condition("DisruptionTarget", reason="TerminationByKubelet", message="low"),)),
         reasons.EVICTED, None, "low"),
    ],
)  # fmt: skip
def test_why_a_job_failed(one: Pod, reason: str, exit_code: int | None, words: str) -> None:
    found = seen(job(*FAILED, failed=1, spec={"backoffLimit": 0}), one)
    assert (found.phase, found.reason, found.exit_code) == (Phase.FAILED, reason, exit_code)
    assert words in found.message


def test_a_failed_job_whose_pods_were_cleared_away_says_what_the_job_does() -> None:
    found = seen(job(*FAILED, failed=3))
    assert (found.reason, found.exit_code, found.message) == (
        reasons.FAILED,
        None,
        f"the job failed; reported: {LIMIT['message']}",
    )


def test_a_job_that_was_active_for_too_long() -> None:
    end = condition("Failed", reason="DeadlineExceeded", message="Job was active longer than specified deadline")
    found = seen(job(end, failed=1), pod("Failed", state=terminated(143)))
    assert (found.reason, found.exit_code) == (reasons.DEADLINE_EXCEEDED, None)


def test_of_several_attempts_the_last_one_counts_and_a_disrupted_one_never() -> None:
    disrupted = (condition("DisruptionTarget", reason="EvictionByEvictionAPI"),)
    found = seen(
        job(*FAILED, failed=2, spec={"backoffLimit": 1}),
        pod("Failed", name="a", state=terminated(1, minute=3)),
        pod("Failed", name="b", state=terminated(2, minute=4)),
        pod("Failed", name="c", state=terminated(143, minute=5), conditions=disrupted),
    )
    assert (found.exit_code, found.retries) == (2, 1)


def test_retries_of_a_single_task_are_its_failures_but_the_last() -> None:
    assert seen(job(*FAILED, failed=3)).retries == 2
    assert seen(job(*COMPLETE, failed=1, succeeded=1, completionTime=at(9))).retries == 1


def test_an_array_counts_its_tasks_and_their_retries() -> None:
    array = {"completions": 6, "backoffLimit": None}
    running = [pod("Running", name=f"r{n}", index=n, state=RUNS, failures=1) for n in (3, 4)]
    found = seen(job(spec=array, succeeded=2, failed=3, failedIndexes="1"), *running)
    assert found.phase is Phase.RUNNING
    counts = found.tasks
    assert (counts.total, counts.succeeded, counts.failed, counts.running, counts.pending) == (6, 2, 1, 2, 1)
    assert found.retries == 2


def test_an_array_between_two_tasks_is_still_running() -> None:
    assert seen(job(spec={"completions": 3}, succeeded=1)).phase is Phase.RUNNING


def test_a_failed_array_tells_of_its_lowest_failed_task() -> None:
    end = condition("Failed", reason="FailedIndexes", message="Job has failed indexes")
    found = seen(
        job(end, spec={"completions": 4}, succeeded=2, failed=4, failedIndexes="2,3"),
        pod("Failed", name="a", index=0, state=terminated(9)),  # tried again, with success
        pod("Succeeded", name="b", index=0, state=terminated(0)),
        pod("Failed", name="c", index=3, state=terminated(7)),
        pod("Failed", name="d", index=2, state=terminated(5)),
    )
    assert (found.exit_code, found.message) == (5, "task 2: the program ended with exit code 5; see its logs")
    assert (found.tasks.succeeded, found.tasks.failed, found.retries) == (2, 2, 2)


@pytest.mark.parametrize(("text", "numbers"), [("", []), ("4", [4]), ("1,3-5,7", [1, 3, 4, 5, 7])])
def test_lists_of_indexes(text: str, numbers: list[int]) -> None:
    assert observation.indexes(text) == numbers


@pytest.mark.parametrize(
    ("one", "reason"),
    [
        (waits("ErrImagePull"), reasons.IMAGE_PULL_FAILED),
        (waits("ImagePullBackOff"), reasons.IMAGE_PULL_FAILED),
        (waits("InvalidImageName"), reasons.IMAGE_PULL_FAILED),
        (waits("CreateContainerConfigError"), reasons.CONTAINER_NOT_STARTED),
    ],
)
def test_why_a_container_does_not_start(one: Pod, reason: str) -> None:
    found = seen(job(), one)
    assert (found.phase, found.waits_reason) == (Phase.SCHEDULED, reason)
    assert found.waits_because.endswith(": words")


def test_why_no_node_takes_a_pod_in_the_schedulers_words() -> None:
    told = condition("PodScheduled", "False", reason="Unschedulable", message="0/3 nodes are available")
    found = seen(job(), pod("Pending", conditions=(told,)))
    assert (found.phase, found.waits_reason) == (Phase.PENDING, reasons.WAITING_FOR_CAPACITY)
    assert found.waits_because == "0/3 nodes are available"
    gated = condition("PodScheduled", "False", reason="SchedulingGated", message="gated")
    assert seen(job(), pod("Pending", conditions=(gated,))).waits_reason == reasons.HELD_EXTERNALLY


def test_a_job_that_is_held_back_or_gets_no_pods_says_so() -> None:
    held = seen(job(condition("Suspended", message="Job suspended"), spec=SUSPENDED))
    assert (held.waits_reason, held.waits_because) == (reasons.HELD_EXTERNALLY, "Job suspended")
    assert "no Pod" in seen(job()).waits_because


def test_a_job_that_was_not_let_go_is_told_from_one_that_others_suspended() -> None:
    for conditions in ((), (condition("Suspended", message="Job suspended"),)):
        assert seen(job(*conditions, meta=UNRELEASED, spec=SUSPENDED)).is_unreleased
    assert not seen(job(condition("Suspended"), spec=SUSPENDED)).is_unreleased
    assert not observation.removed(seen(job(meta=UNRELEASED, spec=SUSPENDED)), NOON).is_unreleased


def test_a_job_that_somebody_else_let_go_lacks_what_its_maker_did_not_give_it() -> None:
    assert seen(job(meta=UNRELEASED), pod("Running", state=RUNS)).is_unreleased


@pytest.mark.parametrize("end", [{"meta": {**UNRELEASED, "deletionTimestamp": at(8)}}, {"conditions": FAILED}])
def test_a_job_that_goes_or_has_ended_is_not_let_go(end: dict[str, Any]) -> None:
    assert not seen(job(*end.get("conditions", ()), meta=end.get("meta", UNRELEASED), spec=SUSPENDED)).is_unreleased


def test_a_container_that_is_just_being_made_waits_for_nothing() -> None:
    assert seen(job(), waits("ContainerCreating")).waits_because is None


def test_a_job_that_is_gone_was_cancelled_unless_it_had_ended() -> None:
    running = seen(job(), pod("Running", state=RUNS))
    gone = observation.removed(running, NOON + timedelta(minutes=4))
    assert (gone.phase, gone.reason, gone.completed_at) == (Phase.CANCELLED, "Cancelled", NOON + timedelta(minutes=4))
    assert gone.failed_unless_asked == reasons.DELETED_EXTERNALLY, "whose deletion it was is not told"
    assert (gone.tasks.running, gone.tasks.failed) == (0, 1)
    done = seen(job(*COMPLETE, succeeded=1, completionTime=at(6)))
    assert observation.removed(done, NOON) is done


def test_a_removal_is_never_before_the_start_though_times_are_whole_seconds() -> None:
    running = seen(job(), pod("Running", state=RUNS))
    assert observation.removed(running, NOON).completed_at == running.started_at


def test_a_pod_is_a_jobs_by_its_controller_and_an_epoch_is_no_start() -> None:
    made = attempt_of(pod("Failed", state=terminated(1)))
    assert made.job_uid
    never = {"terminated": {"exitCode": 128, "reason": "StartError", "startedAt": "1970-01-01T00:00:00Z"}}
    assert attempt_of(pod("Failed", state=never)).started_at is None
    lone = msgspec.structs.replace(
        pod("Running"), metadata=msgspec.structs.replace(pod().metadata, owner_references=())
    )
    assert attempt_of(lone).job_uid == ""
