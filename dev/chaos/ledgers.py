"""The three ledgers after a run, Kubernetes, the database and the cloud, and what does not agree in them."""

import itertools
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence

import aiohttp
import msgspec

from controller.domain.job import Job
from controller.domain.phases import TERMINAL, Phase
from controller.domain.records import JobRow, NotificationRow, TransitionRow
from dev.chaos.restores import Restored
from dev.chaos.workload import Asked
from dev.emulators.control import LedgerEntry

ENDED_STATES = frozenset({"SUCCEEDED", "FAILED", "CANCELLED", "DELETED", "completed", "Complete", "Failed", "Deleted"})
"""The services' own words for a cloud job that does nothing any more."""


class Verdict(msgspec.Struct, frozen=True, kw_only=True):
    """What a run has shown."""

    jobs: int
    """That were acknowledged."""
    cloud_jobs: int
    """Jobs that the service ever made."""
    ran_twice: list[str] = []
    """The jobs that are `duplicates`, by name."""
    duplicates: int
    """JennahJobs of which more than one cloud job ran, or a task more than once."""
    ended_duplicates: int
    """Second cloud jobs that were ended before they had done anything."""
    lost: int
    """Acknowledged jobs that are not there, have not ended, or never ran though nobody wished them away."""
    forgotten: int = 0
    """Jobs whose object was made after the copy that Kubernetes was restored from, and is not there: not lost by us."""
    left_open: list[str] = []
    """Such jobs, and jobs that were forced away, whose row has no end: they were sent to a place that no living job and
    no operator's setting names any more, and nobody looks for them there."""
    disagreements: list[str]
    """What Kubernetes, the database and the service say differently; one line each."""

    @property
    def suspects(self) -> list[str]:
        """The jobs that something is wrong with."""
        return list(
            dict.fromkeys([*self.ran_twice, *self.left_open, *(line.partition(":")[0] for line in self.disagreements)])
        )

    @property
    def is_good(self) -> bool:
        return not (self.duplicates or self.lost or self.disagreements)


class Circumstances(msgspec.Struct, frozen=True, kw_only=True):
    """What was done in a run that excuses some of what the ledgers say differently; never that a job ran twice."""

    restored: Restored = msgspec.field(default_factory=Restored)
    are_places_left: bool = False
    """Whether settings were changed: jobs were sent to places that no operator has settings for now."""


class Record(msgspec.Struct, frozen=True, kw_only=True):
    """What the database has of a tenant, by job id."""

    rows: Mapping[str, JobRow]
    audits: Mapping[str, Sequence[TransitionRow]]
    notifications: Mapping[str, Sequence[NotificationRow]]


async def cloud_ledger(control: str) -> list[LedgerEntry]:
    """What really ran at the stand-in whose side door that is."""
    async with aiohttp.ClientSession() as http, http.get(f"http://{control}/ledger") as response:
        return msgspec.json.decode(await response.read(), type=list[LedgerEntry])


def going_on(entry: LedgerEntry) -> bool:
    """Whether that cloud job has not ended."""
    return entry.state not in ENDED_STATES


def has_no_trace(entries: Iterable[LedgerEntry]) -> bool:
    """Whether the service has nothing any more of what it had: a Kubernetes Job that was deleted tells no end."""
    return all(entry.state == "Deleted" for entry in entries)


def job_name(entry: LedgerEntry) -> str:
    """The name of the job that it was made for; behind it comes the uid."""
    return entry.name.rpartition("-")[0]


def compare(
    asked: Sequence[Asked],
    jobs: Mapping[str, Job],
    record: Record,
    cloud: Iterable[LedgerEntry],
    circumstances: Circumstances | None = None,
) -> Verdict:
    """The verdict over what was asked for, the objects by job id, the record, and the service's own ledger."""
    case = circumstances or Circumstances()
    by_name: dict[str, list[LedgerEntry]] = defaultdict(list)
    for entry in cloud:
        by_name[job_name(entry)].append(entry)
    known = {one.name for one in asked}
    wrong = [f"{name}: a cloud job of nobody" for name in by_name if name not in known]
    ran_twice, lost, left_open, ended, forgotten = [], [], [], 0, 0
    for one in asked:
        entries, job, row = by_name.get(one.name, []), jobs.get(one.name), record.rows.get(one.name)
        ran = [entry for entry in entries if entry.ran_seconds > 0]
        if len(ran) > 1 or any(entry.tasks_made_again for entry in entries):
            ran_twice.append(one.name)
        ended += len(entries) - max(len(ran), 1) if entries else 0
        is_forgotten = job is None and one.name in case.restored.forgotten
        if one.is_acknowledged and is_forgotten:
            forgotten += 1
        elif is_lost(one, job, row, entries):
            lost.append(one.name)
        if row is not None and not row.status.is_terminal and may_stay_open(one, job, entries, case):
            left_open += [one.name] * (not has_no_trace(entries))
            continue
        wrong += [f"{one.name}: {fault}" for fault in _faults(one, job, record, entries, case)]
    return Verdict(
        jobs=sum(one.is_acknowledged for one in asked),
        cloud_jobs=sum(map(len, by_name.values())),
        duplicates=len(ran_twice),
        ran_twice=ran_twice,
        ended_duplicates=ended,
        lost=len(lost),
        forgotten=forgotten,
        left_open=left_open,
        disagreements=wrong + [f"{name}: lost" for name in lost],
    )


def is_lost(one: Asked, job: Job | None, row: JobRow | None, entries: Sequence[LedgerEntry]) -> bool:
    """Whether a job that was acknowledged is nowhere, has no end, or never ran though nobody wished that."""
    if not one.is_acknowledged:
        return True  # callers repeat until they are answered
    if one.goes:
        return False
    has_ended = job.is_finished if job is not None else one.expires and row is not None and row.status.is_terminal
    return not has_ended or (not entries and not one.wish)


def may_stay_open(one: Asked, job: Job | None, entries: Sequence[LedgerEntry], case: Circumstances) -> bool:
    """Whether a row without an object may have no end: the job was never sent, its Kubernetes Job was deleted and
    nobody watched, or it was sent to a place where nobody looks any more."""
    if job is not None or not (one.wish == "force" or one.name in case.restored.forgotten):
        return False
    return has_no_trace(entries) or case.are_places_left


def _faults(
    one: Asked, job: Job | None, record: Record, entries: Sequence[LedgerEntry], case: Circumstances
) -> list[str]:
    row, audit = record.rows.get(one.name), record.audits.get(one.name, ())
    found = [f"the cloud job {entry.id} goes on: {entry.state}" for entry in entries if going_on(entry)]
    found += [
        f"{entry.most_at_once} tasks at once, asked for {one.parallelism}"
        for entry in entries
        if one.parallelism and entry.most_at_once > one.parallelism
    ]
    back_since = case.restored.revived.get(one.name)
    if one.goes:
        if job is not None and (back_since is None or not job.is_finished):
            found.append("deleted, and still in Kubernetes")
        if not one.by_kubectl:
            if row is not None:
                found.append("deleted by the API, and still in the database")
            if back_since is not None and back_since > one.wish_acknowledged_at:
                found += [
                    f"deleted by the API, and sent as {entry.id} after its object came back"
                    for entry in entries
                    if entry.created_at > back_since
                ]
            return found
    if row is None:
        # An object that was deleted before any operator saw it leaves no trace, and one that was forced away, or
        # forgotten by Kubernetes, while the database was down none there.
        may_lack = one.wish == "force" or one.name in case.restored.forgotten or (one.goes and not entries)
        return found if may_lack else [*found, "the database has no row"]
    if job is not None and row.status is not job.status.phase:
        found.append(f"{job.status.phase} in Kubernetes, {row.status} in the database")
    found += path_faults(row, audit)
    notes = record.notifications.get(one.name, ())
    if [note.final_status for note in notes] != [row.status.wire]:
        found.append(f"notifications {[note.final_status for note in notes]} of a job that is {row.status.wire}")
    ran = [entry for entry in entries if entry.ran_seconds > 0]
    is_wished = bool(one.wish) or (job is None and one.name in case.restored.forgotten)  # then it is an orphan
    return found + (_end_faults(one, job, row, ran[0], is_wished=is_wished) if len(ran) == 1 else [])


def path_faults(row: JobRow, audit: Sequence[TransitionRow]) -> list[str]:
    """What is no legal life in the audit rows: it begins, each step begins where the one before ended, it ends once."""
    path = [(step.from_status, step.to_status) for step in audit]
    ends = [to for _, to in path if Phase.from_wire(to) in TERMINAL]
    if (
        not path
        or path[0] != (None, Phase.PENDING.wire)
        or any(before[1] != after[0] for before, after in itertools.pairwise(path))
        or ends != [row.status.wire]
        or path[-1][1] != row.status.wire
    ):
        return [f"the audit rows are no life of a job that is {row.status.wire}: {path}"]
    return []


def _end_faults(one: Asked, job: Job | None, row: JobRow, ran: LedgerEntry, *, is_wished: bool) -> list[str]:
    """Whether the end is the one that the service's own job had. `is_wished`: the job may have been ended early."""
    found = []
    succeeded = ran.exit_code == 0
    if succeeded != (row.status is Phase.COMPLETED):
        found.append(f"exit code {ran.exit_code} at the service, and {row.status.wire}")
    if row.status is Phase.FAILED and ran.exit_code != one.exit_code:
        found.append(f"FAILED with exit code {ran.exit_code} at the service; it was to exit with {one.exit_code}")
    if row.status in (Phase.COMPLETED, Phase.FAILED) and not is_wished and ran.tasks != one.tasks:
        found.append(f"{row.status.wire} with {ran.tasks} of {one.tasks} tasks")
    if row.status is Phase.CANCELLED and not is_wished:
        found.append("CANCELLED, and nobody wished that")
    code, why = (job.status.exit_code, job.status.reason) if job is not None else (ran.exit_code, None)
    is_lost = code is None and one.is_emptied  # the record has no exit codes, and the service may have forgotten it
    if row.status is not Phase.CANCELLED and code != ran.exit_code and not is_lost:
        found.append(f"exit code {ran.exit_code} at the service, {code} in Kubernetes ({why})")
    return found
