"""Transitions into the tables: one transaction for as many of them as one commit takes. Called by `spanner`.

Round trips, however many rows: a read of the jobs by key, one of what we know of their objects, one of their audit
rows, one of the tenants of jobs that are new (these only where there is something to read), and the commit with all
rows as mutations.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta

import msgspec
from google.protobuf.struct_pb2 import ListValue

from controller.domain import reasons
from controller.domain.errors import Permanent
from controller.domain.records import JobRow, Recorded, Transition
from controller.ports import RecordFailure
from controller.stores import spanner_evidence, spanner_rows
from controller.stores import spanner_values as values
from controller.stores.merge import Stored, merge
from controller.stores.spanner_evidence import Key, Objects
from controller.stores.spanner_sessions import Sessions
from controller.stores.spanner_transaction import Deadline, Transaction

Result = Recorded | RecordFailure

COMMIT_TRANSITIONS = 250
"""The most of one commit. Spanner counts each column and each index entry of a row as a mutation: at most 70 of a
transition with its job, evidence, tenant and notification, so that this is below 20,000, the lowest limit that it ever
had (https://cloud.google.com/spanner/quotas)."""
_TICK = timedelta(microseconds=1)
_AUDIT_COLUMNS = ("TenantId", "JobId", "TransitionId", "TransitionedAt")
_UNSENDABLE = (OverflowError, UnicodeEncodeError)


def record(sessions: Sessions, transitions: Sequence[Transition], deadline: Deadline) -> list[Result]:
    """One result each. Raises Unavailable, Throttled."""
    results: list[Result] = []
    for start in range(0, len(transitions), COMMIT_TRANSITIONS):
        results += _record(sessions, transitions[start : start + COMMIT_TRANSITIONS], deadline)
    return results


def _record(sessions: Sessions, transitions: Sequence[Transition], deadline: Deadline) -> list[Result]:
    now = sessions.now(deadline)
    try:
        return sessions.transact(lambda transaction: _write(transaction, transitions, now), deadline)
    except (Permanent, *_UNSENDABLE) as error:
        if len(transitions) == 1:
            return [_failure(error)]
    # Spanner does not say which row it was: halves find it in a few commits, and the others are written.
    middle = len(transitions) // 2
    first = _record(sessions, transitions[:middle], deadline)
    return first + _record(sessions, transitions[middle:], deadline)


def _write(transaction: Transaction, transitions: Sequence[Transition], now: datetime) -> list[Result]:
    """Read, merge, and leave the mutations with the transaction."""
    group = _Group(now)
    _read(transaction, group, {_key(one) for one in transitions})
    results = [group.apply(one) for one in transitions]
    # Parents before their children: Spanner applies mutations in this order.
    transaction.insert("Tenants", spanner_rows.TENANT_COLUMNS, list(group.new_tenants.values()))
    transaction.upsert("Jobs", spanner_rows.JOB_COLUMNS, list(group.new_jobs.values()))
    transaction.insert("JobStateTransitions", spanner_rows.WRITTEN_TRANSITION_COLUMNS, group.new_audits)
    transaction.upsert("Notifications", spanner_rows.WRITTEN_NOTIFICATION_COLUMNS, group.new_notifications)
    if group.stale:
        transaction.delete(spanner_evidence.TABLE, values.keys(group.stale))
    transaction.upsert(spanner_evidence.TABLE, spanner_evidence.COLUMNS, list(group.new_evidence.values()))
    return results


def _read(transaction: Transaction, group: "_Group", keys: set[Key]) -> None:
    for row in transaction.read("Jobs", spanner_rows.JOB_COLUMNS, values.keys(sorted(keys))):
        job = spanner_rows.job_row(row)
        group.jobs[job.tenant_id, job.job_id] = _Found(row=job)
    group.objects = spanner_evidence.read(transaction, keys)
    if group.jobs:
        known = values.prefixes(sorted(group.jobs))
        for tenant, job_id, transition_id, at in transaction.read("JobStateTransitions", _AUDIT_COLUMNS, known):
            group.jobs[tenant, job_id].note(transition_id, values.moment(at))
    unknown = sorted({tenant_id for tenant_id, _ in keys - group.jobs.keys()})
    if unknown:
        found = transaction.read("Tenants", ("TenantId",), values.keys([(tenant_id,) for tenant_id in unknown]))
        group.tenants = {tenant for (tenant,) in found}


class _Found:
    """A job as it was read: its row, and what its audit rows tell."""

    def __init__(self, row: JobRow) -> None:
        self.row = row
        self.audit_ids: list[str] = []
        self.latest: datetime | None = None

    def note(self, audit_id: str, at: datetime | None) -> None:
        self.audit_ids.append(audit_id)
        if at is not None and (self.latest is None or at > self.latest):
            self.latest = at

    def stored(self, transition: Transition, objects: Objects) -> Stored:
        """The record; another object's where no audit row is of the transition's."""
        number = spanner_rows.number_of(transition.uid, self.audit_ids, transition.number)
        if number is None:
            return Stored(uid="", number=-1, row=self.row)
        destination = objects.destination(transition.uid)
        return Stored(uid=transition.uid, number=number, row=self.row, destination=destination)


class _Group:
    """The jobs of one commit: as they were read, and the rows to write."""

    def __init__(self, now: datetime) -> None:
        self._now = now
        self.jobs: dict[Key, _Found] = {}
        self.tenants: set[str] = set()
        """Of the tenants of jobs that were not found, those that exist."""
        self.objects: dict[Key, Objects] = {}
        self.new_evidence: dict[Key, ListValue] = {}
        self.stale: list[tuple[str, str, str]] = []
        """Keys of the evidence of objects whose rows somebody else removed, and which have a successor now."""
        self.new_tenants: dict[str, ListValue] = {}
        self.new_jobs: dict[Key, ListValue] = {}
        self.new_audits: list[ListValue] = []
        self.new_notifications: list[ListValue] = []
        self._stored: dict[Key, Stored] = {}
        self._latest: dict[Key, datetime] = {}

    def apply(self, transition: Transition) -> Result:
        """What becomes of the transition: of its rows all are added, or none."""
        try:
            return self._apply(transition)
        except (Permanent, *_UNSENDABLE) as error:
            return _failure(error)

    def _apply(self, transition: Transition) -> Recorded:
        key = _key(transition)
        found, objects = self.jobs.get(key), self.objects.get(key, spanner_evidence.NONE)
        stored = self._stored.get(key) or (found.stored(transition, objects) if found else None)
        if stored is None and (first := objects.destination(transition.uid)) is not None:
            transition = msgspec.structs.replace(transition, destination=first)  # the row was removed, not this
        merged = merge(stored, transition, objects.deleted)
        if merged.is_changed:
            job = spanner_rows.job_values(merged.stored.row, self._now)
            evidence = _evidence(key, merged.stored, objects)
            if merged.is_applied:
                self._add_applied(merged.transition, merged.stored.row)
            if stored is None:
                self._add_tenant(transition)
                self.stale += [(*key, uid) for uid in sorted(objects.owners - {transition.uid})]
            if evidence is not None:
                self.new_evidence[key] = evidence
            self.new_jobs[key] = job
            self._stored[key] = merged.stored
        return merged.stored.recorded

    def _add_applied(self, transition: Transition, row: JobRow) -> None:
        """The audit row and, at the job's end, the notification."""
        key = _key(transition)
        at = self._audit_time(key, transition.at)
        audit = spanner_rows.transition_values(transition, at)
        if row.status.is_terminal:
            self.new_notifications.append(spanner_rows.notification_values(transition.uid, row, transition.at))
        self.new_audits.append(audit)
        self._latest[key] = at

    def _audit_time(self, key: Key, at: datetime) -> datetime:
        """That time, but after the job's last one: audit rows are read in the order of their times, and several
        transitions that were noticed at once, or by machines whose clocks differ, keep the order of writing."""
        found = self.jobs.get(key)
        latest = self._latest.get(key) or (found.latest if found else None)
        at = spanner_rows.past(at, self._now)
        return at if latest is None else max(at, latest + _TICK)

    def _add_tenant(self, transition: Transition) -> None:
        tenant_id = transition.row.tenant_id
        if tenant_id not in self.tenants and tenant_id not in self.new_tenants:
            self.new_tenants[tenant_id] = spanner_rows.tenant_values(tenant_id, transition.at, self._now)


def _evidence(key: Key, stored: Stored, objects: Objects) -> ListValue | None:
    """Whose the row is and where the job was sent; None where that is written already."""
    if objects.knows(stored.uid) and objects.destination(stored.uid) == stored.destination:
        return None
    return spanner_evidence.row(key, stored.uid, stored.destination)


def _key(transition: Transition) -> Key:
    return transition.row.tenant_id, transition.row.job_id


def _failure(error: Exception) -> RecordFailure:
    if isinstance(error, Permanent):
        return RecordFailure(error=error)
    # Without its cause: a UnicodeEncodeError carries the text.
    refused = Permanent(f"the database refused the row: {type(error).__name__}", reason=reasons.RECORD_REJECTED)
    return RecordFailure(error=refused)
