-- Version 2 (JennahSchema): what we must know of a job's object, beside the four tables that the Gateway reads.
-- One row for each object that a job id had. ExpiresAt is set once the object was deleted: until then it is remembered,
-- and Spanner removes the row by itself afterwards. No foreign key: a tombstone outlives the job's row.
-- No comment in this file may contain the statement separator.

CREATE TABLE IF NOT EXISTS JennahEvidence (
    TenantId STRING(36) NOT NULL,
    JobId STRING(36) NOT NULL,
    Uid STRING(64) NOT NULL,
    Destination STRING(MAX),
    ExpiresAt TIMESTAMP,
) PRIMARY KEY (TenantId, JobId, Uid),
    ROW DELETION POLICY (OLDER_THAN(ExpiresAt, INTERVAL 0 DAY));
