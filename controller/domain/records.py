"""What the database holds, in one vocabulary for all five (contract §2): tenants, jobs, transitions, notifications."""

import json
from collections.abc import Mapping
from datetime import datetime

import msgspec

from controller.domain import conditions
from controller.domain.job import Job, JobStatus
from controller.domain.phases import Phase
from controller.domain.resources import DEFAULT_BOOT_DISK_GIB, ResourceSet


class Record(msgspec.Struct, frozen=True, kw_only=True):
    """Base of the rows: immutable; None means SQL's NULL."""


class TenantRow(Record, frozen=True, kw_only=True):
    tenant_id: str
    user_email: str
    oauth_provider: str
    oauth_user_id: str
    created_at: datetime
    updated_at: datetime


class JobRow(Record, frozen=True, kw_only=True):
    """One row of Jobs. The lease columns of the original are not in here: they stay NULL."""

    tenant_id: str
    job_id: str
    status: Phase
    created_at: datetime
    updated_at: datetime
    image_uri: str | None = None
    commands: tuple[str, ...] = ()
    scheduled_at: datetime | None = None
    started_at: datetime | None = None
    completed_at: datetime | None = None
    retry_count: int = 0
    max_retries: int = 3
    error_message: str | None = None
    resource_path: str | None = None
    """GcpBatchJobPath: the provider's full path or ARN, whatever the provider is."""
    task_group: str | None = None
    env_vars_json: str | None = None
    name: str | None = None
    resource_profile: str | None = None
    machine_type: str | None = None
    boot_disk_size_gb: int | None = None
    use_spot_vms: bool | None = None
    service_account: str | None = None
    service_tier: str | None = None
    assigned_service: str | None = None
    memory_mib: int | None = None
    cpu_millis: int | None = None
    max_run_duration_seconds: int | None = None


class Transition(Record, frozen=True, kw_only=True):
    """One change of a job's phase, and the row as it is afterwards. Its number is `Job.status.transition`.

    Number 0 is the job's creation (`from_phase` None, row PENDING).
    """

    uid: str
    number: int
    from_phase: Phase | None
    row: JobRow
    at: datetime
    reason: str
    destination: str | None = None
    """Where the job is sent, as `Destination.to_text` writes it; written before the service hears of the job."""


class Recorded(Record, frozen=True, kw_only=True):
    """The truth in the database after a transition was written: its latest number and phase.

    They are the transition's own where it was applied, or had been before. Otherwise the record is ahead
    (the writer died between the database and Kubernetes, or is stale) and the caller goes on from there.
    """

    number: int
    phase: Phase
    resource_path: str | None = None
    """The row's: the service has, or had, the job."""
    destination: str | None = None
    """The first one that was ever written for the job: it may have been sent there. None: it was never sent."""

    @property
    def proves_a_run(self) -> bool:
        """Whether the service had the job. A destination alone proves no run: the job may not have been sent yet."""
        return self.number > 0 or self.phase is not Phase.PENDING or self.resource_path is not None


class TransitionRow(Record, frozen=True, kw_only=True):
    """One row of JobStateTransitions."""

    transition_id: str
    from_status: str | None
    to_status: str
    transitioned_at: datetime
    reason: str | None


class NotificationRow(Record, frozen=True, kw_only=True):
    """One row of Notifications: a job ended."""

    notification_id: str
    tenant_id: str
    job_id: str
    job_name: str | None
    final_status: str
    service_tier: str | None
    assigned_service: str | None
    occurred_at: datetime
    error_message: str | None
    is_read: bool


COMPLEX, SIMPLE = "COMPLEX", "SIMPLE"
CLOUD_BATCH, CLOUD_RUN_JOB = "CLOUD_BATCH", "CLOUD_RUN_JOB"


class Routing(Record, frozen=True, kw_only=True):
    """The labels that the Gateway shows. They choose no provider."""

    complexity_level: str
    assigned_service: str
    reason: str


def routing(job_machine_type: str | None, resources: ResourceSet, completions: int) -> Routing:
    """COMPLEX for an explicit machine type, over 4000 millicores, 8192 MiB or 3600 s, or more than one task."""
    why = []
    if job_machine_type:
        why.append(f"machine type {job_machine_type}")
    if resources.cpu_millis > 4000:
        why.append(f"{resources.cpu_millis} millicores are over 4000")
    if resources.memory_mib > 8192:
        why.append(f"{resources.memory_mib} MiB are over 8192")
    if resources.max_run_duration_seconds > 3600:
        why.append(f"{resources.max_run_duration_seconds} s are over 3600")
    if completions > 1:
        why.append(f"distributed over {completions} tasks")
    if why:
        return Routing(complexity_level=COMPLEX, assigned_service=CLOUD_BATCH, reason="complex: " + ", ".join(why))
    return Routing(
        complexity_level=SIMPLE,
        assigned_service=CLOUD_RUN_JOB,
        reason="simple: at most 4000 millicores, 8192 MiB and 3600 s, one task, no machine type",
    )


def blanked(env_vars_json: str | None) -> str | None:
    """What EnvVarsJson shows where values are not to be stored or shown: the same names, each with ""."""
    if not env_vars_json:
        return env_vars_json
    try:
        names = json.loads(env_vars_json)
    except (ValueError, RecursionError):  # no JSON: written by others
        return None
    return _env_json(dict.fromkeys(names, "")) if isinstance(names, dict) else None


def _env_json(env: Mapping[str, str]) -> str:
    return json.dumps(dict(sorted(env.items())), separators=(",", ":"))


def _waited(status: JobStatus) -> bool:
    """Whether the job was cancelled while it waited for something that people can see to."""
    return (
        status.phase is Phase.CANCELLED
        and status.started_at is None
        and conditions.waiting(status.conditions) is not None
    )


def _is_gcp(status: JobStatus) -> bool:
    """Whether the job is at Google Cloud Batch, whose jobs have task groups (one each: providers.md §1d)."""
    return status.provider == "gcp" and status.resource_path is not None


def job_row(
    job: Job, *, tenant_id: str, resources: ResourceSet, env: Mapping[str, str] | None, now: datetime
) -> JobRow:
    """The row of a job as its status stands. `env` is what EnvVarsJson shows; none leaves the column alone.

    The API writes the first row and the controller all later ones, both by this function.
    """
    spec, status = job.spec, job.status
    route = routing(spec.machine_type, resources, spec.completions)
    phase = status.phase or Phase.PENDING
    failed = phase is Phase.FAILED
    return JobRow(
        tenant_id=tenant_id,
        job_id=job.job_id,
        status=phase,
        created_at=job.created_at or now,
        updated_at=now,
        image_uri=spec.image,
        commands=(spec.command or ()) + (spec.args or ()),
        scheduled_at=status.scheduled_at,
        started_at=status.started_at,
        completed_at=status.completed_at if phase.is_terminal else None,
        retry_count=status.retries or 0,
        max_retries=spec.backoff_limit,
        error_message=(status.message or status.reason) if failed or _waited(status) else None,
        resource_path=status.resource_path,
        task_group=f"{status.resource_path}/taskGroups/group0" if _is_gcp(status) else None,
        env_vars_json=_env_json(env) if env else None,
        name=job.shown_name,
        resource_profile=spec.resources.profile if spec.resources else None,
        machine_type=spec.machine_type,
        boot_disk_size_gb=spec.boot_disk_gib or DEFAULT_BOOT_DISK_GIB,
        use_spot_vms=bool(spec.spot),
        service_account=spec.service_account,
        service_tier=route.complexity_level,
        assigned_service=route.assigned_service,
        memory_mib=resources.memory_mib,
        cpu_millis=resources.cpu_millis,
        max_run_duration_seconds=resources.max_run_duration_seconds,
    )
