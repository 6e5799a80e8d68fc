"""The generated messages are those of deployment.proto, and deployment.proto is the contract's (§1)."""

from pathlib import Path

from api.gen import deployment_pb2 as pb
from api.proto import generate

CONTRACT = {
    "ResourceOverride": "cpu_millis 1, memory_mib 2, max_run_duration_seconds 3",
    "SubmitJobRequest": "job_id 1, image_uri 2, env_vars 3, resource_profile 4, resource_override 5, name 6, "
    "machine_type 7, boot_disk_size_gb 8, use_spot_vms 9, service_account 10, commands 11",
    "SubmitJobResponse": "job_id 1, status 2, worker_assigned 3, complexity_level 4, assigned_service 5, "
    "routing_reason 6",
    "ListJobsRequest": "",
    "ListJobsResponse": "jobs 1",
    "Job": "job_id 1, tenant_id 2, image_uri 3, status 4, created_at 5, updated_at 6, scheduled_at 7, started_at 8, "
    "completed_at 9, retry_count 10, max_retries 11, error_message 12, gcp_batch_job_path 13, commands 14, "
    "env_vars_json 15, gcp_batch_task_group 16, name 17, resource_profile 18, machine_type 19, boot_disk_size_gb 20, "
    "use_spot_vms 21, service_account 22, complexity_level 23, assigned_service 24, memory_mib 25, cpu_millis 26, "
    "max_run_duration_seconds 27",
    "GetCurrentTenantRequest": "",
    "GetCurrentTenantResponse": "tenant_id 1, user_email 2, oauth_provider 3, created_at 4",
    "CancelJobRequest": "job_id 1",
    "CancelJobResponse": "job_id 1, status 2",
    "DeleteJobRequest": "job_id 1",
    "DeleteJobResponse": "job_id 1, message 2",
    "GetJobRequest": "job_id 1",
    "GetJobResponse": "job 1",
    "Notification": "id 1, job_id 2, job_name 3, final_status 4, service_tier 5, assigned_service 6, occurred_at 7, "
    "error_message 8, is_read 9",
    "ListNotificationsRequest": "limit 1",
    "ListNotificationsResponse": "notifications 1, unread_count 2",
    "AckNotificationRequest": "notification_id 1",
    "AckNotificationResponse": "success 1",
}

OURS = {"Gpu": "type 1, count 2"}
"""Messages that the contract does not know: all of their numbers are ours."""

METHODS = [
    "SubmitJob",
    "ListJobs",
    "GetJob",
    "CancelJob",
    "DeleteJob",
    "GetCurrentTenant",
    "ListNotifications",
    "AckNotification",
]


def test_the_committed_modules_are_current(tmp_path: Path) -> None:
    generate.generate(tmp_path)
    for name in generate.NAMES:
        assert (tmp_path / name).read_text() == (generate.GENERATED / name).read_text(), (
            "run: python -m api.proto.generate"
        )


def test_messages_and_numbers_are_the_contracts_and_ours_begin_at_100() -> None:
    messages = {
        name: ", ".join(f"{field.name} {field.number}" for field in message.fields if field.number < 100)
        for name, message in pb.DESCRIPTOR.message_types_by_name.items()
    }
    assert messages == CONTRACT | OURS


def test_the_package_the_service_and_the_reserved_enums() -> None:
    assert pb.DESCRIPTOR.package == "jennah.v1"
    assert pb.DESCRIPTOR.GetOptions().go_package == "github.com/alphauslabs/jennah/gen/proto;jennahv1"
    methods = pb.DESCRIPTOR.services_by_name["DeploymentService"].methods
    assert [method.name for method in methods] == METHODS
    assert all(m.input_type.name == f"{m.name}Request" and m.output_type.name == f"{m.name}Response" for m in methods)
    enums = {name: list(enum.values_by_number) for name, enum in pb.DESCRIPTOR.enum_types_by_name.items()}
    assert enums == {"ComplexityLevel": [0, 1, 3], "AssignedService": [0, 2, 3]}
