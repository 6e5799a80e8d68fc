"""What the reconciler needs from the outside, as Protocols. Their contract is in the comments here;
`tests/contract/` holds every adapter, and every stand-in, to it.

All calls raise errors of `domain.errors` only, and end within a time limit that is shorter than the lease.
"""

from collections.abc import AsyncIterator, Callable, Collection, Mapping, Sequence, Set
from datetime import datetime
from typing import Protocol, runtime_checkable

import msgspec

from controller.domain import reasons
from controller.domain.destination import Destination
from controller.domain.differences import Remark
from controller.domain.job import Job, JobSpec, TaskCounts
from controller.domain.phases import Phase
from controller.domain.records import (
    JobRow,
    NotificationRow,
    Recorded,
    TenantRow,
    Transition,
    TransitionRow,
)
from controller.domain.resources import NO_SIZING, ResourceSet, Sizing
from controller.domain.tenants import TenantPolicy


class Clock(Protocol):
    """Time as a parameter. Tests move it by hand."""

    def now(self) -> datetime:
        """The wall clock, in UTC. Only for what is shown and stored."""
        ...

    def monotonic(self) -> float:
        """Seconds that never go back. For everything that is measured or waited for."""
        ...

    async def sleep(self, seconds: float) -> None: ...


class Leadership(Protocol):
    """Whether this process may act. Asked before every action; a standby only watches."""

    def is_leader(self) -> bool: ...

    async def wait_until_leader(self) -> None: ...


class SubmitRequest(msgspec.Struct, frozen=True, kw_only=True):
    """One job, ready to be mapped to a service's request. `env` is resolved and secret: it is never logged."""

    external_name: str
    uid: str
    job_id: str
    tenant_id: str
    spec: JobSpec
    resources: ResourceSet
    sizing: Sizing = NO_SIZING
    """What the named machine type has to do with `resources`, and the GPUs and shared memory."""
    env: Mapping[str, str]
    namespace: str = ""
    """The object's: the cloud job carries it, so that it can be told whose it was when the object is gone."""
    object_name: str = ""
    """The object's name."""
    created_at: datetime
    """The object's creationTimestamp: never changes, so a place that is derived from it is the same for every try."""
    send_by: float | None = None
    """`Clock.monotonic` time after which the call must not be begun any more (names_are_ids False): what is sent
    later could be a second job. None: no such limit."""
    destination: Destination | None = None
    """Where it goes, as it was written down before. None: where today's settings say; only outside of the operator."""
    begun: "Observation | None" = None
    """How the job stands that is to get its next tasks (`Observation.tasks_due`). None: it is to be begun."""

    def __repr__(self) -> str:
        return f"SubmitRequest({self.external_name})"


class Observation(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """What a service said of one job. Times are the service's own, in UTC; None is "the service does not say"."""

    external_name: str
    uid: str
    """The JennahJob's uid as the cloud job carries it: whose job it is."""
    resource_path: str
    phase: Phase | None
    """None: the service's state does not tell (it is ending the job, say); the phase stays as it was."""
    is_cancelling: bool = False
    is_being_deleted: bool = False
    """Somebody removes it from the service; soon it will be unknown there."""
    submitted_at: datetime | None = None
    scheduled_at: datetime | None = None
    started_at: datetime | None = None
    completed_at: datetime | None = None
    exit_code: int | None = None
    retries: int = 0
    """Attempts that failed by the program and were run again, of all tasks."""
    preemptions: int = 0
    """Attempts that ended because their machine was taken back or lost, of all tasks."""
    tasks: TaskCounts | None = None
    tasks_due: int = 0
    """So many more tasks of a set may be made now, to keep spec.parallelism: submit again, with this observation."""
    is_unreleased: bool = False
    """It was made and has not been let go: it never ran, and does not until `submit` is called again."""
    is_at_rest: bool = False
    """Tasks are still to be made and none is under way: where none shall be made any more, it has ended."""
    reason: str | None = None
    """A word of `domain.reasons`, for a job that ended."""
    failed_unless_asked: str | None = None
    """Only with CANCELLED, of a service that says that a call ended the job and not whose: it was ours if status has
    the mark that we asked (the condition Cancelling); else the job is FAILED, and this is the reason."""
    message: str | None = None
    waits_because: str | None = None
    """The service's own words for why a job gets no machine. Only while it waits for one."""
    waits_reason: str = reasons.WAITING_FOR_CAPACITY
    remarks: tuple[Remark, ...] = ()
    console_url: str | None = None
    logs_url: str | None = None

    @property
    def has_ended(self) -> bool:
        return self.phase is not None and self.phase.is_terminal

    def as_ended(self) -> "Observation":
        """What is at rest, once it is sure that no more tasks are made."""
        return msgspec.structs.replace(
            self,
            phase=Phase.CANCELLED,
            tasks_due=0,
            is_at_rest=False,
            reason=reasons.CANCELLED,
            message="it was ended before all of its tasks were made",
        )


class OwnedJob(msgspec.Struct, frozen=True, kw_only=True):
    """A cloud job of this installation, and what it carries of its JennahJob."""

    seen: Observation
    namespace: str
    """"": it carries none, as jobs of earlier releases did not."""
    tenant_id: str = ""
    job_id: str = ""
    is_left_alone: bool = False
    """spec.deletionPolicy is Orphan: it is to go on without its object."""
    has_ended: bool = False
    """Whether it has ended; how, `seen` need not say."""


class JobRef(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """A cloud job, as far as it is known: its name always, its path once it was submitted."""

    external_name: str
    uid: str
    namespace: str = ""
    """The object's, where it is known."""
    resource_path: str | None = None
    submitted_at: datetime | None = None
    """When the service took it, as status has it: bounds lists by time of creation."""
    spec: JobSpec | None = None
    """What was asked for: tells in which queue or pool to look where neither path nor destination is known."""
    destination: Destination | None = None
    """Where it was, or may have been, sent: the only place to look, whatever today's settings say. None: as for jobs of
    releases that did not write it down."""
    created_at: datetime | None = None
    """As in `SubmitRequest`."""
    tasks_submitted: int | None = None
    """As status has it (`TaskCounts.submitted`). None: not known; then the tasks that there are tell."""

    def __repr__(self) -> str:
        return f"JobRef({self.external_name})"


class BatchProvider(Protocol):
    """One batch service. Adapters translate, they decide nothing."""

    name: str
    """As in spec.provider: gcp, aws, azure, kubernetes or local."""
    region: str
    names_are_ids: bool
    """Whether the caller names the job. True: submitting twice adopts. False: intent first (design §3)."""
    cancel_erases: bool
    """Whether a job that is cancelled is gone from the service in the end, so that nobody who comes later can learn how
    it ended."""
    remembers_seconds: float
    """For how long the service shows a job after its end, at least. Longer than this after a job may have been sent,
    that it is not found says nothing."""

    @property
    def site(self) -> Destination:
        """The project, account, region, … that this instance is the client of: `Destination.site` of all that it
        reaches. Known once `open` has succeeded."""
        ...

    def destination(self, spec: JobSpec, namespace: str) -> Destination:
        """Where a new job of that spec, of an object in that namespace, goes by today's settings; without a time.

        Pure. Raises Permanent(INVALID_SPEC) where no place takes it.
        """
        ...

    async def open(self) -> None:
        """Reach the service, at the start. Raises ConfigError for credentials or settings that it refuses, with the
        role or variable that is missing, and Unavailable where it cannot be reached."""
        ...

    async def prepare(self, request: SubmitRequest) -> None:
        """All of a submission that is safe to repeat: checks, definitions, waiting for a place in the rate limit.

        Called right before the intent is written, and only where `names_are_ids` is False. Errors as in `submit`;
        none of them leaves the outcome unknown.
        """
        ...

    async def submit(self, request: SubmitRequest) -> Observation:
        """Have the job at the service, exactly once, and say how it stands.

        With `names_are_ids`, a job of that name that carries our uid is adopted, so calling it again is safe,
        also after an Unavailable (the outcome is unknown). Without, it is one call that is never repeated:
        Unavailable (but for Forbidden) says that the outcome is unknown, every other error that no job was made;
        after `request.send_by` nothing is sent and Retryable raised.

        With `request.begun` the job's next `tasks_due` tasks are made, each once, and nothing that was made is ended,
        whatever is raised. Only a provider whose observations have `tasks_due` is asked for that.

        Raises Permanent(NAME_TAKEN) for another's job under that name, Permanent(SUBMISSION_REFUSED or a more
        telling reason) for what the service will never take, Retryable for the rest.
        """
        ...

    async def find(self, ref: JobRef) -> Sequence[Observation]:
        """Every job of that name that carries that uid, the oldest first; ended ones too, while the service has them.

        More than one is possible only where `names_are_ids` is False. Not served from what was seen before.
        """
        ...

    async def get(self, ref: JobRef) -> Observation | None:
        """How that job stands, asked for singly: for jobs in doubt. None: the service does not know it."""
        ...

    async def observe(self, refs: Collection[JobRef]) -> Mapping[str, Observation]:
        """How all those jobs stand, by external name, in as few calls as the service has (design §4).

        A job that is missing from the answer is in doubt, not gone. Raises rather than leave out the unreadable.
        """
        ...

    async def unclaimed(self, claimed: Set[str], *, ended_since: datetime | None = None) -> Sequence[OwnedJob]:
        """The jobs of this installation that have not ended and whose uid is not among the claimed ones, at bulk cost.

        Never one of another installation. What was claimed at an earlier call may be left out. With `ended_since` those
        too that ended after that, where the service still has them; it is asked for once in a process.
        """
        ...

    async def cancel(self, ref: JobRef, *, reason: str) -> bool:
        """Ask for the end of a job. It is over when an observation says so.

        Whether the service may have that job: False says that it does not know it (yet). Ended already: True.
        """
        ...

    async def delete(self, ref: JobRef) -> None:
        """Remove an ended job and its history from the service, where it can do that. Unknown: no error."""
        ...

    async def close(self) -> None: ...


@runtime_checkable
class Watched(Protocol):
    """What a provider may have beside its calls: it is told of changes, and need not be asked at intervals."""

    def on_change(self, call: Callable[[], None]) -> None:
        """Have that called, on the event loop, after each change that `observe` would show."""
        ...


class Page(msgspec.Struct, frozen=True, kw_only=True):
    """A page of jobs, newest first; `next_token` is "" on the last one."""

    jobs: tuple[JobRow, ...]
    next_token: str = ""


class RecordFailure(msgspec.Struct, frozen=True, kw_only=True):
    """Why one transition of a batch was not written: the others were."""

    error: Exception


class JobRecord(Protocol):
    """The part of `JobStore` that the operator uses; its laws are those."""

    async def record(self, transitions: Sequence[Transition]) -> Sequence[Recorded | RecordFailure]:
        """Write transitions of any number of jobs, those of one job in their order; one result each."""
        ...

    async def get_job(self, tenant_id: str, job_id: str) -> JobRow | None: ...

    async def delete_job(self, tenant_id: str, job_id: str, *, uid: str) -> bool:
        """Remove the row of that object, its audit rows and its notification, and remember the uid as deleted.

        False where there was no row, or only another object's: the uid is remembered all the same. `uid` "": the row
        whose owner the record does not know (`JobStore.owner`).
        """
        ...


class JobStore(JobRecord, Protocol):
    """The record that the Gateway and every report read. Laws, for every database:

    - A transition is one transaction: the tenant if missing, the job's row, the audit row (id: `names.transition_id`),
      and at the job's end the notification (id: `names.notification_id`). All of it or nothing.
    - Writing the same transition again changes nothing but facts that were NULL (`record` may be repeated after
      an unknown outcome, and by another process).
    - A row belongs to one object: a transition with another uid is refused with Permanent(RECORD_REJECTED).
    - An older number than the record's is dropped, and so is a greater one with the record's own status; a terminal
      status is never left: `Recorded` tells the truth instead.
    - The audit rows are a path: each begins where the one before ended, whatever the transition says.
    - A deletion is remembered, with or without a row: a transition of an object that was deleted is refused with
      Permanent(JOB_DELETED), at least as long as the store was told to remember.
    - A transition's `destination` is kept with the row, the first one for ever; `Recorded` tells it.
    """

    async def open(self) -> None:
        """Connect, and check that the schema is the one that this release needs.

        Raises Unavailable, or ConfigError that names ``jennah migrate`` for a schema that is older or missing
        (SQLite makes its own).
        """
        ...

    async def owner(self, tenant_id: str, job_id: str) -> str | None:
        """The uid of the object whose row that is; None where there is no row.

        "": the record does not say. Only Spanner has such rows: those of earlier releases and of the original.
        """
        ...

    async def list_jobs(
        self,
        tenant_id: str,
        *,
        page_size: int | None = None,
        page_token: str = "",
        status: Phase | None = None,
        created_after: datetime | None = None,
    ) -> Page:
        """The tenant's jobs, newest first; all of them where page_size is None. Raises Invalid for a bad token."""
        ...

    async def transitions(self, tenant_id: str, job_id: str) -> Sequence[TransitionRow]:
        """The audit rows of a job, oldest first."""
        ...

    async def get_tenant(self, tenant_id: str) -> TenantRow | None: ...

    async def list_notifications(self, tenant_id: str, *, limit: int) -> Sequence[NotificationRow]:
        """The tenant's notifications, newest first."""
        ...

    async def count_unread(self, tenant_id: str) -> int: ...

    async def ack_notification(self, tenant_id: str, notification_id: str) -> bool:
        """Mark as read. False where there is no such notification; True also when it was read before."""
        ...

    async def close(self) -> None: ...


class Migrations(Protocol):
    """The schema of one database: versioned, and brought up to date by ``jennah migrate``."""

    async def pending(self) -> Sequence[str]:
        """The statements that are missing, in order; none where the schema is current.

        Raises Unavailable, or ConfigError for a schema that is newer than this release.
        """
        ...

    async def apply(self) -> Sequence[str]:
        """Run them, and say which were run. Safe to run twice, and by two replicas at once."""
        ...

    def redact(self, *, dry_run: bool) -> AsyncIterator[int]:
        """Blank the values in EnvVarsJson of every row that has any (`records.blanked`); the number of rows of each
        batch. With `dry_run` they are counted and nothing is written. Called once; `close` ends what it opened.

        - A batch that was told is done. Cut short and called again it goes on, and where no row has values it writes
          nothing.
        - Operators and the API may write meanwhile: that column alone is written, a row that another changed after it
          was read is read again first, and no transition brings back values that its writer had read before.
        - What a program with DB_REDACT_ENV=false writes afterwards has values again.

        Raises Unavailable, or ConfigError for a schema that is missing or not this release's.
        """
        ...

    async def close(self) -> None: ...


class JobWriter(Protocol):
    """Where the reconciler writes transitions: many callers, one commit (group commit, design §3)."""

    async def write(self, transitions: Sequence[Transition]) -> Recorded:
        """Write the transitions of one job, in order; the truth after the last. Raises what made its own rows fail."""
        ...


class Environment(msgspec.Struct, frozen=True, kw_only=True):
    """A job's environment variables. Never logged."""

    values: Mapping[str, str]
    """What the job gets."""
    shown: Mapping[str, str]
    """What the record may show: plain values and those that came with SubmitJob; "" for other references."""
    left_out: tuple[str, ...] = ()
    """What envFrom refers to and cannot be a variable, such as ``key tls.crt of secret files``."""

    def __repr__(self) -> str:
        return f"Environment({len(self.values)} variables)"


class JobResources(Protocol):
    """The JennahJob objects and what belongs to them, in Kubernetes."""

    async def get(self, namespace: str, name: str) -> Job | None: ...

    async def newest_version(self, namespace: str) -> int:
        """The resourceVersion that JennahJobs are at now: what was written before has none that is greater."""
        ...

    async def hold(self, job: Job, labels: Mapping[str, str]) -> Job:
        """Put our finalizer and these labels on the object. Raises Conflict, NotFound."""
        ...

    async def release(self, job: Job) -> None:
        """Take our finalizer off, guarded by the resourceVersion. A missing object is no error. Raises Conflict."""
        ...

    async def write_status(self, job: Job, status: Mapping[str, object]) -> Job:
        """Merge that patch into the status, guarded by the job's resourceVersion. Raises Conflict, NotFound."""
        ...

    async def delete(self, job: Job) -> None:
        """Delete this object, and no other of its name. Gone already is no error."""
        ...

    async def uids(self, namespaces: Collection[str]) -> Set[str]:
        """The uids of all JennahJobs of these namespaces (none: of all), read from Kubernetes itself."""
        ...

    async def namespace_labels(self, namespace: str) -> Mapping[str, str]: ...

    async def tenant_policy(self, tenant_id: str) -> TenantPolicy:
        """What the tenant's jobs may name, and how large they may be, now. Raises Forbidden, Unavailable."""
        ...

    async def environment(self, job: Job) -> Environment:
        """The job's environment, every reference resolved. Raises EnvironmentMissing, Invalid where it is too large."""
        ...

    def post_event(self, job: Job, *, kind: str, reason: str, message: str) -> None:
        """Post a Kubernetes event, "Normal" or "Warning"; best effort, never waits."""
        ...
