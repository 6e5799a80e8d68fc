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


class Container(Wire, frozen=True, kw_only=True):
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

    attempts: tuple[Attempt, ...] | None = None
    tags: dict[str, str] | None = None


class JobPage(Wire, frozen=True, kw_only=True):
    job_summary_list: tuple[Summary, ...]
    next_token: str | None = None


class JobDetails(Wire, frozen=True, kw_only=True):
    jobs: tuple[Detail, ...] = ()
