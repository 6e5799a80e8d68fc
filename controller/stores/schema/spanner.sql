-- The four tables of contract §2, version 1 (JennahSchema). Read by stores/spanner_schema.py.
-- The Gateway reads these tables itself: nothing may be added to them, renamed or left out.
-- IF NOT EXISTS: a database that the original made is taken as it is, and two replicas may run this at once.
-- No comment in this file may contain the statement separator.

CREATE TABLE IF NOT EXISTS Tenants (
    TenantId STRING(36) NOT NULL,
    UserEmail STRING(255) NOT NULL,
    OAuthProvider STRING(50) NOT NULL,
    OAuthUserId STRING(255) NOT NULL,
    CreatedAt TIMESTAMP NOT NULL OPTIONS (allow_commit_timestamp = true),
    UpdatedAt TIMESTAMP NOT NULL OPTIONS (allow_commit_timestamp = true),
) PRIMARY KEY (TenantId);

CREATE INDEX IF NOT EXISTS TenantsByOAuth ON Tenants (OAuthProvider, OAuthUserId);

CREATE TABLE IF NOT EXISTS Jobs (
    TenantId STRING(36) NOT NULL,
    JobId STRING(36) NOT NULL,
    Status STRING(50) NOT NULL,
    ImageUri STRING(1024),
    Commands ARRAY<STRING(MAX)>,
    CreatedAt TIMESTAMP NOT NULL OPTIONS (allow_commit_timestamp = true),
    UpdatedAt TIMESTAMP NOT NULL OPTIONS (allow_commit_timestamp = true),
    ScheduledAt TIMESTAMP,
    StartedAt TIMESTAMP,
    CompletedAt TIMESTAMP,
    RetryCount INT64 NOT NULL DEFAULT (0),
    MaxRetries INT64 NOT NULL DEFAULT (3),
    ErrorMessage STRING(MAX),
    GcpBatchJobPath STRING(1024),
    GcpBatchTaskGroup STRING(1024),
    EnvVarsJson STRING(MAX),
    OwnerWorkerId STRING(128),
    PreferredWorkerId STRING(128),
    LeaseExpiresAt TIMESTAMP,
    LastHeartbeatAt TIMESTAMP,
    Name STRING(255),
    ResourceProfile STRING(50),
    MachineType STRING(255),
    BootDiskSizeGb INT64,
    UseSpotVms BOOL,
    ServiceAccount STRING(1024),
    ServiceTier STRING(20),
    AssignedService STRING(50),
    MemoryMib INT64,
    CpuMillis INT64,
    MaxRunDurationSeconds INT64,
) PRIMARY KEY (TenantId, JobId),
    INTERLEAVE IN PARENT Tenants ON DELETE CASCADE;

CREATE INDEX IF NOT EXISTS JobsByStatus ON Jobs (TenantId, Status, CreatedAt DESC);

CREATE INDEX IF NOT EXISTS IdxJobsByName ON Jobs (TenantId, Name);

CREATE TABLE IF NOT EXISTS JobStateTransitions (
    TenantId STRING(36) NOT NULL,
    JobId STRING(36) NOT NULL,
    TransitionId STRING(36) NOT NULL,
    FromStatus STRING(50),
    ToStatus STRING(50) NOT NULL,
    TransitionedAt TIMESTAMP NOT NULL OPTIONS (allow_commit_timestamp = true),
    Reason STRING(MAX),
) PRIMARY KEY (TenantId, JobId, TransitionId),
    INTERLEAVE IN PARENT Jobs ON DELETE CASCADE;

CREATE INDEX IF NOT EXISTS TransitionsByJob ON JobStateTransitions (TenantId, JobId, TransitionedAt DESC);

CREATE TABLE IF NOT EXISTS Notifications (
    TenantId STRING(36) NOT NULL,
    NotificationId STRING(36) NOT NULL,
    JobId STRING(36) NOT NULL,
    JobName STRING(255),
    FinalStatus STRING(50) NOT NULL,
    ServiceTier STRING(50),
    AssignedService STRING(50),
    OccurredAt TIMESTAMP NOT NULL,
    ErrorMessage STRING(MAX),
    IsRead BOOL NOT NULL DEFAULT (FALSE),
    CreatedAt TIMESTAMP NOT NULL OPTIONS (allow_commit_timestamp = true),
) PRIMARY KEY (TenantId, NotificationId),
    INTERLEAVE IN PARENT Tenants ON DELETE CASCADE;

CREATE INDEX IF NOT EXISTS NotificationsByTenant ON Notifications (TenantId, IsRead, OccurredAt DESC);
