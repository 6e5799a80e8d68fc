"""The Gateway on the same tables: what it reads, and what it writes and deletes."""

from controller.domain.errors import Permanent
from controller.domain.phases import Phase
from controller.domain.records import Recorded
from controller.ports import RecordFailure
from controller.stores.spanner import SpannerStore
from tests.controller.stores.spanner.harness import NOON, Gateway, transition

GATEWAY_JOBS = (
    "SELECT TenantId, JobId, Status, ImageUri, Commands, CreatedAt, UpdatedAt, ScheduledAt, StartedAt, CompletedAt, "
    "RetryCount, MaxRetries, ErrorMessage, GcpBatchJobPath, GcpBatchTaskGroup, EnvVarsJson, OwnerWorkerId, "
    "PreferredWorkerId, LeaseExpiresAt, LastHeartbeatAt, Name, ResourceProfile, MachineType, BootDiskSizeGb, "
    "UseSpotVms, ServiceAccount, ServiceTier, AssignedService, MemoryMib, CpuMillis, MaxRunDurationSeconds "
    "FROM Jobs WHERE TenantId = 't' ORDER BY CreatedAt DESC"
)


async def test_the_gateway_reads_every_column_and_the_lease_columns_are_null(
    store: SpannerStore, gateway: Gateway
) -> None:
    await store.record([transition(2, Phase.RUNNING, image_uri="busybox", commands=("a",), name="n", retry_count=1)])
    [row] = gateway.select(GATEWAY_JOBS)
    assert row[:7] == ["t", "j", "RUNNING", "busybox", ["a"], NOON, NOON]
    assert row[7:16] == [None, None, None, 1, 3, None, None, None, None]
    assert row[16:20] == [None] * 4
    assert row[20:] == ["n", *[None] * 10]


async def test_a_tenant_that_the_gateway_made_is_left_alone(store: SpannerStore, gateway: Gateway) -> None:
    gateway.write(
        "INSERT INTO Tenants (TenantId, UserEmail, OAuthProvider, OAuthUserId, CreatedAt, UpdatedAt) "
        "VALUES ('t', 'a@b', 'google', '7', PENDING_COMMIT_TIMESTAMP(), PENDING_COMMIT_TIMESTAMP())"
    )
    await store.record([transition()])
    tenant = await store.get_tenant("t")
    assert tenant is not None
    assert (tenant.user_email, tenant.oauth_provider, tenant.oauth_user_id) == ("a@b", "google", "7")
    assert len(gateway.select(GATEWAY_JOBS)) == 1


async def test_what_the_gateway_deletes_is_gone_with_all_that_hangs_on_it(
    store: SpannerStore, gateway: Gateway
) -> None:
    await store.record([transition(0), transition(1, Phase.COMPLETED), transition(0, job="k")])
    gateway.write("DELETE FROM Jobs WHERE TenantId = 't' AND JobId = 'j'")
    assert await store.get_job("t", "j") is None
    assert await store.transitions("t", "j") == []
    gateway.write("DELETE FROM Tenants WHERE TenantId = 't'")
    assert await store.list_notifications("t", limit=10) == []
    assert await store.record([transition(0, job="k")]) == [Recorded(number=0, phase=Phase.PENDING)]


async def test_a_notification_that_the_gateway_acknowledged_stays_read_when_the_job_ends_again(
    store: SpannerStore, gateway: Gateway
) -> None:
    await store.record([transition(0), transition(1, Phase.COMPLETED)])
    gateway.write("UPDATE Notifications SET IsRead = TRUE WHERE TenantId = 't'")
    gateway.write("DELETE FROM Jobs WHERE TenantId = 't' AND JobId = 'j'")
    await store.record([transition(2, Phase.FAILED)])
    [note] = await store.list_notifications("t", limit=10)
    assert (note.final_status, note.is_read) == ("FAILED", True)


async def test_a_row_of_the_original_worker_is_never_overwritten(store: SpannerStore, gateway: Gateway) -> None:
    await store.record([transition(job="other")])  # the tenant
    gateway.write(
        "INSERT INTO Jobs (TenantId, JobId, Status, CreatedAt, UpdatedAt) "
        "VALUES ('t', 'j', 'RUNNING', PENDING_COMMIT_TIMESTAMP(), PENDING_COMMIT_TIMESTAMP())"
    )
    [failure] = await store.record([transition(1, Phase.COMPLETED)])
    assert isinstance(failure, RecordFailure)
    assert isinstance(failure.error, Permanent)
    job = await store.get_job("t", "j")
    assert job is not None
    assert (job.status, job.commands, job.max_retries) == (Phase.RUNNING, (), 3)
