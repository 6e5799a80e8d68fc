"""Rows of the record as messages of the wire (contract §1). Pure; NULL is the message's default."""

from datetime import UTC, datetime

from api.gen import deployment_pb2 as pb
from controller.domain.records import JobRow, NotificationRow, TenantRow, blanked


def job(row: JobRow, *, redacts_env: bool) -> pb.Job:
    """`redacts_env`: values of environment variables are not shown, also those of rows that have them."""
    return pb.Job(
        job_id=row.job_id,
        tenant_id=row.tenant_id,
        image_uri=row.image_uri or "",
        status=row.status.wire,
        created_at=time(row.created_at),
        updated_at=time(row.updated_at),
        scheduled_at=time(row.scheduled_at),
        started_at=time(row.started_at),
        completed_at=time(row.completed_at),
        retry_count=row.retry_count,
        max_retries=row.max_retries,
        error_message=row.error_message or "",
        gcp_batch_job_path=row.resource_path or "",
        commands=row.commands,
        env_vars_json=(blanked(row.env_vars_json) if redacts_env else row.env_vars_json) or "",
        gcp_batch_task_group=row.task_group or "",
        name=row.name or "",
        resource_profile=row.resource_profile or "",
        machine_type=row.machine_type or "",
        boot_disk_size_gb=row.boot_disk_size_gb or 0,
        use_spot_vms=row.use_spot_vms or False,
        service_account=row.service_account or "",
        complexity_level=row.service_tier or "",
        assigned_service=row.assigned_service or "",
        memory_mib=row.memory_mib or 0,
        cpu_millis=row.cpu_millis or 0,
        max_run_duration_seconds=row.max_run_duration_seconds or 0,
    )


def notification(row: NotificationRow) -> pb.Notification:
    return pb.Notification(
        id=row.notification_id,
        job_id=row.job_id,
        job_name=row.job_name or "",
        final_status=row.final_status,
        service_tier=row.service_tier or "",
        assigned_service=row.assigned_service or "",
        occurred_at=int(row.occurred_at.timestamp()),
        error_message=row.error_message or "",
        is_read=row.is_read,
    )


def tenant(row: TenantRow) -> pb.GetCurrentTenantResponse:
    return pb.GetCurrentTenantResponse(
        tenant_id=row.tenant_id,
        user_email=row.user_email,
        oauth_provider=row.oauth_provider,
        created_at=time(row.created_at),
    )


def time(value: datetime | None) -> str:
    """RFC 3339 in UTC with a Z; "" for what did not happen yet."""
    if value is None:
        return ""
    return value.astimezone(UTC).isoformat().replace("+00:00", "Z")
