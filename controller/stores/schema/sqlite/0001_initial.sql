-- The four tables of contract §2 for SQLite, version 1 (PRAGMA user_version). Read by stores/sqlite_connection.py.
-- Times are text, ISO 8601 in UTC with microseconds and Z, so that they sort. commands is a JSON array.
-- No comment in this file may contain the statement separator.

CREATE TABLE tenants (
    tenant_id TEXT NOT NULL PRIMARY KEY,
    user_email TEXT NOT NULL,
    oauth_provider TEXT NOT NULL,
    oauth_user_id TEXT NOT NULL,
    created_at TEXT NOT NULL,
    updated_at TEXT NOT NULL
) STRICT;

CREATE INDEX tenants_by_oauth ON tenants (oauth_provider, oauth_user_id);

CREATE TABLE jobs (
    tenant_id TEXT NOT NULL REFERENCES tenants ON DELETE CASCADE,
    job_id TEXT NOT NULL,
    status TEXT NOT NULL,
    image_uri TEXT,
    commands TEXT NOT NULL DEFAULT '[]',
    created_at TEXT NOT NULL,
    updated_at TEXT NOT NULL,
    scheduled_at TEXT,
    started_at TEXT,
    completed_at TEXT,
    retry_count INTEGER NOT NULL DEFAULT 0,
    max_retries INTEGER NOT NULL DEFAULT 3,
    error_message TEXT,
    gcp_batch_job_path TEXT,
    gcp_batch_task_group TEXT,
    env_vars_json TEXT,
    -- The lease columns of the original: readers name them, nobody writes them.
    owner_worker_id TEXT,
    preferred_worker_id TEXT,
    lease_expires_at TEXT,
    last_heartbeat_at TEXT,
    name TEXT,
    resource_profile TEXT,
    machine_type TEXT,
    boot_disk_size_gb INTEGER,
    use_spot_vms INTEGER,
    service_account TEXT,
    service_tier TEXT,
    assigned_service TEXT,
    memory_mib INTEGER,
    cpu_millis INTEGER,
    max_run_duration_seconds INTEGER,
    -- Ours: whose row this is, and the number of the transition that it stands at.
    uid TEXT NOT NULL,
    transition INTEGER NOT NULL,
    PRIMARY KEY (tenant_id, job_id)
) STRICT;

CREATE INDEX jobs_by_status ON jobs (tenant_id, status, created_at DESC);
CREATE INDEX jobs_by_name ON jobs (tenant_id, name);
CREATE INDEX jobs_by_created ON jobs (tenant_id, created_at DESC, job_id DESC);

CREATE TABLE job_state_transitions (
    tenant_id TEXT NOT NULL,
    job_id TEXT NOT NULL,
    transition_id TEXT NOT NULL,
    from_status TEXT,
    to_status TEXT NOT NULL,
    transitioned_at TEXT NOT NULL,
    reason TEXT,
    PRIMARY KEY (tenant_id, job_id, transition_id),
    FOREIGN KEY (tenant_id, job_id) REFERENCES jobs ON DELETE CASCADE
) STRICT;

CREATE INDEX transitions_by_job ON job_state_transitions (tenant_id, job_id, transitioned_at DESC);

CREATE TABLE notifications (
    tenant_id TEXT NOT NULL REFERENCES tenants ON DELETE CASCADE,
    notification_id TEXT NOT NULL,
    job_id TEXT NOT NULL,
    job_name TEXT,
    final_status TEXT NOT NULL,
    service_tier TEXT,
    assigned_service TEXT,
    occurred_at TEXT NOT NULL,
    error_message TEXT,
    is_read INTEGER NOT NULL DEFAULT 0,
    created_at TEXT NOT NULL,
    PRIMARY KEY (tenant_id, notification_id)
) STRICT;

CREATE INDEX notifications_by_tenant ON notifications (tenant_id, is_read, occurred_at DESC);
