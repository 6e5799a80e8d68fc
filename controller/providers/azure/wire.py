"""What is read of the service's answers, and no more (providers.md §3b, §3c).

Tasks are read by these types and not by the SDK's models, which take many times as long: a round reads thousands.
"""

from datetime import datetime
from typing import Any, TypeVar

import msgspec

T = TypeVar("T")


def decoded(body: bytes, kind: type[T]) -> T:
    """What the body says. A null is taken for a field that is not there. Raises msgspec.MsgspecError."""
    try:
        return msgspec.json.decode(body, type=kind)
    except msgspec.ValidationError:
        # The rare case takes longer, and not each task of a round.
        return msgspec.convert(_without_nulls(msgspec.json.decode(body)), type=kind)


def _without_nulls(found: Any) -> Any:
    if isinstance(found, dict):
        return {name: _without_nulls(one) for name, one in found.items() if one is not None}
    if isinstance(found, list):
        return [_without_nulls(one) for one in found if one is not None]
    return found


class Wire(msgspec.Struct, frozen=True, rename="camel", kw_only=True):
    """camelCase outside; fields that are not here are passed over."""


class Failure(Wire, frozen=True):
    """BatchTaskFailureInfo."""

    category: str = ""
    code: str = ""
    message: str = ""


class Container(Wire, frozen=True):
    """BatchTaskContainerExecutionInfo."""

    error: str = ""


class Execution(Wire, frozen=True):
    """BatchTaskExecutionInfo. Times are those of the last attempt."""

    start_time: datetime | None = None
    end_time: datetime | None = None
    exit_code: int | None = None
    failure_info: Failure | None = None
    container_info: Container | None = None
    retry_count: int = 0
    requeue_count: int = 0
    result: str = ""


class Task(Wire, frozen=True):
    """BatchTask."""

    id: str
    display_name: str = ""
    state: str = ""
    state_transition_time: datetime | None = None
    creation_time: datetime | None = None
    execution_info: Execution | None = None


TASK_FIELDS = ("id", "displayName", "state", "stateTransitionTime", "creationTime", "executionInfo")
"""For $select: `Task`, and nothing that could hold a secret."""


class TaskPage(Wire, frozen=True):
    """An answer of the task list."""

    value: list[Task]
    next_link: str = msgspec.field(default="", name="odata.nextLink")


class MetadataItem(Wire, frozen=True):
    name: str
    value: str = ""


class JobExecution(Wire, frozen=True):
    """BatchJobExecutionInfo."""

    terminate_reason: str = ""


class Job(Wire, frozen=True):
    """BatchJob."""

    id: str
    state: str = ""
    creation_time: datetime | None = None
    metadata: list[MetadataItem] = []
    execution_info: JobExecution | None = None
    on_all_tasks_complete: str = ""

    @property
    def marks(self) -> dict[str, str]:
        """The metadata."""
        return {item.name: item.value for item in self.metadata}


JOB_FIELDS = ("id", "state", "creationTime", "metadata", "executionInfo", "onAllTasksComplete")


class JobPage(Wire, frozen=True):
    """An answer of the job list."""

    value: list[Job]
    next_link: str = msgspec.field(default="", name="odata.nextLink")
