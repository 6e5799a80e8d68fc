"""The JennahJob as typed, immutable values, field for field the schema of ``crds/jennahjob.yaml`` (a test holds it).

`parse` and `status_to_wire` are the only bridge to the camelCase dictionaries of the Kubernetes edge.
Times are timezone-aware datetimes in UTC.
"""

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Literal

import msgspec

from controller.domain import names
from controller.domain.conditions import Condition
from controller.domain.destination import Destination
from controller.domain.nulls import without_nulls
from controller.domain.phases import Phase


class Value(msgspec.Struct, frozen=True, kw_only=True, rename="camel", omit_defaults=True, gc=False):
    """Base of all parts of a resource: immutable, camelCase outside, unset means None.

    Nothing in them refers back, so Python need not look for cycles among them: with 50,000 objects that took 160 ms.
    """


class KeyRef(Value, frozen=True, kw_only=True):
    """One key of a Secret or ConfigMap in the job's namespace."""

    name: str
    key: str
    optional: bool | None = None


class CloudSecretRef(Value, frozen=True, kw_only=True):
    """A secret as the cloud's own secret manager names it."""

    name: str


class EnvVarSource(Value, frozen=True, kw_only=True):
    secret_key_ref: KeyRef | None = None
    config_map_key_ref: KeyRef | None = None
    cloud_secret_ref: CloudSecretRef | None = None


class EnvVar(Value, frozen=True, kw_only=True):
    name: str
    value: str | None = None
    value_from: EnvVarSource | None = None


class ObjectRef(Value, frozen=True, kw_only=True):
    """A whole Secret or ConfigMap in the job's namespace."""

    name: str
    optional: bool | None = None


class EnvFromSource(Value, frozen=True, kw_only=True):
    prefix: str | None = None
    secret_ref: ObjectRef | None = None
    config_map_ref: ObjectRef | None = None


class Gpu(Value, frozen=True, kw_only=True):
    count: int
    type: str | None = None


class Resources(Value, frozen=True, kw_only=True):
    profile: str | None = None
    cpu: str | int | None = None
    memory: str | int | None = None
    shared_memory: str | int | None = None
    gpu: Gpu | None = None


class GcpOptions(Value, frozen=True, kw_only=True):
    network: str | None = None
    subnetwork: str | None = None
    no_external_ip: bool | None = None
    allowed_locations: tuple[str, ...] | None = None
    instance_template: str | None = None
    boot_disk_type: str | None = None
    boot_disk_image: str | None = None
    min_cpu_platform: str | None = None
    reservation: str | None = None
    tags: tuple[str, ...] | None = None
    registry_username_secret: str | None = None
    registry_password_secret: str | None = None
    service_account_scopes: tuple[str, ...] | None = None


class AwsOptions(Value, frozen=True, kw_only=True):
    job_queue: str | None = None
    job_role_arn: str | None = None
    execution_role_arn: str | None = None
    share_identifier: str | None = None
    ephemeral_storage_gib: int | None = msgspec.field(default=None, name="ephemeralStorageGiB")
    assign_public_ip: bool | None = None
    registry_credentials_arn: str | None = None
    log_group: str | None = None


class AzureOptions(Value, frozen=True, kw_only=True):
    pool: str | None = None
    registry_server: str | None = None
    registry_identity: str | None = None


class Toleration(Value, frozen=True, kw_only=True):
    """As in core/v1."""

    key: str | None = None
    operator: str | None = None
    value: str | None = None
    effect: str | None = None


class KubernetesOptions(Value, frozen=True, kw_only=True):
    priority_class_name: str | None = None
    image_pull_secrets: tuple[str, ...] | None = None
    node_selector: dict[str, str] | None = None
    tolerations: tuple[Toleration, ...] | None = None


class JobSpec(Value, frozen=True, kw_only=True):
    """What to run. Immutable but for suspend, cancel and ttl_seconds_after_finished."""

    image: str
    command: tuple[str, ...] | None = None
    args: tuple[str, ...] | None = None
    env: tuple[EnvVar, ...] | None = None
    env_from: tuple[EnvFromSource, ...] | None = None
    resources: Resources | None = None
    machine_type: str | None = None
    boot_disk_gib: int | None = msgspec.field(default=None, name="bootDiskGiB")
    spot: bool | None = None
    service_account: str | None = None
    active_deadline_seconds: int | None = None
    pending_deadline_seconds: int | None = None
    backoff_limit: int = 3
    preemption_limit: int = 3
    completions: int = 1
    parallelism: int | None = None
    priority: int | None = None
    labels: dict[str, str] | None = None
    provider: str | None = None
    gcp: GcpOptions | None = None
    aws: AwsOptions | None = None
    azure: AzureOptions | None = None
    kubernetes: KubernetesOptions | None = None
    display_name: str | None = None
    tenant_id: str | None = None
    job_id: str | None = None
    suspend: bool = False
    cancel: bool | None = None
    ttl_seconds_after_finished: int | None = None
    deletion_policy: Literal["Cancel", "Orphan"] = "Cancel"

    @property
    def cloud_secrets(self) -> dict[str, str]:
        """Environment variables that the cloud fills from its own secret manager: name to the secret's name there."""
        return {
            variable.name: variable.value_from.cloud_secret_ref.name
            for variable in self.env or ()
            if variable.value_from and variable.value_from.cloud_secret_ref
        }


class TaskCounts(Value, frozen=True, kw_only=True):
    """How many tasks are where. Their sum is `total`."""

    total: int = 0
    pending: int = 0
    running: int = 0
    succeeded: int = 0
    failed: int = 0
    submitted: int | None = None
    """Those with an index below this were made at the service and are never made again. None: the service has all."""

    @property
    def progress(self) -> str:
        """Those that succeeded, of all, as people read it: 3/8."""
        return f"{self.succeeded}/{self.total}"

    @property
    def is_all_submitted(self) -> bool:
        return self.submitted is None or self.submitted >= self.total


class Submission(Value, frozen=True, kw_only=True):
    """The intent to submit: who may call the service, and until when (design §3)."""

    attempt: int
    by: str
    at: datetime
    deadline: datetime
    in_doubt: bool = False
    """Whether the outcome of a call was ever unknown: then there may be duplicates."""
    look_again_at: datetime | None = None
    """When the service is searched for duplicates once more. None while the submission itself is open."""

    @property
    def is_open(self) -> bool:
        """Whether it is not settled yet if that call made a job."""
        return self.look_again_at is None


class JobStatus(Value, frozen=True, kw_only=True):
    """What the controller last recorded."""

    observed_generation: int | None = None
    phase: Phase | None = None
    transition: int | None = None
    conditions: tuple[Condition, ...] = ()
    job_id: str | None = None
    tenant_id: str | None = None
    provider: str | None = None
    external_name: str | None = None
    resource_path: str | None = None
    destination: Destination | None = None
    """Where the job is, or may have been, sent. None: nothing was sent yet."""
    submission: Submission | None = None
    submitted_at: datetime | None = None
    scheduled_at: datetime | None = None
    started_at: datetime | None = None
    completed_at: datetime | None = None
    exit_code: int | None = None
    retries: int | None = None
    """Attempts that failed by the program and were run again, of all tasks."""
    preemptions: int | None = None
    """Attempts that ended because their machine was taken back or lost, of all tasks."""
    tasks: TaskCounts | None = None
    progress: str | None = None
    """`TaskCounts.progress`, for the column of ``kubectl get``."""
    reason: str | None = None
    message: str | None = None
    console_url: str | None = None
    logs_url: str | None = None

    @property
    def proves_a_run(self) -> bool:
        """Whether it says that the service had the job. A destination or an intent alone is a plan and says less."""
        facts = (self.submitted_at, self.resource_path, self.scheduled_at, self.started_at)
        return self.phase not in (None, Phase.PENDING) or bool(self.transition) or any(facts)


class OwnerReference(Value, frozen=True, kw_only=True):
    api_version: str
    kind: str
    name: str
    uid: str
    controller: bool | None = None
    block_owner_deletion: bool | None = None


class Metadata(Value, frozen=True, kw_only=True):
    """The part of an object's metadata that is looked at."""

    name: str
    namespace: str = "default"
    uid: str = ""
    resource_version: str = ""
    generation: int = 1
    creation_timestamp: datetime | None = None
    deletion_timestamp: datetime | None = None
    finalizers: tuple[str, ...] = ()
    labels: dict[str, str] = {}
    annotations: dict[str, str] = {}


_NOTED_WITHIN_SECONDS = 60
"""How far the API's clock may be from that of Kubernetes for its note to be believed."""


class Job(Value, frozen=True, kw_only=True):
    """One JennahJob as the API server holds it."""

    metadata: Metadata
    spec: JobSpec
    status: JobStatus = JobStatus()

    @property
    def key(self) -> str:
        """The work queue's key: the uid, so that a re-created object is another job."""
        return self.metadata.uid

    @property
    def external_name(self) -> str:
        """The cloud job's name: derived from what never changes, the name that people know and the uid.

        Status only shows it: a name that somebody wrote there would be another's job.
        """
        return names.external_name(self.spec.display_name or self.metadata.name, self.metadata.uid)

    @property
    def job_id(self) -> str:
        return self.spec.job_id or self.metadata.uid

    @property
    def is_named_by_api(self) -> bool:
        """Whether the object has the name that the API gives to the object of its tenant and job id."""
        tenant_id, job_id = self.spec.tenant_id, self.spec.job_id
        if not tenant_id or not job_id:
            return False
        return self.metadata.name == names.object_name(tenant_id, job_id, self.spec.display_name)

    @property
    def shown_name(self) -> str:
        """The name that the record and its readers have: what the job was called, else its object's own name. A name
        that the API derived says nothing more than the job id, which stands for it."""
        own = self.job_id if self.is_named_by_api else self.metadata.name
        return self.spec.display_name or own

    @property
    def created_at(self) -> datetime | None:
        """When it was created: as the API noted it where that is credible, else in whole seconds."""
        return self._submitted_at or self.metadata.creation_timestamp

    @property
    def has_new_id(self) -> bool:
        """Whether no other object can have had this job id: the object's own uid, or one that the API made up for it.

        A copy of such an object, made from a backup say, has its annotations and another time of creation.
        """
        if self.spec.job_id is None:
            return True
        is_noted = self.metadata.annotations.get(names.ANNOTATION_NEW_ID) == "true"
        return is_noted and self.is_named_by_api and self._submitted_at is not None

    @property
    def _submitted_at(self) -> datetime | None:
        """When SubmitJob was called for this object, as the API noted it; None where there is no credible note."""
        created = self.metadata.creation_timestamp
        noted = self.metadata.annotations.get(names.ANNOTATION_SUBMITTED_AT)
        if created is None or noted is None:
            return None
        try:
            submitted = datetime.fromisoformat(noted)
            return submitted if abs((submitted - created).total_seconds()) < _NOTED_WITHIN_SECONDS else None
        except (ValueError, TypeError):  # no time, or one without its zone
            return None

    @property
    def is_accepted(self) -> bool:
        return self.status.phase is not None

    @property
    def is_submitted(self) -> bool:
        """Whether the service is known to have the job, now or once."""
        return self.status.submitted_at is not None

    @property
    def is_finished(self) -> bool:
        return self.status.phase is not None and self.status.phase.is_terminal

    @property
    def is_being_deleted(self) -> bool:
        return self.metadata.deletion_timestamp is not None

    @property
    def is_held(self) -> bool:
        """Whether our finalizer is on the object."""
        return names.FINALIZER in self.metadata.finalizers

    @property
    def is_purged(self) -> bool:
        """Whether DeleteJob asked for the database row to go as well."""
        return self.metadata.annotations.get(names.ANNOTATION_PURGE) == "true"

    @property
    def wants_end(self) -> bool:
        """Whether somebody asked for the job's end: by cancel, or by deleting it."""
        return bool(self.spec.cancel) or self.is_being_deleted


_JOBS = msgspec.json.Decoder(Job)
"""Made here so that msgspec (0.22) lays the types out now, in one thread: two that need a type first at the same moment
crash the process. kopf parses on a thread of its own."""


def parse(raw: Mapping[str, Any]) -> Job:
    """A Job from the API server's object. Raises msgspec.ValidationError where the schema was not enforced.

    Null is as good as absent.
    """
    try:
        return msgspec.convert(raw, Job, strict=True)
    except msgspec.ValidationError:
        return msgspec.convert(without_nulls(raw), Job, strict=True)


def status_to_wire(status: JobStatus) -> dict[str, Any]:
    """The status as the API server takes it: camelCase, unset fields left out, RFC 3339 times in UTC."""
    wire: dict[str, Any] = msgspec.to_builtins(status)
    return wire


def spec_to_wire(spec: JobSpec) -> dict[str, Any]:
    """The spec as the API server takes it; fields at their default are left out."""
    wire: dict[str, Any] = msgspec.to_builtins(spec)
    return wire
