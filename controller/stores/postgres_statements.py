"""The store's SQL. Many rows are one JSON parameter, unfolded by json_to_recordset.

S608: these statements are put together from column names, never from values.
"""

from controller.domain.records import NotificationRow, TenantRow, TransitionRow
from controller.stores.postgres_rows import JOB_COLUMNS, STORED_COLUMNS

# ruff: noqa: S608

_TYPES = {
    "commands": "text[]",
    "is_read": "boolean",
    "use_spot_vms": "boolean",
    **dict.fromkeys(("retry_count", "max_retries", "boot_disk_size_gb", "memory_mib", "cpu_millis"), "bigint"),
    **dict.fromkeys(("max_run_duration_seconds", "transition", "number"), "bigint"),
    # Compared with the keys of jobs, which have this collation.
    **dict.fromkeys(("tenant_id", "job_id", "uid"), 'text COLLATE "C"'),
}


def _names(columns: tuple[str, ...]) -> str:
    return ", ".join(columns)


def _unfolded(columns: tuple[str, ...]) -> str:
    """The parameter as a table `new`. Times end with "_at"; what has no other type is text."""
    types = (_TYPES.get(column, "timestamptz" if column.endswith("_at") else "text") for column in columns)
    described = ", ".join(f"{column} {kind}" for column, kind in zip(columns, types, strict=True))
    return f"json_to_recordset(%s) AS new ({described})"


def _insert(table: str, columns: tuple[str, ...]) -> str:
    return f"INSERT INTO {table} ({_names(columns)}) SELECT {_names(columns)} FROM {_unfolded(columns)}"


_KEY = ("tenant_id", "job_id")
_TRANSITION_COLUMNS = (*_KEY, *TransitionRow.__struct_fields__, "number")
_NOTIFICATION_COLUMNS = (*NotificationRow.__struct_fields__, "created_at")
_UPDATED = tuple(column for column in STORED_COLUMNS if column not in (*_KEY, "created_at", "uid"))

# The order is the order of locking.
LOCK_STORED = (
    f"SELECT {', '.join(f'jobs.{column}' for column in STORED_COLUMNS)} FROM jobs JOIN {_unfolded(_KEY)} "
    "USING (tenant_id, job_id) ORDER BY jobs.tenant_id, jobs.job_id FOR UPDATE OF jobs"
)
INSERT_TENANTS = f"{_insert('tenants', TenantRow.__struct_fields__)} ON CONFLICT DO NOTHING"
# Without ON CONFLICT: a row that another process created meanwhile is read and merged first (see postgres_errors).
INSERT_JOBS = _insert("jobs", STORED_COLUMNS)
UPDATE_JOBS = (
    f"UPDATE jobs SET {', '.join(f'{column} = new.{column}' for column in _UPDATED)} "
    f"FROM {_unfolded(STORED_COLUMNS)} WHERE jobs.tenant_id = new.tenant_id AND jobs.job_id = new.job_id"
)
INSERT_TRANSITIONS = f"{_insert('job_state_transitions', _TRANSITION_COLUMNS)} ON CONFLICT DO NOTHING"
INSERT_NOTIFICATIONS = f"{_insert('notifications', _NOTIFICATION_COLUMNS)} ON CONFLICT DO NOTHING"

SELECT_TOMBSTONES = f"SELECT uid FROM job_tombstones JOIN {_unfolded(('uid',))} USING (uid)"
# A new row's writer holds its uid's place among the tombstones until it commits: of a deletion at the same time it
# either finds the tombstone (unique_violation: it reads again), or the deletion waits and finds the row.
CLAIM_UIDS = f"INSERT INTO job_tombstones (uid, expires_at) SELECT uid, 'infinity' FROM {_unfolded(('uid',))}"
UNCLAIM_UIDS = f"DELETE FROM job_tombstones USING {_unfolded(('uid',))} WHERE job_tombstones.uid = new.uid"
BURY = (
    "INSERT INTO job_tombstones (uid, expires_at) VALUES (%s, %s) "
    "ON CONFLICT (uid) DO UPDATE SET expires_at = excluded.expires_at"
)
FORGET = (
    "DELETE FROM job_tombstones WHERE uid IN (SELECT uid FROM job_tombstones "
    "WHERE expires_at < now() ORDER BY expires_at LIMIT %s FOR UPDATE SKIP LOCKED)"
)

SELECT_JOBS = f"SELECT {_names(JOB_COLUMNS)} FROM jobs WHERE tenant_id = %s"
SELECT_JOB = f"{SELECT_JOBS} AND job_id = %s"
SELECT_TENANT = f"SELECT {_names(TenantRow.__struct_fields__)} FROM tenants WHERE tenant_id = %s"
SELECT_TRANSITIONS = (
    f"SELECT {_names(TransitionRow.__struct_fields__)} FROM job_state_transitions "
    # The order of writing, not of the clocks: transitions come from several machines.
    "WHERE tenant_id = %s AND job_id = %s ORDER BY number"
)
SELECT_NOTIFICATIONS = (
    f"SELECT {_names(NotificationRow.__struct_fields__)} FROM notifications "
    "WHERE tenant_id = %s ORDER BY occurred_at DESC, notification_id LIMIT %s"
)
COUNT_UNREAD = "SELECT count(*) FROM notifications WHERE tenant_id = %s AND NOT is_read"
ACK_NOTIFICATION = "UPDATE notifications SET is_read = true WHERE tenant_id = %s AND notification_id = %s"
SELECT_OWNER = "SELECT uid FROM jobs WHERE tenant_id = %s AND job_id = %s"
DELETE_JOB = "DELETE FROM jobs WHERE tenant_id = %s AND job_id = %s AND uid = %s RETURNING uid"
# All rows, also those without variables: a batch reads so many rows and no more.
SELECT_VARIABLES = (
    "SELECT tenant_id, job_id, env_vars_json FROM jobs WHERE (tenant_id, job_id) > (%s, %s) "
    "ORDER BY tenant_id, job_id LIMIT %s"
)
LOCK_VARIABLES = (
    f"SELECT jobs.tenant_id, jobs.job_id, jobs.env_vars_json FROM jobs JOIN {_unfolded(_KEY)} "
    "USING (tenant_id, job_id) ORDER BY jobs.tenant_id, jobs.job_id FOR UPDATE OF jobs"
)
UPDATE_VARIABLES = (
    f"UPDATE jobs SET env_vars_json = new.env_vars_json FROM {_unfolded((*_KEY, 'env_vars_json'))} "
    "WHERE jobs.tenant_id = new.tenant_id AND jobs.job_id = new.job_id"
)
DELETE_NOTIFICATION = "DELETE FROM notifications WHERE tenant_id = %s AND notification_id = %s"
