"""The rows of JennahEvidence: whose a job's row is, where that job was sent, and which objects of its id were deleted.

Called by `spanner` and `spanner_record`, in their transactions.
"""

from collections.abc import Iterable, Mapping
from datetime import datetime

from google.protobuf.struct_pb2 import ListValue

from controller.domain import names
from controller.domain.records import Record
from controller.stores import spanner_rows, tombstones
from controller.stores import spanner_values as values
from controller.stores.spanner_transaction import Transaction
from controller.stores.spanner_values import Statement

TABLE = "JennahEvidence"
COLUMNS = ("TenantId", "JobId", "Uid", "Destination", "ExpiresAt")

Key = tuple[str, str]
"""Tenant id and job id."""

SELECT_OWNER = (
    "SELECT e.Uid FROM Jobs j LEFT JOIN JennahEvidence e "
    "ON e.TenantId = j.TenantId AND e.JobId = j.JobId AND e.ExpiresAt IS NULL "
    "WHERE j.TenantId = @tenant AND j.JobId = @job"
)
_DELETE_JOB = "DELETE FROM Jobs WHERE TenantId = @tenant AND JobId = @job THEN RETURN JobId"
_DELETE_NOTIFICATION = "DELETE FROM Notifications WHERE TenantId = @tenant AND NotificationId = @id"
_DELETE_NOTIFICATIONS = "DELETE FROM Notifications WHERE TenantId = @tenant AND JobId = @job"


class Evidence(Record, frozen=True, kw_only=True):
    """Of one object."""

    destination: str | None
    is_deleted: bool


class Objects:
    """What is known of the objects of one job id."""

    def __init__(self, by_uid: Mapping[str, Evidence]) -> None:
        self._by_uid = by_uid

    @property
    def deleted(self) -> set[str]:
        return {uid for uid, one in self._by_uid.items() if one.is_deleted}

    @property
    def owners(self) -> set[str]:
        """Whose row there is, or was until somebody else removed it. Nobody's: the row is not ours, or an old one."""
        return self._by_uid.keys() - self.deleted

    def knows(self, uid: str) -> bool:
        return uid in self._by_uid

    def destination(self, uid: str) -> str | None:
        one = self._by_uid.get(uid)
        return one.destination if one else None


NONE = Objects({})


def read(transaction: Transaction, keys: Iterable[Key]) -> dict[Key, Objects]:
    """Of those job ids of which something is known. What is not there is locked as well, until the commit."""
    found: dict[Key, dict[str, Evidence]] = {}
    for tenant_id, job_id, uid, destination, expires_at in transaction.read(
        TABLE, COLUMNS, values.prefixes(sorted(keys))
    ):
        one = Evidence(destination=destination, is_deleted=expires_at is not None)
        found.setdefault((tenant_id, job_id), {})[uid] = one
    return {key: Objects(by_uid) for key, by_uid in found.items()}


def row(key: Key, uid: str, destination: str | None, expires_at: datetime | None = None) -> ListValue:
    """In the order of `COLUMNS`."""
    return values.row((*key, uid, destination, expires_at))


def delete_job(transaction: Transaction, key: Key, uid: str, ttl_seconds: int) -> bool:
    """Remove the row of that object, and remember its uid. False where there was none of it."""
    objects = read(transaction, [key]).get(key, NONE)
    tenant_id, job_id = key
    is_deleted = False
    if _is_owner(transaction, key, uid, objects):
        is_deleted = bool(transaction.execute(Statement(_DELETE_JOB, tenant=tenant_id, job=job_id)))
    if uid:
        notification = Statement(_DELETE_NOTIFICATION, tenant=tenant_id, id=names.notification_id(uid))
        transaction.execute(notification)
        if ttl_seconds:
            buried = row(key, uid, objects.destination(uid), tombstones.expiry(ttl_seconds))
            transaction.upsert(TABLE, COLUMNS, [buried])
        else:
            transaction.delete(TABLE, values.keys([(*key, uid)]))
    elif is_deleted:
        # By job: nobody knows the id. The audit rows go with the row in any case.
        transaction.execute(Statement(_DELETE_NOTIFICATIONS, tenant=tenant_id, job=job_id))
    return is_deleted


def _is_owner(transaction: Transaction, key: Key, uid: str, objects: Objects) -> bool:
    """Whether a row at that key is that object's. Rows of earlier releases tell by the ids of their audit rows."""
    if objects.owners or not uid:
        return uid in (objects.owners or {""})
    found = transaction.read("JobStateTransitions", ("TransitionId",), values.prefixes([key]))
    return spanner_rows.number_of(uid, [transition_id for (transition_id,) in found], 0) is not None
