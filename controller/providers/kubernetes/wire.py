"""What is read of Jobs and Pods: the fields that are looked at and no others, so that little is kept of each."""

from datetime import datetime

import msgspec

from controller.domain import names
from controller.providers.kubernetes import labels


class Wire(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """Base: camelCase outside, what is missing is empty, and so is what is null (`kube.decoding`)."""


class Labels(Wire, frozen=True, kw_only=True):
    """Of all labels those that we set and look at."""

    uid: str = msgspec.field(default="", name=labels.UID)
    external_name: str = msgspec.field(default="", name=labels.EXTERNAL_NAME)
    namespace: str = msgspec.field(default="", name=labels.NAMESPACE)
    tenant_id: str = msgspec.field(default="", name=names.LABEL_TENANT)
    job_id: str = msgspec.field(default="", name=names.LABEL_JOB_ID)
    deletion_policy: str = msgspec.field(default="", name=labels.DELETION_POLICY)
    queue: str = msgspec.field(default="", name=labels.QUEUE)
    index: str = msgspec.field(default="", name=labels.INDEX)


class Annotations(Wire, frozen=True, kw_only=True):
    """Of all annotations those that are looked at."""

    unreleased: str = msgspec.field(default="", name=labels.UNRELEASED)
    tenant_id: str = msgspec.field(default="", name=labels.TENANT)
    preemption_limit: str = msgspec.field(default="", name=labels.PREEMPTION_LIMIT)
    index: str = msgspec.field(default="", name=labels.INDEX)
    failures: str = msgspec.field(default="", name=labels.FAILURES)
    ignored_failures: str = msgspec.field(default="", name=labels.IGNORED_FAILURES)


class OwnerReference(Wire, frozen=True, kw_only=True):
    uid: str
    controller: bool | None = None


class Meta(Wire, frozen=True, kw_only=True):
    name: str
    namespace: str = ""
    uid: str = ""
    resource_version: str = ""
    creation_timestamp: datetime | None = None
    deletion_timestamp: datetime | None = None
    labels: Labels = Labels()
    annotations: Annotations = Annotations()
    owner_references: tuple[OwnerReference, ...] = ()


class Condition(Wire, frozen=True, kw_only=True):
    """Of a Job or a Pod."""

    type: str
    status: str
    reason: str = ""
    message: str = ""
    last_transition_time: datetime | None = None


class JobSpec(Wire, frozen=True, kw_only=True):
    completions: int | None = None
    backoff_limit: int | None = None
    backoff_limit_per_index: int | None = None
    suspend: bool = False


class JobStatus(Wire, frozen=True, kw_only=True):
    conditions: tuple[Condition, ...] = ()
    start_time: datetime | None = None
    completion_time: datetime | None = None
    succeeded: int = 0
    failed: int = 0
    failed_indexes: str = ""
    """Of a Job with a limit for each index: those that will not be tried again, as in ``1,3-5``."""


class Job(Wire, frozen=True, kw_only=True):
    metadata: Meta
    spec: JobSpec = JobSpec()
    status: JobStatus = JobStatus()


class Waiting(Wire, frozen=True, kw_only=True):
    reason: str = ""
    message: str = ""


class Running(Wire, frozen=True, kw_only=True):
    started_at: datetime | None = None


class Terminated(Wire, frozen=True, kw_only=True):
    exit_code: int
    reason: str = ""
    message: str = ""
    started_at: datetime | None = None
    finished_at: datetime | None = None


class ContainerState(Wire, frozen=True, kw_only=True):
    waiting: Waiting | None = None
    running: Running | None = None
    terminated: Terminated | None = None


class ContainerStatus(Wire, frozen=True, kw_only=True):
    name: str
    state: ContainerState = ContainerState()
    last_state: ContainerState = ContainerState()
    """How the same container ended before, or what the kubelet last knew of it."""


class Limits(Wire, frozen=True, kw_only=True):
    memory: str = ""


class ContainerResources(Wire, frozen=True, kw_only=True):
    limits: Limits = Limits()


class Container(Wire, frozen=True, kw_only=True):
    name: str
    image: str = ""
    resources: ContainerResources = ContainerResources()


class PodSpec(Wire, frozen=True, kw_only=True):
    active_deadline_seconds: int | None = None
    containers: tuple[Container, ...] = ()


class PodStatus(Wire, frozen=True, kw_only=True):
    phase: str = "Pending"
    reason: str = ""
    message: str = ""
    start_time: datetime | None = None
    conditions: tuple[Condition, ...] = ()
    container_statuses: tuple[ContainerStatus, ...] = ()
    init_container_statuses: tuple[ContainerStatus, ...] = ()


class Pod(Wire, frozen=True, kw_only=True):
    metadata: Meta
    spec: PodSpec = PodSpec()
    status: PodStatus = PodStatus()


class ListMeta(Wire, frozen=True, kw_only=True):
    continue_: str = msgspec.field(default="", name="continue")


class PodList(Wire, frozen=True, kw_only=True):
    items: list[Pod] | None
    """Null where there are none; not to be left out, as what is no list is not an empty one."""
    metadata: ListMeta = ListMeta()
