"""Requests and observations as the files of a job's folder and back: pure.

job.json is written by the provider, state.json by the runner (and by the provider for a runner that is lost).
"""

from collections.abc import Callable
from datetime import datetime
from enum import StrEnum
from pathlib import Path

import msgspec

from controller.domain import failures, reasons
from controller.domain.failures import Failure
from controller.domain.job import TaskCounts
from controller.domain.phases import Phase
from controller.ports import Observation, OwnedJob, SubmitRequest


class NativeState(StrEnum):
    """The runner's words (`tasks.STATES`) for where a job is."""

    STARTING = "starting"
    RUNNING = "running"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELLED = "cancelled"


class NativeReason(StrEnum):
    """The runner's words (`tasks.REASONS`) for why a job failed."""

    EXIT_CODE = "exit-code"
    COMMAND_NOT_FOUND = "command-not-found"
    NOT_STARTED = "not-started"
    DEADLINE = "deadline"
    LOST = "lost"


PHASES = {
    NativeState.STARTING: Phase.SCHEDULED,
    NativeState.RUNNING: Phase.RUNNING,
    NativeState.SUCCEEDED: Phase.COMPLETED,
    NativeState.FAILED: Phase.FAILED,
    NativeState.CANCELLED: Phase.CANCELLED,
}
"""Total. A job whose runner has written nothing yet is Pending."""

FAILURES: dict[NativeReason, Callable[["StateFile"], Failure]] = {
    NativeReason.EXIT_CODE: lambda state: failures.exited(state.exit_code or 0),
    NativeReason.COMMAND_NOT_FOUND: lambda state: failures.command_not_found(state.message or "", state.exit_code),
    NativeReason.NOT_STARTED: lambda state: failures.not_started(state.message or ""),
    NativeReason.DEADLINE: lambda state: failures.timed_out(state.limit_seconds),
    NativeReason.LOST: lambda state: Failure(reason=reasons.RUNNER_LOST, message=state.message or ""),
}
"""Total."""


class JobFile(msgspec.Struct, frozen=True, kw_only=True):
    """job.json: all that the runner needs. `env` is secret, hence the file's mode 0600."""

    uid: str
    job_id: str
    tenant_id: str
    image: str
    """Only for people who look: it is not run."""
    command: tuple[str, ...]
    """Empty: the job does nothing and succeeds."""
    env: dict[str, str]
    completions: int
    parallelism: int | None
    """None: as many at once as the machine takes well."""
    backoff_limit: int
    """Retries of each task."""
    deadline_seconds: int | None
    """Of each attempt at each task."""
    submitted_at: datetime
    namespace: str = ""
    """"": it was submitted by an earlier release."""
    is_left_alone: bool = False
    """spec.deletionPolicy is Orphan."""


class StateFile(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """state.json: how the job stands."""

    uid: str
    state: NativeState
    submitted_at: datetime
    tasks: TaskCounts
    scheduled_at: datetime | None = None
    started_at: datetime | None = None
    completed_at: datetime | None = None
    retries: int = 0
    exit_code: int | None = None
    reason: NativeReason | None = None
    message: str | None = None
    """What the runner adds to the reason."""
    task: int | None = None
    """The task that the reason is of."""
    limit_seconds: int | None = None
    is_cancelling: bool = False
    groups: tuple[int, ...] = ()
    """The process groups of the tasks that run."""
    runner: int | None = None
    """The runner's pid."""

    @property
    def phase(self) -> Phase:
        return PHASES[self.state]


class Place(msgspec.Struct, frozen=True, kw_only=True):
    """Where a job is kept."""

    region: str
    folder: Path
    """Absolute; its name is the job's external name."""


def job_file(request: SubmitRequest, *, submitted_at: datetime) -> JobFile:
    """What the runner is told of a request."""
    spec = request.spec
    return JobFile(
        uid=request.uid,
        job_id=request.job_id,
        tenant_id=request.tenant_id,
        image=spec.image,
        command=(spec.command or ()) + (spec.args or ()),
        env=dict(request.env),
        completions=spec.completions,
        parallelism=spec.parallelism,
        backoff_limit=spec.backoff_limit,
        deadline_seconds=request.resources.max_run_duration_seconds or None,
        submitted_at=submitted_at,
        namespace=request.namespace,
        is_left_alone=spec.deletion_policy == "Orphan",
    )


def owned(job: JobFile, seen: Observation) -> OwnedJob:
    """The job with what it carries of its JennahJob."""
    return OwnedJob(
        seen=seen,
        has_ended=seen.has_ended,
        namespace=job.namespace,
        tenant_id=job.tenant_id,
        job_id=job.job_id,
        is_left_alone=job.is_left_alone,
    )


def waiting(job: JobFile, place: Place) -> Observation:
    """A job whose runner has written nothing yet."""
    tasks = TaskCounts(total=job.completions, pending=job.completions)
    base = _observation(job.uid, place, Phase.PENDING, tasks)
    return msgspec.structs.replace(base, submitted_at=job.submitted_at)


def observation(state: StateFile, place: Place) -> Observation:
    """What a state file says."""
    failure = FAILURES[state.reason](state) if state.reason and state.phase is Phase.FAILED else None
    if failure is not None and state.tasks.total > 1:
        failure = failure.of_task(state.task)
    return msgspec.structs.replace(
        _observation(state.uid, place, state.phase, state.tasks),
        is_cancelling=state.is_cancelling and not state.phase.is_terminal,
        submitted_at=state.submitted_at,
        scheduled_at=state.scheduled_at,
        started_at=state.started_at,
        completed_at=state.completed_at,
        exit_code=failure.exit_code if failure else state.exit_code,
        retries=state.retries,
        reason=reasons.CANCELLED if state.phase is Phase.CANCELLED else failure.reason if failure else None,
        message=failure.message if failure else state.message,
    )


def lost(job: JobFile, last: StateFile | None, *, now: datetime) -> StateFile:
    """The end of a job whose runner died, from the last thing that it wrote (None: nothing legible)."""
    counts = last.tasks if last else TaskCounts(total=job.completions, pending=job.completions)
    return StateFile(
        uid=job.uid,
        state=NativeState.FAILED,
        submitted_at=job.submitted_at,
        scheduled_at=last.scheduled_at if last else None,
        started_at=last.started_at if last else None,
        completed_at=now,
        tasks=msgspec.structs.replace(counts, running=0, failed=counts.failed + counts.running),
        retries=last.retries if last else 0,
        reason=NativeReason.LOST,
        message="the process that ran the job ended before the job did",
    )


def _observation(uid: str, place: Place, phase: Phase, tasks: TaskCounts) -> Observation:
    name = place.folder.name
    logs = place.folder / "task-0.log" if tasks.total == 1 else place.folder
    return Observation(
        external_name=name,
        uid=uid,
        resource_path=f"local/{place.region}/jobs/{name}",
        phase=phase,
        tasks=tasks,
        logs_url=logs.as_uri(),
    )
