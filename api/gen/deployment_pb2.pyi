# mypy: disable-error-code="type-arg"
from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class ComplexityLevel(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    COMPLEXITY_LEVEL_UNSPECIFIED: _ClassVar[ComplexityLevel]
    COMPLEXITY_LEVEL_SIMPLE: _ClassVar[ComplexityLevel]
    COMPLEXITY_LEVEL_COMPLEX: _ClassVar[ComplexityLevel]

class AssignedService(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    ASSIGNED_SERVICE_UNSPECIFIED: _ClassVar[AssignedService]
    ASSIGNED_SERVICE_CLOUD_RUN_JOB: _ClassVar[AssignedService]
    ASSIGNED_SERVICE_CLOUD_BATCH: _ClassVar[AssignedService]
COMPLEXITY_LEVEL_UNSPECIFIED: ComplexityLevel
COMPLEXITY_LEVEL_SIMPLE: ComplexityLevel
COMPLEXITY_LEVEL_COMPLEX: ComplexityLevel
ASSIGNED_SERVICE_UNSPECIFIED: AssignedService
ASSIGNED_SERVICE_CLOUD_RUN_JOB: AssignedService
ASSIGNED_SERVICE_CLOUD_BATCH: AssignedService

class ResourceOverride(_message.Message):
    __slots__ = ("cpu_millis", "memory_mib", "max_run_duration_seconds")
    CPU_MILLIS_FIELD_NUMBER: _ClassVar[int]
    MEMORY_MIB_FIELD_NUMBER: _ClassVar[int]
    MAX_RUN_DURATION_SECONDS_FIELD_NUMBER: _ClassVar[int]
    cpu_millis: int
    memory_mib: int
    max_run_duration_seconds: int
    def __init__(self, cpu_millis: _Optional[int] = ..., memory_mib: _Optional[int] = ..., max_run_duration_seconds: _Optional[int] = ...) -> None: ...

class SubmitJobRequest(_message.Message):
    __slots__ = ("job_id", "image_uri", "env_vars", "resource_profile", "resource_override", "name", "machine_type", "boot_disk_size_gb", "use_spot_vms", "service_account", "commands", "command", "backoff_limit", "preemption_limit", "pending_deadline_seconds", "gpu", "shared_memory_mib", "labels", "completions", "parallelism", "priority", "provider", "ttl_seconds_after_finished")
    class EnvVarsEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: str
        def __init__(self, key: _Optional[str] = ..., value: _Optional[str] = ...) -> None: ...
    class LabelsEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: str
        def __init__(self, key: _Optional[str] = ..., value: _Optional[str] = ...) -> None: ...
    JOB_ID_FIELD_NUMBER: _ClassVar[int]
    IMAGE_URI_FIELD_NUMBER: _ClassVar[int]
    ENV_VARS_FIELD_NUMBER: _ClassVar[int]
    RESOURCE_PROFILE_FIELD_NUMBER: _ClassVar[int]
    RESOURCE_OVERRIDE_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    MACHINE_TYPE_FIELD_NUMBER: _ClassVar[int]
    BOOT_DISK_SIZE_GB_FIELD_NUMBER: _ClassVar[int]
    USE_SPOT_VMS_FIELD_NUMBER: _ClassVar[int]
    SERVICE_ACCOUNT_FIELD_NUMBER: _ClassVar[int]
    COMMANDS_FIELD_NUMBER: _ClassVar[int]
    COMMAND_FIELD_NUMBER: _ClassVar[int]
    BACKOFF_LIMIT_FIELD_NUMBER: _ClassVar[int]
    PREEMPTION_LIMIT_FIELD_NUMBER: _ClassVar[int]
    PENDING_DEADLINE_SECONDS_FIELD_NUMBER: _ClassVar[int]
    GPU_FIELD_NUMBER: _ClassVar[int]
    SHARED_MEMORY_MIB_FIELD_NUMBER: _ClassVar[int]
    LABELS_FIELD_NUMBER: _ClassVar[int]
    COMPLETIONS_FIELD_NUMBER: _ClassVar[int]
    PARALLELISM_FIELD_NUMBER: _ClassVar[int]
    PRIORITY_FIELD_NUMBER: _ClassVar[int]
    PROVIDER_FIELD_NUMBER: _ClassVar[int]
    TTL_SECONDS_AFTER_FINISHED_FIELD_NUMBER: _ClassVar[int]
    job_id: str
    image_uri: str
    env_vars: _containers.ScalarMap[str, str]
    resource_profile: str
    resource_override: ResourceOverride
    name: str
    machine_type: str
    boot_disk_size_gb: int
    use_spot_vms: bool
    service_account: str
    commands: _containers.RepeatedScalarFieldContainer[str]
    command: _containers.RepeatedScalarFieldContainer[str]
    backoff_limit: int
    preemption_limit: int
    pending_deadline_seconds: int
    gpu: Gpu
    shared_memory_mib: int
    labels: _containers.ScalarMap[str, str]
    completions: int
    parallelism: int
    priority: int
    provider: str
    ttl_seconds_after_finished: int
    def __init__(self, job_id: _Optional[str] = ..., image_uri: _Optional[str] = ..., env_vars: _Optional[_Mapping[str, str]] = ..., resource_profile: _Optional[str] = ..., resource_override: _Optional[_Union[ResourceOverride, _Mapping]] = ..., name: _Optional[str] = ..., machine_type: _Optional[str] = ..., boot_disk_size_gb: _Optional[int] = ..., use_spot_vms: _Optional[bool] = ..., service_account: _Optional[str] = ..., commands: _Optional[_Iterable[str]] = ..., command: _Optional[_Iterable[str]] = ..., backoff_limit: _Optional[int] = ..., preemption_limit: _Optional[int] = ..., pending_deadline_seconds: _Optional[int] = ..., gpu: _Optional[_Union[Gpu, _Mapping]] = ..., shared_memory_mib: _Optional[int] = ..., labels: _Optional[_Mapping[str, str]] = ..., completions: _Optional[int] = ..., parallelism: _Optional[int] = ..., priority: _Optional[int] = ..., provider: _Optional[str] = ..., ttl_seconds_after_finished: _Optional[int] = ...) -> None: ...

class Gpu(_message.Message):
    __slots__ = ("type", "count")
    TYPE_FIELD_NUMBER: _ClassVar[int]
    COUNT_FIELD_NUMBER: _ClassVar[int]
    type: str
    count: int
    def __init__(self, type: _Optional[str] = ..., count: _Optional[int] = ...) -> None: ...

class SubmitJobResponse(_message.Message):
    __slots__ = ("job_id", "status", "worker_assigned", "complexity_level", "assigned_service", "routing_reason")
    JOB_ID_FIELD_NUMBER: _ClassVar[int]
    STATUS_FIELD_NUMBER: _ClassVar[int]
    WORKER_ASSIGNED_FIELD_NUMBER: _ClassVar[int]
    COMPLEXITY_LEVEL_FIELD_NUMBER: _ClassVar[int]
    ASSIGNED_SERVICE_FIELD_NUMBER: _ClassVar[int]
    ROUTING_REASON_FIELD_NUMBER: _ClassVar[int]
    job_id: str
    status: str
    worker_assigned: str
    complexity_level: str
    assigned_service: str
    routing_reason: str
    def __init__(self, job_id: _Optional[str] = ..., status: _Optional[str] = ..., worker_assigned: _Optional[str] = ..., complexity_level: _Optional[str] = ..., assigned_service: _Optional[str] = ..., routing_reason: _Optional[str] = ...) -> None: ...

class ListJobsRequest(_message.Message):
    __slots__ = ("page_size", "page_token", "status", "created_after")
    PAGE_SIZE_FIELD_NUMBER: _ClassVar[int]
    PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    STATUS_FIELD_NUMBER: _ClassVar[int]
    CREATED_AFTER_FIELD_NUMBER: _ClassVar[int]
    page_size: int
    page_token: str
    status: str
    created_after: str
    def __init__(self, page_size: _Optional[int] = ..., page_token: _Optional[str] = ..., status: _Optional[str] = ..., created_after: _Optional[str] = ...) -> None: ...

class ListJobsResponse(_message.Message):
    __slots__ = ("jobs", "next_page_token")
    JOBS_FIELD_NUMBER: _ClassVar[int]
    NEXT_PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    jobs: _containers.RepeatedCompositeFieldContainer[Job]
    next_page_token: str
    def __init__(self, jobs: _Optional[_Iterable[_Union[Job, _Mapping]]] = ..., next_page_token: _Optional[str] = ...) -> None: ...

class Job(_message.Message):
    __slots__ = ("job_id", "tenant_id", "image_uri", "status", "created_at", "updated_at", "scheduled_at", "started_at", "completed_at", "retry_count", "max_retries", "error_message", "gcp_batch_job_path", "commands", "env_vars_json", "gcp_batch_task_group", "name", "resource_profile", "machine_type", "boot_disk_size_gb", "use_spot_vms", "service_account", "complexity_level", "assigned_service", "memory_mib", "cpu_millis", "max_run_duration_seconds")
    JOB_ID_FIELD_NUMBER: _ClassVar[int]
    TENANT_ID_FIELD_NUMBER: _ClassVar[int]
    IMAGE_URI_FIELD_NUMBER: _ClassVar[int]
    STATUS_FIELD_NUMBER: _ClassVar[int]
    CREATED_AT_FIELD_NUMBER: _ClassVar[int]
    UPDATED_AT_FIELD_NUMBER: _ClassVar[int]
    SCHEDULED_AT_FIELD_NUMBER: _ClassVar[int]
    STARTED_AT_FIELD_NUMBER: _ClassVar[int]
    COMPLETED_AT_FIELD_NUMBER: _ClassVar[int]
    RETRY_COUNT_FIELD_NUMBER: _ClassVar[int]
    MAX_RETRIES_FIELD_NUMBER: _ClassVar[int]
    ERROR_MESSAGE_FIELD_NUMBER: _ClassVar[int]
    GCP_BATCH_JOB_PATH_FIELD_NUMBER: _ClassVar[int]
    COMMANDS_FIELD_NUMBER: _ClassVar[int]
    ENV_VARS_JSON_FIELD_NUMBER: _ClassVar[int]
    GCP_BATCH_TASK_GROUP_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    RESOURCE_PROFILE_FIELD_NUMBER: _ClassVar[int]
    MACHINE_TYPE_FIELD_NUMBER: _ClassVar[int]
    BOOT_DISK_SIZE_GB_FIELD_NUMBER: _ClassVar[int]
    USE_SPOT_VMS_FIELD_NUMBER: _ClassVar[int]
    SERVICE_ACCOUNT_FIELD_NUMBER: _ClassVar[int]
    COMPLEXITY_LEVEL_FIELD_NUMBER: _ClassVar[int]
    ASSIGNED_SERVICE_FIELD_NUMBER: _ClassVar[int]
    MEMORY_MIB_FIELD_NUMBER: _ClassVar[int]
    CPU_MILLIS_FIELD_NUMBER: _ClassVar[int]
    MAX_RUN_DURATION_SECONDS_FIELD_NUMBER: _ClassVar[int]
    job_id: str
    tenant_id: str
    image_uri: str
    status: str
    created_at: str
    updated_at: str
    scheduled_at: str
    started_at: str
    completed_at: str
    retry_count: int
    max_retries: int
    error_message: str
    gcp_batch_job_path: str
    commands: _containers.RepeatedScalarFieldContainer[str]
    env_vars_json: str
    gcp_batch_task_group: str
    name: str
    resource_profile: str
    machine_type: str
    boot_disk_size_gb: int
    use_spot_vms: bool
    service_account: str
    complexity_level: str
    assigned_service: str
    memory_mib: int
    cpu_millis: int
    max_run_duration_seconds: int
    def __init__(self, job_id: _Optional[str] = ..., tenant_id: _Optional[str] = ..., image_uri: _Optional[str] = ..., status: _Optional[str] = ..., created_at: _Optional[str] = ..., updated_at: _Optional[str] = ..., scheduled_at: _Optional[str] = ..., started_at: _Optional[str] = ..., completed_at: _Optional[str] = ..., retry_count: _Optional[int] = ..., max_retries: _Optional[int] = ..., error_message: _Optional[str] = ..., gcp_batch_job_path: _Optional[str] = ..., commands: _Optional[_Iterable[str]] = ..., env_vars_json: _Optional[str] = ..., gcp_batch_task_group: _Optional[str] = ..., name: _Optional[str] = ..., resource_profile: _Optional[str] = ..., machine_type: _Optional[str] = ..., boot_disk_size_gb: _Optional[int] = ..., use_spot_vms: _Optional[bool] = ..., service_account: _Optional[str] = ..., complexity_level: _Optional[str] = ..., assigned_service: _Optional[str] = ..., memory_mib: _Optional[int] = ..., cpu_millis: _Optional[int] = ..., max_run_duration_seconds: _Optional[int] = ...) -> None: ...

class GetCurrentTenantRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class GetCurrentTenantResponse(_message.Message):
    __slots__ = ("tenant_id", "user_email", "oauth_provider", "created_at")
    TENANT_ID_FIELD_NUMBER: _ClassVar[int]
    USER_EMAIL_FIELD_NUMBER: _ClassVar[int]
    OAUTH_PROVIDER_FIELD_NUMBER: _ClassVar[int]
    CREATED_AT_FIELD_NUMBER: _ClassVar[int]
    tenant_id: str
    user_email: str
    oauth_provider: str
    created_at: str
    def __init__(self, tenant_id: _Optional[str] = ..., user_email: _Optional[str] = ..., oauth_provider: _Optional[str] = ..., created_at: _Optional[str] = ...) -> None: ...

class CancelJobRequest(_message.Message):
    __slots__ = ("job_id",)
    JOB_ID_FIELD_NUMBER: _ClassVar[int]
    job_id: str
    def __init__(self, job_id: _Optional[str] = ...) -> None: ...

class CancelJobResponse(_message.Message):
    __slots__ = ("job_id", "status")
    JOB_ID_FIELD_NUMBER: _ClassVar[int]
    STATUS_FIELD_NUMBER: _ClassVar[int]
    job_id: str
    status: str
    def __init__(self, job_id: _Optional[str] = ..., status: _Optional[str] = ...) -> None: ...

class DeleteJobRequest(_message.Message):
    __slots__ = ("job_id",)
    JOB_ID_FIELD_NUMBER: _ClassVar[int]
    job_id: str
    def __init__(self, job_id: _Optional[str] = ...) -> None: ...

class DeleteJobResponse(_message.Message):
    __slots__ = ("job_id", "message")
    JOB_ID_FIELD_NUMBER: _ClassVar[int]
    MESSAGE_FIELD_NUMBER: _ClassVar[int]
    job_id: str
    message: str
    def __init__(self, job_id: _Optional[str] = ..., message: _Optional[str] = ...) -> None: ...

class GetJobRequest(_message.Message):
    __slots__ = ("job_id",)
    JOB_ID_FIELD_NUMBER: _ClassVar[int]
    job_id: str
    def __init__(self, job_id: _Optional[str] = ...) -> None: ...

class GetJobResponse(_message.Message):
    __slots__ = ("job",)
    JOB_FIELD_NUMBER: _ClassVar[int]
    job: Job
    def __init__(self, job: _Optional[_Union[Job, _Mapping]] = ...) -> None: ...

class Notification(_message.Message):
    __slots__ = ("id", "job_id", "job_name", "final_status", "service_tier", "assigned_service", "occurred_at", "error_message", "is_read")
    ID_FIELD_NUMBER: _ClassVar[int]
    JOB_ID_FIELD_NUMBER: _ClassVar[int]
    JOB_NAME_FIELD_NUMBER: _ClassVar[int]
    FINAL_STATUS_FIELD_NUMBER: _ClassVar[int]
    SERVICE_TIER_FIELD_NUMBER: _ClassVar[int]
    ASSIGNED_SERVICE_FIELD_NUMBER: _ClassVar[int]
    OCCURRED_AT_FIELD_NUMBER: _ClassVar[int]
    ERROR_MESSAGE_FIELD_NUMBER: _ClassVar[int]
    IS_READ_FIELD_NUMBER: _ClassVar[int]
    id: str
    job_id: str
    job_name: str
    final_status: str
    service_tier: str
    assigned_service: str
    occurred_at: int
    error_message: str
    is_read: bool
    def __init__(self, id: _Optional[str] = ..., job_id: _Optional[str] = ..., job_name: _Optional[str] = ..., final_status: _Optional[str] = ..., service_tier: _Optional[str] = ..., assigned_service: _Optional[str] = ..., occurred_at: _Optional[int] = ..., error_message: _Optional[str] = ..., is_read: _Optional[bool] = ...) -> None: ...

class ListNotificationsRequest(_message.Message):
    __slots__ = ("limit",)
    LIMIT_FIELD_NUMBER: _ClassVar[int]
    limit: int
    def __init__(self, limit: _Optional[int] = ...) -> None: ...

class ListNotificationsResponse(_message.Message):
    __slots__ = ("notifications", "unread_count")
    NOTIFICATIONS_FIELD_NUMBER: _ClassVar[int]
    UNREAD_COUNT_FIELD_NUMBER: _ClassVar[int]
    notifications: _containers.RepeatedCompositeFieldContainer[Notification]
    unread_count: int
    def __init__(self, notifications: _Optional[_Iterable[_Union[Notification, _Mapping]]] = ..., unread_count: _Optional[int] = ...) -> None: ...

class AckNotificationRequest(_message.Message):
    __slots__ = ("notification_id",)
    NOTIFICATION_ID_FIELD_NUMBER: _ClassVar[int]
    notification_id: str
    def __init__(self, notification_id: _Optional[str] = ...) -> None: ...

class AckNotificationResponse(_message.Message):
    __slots__ = ("success",)
    SUCCESS_FIELD_NUMBER: _ClassVar[int]
    success: bool
    def __init__(self, success: _Optional[bool] = ...) -> None: ...
