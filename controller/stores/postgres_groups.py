"""What a group of transitions writes, given what the database holds: pure. Called by `postgres`."""

from collections.abc import Container, Mapping, Sequence
from typing import Any

from controller.domain.errors import Permanent
from controller.domain.records import Recorded, Transition
from controller.ports import RecordFailure
from controller.stores import postgres_rows
from controller.stores.merge import Merged, Stored, merge

Key = tuple[str, str]
"""Tenant id and job id."""


def key_of(transition: Transition) -> Key:
    return transition.row.tenant_id, transition.row.job_id


class Group:
    """The rows to write, each list in the order of its keys: two writers never wait for each other crosswise."""

    def __init__(self, found: Mapping[Key, Stored], deleted: Container[str], transitions: Sequence[Transition]) -> None:
        """`deleted`: those of the transitions' uids that were deleted."""
        self._found = found
        self._deleted = deleted
        self._now = dict(found)
        self._changed: set[Key] = set()
        self._applied: list[tuple[Transition, Stored]] = []
        self.results: list[Recorded | RecordFailure] = [self._take(transition) for transition in transitions]

    def _take(self, transition: Transition) -> Recorded | RecordFailure:
        key = key_of(transition)
        try:
            merged: Merged = merge(self._now.get(key), transition, self._deleted)
        except Permanent as error:
            return RecordFailure(error=error)
        self._now[key] = merged.stored
        if merged.is_changed:
            self._changed.add(key)
        if merged.is_applied:
            self._applied.append((merged.transition, merged.stored))
        return merged.stored.recorded

    def tenants(self) -> list[dict[str, Any]]:
        """Of jobs that are new: of the others the tenant is there."""
        first = {
            key[0]: transition.at
            for transition, _ in reversed(self._applied)
            if self._is_new(key := key_of(transition))
        }
        return [postgres_rows.tenant_values(tenant_id, at) for tenant_id, at in sorted(first.items())]

    def new_uids(self) -> list[dict[str, Any]]:
        """Of the objects that get a row."""
        return [{"uid": uid} for uid in sorted({job["uid"] for job in self.new_jobs()})]

    def new_jobs(self) -> list[dict[str, Any]]:
        return self._jobs(is_new=True)

    def changed_jobs(self) -> list[dict[str, Any]]:
        return self._jobs(is_new=False)

    def transitions(self) -> list[dict[str, Any]]:
        return [postgres_rows.transition_values(transition) for transition, _ in self._in_order()]

    def notifications(self) -> list[dict[str, Any]]:
        return [
            postgres_rows.notification_values(transition.uid, stored.row, transition.at)
            for transition, stored in self._in_order()
            if stored.row.status.is_terminal
        ]

    def _jobs(self, *, is_new: bool) -> list[dict[str, Any]]:
        keys = sorted(key for key in self._changed if self._is_new(key) is is_new)
        return [postgres_rows.stored_values(self._now[key]) for key in keys]

    def _is_new(self, key: Key) -> bool:
        return key not in self._found

    def _in_order(self) -> list[tuple[Transition, Stored]]:
        return sorted(self._applied, key=lambda applied: key_of(applied[0]))
