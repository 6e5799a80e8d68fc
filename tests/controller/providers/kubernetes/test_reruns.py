"""Which tasks are run again, which Pods are marked for that, and what is counted."""

from typing import Any

import pytest

from controller.domain import reasons
from controller.providers.kubernetes.attempts import Attempt, State, attempt_of
from controller.providers.kubernetes.reruns import Tasks
from controller.providers.kubernetes.wire import Job
from tests.controller.providers.kubernetes.harness import at, condition, job, pod, terminated

LATE = {"reason": "DeadlineExceeded", "message": "too long"}
RUNS = {"running": {"startedAt": at(2)}}
DISRUPTED = (condition("DisruptionTarget", reason="PreemptionByScheduler"),)


def limited(limit: str = "1", *conditions: dict[str, str], **spec: Any) -> Job:
    """A Job with that preemptionLimit."""
    meta = {"annotations": {"jennah.alphaus.cloud/preemption-limit": limit} if limit else {}}
    return job(*conditions, meta=meta, spec={"backoffLimitPerIndex": 2, "backoffLimit": None, **spec})


def one(phase: str = "Failed", name: str = "p", minute: int = 1, **more: Any) -> Attempt:
    given = {"state": terminated(1), "meta": {"creationTimestamp": at(minute)}, **more}
    return attempt_of(pod(phase, name=name, **given))


def marked(of: Job, *attempts: Attempt) -> list[str]:
    return [mark.attempt.name for mark in Tasks(of, attempts).marks()]


def test_a_pod_that_ran_into_its_limit_is_marked_once() -> None:
    late = one(**LATE)
    (mark,) = Tasks(limited(), [late]).marks()
    assert mark.patch["metadata"] == {"uid": "uid-p", "resourceVersion": "11"}, "that Pod, as it was read"
    (told,) = mark.patch["status"]["conditions"]
    assert (told["type"], told["status"], told["reason"]) == (
        "jennah.alphaus.cloud/NotRunAgain",
        "True",
        reasons.DEADLINE_EXCEEDED,
    )
    assert "phase" not in mark.patch["status"]
    assert marked(limited(), one(**LATE, conditions=(condition("jennah.alphaus.cloud/NotRunAgain"),))) == []


def test_a_failure_of_the_program_is_left_to_the_jobs_own_limit() -> None:
    assert marked(limited(), one()) == []


def test_a_job_of_an_earlier_release_or_that_has_ended_is_left_alone() -> None:
    assert marked(limited(""), one(**LATE)) == []
    assert marked(limited("1", condition("FailureTarget")), one(**LATE)) == []


@pytest.mark.parametrize(("limit", "is_marked"), [("0", True), ("1", True), ("2", False)])
def test_a_task_that_was_disrupted_more_often_than_its_limit_is_marked(limit: str, is_marked: bool) -> None:
    """The Pods before it may be gone: the Job controller's count of them is on the Pod."""
    assert marked(limited(limit), one(conditions=DISRUPTED, disruptions=1)) == (["p"] if is_marked else [])


def test_disruptions_are_counted_by_the_pods_as_well_and_each_task_for_itself() -> None:
    first, second = one(name="a", minute=1, conditions=DISRUPTED), one(name="b", minute=2, conditions=DISRUPTED)
    other = one(name="c", index=1, conditions=DISRUPTED)
    assert marked(limited(completions=2), first, other) == []
    assert marked(limited(completions=2), first, second, other) == ["b"]
    assert Tasks(limited(completions=2), [first, second, other]).preemptions() == 3


def test_a_pod_that_is_still_going_is_not_marked() -> None:
    assert marked(limited("0"), one("Running", state=RUNS, conditions=DISRUPTED)) == []


def test_a_pod_whose_image_never_comes_is_failed() -> None:
    state = {"waiting": {"reason": "InvalidImageName", "message": "no"}}
    (mark,) = Tasks(limited(), [one("Pending", state=state)]).marks()
    assert mark.patch["status"]["phase"] == "Failed"
    assert mark.patch["status"]["conditions"][0]["reason"] == reasons.IMAGE_PULL_FAILED


def test_a_failure_counts_as_a_retry_once_another_attempt_is_there() -> None:
    failed, again = one(name="a", minute=1), one("Running", name="b", minute=2, state=RUNS)
    assert Tasks(limited(), [failed]).retries() == 0
    assert Tasks(limited(), [failed, again]).retries() == 1
    later = one("Running", name="b", minute=2, state=RUNS, failures=2)
    assert Tasks(limited(), [later]).retries() == 2, "the Pods before it were cleared away"
    assert Tasks(limited(), [one(conditions=DISRUPTED), again]).retries() == 0, "the program did not fail"


def test_final_failures_of_an_array_are_no_retries() -> None:
    array = limited(completions=2, backoffLimitPerIndex=0)
    tasks = Tasks(array, [one(name="a", index=0), one(name="b", index=1)])
    assert (tasks.retries(), tasks.is_decided(0), tasks.is_decided(1)) == (0, True, True)


@pytest.mark.parametrize(
    ("failures", "more", "is_decided"),
    [(2, {}, True), (1, {}, False), (0, LATE, True), (2, {"conditions": DISRUPTED}, False)],
)
def test_whether_another_attempt_comes(failures: int, more: dict[str, Any], is_decided: bool) -> None:
    assert Tasks(limited(), [one(failures=failures, **more)]).is_decided(0) is is_decided


@pytest.mark.parametrize(
    ("status", "minute", "counted"), [("True", 3, 1), ("False", 3, 1), ("False", 1, 0), ("False", 2, 0)]
)
def test_an_attempt_that_a_suspension_took_away_is_a_preemption(status: str, minute: int, counted: int) -> None:
    """A Job begins with a suspension, over before its first Pod (at 12:02)."""
    told = condition("Suspended", status) | {"lastTransitionTime": at(minute)}
    gone = {"creationTimestamp": at(1), "deletionTimestamp": at(3)}
    taken = one("Running", state=RUNS, meta=gone)
    assert taken.is_removed
    again = one("Running", name="q", minute=4, state=RUNS)
    tasks = Tasks(limited("0", told), [taken, again])
    assert (tasks.preemptions(), tasks.retries()) == (counted, 0)
    assert list(tasks.marks()) == [], "a queue may take its room back as often as it likes"


def test_a_pod_that_was_removed_while_it_ran_is_no_attempt_that_is_there() -> None:
    taken = Attempt(name="p", namespace="n", uid="u", job_uid="j", version="1", index=0, state=State.REMOVED)
    assert Tasks(limited(), [taken]).newest() == {}
