-- Version 2 for PostgreSQL: where a job was sent, and which objects were deleted.
-- No comment in this file may contain the statement separator.

-- Ours, as uid and transition: never changed once it is set.
ALTER TABLE jobs ADD COLUMN destination text;

CREATE TABLE job_tombstones (
    uid text COLLATE "C" NOT NULL PRIMARY KEY,
    expires_at timestamptz NOT NULL
);

CREATE INDEX job_tombstones_by_expiry ON job_tombstones (expires_at);
