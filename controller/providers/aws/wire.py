"""The replies of the service, as far as they are used, decoded from JSON at once: botocore's parser takes many times
as long, and would put every job's environment into memory.

Names are those of botocore's shapes JobSummary and JobDetail. Times are milliseconds since 1970.
"""

import msgspec


class Wire(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """Base: camelCase outside; what is missing, or null, is None."""


class LogConfiguration(Wire, frozen=True, kw_only=True):
    log_driver: str | None = None
    options: dict[str, str] | None = None


class Requirement(Wire, frozen=True, kw_only=True):
    """VCPU, MEMORY or GPU."""

    type: str | None = None
    value: str | None = None


class Container(Wire, frozen=True, kw_only=True):
    image: str | None = None
    resource_requirements: tuple[Requirement, ...] | None = None
    exit_code: int | None = None
    reason: str | None = None
    log_stream_name: str | None = None
    log_configuration: LogConfiguration | None = None


class ArrayProperties(Wire, frozen=True, kw_only=True):
    size: int | None = None
    index: int | None = None
    status_summary: dict[str, int] | None = None


class Attempt(Wire, frozen=True, kw_only=True):
    """One run of the container."""

    container: Container | None = None
    started_at: float | None = None
    stopped_at: float | None = None
    status_reason: str | None = None


class Timeout(Wire, frozen=True, kw_only=True):
    attempt_duration_seconds: int | None = None


class RetryStrategy(Wire, frozen=True, kw_only=True):
    attempts: int | None = None
    evaluate_on_exit: tuple[dict[str, str], ...] = ()


class Summary(Wire, frozen=True, kw_only=True):
    """What ListJobs says of a job."""

    job_id: str
    job_name: str
    job_arn: str | None = None
    created_at: float | None = None
    status: str | None = None
    status_reason: str | None = None
    started_at: float | None = None
    stopped_at: float | None = None
    container: Container | None = None
    array_properties: ArrayProperties | None = None
    is_cancelled: bool | None = None
    is_terminated: bool | None = None


class Detail(Summary, frozen=True, kw_only=True):
    """What DescribeJobs says of a job."""

    job_definition: str | None = None
    timeout: Timeout | None = None
    retry_strategy: RetryStrategy | None = None
    attempts: tuple[Attempt, ...] | None = None
    tags: dict[str, str] | None = None


class JobPage(Wire, frozen=True, kw_only=True):
    job_summary_list: tuple[Summary, ...]
    next_token: str | None = None


class JobDetails(Wire, frozen=True, kw_only=True):
    jobs: tuple[Detail, ...]


class EnvironmentOrder(Wire, frozen=True, kw_only=True):
    compute_environment: str


class JobQueue(Wire, frozen=True, kw_only=True):
    job_queue_name: str
    job_queue_arn: str
    state: str | None = None
    status: str | None = None
    job_queue_type: str | None = None
    scheduling_policy_arn: str | None = None
    compute_environment_order: tuple[EnvironmentOrder, ...] | None = None


class QueuePage(Wire, frozen=True, kw_only=True):
    job_queues: tuple[JobQueue, ...]
    next_token: str | None = None


class ComputeResources(Wire, frozen=True, kw_only=True):
    type: str | None = None


class ComputeEnvironment(Wire, frozen=True, kw_only=True):
    compute_resources: ComputeResources | None = None


class ComputeEnvironments(Wire, frozen=True, kw_only=True):
    compute_environments: tuple[ComputeEnvironment, ...]


class Definition(Wire, frozen=True, kw_only=True):
    """What DescribeJobDefinitions says of one, and RegisterJobDefinition of the new one."""

    job_definition_name: str
    revision: int
    status: str | None = None


class DefinitionPage(Wire, frozen=True, kw_only=True):
    job_definitions: tuple[Definition, ...]
    next_token: str | None = None


class NotEnded(Wire, frozen=True, kw_only=True):
    """A job that TerminateJobs did not end."""

    job: str
    code: str | None = None


class Ended(Wire, frozen=True, kw_only=True):
    """What became of the jobs of a TerminateJobs; one that the service does not know is among the successful ones."""

    successful: tuple[str, ...]
    errors: tuple[NotEnded, ...]
