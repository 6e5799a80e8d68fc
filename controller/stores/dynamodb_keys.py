"""The keys of the items: pure. The scheme is in `dynamodb`'s docstring."""

import zlib
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any, NamedTuple
from urllib.parse import quote

from controller.domain import reasons
from controller.domain.errors import Permanent

Item = dict[str, Any]
"""Attributes by name, each as DynamoDB writes it: {"S": text}, {"N": digits}, {"BOOL": …} or {"L": […]}."""

KEY_BYTES = 1024
"""DynamoDB's limit of a sort key; ours of a partition key as well, whose limit is twice that."""
ACTIVE_SHARDS = 16
"""Partitions of the index of active jobs. More may be added: a job keeps the shard that it was written with."""
ROW, TENANT, TRANSITION = "ROW", "TENANT", "TRANSITION#"
NOTIFICATION, UNREAD, READ = "AT#", "UNREAD#", "READ#"


class Key(NamedTuple):
    """The primary key of an item."""

    pk: str
    sk: str

    @property
    def attributes(self) -> Item:
        return {"pk": {"S": self.pk}, "sk": {"S": self.sk}}


def row(tenant_id: str, job_id: str) -> Key:
    return Key(f"JOB#{_part(tenant_id)}#{_part(job_id)}", ROW)


def listed_rows(tenant_id: str, entries: Iterable[Item]) -> list[Key]:
    """The keys of the rows that these entries of the tenant's list stand for."""
    prefix = row(tenant_id, "").pk
    return [Key(prefix + entry["sk"]["S"].partition("#")[2], ROW) for entry in entries]


def entry(tenant_id: str, created_at: datetime, job_id: str) -> Key:
    """The row's entry in the tenant's list: it sorts by creation, then by job id."""
    return Key(list_pk(tenant_id), f"{time_text(created_at)}#{_part(job_id)}")


def list_pk(tenant_id: str) -> str:
    return f"JOBS#{_part(tenant_id)}"


def tenant(tenant_id: str) -> Key:
    return Key(f"TENANT#{_part(tenant_id)}", TENANT)


def transition(tenant_id: str, job_id: str, number: int) -> Key:
    """The audit rows of a job lie beside its row, in the order of their numbers."""
    return Key(row(tenant_id, job_id).pk, f"{TRANSITION}{number:019}")


def notifications_pk(tenant_id: str) -> str:
    return f"NOTIFICATIONS#{_part(tenant_id)}"


def notification(tenant_id: str, occurred_at: str, notification_id: str) -> Key:
    """`occurred_at` is the text of the attribute."""
    return Key(notifications_pk(tenant_id), f"{NOTIFICATION}{occurred_at}#{_part(notification_id)}")


def pointers(tenant_id: str, notification_id: str) -> tuple[Key, Key]:
    """Where a notification is found by its id: under the first key while it is unread, then under the second."""
    pk, part = notifications_pk(tenant_id), _part(notification_id)
    return Key(pk, f"{UNREAD}{part}"), Key(pk, f"{READ}{part}")


def active_shard(key: Key) -> str:
    """The partition of the index that an active job at that key belongs to."""
    return f"ACTIVE#{zlib.crc32(key.pk.encode()) % ACTIVE_SHARDS:02}"


def time_text(moment: datetime) -> str:
    """Text that sorts as time. Raises Permanent(RECORD_REJECTED) for a time that UTC's calendar does not have."""
    try:
        return moment.astimezone(UTC).replace(tzinfo=None).isoformat(timespec="microseconds") + "Z"
    except (OverflowError, ValueError) as error:
        raise rejected("a time is out of range") from error


def rejected(why: str) -> Permanent:
    """DynamoDB would not take these values, for the reason that it says."""
    return Permanent(f"the database refused the row: {why}", reason=reasons.RECORD_REJECTED)


def _part(text: str) -> str:
    # A legal id (`names`) stays as it is; any other cannot be taken for two parts of a key, nor fail to be asked for.
    return quote(text, safe="", errors="surrogatepass")
