"""The service's messages as plain protobuf classes: the SDK's wrappers of them are too slow for 10,000 jobs."""

from enum import IntEnum
from typing import Any

from google.cloud import batch_v1

Job: Any = batch_v1.Job.pb()
Task: Any = batch_v1.Task.pb()
StatusEvent: Any = batch_v1.StatusEvent.pb()
TaskGroupStatus: Any = batch_v1.JobStatus.TaskGroupStatus.pb()
CreateJobRequest: Any = batch_v1.CreateJobRequest.pb()
GetJobRequest: Any = batch_v1.GetJobRequest.pb()
ListJobsRequest: Any = batch_v1.ListJobsRequest.pb()
ListJobsResponse: Any = batch_v1.ListJobsResponse.pb()
CancelJobRequest: Any = batch_v1.CancelJobRequest.pb()
DeleteJobRequest: Any = batch_v1.DeleteJobRequest.pb()
GetTaskRequest: Any = batch_v1.GetTaskRequest.pb()
ListTasksRequest: Any = batch_v1.ListTasksRequest.pb()
ListTasksResponse: Any = batch_v1.ListTasksResponse.pb()
OperationMetadata: Any = batch_v1.OperationMetadata.pb()

RETRY_TASK: Any = batch_v1.LifecyclePolicy.Action.RETRY_TASK
SPOT: Any = batch_v1.AllocationPolicy.ProvisioningModel.SPOT


class JobState(IntEnum):
    """JobStatus.State."""

    STATE_UNSPECIFIED = 0
    QUEUED = 1
    SCHEDULED = 2
    RUNNING = 3
    SUCCEEDED = 4
    FAILED = 5
    DELETION_IN_PROGRESS = 6
    CANCELLATION_IN_PROGRESS = 7
    CANCELLED = 8


class TaskState(IntEnum):
    """TaskStatus.State."""

    STATE_UNSPECIFIED = 0
    PENDING = 1
    ASSIGNED = 2
    RUNNING = 3
    FAILED = 4
    SUCCEEDED = 5
    UNEXECUTED = 6
