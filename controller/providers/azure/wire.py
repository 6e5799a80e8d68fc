"""What is read of the service's answers, and no more (providers.md §3b, §3c).

Tasks are read by these types and not by the SDK's models, which take many times as long: a round reads thousands.
"""

import re
from datetime import datetime
from typing import Annotated, Any, TypeVar

import msgspec

T = TypeVar("T")

Time = Annotated[datetime, msgspec.Meta(tz=True)]
_WITHOUT_ZONE = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?")


def decoded(body: bytes, kind: type[T]) -> T:
    """What the body says. A null is taken for a field that is not there, a time without a zone for one in UTC, as the
    service's own are. Raises msgspec.MsgspecError."""
    try:
        return msgspec.json.decode(body, type=kind)
    except msgspec.ValidationError:
        # The rare case takes longer, and not each task of a round.
        return msgspec.convert(_mended(msgspec.json.decode(body)), type=kind)


def _mended(found: Any) -> Any:
    if isinstance(found, dict):
        return {name: _mended(one) for name, one in found.items() if one is not None}
    if isinstance(found, list):
        return [_mended(one) for one in found if one is not None]
    if isinstance(found, str) and _WITHOUT_ZONE.fullmatch(found):
        return f"{found}Z"
    return found


class Wire(msgspec.Struct, frozen=True, rename="camel", kw_only=True):
    """camelCase outside; fields that are not here are passed over."""


class Detail(Wire, frozen=True):
    """NameValuePair."""

    name: str = ""
    value: str = ""


class Failure(Wire, frozen=True):
    """BatchTaskFailureInfo."""

    category: str = ""
    code: str = ""
    message: str = ""
    details: tuple[Detail, ...] = ()


class Container(Wire, frozen=True):
    """BatchTaskContainerExecutionInfo."""

    state: str = ""
    """As ``docker inspect`` tells it: created, exited, dead."""
    error: str = ""


class Execution(Wire, frozen=True):
    """BatchTaskExecutionInfo. Times are those of the last attempt."""

    start_time: Time | None = None
    end_time: Time | None = None
    exit_code: int | None = None
    failure_info: Failure | None = None
    scheduling_error: Failure | None = None
    """The same, as events of the service and earlier versions of its API name it."""
    container_info: Container | None = None
    retry_count: int = 0
    requeue_count: int = 0
    result: str = ""


class Task(Wire, frozen=True):
    """BatchTask."""

    id: str
    display_name: str = ""
    state: str = ""
    state_transition_time: Time | None = None
    creation_time: Time | None = None
    execution_info: Execution | None = None


TASK_FIELDS = ("id", "displayName", "state", "stateTransitionTime", "creationTime", "executionInfo")
"""For $select: `Task`, and nothing that could hold a secret."""


class TaskPage(Wire, frozen=True):
    """An answer of the task list."""

    value: list[Task]
    next_link: str = msgspec.field(default="", name="odata.nextLink")


class ResizeError(Wire, frozen=True):
    code: str = ""
    message: str = ""


class VirtualMachines(Wire, frozen=True):
    """VirtualMachineConfiguration."""

    container_configuration: dict[str, Any] | None = None


class Pool(Wire, frozen=True):
    """BatchPool."""

    id: str
    state: str = ""
    vm_size: str = ""
    task_slots_per_node: int = 1
    virtual_machine_configuration: VirtualMachines | None = None
    resize_errors: tuple[ResizeError, ...] = ()
    enable_auto_scale: bool = False
    current_dedicated_nodes: int = 0
    current_low_priority_nodes: int = 0
    target_dedicated_nodes: int = 0
    target_low_priority_nodes: int = 0


POOL_FIELDS = (
    "id",
    "state",
    "vmSize",
    "taskSlotsPerNode",
    "virtualMachineConfiguration",
    "resizeErrors",
    "enableAutoScale",
    "currentDedicatedNodes",
    "currentLowPriorityNodes",
    "targetDedicatedNodes",
    "targetLowPriorityNodes",
)


class PoolPage(Wire, frozen=True):
    """An answer of the pool list."""

    value: list[Pool]
    next_link: str = msgspec.field(default="", name="odata.nextLink")


class PoolInfo(Wire, frozen=True):
    """BatchPoolInfo."""

    pool_id: str = ""


class MetadataItem(Wire, frozen=True):
    name: str
    value: str = ""


class Job(Wire, frozen=True):
    """BatchJob."""

    id: str
    state: str = ""
    state_transition_time: Time | None = None
    last_modified: Time | None = None
    """When its state, pool or anything else of its own changed; what its tasks do does not count."""
    creation_time: Time | None = None
    pool_info: PoolInfo | None = None
    metadata: list[MetadataItem] = []

    @property
    def marks(self) -> dict[str, str]:
        """The metadata."""
        return {item.name: item.value for item in self.metadata}

    @property
    def pool_id(self) -> str:
        """The pool that its tasks run on; "" where it is not told."""
        return self.pool_info.pool_id if self.pool_info else ""


JOB_FIELDS = (
    "id",
    "state",
    "stateTransitionTime",
    "lastModified",
    "creationTime",
    "poolInfo",
    "metadata",
)


class JobPage(Wire, frozen=True):
    """An answer of the job list."""

    value: list[Job]
    next_link: str = msgspec.field(default="", name="odata.nextLink")
