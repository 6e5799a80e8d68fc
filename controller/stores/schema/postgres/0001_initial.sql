-- The four tables of contract §2 for PostgreSQL (12 or newer), with Spanner's lengths. Read by stores/postgres_schema.py.
-- Ids compare byte by byte (COLLATE "C"): pages sort as everywhere else, and no upgrade of a locale breaks an index.
-- No comment in this file may contain the statement separator.

CREATE TABLE schema_version (
    version integer NOT NULL PRIMARY KEY,
    applied_at timestamptz NOT NULL DEFAULT now()
);

CREATE TABLE tenants (
    tenant_id varchar(36) COLLATE "C" NOT NULL PRIMARY KEY,
    user_email varchar(255) NOT NULL,
    oauth_provider varchar(50) NOT NULL,
    oauth_user_id varchar(255) NOT NULL,
    created_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL
);

CREATE INDEX tenants_by_oauth ON tenants (oauth_provider, oauth_user_id);

CREATE TABLE jobs (
    tenant_id varchar(36) COLLATE "C" NOT NULL REFERENCES tenants ON DELETE CASCADE,
    job_id varchar(36) COLLATE "C" NOT NULL,
    status varchar(50) NOT NULL,
    image_uri varchar(1024),
    commands text[] NOT NULL DEFAULT '{}',
    created_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL,
    scheduled_at timestamptz,
    started_at timestamptz,
    completed_at timestamptz,
    retry_count bigint NOT NULL DEFAULT 0,
    max_retries bigint NOT NULL DEFAULT 3,
    error_message text,
    gcp_batch_job_path varchar(1024),
    gcp_batch_task_group varchar(1024),
    env_vars_json text,
    -- The lease columns of the original: readers name them, nobody writes them.
    owner_worker_id varchar(128),
    preferred_worker_id varchar(128),
    lease_expires_at timestamptz,
    last_heartbeat_at timestamptz,
    name varchar(255),
    resource_profile varchar(50),
    machine_type varchar(255),
    boot_disk_size_gb bigint,
    use_spot_vms boolean,
    service_account varchar(1024),
    service_tier varchar(20),
    assigned_service varchar(50),
    memory_mib bigint,
    cpu_millis bigint,
    max_run_duration_seconds bigint,
    -- Ours: whose row this is, and the number of the transition that it stands at.
    uid text NOT NULL,
    transition bigint NOT NULL,
    PRIMARY KEY (tenant_id, job_id)
);

CREATE INDEX jobs_by_status ON jobs (tenant_id, status, created_at DESC, job_id DESC);
CREATE INDEX jobs_by_name ON jobs (tenant_id, name);
CREATE INDEX jobs_by_created ON jobs (tenant_id, created_at DESC, job_id DESC);

-- The key begins as Spanner's and ends with the transition's number, which the id derives from: audit rows of a job
-- lie together, in the order of writing.
CREATE TABLE job_state_transitions (
    tenant_id varchar(36) COLLATE "C" NOT NULL,
    job_id varchar(36) COLLATE "C" NOT NULL,
    transition_id varchar(36) NOT NULL,
    from_status varchar(50),
    to_status varchar(50) NOT NULL,
    transitioned_at timestamptz NOT NULL,
    reason text,
    number bigint NOT NULL,
    PRIMARY KEY (tenant_id, job_id, number),
    FOREIGN KEY (tenant_id, job_id) REFERENCES jobs ON DELETE CASCADE
);

CREATE TABLE notifications (
    tenant_id varchar(36) COLLATE "C" NOT NULL REFERENCES tenants ON DELETE CASCADE,
    notification_id varchar(36) COLLATE "C" NOT NULL,
    job_id varchar(36) COLLATE "C" NOT NULL,
    job_name varchar(255),
    final_status varchar(50) NOT NULL,
    service_tier varchar(50),
    assigned_service varchar(50),
    occurred_at timestamptz NOT NULL,
    error_message text,
    is_read boolean NOT NULL DEFAULT false,
    created_at timestamptz NOT NULL,
    PRIMARY KEY (tenant_id, notification_id)
);

CREATE INDEX notifications_by_tenant ON notifications (tenant_id, occurred_at DESC, notification_id);
CREATE INDEX notifications_unread ON notifications (tenant_id) WHERE NOT is_read
