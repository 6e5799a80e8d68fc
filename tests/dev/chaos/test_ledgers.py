"""What the chaos calls a fault: each kind of duplicate, loss and disagreement is found, and a good life is none."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import msgspec
import pytest

from controller.domain.job import Job, JobSpec, JobStatus, Metadata
from controller.domain.phases import Phase
from controller.domain.records import JobRow, NotificationRow, TransitionRow
from dev.chaos.ledgers import Circumstances, Record, Verdict, compare
from dev.chaos.restores import Restored
from dev.chaos.workload import Asked
from dev.emulators.control import LedgerEntry

NOW = datetime(2026, 1, 1, tzinfo=UTC)
GOOD_PATH = [(None, "PENDING"), ("PENDING", "RUNNING"), ("RUNNING", "COMPLETED")]


class Run:
    """A run with one job that came to a good end; a test changes what it is about."""

    def __init__(self) -> None:
        self.asked = Asked(name="chaos-1-0", seconds=1, exit_code=0, is_acknowledged=True)
        self.phase: Phase = Phase.COMPLETED
        self.exit_code: int | None = 0
        self.row_status: Phase | None = Phase.COMPLETED
        self.path = list(GOOD_PATH)
        self.notes = ["COMPLETED"]
        self.cloud: list[LedgerEntry] = [entry()]
        self.is_there = True
        self.restored = Restored()
        self.are_places_left = False

    def verdict(self) -> Verdict:
        name = self.asked.name
        status = JobStatus(phase=self.phase, exit_code=self.exit_code)
        job = Job(metadata=Metadata(name=name, uid="u"), spec=JobSpec(image="i"), status=status)
        rows = {}
        if self.row_status is not None:
            rows[name] = JobRow(tenant_id="t", job_id=name, status=self.row_status, created_at=NOW, updated_at=NOW)
        record = Record(rows=rows, audits={name: audit(self.path)}, notifications={name: notes(name, self.notes)})
        case = Circumstances(restored=self.restored, are_places_left=self.are_places_left)
        return compare([self.asked], {name: job} if self.is_there else {}, record, self.cloud, case)

    @property
    def name(self) -> str:
        return self.asked.name


def entry(**changes: Any) -> LedgerEntry:
    good = LedgerEntry(
        id="1", name="chaos-1-0-0123", uid="u", state="SUCCEEDED", created_at=0, ran_seconds=1, exit_code=0
    )
    return msgspec.structs.replace(good, **changes)


def audit(path: Sequence[tuple[str | None, str]]) -> list[TransitionRow]:
    return [
        TransitionRow(transition_id=str(n), from_status=before, to_status=after, transitioned_at=NOW, reason=None)
        for n, (before, after) in enumerate(path)
    ]


def notes(job_id: str, ends: Sequence[str]) -> list[NotificationRow]:
    return [
        NotificationRow(
            notification_id=str(n),
            tenant_id="t",
            job_id=job_id,
            job_name=None,
            final_status=end,
            service_tier=None,
            assigned_service=None,
            occurred_at=NOW,
            error_message=None,
            is_read=False,
        )
        for n, end in enumerate(ends)
    ]


def test_a_good_life_is_no_fault() -> None:
    verdict = Run().verdict()
    assert (verdict.jobs, verdict.cloud_jobs, verdict.disagreements) == (1, 1, [])
    assert verdict.is_good


def test_a_second_cloud_job_that_ran_is_a_duplicate_and_one_that_never_started_is_an_ended_one() -> None:
    run = Run()
    run.cloud = [entry(), entry(id="2", ran_seconds=0.1)]
    assert (run.verdict().duplicates, run.verdict().is_good) == (1, False)
    run.cloud = [entry(), entry(id="2", ran_seconds=0, state="FAILED", exit_code=None)]
    assert (run.verdict().duplicates, run.verdict().ended_duplicates, run.verdict().is_good) == (0, 1, True)


@pytest.mark.parametrize(
    "change",
    [
        {"is_there": False},
        {"phase": Phase.RUNNING},
        {"cloud": []},
    ],
)
def test_a_job_that_is_nowhere_has_no_end_or_never_ran_is_lost(change: dict[str, Any]) -> None:
    run = Run()
    vars(run).update(change)
    assert run.verdict().lost == 1


def test_a_call_that_was_never_answered_is_a_loss() -> None:
    run = Run()
    run.asked.is_acknowledged = False
    assert run.verdict().lost == 1


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        ({"row_status": Phase.FAILED}, "Completed in Kubernetes, Failed in the database"),
        ({"row_status": None}, "the database has no row"),
        ({"exit_code": None}, "exit code 0 at the service, None in Kubernetes"),
        ({"cloud": [entry(exit_code=3)]}, "exit code 3 at the service, and COMPLETED"),
        ({"cloud": [entry(state="RUNNING")]}, "goes on: RUNNING"),
        ({"cloud": [entry(), entry(name="other-job-0123", uid="v")]}, "other-job: a cloud job of nobody"),
        ({"path": GOOD_PATH[1:]}, "no life"),
        ({"path": [GOOD_PATH[0], GOOD_PATH[2]]}, "no life"),
        ({"path": [*GOOD_PATH, ("COMPLETED", "FAILED")]}, "no life"),
        ({"path": [*GOOD_PATH, ("COMPLETED", "COMPLETED")]}, "no life"),
        ({"notes": []}, "notifications []"),
        ({"notes": ["COMPLETED", "COMPLETED"]}, "notifications ['COMPLETED', 'COMPLETED']"),
        ({"notes": ["FAILED"]}, "notifications ['FAILED']"),
    ],
)
def test_what_the_ledgers_say_differently_is_told(change: dict[str, Any], fault: str) -> None:
    run = Run()
    vars(run).update(change)
    assert [line for line in run.verdict().disagreements if fault in line], run.verdict().disagreements


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        ({"tasks": 6, "most_at_once": 3}, "3 tasks at once, asked for 2"),
        ({"tasks": 5, "most_at_once": 2}, "COMPLETED with 5 of 6 tasks"),
    ],
)
def test_a_set_runs_all_of_its_tasks_and_never_more_at_once_than_was_asked_for(
    change: dict[str, Any], fault: str
) -> None:
    run = Run()
    run.asked.tasks, run.asked.parallelism = 6, 2
    run.cloud = [entry(tasks=6, most_at_once=2)]
    assert run.verdict().is_good
    run.cloud = [entry(**change)]
    assert [line for line in run.verdict().disagreements if fault in line], run.verdict().disagreements


def test_a_task_of_a_set_that_was_made_twice_is_a_duplicate() -> None:
    run = Run()
    run.asked.tasks, run.asked.parallelism = 6, 2
    run.cloud = [entry(tasks=6, tasks_made_again=1)]
    assert run.verdict().duplicates == 1


def test_nobody_is_cancelled_who_did_not_wish_it() -> None:
    run = Run()
    run.phase = run.row_status = Phase.CANCELLED
    run.path, run.notes = [(None, "PENDING"), ("PENDING", "CANCELLED")], ["CANCELLED"]
    run.cloud = [entry(state="CANCELLED", exit_code=137)]
    assert "CANCELLED, and nobody wished that" in run.verdict().disagreements[0]
    run.asked.wish = "cancel"
    assert run.verdict().is_good


def test_a_job_that_was_deleted_by_the_api_is_gone_everywhere_and_does_not_run_on() -> None:
    run = Run()
    run.asked.wish, run.is_there, run.row_status = "delete", False, None
    assert run.verdict().is_good
    run.row_status = Phase.CANCELLED
    assert "still in the database" in run.verdict().disagreements[0]
    run.row_status, run.is_there = None, True
    assert "still in Kubernetes" in run.verdict().disagreements[0]
    run.is_there, run.cloud = False, [entry(state="RUNNING")]
    assert "goes on" in run.verdict().disagreements[0]


def test_an_object_that_was_deleted_by_kubectl_keeps_its_row_as_history() -> None:
    run = Run()
    run.asked.wish, run.asked.by_kubectl, run.is_there = "delete", True, False
    assert run.verdict().is_good
    run.row_status = None
    assert "the database has no row" in run.verdict().disagreements[0]
    run.cloud = []  # it was gone before any operator saw it
    assert run.verdict().is_good


def test_an_object_that_expired_is_judged_by_its_row() -> None:
    run = Run()
    run.is_there = False
    assert run.verdict().lost == 1
    run.asked.expires = True
    assert run.verdict().is_good
    run.row_status, run.path, run.notes = Phase.RUNNING, GOOD_PATH[:2], []
    assert run.verdict().lost == 1
    run.row_status, run.path, run.notes = Phase.FAILED, [*GOOD_PATH[:2], ("RUNNING", "FAILED")], ["FAILED"]
    assert "exit code 0 at the service, and FAILED" in run.verdict().disagreements[0]
    run = Run()
    run.asked.expires, run.is_there, run.cloud = True, False, []
    assert run.verdict().lost == 1, "it never ran"


def test_what_a_restored_kubernetes_does_not_have_is_not_lost_and_still_must_not_run_twice() -> None:
    run = Run()
    run.is_there = False
    run.restored.forgotten = {run.name}
    assert (run.verdict().lost, run.verdict().forgotten, run.verdict().is_good) == (0, 1, True)
    run.cloud = [entry(), entry(id="2")]
    assert (run.verdict().duplicates, run.verdict().is_good) == (1, False)
    run.cloud, run.row_status, run.path, run.notes = [], Phase.PENDING, GOOD_PATH[:1], []
    assert run.verdict().is_good, "it was never sent"
    run.row_status = None
    assert run.verdict().is_good, "nor recorded"
    run.is_there, run.phase = True, Phase.RUNNING
    assert run.verdict().lost == 1, "a caller has submitted it again: it counts as any other"


def test_the_cloud_job_of_a_forgotten_object_is_ended_as_an_orphan_and_its_row_has_that_end() -> None:
    run = Run()
    run.is_there, run.restored.forgotten = False, {run.name}
    run.cloud = [entry(state="CANCELLED", exit_code=137)]
    run.row_status, run.notes = Phase.CANCELLED, ["CANCELLED"]
    run.path = [*GOOD_PATH[:2], ("RUNNING", "CANCELLED")]
    assert run.verdict().is_good
    run.row_status, run.path, run.notes = Phase.RUNNING, GOOD_PATH[:2], []
    assert not run.verdict().is_good, "an operator looks for it where it was sent"
    run.are_places_left = True
    assert (run.verdict().is_good, run.verdict().left_open) == (True, [run.name])
    run.asked.wish = "delete"
    run.asked.by_kubectl = True
    run.restored.forgotten = set()
    assert not run.verdict().is_good, "who is deleted in the usual way is followed to the end"


def test_a_deleted_job_that_comes_back_with_kubernetes_ends_and_is_not_sent() -> None:
    run = Run()
    run.asked.wish, run.row_status = "delete", None
    run.phase, run.exit_code = Phase.FAILED, None
    run.cloud = [entry(created_at=10)]
    assert "deleted, and still in Kubernetes" in run.verdict().disagreements[0]
    run.restored.revived = {run.name: 20.0}
    assert run.verdict().is_good
    run.cloud = [entry(created_at=21)]
    assert run.verdict().is_good, "the caller was not told that it is deleted"
    run.asked.wish_acknowledged_at = 15.0
    assert "sent as 1 after its object came back" in run.verdict().disagreements[0]
    run.cloud, run.phase = [], Phase.PENDING
    assert "deleted, and still in Kubernetes" in run.verdict().disagreements[0]


def test_an_emptied_status_may_lack_the_exit_code_and_have_no_other() -> None:
    run = Run()
    run.exit_code = None
    assert not run.verdict().is_good
    run.asked.is_emptied = True
    assert run.verdict().is_good
    run.exit_code = 3
    assert not run.verdict().is_good


def test_suspects_are_told_by_name() -> None:
    run = Run()
    run.cloud = [entry(), entry(id="2"), entry(name="other-job-0123", uid="v")]
    assert run.verdict().suspects == [run.name, "other-job"]
