"""What a store remembers of deleted jobs: the uids of their objects, each with the time at which it is forgotten. Pure.

A deleted object may come back with a restore of etcd; its uid is then the only thing that tells.
"""

import time
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Final

TTL_SECONDS: Final = 30 * 86400
"""The default of TOMBSTONE_TTL_SECONDS."""
MOST_OF_A_JOB_ID: Final = 100
"""So many are kept in one document, of a job id that is deleted and used again all the time: the newest."""
EXPIRED_AT_ONCE: Final = 100
"""The most that one deletion clears away, where the database does not do it by itself. More than it adds."""

Tombstones = Mapping[str, int]
"""Uids of one job id's deleted objects, by when they are forgotten: seconds since 1970."""


def expiry(ttl_seconds: int) -> datetime:
    """When a deletion of now is forgotten."""
    return datetime.now(UTC) + timedelta(seconds=ttl_seconds)


def current(tombstones: Tombstones) -> dict[str, int]:
    """Those that count still."""
    now = int(time.time())
    return {uid: at for uid, at in tombstones.items() if at > now}


def with_deleted(tombstones: Tombstones, uid: str, ttl_seconds: int) -> dict[str, int]:
    """Those that count still, and the uid of what is deleted now: none where it is "" or the TTL is 0."""
    kept = current(tombstones)
    if uid and ttl_seconds:
        kept[uid] = int(time.time()) + ttl_seconds
    newest = sorted(kept.items(), key=lambda item: item[1], reverse=True)
    return dict(newest[:MOST_OF_A_JOB_ID])
